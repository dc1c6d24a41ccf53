"""Joins of streams: killed and restarted, through SQL, with aliases and equal column names."""

import json
import pathlib

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import functions as F
from streaming import lines, log, put, tuples
from test_recovery import FILES, ROWS, killed_again_and_again

STREAM = "n long, k string, s long"


def joining(session, folder):
    """Each row of `in` with those of `in2` up to five seconds later, or alone."""

    def side(name, prefix):
        stream = session.readStream.schema(STREAM).option("maxFilesPerTrigger", 1).csv(folder(name))
        return stream.select(F.timestamp_seconds("s").alias(f"{prefix}t"), F.col("n").alias(f"{prefix}n")).withWatermark(
            f"{prefix}t", "10 seconds"
        )

    left, right = side("in", "l"), side("in2", "r")
    joined = left.join(right, F.expr("ln = rn and rt between lt and lt + interval 5 seconds"), "left_outer")
    return (
        joined.select("ln", "rn")
        .writeStream.format("json")
        .option("checkpointLocation", folder("cp"))
        .option("path", folder("out"))
        .trigger(availableNow=True)
        .start()
    )


@pytest.mark.millstream
@pytest.mark.parametrize("seed", range(2))
def test_every_pair_once_when_killed(own_server, folder, seed):
    """Even numbers have a partner, some of them too late by a second; odd ones come out alone when they are old."""
    rows = {}
    for i in range(FILES):
        numbers = [i * ROWS + j for j in range(ROWS)]
        rows |= {n: 100 + i * 4 + j % 7 for j, n in enumerate(numbers)}
        put(folder("in"), f"{i:03d}.csv", *(f"{n},x,{rows[n]}" for n in numbers))
        put(folder("in2"), f"{i:03d}.csv", *(f"{n},x,{rows[n] + n % 8}" for n in numbers if n % 2 == 0))
    assert killed_again_and_again(own_server, folder, joining, seed) > 0
    commits = log(folder("cp", "commits"))
    watermark = commits[max(commits)][1]["nextBatchWatermarkMs"]
    expected = []
    for number, second in rows.items():
        if number % 2 == 0 and number % 8 <= 5:
            expected.append(json.dumps({"ln": number, "rn": number}, separators=(",", ":")))
        elif second * 1000 <= watermark - 5001:
            expected.append(json.dumps({"ln": number}, separators=(",", ":")))
    assert sorted(lines(folder("out"))) == sorted(expected)
    assert {"left", "right"} <= {p.name for p in pathlib.Path(folder("cp", "state", "0")).iterdir()}


def stream(spark, folder, name):
    return (
        spark.readStream.schema("k string, v int, s long").csv(folder(name))
        .withColumn("t", F.timestamp_seconds("s")).withWatermark("t", "10 seconds")
    )  # fmt: skip


def run(spark, frame, name, folder):
    query = frame.writeStream.format("memory").queryName(name).option("checkpointLocation", folder(name)).trigger(availableNow=True).start()
    assert query.awaitTermination(60)
    return query, tuples(spark.table(name))


@pytest.fixture
def two(folder):
    put(folder("a"), "0.csv", "x,1,1", "y,2,2", ",3,3", "x,4,4")
    put(folder("b"), "0.csv", "x,10,2", "z,20,2", ",30,3")
    return folder


def test_equal_names_are_told_apart_by_alias(spark, two):
    a, b = stream(spark, two, "a").alias("a"), stream(spark, two, "b").alias("b")
    condition = (F.col("a.k") == F.col("b.k")) & F.expr("b.t >= a.t and b.t <= a.t + interval 5 seconds")
    joined = a.join(b, condition, "left_outer").select("a.k", "a.v", F.col("b.v").alias("w"))
    _, rows = run(spark, joined, "aliased", two)
    assert rows == [("x", 1, 10)]


def test_using_a_name(spark, two):
    joined = stream(spark, two, "a").join(stream(spark, two, "b").select("k", F.col("v").alias("w")), "k")
    _, rows = run(spark, joined.select("k", "v", "w"), "by_name", two)
    assert rows == [("x", 1, 10), ("x", 4, 10)]


def test_sql_over_views(spark, two):
    stream(spark, two, "a").createOrReplaceTempView("a")
    stream(spark, two, "b").createOrReplaceTempView("b")
    joined = spark.sql(
        "SELECT a.k, a.v, b.v AS w FROM a JOIN b ON a.k = b.k AND b.t BETWEEN a.t - INTERVAL 5 SECONDS AND a.t + INTERVAL 5 SECONDS WHERE a.v < 4"
    )
    query, rows = run(spark, joined, "from_sql", two)
    assert rows == [("x", 1, 10)]
    [state] = query.lastProgress["stateOperators"]
    assert state["operatorName"] == "symmetricHashJoin"
    assert state["numRowsTotal"] == 4  # two nulls cannot meet, and a filter holds back one row


def test_comma_and_where(spark, two):
    stream(spark, two, "a").createOrReplaceTempView("a")
    stream(spark, two, "b").createOrReplaceTempView("b")
    joined = spark.sql("SELECT a.v, b.v AS w FROM a, b WHERE a.k = b.k AND a.v + 6 = b.v")
    _, rows = run(spark, joined, "comma", two)
    assert rows == [(4, 10)]


def test_expressions_and_different_types_as_keys(spark, two):
    a = stream(spark, two, "a").select("k", "v")
    b = stream(spark, two, "b").select(F.upper("k").alias("u"), (F.col("v") / 10).alias("tenth"))
    joined = a.join(b, (F.upper(a.k) == b.u) & (a.v == b.tenth))
    _, rows = run(spark, joined, "expressions", two)
    assert rows == [("x", 1, "X", 1.0)]


def test_static_sides(spark, two):
    table = spark.createDataFrame([("x", "ex"), ("x", "ix"), ("z", "zed")], "k string, name string")
    a = stream(spark, two, "a").select("k", "v")
    for how, expected in {
        "inner": [("x", 1, "ex"), ("x", 1, "ix"), ("x", 4, "ex"), ("x", 4, "ix")],
        "left": [("x", 1, "ex"), ("x", 1, "ix"), ("x", 4, "ex"), ("x", 4, "ix"), ("y", 2, None), (None, 3, None)],
        "left_semi": [("x", 1), ("x", 4)],
        "left_anti": [("y", 2), (None, 3)],
    }.items():
        _, rows = run(spark, a.join(table, "k", how), f"static_{how}", two)
        assert rows == sorted(expected, key=repr), how
    _, rows = run(spark, table.join(a, "k", "right").select("k", "v", "name"), "static_right", two)
    assert rows == sorted([("x", 1, "ex"), ("x", 1, "ix"), ("x", 4, "ex"), ("x", 4, "ix"), ("y", 2, None), (None, 3, None)], key=repr)


def test_two_event_times_on_a_side_are_refused(spark, two):
    a = stream(spark, two, "a").select("t", "k", F.window("t", "10 seconds").alias("w"))
    b = stream(spark, two, "b").select(F.col("k").alias("k2"), F.col("t").alias("t2"))
    with pytest.raises(Exception, match="More than one event time column"):
        query, _ = run(spark, a.join(b, F.expr("k = k2 and t = t2")), "two_times", two)


def test_an_outer_join_without_an_end_is_refused_before_anything_is_written(spark, two):
    with pytest.raises(AnalysisException, match="not supported without a watermark in the join keys"):
        run(spark, stream(spark, two, "a").join(stream(spark, two, "b").select("k"), "k", "left"), "endless", two)
    assert not pathlib.Path(two("endless")).exists()
