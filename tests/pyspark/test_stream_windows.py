"""Event time: windows, watermarks, late rows, output modes."""

import pytest
from pyspark.sql import functions as F
from streaming import put, tuples


def clicks(spark, folder):
    """A stream of (ts in seconds, k, v) from the folder `in`, its event time watermarked by 10 seconds."""
    return (
        spark.readStream.schema("s double, k string, v int")
        .csv(folder("in"))
        .selectExpr("timestamp_micros(cast(s * 1000000 as bigint)) ts", "k", "v")
        .withWatermark("ts", "10 seconds")
    )


def start(frame, name, mode, **options):
    writer = frame.writeStream.format("memory").queryName(name).outputMode(mode)
    for key, value in options.items():
        writer = writer.option(key, value)
    return writer.start()


def windows(spark, name, *columns):
    return tuples(spark.table(name).selectExpr("unix_timestamp(window.start)", "unix_timestamp(window.end)", *columns))


def step(query, folder, name, *lines):
    put(folder("in"), name, *lines)
    query.processAllAvailable()


@pytest.fixture
def source(folder):
    put(folder("in"), "0.csv", "1,a,1", "9,a,2", "10,b,3")
    return folder


def test_tumbling_append_emits_once_when_closed(spark, folder, source):
    query = start(clicks(spark, folder).groupBy(F.window("ts", "10 seconds")).agg(F.sum("v").alias("n")), "t", "append")
    query.processAllAvailable()
    assert windows(spark, "t", "n") == []
    step(query, folder, "1.csv", "19.9,a,4")  # the watermark moves to 9.9
    assert windows(spark, "t", "n") == []
    step(query, folder, "2.csv", "20,a,5")  # to 10: [0, 10) is final
    assert windows(spark, "t", "n") == [(0, 10, 3)]
    step(query, folder, "3.csv", "5,a,100", "35,a,6")  # the first is late
    assert windows(spark, "t", "n") == [(0, 10, 3), (10, 20, 7)]
    dropped = sum(p["stateOperators"][0]["numRowsDroppedByWatermark"] for p in query.recentProgress)
    assert dropped == 1


def test_sliding_append(spark, folder, source):
    frame = clicks(spark, folder).groupBy(F.window("ts", "10 seconds", "5 seconds"), "k").agg(F.count("*").alias("n"))
    query = start(frame, "t", "append")
    query.processAllAvailable()
    step(query, folder, "1.csv", "50,z,1")
    assert windows(spark, "t", "k", "n") == [
        (-5, 5, "a", 1),
        (0, 10, "a", 2),
        (10, 20, "b", 1),
        (5, 15, "a", 1),
        (5, 15, "b", 1),
    ]


def test_a_row_late_for_one_window_counts_in_another(spark, folder, source):
    frame = clicks(spark, folder).groupBy(F.window("ts", "20 seconds", "10 seconds")).agg(F.sum("v").alias("n"))
    query = start(frame, "t", "append")
    query.processAllAvailable()
    step(query, folder, "1.csv", "25,a,0")  # watermark 15
    step(query, folder, "2.csv", "5,a,100")  # [-10, 10) is closed, [0, 20) is not
    step(query, folder, "3.csv", "60,a,0")
    assert windows(spark, "t", "n") == [(-10, 10, 3), (0, 20, 106), (10, 30, 3), (20, 40, 0)]


def test_update_emits_touched_windows(spark, folder, source):
    query = start(clicks(spark, folder).groupBy(F.window("ts", "10 seconds")).agg(F.sum("v").alias("n")), "t", "update")
    query.processAllAvailable()
    assert windows(spark, "t", "n") == [(0, 10, 3), (10, 20, 3)]
    step(query, folder, "1.csv", "12,a,4")
    assert windows(spark, "t", "n") == [(0, 10, 3), (10, 20, 3), (10, 20, 7)]


def test_update_with_sliding_windows(spark, folder, source):
    frame = clicks(spark, folder).groupBy(F.window("ts", "10 seconds", "5 seconds")).agg(F.sum("v").alias("n"))
    query = start(frame, "t", "update")
    query.processAllAvailable()
    step(query, folder, "1.csv", "12,a,4")
    assert windows(spark, "t", "n") == [
        (-5, 5, 1),
        (0, 10, 3),
        (10, 20, 3),
        (10, 20, 7),
        (5, 15, 5),
        (5, 15, 9),
    ]


def test_complete_never_drops(spark, folder, source):
    query = start(clicks(spark, folder).groupBy(F.window("ts", "10 seconds")).count(), "t", "complete")
    query.processAllAvailable()
    step(query, folder, "1.csv", "100,a,4")
    step(query, folder, "2.csv", "3,a,4")
    assert windows(spark, "t", "count") == [(0, 10, 3), (10, 20, 1), (100, 110, 1)]


def test_null_event_times_vanish(spark, folder, source):
    put(folder("in"), "1.csv", ",a,7")
    query = start(clicks(spark, folder).groupBy(F.window("ts", "10 seconds")).agg(F.sum("v").alias("n")), "t", "update")
    query.processAllAvailable()
    assert windows(spark, "t", "n") == [(0, 10, 3), (10, 20, 3)]


