"""Window functions of batch queries over frames that move."""

import pyspark.sql.functions as F
import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import Window

W = Window.partitionBy("k").orderBy("i")


@pytest.fixture
def numbers(spark):
    return spark.createDataFrame([("a", 1, 1.5), ("a", 2, 0.1), ("a", 4, 0.2), ("b", 7, 0.3)], "k string, i int, d double")


def over(frame, *columns):
    return [tuple(row) for row in frame.select("i", *columns).orderBy("i").collect()]


def test_aggregates_over_rows(numbers):
    last_two = W.rowsBetween(-1, 0)
    assert over(numbers, F.collect_list("i").over(last_two)) == [(1, [1]), (2, [1, 2]), (4, [2, 4]), (7, [7])]
    to_end = W.rowsBetween(0, Window.unboundedFollowing)
    assert over(numbers, F.count("*").over(to_end), F.max("d").over(to_end)) == [(1, 3, 1.5), (2, 2, 0.2), (4, 1, 0.2), (7, 1, 0.3)]
    ahead = W.rowsBetween(1, 2)
    assert over(numbers, F.count("*").over(ahead), F.sum("i").over(ahead)) == [(1, 2, 6), (2, 1, 4), (4, 0, None), (7, 0, None)]


def test_sums_of_doubles_are_added_as_spark_adds(numbers):
    sums = over(numbers, F.sum("d").over(W.rangeBetween(-2, Window.unboundedFollowing)))
    assert sums == [(1, 1.8), (2, 1.8), (4, 0.30000000000000004), (7, 0.3)]


def test_frames_by_distance(numbers):
    column = F.sum("d").over(W.rangeBetween(-1, 0))
    shown = "sum(d) OVER (PARTITION BY k ORDER BY i ASC NULLS FIRST RANGE BETWEEN -1 FOLLOWING AND CURRENT ROW)"
    assert numbers.select(column).columns == [shown]
    assert over(numbers, column) == [(1, 1.5), (2, 1.6), (4, 0.2), (7, 0.3)]
    down = Window.partitionBy("k").orderBy(F.desc("i")).rangeBetween(-1, 1)
    assert over(numbers, F.sum("d").over(down)) == [(1, 1.6), (2, 1.6), (4, 0.2), (7, 0.3)]
    assert over(numbers, F.count("d").over(Window.orderBy("d").rangeBetween(-1, 1))) == [(1, 1), (2, 3), (4, 3), (7, 3)]


def test_nth_value_sees_its_frame_and_may_skip_nulls(spark, numbers):
    assert over(numbers, F.nth_value("i", 2).over(W.rowsBetween(0, 1))) == [(1, 2), (2, 4), (4, None), (7, None)]
    gaps = spark.createDataFrame([(0, None), (1, "x"), (2, "y"), (3, None)], "i int, v string")
    w = Window.orderBy("i")
    column = F.nth_value("v", 2, True).over(w)
    shown = "nth_value(v, 2) ignore nulls OVER (ORDER BY i ASC NULLS FIRST RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
    assert gaps.select(column).columns == [shown]
    assert over(gaps, F.nth_value("v", 2).over(w), column) == [(0, None, None), (1, "x", None), (2, "x", "y"), (3, "x", "y")]


def test_frames_ranking_functions_do_not_take(numbers):
    with pytest.raises(AnalysisException, match="must match the required frame specifiedwindowframe"):
        numbers.select(F.rank().over(W.rowsBetween(-1, 1))).collect()
    with pytest.raises(AnalysisException, match="Cannot specify window frame for lag function"):
        numbers.select(F.lag("i").over(W.rowsBetween(-1, 1))).collect()
    assert over(numbers, F.rank().over(W.rowsBetween(Window.unboundedPreceding, 0))) == [(1, 1), (2, 2), (4, 3), (7, 1)]
