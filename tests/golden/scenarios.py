"""Streaming scenarios, and one way to run them on any Spark session.

A scenario feeds a folder file by file and runs everything there is after each one, so every batch is
deterministic. What is observed: the rows each step adds, and for each batch its progress and its log entries.
"""

import dataclasses
import datetime
import decimal
import json
import os
import pathlib
import typing

from pyspark.sql import functions as F

SCHEMA = "s double, k string, v int, d double"

# Rows of every windowed scenario: seconds, key, value, double. The watermark delay is 10 seconds.
STEPS = [
    ["1,a,1,0.5", "9,a,2,1.5", "10,b,3,2.5", "-3,b,4,3.5"],
    ["12,a,5,4.5", "19.999999,b,6,5.5", ",a,7,6.5"],  # one has no time
    ["25,a,8,7.5", "5,a,9,8.5"],  # the second is older than the new watermark, not than the old
    ["4,b,10,9.5", "14.9,a,11,10.5", "16,c,12,11.5"],  # late for some windows
    ["3,a,13,12.5"],  # late for all
    ["100,a,14,13.5", "99,c,,14.5"],  # a jump
    ["101,b,15,"],
]

KEYED = [
    ["1,a,1,0.5", "2,b,2,1.5", "3,,3,2.5"],
    ["4,a,,3.5", "5,c,5,-0.0", "6,a,-7,NaN"],
    ["7,b,2,Infinity", "8,c,,"],
]


@dataclasses.dataclass
class Scenario:
    """What is asked and what is fed. `frame` gets the raw stream (columns of SCHEMA)."""

    frame: typing.Callable
    mode: str
    steps: list[list[str]] = dataclasses.field(default_factory=lambda: STEPS)
    sink: str = "memory"  # or json: survives restarts in append mode
    restarts: tuple[int, ...] = ()  # steps before which the query is stopped and started again
    trigger: dict = dataclasses.field(default_factory=dict)  # a trigger that ends by itself is started at each step
    together: bool = False  # all files lie there before the start
    options: dict = dataclasses.field(default_factory=dict)  # of the source
    conf: dict = dataclasses.field(default_factory=dict)


def timed(frame):
    return frame.withColumn("ts", F.expr("timestamp_micros(cast(s * 1000000 as bigint))"))


def watermarked(frame, delay="10 seconds"):
    return timed(frame).withWatermark("ts", delay)


def windowed(*window, keys=("k",), delay="10 seconds"):
    def frame(raw):
        rows = watermarked(raw, delay) if delay else timed(raw)
        return rows.groupBy(F.window("ts", *window), *keys).agg(F.count("*").alias("n"), F.sum("v").alias("v"), F.sum("d").alias("d"))

    return frame


def in_sql(text, watermark=True):
    """A query over a temporary view of the stream."""

    def frame(raw):
        (watermarked(raw) if watermark else timed(raw)).createOrReplaceTempView("streaming_rows")
        return raw.sparkSession.sql(text.replace("{rows}", "streaming_rows"))

    return frame


def every_aggregate(raw):
    return raw.groupBy("k").agg(
        F.count("*"), F.count("v"), F.sum("v"), F.avg("v"), F.min("v"), F.max("v"), F.sum("d"), F.avg("d"), F.min("d"), F.max("d"),
        F.stddev("v"), F.stddev_pop("v"), F.variance("v"), F.var_pop("v"), F.first("v"), F.last("v"),
        F.first("v", ignorenulls=True).alias("first_some"), F.last("v", ignorenulls=True).alias("last_some"),
        F.collect_list("v"), F.sort_array(F.collect_set("v")), F.approx_count_distinct("v"),
        F.sum(F.expr("cast(v as decimal(10,2))")).alias("sum_decimal"), F.avg(F.expr("cast(v as decimal(10,2))")).alias("avg_decimal"),
        F.bool_or(F.expr("v > 2")), F.bool_and(F.expr("v > 2")), F.min("k"), F.max_by("d", "v"), F.min_by("d", "v"),
    )  # fmt: skip


def ordered_in_windows(raw):
    rows = watermarked(raw).groupBy(F.window("ts", "20 seconds", "5 seconds"))
    return rows.agg(F.first("v"), F.last("v"), F.collect_list("v"), F.min("v"), F.max("d"), F.avg("d"), F.stddev("d"))


