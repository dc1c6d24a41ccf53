"""Errors: PySpark's class, Spark's error class and state, and a server that lives on."""

import pytest
from pyspark.errors import (
    AnalysisException,
    ArithmeticException,
    IllegalArgumentException,
    NumberFormatException,
    ParseException,
    SparkRuntimeException,
)
from pyspark.sql import functions as F


def condition(error) -> str:
    return error.value.getCondition() if hasattr(error.value, "getCondition") else error.value.getErrorClass()


def test_an_unknown_column_with_suggestions(spark):
    with pytest.raises(AnalysisException) as error:
        spark.range(1).select("idd").collect()
    assert condition(error) == "UNRESOLVED_COLUMN.WITH_SUGGESTION"
    assert error.value.getSqlState() == "42703"
    assert "`idd`" in str(error.value) and "[`id`]" in str(error.value)


def test_an_unknown_table(spark):
    with pytest.raises(AnalysisException) as error:
        spark.sql("SELECT * FROM nowhere").collect()
    assert condition(error) == "TABLE_OR_VIEW_NOT_FOUND"
    assert error.value.getSqlState() == "42P01"
    assert "`nowhere`" in str(error.value)


def test_an_unknown_function(spark):
    with pytest.raises(AnalysisException) as error:
        spark.sql("SELECT no_such_function(1)").collect()
    assert condition(error) == "UNRESOLVED_ROUTINE"
    assert "no_such_function" in str(error.value)


def test_a_syntax_error(spark):
    with pytest.raises(ParseException) as error:
        spark.sql("SELEC 1").collect()
    assert condition(error) == "PARSE_SYNTAX_ERROR"
    assert error.value.getSqlState() == "42601"


def test_a_type_mismatch(spark):
    with pytest.raises(AnalysisException) as error:
        spark.sql("SELECT array(1) + 1").collect()
    assert condition(error).startswith("DATATYPE_MISMATCH")


def test_arithmetic_at_run_time(spark):
    with pytest.raises(ArithmeticException) as error:
        spark.sql("SELECT 1 / 0").collect()
    assert condition(error) == "DIVIDE_BY_ZERO"
    assert error.value.getSqlState() == "22012"


def test_a_number_that_is_none(spark):
    with pytest.raises(NumberFormatException) as error:
        spark.sql("SELECT cast('abc' AS int)").collect()
    assert condition(error) == "CAST_INVALID_INPUT"
    assert "'abc'" in str(error.value) and '"INT"' in str(error.value)


def test_an_unknown_format(spark):
    with pytest.raises(Exception, match="DATA_SOURCE_NOT_FOUND") as error:
        spark.read.format("nonsense").load("x").collect()
    assert "nonsense" in str(error.value)


def test_grouping_by_what_is_not_grouped(spark):
    with pytest.raises(AnalysisException) as error:
        spark.sql("SELECT id, count(*) FROM range(3)").collect()
    assert condition(error) == "MISSING_GROUP_BY"


def test_union_of_different_widths(spark):
    with pytest.raises(AnalysisException) as error:
        spark.range(1).union(spark.sql("SELECT 1, 2")).collect()
    assert condition(error) == "NUM_COLUMNS_MISMATCH"


def test_a_wrong_number_of_arguments(spark):
    with pytest.raises(AnalysisException) as error:
        spark.sql("SELECT upper('a', 'b')").collect()
    assert condition(error).startswith("WRONG_NUM_ARGS")


def test_an_ambiguous_join_column(spark):
    one, two = spark.sql("SELECT 1 a"), spark.sql("SELECT 1 a")
    with pytest.raises(AnalysisException) as error:
        one.join(two, one.a == two.a).select("a").collect()
    assert condition(error) == "AMBIGUOUS_REFERENCE"


def test_errors_leave_the_session_usable(spark):
    for _ in range(20):
        with pytest.raises(AnalysisException):
            spark.range(1).select("x").collect()
    assert spark.range(5).count() == 5


def test_the_schema_of_a_bad_plan_is_an_error_too(spark):
    with pytest.raises(AnalysisException):
        spark.range(1).select("x").schema  # noqa: B018


def test_a_bad_schema_string(spark, folder):
    with pytest.raises(ParseException):
        spark.read.schema("a nonsense").csv(folder("x")).collect()


def test_assert_true_tells_of_the_row_that_fails(spark):
    checked = spark.range(4).select(F.assert_true(F.col("id") < 2, F.col("id") * 10))
    with pytest.raises(SparkRuntimeException, match=r"USER_RAISED_EXCEPTION\] 20"):
        checked.collect()


def test_a_fraction_is_a_fraction(spark):
    with pytest.raises(IllegalArgumentException, match="Sampling fraction \\(-1.0\\) must be on interval"):
        spark.range(1).sample(-1.0, seed=1).count()