def test_the_watermark_is_reported(spark, folder, source):
    query = start(clicks(spark, folder).groupBy(F.window("ts", "10 seconds")).count(), "t", "append")
    query.processAllAvailable()
    event_time = next(p["eventTime"] for p in query.recentProgress if p["eventTime"].get("max"))
    assert event_time == {
        "max": "1970-01-01T00:00:10.000Z",
        "min": "1970-01-01T00:00:01.000Z",
        "avg": "1970-01-01T00:00:06.666Z",
        "watermark": "1970-01-01T00:00:00.000Z",
    }
    step(query, folder, "1.csv", "30,a,1")
    assert query.lastProgress["eventTime"]["watermark"] == "1970-01-01T00:00:20.000Z"


def test_a_filter_decides_what_moves_the_watermark(spark, folder, source):
    frame = clicks(spark, folder).filter("k != 'future'").groupBy(F.window("ts", "10 seconds")).agg(F.sum("v").alias("n"))
    query = start(frame, "t", "append")
    query.processAllAvailable()
    step(query, folder, "1.csv", "1000,future,1")
    step(query, folder, "2.csv", "2,a,1")
    step(query, folder, "3.csv", "30,a,1")
    assert windows(spark, "t", "n") == [(0, 10, 4), (10, 20, 3)]


def test_aggregates_without_windows(spark, folder, source):
    frame = spark.readStream.schema("s double, k string, v int").csv(folder("in")).groupBy("k")
    query = start(
        frame.agg(
            F.count("*"), F.sum("v"), F.avg("v"), F.min("v"), F.max("v"), F.stddev("v"), F.var_pop("v"),
            F.first("v"), F.last("v"), F.collect_list("v"), F.sort_array(F.collect_set("v")), F.approx_count_distinct("v"),
        ),  # fmt: skip
        "t",
        "complete",
    )
    query.processAllAvailable()
    step(query, folder, "1.csv", "1,a,6")
    assert tuples(spark.table("t").filter("k = 'a'")) == [
        ("a", 3, 9, 3.0, 1, 6, pytest.approx(2.6457513110645907), pytest.approx(14 / 3), 1, 6, [1, 2, 6], [1, 2, 6], 3)
    ]


def test_a_global_aggregate(spark, folder, source):
    frame = spark.readStream.schema("s double, k string, v int").csv(folder("in"))
    query = start(frame.groupBy().sum("v"), "t", "complete")
    query.processAllAvailable()
    step(query, folder, "1.csv", "1,a,6")
    assert tuples(spark.table("t")) == [(12,)]


def test_a_start_offset(spark, folder, source):
    frame = clicks(spark, folder).groupBy(F.window("ts", "10 seconds", startTime="3 seconds")).count()
    query = start(frame, "t", "complete")
    query.processAllAvailable()
    assert windows(spark, "t", "count") == [(-7, 3, 1), (3, 13, 2)]


def test_two_watermarks_take_the_least(spark, folder, source):
    put(folder("other"), "0.csv", "100,z,1")
    other = (
        spark.readStream.schema("s double, k string, v int")
        .csv(folder("other"))
        .selectExpr("timestamp_micros(cast(s * 1000000 as bigint)) ts", "k", "v")
        .withWatermark("ts", "10 seconds")
    )
    query = start(clicks(spark, folder).union(other).groupBy(F.window("ts", "10 seconds")).count(), "t", "append")
    query.processAllAvailable()
    assert query.lastProgress["eventTime"]["watermark"] == "1970-01-01T00:00:00.000Z"
    step(query, folder, "1.csv", "22,a,1")
    assert windows(spark, "t", "count") == [(0, 10, 2)]


def test_having_and_projections_above_an_aggregate(spark, folder, source):
    frame = clicks(spark, folder).groupBy(F.window("ts", "10 seconds"), "k").agg(F.sum("v").alias("n"))
    query = start(frame.filter("n > 2").select("window.start", (F.col("n") * 2).alias("m")), "t", "update")
    query.processAllAvailable()
    assert tuples(spark.table("t").selectExpr("unix_timestamp(start)", "m")) == [(0, 6), (10, 6)]


def test_drop_duplicates(spark, folder, source):
    frame = clicks(spark, folder).dropDuplicates(["k"]).select("k")
    query = start(frame, "t", "append")
    query.processAllAvailable()
    step(query, folder, "1.csv", "11,a,1", "11,c,1")
    assert tuples(spark.table("t")) == [("a",), ("b",), ("c",)]


def test_append_needs_a_watermark(spark, folder, source):
    frame = spark.readStream.schema("s double, k string, v int").csv(folder("in")).groupBy("k").count()
    with pytest.raises(Exception, match="(?i)append output mode not supported|STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION"):
        start(frame, "t", "append")


def test_complete_needs_an_aggregate(spark, folder, source):
    with pytest.raises(Exception, match="(?i)complete output mode not supported|STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION"):
        start(clicks(spark, folder), "t", "complete")


def test_an_unknown_output_mode(spark, folder, source):
    with pytest.raises(Exception, match="STREAMING_OUTPUT_MODE.INVALID|(?i:unknown output mode)"):
        start(clicks(spark, folder), "t", "sometimes")


def test_sorting_a_stream_is_refused(spark, folder, source):
    with pytest.raises(Exception, match="(?i)sorting is not supported"):
        start(clicks(spark, folder).orderBy("k"), "t", "append")


def test_sorting_a_complete_aggregate(spark, folder, source):
    query = start(clicks(spark, folder).groupBy("k").count().orderBy("k"), "t", "complete")
    query.processAllAvailable()
    assert [tuple(r) for r in spark.table("t").collect()] == [("a", 2), ("b", 1)]


def test_a_stream_is_not_collected(spark, folder, source):
    with pytest.raises(Exception, match="(?i)writeStream.start"):
        clicks(spark, folder).collect()
