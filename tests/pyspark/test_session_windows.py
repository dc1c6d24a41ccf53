"""Session windows in batches, and what Spark says to those it refuses; streams are in test_golden_streaming.py."""

import pytest
from pyspark.errors import AnalysisException, StreamingQueryException
from pyspark.sql import functions as F
from streaming import put, tuples

ROWS = """(VALUES ('a', TIMESTAMP'2021-03-14 00:00:00', 1), ('a', TIMESTAMP'2021-03-14 00:04:00', 2),
 ('a', TIMESTAMP'2021-03-14 00:09:00', 3), ('a', TIMESTAMP'2021-03-14 00:14:00.000001', 4),
 ('b', TIMESTAMP'2021-03-14 00:00:00', null), ('b', null, 5)) t(k, ts, v)"""


@pytest.fixture
def new_york(new_session):
    return new_session(**{"spark.sql.session.timeZone": "America/New_York"})


def sessions(spark, gap, keys="", what="count(*)"):
    """Sessions of ROWS as (start, end, result), the edges as text in the session's zone."""
    text = f"""SELECT date_format(w.start, 'dd HH:mm:ss.SSSSSS'), date_format(w.end, 'dd HH:mm:ss.SSSSSS'), n
     FROM (SELECT session_window(ts, {gap}) w, {what} n FROM {ROWS} GROUP BY session_window(ts, {gap}){keys})"""
    return sorted(tuple(row) for row in spark.sql(text).collect())


def test_sessions_that_touch_are_one(new_york):
    first, second = "14 00:00:00.000000", "14 00:14:00.000001"
    expected = [(first, "14 00:14:00.000000", 4), (second, "14 00:19:00.000001", 1)]
    assert sessions(new_york, "'5 minutes'") == expected
    by_key = sessions(new_york, "'5 minutes'", ", k", "collect_list(v)")
    assert by_key == [(first, "14 00:05:00.000000", []), (first, "14 00:14:00.000000", [1, 2, 3]), (second, "14 00:19:00.000001", [4])]
    assert [n for *_, n in sessions(new_york, "'5 minutes'", "", "count(distinct v)")] == [3, 1]


def test_a_gap_of_days_counts_days_of_the_session_zone(new_york):
    # The clock goes forward in between: 23 hours.
    assert sessions(new_york, "'1 day'") == [("14 00:00:00.000000", "15 00:14:00.000001", 5)]
    assert sessions(new_york, "'1 month'") == [("14 00:00:00.000000", "14 00:14:00.000001", 5)]


def test_gaps_by_row(new_york):
    rows = sessions(new_york, "make_interval(0,0,0,0,0,v)")
    assert [(start[3:8], end[3:8], n) for start, end, n in rows] == [
        ("00:00", "00:01", 1), ("00:04", "00:06", 1), ("00:09", "00:12", 1), ("00:14", "00:18", 1)]  # fmt: skip
    gap = F.when(F.col("k") == "a", "5 minutes").otherwise("1 second")
    frame = new_york.sql(f"SELECT * FROM {ROWS}").groupBy(F.session_window("ts", gap), "k").count()
    assert sorted(row["count"] for row in frame.collect()) == [1, 1, 3]
    assert frame.columns == ["session_window", "k", "count"]


@pytest.mark.parametrize("gap", ["'rubbish'", "'0 minutes'", "'-5 minutes'", "cast(null as string)"])
def test_rows_without_a_gap_vanish(new_york, gap):
    assert sessions(new_york, gap) == []


def test_a_session_column_merges_wherever_it_is_grouped(spark):
    frame = spark.sql(f"SELECT * FROM {ROWS}")
    for w in (frame.withColumn("w", F.session_window("ts", "5 minutes")), frame.select(F.session_window("ts", "5 minutes").alias("w"))):
        assert sorted(row["count"] for row in w.groupBy("w").count().collect()) == [1, 4]
    assert frame.select(F.session_window("ts", "5 minutes")).count() == 5  # not grouped: a row's own
    assert spark.sql(f"SELECT DISTINCT session_window(ts, '5 minutes') w FROM {ROWS}").count() == 2
    assert frame.select(F.session_window("ts", "5 minutes").alias("w"), "k").dropDuplicates(["w"]).count() == 2
    ntz = spark.sql(f"SELECT session_window(CAST(ts AS TIMESTAMP_NTZ), '5 minutes') w FROM {ROWS}")
    assert ntz.schema["w"].dataType.simpleString() == "struct<start:timestamp_ntz,end:timestamp_ntz>"
    assert not ntz.schema["w"].nullable
    times = spark.sql(f"""SELECT unix_micros(window_time(session_window)) t, n FROM
     (SELECT session_window, count(*) n FROM {ROWS} GROUP BY session_window(ts, '5 minutes'))""")  # fmt: skip
    assert sorted(row.n for row in times.collect()) == [1, 4]


