"""Streaming programs that Apache Spark refuses, or does not: what it says, case by case.

Recorded by `record_refusals.py` into `streaming/refusals.json`; replayed by `tests/pyspark/test_golden_refusals.py`.
"""

import pathlib

from pyspark.sql import functions as F

SCHEMA = "ts timestamp, ts2 timestamp, k string, v int"
UNCHECKED = {"spark.sql.streaming.statefulOperator.checkCorrectness.enabled": "false"}


def windows(rows, size="10 seconds"):
    return rows.groupBy(F.window("ts", size), "k").agg(F.count("*").alias("n"))


def chained(rows):
    return windows(rows).groupBy(F.window("window", "20 seconds")).agg(F.sum("n").alias("n"))


def query(text):
    def frame(rows):
        rows.createOrReplaceTempView("rows")
        return rows.sparkSession.sql(text)

    return frame


def watermarked(build):
    return lambda rows: build(rows.withWatermark("ts", "10 seconds"))


FRAMES = {
    "dedup": lambda rows: rows.dropDuplicates(["k"]),
    "dedup_event_time": watermarked(lambda rows: rows.dropDuplicates(["k", "ts"])),
    "dedup_within": watermarked(lambda rows: rows.dropDuplicatesWithinWatermark(["k"])),
    "dedup_within_no_watermark": lambda rows: rows.dropDuplicatesWithinWatermark(["k"]),
    "dedup_within_dropped_time": watermarked(lambda rows: rows.select("k").dropDuplicatesWithinWatermark(["k"])),
    "dedup_unknown": lambda rows: rows.dropDuplicates(["nope"]),
    "dedup_within_unknown": watermarked(lambda rows: rows.dropDuplicatesWithinWatermark(["nope"])),
    "distinct": lambda rows: rows.distinct(),
    "distinct_sql": query("SELECT DISTINCT k FROM rows"),
    "distinct_sql_event_time": watermarked(query("SELECT DISTINCT k, ts FROM rows")),
    "union_distinct_sql": query("SELECT k FROM rows UNION SELECT k FROM rows"),
    "limit": lambda rows: rows.limit(3),
    "limit_sql": query("SELECT * FROM rows LIMIT 3"),
    "offset": lambda rows: rows.offset(3),
    "limit_offset_sql": query("SELECT * FROM rows LIMIT 3 OFFSET 1"),
    "sort": lambda rows: rows.orderBy("k"),
    "sort_aggregate": lambda rows: rows.groupBy("k").count().orderBy("k"),
    "sort_windows": watermarked(lambda rows: windows(rows).orderBy("n")),
    "sort_below_aggregate": lambda rows: rows.orderBy("k").groupBy("k").count(),
    "sort_partitions": lambda rows: rows.sortWithinPartitions("k"),
    "aggregate": lambda rows: rows.groupBy("k").count(),
    "aggregate_global": lambda rows: rows.groupBy().count(),
    "windows_no_watermark": windows,
    "windows": watermarked(windows),
    "chain": watermarked(chained),
    "chain_no_watermark": chained,
    "chain_plain_key": watermarked(lambda rows: windows(rows).groupBy("k").agg(F.sum("n"))),
    "chain_plain_inner": watermarked(lambda rows: rows.groupBy("k").count().groupBy("count").count()),
    "chain_dedup_window": watermarked(lambda rows: windows(rows.dropDuplicates(["k", "ts"]))),
    "chain_dedup_key_window": watermarked(lambda rows: windows(rows.dropDuplicates(["k"]))),
    "chain_dedup_within_window": watermarked(lambda rows: windows(rows.dropDuplicatesWithinWatermark(["k"]))),
    "chain_window_dedup": watermarked(lambda rows: windows(rows).dropDuplicates(["window"])),
    "chain_window_dedup_key": watermarked(lambda rows: windows(rows).dropDuplicates(["k"])),
    "chain_window_dedup_within": watermarked(lambda rows: windows(rows).dropDuplicatesWithinWatermark(["k"])),
    "chain_window_limit": watermarked(lambda rows: windows(rows).limit(3)),
    "chain_aggregate_distinct": lambda rows: rows.groupBy("k").count().distinct(),
    "watermark_twice": watermarked(lambda rows: rows.withWatermark("ts", "5 seconds")),
    "watermark_twice_windows": watermarked(lambda rows: windows(rows.withWatermark("ts", "5 seconds"))),
    "watermark_two_columns": watermarked(lambda rows: rows.withWatermark("ts2", "5 seconds")),
    "watermark_two_columns_windows": watermarked(lambda rows: windows(rows.withWatermark("ts2", "5 seconds"))),
    "watermark_after_windows": watermarked(lambda rows: windows(rows).withWatermark("window", "5 seconds")),
    "watermark_after_aggregate": lambda rows: windows(rows).select(F.window_time("window").alias("at")).withWatermark("at", "5 seconds"),
    "two_event_times": watermarked(lambda rows: rows.withColumn("w", F.window("ts", "5 seconds")).groupBy("w", "ts").count()),
    "two_event_times_dedup": watermarked(lambda rows: rows.select("ts", F.col("ts").alias("other"), "k").dropDuplicates(["k"])),
    "distinct_aggregate": watermarked(lambda rows: rows.groupBy(F.window("ts", "5 seconds")).agg(F.countDistinct("k"))),
    "rollup": lambda rows: rows.rollup("k").count(),
    "grouping_sets_sql": query("SELECT k, v, count(*) FROM rows GROUP BY GROUPING SETS ((k), (v))"),
    "sample": lambda rows: rows.sample(0.5),
    "rank": lambda rows: rows.selectExpr("row_number() over (partition by k order by v) r"),
    "monotonic": lambda rows: rows.select(F.monotonically_increasing_id()),
}
CASES = {f"{name}_{mode}": (name, mode, {}) for name in FRAMES for mode in ("append", "update", "complete")}
CASES |= {f"{name}_{mode}_unchecked": (name, mode, UNCHECKED) for name in ("chain", "chain_dedup_window", "chain_window_dedup", "chain_plain_key") for mode in ("append", "update", "complete")}  # fmt: skip


