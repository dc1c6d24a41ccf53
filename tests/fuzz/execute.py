"""Runs one program on one server and returns what can be observed of it, as JSON values.

    {"refused": "CLASS", "message": ...}                     when the query does not start
    {"schema": ..., "batches": [...], "rows": [[...], ...], "failed": "CLASS" or absent}

Rows are those of each batch where the sink keeps them apart (append and update), else those after each step.
"""

import json
import os
import pathlib
import re
import time

import program as programs
import pyarrow.parquet as parquet
import values
from pyspark.errors import PySparkException

COUNTS = ("numRowsTotal", "numRowsUpdated", "numRowsRemoved", "numRowsDroppedByWatermark")
# Files lie there for an hour: neither engine waits until they are complete.
AGE = 3600
PATIENCE = 60


class Feed:
    """The folders of a program's streams."""

    def __init__(self, folder: pathlib.Path, program: dict):
        self.folder, self.program, self.written = folder, program, 0
        self.time = time.time() - AGE
        for name, one in program["inputs"].items():
            (folder / name).mkdir(parents=True)
            if "rows" in one:
                parquet.write_table(values.table(one["columns"], one["rows"]), folder / name / "rows.parquet")

    def put(self, step: dict) -> None:
        """Makes the files of a step appear, in order of modification time."""
        for name, files in step.items():
            columns = self.program["inputs"][name]["columns"]
            for rows in files:
                self.written += 1
                hidden = self.folder / name / f".{self.written}"
                parquet.write_table(values.table(columns, rows), hidden)
                stamp = int((self.time + self.written * 0.01) * 1e9)
                os.utime(hidden, ns=(stamp, stamp))
                hidden.rename(self.folder / name / f"{self.written:05}.parquet")

    def reader(self, session):
        def read(name: str):
            one = self.program["inputs"][name]
            reader = session.read if "rows" in one else session.readStream.option("maxFilesPerTrigger", "1")
            return reader.schema(programs.ddl(one["columns"])).parquet(str(self.folder / name))

        return read


class Execution:
    """One run of a program."""

    def __init__(self, session, program: dict, folder: pathlib.Path):
        self.session, self.program, self.folder = session, program, folder
        self.table = f"fuzz_{folder.name}".replace("-", "_")
        self.feed = Feed(folder, program)
        self.observed = {"batches": []}
        self.after_steps = []
        self.query = None

    def run(self) -> dict:
        for key, value in self.program["conf"].items():
            self.session.conf.set(key, value)
        started = False
        try:
            self.frame = programs.frame(self.session, self.program["plan"], self.feed.reader(self.session))
            self.observed["schema"] = json.loads(self.frame.schema.json())
            for number, step in enumerate(self.program["steps"]):
                if number in self.program.get("restarts", []):
                    self._stop()
                self.feed.put(step)
                self.query = self.query or self._start()
                started = True
                self._work()
                if self.program["mode"] == "complete":
                    self.after_steps.append(self._table())
        except PySparkException as error:
            self._refused_or_failed(error, started)
        self._stop()
        if started:
            self.observed["rows"] = self.after_steps if self.program["mode"] == "complete" else self._rows_of_batches()
        return self.observed

    def _start(self):
        writer = self.frame.writeStream.outputMode(self.program["mode"])
        writer = writer.option("checkpointLocation", str(self.folder / "checkpoint"))
        if self.program["trigger"] == "availableNow":
            writer = writer.trigger(availableNow=True)
        if self.program["sink"] == "memory":
            return writer.format("memory").queryName(self.table).start()
        return writer.format("parquet").start(str(self.folder / "out"))

    def _work(self) -> None:
        """Runs all there is."""
        if self.program["trigger"] == "availableNow":
            assert self.query.awaitTermination(PATIENCE), "the query does not end"
            self._stop()
        else:
            self.query.processAllAvailable()

    def _stop(self) -> None:
        if not self.query:
            return
        seen = {batch["batchId"] for batch in self.observed["batches"]}
        for progress in self.query.recentProgress:
            one = json.loads(progress.json)
            if "addBatch" in one["durationMs"] and one["batchId"] not in seen:
                self.observed["batches"].append(_batch(one))
        self.query.stop()
        self.query = None

    def _refused_or_failed(self, error: PySparkException, started: bool) -> None:
        if started:
            self.observed["failed"] = condition(error)
        else:
            self.observed = {"refused": condition(error), "batches": []}
        self.observed["message"] = str(error)[:2000]

    def _table(self) -> list:
        rows = self.session.table(self.table).toArrow()
        return [[values.to_json(cell) for cell in row.values()] for row in rows.to_pylist()]

    def _rows_of_batches(self) -> list:
        if self.program["sink"] == "parquet":
            return _files(self.folder / "out")
        # A memory table keeps the order of batches.
        rows, place, batches = self._table(), 0, []
        for batch in self.observed["batches"]:
            end = place + max(0, batch["numOutputRows"] or 0)
            batches.append(rows[place:end])
            place = end
        return [*batches, rows[place:]]


def _files(folder: pathlib.Path) -> list:
    """The rows that each entry of a file sink's log lists."""
    batches = []
    log = folder / "_spark_metadata"
    entries = [p for p in log.iterdir() if re.fullmatch(r"\d+", p.name)] if log.exists() else []
    for entry in sorted(entries, key=lambda p: int(p.name)):
        rows = []
        for line in sorted(entry.read_text().splitlines()[1:]):
            name = json.loads(line)["path"].removeprefix("file://")
            rows += [[values.to_json(cell) for cell in row.values()] for row in parquet.read_table(name).to_pylist()]
        batches.append(rows)
    return batches


def condition(error: PySparkException) -> str:
    """The class of an error: of what failed the query, not of its failing."""
    text = str(error).split("\n\nJVM stacktrace")[0]
    names = [name for name in re.findall(r"\[([A-Z_]+[A-Z_0-9]*(?:\.[A-Z_0-9]+)*)\]", text) if name != "STREAM_FAILED"]
    own = error.getCondition() if hasattr(error, "getCondition") else None
    name = names[0] if names else own
    if name and name != "STREAM_FAILED" and not name.startswith("_LEGACY_ERROR_TEMP"):
        return name
    # Nameless: the text is all there is.
    text = re.sub(r"^.*terminated with exception: ", "", text).strip().splitlines() or [""]
    return re.sub(r"^\[_LEGACY_ERROR_TEMP_\d+\] |;$| SQLSTATE: \w+$", "", text[0])[:200]


def _batch(progress: dict) -> dict:
    """Of a batch, what does not depend on the machine."""
    return {
        "batchId": progress["batchId"],
        "eventTime": progress.get("eventTime") or {},
        "numInputRows": [source["numInputRows"] for source in progress["sources"]],
        "offsets": [str(source["endOffset"]).replace(" ", "") for source in progress["sources"]],
        "state": [
            {key: one[key] for key in ("operatorName", *COUNTS)} | _duplicates(one) for one in progress["stateOperators"]
        ],
        "numOutputRows": progress["sink"].get("numOutputRows"),
    }


def _duplicates(operator: dict) -> dict:
    figures = operator.get("customMetrics") or {}
    name = "numDroppedDuplicateRows"
    return {name: figures[name]} if name in figures else {}