SCENARIOS: dict[str, Scenario] = {}
for _mode in ("append", "update", "complete"):
    SCENARIOS[f"tumbling_{_mode}"] = Scenario(windowed("10 seconds"), _mode)
    SCENARIOS[f"tumbling_no_key_{_mode}"] = Scenario(windowed("10 seconds", keys=()), _mode)
    SCENARIOS[f"sliding_{_mode}"] = Scenario(windowed("20 seconds", "5 seconds"), _mode)
    SCENARIOS[f"sliding_uneven_{_mode}"] = Scenario(windowed("10 seconds", "4 seconds", keys=()), _mode)
    SCENARIOS[f"start_offset_{_mode}"] = Scenario(windowed("10 seconds", "5 seconds", "2 seconds"), _mode)
    SCENARIOS[f"ordered_aggregates_{_mode}"] = Scenario(ordered_in_windows, _mode)
    SCENARIOS[f"no_delay_{_mode}"] = Scenario(windowed("10 seconds", delay="0 seconds"), _mode)
SCENARIOS |= {
    "no_watermark_update": Scenario(windowed("10 seconds", delay=None), "update"),
    "no_watermark_complete": Scenario(windowed("20 seconds", "5 seconds", delay=None), "complete"),
    "keys_update": Scenario(every_aggregate, "update", steps=KEYED),
    "keys_complete": Scenario(every_aggregate, "complete", steps=KEYED),
    "global_complete": Scenario(lambda raw: raw.groupBy().agg(F.count("*"), F.sum("v"), F.max("d")), "complete", steps=KEYED),
    "global_update": Scenario(lambda raw: raw.groupBy().agg(F.count("*"), F.sum("v"), F.max("d")), "update", steps=KEYED),
    "stateless_append": Scenario(lambda raw: raw.filter("v % 7 > 2").select("k", (F.col("v") * 2).alias("w")), "append"),
    "watermark_alone_append": Scenario(lambda raw: watermarked(raw).select("k", "v"), "append"),
    "filter_below_watermark_append": Scenario(
        lambda raw: watermarked(raw)
        .filter("concat(k, '.') != 'c.'")  # Spark pushes simpler ones into the reader and counts fewer input rows
        .groupBy(F.window("ts", "10 seconds"))
        .agg(F.sum("v").alias("v")),
        "append",
        steps=[*STEPS[:3], ["1000,c,1,1"], *STEPS[3:]],
    ),
    "event_time_key_append": Scenario(lambda raw: watermarked(raw).groupBy("ts").agg(F.sum("v").alias("v")), "append"),
    "distinct_append": Scenario(lambda raw: watermarked(raw).dropDuplicates(["k", "ts"]).select("k", "ts"), "append"),
    "distinct_no_watermark_append": Scenario(lambda raw: raw.dropDuplicates(["k"]).select("k"), "append"),
    "having_update": Scenario(lambda raw: windowed("10 seconds")(raw).filter("n > 1").select("window.end", "k", "n"), "update"),
    "no_data_batches_off_append": Scenario(
        windowed("10 seconds"), "append", conf={"spark.sql.streaming.noDataMicroBatches.enabled": "false"}
    ),
    "restart_tumbling_append": Scenario(windowed("10 seconds"), "append", sink="json", restarts=(1, 3, 5)),
    "restart_sliding_append": Scenario(windowed("20 seconds", "5 seconds"), "append", sink="json", restarts=(2, 3, 4, 6)),
    "restart_complete": Scenario(windowed("20 seconds", "5 seconds"), "complete", restarts=(1, 2, 4)),
    "restart_no_data_batches_off_append": Scenario(
        windowed("20 seconds", "5 seconds"), "append", sink="json", restarts=(3, 4),
        conf={"spark.sql.streaming.noDataMicroBatches.enabled": "false"},
    ),
    "available_now_append": Scenario(
        windowed("20 seconds", "5 seconds"), "append", sink="json", trigger={"availableNow": True}, together=True,
        options={"maxFilesPerTrigger": "1"},
    ),
    "available_now_each_step_append": Scenario(
        windowed("10 seconds"), "append", sink="json", trigger={"availableNow": True}, options={"maxFilesPerTrigger": "1"}
    ),
    "once_each_step_append": Scenario(
        windowed("10 seconds"), "append", sink="json", trigger={"once": True}, options={"maxFilesPerTrigger": "1"}
    ),
    "once_together_append": Scenario(
        windowed("10 seconds"), "append", sink="json", trigger={"once": True}, together=True, options={"maxFilesPerTrigger": "1"}
    ),
    "two_files_a_batch_append": Scenario(
        windowed("10 seconds"), "append", sink="json", trigger={"availableNow": True}, together=True,
        options={"maxFilesPerTrigger": "2"},
    ),
}  # fmt: skip

