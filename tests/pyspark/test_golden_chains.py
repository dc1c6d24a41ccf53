"""Every chain of stateful operators recorded from Apache Spark, replayed: the same rows in the same steps, the same
batches, watermarks and state of each operator."""

import json

import pytest
from test_golden_joins import same_rows
from test_golden_streaming import GOLDEN, utc  # noqa: F401

import chain_scenarios  # noqa: E402
import join_scenarios  # noqa: E402

RECORDINGS = GOLDEN / "chains"

# Classic Spark, which was recorded, reads a stream that is used twice once; over Connect each use is a source.
ONE_SOURCE = {"self_join_window", "union_itself_window"}

# Spark pushes `t IS NOT NULL` into the reader of the side without a watermark, and counts fewer input rows.
COUNTED_BEFORE_FILTERS = {"union_window_left_watermark"}

# Spark's reader stops where a limit in its task is reached, or does not start.
COUNTED_BEFORE_FILTERS |= {name for name in chain_scenarios.SCENARIOS if name.startswith("limit_")} - {"limit_join"}

# Known differences.
DIFFERENT = {
    "union_session": "Spark counts late sessions of each input of a union on its own",
    # It then waits for the watermark of the side it dropped, and gives no row ever: not to be followed.
    "windows_join_window": "Spark drops an outer join whose other side has one row a key and is not asked for",
    "window_count_update_unchecked": "Spark makes one aggregation of a sum of counts",
}


def recorded():
    """A chain that is not recorded yet is no test yet."""
    for name in chain_scenarios.SCENARIOS:
        if (RECORDINGS / f"{name}.json").exists():
            reason = DIFFERENT.get(name)
            yield pytest.param(name, marks=[pytest.mark.xfail(reason=reason, strict=True)] if reason else [])


@pytest.mark.parametrize("name", recorded())
def test_scenario(spark, tmp_path, name):
    recording = json.loads((RECORDINGS / f"{name}.json").read_text())["steps"]
    observed = json.loads(json.dumps(join_scenarios.run(spark, name, tmp_path, chain_scenarios.SCENARIOS)))
    for number, (ours, theirs) in enumerate(zip(observed, recording, strict=True)):
        where = f"step {number}"
        same_rows(ours, theirs, where)
        if name in ONE_SOURCE:
            continue
        for mine, spark_s in zip(ours["batches"], theirs["batches"]):
            if name in COUNTED_BEFORE_FILTERS:
                for one, other in zip(mine["sources"], spark_s["sources"]):
                    assert one.pop("numInputRows") >= other.pop("numInputRows")
            assert mine == spark_s, f"{where}, batch {spark_s['batchId']}"
        assert len(ours["batches"]) == len(theirs["batches"]), where


def test_every_recording_has_its_scenario():
    assert {path.stem for path in RECORDINGS.glob("*.json")} <= set(chain_scenarios.SCENARIOS)