@pytest.mark.parametrize(
    ("call", "condition"),
    [
        ("session_window(ts, INTERVAL 5 MINUTES)", "_LEGACY_ERROR_TEMP_1040"),
        ("session_window(ts, v)", "_LEGACY_ERROR_TEMP_1040"),
        ("session_window(v, '5 minutes')", "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE"),
        ("session_window(ts)", "WRONG_NUM_ARGS.WITHOUT_SUGGESTION"),
        ("session_window(ts, '5 minutes'), window(ts, '5 minutes')", "_LEGACY_ERROR_TEMP_1039"),
        ("window(ts, '5 minutes'), window(ts, '6 minutes')", "_LEGACY_ERROR_TEMP_1039"),
        ("window(ts, v)", "_LEGACY_ERROR_TEMP_1207"),
        ("window(ts, INTERVAL 1 DAY)", "_LEGACY_ERROR_TEMP_1207"),
        ("window(ts, 'rubbish')", "CANNOT_PARSE_INTERVAL"),
        ("window(ts, '1 month')", "_LEGACY_ERROR_TEMP_3231"),
        ("window(ts, '1 year')", "_LEGACY_ERROR_TEMP_3231"),
    ],
)
def test_refused_calls(spark, call, condition):
    with pytest.raises(Exception) as error:
        spark.sql(f"SELECT {call} FROM {ROWS}").collect()
    assert error.value.getCondition() == condition


def test_fixed_windows_do_not_follow_the_zone(new_york):
    def windows(time, *definition):
        text = f"SELECT window.start s, count(*) n FROM {ROWS} GROUP BY window({time}, {', '.join(definition)})"
        return sorted((str(row.s), row.n) for row in new_york.sql(f"SELECT date_format(s, 'dd HH:mm') s, n FROM ({text})").collect())

    # Weeks and days start at UTC midnights, which are 19:00 or 20:00 in New York.
    assert windows("ts", "'1 week'") == [("10 19:00", 5)]
    assert windows("ts", "'1 day'", "'12 hours'", "'1 hour'") == [("13 08:00", 5), ("13 20:00", 5)]
    assert windows("CAST(ts AS DATE)", "'1 day'") == [("13 19:00", 5)]
    assert windows("CAST(ts AS STRING)", "'1 day'") == [("13 19:00", 5)]
    assert windows("CAST(ts AS TIMESTAMP_NTZ)", "'1 day'") == [("14 00:00", 5)]
    assert [n for _, n in windows("ts", "1000000")] == [2, 1, 1, 1]


def stream(spark, folder):
    put(folder("in"), "0.csv", "2021-01-01 00:00:00,a,1")
    return spark.readStream.schema("ts timestamp, k string, v int").csv(folder("in"))


@pytest.mark.parametrize(
    ("mode", "operation"), [("update", "session window streaming aggregations"), ("append", "streaming aggregations without watermark")]
)
def test_modes_that_sessions_cannot_have(spark, folder, mode, operation):
    rows = stream(spark, folder)
    if mode == "update":
        rows = rows.withWatermark("ts", "10 seconds")
    frame = rows.groupBy(F.session_window("ts", "5 seconds"), "k").count()
    with pytest.raises(AnalysisException, match=operation):
        frame.writeStream.format("noop").outputMode(mode).start()


def test_sessions_of_a_stream_need_another_key(spark, folder):
    frame = stream(spark, folder).withWatermark("ts", "10 seconds").groupBy(F.session_window("ts", "5 seconds")).count()
    # Ours says so at the start, Spark in the first batch.
    with pytest.raises((AnalysisException, StreamingQueryException), match="Global aggregation with session window"):
        query = frame.writeStream.format("noop").outputMode("append").start()
        query.processAllAvailable()


def test_several_windows_over_one_stream(spark, folder):
    rows = stream(spark, folder).withWatermark("ts", "10 seconds")
    queries = []
    for name, window in (
        ("minutes", F.window("ts", "1 minute")),
        ("hours", F.window("ts", "1 hour", "30 minutes")),
        ("visits", F.session_window("ts", "90 seconds")),
    ):
        frame = rows.groupBy(window.alias("w"), "k").agg(F.sum("v").alias("n"))
        queries.append(frame.writeStream.format("memory").queryName(name).outputMode("append").start())
    put(folder("in"), "1.csv", "2021-01-01 00:01:00,a,2", "2021-01-01 00:03:00,a,4")
    put(folder("in"), "2.csv", "2021-01-01 05:00:00,z,0")
    for query in queries:
        query.processAllAvailable()
    result = {name: sorted(row.n for row in spark.table(name).collect()) for name in ("minutes", "hours", "visits")}
    assert result == {"minutes": [1, 2, 4], "hours": [7, 7], "visits": [3, 4]}
    assert tuples(spark.table("visits").select("k")) == [("a",), ("a",)]
