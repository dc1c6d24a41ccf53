"""Records how Apache Spark joins streams (`joins/<scenario>.json`, `joins/refused.json`) and what it makes of several
stateful operators over several streams (`chains/<scenario>.json`).

    make record                               (needs Java)
    python tests/golden/record_joins.py range_left ...

Spark 4.3, local[1], one shuffle partition. Nobody edits the recordings by hand.
"""

import json
import os
import pathlib
import sys
import tempfile

import chain_scenarios
import join_scenarios
from pyspark.sql import SparkSession

GOLDEN = pathlib.Path(__file__).resolve().parent
RECORDINGS = GOLDEN / "joins"


def main() -> None:
    os.environ.setdefault("TZ", "UTC")
    builder = SparkSession.builder
    if "SPARK_REMOTE" not in os.environ:
        builder = builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.log.level", "ERROR")
    spark = builder.getOrCreate()
    asked = sys.argv[1:]
    for scenarios, recordings in ((join_scenarios.SCENARIOS, RECORDINGS), (chain_scenarios.SCENARIOS, GOLDEN / "chains")):
        recordings.mkdir(exist_ok=True)
        for name in scenarios:
            if not asked or name in asked or recordings.name in asked:
                record(spark, name, scenarios, recordings)
    if not asked or "refused" in asked:
        refused = {}
        for name in join_scenarios.REFUSED:
            with tempfile.TemporaryDirectory() as folder:
                refused[name] = join_scenarios.refuse(spark, name, pathlib.Path(folder))
        (RECORDINGS / "refused.json").write_text(json.dumps({"spark": spark.version, "refused": refused}, indent=1) + "\n")
    spark.stop()


def record(spark, name: str, scenarios: dict, recordings: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            observed = join_scenarios.run(spark, name, pathlib.Path(folder), scenarios)
        except Exception as error:
            print(f"{name}: {str(error).splitlines()[0]}", flush=True)
            return
    # A line a row and a line a batch, so that a difference can be read.
    steps = []
    for step in observed:
        rows = ",\n".join(f"   {json.dumps(row)}" for row in step["rows"])
        batches = ",\n".join(f"   {json.dumps(batch)}" for batch in step["batches"])
        steps.append(f' {{"rows": [\n{rows}\n  ],\n  "batches": [\n{batches}\n  ]}}')
    text = f'{{"spark": "{spark.version}", "steps": [\n' + ",\n".join(steps) + "\n]}\n"
    json.loads(text)
    (recordings / f"{name}.json").write_text(text)
    print(f"{name}: {sum(len(s['rows']) for s in observed)} rows, {sum(len(s['batches']) for s in observed)} batches", flush=True)


if __name__ == "__main__":
    main()
