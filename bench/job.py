"""The measured job: a CSV folder, event time, one windowed aggregate. Runs on whatever session PySpark finds.

    python bench/job.py --input DIR --query tumbling --out RESULT.json

Prints one line of JSON: rows, seconds from start() to the end of the query, seconds in all. The clock starts after the
session stands, so neither engine pays for its start-up here; it is reported apart.
"""

import time

BEGIN = time.monotonic()

import argparse  # noqa: E402
import json  # noqa: E402
import tempfile  # noqa: E402

from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql import functions as F  # noqa: E402

WINDOWS = {"tumbling": ("1 minute",), "sliding": ("60 seconds", "1 second")}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--input", required=True)
    options.add_argument("--query", choices=WINDOWS, required=True)
    options.add_argument("--out", required=True)
    options.add_argument("--files-per-batch", default="2")
    options.add_argument("--master")
    given = options.parse_args()

    builder = SparkSession.builder
    if given.master:
        builder = builder.master(given.master).config("spark.ui.enabled", "false").config("spark.log.level", "ERROR")
    spark = builder.getOrCreate()
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.range(1).collect()
    ready = time.monotonic() - BEGIN

    rows = (
        spark.readStream.schema("time LONG, pid STRING, x DOUBLE, y DOUBLE, z DOUBLE")
        .option("maxFilesPerTrigger", given.files_per_batch)
        .csv(given.input)
        .select(F.timestamp_millis("time").alias("ts"), "pid", F.expr("sqrt(x * x + y * y + z * z)").alias("mag"))
    )
    counts = (
        rows.withWatermark("ts", "10 seconds")
        .groupBy(F.window("ts", *WINDOWS[given.query]), "pid")
        .agg(F.count("*").alias("n"), F.avg("mag").alias("average"), F.max("mag").alias("peak"))
        .selectExpr("unix_timestamp(window.start) start", "pid", "n", "average", "peak")
    )
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.monotonic()
        query = (
            counts.writeStream.outputMode("append")
            .format("parquet")
            .option("path", f"{scratch}/out")
            .option("checkpointLocation", f"{scratch}/checkpoint")
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
        seconds = time.monotonic() - begin
        if error := query.exception():
            raise SystemExit(str(error))
        read = sum(sum(s["numInputRows"] for s in p["sources"]) for p in query.recentProgress)
        result = spark.read.parquet(f"{scratch}/out").orderBy("start", "pid").toPandas()
    result.to_json(given.out, orient="values", double_precision=15)
    print(json.dumps({"rows": int(read), "seconds": seconds, "ready": ready, "results": len(result)}), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
