"""What SQL text says when it is wrong, and functions that depend on a row's place."""

import pytest
from pyspark.sql import functions as F

from streaming import tuples


def message(call):
    with pytest.raises(Exception) as raised:
        call()
    return str(raised.value)


def test_syntax_errors_show_the_place(spark):
    text = message(lambda: spark.sql("SELECT 1\nFROM range(3)\nWHERE id >"))
    assert "[PARSE_SYNTAX_ERROR] Syntax error at or near end of input. SQLSTATE: 42601 (line 3, pos 10)" in text
    assert "\n== SQL ==\nSELECT 1\nFROM range(3)\nWHERE id >\n----------^^^\n" in text
    text = message(lambda: spark.range(1).filter("id = = 3").collect())
    assert "Syntax error at or near '='. SQLSTATE: 42601 (line 1, pos 5)\n\n== SQL ==\nid = = 3\n-----^^^\n" in text
    text = message(lambda: spark.sql("SELECT a,, b"))
    assert "(line 1, pos 9)" in text
    # Literals and comments before the place are rewritten for the parser.
    text = message(lambda: spark.sql("SELECT 2S, /* x\n y */ INTERVAL 1 DAY, 'a' 'b' c d FROM t"))
    assert "Syntax error at or near 'd'. SQLSTATE: 42601 (line 2, pos 32)" in text


def test_random_numbers_are_drawn_once(spark):
    drawn = spark.range(0, 100, 1, 1).withColumn("r", F.rand(5))
    both = drawn.select("r", (F.col("r") * 2).alias("twice")).filter("r < 0.5").collect()
    assert both and all(row.twice == row.r * 2 and row.r < 0.5 for row in both)
    kept = {row.id for row in spark.range(0, 100, 1, 1).filter(F.rand(5) < 0.5).collect()}
    assert kept == {row.id for row in drawn.filter("r < 0.5").collect()}
    unseeded = spark.sql("SELECT rand() AS a, rand() AS b FROM range(0, 10, 1, 1)")
    assert all(a != b for a, b in tuples(unseeded))
    numbers = [n for (n,) in tuples(spark.range(10).repartition(3).select(F.monotonically_increasing_id()))]
    assert len(set(numbers)) == 10


def test_random_numbers_in_a_stream(spark, folder):
    rate = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 50).load()
    late = rate.withWatermark("timestamp", "1 second").filter(F.rand(1) < 0.5)
    query = late.groupBy(F.window("timestamp", "10 seconds")).count().writeStream.format("memory")
    query = query.queryName("drawn").outputMode("update").trigger(once=True).start()
    query.awaitTermination(60)
    counts = [count for (_, count) in tuples(spark.table("drawn"))]
    assert counts and 0 < max(counts) < 50
    with pytest.raises(Exception, match="monotonically_increasing_id.. is not supported with streaming"):
        ids = rate.select(F.monotonically_increasing_id())
        ids.writeStream.format("noop").option("checkpointLocation", folder("cp")).start()


def test_grouping_sets_and_qualify(spark):
    spark.createDataFrame([("x", "a", 1), ("x", "b", 2), ("y", "a", 4)], "k string, s string, v int").createOrReplaceTempView("t")
    totals = spark.sql("SELECT k, s, sum(v), grouping_id() FROM t GROUP BY GROUPING SETS ((k, s), (k), ())")
    assert sorted(tuples(totals), key=str) == sorted(
        [("x", "a", 1, 0), ("x", "b", 2, 0), ("y", "a", 4, 0), ("x", None, 3, 1), ("y", None, 4, 1), (None, None, 7, 3)], key=str
    )
    last = spark.sql("SELECT k, v FROM t QUALIFY row_number() OVER (PARTITION BY k ORDER BY v DESC) = 1 ORDER BY k")
    assert tuples(last) == [("x", 2), ("y", 4)]
    pivot = spark.table("t").groupBy("k").pivot("s", ["a", "b"]).sum("v").orderBy("k")
    assert pivot.columns == ["k", "a", "b"] and tuples(pivot) == [("x", 1, 2), ("y", 4, None)]


def test_explain_has_sparks_headers(spark, capsys):
    spark.range(3).filter("id > 1").selectExpr("id + 1 AS x").explain(True)
    out = capsys.readouterr().out
    titles = [line for line in out.splitlines() if line.startswith("==")]
    names = ["Parsed Logical", "Analyzed Logical", "Optimized Logical", "Physical"]
    assert titles == [f"== {name} Plan ==" for name in names]
    assert "== Analyzed Logical Plan ==\nx: bigint\n" in out and "\n+- " in out


def test_many_columns_and_long_sums_are_quick(spark):
    import time

    frame = spark.range(3)
    started = time.monotonic()
    for _ in range(40):
        frame = frame.withColumn("id", F.col("id") + 1)
    assert frame.first()[0] == 40
    terms = "id" + "".join(f" + {i}" for i in range(400))
    assert spark.range(1).select(F.expr(terms)).first()[0] == sum(range(400))
    # Far above what it takes, far below what anything superlinear takes.
    assert time.monotonic() - started < 60
