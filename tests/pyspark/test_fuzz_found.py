"""Random programs on which millstream once differed from Apache Spark, replayed against Spark's recorded answers."""

import json
import pathlib
import sys
import time

import pytest

FUZZ = pathlib.Path(__file__).resolve().parents[1] / "fuzz"
sys.path.insert(0, str(FUZZ))
import compare  # noqa: E402
import execute  # noqa: E402
import program as programs  # noqa: E402

FOUND = sorted((FUZZ / "found").glob("*.json"))


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    """The client turns timestamps into local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_program(spark, tmp_path, path):
    found = json.loads(path.read_text())
    ours = execute.Execution(spark, found["program"], tmp_path / "run").run()
    program = found["program"]
    kind, why = compare.verdict(ours, found["spark"], *programs.leeway(program))
    assert kind in ("same", "refused"), f"{programs.show(program)}\n{why}"


def test_some_are_found():
    assert FOUND
