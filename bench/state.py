"""State of many keys on the real server (`make bench-state`), an operator at a time: what the server holds at most, how
long a batch of 1,000 rows takes then, what it adds to the checkpoint, and what a server that was killed needs to go on.

The operator is filled by twenty batches. Every figure stands for a checked run: the number of keys in state is compared.
"""

import argparse
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import pyarrow
from pyarrow import parquet
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from startup import free_port, wait_for

FILLS = 20
SMALL = 1000
ROUNDS = 20
SCHEMA = "ts TIMESTAMP, k LONG, v LONG, id STRING"


def watermarked(rows):
    # Nothing leaves: the state is to be as large as its keys.
    return rows.withWatermark("ts", "1000 days")


def aggregated(*groups):
    return lambda rows, _: watermarked(rows).groupBy(*groups).agg(F.count("*"), F.sum("v"))


def joined(how):
    def query(rows, others):
        near = "a.k = b.k and a.ts between b.ts - interval 5 seconds and b.ts + interval 5 seconds"
        return watermarked(rows).alias("a").join(watermarked(others).alias("b"), F.expr(near), how).select(F.col("a.k"))

    return query


# By name: the query over one or two streams, its mode, whether its small batches bring new keys.
OPERATORS = {
    "aggregate by key": (lambda rows, _: rows.groupBy("k").agg(F.count("*"), F.sum("v")), "update", False),
    "aggregate by event time": (aggregated("ts"), "append", False),
    "windows of 10 minutes by key": (aggregated(F.expr("window(ts, '10 minutes')"), "k"), "append", False),
    "sessions by key": (aggregated(F.expr("session_window(ts, '5 seconds')"), "k"), "append", False),
    "dropDuplicates": (lambda rows, _: rows.dropDuplicates(["k"]), "append", True),
    "dropDuplicates, strings of 36 bytes": (lambda rows, _: rows.dropDuplicates(["id"]), "append", True),
    "dropDuplicatesWithinWatermark": (lambda rows, _: watermarked(rows).dropDuplicatesWithinWatermark(["k"]), "append", True),
    "join, inner": (joined("inner"), "append", True),
    "join, full outer": (joined("full_outer"), "append", True),
    "join, left semi": (joined("left_semi"), "append", True),
}


class Server:
    def __init__(self, binary: str, folder: pathlib.Path):
        port = free_port()
        with open(folder / "server.log", "a") as log:
            self.process = subprocess.Popen([binary, "server", "--port", str(port)], cwd=folder, stdout=log, stderr=log)
        wait_for(port, self.process)
        self.url = f"sc://127.0.0.1:{port}"

    def peak(self) -> int:
        """MB it held at most."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Input:
    """Files of keys; a join gets the even ones on one side, the odd ones on the other."""

    def __init__(self, folder: pathlib.Path, sides: int, strings: bool):
        self.sides = [folder / f"in{side}" for side in range(sides)]
        self.strings, self.files = strings, 0
        for side in self.sides:
            side.mkdir()

    def put(self, keys: numpy.ndarray) -> None:
        self.files += 1
        for number, side in enumerate(self.sides):
            own = keys[keys % len(self.sides) == number]
            columns = {
                "ts": pyarrow.array(own + 1_700_000_000_000_000, pyarrow.timestamp("us", "UTC")),
                "k": own,
                "v": numpy.full(len(own), 7),
                "id": [f"{k:08x}-0000-4000-8000-{k:012x}" for k in own] if self.strings else pyarrow.nulls(len(own), "string"),
            }
            hidden = side / f".{self.files}"
            parquet.write_table(pyarrow.table(columns), hidden)
            stamp = time.time() - 3600 + self.files
            os.utime(hidden, (stamp, stamp))
            hidden.rename(side / f"{self.files:05}.parquet")


def run(url: str, name: str, inputs: Input, folder: pathlib.Path) -> list:
    """Runs all there is; the progress of its batches."""
    frame, mode, _ = OPERATORS[name]
    spark = SparkSession.builder.remote(url).create()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    sides = [spark.readStream.schema(SCHEMA).option("maxFilesPerTrigger", "1").parquet(str(side)) for side in inputs.sides]
    writer = frame(sides[0], sides[-1]).writeStream.outputMode(mode).format("noop").trigger(availableNow=True)
    query = writer.option("checkpointLocation", str(folder / "checkpoint")).start()
    query.awaitTermination()
    if error := query.exception():
        sys.exit(f"{name}: {error}")
    progress = [p for p in query.recentProgress if p.numInputRows]
    spark.stop()
    return progress


def held(progress: list) -> int:
    return sum(operator.numRowsTotal for operator in progress[-1].stateOperators)


def size(folder: pathlib.Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def measured(binary: str, name: str, keys: int, folder: pathlib.Path) -> str:
    adds = OPERATORS[name][2]
    inputs = Input(folder, 2 if name.startswith("join") else 1, "strings" in name)
    # Neighbours in time do not come in order.
    everything = numpy.random.default_rng(1).permutation(keys)
    for part in numpy.array_split(everything, FILLS):
        inputs.put(part)
    server = Server(binary, folder)
    try:
        begin = time.monotonic()
        filled = run(server.url, name, inputs, folder)
        seconds, peak = time.monotonic() - begin, server.peak()
        assert held(filled) == keys, f"{name}: {held(filled)} of {keys} keys in state"
        stored = size(folder / "checkpoint")
        for number in range(ROUNDS):
            few = numpy.arange(keys + number * SMALL, keys + (number + 1) * SMALL) if adds else everything[number::keys // SMALL][:SMALL]
            inputs.put(few)
        small = run(server.url, name, inputs, folder)
        times = [p.durationMs["triggerExecution"] for p in small[1:]]
        added = (size(folder / "checkpoint") - stored) / ROUNDS / 1000
        server.kill()
        total = keys + (ROUNDS * SMALL if adds else 0)
        inputs.put(numpy.arange(total, total + SMALL) if adds else everything[:SMALL])
        begin = time.monotonic()
        server = Server(binary, folder)
        restored = run(server.url, name, inputs, folder)
        again = time.monotonic() - begin
        assert held(restored) == total + (SMALL if adds else 0), f"{name}: {held(restored)} keys after the kill, not {total}"
        return (
            f"| {name} | {keys / seconds / 1e6:.2f} | {peak} | {statistics.median(times):.0f} | {max(times):.0f} "
            f"| {added:.1f} | {again:.1f} | {server.peak()} |"
        )
    finally:
        server.kill()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--millstream", type=pathlib.Path, required=True)
    options.add_argument("--keys", type=int, default=10_000_000)
    options.add_argument("--scratch", help="where inputs and checkpoints go, a few hundred MB each")
    options.add_argument("operators", nargs="*", help="parts of names; all where none is given")
    given = options.parse_args()
    print(f"{given.keys:,} keys; batches of {SMALL} rows; memory of the server alone\n")
    print("| operator | M rows/s | MB at most | ms a small batch | slowest | kB it adds | s to go on after a kill | MB then |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for name in OPERATORS:
        if given.operators and not any(part in name for part in given.operators):
            continue
        scratch = pathlib.Path(tempfile.mkdtemp(dir=given.scratch))
        try:
            print(measured(str(given.millstream.resolve()), name, given.keys, scratch), flush=True)
        finally:
            shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
