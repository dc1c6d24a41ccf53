"""Streaming programs that Apache Spark refuses: refused here, too, with the same class and text."""

import json
import pathlib
import sys

import pytest

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import refusals  # noqa: E402

RECORDING = json.loads((GOLDEN / "streaming" / "refusals.json").read_text())

# Spark starts these and they fail at their first batch (with a watermark); here they are refused at the start.
FAIL_LATER = {
    f"{name}_{mode}": reason
    for name, reason in {
        "watermark_twice": "_LEGACY_ERROR_TEMP_3076",
        "watermark_twice_windows": "_LEGACY_ERROR_TEMP_3076",
        "watermark_two_columns": "_LEGACY_ERROR_TEMP_3076",
        "watermark_two_columns_windows": "_LEGACY_ERROR_TEMP_3076",
        "watermark_after_windows": "_LEGACY_ERROR_TEMP_3076",
        "two_event_times": "MULTIPLE_EVENT_TIME_COLUMNS",
        "two_event_times_dedup": "MULTIPLE_EVENT_TIME_COLUMNS",
    }.items()
    for mode in ("append", "update", "complete")
}
# Not built yet, and refused by name.
UNSUPPORTED = {f"{name}_{mode}" for name in ("rollup", "grouping_sets_sql") for mode in ("append", "update", "complete")}

# Refused for what Spark would name second: these are seen before the output mode is.
OTHER_REASON = {
    "sample_complete": "_LEGACY_ERROR_TEMP_3102",
    "monotonic_complete": "_LEGACY_ERROR_TEMP_3102",
    "rank_complete": "NON_TIME_WINDOW_NOT_SUPPORTED_IN_STREAMING",
}
# The text shows a window specification in Spark's words.
CLASS_ONLY = {"rank_append", "rank_update"}


def compare(ours, theirs):
    if theirs is None:
        assert ours is None
        return
    assert ours is not None, f"Spark refuses this: {theirs}"
    assert (ours["class"], ours["message"]) == (theirs["class"], theirs["message"])
    assert ours["type"] == theirs["type"]


@pytest.mark.parametrize("name", refusals.CASES)
def test_stream(spark, tmp_path, name, on_spark):
    ours, theirs = refusals.run(spark, name, tmp_path), RECORDING["streams"][name]
    if not on_spark and name in UNSUPPORTED:
        assert ours["class"] == "UNSUPPORTED_FEATURE.MILLSTREAM"
    elif not on_spark and theirs is None and name in FAIL_LATER:
        assert ours["class"] == FAIL_LATER[name]
    elif not on_spark and name in OTHER_REASON:
        assert ours["class"] == OTHER_REASON[name]
    elif name in CLASS_ONLY:
        assert (ours["type"], ours["class"]) == (theirs["type"], theirs["class"])
    else:
        compare(ours, theirs)


@pytest.mark.parametrize("name", refusals.BATCH)
def test_batch(spark, name):
    compare(refusals.run_batch(spark, name), RECORDING["batches"][name])