# Sessions: seconds, key, value (the gap where a scenario has one for each row), double.
SESSIONS = [
    ["1,a,5,0.5", "4,a,3,1.5", "10,b,20,2.5", "12,a,2,3.5", ",a,1,4.5"],  # one has no time
    ["9,a,4,5.5", "20,b,1,6.5", "21,b,3,7.5", "40,c,5,8.5"],  # joins two sessions of a; b grows twice
    ["26,a,5,9.5", "14,b,0,10.5", "30,b,-1,11.5", "60,a,,12.5", "33,a,5,13.5"],  # some gaps are no gaps
    ["2,a,5,14.5", "29,a,30,15.5", "31,b,9,16.5", "46,c,5,-0.0", "41,c,2,NaN"],  # some late, some reach over
    ["70,,5,17.5", "70,,1,18.5", "71,,5,19.5", "58,c,1,20.5"],  # no key; equal times
    ["200,a,5,21.5"],
    ["199,b,3,22.5", "190,c,1,23.5", "150,a,1,24.5"],
]


def sessions(gap="5 seconds", keys=("k",), delay="10 seconds", aggregates=None):
    def frame(raw):
        rows = watermarked(raw, delay) if delay else timed(raw)
        each = gap() if callable(gap) else gap
        calls = aggregates() if aggregates else [F.count("*").alias("n"), F.sum("v").alias("v"), F.sum("d").alias("d")]
        return rows.groupBy(F.session_window("ts", each), *keys).agg(*calls)

    return frame


def gap_by_key():
    return F.when(F.col("k") == "a", "5 seconds").when(F.col("k") == "b", "20 seconds").otherwise("1 second")


def gap_by_row():
    return F.expr("make_interval(0, 0, 0, 0, 0, 0, v)")


def counted():
    return [F.count("*").alias("n"), F.sum("d").alias("d")]


def in_order():
    return [
        F.first("v"), F.last("v"), F.collect_list("v"), F.collect_list("d"), F.sort_array(F.collect_set("v")), F.min("v"), F.max("d"),
        F.avg("d"), F.stddev("v"), F.approx_count_distinct("v"), F.max_by("v", "k"), F.min_by("d", "k"),
        F.first("v", ignorenulls=True).alias("first_some"), F.last("v", ignorenulls=True).alias("last_some"),
        F.sum(F.expr("cast(v as decimal(10,2))")).alias("sum_decimal"), F.bool_or(F.expr("v > 2")),
    ]  # fmt: skip


_LOCAL_MERGE = {"spark.sql.streaming.sessionWindow.merge.sessions.in.local.partition": "true"}
for _mode in ("append", "complete"):
    SCENARIOS |= {
        f"session_{_mode}": Scenario(sessions(), _mode, steps=SESSIONS),
        f"session_gap_by_key_{_mode}": Scenario(sessions(gap_by_key), _mode, steps=SESSIONS),
        f"session_gap_by_row_{_mode}": Scenario(sessions(gap_by_row), _mode, steps=SESSIONS),
        f"session_two_keys_{_mode}": Scenario(sessions("10 seconds", keys=("k", "v"), aggregates=counted), _mode, steps=SESSIONS),
        f"session_ordered_{_mode}": Scenario(sessions("10 seconds", aggregates=in_order), _mode, steps=SESSIONS),
        f"session_local_merge_{_mode}": Scenario(sessions(), _mode, steps=SESSIONS, conf=_LOCAL_MERGE),
        f"session_no_delay_{_mode}": Scenario(sessions(delay="0 seconds"), _mode, steps=SESSIONS),
    }
