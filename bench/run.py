"""Measures the workloads on millstream and on Apache Spark, in turns (`make bench`, `make bench W="w2 w4"`).

Every run's totals are compared with a reference computed by NumPy and pandas; medians, ratios and the peak memory of
each process tree are printed, and written as a table and a plot. Measure on a machine that does nothing else.
"""

import argparse
import json
import math
import pathlib
import shutil
import statistics
import sys
import tempfile

import pyarrow.csv
import pyarrow.dataset

import data
import measure
import report
from reference import REFERENCES
from workloads import WORKLOADS, Workload

HERE = pathlib.Path(__file__).resolve().parent


def written(out: pathlib.Path, workload: Workload) -> dict:
    """Totals of the files of a run; a file counts if the sink's log names it."""
    files = [json.loads(line)["path"] for log in (out / "rows/_spark_metadata").iterdir() if not log.name.startswith(".")
             for line in log.read_text().splitlines()[1:]]
    paths = sorted({file.removeprefix("file://") for file in files})
    if workload.sink == "csv":
        names = ["ts", "pid", "x", "y", "z", "mag"]
        form = pyarrow.dataset.CsvFileFormat(read_options=pyarrow.csv.ReadOptions(column_names=names))
    else:
        form = "parquet"
    paths = [path for path in paths if pathlib.Path(path).stat().st_size > 0]
    table = pyarrow.dataset.dataset(paths, format=form).to_table(columns=list(workload.sums)).to_pandas()
    return {"rows": len(table), **{name: float(table[name].sum()) for name in workload.sums}}


def check(engine: str, name: str, got: dict, expected: dict) -> None:
    for key, value in expected.items():
        if not math.isclose(got[key], value, rel_tol=1e-9):
            sys.exit(f"{name}: {engine} came to {key} = {got[key]}, the reference says {value}")


def measured(engine: str, command: list[str], extra: dict, name: str, folder: pathlib.Path, form: str, expected: dict) -> dict:
    workload = WORKLOADS[name]
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        arguments = ["--workload", name, "--input", str(folder), "--format", form, "--out", out]
        result = measure.run([*command, *arguments], extra)
        got = result["totals"] if workload.sink == "noop" else written(pathlib.Path(out), workload)
        check(engine, name, got, expected)
        size = sum(f.stat().st_size for f in pathlib.Path(out, "checkpoint").rglob("*") if f.is_file())
    return result | {"results": expected["rows"], "checkpoint_megabytes": size / 1e6}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--millstream", type=pathlib.Path, required=True)
    options.add_argument("--python", default=sys.executable, help="with pyspark-client, for ours")
    options.add_argument("--spark-python", default="", help="with pyspark and its jars; empty measures ours alone")
    options.add_argument("--format", choices=["csv", "parquet"], default="csv")
    options.add_argument("--scale", type=float, default=1.0, help="part of the rows to take (default all)")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--spark-runs", type=int, default=1, help="of Spark, in turns with the first of ours")
    options.add_argument("--out", type=pathlib.Path, help="a folder for results.json, table.md and plot.svg")
    options.add_argument("workloads", nargs="*", metavar="W", help="all if none is named")
    given = options.parse_args()

    job = str(HERE / "job.py")
    engines = {"millstream": ([str(given.millstream.resolve()), "run", job], {"PYSPARK_PYTHON": given.python}, given.runs)}
    if given.spark_python:
        spark = {"PYSPARK_PYTHON": given.spark_python, "SPARK_LOCAL_IP": "127.0.0.1"}
        engines["spark"] = ([given.spark_python, job, "--master", "local[2]"], spark, given.spark_runs)
    scratch = pathlib.Path(tempfile.mkdtemp())
    results = []
    try:
        for name in given.workloads or WORKLOADS:
            workload = WORKLOADS[name]
            rows = int(workload.rows * given.scale)
            folder = data.prepare(scratch, workload.data, rows, given.format)
            expected = REFERENCES[name](data.frames(workload.data, rows), workload.sums)
            own = {"millstream": engines["millstream"]} if workload.alone else engines
            runs: dict[str, list[dict]] = {engine: [] for engine in own}
            for turn in range(max(given.runs, given.spark_runs)):
                for engine, (command, extra, count) in own.items():
                    if turn < count:
                        runs[engine].append(measured(engine, command, extra, name, folder, given.format, expected))
            read = 2 * rows if workload.data == "pairs" else rows
            results.append(summary(name, read, runs))
            report.show(results[-1])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    report.overlap(results)
    if given.out:
        report.write(given.out, results, given.format)


def summary(name: str, rows: int, runs: dict[str, list[dict]]) -> dict:
    out = {"workload": name, "says": WORKLOADS[name].says, "goal": WORKLOADS[name].goal, "rows": rows, "engines": {}}
    for engine, measurements in runs.items():
        for measurement in measurements:
            if measurement["rows"] != rows:
                sys.exit(f"{name}: {engine} read {measurement['rows']} rows of {rows}")
        keys = [key for key, value in measurements[0].items() if isinstance(value, (int, float))]
        medians = {key: statistics.median(m[key] for m in measurements) for key in keys}
        spread = [min(m["seconds"] for m in measurements), max(m["seconds"] for m in measurements)]
        out["engines"][engine] = medians | {"rate": rows / medians["seconds"] / 1e6, "spread": spread}
    return out


if __name__ == "__main__":
    main()
