"""Every join recorded from Apache Spark, replayed: the same rows in the same steps, the same batches, state and refusals."""

import json
import re

import pytest
from test_golden_streaming import GOLDEN, same, utc  # noqa: F401

import join_scenarios  # noqa: E402

RECORDINGS = GOLDEN / "joins"

# Classic Spark, which was recorded, reads a stream that is used twice once; over Connect each use is a source.
ONE_SOURCE = {"self_join"}


def same_rows(ours, theirs, where):
    assert len(ours["rows"]) == len(theirs["rows"]) and same(ours["rows"], theirs["rows"]), (
        f"{where}: rows differ\n  ours:  {ours['rows']}\n  spark: {theirs['rows']}"
    )


@pytest.mark.parametrize("name", join_scenarios.SCENARIOS)
def test_scenario(spark, tmp_path, name):
    recording = json.loads((RECORDINGS / f"{name}.json").read_text())["steps"]
    observed = json.loads(json.dumps(join_scenarios.run(spark, name, tmp_path)))
    for number, (ours, theirs) in enumerate(zip(observed, recording, strict=True)):
        where = f"step {number}"
        same_rows(ours, theirs, where)
        if name in ONE_SOURCE:
            continue
        for mine, spark_s in zip(ours["batches"], theirs["batches"]):
            assert mine == spark_s, f"{where}, batch {spark_s['batchId']}"
        assert len(ours["batches"]) == len(theirs["batches"]), where


@pytest.mark.parametrize("name", join_scenarios.REFUSED)
def test_refusal(spark, tmp_path, name):
    recorded = json.loads((RECORDINGS / "refused.json").read_text())["refused"]
    ours = join_scenarios.refuse(spark, name, tmp_path)
    assert plain(ours) == plain(recorded[name])


def plain(message: str) -> str:
    """Without what names a run or the class of a nameless error."""
    message = re.sub(r"^\[STREAM_FAILED\] .* terminated with exception: ", "", message)
    return re.sub(r"^\[_LEGACY_ERROR_TEMP_\d+\] | SQLSTATE: \w+$", "", message).strip()


def test_every_scenario_is_recorded():
    assert set(join_scenarios.SCENARIOS) | {"refused"} == {path.stem for path in RECORDINGS.glob("*.json")}