SCENARIOS |= {
    "session_no_watermark_complete": Scenario(sessions(delay=None), "complete", steps=SESSIONS),
    "session_filter_append": Scenario(
        lambda raw: sessions()(raw).filter("n > 1").selectExpr("session_window.start s", "session_window.end", "k", "n"),
        "append",
        steps=SESSIONS,
    ),
    "session_no_data_batches_off_append": Scenario(
        sessions(), "append", steps=SESSIONS, conf={"spark.sql.streaming.noDataMicroBatches.enabled": "false"}
    ),
    "session_restart_append": Scenario(sessions(gap_by_key), "append", steps=SESSIONS, sink="json", restarts=(1, 2, 4, 6)),
    "session_restart_complete": Scenario(sessions(), "complete", steps=SESSIONS, restarts=(1, 3, 5)),
    "session_sql_append": Scenario(
        in_sql("SELECT session_window.start, session_window.end, k, count(*) n, sum(v) v FROM {rows} GROUP BY session_window(ts, '5 seconds'), k"),
        "append",
        steps=SESSIONS,
    ),
    "window_sql_append": Scenario(
        in_sql("SELECT window, k, count(*) n, sum(v) v FROM {rows} WHERE v < 12 GROUP BY window(ts, '20 seconds', '5 seconds'), k"), "append"
    ),
    "window_sql_update": Scenario(
        in_sql("SELECT window.end e, k, count(*) n FROM {rows} GROUP BY window(ts, '10 seconds'), k HAVING count(*) > 1"), "update"
    ),
    "window_weeks_update": Scenario(windowed("2 weeks", "1 week", "4 days"), "update", steps=STEPS[:3]),
    "window_days_update": Scenario(windowed("1 day", keys=()), "update", steps=STEPS[:3]),
    "watermark_clause_append": Scenario(
        in_sql(
            "SELECT window.start, k, sum(v) v FROM {rows} WATERMARK ts DELAY OF INTERVAL 10 SECONDS GROUP BY window(ts, '10 seconds'), k",
            watermark=False,
        ),
        "append",
    ),
    "watermark_clause_expression_append": Scenario(
        in_sql(
            "SELECT window.start, k, sum(v) v FROM {rows} WATERMARK timestamp_micros(cast(s * 1000000 as bigint)) AS t DELAY OF INTERVAL 5 SECONDS"
            " AS r GROUP BY window(t, '10 seconds'), k",
            watermark=False,
        ),
        "append",
    ),
    "stream_keyword_update": Scenario(in_sql("SELECT k, count(*) n FROM STREAM({rows}) GROUP BY k"), "update"),
}  # fmt: skip


def sql(query):
    """A query over the watermarked rows as the view `rows`."""

    def frame(raw):
        watermarked(raw).createOrReplaceTempView("rows")
        return raw.sparkSession.sql(query)

    return frame


def deduplicated_windows(raw):
    rows = watermarked(raw).dropDuplicates(["k", "ts"])
    return rows.groupBy(F.window("ts", "10 seconds")).agg(F.count("*").alias("n"), F.sum("v").alias("v"))


def chained(*window, of="window"):
    """A window over the windows of another."""

    def frame(raw):
        inner = windowed("10 seconds", "5 seconds")(raw)
        time = F.window_time("window") if of == "window_time" else "window"
        return inner.groupBy(F.window(time, *window)).agg(F.sum("n").alias("n"), F.sum("v").alias("v"), F.count("*").alias("groups"))

    return frame


def thrice(raw):
    outer = chained("20 seconds")(raw)
    return outer.groupBy(F.window(F.window_time("window"), "1 minute")).agg(F.sum("n").alias("n"), F.count("*").alias("windows"))


