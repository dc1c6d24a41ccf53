"""Runs the script this project comes from, unmodified, and checks what it wrote (`make origin ORIGIN=.../streaming.py`).

The script is `streaming.py` of chsueh2/PySpark_Streaming; its CSV is not public, so one of the same shape is generated.
Tasks 1 to 3 must run to their end with every row in the single CSV; its bonus part then stops at PATH_NOT_FOUND, as on
Apache Spark, because it starts no query.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples"))
import generate_accelerometer  # noqa: E402

PEOPLE = ("SA0297", "PC6771")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("script", type=pathlib.Path)
    options.add_argument("--millstream", type=pathlib.Path, required=True)
    options.add_argument("--rows", type=int, default=12_600, help="500 rows a person and ten seconds")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        script = shutil.copy(given.script, folder)
        frame = generate_accelerometer.accelerometer(given.rows)
        frame.to_csv(folder / "all_accelerometer_data_pids_13.csv", index=False, float_format="%.4f")
        sent = min(int((frame["pid"] == pid).sum()) // 500 for pid in PEOPLE) * 500 * len(PEOPLE)
        command = [str(given.millstream.resolve()), "run", "--conf", "spark.sql.ansi.enabled=false", script]
        environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, check=False)
        parts = list((folder / "task3" / "single_csv_file").glob("part-*.csv"))
        written = sum(len(part.read_text().splitlines()) for part in parts)
        wrong = [name for name in ("task1", "task2") if not list((folder / name).glob("part-*.json"))]
        print(f"\n{sent} rows sent, {written} rows in the single CSV; the script ended with {done.returncode}")
        if len(parts) != 1 or written != sent or wrong or done.returncode == 0 or "PATH_NOT_FOUND" not in done.stderr:
            sys.exit(f"not as it should be; missing: {wrong}\n{done.stderr[-3000:]}")
        print("as it should be: tasks 1 to 3 to their end, then PATH_NOT_FOUND as on Apache Spark")


if __name__ == "__main__":
    main()
