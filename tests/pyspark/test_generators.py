"""`explode` and its kin: rows without elements, null structs, new columns that are generators."""

import pyspark.sql.functions as F
import pytest
from pyspark.sql import Row


@pytest.fixture
def nested(spark):
    rows = [(1, [1, 2], {"a": "b"}, [Row(b=1, c=2), None]), (2, [], {}, []), (3, None, None, None)]
    return spark.createDataFrame(rows, "i int, l array<int>, m map<string,string>, s array<struct<b:int,c:int>>")


def rows(frame):
    return [tuple(row) for row in frame.collect()]


def test_a_row_without_elements_has_no_position(nested):
    assert rows(nested.select("i", F.posexplode_outer("l"))) == [(1, 0, 1), (1, 1, 2), (2, None, None), (3, None, None)]
    without = [(2, None, None, None), (3, None, None, None)]
    assert rows(nested.select("i", F.posexplode_outer("m"))) == [(1, 0, "a", "b"), *without]
    assert rows(nested.select("i", F.posexplode("l"))) == [(1, 0, 1), (1, 1, 2)]


def test_a_null_struct_has_null_fields(nested):
    assert rows(nested.select("i", F.inline("s"))) == [(1, 1, 2), (1, None, None)]
    outer = [(1, 1, 2), (1, None, None), (2, None, None), (3, None, None)]
    assert rows(nested.select("i", F.inline_outer("s"))) == outer
    assert rows(nested.select("i", F.explode_outer("m"))) == [(1, "a", "b"), (2, None, None), (3, None, None)]


def test_a_new_column_may_be_a_generator(nested):
    few = nested.select("i", "l")
    assert rows(few.withColumn("x", F.explode("l"))) == [(1, [1, 2], 1), (1, [1, 2], 2)]
    assert rows(few.withColumn("l", F.explode("l"))) == [(1, 1), (1, 2)]
    assert rows(few.withColumn("x", F.expr("explode(l)"))) == [(1, [1, 2], 1), (1, [1, 2], 2)]
    both = few.withColumns({"x": F.explode("l"), "y": F.col("i") + 1})
    assert both.columns == ["i", "l", "x", "y"]
    assert rows(both) == [(1, [1, 2], 1, 2), (1, [1, 2], 2, 2)]


def test_a_field_of_a_null_struct_in_a_list_is_null(nested):
    assert rows(nested.filter("i = 1").select(F.col("s")[1].b, F.element_at("s", 2).c)) == [(None, None)]