# The same keys again and again, some late, some without a key or a time.
REPEATED = [
    ["1,a,1,0.0", "2,a,1,-0.0", "1,a,2,NaN", "3,,3,", "3,,4,"],
    ["4,a,1,0.0", "11,b,1,-0.0", ",b,1,NaN", ",d,1,"],
    ["30,a,1,Infinity", "12,c,2,"],  # from here on what is before 20 is late
    ["21,a,1,0.0", "1,e,1,1.0", "25,b,5,1.0", ",d,1,"],
    ["31,a,7,0.0", "45,b,8,1.0", "30,f,9,2.0"],
    ["36,a,1,1.0", "100,a,1,1.0", "99,f,1,"],
    ["101,a,2,3.0", "95,a,1,", "89,g,1,"],
]
NO_DATA_BATCHES_OFF = {"spark.sql.streaming.noDataMicroBatches.enabled": "false"}
SCENARIOS |= {
    "dedup_event_time_append": Scenario(lambda raw: watermarked(raw).dropDuplicates(["k", "ts"]), "append", REPEATED),
    "dedup_key_append": Scenario(lambda raw: watermarked(raw).dropDuplicates(["k"]), "append", REPEATED),
    "dedup_key_pruned_append": Scenario(lambda raw: watermarked(raw).dropDuplicates(["k"]).select("k", "v"), "append", REPEATED),
    "dedup_all_append": Scenario(lambda raw: watermarked(raw).select("k", "v", "ts").dropDuplicates(), "append", REPEATED),
    "dedup_no_watermark_append": Scenario(lambda raw: raw.dropDuplicates(["k", "v"]), "append", REPEATED),
    "dedup_update": Scenario(lambda raw: watermarked(raw).dropDuplicates(["k", "ts"]), "update", REPEATED),
    "dedup_double_append": Scenario(lambda raw: raw.dropDuplicates(["d"]).select("d", "s"), "append", REPEATED),
    "dedup_double_pair_append": Scenario(lambda raw: raw.dropDuplicates(["d", "k"]).select("d", "s"), "append", REPEATED),
    "dedup_window_append": Scenario(
        lambda raw: watermarked(raw).select(F.window("ts", "10 seconds", "5 seconds").alias("w"), "k").dropDuplicates(["w", "k"]),
        "append", REPEATED,
    ),
    "dedup_no_data_batches_off_append": Scenario(
        lambda raw: watermarked(raw).dropDuplicates(["k", "ts"]), "append", REPEATED, conf=NO_DATA_BATCHES_OFF
    ),
    "dedup_count_complete": Scenario(lambda raw: raw.dropDuplicates(["k", "v"]).groupBy("k").count(), "complete", REPEATED),
    "dedup_within_append": Scenario(lambda raw: watermarked(raw).dropDuplicatesWithinWatermark(["k"]), "append", REPEATED),
    "dedup_within_update": Scenario(lambda raw: watermarked(raw).dropDuplicatesWithinWatermark(["k", "v"]), "update", REPEATED),
    "dedup_within_all_append": Scenario(
        lambda raw: watermarked(raw).select("ts", "k", "v").dropDuplicatesWithinWatermark(), "append", REPEATED
    ),
    "dedup_within_pruned_append": Scenario(
        lambda raw: watermarked(raw).dropDuplicatesWithinWatermark(["k"]).select("k", "v"), "append", REPEATED
    ),
    "distinct_sql_append": Scenario(sql("SELECT DISTINCT window(ts, '10 seconds') w, k FROM rows"), "append", REPEATED),
    "distinct_sql_update": Scenario(sql("SELECT DISTINCT k, v FROM rows"), "update", REPEATED),
    "distinct_sql_complete": Scenario(sql("SELECT DISTINCT k, v FROM rows"), "complete", REPEATED),
    "restart_dedup_append": Scenario(
        lambda raw: watermarked(raw).dropDuplicates(["k", "ts"]), "append", REPEATED, sink="json", restarts=(1, 3, 5)
    ),
    "restart_dedup_within_append": Scenario(
        lambda raw: watermarked(raw).dropDuplicatesWithinWatermark(["k"]), "append", REPEATED, sink="json", restarts=(1, 2, 4, 6)
    ),
    "key_below_watermark_update": Scenario(lambda raw: watermarked(raw).groupBy("k").count(), "update"),
    "limit_append": Scenario(lambda raw: raw.select("k", "v").limit(6), "append"),
    "limit_below_watermark_append": Scenario(lambda raw: watermarked(raw).limit(6), "append"),
    "limit_windows_append": Scenario(lambda raw: windowed("10 seconds")(raw).limit(5), "append"),
    "limit_twice_append": Scenario(lambda raw: raw.select("k", "v").limit(6).filter("v > 2").limit(3), "append"),
    "limit_dedup_append": Scenario(lambda raw: raw.select("k", "v").limit(9).dropDuplicates(["k"]), "append", REPEATED),
    "limit_complete": Scenario(lambda raw: raw.groupBy("k").count().orderBy("k").limit(2), "complete"),
    "limit_below_aggregate_complete": Scenario(lambda raw: raw.limit(6).groupBy("k").count(), "complete"),
    "restart_limit_append": Scenario(lambda raw: raw.select("k", "v").limit(8), "append", sink="json", restarts=(1, 2, 4)),
    "chain_window_window_append": Scenario(chained("20 seconds"), "append"),
    "chain_window_time_append": Scenario(chained("20 seconds", "10 seconds", of="window_time"), "append"),
    "chain_three_append": Scenario(thrice, "append", steps=[*STEPS, ["300,a,1,1"], ["310,a,1,1"]]),
    "chain_dedup_window_append": Scenario(deduplicated_windows, "append", REPEATED),
    "chain_dedup_within_window_append": Scenario(
        lambda raw: watermarked(raw).dropDuplicatesWithinWatermark(["k", "v"]).groupBy(F.window("ts", "10 seconds")).agg(F.sum("v").alias("v")),
        "append", REPEATED,
    ),
    "chain_window_dedup_append": Scenario(
        lambda raw: windowed("10 seconds", "5 seconds")(raw).dropDuplicates(["window", "n"]).select("window", "n"), "append"
    ),
    "chain_window_time_dedup_key_append": Scenario(
        lambda raw: windowed("10 seconds", "5 seconds")(raw).select(F.window_time("window").alias("at"), "k", "n").dropDuplicates(["k", "at"]),
        "append",
    ),
    "chain_window_session_append": Scenario(
        lambda raw: windowed("10 seconds")(raw)
        .groupBy(F.session_window(F.window_time("window"), "15 seconds"), "k")
        .agg(F.sum("n").alias("n"), F.count("*").alias("windows")),
        "append",
    ),
    "chain_session_window_append": Scenario(
        lambda raw: sessions()(raw).groupBy(F.window(F.window_time("session_window"), "30 seconds")).agg(F.sum("n").alias("n"), F.count("*").alias("sessions")),
        "append", SESSIONS,
    ),
    "chain_session_dedup_append": Scenario(lambda raw: sessions()(raw).dropDuplicates(["session_window", "n"]), "append", SESSIONS),
    "chain_dedup_session_append": Scenario(
        lambda raw: watermarked(raw).dropDuplicates(["k", "ts"]).groupBy(F.session_window("ts", "5 seconds"), "k").agg(F.count("*").alias("n")),
        "append", REPEATED,
    ),
    "chain_dedup_dedup_append": Scenario(
        lambda raw: watermarked(raw).dropDuplicates(["k", "ts"]).dropDuplicatesWithinWatermark(["k", "v"]), "append", REPEATED
    ),
    "chain_dedup_within_dedup_append": Scenario(
        lambda raw: watermarked(raw).dropDuplicatesWithinWatermark(["k", "v"]).dropDuplicates(["k", "ts"]), "append", REPEATED
    ),
    "chain_dedup_limit_append": Scenario(lambda raw: watermarked(raw).dropDuplicates(["k", "ts"]).limit(7), "append", REPEATED),
    "chain_dedup_count_update": Scenario(lambda raw: watermarked(raw).dropDuplicates(["k", "ts"]).groupBy("k").count(), "update", REPEATED),
    "chain_dedup_window_update": Scenario(deduplicated_windows, "update", REPEATED),
    "chain_dedup_window_complete": Scenario(deduplicated_windows, "complete", REPEATED),
    "chain_restart_window_session_append": Scenario(
        lambda raw: windowed("10 seconds")(raw).groupBy(F.session_window(F.window_time("window"), "15 seconds"), "k").agg(F.sum("n").alias("n")),
        "append", sink="json", restarts=(1, 2, 4, 5),
    ),
    "chain_no_data_batches_off_append": Scenario(chained("20 seconds"), "append", conf=NO_DATA_BATCHES_OFF),
    "restart_chain_append": Scenario(chained("20 seconds"), "append", sink="json", restarts=(1, 3, 4, 6)),
    "chain_unchecked_update": Scenario(
        chained("20 seconds"), "update", conf={"spark.sql.streaming.statefulOperator.checkCorrectness.enabled": "false"}
    ),
    "chain_available_now_append": Scenario(
        chained("20 seconds"), "append", sink="json", trigger={"availableNow": True}, together=True,
        options={"maxFilesPerTrigger": "1"},
    ),
}  # fmt: skip


