"""The measured queries, in plain PySpark: each takes a session, the inputs' folder and their format."""

import dataclasses
from typing import Any, Callable

from pyspark.sql import functions as F

ROWS = "time LONG, pid STRING, x DOUBLE, y DOUBLE, z DOUBLE"
MAGNITUDE = "sqrt(x * x + y * y + z * z)"


def read(spark, folder: str, form: str, schema: str):
    return spark.readStream.schema(schema).option("maxFilesPerTrigger", "1").format(form).load(folder)


def readings(spark, folder: str, form: str):
    rows = read(spark, f"{folder}/in", form, ROWS)
    rows = rows.select(F.timestamp_millis("time").alias("ts"), "pid", F.expr(MAGNITUDE).alias("mag"))
    return rows.withWatermark("ts", "10 seconds")


def magnitude(spark, folder, form):
    rows = read(spark, f"{folder}/in", form, ROWS)
    return rows.select(F.timestamp_millis("time").alias("ts"), "pid", "x", "y", "z", F.expr(MAGNITUDE).alias("mag"))


def windows(*window: str):
    def query(spark, folder, form):
        groups = readings(spark, folder, form).groupBy(F.window("ts", *window), "pid")
        return groups.agg(F.count("*").alias("n"), F.avg("mag").alias("average"), F.max("mag").alias("peak")).selectExpr(
            "unix_timestamp(window.start) start", "pid", "n", "average", "peak"
        )

    return query


def sessions(spark, folder, form):
    rows = read(spark, f"{folder}/in", form, "time LONG, id STRING, v DOUBLE")
    rows = rows.select(F.timestamp_millis("time").alias("ts"), F.expr("substr(id, 1, 3) k"), "v")
    groups = rows.withWatermark("ts", "10 seconds").groupBy(F.session_window("ts", "2 seconds"), "k")
    return groups.agg(F.count("*").alias("n"), F.sum("v").alias("s")).selectExpr(
        "unix_timestamp(session_window.start) start", "k", "n", "s"
    )


def running(spark, folder, form):
    rows = read(spark, f"{folder}/in", form, "k LONG, v DOUBLE")
    return rows.groupBy("k").agg(F.count("*").alias("n"), F.sum("v").alias("s"))


def deduplicated(spark, folder, form):
    rows = read(spark, f"{folder}/in", form, "time LONG, id STRING, v DOUBLE")
    rows = rows.select(F.timestamp_millis("time").alias("ts"), "id", "v").withWatermark("ts", "10 seconds")
    return rows.dropDuplicatesWithinWatermark(["id"])


def joined(spark, folder, form):
    def side(name: str):
        rows = read(spark, f"{folder}/{name}", form, "time LONG, ad LONG")
        rows = rows.select(F.timestamp_millis("time").alias(f"{name}_at"), F.col("ad").alias(f"{name}_ad"))
        return rows.withWatermark(f"{name}_at", "10 seconds")

    between = "shown_ad = clicks_ad and clicks_at between shown_at and shown_at + interval 10 seconds"
    return side("shown").join(side("clicks"), F.expr(between))


@dataclasses.dataclass(frozen=True)
class Workload:
    """`sums` are the columns whose totals are compared; `goal` is how many times Spark's rate we mean to reach.

    `alone` is not run on Spark: 3,600 windows a row take it an hour.
    """

    says: str
    query: Callable[..., Any]
    data: str
    rows: int
    sink: str
    sums: tuple[str, ...]
    mode: str = "append"
    goal: float | None = None
    alone: bool = False


WINDOW_SUMS = ("start", "n", "average", "peak")
WORKLOADS = {
    "w1": Workload("cast and magnitude, CSV to CSV", magnitude, "accelerometer", 10_000_000, "csv", ("x", "mag"), goal=12),
    "w2": Workload("1-minute windows a person", windows("1 minute"), "accelerometer", 10_000_000, "parquet", WINDOW_SUMS, goal=30),
    "w3": Workload("60 s windows, one a second", windows("60 seconds", "1 second"), "accelerometer", 2_000_000, "parquet", WINDOW_SUMS, goal=100),
    "w3o-1h": Workload("1 h windows, one an hour", windows("1 hour", "1 hour"), "accelerometer", 2_000_000, "noop", WINDOW_SUMS, alone=True),
    "w3o-1m": Workload("1 h windows, one a minute", windows("1 hour", "1 minute"), "accelerometer", 2_000_000, "noop", WINDOW_SUMS, alone=True),
    "w3o-1s": Workload("1 h windows, one a second", windows("1 hour", "1 second"), "accelerometer", 2_000_000, "noop", WINDOW_SUMS, alone=True),
    "w4": Workload("count and sum by 1 M keys, update", running, "keyed", 5_000_000, "noop", ("n", "s"), mode="update", goal=25),
    "w5": Workload("dropDuplicatesWithinWatermark", deduplicated, "identified", 5_000_000, "parquet", ("v",), goal=12),
    "w6": Workload("inner join of two streams", joined, "pairs", 2_000_000, "parquet", ("shown_ad",), goal=12),
    "w7": Workload("sessions of 4,096 keys", sessions, "identified", 2_000_000, "parquet", ("start", "n", "s")),
}
