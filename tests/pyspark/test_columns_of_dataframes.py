"""Columns named by the DataFrame they come from: after joins by common names, and all of them (`df["*"]`)."""

import pyspark.sql.functions as F
import pytest
from pyspark.errors import AnalysisException


@pytest.fixture
def a(spark):
    return spark.createDataFrame([(1, "x"), (2, "y")], "id int, v string")


@pytest.fixture
def b(spark):
    return spark.createDataFrame([(1, "p")], "id int, u string")


def rows(frame):
    return sorted((tuple(row) for row in frame.collect()), key=repr)


def test_both_sides_of_a_join_by_name_can_be_selected(a, b):
    assert rows(a.join(b, "id").select(b["id"], b.u, a.id)) == [(1, "p", 1)]
    left = a.join(b, "id", "left")
    assert left.columns == ["id", "v", "u"]
    assert rows(left.select(a.id, b.id)) == [(1, 1), (2, None)]
    assert rows(a.join(b, "id", "full").select("id", a.id, b.id)) == [(1, 1, 1), (2, 2, None)]
    assert rows(left.select(b["*"])) == [(1, "p"), (None, None)]
    assert rows(left.withColumn("q", b.id)) == [(1, "x", "p", 1), (2, "y", None, None)]
    assert rows(left.withColumn("q", b.u).select(b.id)) == [(1,), (None,)]


def test_they_stay_reachable_above(a, b):
    left = a.join(b, "id", "left")
    assert rows(left.filter(b.id.isNull())) == [(2, "y", None)]
    assert rows(left.filter(b.id.isNull()).select(b.id, "v")) == [(None, "y")]
    assert rows(left.groupBy(b.id).count()) == [(1, 1), (None, 1)]
    assert rows(left.limit(5).select(b.id)) == [(1,), (None,)]
    named = a.alias("a").join(b.alias("b"), "id", "left").select("b.id", "a.id", "id")
    assert rows(named) == [(1, 1, 1), (None, 2, 2)]
    for gone in (left.alias("j"), a.join(b, "id", "left_semi")):
        with pytest.raises(AnalysisException, match="CANNOT_RESOLVE_DATAFRAME_COLUMN"):
            gone.select(b.id).collect()


def test_all_columns_of_a_dataframe(a, b):
    assert rows(a.join(b).select(b["*"])) == [(1, "p"), (1, "p")]
    for wrong in (a.select(a.id), a.withColumn("id", F.lit(0)), b):
        with pytest.raises(AnalysisException, match="CANNOT_RESOLVE_DATAFRAME_COLUMN"):
            wrong.select(a["*"]).collect()
    with pytest.raises(AnalysisException, match="AMBIGUOUS_COLUMN_REFERENCE"):
        a.join(a).select(a["*"]).collect()


def test_several_names_are_for_generators(a):
    with pytest.raises(AnalysisException, match=r"MULTI_ALIAS_WITHOUT_GENERATOR.*\(x, y\).*\"id\""):
        a.select(F.col("id").alias("x", "y")).collect()
