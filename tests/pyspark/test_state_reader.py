"""`format("statestore")` and `format("state-metadata")` over the checkpoints of our own queries.

What is expected was recorded from Apache Spark (`tests/golden/record_state.py`), which is asked again with `--spark`.
"""

import json
import pathlib
import sys

import pytest
from pyspark.errors import PySparkException
from streaming import put

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
sys.path.append(str(GOLDEN))
import state_cases as cases  # noqa: E402

RECORDED = json.loads((GOLDEN / "state.json").read_text())


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Where the checkpoints are, once their query has run."""
    directory = tmp_path_factory.mktemp("state")
    for i, lines in enumerate(cases.FILES):
        put(str(directory / "rows"), f"{i}.csv", *lines)
    done = set()

    def checkpoint(spark, name):
        place = str(directory / name)
        if name not in done:
            cases.run(spark, name, str(directory / "rows"), place)
            done.add(name)
        return place

    return checkpoint


def shown(read):
    return f"{read['query']}-{','.join(f'{k}={v}' for k, v in read['options'].items())}"


@pytest.mark.parametrize("read", RECORDED["reads"], ids=shown)
def test_state_is_what_spark_shows(spark, checkpoints, read):
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    place = checkpoints(spark, read["query"])
    said = cases.answer(lambda: cases.state(spark, place, read["options"]), place)
    expected = {k: v for k, v in read.items() if k not in ("query", "options")}
    assert said == expected


@pytest.mark.parametrize("name", RECORDED["metadata"])
def test_operators_are_what_spark_shows(spark, checkpoints, name):
    place = checkpoints(spark, name)
    said = cases.answer(lambda: spark.read.format("state-metadata").load(place), place)
    assert said == RECORDED["metadata"][name]


def test_checkpoints_that_are_not_there(spark, folder):
    for read, condition in [
        (lambda: spark.read.format("statestore").load(), "STDS_REQUIRED_OPTION_UNSPECIFIED"),
        (lambda: spark.read.format("statestore").load(folder("none")), "STDS_COMMITTED_BATCH_UNAVAILABLE"),
        (lambda: spark.read.schema("a int").format("statestore").load(folder("none")), "_LEGACY_ERROR_TEMP_2242"),
        (lambda: spark.readStream.format("statestore").load(folder("none")), "_LEGACY_ERROR_TEMP_2049"),
        (lambda: spark.readStream.format("state-metadata").load(folder("none")), "_LEGACY_ERROR_TEMP_2049"),
    ]:
        with pytest.raises(PySparkException) as raised:
            read().collect()
        assert raised.value.getCondition() == condition
    assert spark.read.format("state-metadata").load(folder("none")).collect() == []


@pytest.mark.millstream
def test_what_our_state_does_not_have_is_refused(spark, checkpoints):
    with pytest.raises(PySparkException) as raised:
        cases.state(spark, checkpoints(spark, "inner"), {"storeName": "left-keyToNumValues"}).collect()
    assert raised.value.getCondition().startswith("UNSUPPORTED_FEATURE")
    assert "joinSide" in str(raised.value)


@pytest.mark.millstream
def test_state_is_read_from_a_snapshot_that_is_there(spark, folder):
    for i in range(24):
        put(folder("rows"), f"{i:02}.csv", *(f"2024-01-01 00:00:01,{key},{i},0.5" for key in "abcdefgh"[i % 3 :]))
    cases.run(spark, "keyed", folder("rows"), folder("checkpoint"))

    def read(**options):
        return cases.answer(lambda: cases.state(spark, folder("checkpoint"), options), folder("checkpoint"))

    whole = read()
    assert len(whole["rows"]) == 8
    said = [read(snapshotStartBatchId=str(batch), snapshotPartitionId="0") for batch in range(24)]
    from_snapshots = [answer for answer in said if "rows" in answer]
    assert from_snapshots and all(answer == whole for answer in from_snapshots)
    missing = {answer["error"] for answer in said if "rows" not in answer}
    assert missing == {"CANNOT_LOAD_STATE_STORE.CANNOT_READ_MISSING_SNAPSHOT_FILE"}
    elsewhere = read(snapshotStartBatchId="1", snapshotPartitionId="1")
    assert elsewhere["error"] == "CANNOT_LOAD_STATE_STORE.SNAPSHOT_PARTITION_ID_NOT_FOUND"
    assert "Partition id 1 not found for state of operator 0 at file:<checkpoint>/state" in elsewhere["message"]