def run(spark, name: str, folder: pathlib.Path) -> dict | None:
    """What starting a case raises; None where it runs on an empty folder, an error where it fails there."""
    frame, mode, conf = CASES[name]
    source = folder / "in"
    source.mkdir(parents=True, exist_ok=True)
    for key, value in conf.items():
        spark.conf.set(key, value)
    query = None
    try:
        rows = spark.readStream.schema(SCHEMA).csv(str(source))
        checkpoint = folder / f"checkpoint-{name}"
        query = FRAMES[frame](rows).writeStream.format("noop").outputMode(mode).option("checkpointLocation", str(checkpoint)).start()
    except Exception as error:  # noqa: BLE001
        text = str(error).split("\n\nJVM")[0].split(";\n")[0].split(" SQLSTATE:")[0].strip()
        condition = error.getCondition() if hasattr(error, "getCondition") else error.getErrorClass()
        return {"type": type(error).__name__, "class": condition, "message": text}
    finally:
        if query:
            query.stop()
        for key in conf:
            spark.conf.unset(key)
    return None


BATCH = {
    "dedup_within": lambda rows: rows.dropDuplicatesWithinWatermark(["k"]).collect(),
    "dedup_within_all": lambda rows: rows.dropDuplicatesWithinWatermark().collect(),
    "dedup_within_watermark": lambda rows: rows.withWatermark("ts", "1 second").dropDuplicatesWithinWatermark(["k"]).collect(),
    "dedup_within_schema": lambda rows: rows.dropDuplicatesWithinWatermark(["k"]).schema,
    "dedup_within_write": lambda rows: rows.dropDuplicatesWithinWatermark(["k"]).write.format("noop").mode("append").save(),
}


def run_batch(spark, name: str) -> dict | None:
    """What a batch program raises."""
    try:
        BATCH[name](spark.createDataFrame([], SCHEMA))
    except Exception as error:  # noqa: BLE001
        text = str(error).split("\n\nJVM")[0].split(";\n")[0].split(" SQLSTATE:")[0].strip()
        condition = error.getCondition() if hasattr(error, "getCondition") else error.getErrorClass()
        return {"type": type(error).__name__, "class": condition, "message": text}
    return None
