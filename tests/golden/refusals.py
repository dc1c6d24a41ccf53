"""Streaming programs that Apache Spark refuses, or does not: what it says, case by case.

Recorded by `record_refusals.py` into `streaming/refusals.json`; replayed by `tests/pyspark/test_golden_refusals.py`.
"""

import inspect
import pathlib

from pyspark.sql import functions as F

SCHEMA = "ts timestamp, ts2 timestamp, k string, v int"
OTHER_SCHEMA = "rt timestamp, rk string, rv int"
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
RANGE = "k = rk and rt >= ts - interval 5 seconds and rt <= ts + interval 10 seconds"
HOW = ("inner", "left_outer", "right_outer", "full_outer", "left_semi", "left_anti", "cross")


def join(how, condition=RANGE, one="10 seconds", other="5 seconds", then=lambda frame: frame, on=None):
    """A join of two streams, with watermarks."""

    def frame(rows, others):
        left = rows.withWatermark("ts", one) if one else rows
        right = others.withWatermark("rt", other) if other else others
        if how == "cross":
            return then(left.crossJoin(right))
        return then(left.join(right, on or F.expr(condition), how))

    return frame


def table_join(how, stream_left=True, then=lambda frame: frame):
    def frame(rows):
        table = rows.sparkSession.createDataFrame([("a", 1)], "tk string, tv int")
        if how == "cross":
            return then(rows.crossJoin(table) if stream_left else table.crossJoin(rows))
        return then(rows.join(table, F.expr("k = tk"), how) if stream_left else table.join(rows, F.expr("k = tk"), how))

    return frame


def table(rows):
    return rows.sparkSession.createDataFrame([("a", 1)], "k string, v int")


def windowed(frame, time="ts"):
    return frame.groupBy(F.window(time, "10 seconds")).agg(F.count("*").alias("n"))


def sessions(rows):
    return rows.groupBy(F.session_window("ts", "5 seconds"), "k").agg(F.count("*").alias("n"))


def pair(rows):
    return rows.select("k", "v")


def other_pair(others):
    return others.selectExpr("rk k", "rv v")


# Case after case of Spark's UnsupportedOperationChecker.
for _how in HOW:
    FRAMES |= {
        f"join_{_how}": join(_how),
        f"join_{_how}_key_alone": join(_how, "k = rk"),
        f"join_{_how}_time_key": join(_how, "k = rk and ts = rt"),
        f"join_{_how}_no_watermark": join(_how, one=None, other=None),
        f"join_{_how}_window": join(_how, then=windowed) if _how not in ("right_outer",) else join(_how, then=lambda f: windowed(f, "rt")),
        f"join_{_how}_aggregate": join(_how, then=lambda f: f.groupBy("rk" if "rk" in f.columns else "k").count()),
        f"join_{_how}_dedup": join(_how, then=lambda f: f.select("k", "ts").dropDuplicates(["k", "ts"])),
        f"windows_join_{_how}": (lambda how: lambda rows, others: windows(rows.withWatermark("ts", "10 seconds")).alias("a").join(
            others.withWatermark("rt", "5 seconds").groupBy(F.window("rt", "10 seconds"), "rk").count().alias("b"),
            F.expr("k = rk and a.window = b.window"), how) if how != "cross" else windows(rows.withWatermark("ts", "10 seconds")).crossJoin(others))(_how),
        f"table_join_{_how}": table_join(_how),
        f"join_table_{_how}": table_join(_how, stream_left=False),
        f"table_join_{_how}_aggregate": table_join(_how, then=lambda f: f.groupBy("k").count()),
    }
