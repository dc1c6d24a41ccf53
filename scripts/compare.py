"""Runs examples/three_tasks.py on millstream and on Apache Spark and compares what both wrote (`make compare`).

Task 3 and the bonus must be the same rows. Tasks 1 and 2 depend on the wall clock: compared are the shape of every
line, the alignment of the windows, and that the last sums add up to 0 + 1 + ... + (n - 1), twice for windows that overlap.
"""

import argparse
import collections
import datetime
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "examples" / "three_tasks.py"
TASKS = ("task3", "task3-2nd")


def run(name: str, command: list[str], environment: dict) -> None:
    print(f"-- {name}: {' '.join(command)}", flush=True)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
    subprocess.run(command, check=True, env=clean | {"PYTHONWARNINGS": "ignore"} | environment)


def rows(folder: pathlib.Path) -> collections.Counter:
    """The rows of a single CSV, timestamps as instants and numbers as numbers."""
    counted = collections.Counter()
    for part in folder.glob("part-*.csv"):
        for line in part.read_text().splitlines():
            time, pid, magnitude = line.split(",")
            counted[datetime.datetime.fromisoformat(time).timestamp(), pid, float(magnitude)] += 1
    return counted


def windows(folder: pathlib.Path, slide: int, cover: int) -> str | None:
    """What is wrong with the JSON of task 1 or 2."""
    last = {}
    for part in folder.glob("part-*.json"):
        for line in part.read_text().splitlines():
            row = json.loads(line)
            if list(row) != ["window", "sum(value)"] or list(row["window"]) != ["start", "end"]:
                return f"a line of another shape: {line}"
            start, end = (datetime.datetime.fromisoformat(row["window"][k]).timestamp() for k in ("start", "end"))
            if end - start != 30 or start % slide:
                return f"a window that is not aligned: {line}"
            last[start] = max(last.get(start, 0), row["sum(value)"])
    total = sum(last.values())
    n = math.isqrt(2 * total // cover) + 1
    if total == 0 or not any(total == cover * m * (m - 1) // 2 for m in range(n - 2, n + 3)):
        return f"the last sums add up to {total}"
    return None


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--millstream", type=pathlib.Path, required=True)
    options.add_argument("--spark-python", type=pathlib.Path, required=True)
    options.add_argument("--rows", default="120000")
    given = options.parse_args()
    python = ROOT / ".venv" / "bin" / "python"
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = pathlib.Path(scratch, "millstream"), pathlib.Path(scratch, "spark")
        fast = ["--fast", "--rows", given.rows]
        run(
            "millstream, two queries into one folder",
            [str(given.millstream.resolve()), "run", str(SCRIPT), *fast, "--out", str(ours)],
            {"PYSPARK_PYTHON": str(python)},
        )
        # Apache Spark loses rows where two queries share a folder, so there each has its own.
        spark_python = given.spark_python if given.spark_python.is_absolute() else pathlib.Path.cwd() / given.spark_python
        run(
            "Apache Spark, a folder for each query",
            [str(spark_python), str(SCRIPT), *fast, "--own-folders", "--out", str(theirs)],
            {"PYSPARK_PYTHON": str(spark_python), "SPARK_LOCAL_IP": "127.0.0.1"},
        )
        wrong = []
        for task in TASKS:
            a, b = rows(ours / task / "single_csv_file"), rows(theirs / task / "single_csv_file")
            print(f"{task}: {a.total()} rows on millstream, {b.total()} on Apache Spark, {(a - b).total()} differ")
            if a != b or not a:
                wrong.append(f"{task}: only ours {list((a - b))[:3]}, only Spark's {list((b - a))[:3]}")
        for task, slide, cover in (("task1", 30, 1), ("task2", 15, 2)):
            for name, out in (("millstream", ours), ("Apache Spark", theirs)):
                problem = windows(out / task, slide, cover)
                print(f"{task} on {name}: {problem or 'as it should be'}")
                if problem:
                    wrong.append(f"{task} on {name}: {problem}")
    if wrong:
        sys.exit("they differ:\n  " + "\n  ".join(wrong))
    print("both wrote the same")


if __name__ == "__main__":
    main()
