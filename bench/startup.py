"""How long it takes from the launch of a process (`make bench-latency`): until the server accepts a connection and what
it then holds; until the first row of a tiny PySpark job is committed, and of a tiny SQL file (our Rust client)."""

import argparse
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import data
import measure

HERE = pathlib.Path(__file__).resolve().parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen) -> None:
    """Until the server accepts a connection."""
    while True:
        if process.poll() is not None:
            sys.exit(f"the server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.0005)


def server(binary: str) -> tuple[float, float]:
    """Milliseconds until a connection is accepted, MB it holds a second later."""
    port = free_port()
    begin = time.monotonic()
    process = subprocess.Popen([binary, "server", "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        ready = (time.monotonic() - begin) * 1000
        time.sleep(1)
        return ready, measure.resident(process.pid)[1] / 1024
    finally:
        process.terminate()
        process.wait()


def first_row(command: list[str], extra: dict) -> float:
    """Seconds until the sink's log has its first batch."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        (scratch / "in").mkdir()
        (scratch / "out").mkdir()
        data.accelerometer(500).to_csv(scratch / "in/0.csv", index=False, header=False)
        arguments = ["--workload", "w1", "--input", str(scratch / "in"), "--out", str(scratch / "out")]
        begin = time.monotonic()
        process = subprocess.Popen([*command, *arguments], env=measure.environment(extra), stdout=subprocess.DEVNULL)
        try:
            while not (scratch / "out/rows/_spark_metadata/0").exists():
                if process.poll() is not None:
                    sys.exit(f"{' '.join(command)} ended with {process.returncode}")
                time.sleep(0.001)
            return time.monotonic() - begin
        finally:
            (scratch / "out/end").touch()
            process.wait(60)


PIPELINE = """
CREATE TABLE IF NOT EXISTS fed (n INT) USING parquet;
INSERT INTO fed VALUES (1), (2), (3);
CREATE STREAMING TABLE copied AS SELECT n * 2 AS n FROM STREAM fed;
"""


def first_row_of_sql(binary: str) -> float:
    """Seconds until a streaming table of a SQL file has its first batch: server and Connect client are both Rust."""
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder, "pipeline.sql")
        script.write_text(PIPELINE)
        commit = pathlib.Path(folder, "storage/_checkpoints/spark_catalog/default/copied/copied/0/commits/0")
        begin = time.monotonic()
        command = [binary, "run", str(script), "--storage", f"file://{folder}/storage"]
        process = subprocess.Popen(command, cwd=folder, env=measure.environment({}), stdout=subprocess.DEVNULL)
        while not commit.exists():
            if process.poll():
                sys.exit(f"{' '.join(command)} ended with {process.returncode}")
            time.sleep(0.0005)
        seconds = time.monotonic() - begin
        process.wait(60)
        return seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--millstream", type=pathlib.Path, required=True)
    options.add_argument("--python", default=sys.executable, help="with pyspark-client, for ours")
    options.add_argument("--spark-python", default="", help="with pyspark and its jars; empty measures ours alone")
    options.add_argument("--runs", type=int, default=7)
    given = options.parse_args()
    binary = str(given.millstream.resolve())
    starts = [server(binary) for _ in range(given.runs)]
    ready, memory = (statistics.median(values) for values in zip(*starts))
    print(f"server: ready after {ready:.0f} ms (best {min(s[0] for s in starts):.0f}), idle {memory:.0f} MB")
    job = str(HERE / "latency_job.py")
    ours = [first_row([binary, "run", job], {"PYSPARK_PYTHON": given.python}) for _ in range(given.runs)]
    print(f"first committed row of a script: {statistics.median(ours):.2f} s (best {min(ours):.2f})")
    alone = [first_row_of_sql(binary) for _ in range(given.runs)]
    print(f"first committed row of a SQL file, no Python: {statistics.median(alone):.3f} s (best {min(alone):.3f})")
    if given.spark_python:
        spark = {"PYSPARK_PYTHON": given.spark_python, "SPARK_LOCAL_IP": "127.0.0.1"}
        theirs = [first_row([given.spark_python, job, "--master", "local[2]"], spark) for _ in range(3)]
        print(f"the same on Spark: {statistics.median(theirs):.2f} s")


if __name__ == "__main__":
    main()
