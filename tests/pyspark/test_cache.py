"""`cache`, `persist`, and what makes two frames the same."""

import pathlib

from pyspark import StorageLevel
from pyspark.sql import functions as F

from streaming import tuples


def test_a_cached_frame_is_computed_once(spark, folder):
    pathlib.Path(folder("in")).mkdir()
    file = pathlib.Path(folder("in")) / "a.csv"
    file.write_text("1\n2\n")
    cached = spark.read.schema("v int").csv(folder("in")).withColumn("w", F.col("v") * 2).cache()
    try:
        assert cached.is_cached and cached.storageLevel.useMemory
        assert tuples(cached) == [(1, 2), (2, 4)]
        file.write_text("7\n7\n")
        assert tuples(cached) == [(1, 2), (2, 4)]
        # Also below other operations, by its own columns and those of the frame below.
        assert tuples(cached.filter(cached.v > 1).select(cached.w, "v")) == [(4, 2)]
        assert cached.groupBy().agg(F.sum("w")).first()[0] == 6
        joined = cached.alias("a").join(cached.alias("b"), F.col("a.v") == F.col("b.v"))
        assert joined.count() == 2
    finally:
        cached.unpersist()
    assert not cached.is_cached
    assert tuples(cached) == [(7, 14), (7, 14)]


def test_plans_with_other_subqueries_are_not_the_same(spark):
    greatest = lambda n: spark.sql(f"SELECT (SELECT max(id) FROM range({n})) AS x")  # noqa: E731
    assert greatest(3).sameSemantics(greatest(3)) and not greatest(3).sameSemantics(greatest(5))
    three = greatest(3).cache()
    try:
        assert (three.first()[0], greatest(5).first()[0]) == (2, 4)
    finally:
        three.unpersist()


def test_an_equal_plan_reads_the_cache(spark, folder):
    pathlib.Path(folder("in")).mkdir()
    file = pathlib.Path(folder("in")) / "a.csv"
    file.write_text("1\n")
    read = lambda: spark.read.schema("v int").csv(folder("in")).filter("v > 0")  # noqa: E731
    first = read().persist(StorageLevel.MEMORY_ONLY)
    try:
        assert first.count() == 1
        assert read().storageLevel == StorageLevel.MEMORY_ONLY
        assert spark.range(99).storageLevel == StorageLevel.NONE
    finally:
        spark.catalog.clearCache()
    assert first.storageLevel == StorageLevel.NONE


def test_an_error_is_no_result(spark):
    bad = spark.range(3).select(F.expr("1 div (id - 1)").alias("x")).cache()
    for _ in range(2):
        try:
            bad.collect()
        except Exception as error:
            assert "DIVIDE_BY_ZERO" in str(error)
        else:
            raise AssertionError("the division went through")
    bad.unpersist()


def test_same_semantics(spark):
    frame = spark.range(5)
    assert frame.sameSemantics(spark.range(5))
    assert not frame.sameSemantics(spark.range(6))
    named = lambda name: frame.select((F.col("id") + 1).alias(name))  # noqa: E731
    assert named("x").sameSemantics(named("y"))
    assert not named("x").sameSemantics(frame.select((F.col("id") + 2).alias("x")))
    assert frame.filter("id>1").sameSemantics(frame.where(F.col("id") > 1))
    assert frame.semanticHash() == spark.range(5).semanticHash()
    rows = spark.createDataFrame([(1, "a")], "n int, s string")
    assert rows.sameSemantics(spark.createDataFrame([(1, "a")], "n int, s string"))
    assert not rows.sameSemantics(spark.createDataFrame([(2, "a")], "n int, s string"))


def test_a_cached_frame_without_columns_keeps_its_rows(spark):
    cached = spark.range(3).select().cache()
    try:
        assert [cached.count(), cached.count()] == [3, 3]
    finally:
        cached.unpersist()
