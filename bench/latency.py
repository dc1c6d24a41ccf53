"""How long a small file takes from its rename into the input folder to the sink (`make bench-latency`).

A file of 500 rows comes every 200 ms; the query runs with the default trigger. For w1 (CSV files) a row counts as seen
when the sink's log names its batch; for w2 (update, memory) when the batch is in the commit log, which comes a little
after the table has it. Which file was in which batch is read from the source's log and the offset log. Times include polling (1 ms).
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import data
import measure

HERE = pathlib.Path(__file__).resolve().parent
WARM_UP = 10


def seen(log: pathlib.Path, times: dict[int, float], stop: threading.Event) -> None:
    """Notes when each batch turns up in a log."""
    following = 0
    while not stop.is_set():
        # A compacted batch of the sink's log is called N.compact.
        if any((log / f"{following}{ending}").exists() for ending in ("", ".compact")):
            times[following] = time.monotonic()
            following += 1
        else:
            time.sleep(0.001)


def entries(log: pathlib.Path) -> dict[int, list[dict]]:
    """The JSON lines of each file of a log."""
    files = {int(file.name.removesuffix(".compact")): file for file in log.iterdir() if file.name[0].isdigit()}
    return {n: [json.loads(line) for line in file.read_text().splitlines()[1:] if line.startswith("{")] for n, file in files.items()}


def files_of(checkpoint: pathlib.Path) -> dict[int, int]:
    """The batch of each file, by number: a source counts its own batches, `logOffset` says how far a query's goes."""
    reached = {offsets[-1]["logOffset"]: batch for batch, offsets in sorted(entries(checkpoint / "offsets").items(), reverse=True)}
    sources = entries(checkpoint / "sources/0")
    files = {int(pathlib.Path(e["path"]).stem): e["batchId"] for found in sources.values() for e in found}
    return {file: reached[number] for file, number in files.items() if number in reached}


def measured(command: list[str], extra: dict, workload: str, files: int) -> list[float]:
    """Milliseconds of each file after the warm-up, sorted."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        source, out = scratch / "in", scratch / "out"
        source.mkdir()
        out.mkdir()
        frame = data.accelerometer(500 * files)
        texts = [frame[500 * i : 500 * (i + 1)].to_csv(index=False, header=False) for i in range(files)]
        arguments = ["--workload", workload, "--input", str(source), "--out", str(out)]
        process = subprocess.Popen([*command, *arguments], env=measure.environment(extra), stdout=subprocess.DEVNULL)
        checkpoint = out / "checkpoint"
        log = out / "rows/_spark_metadata" if workload == "w1" else checkpoint / "commits"
        visible: dict[int, float] = {}
        stop = threading.Event()
        watcher = threading.Thread(target=seen, args=(log, visible, stop), daemon=True)
        watcher.start()
        renamed = []
        try:
            while not (checkpoint / "metadata").exists():
                if process.poll() is not None:
                    sys.exit(f"{' '.join(command)} ended with {process.returncode}")
                time.sleep(0.05)
            time.sleep(1)
            for number, text in enumerate(texts):
                staged = scratch / "staged"
                staged.write_text(text)
                renamed.append(time.monotonic())
                os.rename(staged, source / f"{number:05d}.csv")
                time.sleep(max(0.0, 0.2 - (time.monotonic() - renamed[-1])))
            deadline = time.monotonic() + 60
            while len(files := files_of(checkpoint)) < len(texts) or max(files.values()) not in visible:
                if time.monotonic() > deadline:
                    sys.exit(f"{workload}: not all files were read")
                time.sleep(0.1)
        finally:
            stop.set()
            (out / "end").touch()
            process.wait(60)
        return sorted((visible[files[i]] - renamed[i]) * 1000 for i in range(WARM_UP, len(texts)))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--millstream", type=pathlib.Path, required=True)
    options.add_argument("--python", default=sys.executable, help="with pyspark-client, for ours")
    options.add_argument("--spark-python", default="", help="with pyspark and its jars; empty measures ours alone")
    options.add_argument("--files", type=int, default=150)
    given = options.parse_args()
    job = str(HERE / "latency_job.py")
    engines = {"millstream": ([str(given.millstream.resolve()), "run", job], {"PYSPARK_PYTHON": given.python})}
    if given.spark_python:
        spark = {"PYSPARK_PYTHON": given.spark_python, "SPARK_LOCAL_IP": "127.0.0.1"}
        engines["spark"] = ([given.spark_python, job, "--master", "local[2]"], spark)
    print(f"{given.files} files of 500 rows, one every 200 ms; milliseconds from rename to sink")
    print(f"{'':<4} {'':<12} {'p50':>8} {'p90':>8} {'p99':>8} {'worst':>8}", flush=True)
    for workload in ("w1", "w2"):
        for name, (command, extra) in engines.items():
            times = measured(command, extra, workload, given.files)
            at = lambda share: times[min(int(share * len(times)), len(times) - 1)]  # noqa: E731
            print(f"{workload:<4} {name:<12} {at(0.5):>8.1f} {at(0.9):>8.1f} {at(0.99):>8.1f} {times[-1]:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