def totals(how, *keys, watermark=False):
    """`rollup` or `cube`; a number is a window of so many seconds."""

    def frame(raw):
        rows = watermarked(raw) if watermark else timed(raw)
        columns = [F.window("ts", f"{key} seconds") if isinstance(key, int) else key for key in keys]
        return getattr(rows, how)(*columns).agg(F.count("*").alias("n"), F.sum("v").alias("v"), F.grouping_id().alias("g"))

    return frame


# Totals, and aggregates without keys.
for _mode in ("update", "complete"):
    SCENARIOS |= {
        f"rollup_{_mode}": Scenario(totals("rollup", "k", "v"), _mode, KEYED),
        f"cube_{_mode}": Scenario(totals("cube", "k", "v"), _mode, KEYED),
        f"cube_window_{_mode}": Scenario(totals("cube", 10, "k", watermark=True), _mode),
        f"rollup_sliding_{_mode}": Scenario(
            lambda raw: watermarked(raw).rollup(F.window("ts", "20 seconds", "5 seconds"), "k").agg(F.count("*").alias("n"), F.max("k").alias("most")), _mode
        ),
        f"grouping_sets_{_mode}": Scenario(
            in_sql(
                "SELECT k, v, count(*) n, sum(d) d, grouping(k) gk, grouping_id(k, v) g, k IS NULL AS none FROM {rows}"
                " GROUP BY GROUPING SETS ((k), (v), (k, v), (k), ())",
                watermark=False,
            ),
            _mode, KEYED,
        ),
        f"cube_of_expressions_{_mode}": Scenario(
            in_sql("SELECT v % 3 r, upper(k) u, sum(v % 3) s, count(k) n FROM {rows} GROUP BY CUBE (v % 3, upper(k)) HAVING count(*) > 1", watermark=False),
            _mode, KEYED,
        ),
        f"global_none_{_mode}": Scenario(
            lambda raw: raw.where("concat(k, '.') = 'zz.'").groupBy().agg(F.count("*").alias("n"), F.max("v").alias("v")), _mode, KEYED
        ),
        f"global_watermark_{_mode}": Scenario(lambda raw: watermarked(raw).agg(F.count("*").alias("n"), F.max("ts").alias("t")), _mode),
        f"global_having_{_mode}": Scenario(in_sql("SELECT count(*) n, collect_list(k) k FROM {rows} HAVING count(*) > 4", watermark=False), _mode, KEYED),
    }
