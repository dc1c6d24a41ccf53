"""Every scenario recorded from Apache Spark, replayed: the same rows in the same steps, the same batches."""

import json
import math
import pathlib
import sys
import time

import pytest

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import scenarios  # noqa: E402

RECORDINGS = GOLDEN / "streaming"

# Spark counts input rows after filters (`v IS NOT NULL`) that it pushed into its CSV reader; ours counts what was read.
COUNTED_BEFORE_FILTERS = {"no_watermark_update", "no_watermark_complete", "stateless_append", "session_no_watermark_complete"}

# Classic Spark, which was recorded, reads a stream that is used twice once; over Connect each use is a source.
ONE_SOURCE = {"union_itself_update", "union_parts_append"}


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    """The client turns timestamps into local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def same(ours, theirs) -> bool:
    """Exact, floats within 1e-12 relative."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(same(a, b) for a, b in zip(ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-12)
    return type(ours) is type(theirs) and ours == theirs


@pytest.mark.parametrize("name", scenarios.SCENARIOS)
def test_scenario(spark, tmp_path, name):
    recording = json.loads((RECORDINGS / f"{name}.json").read_text())["steps"]
    observed = json.loads(json.dumps(scenarios.run(spark, name, tmp_path)))
    for number, (ours, theirs) in enumerate(zip(observed, recording, strict=True)):
        where = f"step {number}"
        assert len(ours["rows"]) == len(theirs["rows"]) and same(ours["rows"], theirs["rows"]), (
            f"{where}: rows differ\n  ours:  {ours['rows']}\n  spark: {theirs['rows']}"
        )
        for mine, spark_s in zip(ours["batches"], theirs["batches"]):
            if name in ONE_SOURCE:
                for batch in (mine, spark_s):
                    batch.pop("sources"), batch.pop("offsets")
            elif name in COUNTED_BEFORE_FILTERS:
                for one, other in zip(mine["sources"], spark_s["sources"]):
                    assert one.pop("numInputRows") >= other.pop("numInputRows")
            assert mine == spark_s, f"{where}, batch {spark_s['batchId']}"
        assert len(ours["batches"]) == len(theirs["batches"]), where


def test_every_scenario_is_recorded():
    assert set(scenarios.SCENARIOS) <= {path.stem for path in RECORDINGS.glob("*.json")}
