"""Runs one workload on whatever session PySpark finds, to the end of its data.

    python bench/job.py --workload w2 --input DIR --format csv --out DIR

Prints one line of JSON: rows read, seconds from start() to the end of the query, seconds until the session stood, and
for a workload without files the totals of its output. The clock starts after the session stands, so neither engine
pays for its start-up here.
"""

import time

BEGIN = time.monotonic()

import argparse  # noqa: E402
import json  # noqa: E402
import pathlib  # noqa: E402
import sys  # noqa: E402

from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql import functions as F  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from workloads import WORKLOADS  # noqa: E402


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--workload", choices=WORKLOADS, required=True)
    options.add_argument("--input", required=True)
    options.add_argument("--format", required=True)
    options.add_argument("--out", required=True, help="an empty folder for output and checkpoint")
    options.add_argument("--master")
    given = options.parse_args()
    workload = WORKLOADS[given.workload]

    builder = SparkSession.builder
    if given.master:
        builder = builder.master(given.master).config("spark.ui.enabled", "false").config("spark.log.level", "ERROR")
        builder = builder.config("spark.driver.memory", "4g")
    spark = builder.getOrCreate()
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.range(1).collect()
    ready = time.monotonic() - BEGIN

    result = workload.query(spark, given.input, given.format)
    if workload.sink == "noop":
        totals = [F.sum(name).alias(name) for name in workload.sums]
        result = result.observe("totals", F.count(F.lit(1)).alias("rows"), *totals)
    writer = result.writeStream.outputMode(workload.mode).format(workload.sink)
    writer = writer.option("checkpointLocation", f"{given.out}/checkpoint").trigger(availableNow=True)
    if workload.sink != "noop":
        writer = writer.option("path", f"{given.out}/rows")
    begin = time.monotonic()
    query = writer.start()
    query.awaitTermination()
    seconds = time.monotonic() - begin
    if error := query.exception():
        raise SystemExit(str(error))
    progress = query.recentProgress
    read = sum(sum(s["numInputRows"] for s in p["sources"]) for p in progress)
    said = {"rows": int(read), "seconds": seconds, "ready": ready, "batches": len(progress)}
    if workload.sink == "noop":
        # A Connect client gets values beside their schema, a classic one a row of them.
        batches = [p["observedMetrics"]["totals"] for p in progress if p["observedMetrics"]]
        batches = [b["values"] if "values" in b else list(b) for b in batches]
        names = ("rows", *workload.sums)
        said["totals"] = {name: sum(b[i] or 0 for b in batches) for i, name in enumerate(names)}
    print(json.dumps(said), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