SCENARIOS |= {
    "rollup_window_append": Scenario(totals("rollup", 10, "k", watermark=True), "append"),
    "cube_window_append": Scenario(totals("cube", 10, "k", watermark=True), "append"),
    "grouping_sets_window_append": Scenario(
        in_sql("SELECT window.end e, k, sum(v) v, grouping(k) g FROM {rows} GROUP BY GROUPING SETS ((window(ts, '10 seconds'), k), (window(ts, '10 seconds')))"),
        "append",
    ),
    "restart_rollup_append": Scenario(totals("rollup", 10, "k", watermark=True), "append", sink="json", restarts=(1, 2, 4)),
    "rollup_event_time_append": Scenario(totals("rollup", "ts", "k", watermark=True), "append"),
    "rollup_window_window_append": Scenario(
        lambda raw: totals("rollup", 10, "k", watermark=True)(raw).groupBy(F.window("window", "20 seconds")).agg(F.sum("n").alias("n"), F.count("*").alias("groups")),
        "append",
    ),
    "dedup_rollup_complete": Scenario(lambda raw: totals("rollup", "k", "v")(raw.dropDuplicates(["k", "v"])), "complete", REPEATED),
    "sort_complete": Scenario(lambda raw: raw.groupBy("k").agg(F.sum("v").alias("v")).orderBy(F.desc("v"), "k").limit(3).select("v", "k"), "complete"),
    "sort_windows_complete": Scenario(lambda raw: windowed("10 seconds")(raw).orderBy(F.desc("n"), F.desc("window"), "k").limit(4), "complete"),
    "union_itself_update": Scenario(lambda raw: raw.union(raw).groupBy("k").count(), "update", KEYED),
    "union_parts_append": Scenario(lambda raw: raw.where("v % 2 = 0").union(raw.where("v > 3")).select("k", "v"), "append"),
}  # fmt: skip