FRAMES |= {
    "join_two_times_dedup": join("inner", then=lambda f: f.dropDuplicates(["k", "ts", "rt"])),
    "join_two_times_dedup_key": join("inner", then=lambda f: f.dropDuplicates(["k"])),
    "join_two_times_dedup_one_time": join("inner", then=lambda f: f.dropDuplicates(["k", "ts"])),
    "join_two_times_dedup_within": join("inner", then=lambda f: f.dropDuplicatesWithinWatermark(["k"])),
    "join_two_times_aggregate": join("inner", then=lambda f: f.groupBy("ts", "rt").count()),
    "join_dedup_within": join("left_outer", then=lambda f: f.select("k", "ts").dropDuplicatesWithinWatermark(["k"])),
    "join_distinct": join("inner", then=lambda f: f.select("k", "ts").distinct()),
    "join_distinct_sql_key": join("inner", then=lambda f: query("SELECT DISTINCT k FROM rows")(f)),
    "join_limit": join("inner", then=lambda f: f.limit(3)),
    "join_sort": join("inner", then=lambda f: f.orderBy("k")),
    "join_sort_aggregate": join("inner", then=lambda f: f.groupBy("k").count().orderBy("k")),
    "join_session": join("inner", then=sessions),
    "join_global": join("inner", then=lambda f: f.groupBy().count()),
    "join_join": join("inner", then=lambda f: f.join(f.selectExpr("ts jt", "k jk"), F.expr("k = jk and ts = jt"))),
    "join_watermark_above": join("inner", one=None, other=None, then=lambda f: f.withWatermark("ts", "5 seconds").groupBy(F.window("ts", "10 seconds")).count()),
    "join_no_equality": join("inner", "rt >= ts - interval 5 seconds and rt <= ts + interval 10 seconds"),
    "join_distinct_aggregate": join("inner", then=lambda f: f.groupBy(F.window("ts", "5 seconds")).agg(F.countDistinct("rk"))),
    "dedup_join": lambda rows, others: rows.withWatermark("ts", "10 seconds").dropDuplicates(["k", "ts"]).join(others.withWatermark("rt", "5 seconds"), F.expr(RANGE)),
    "dedup_key_join": lambda rows, others: rows.dropDuplicates(["k"]).join(others, F.expr("k = rk")),
    "dedup_within_join": lambda rows, others: rows.withWatermark("ts", "10 seconds").dropDuplicatesWithinWatermark(["k"]).join(others.withWatermark("rt", "5 seconds"), F.expr(RANGE)),
    "aggregate_join": lambda rows, others: rows.groupBy("k").count().join(others, F.expr("k = rk")),
    "aggregate_table_join": lambda rows: rows.groupBy("k").count().join(rows.sparkSession.range(3), F.expr("count = id")),
    "limit_join": lambda rows, others: rows.limit(3).join(others, F.expr("k = rk")),
    "sessions": watermarked(sessions),
    "sessions_no_watermark": sessions,
    "sessions_aggregate": watermarked(lambda rows: sessions(rows).groupBy("k").count()),
    "sessions_window": watermarked(lambda rows: windowed(sessions(rows).select(F.window_time("session_window").alias("ts")))),
    "sessions_of_session_key": watermarked(lambda rows: sessions(rows).groupBy("session_window").count()),
    "sessions_dedup": watermarked(lambda rows: sessions(rows).dropDuplicates(["session_window"])),
    "sessions_limit": watermarked(lambda rows: sessions(rows).limit(3)),
    "sessions_global": watermarked(lambda rows: rows.groupBy(F.session_window("ts", "5 seconds")).count()),
    "window_session": watermarked(lambda rows: windows(rows).groupBy(F.session_window(F.window_time("window"), "5 seconds")).count()),
    "union_with_table": lambda rows: pair(rows).union(table(rows)),
    "table_union_stream": lambda rows: table(rows).union(pair(rows)),
    "union": lambda rows, others: pair(rows).union(other_pair(others)),
    "union_with_itself": lambda rows: rows.union(rows),
    "union_aggregate": lambda rows, others: pair(rows).union(other_pair(others)).groupBy("k").count(),
    "union_of_aggregates": lambda rows, others: rows.groupBy("k").count().union(others.groupBy("rk").count()),
    "union_of_aggregate_and_rows": lambda rows, others: rows.groupBy("k").agg(F.count("*").cast("int").alias("v")).union(other_pair(others)),
    "union_of_windows": lambda rows, others: windows(rows.withWatermark("ts", "10 seconds")).union(windows(others.selectExpr("rt ts", "rk k").withWatermark("ts", "10 seconds"))),
    "union_of_window_and_aggregate": lambda rows, others: windows(rows.withWatermark("ts", "10 seconds")).select("k", "n").union(others.groupBy("rk").agg(F.count("*"))),
    "union_left_watermark_window": lambda rows, others: windows(rows.withWatermark("ts", "10 seconds").select("ts", "k").union(others.select("rt", "rk"))),
    "union_right_watermark_window": lambda rows, others: windows(rows.select("ts", "k").union(others.withWatermark("rt", "10 seconds").select("rt", "rk"))),
    "except_table": lambda rows: pair(rows).subtract(table(rows)),
    "except_all_table": lambda rows: pair(rows).exceptAll(table(rows)),
    "table_except": lambda rows: table(rows).subtract(pair(rows)),
    "table_except_all": lambda rows: table(rows).exceptAll(pair(rows)),
    "except": lambda rows, others: pair(rows).subtract(other_pair(others)),
    "intersect_table": lambda rows: pair(rows).intersect(table(rows)),
    "intersect_all_table": lambda rows: pair(rows).intersectAll(table(rows)),
    "table_intersect": lambda rows: table(rows).intersect(pair(rows)),
    "intersect": lambda rows, others: pair(rows).intersect(other_pair(others)),
    "count_distinct_sql": query("SELECT count(DISTINCT k) FROM rows"),
    "sum_distinct": lambda rows: rows.groupBy("k").agg(F.sum_distinct("v")),
    "count_distinct_filter_sql": query("SELECT k, count(DISTINCT v) FILTER (WHERE v > 1) FROM rows GROUP BY k"),
    "collect_set": lambda rows: rows.groupBy("k").agg(F.collect_set("v")),
    "approx_count_distinct": lambda rows: rows.groupBy("k").agg(F.approx_count_distinct("v")),
    "distinct_aggregate_table_join": table_join("inner", then=lambda f: f.groupBy("k").agg(F.countDistinct("tv"))),
    "rollup_windows": watermarked(lambda rows: rows.rollup(F.window("ts", "10 seconds"), "k").count()),
    "rollup_twice": watermarked(lambda rows: windows(rows).rollup("k", "n").count()),
    "rollup_distinct": lambda rows: rows.rollup("k").agg(F.countDistinct("v")),
    "cube_sessions": watermarked(lambda rows: rows.cube(F.session_window("ts", "5 seconds"), "k").count()),
    "cube_join": join("inner", then=lambda f: f.cube("k", "rk").count()),
    "pivot": lambda rows: rows.groupBy("k").pivot("v", [1, 2]).count(),
    "sample_replacement": lambda rows: rows.sample(True, 0.5),
    "sample_aggregate": lambda rows: rows.sample(0.5).groupBy("k").count(),
    "rank_aggregate": lambda rows: rows.groupBy("k").count().selectExpr("row_number() over (order by k) r"),
    "rank_two_sql": query("SELECT k, sum(v) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) s, max(v) OVER (PARTITION BY k) m FROM rows"),
    "monotonic_aggregate": lambda rows: rows.withColumn("id", F.monotonically_increasing_id()).groupBy("k").agg(F.max("id")),
    "monotonic_filter": lambda rows: rows.where(F.monotonically_increasing_id() > 3),
    "sort_limit": lambda rows: rows.groupBy("k").count().orderBy("k").limit(2),
    "limit_aggregate": lambda rows: rows.limit(3).groupBy("k").count(),
    "limit_zero": lambda rows: rows.limit(0),
    "offset_zero": lambda rows: rows.offset(0),
    "offset_aggregate": lambda rows: rows.groupBy("k").count().offset(1),
    "sort_in_table_join": lambda rows: rows.join(table(rows).orderBy("k").limit(1).withColumnsRenamed({"k": "tk", "v": "tv"}), F.expr("k = tk")),
    "table_aggregate_join": lambda rows: rows.join(table(rows).groupBy("k").count().withColumnRenamed("k", "tk"), F.expr("k = tk")),
    "table_distinct_aggregate_join": lambda rows: rows.join(table(rows).groupBy("k").agg(F.countDistinct("v")).withColumnRenamed("k", "tk"), F.expr("k = tk")),
    "dedup_aggregate": lambda rows: rows.dropDuplicates(["k", "v"]).groupBy("k").count(),
    "dedup_event_time_aggregate": watermarked(lambda rows: rows.dropDuplicates(["k", "ts"]).groupBy("k").count()),
    "dedup_dedup": watermarked(lambda rows: rows.dropDuplicates(["k", "ts"]).dropDuplicates(["k"])),
    "aggregate_dedup": lambda rows: rows.groupBy("k").count().dropDuplicates(["count"]),
    "aggregate_dedup_within": watermarked(lambda rows: rows.groupBy("k", "ts").count().dropDuplicatesWithinWatermark(["k"])),
    "global_aggregate": lambda rows: rows.groupBy("k").count().groupBy().count(),
    "watermark_over_union": lambda rows, others: rows.select("ts", "k").union(others.select("rt", "rk")).withWatermark("ts", "10 seconds").groupBy(F.window("ts", "5 seconds")).count(),
    "watermark_no_column": lambda rows: rows.withWatermark("nope", "10 seconds"),
    "watermark_not_a_time": lambda rows: rows.withWatermark("k", "10 seconds"),
    "watermark_bad_delay": lambda rows: rows.withWatermark("ts", "long"),
    "watermark_negative_delay": lambda rows: rows.withWatermark("ts", "-5 seconds"),
    "static": lambda rows: table(rows),
}  # fmt: skip
CASES = {f"{name}_{mode}": (name, mode, {}) for name in FRAMES for mode in ("append", "update", "complete")}
CASES |= {f"{name}_{mode}_unchecked": (name, mode, UNCHECKED) for name in ("chain", "chain_dedup_window", "chain_window_dedup", "chain_plain_key", "windows_join_inner", "windows_join_left_outer", "join_inner_aggregate", "sessions_aggregate", "aggregate_join", "pivot") for mode in ("append", "update", "complete")}  # fmt: skip


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
        build = FRAMES[frame]
        streams = [rows]
        needed = [p for p in inspect.signature(build).parameters.values() if p.default is p.empty]
        if len(needed) == 2:
            second = folder / "other"
            second.mkdir(exist_ok=True)
            streams.append(spark.readStream.schema(OTHER_SCHEMA).csv(str(second)))
        checkpoint = folder / f"checkpoint-{name}"
        query = build(*streams).writeStream.format("noop").outputMode(mode).option("checkpointLocation", str(checkpoint)).start()
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
