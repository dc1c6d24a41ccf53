"""A query that runs until its input folder holds the file `end`; started by latency.py.

    python bench/latency_job.py --workload w1 --input DIR --out DIR
"""

import argparse
import pathlib
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import workloads  # noqa: E402


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--workload", choices=["w1", "w2"], required=True)
    options.add_argument("--input", required=True)
    options.add_argument("--out", required=True)
    options.add_argument("--master")
    given = options.parse_args()
    builder = SparkSession.builder
    if given.master:
        builder = builder.master(given.master).config("spark.ui.enabled", "false").config("spark.log.level", "ERROR")
    spark = builder.getOrCreate()
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.conf.set("spark.sql.streaming.minBatchesToRetain", "100000")  # latency.py reads the logs

    rows = spark.readStream.schema(workloads.ROWS).csv(given.input)
    rows = rows.select(F.timestamp_millis("time").alias("ts"), "pid", F.expr(workloads.MAGNITUDE).alias("mag"))
    if given.workload == "w2":
        groups = rows.withWatermark("ts", "10 seconds").groupBy(F.window("ts", "1 minute"), "pid")
        rows = groups.agg(F.count("*").alias("n"), F.avg("mag").alias("average"), F.max("mag").alias("peak"))
        writer = rows.writeStream.outputMode("update").format("memory").queryName("latest")
    else:
        writer = rows.writeStream.format("csv").option("path", f"{given.out}/rows")
    query = writer.option("checkpointLocation", f"{given.out}/checkpoint").start()
    end = pathlib.Path(given.out, "end")
    while query.isActive and not end.exists():
        time.sleep(0.2)
    if error := query.exception():
        raise SystemExit(str(error))
    query.stop()
    spark.stop()


if __name__ == "__main__":
    main()