def run(spark, name: str, folder: pathlib.Path) -> list[dict]:
    """Runs a scenario below `folder` and returns what was observed, step by step, as JSON values."""
    scenario = SCENARIOS[name]
    source, checkpoint, out = (folder / part for part in ("in", "checkpoint", "out"))
    source.mkdir(parents=True)
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    for key, value in scenario.conf.items():
        spark.conf.set(key, value)

    table = f"golden_{name}"
    raw = spark.readStream.schema(SCHEMA).options(**scenario.options).csv(str(source))
    frame = scenario.frame(raw)
    schema = frame.schema

    def start():
        writer = frame.writeStream.outputMode(scenario.mode).option("checkpointLocation", str(checkpoint))
        if scenario.trigger:
            writer = writer.trigger(**scenario.trigger)
        if scenario.sink == "memory":
            return writer.format("memory").queryName(table).start()
        return writer.format("json").start(str(out))

    def result():
        if scenario.sink == "memory":
            return [plain(row) for row in spark.table(table).collect()]
        if not any(out.glob("part-*")):
            return []
        return [plain(row) for row in spark.read.schema(schema).json(str(out)).collect()]

    observed, query, before, seen = [], None, [], -1
    try:
        steps = [sum(scenario.steps, [])] if scenario.together else scenario.steps
        for number, step in enumerate(steps):
            if query and (number in scenario.restarts or scenario.trigger):
                query.stop()
                query = None
            if scenario.together:
                for i, lines in enumerate(scenario.steps):
                    _put(source, i, lines)
            else:
                _put(source, number, step)
            query = query or start()
            if scenario.trigger:
                assert query.awaitTermination(120)
            else:
                query.processAllAvailable()
            after = result()
            batches = [json.loads(p.json) for p in query.recentProgress]
            batches = [b for b in batches if "addBatch" in b["durationMs"] and b["batchId"] > seen]
            seen = max([seen, *(b["batchId"] for b in batches)])
            added = after if scenario.mode == "complete" else _minus(after, before)
            observed.append({"rows": sorted(added, key=_order), "batches": [_batch(b, checkpoint) for b in batches]})
            before = after
    finally:
        if query:
            query.stop()
        for key in scenario.conf:
            spark.conf.unset(key)
    return observed


def _put(folder: pathlib.Path, number: int, lines: list[str]) -> None:
    aside = folder / f".{number}"
    aside.write_text("".join(line + "\n" for line in lines))
    # A second old: a file that may still be written would be waited for, in thousands of steps.
    stamp = aside.stat().st_mtime_ns - 1_000_000_000 + number * 5_000_000
    os.utime(aside, ns=(stamp, stamp))
    aside.rename(folder / f"{number}.csv")


def _batch(progress: dict, checkpoint: pathlib.Path) -> dict:
    """Of a batch, what does not depend on the machine."""
    number = progress["batchId"]
    counts = ("numRowsTotal", "numRowsUpdated", "numRowsRemoved", "numRowsDroppedByWatermark")
    offsets = (checkpoint / "offsets" / str(number)).read_text().splitlines()
    commit = (checkpoint / "commits" / str(number)).read_text().splitlines()
    return {
        "batchId": number,
        "eventTime": progress.get("eventTime") or {},
        "sources": [
            {"startOffset": _text(s["startOffset"]), "endOffset": _text(s["endOffset"]), "numInputRows": s["numInputRows"]}
            for s in progress["sources"]
        ],
        "state": [{key: s[key] for key in ("operatorName", *counts)} | _duplicates(s) for s in progress["stateOperators"]],
        "numOutputRows": progress["sink"].get("numOutputRows"),
        "batchWatermarkMs": json.loads(offsets[1])["batchWatermarkMs"],
        "offsets": offsets[2:],
        "nextBatchWatermarkMs": json.loads(commit[1])["nextBatchWatermarkMs"],
    }


def _text(offset):
    """An offset as text: Spark's Connect sends text, a session in the JVM the object itself."""
    return offset if offset is None or isinstance(offset, str) else json.dumps(offset, separators=(",", ":"))


def _duplicates(operator: dict) -> dict:
    """The figure that only deduplication has."""
    name = "numDroppedDuplicateRows"
    figures = operator.get("customMetrics") or {}
    return {name: figures[name]} if name in figures else {}


def plain(value):
    """A row as a JSON value."""
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return f"decimal {value}"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f"float {value}"
    return value


def _order(row) -> str:
    def rough(value):
        if isinstance(value, float):
            return f"{value:.6e}"
        if isinstance(value, list):
            return [rough(v) for v in value]
        return str(value)

    return str(rough(row))


def _minus(after: list, before: list) -> list:
    rest = list(after)
    for row in before:
        rest.remove(row)
    return rest
