"""Measures bench/job.py on millstream and on Apache Spark, in turns (`make bench`).

First the results of both are compared, then the runs alternate; medians, ratios and the peak memory of each process
tree are printed. Measure on a machine that does nothing else.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "examples"))
import generate_accelerometer  # noqa: E402


def tree_memory(pid: int) -> int:
    """Resident kilobytes of a process and all below it."""
    total, todo = 0, [pid]
    while todo:
        current = todo.pop()
        try:
            status = pathlib.Path(f"/proc/{current}/status").read_text()
            total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)
            for task in pathlib.Path(f"/proc/{current}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
        except (OSError, StopIteration):
            continue
    return total


def measured(command: list[str], environment: dict) -> dict:
    """Runs a command to its end; its last line of JSON, and the peak memory of its process tree."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean | {"PYTHONWARNINGS": "ignore"} | environment
    )
    peak = 0

    def watch():
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, tree_memory(process.pid))
            time.sleep(0.05)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    output, errors = process.communicate()
    watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{output}\n{errors[-3000:]}")
    return json.loads(output.strip().splitlines()[-1]) | {"megabytes": peak / 1024}


def same(ours: pathlib.Path, theirs: pathlib.Path) -> bool:
    a, b = json.loads(ours.read_text()), json.loads(theirs.read_text())
    close = lambda x, y: x == y or (isinstance(x, float) and math.isclose(x, y, rel_tol=1e-9))  # noqa: E731
    return len(a) == len(b) > 0 and all(all(map(close, x, y)) for x, y in zip(a, b))


def generate(folder: pathlib.Path, rows: int, files: int) -> None:
    """All people in time together, in `files` files."""
    folder.mkdir()
    frame = generate_accelerometer.accelerometer(rows).sort_values("time", kind="stable")
    for i in range(files):
        piece = frame[i * rows // files : (i + 1) * rows // files]
        file = folder / f"{i:04d}.csv"
        piece.to_csv(file, index=False, header=False)
        os.utime(file, (1_700_000_000 + i, 1_700_000_000 + i))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--millstream", type=pathlib.Path, required=True)
    options.add_argument("--python", default=sys.executable, help="with pyspark-client, for ours")
    options.add_argument("--spark-python", required=True, help="with pyspark and its jars; empty measures ours alone")
    options.add_argument("--rows", type=int, default=2_000_000)
    options.add_argument("--files", type=int, default=20)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--queries", nargs="+", default=["tumbling", "sliding"])
    given = options.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch, "in")
        print(f"{given.rows:,} rows in {given.files} files; {given.runs} runs each, in turns", flush=True)
        generate(folder, given.rows, given.files)
        job = [str(HERE / "job.py"), "--input", str(folder)]
        engines = {"millstream": ([str(given.millstream.resolve()), "run", *job], {"PYSPARK_PYTHON": given.python})}
        if given.spark_python:
            spark = {"PYSPARK_PYTHON": given.spark_python, "SPARK_LOCAL_IP": "127.0.0.1"}
            engines["spark"] = ([given.spark_python, *job, "--master", "local[2]"], spark)
        for query in given.queries:
            runs: dict[str, list[dict]] = {name: [] for name in engines}
            for _ in range(given.runs):
                for name, (command, environment) in engines.items():
                    out = pathlib.Path(scratch, f"{name}.json")
                    runs[name].append(measured([*command, "--query", query, "--out", str(out)], environment))
            if len(engines) == 2 and not same(pathlib.Path(scratch, "millstream.json"), pathlib.Path(scratch, "spark.json")):
                sys.exit(f"{query}: the results differ")
            report(query, given.rows, runs)


def report(query: str, rows: int, runs: dict[str, list[dict]]) -> None:
    print(f"\n{query}: {runs['millstream'][0]['results']:,} result rows" + (", the same on both" if len(runs) == 2 else ""))
    print(f"{'':<12} {'seconds':>9} {'M rows/s':>9} {'start s':>9} {'peak MB':>9}")
    medians = {}
    for name, measurements in runs.items():
        for measurement in measurements:
            if measurement["rows"] != rows:
                sys.exit(f"{name} read {measurement['rows']} rows of {rows}")
        medians[name] = {k: statistics.median(m[k] for m in measurements) for k in ("seconds", "ready", "megabytes")}
        m = medians[name]
        print(f"{name:<12} {m['seconds']:>9.2f} {rows / m['seconds'] / 1e6:>9.2f} {m['ready']:>9.2f} {m['megabytes']:>9.0f}")
    if len(medians) == 2:
        ours, theirs = medians["millstream"], medians["spark"]
        ratio = {k: theirs[k] / ours[k] for k in ours}
        print(f"{'ratio':<12} {ratio['seconds']:>9.1f} {ratio['seconds']:>9.1f} {ratio['ready']:>9.1f} {ratio['megabytes']:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
