# Everything a person or a build machine does here. Needs Rust, Python 3.11 or newer and the package registries;
# what else is needed (a protobuf compiler, PySpark's client) is set up inside the folder, without root.

CARGO  ?= cargo
PYTHON ?= python3
ROWS   ?= 1048573
CASES  ?= 2000
N      ?= 100
SEED   ?= 1
FORMAT ?= csv
KEYS   ?= 10000000
PROFILE ?= dev-optimised

BIN    := target/debug/millstream
VENV   := .venv/ready
SPARK  := .venv-spark/ready
PROTOC := .build/protoc
DATA   := .build/accelerometer-$(ROWS).csv

# What is counted is the engine: optimised, while its dependencies stay as they are for development.
KERNELS := $(if $(filter release,$(PROFILE)),--release,--config profile.dev.package.millstream-engine.opt-level=2)

export PROTOC := $(abspath $(PROTOC))
export MILLSTREAM_BIN := $(abspath $(BIN))

.PHONY: help build demo test test-rust test-python nightly fuzz-spark lint fmt bench bench-latency bench-state bench-instructions release compare origin spark-tests suites record clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: $(PROTOC) ## the binary, dev profile with its hot crates optimised (12 minutes from nothing on 2 cores; release takes 25)
	$(CARGO) build --locked --bin millstream

demo: build $(VENV) $(DATA) ## the main job, live: about a minute after the build (ROWS=50000 for less data)
	PYSPARK_PYTHON=$(abspath .venv/bin/python) $(BIN) run examples/demo.py --data $(DATA) --out .build/demo

test: lint test-rust test-python ## everything: lints, Rust tests, doc tests, the real PySpark client

lint: $(PROTOC) ## formatting and clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

test-rust: $(PROTOC) ## unit, reference, golden and tidy tests, then doc tests
	scripts/cargo-test $(CARGO)
	$(CARGO) test --locked --workspace --doc

test-python: build $(VENV) ## the real client against the dev binary
	scripts/client-tests .venv/bin/python

nightly: $(PROTOC) ## every random test with CASES=2000 cases (make test has a hundred); where Java is, 300 programs on Spark, too
	PROPTEST_CASES=$(CASES) nice scripts/cargo-test $(CARGO)
	if command -v java > /dev/null; then $(MAKE) fuzz-spark N=300 SEED=$$(date +%Y%m%d); else echo "no Java: fuzz-spark left out"; fi

fuzz-spark: build $(VENV) $(SPARK) ## N=100 random programs of SEED=1 on Spark 4.3 and on ours, or PROGRAM=file again (needs Java)
	MILLSTREAM_SPARK_PYTHON=$(abspath .venv-spark/bin/python) .venv/bin/python tests/fuzz -n $(N) --seed $(SEED) $(if $(PROGRAM),--program $(PROGRAM))

fmt: ## formats the Rust code
	$(CARGO) fmt --all

bench: release $(VENV) $(SPARK) ## the same scripts on ours (release build) and on Spark 4.3, checked and timed: make bench W="w2 w4" FORMAT=parquet (needs Java)
	.venv/bin/python bench/run.py --millstream target/release/millstream --spark-python .venv-spark/bin/python --format $(FORMAT) --out .build/bench $(W)

bench-latency: release $(VENV) $(SPARK) ## small files one after another: from the rename to the sink, and the time to start (needs Java)
	.venv/bin/python bench/latency.py --millstream target/release/millstream --spark-python .venv-spark/bin/python
	.venv/bin/python bench/startup.py --millstream target/release/millstream --spark-python .venv-spark/bin/python

bench-state: release $(VENV) ## every stateful operator with ten million keys on the real server: memory, batches, recovery (10 minutes)
	.venv/bin/python bench/state.py --millstream target/release/millstream --keys $(KEYS)

bench-instructions: $(PROTOC) ## instructions a row of the hot kernels against bench/instructions.json (needs valgrind; PROFILE=release for optimised dependencies too)
	@command -v valgrind > /dev/null || { echo "valgrind is not installed: no instructions were counted"; exit 0; }; \
	binary=$$($(CARGO) rustc --locked -p millstream-engine --bench kernels --message-format=json $(KERNELS) | \
	  $(PYTHON) -c 'import json, sys; print([e for e in map(json.loads, sys.stdin) if e.get("executable")][-1]["executable"])') && \
	$(PYTHON) bench/instructions.py --binary $$binary --profile $(PROFILE) $(W)

release: $(PROTOC) ## the binary, optimised
	$(CARGO) build --locked --release --bin millstream

compare: build $(VENV) $(SPARK) ## examples/three_tasks.py on ours and on Spark 4.3; compares what both wrote (needs Java)
	.venv/bin/python scripts/compare.py --millstream $(BIN) --spark-python .venv-spark/bin/python

origin: build $(VENV) ## the script this comes from, unmodified: make origin ORIGIN=path/to/streaming.py
	.venv/bin/python scripts/origin.py --millstream $(BIN) $(ORIGIN)

spark-tests: $(VENV) $(SPARK) ## the client tests against Apache Spark itself, the referee (needs Java)
	MILLSTREAM_SPARK_PYTHON=$(abspath .venv-spark/bin/python) .venv/bin/python -m pytest -q tests/pyspark --spark

suites: build $(VENV) ## PySpark's own test suites against ours: make suites CHECKOUT=path/to/apache-spark (docs/spark-tests.md)
	.venv/bin/python scripts/spark_suites.py $(CHECKOUT)

record: $(SPARK) $(VENV) ## records the golden files anew from Apache Spark (needs Java)
	.venv-spark/bin/python tests/golden/record_streaming.py
	.venv-spark/bin/python tests/golden/record_joins.py
	.venv-spark/bin/python tests/golden/record_refusals.py
	.venv-spark/bin/python tests/golden/record_state.py
	.venv-spark/bin/python tests/golden/streaming/record.py > .build/golden.json && mv .build/golden.json tests/golden/streaming/golden.json
	.venv-spark/bin/python tests/golden/record_functions.py
	cd tests/golden && ../../.venv-spark/bin/python record_relations.py
	.venv-spark/bin/python tests/golden/record_formats.py
	MILLSTREAM_SPARK_PYTHON=.venv-spark/bin/python .venv/bin/python tests/golden/record_pipelines.py

clean: ## removes what was built and set up
	rm -rf target .build .venv .venv-spark

$(PROTOC): scripts/protoc
	PYTHON=$(PYTHON) scripts/protoc $@

$(VENV): tests/pyspark/requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(SPARK): bench/requirements.txt
	$(PYTHON) -m venv .venv-spark
	.venv-spark/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(DATA): examples/generate_accelerometer.py $(VENV)
	.venv/bin/python $< --rows $(ROWS) $@
