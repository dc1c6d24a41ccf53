"""Sessions: starting, configuration, isolation, ending."""

import pytest
from conftest import connect
from pyspark.errors import AnalysisException
from pyspark.sql import Row
from pyspark.sql.connect.session import SparkSession


def test_a_session_starts_and_knows_its_version(spark):
    assert spark.version.split(".")[0] == "4"
    assert spark.range(3).count() == 3


def test_configuration_is_kept_per_session(new_session):
    one, two = new_session(), new_session()
    one.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    assert one.conf.get("spark.sql.session.timeZone") == "Asia/Tokyo"
    assert two.conf.get("spark.sql.session.timeZone") != "Asia/Tokyo"
    one.conf.unset("spark.sql.session.timeZone")
    assert one.conf.get("spark.sql.session.timeZone") == two.conf.get("spark.sql.session.timeZone")


def test_configuration_has_spark_defaults(spark):
    assert spark.conf.get("spark.sql.ansi.enabled") == "true"
    assert spark.conf.get("spark.sql.streaming.stopActiveRunOnRestart") == "true"
    assert spark.conf.get("my.own.key", "fallback") == "fallback"
    assert spark.conf.isModifiable("spark.sql.shuffle.partitions")


def test_an_unknown_configuration_key_is_an_error(spark):
    with pytest.raises(Exception, match="SQL_CONF_NOT_FOUND") as error:
        spark.conf.get("no.such.key")
    assert "no.such.key" in str(error.value)


def test_sql_set_and_conf_are_the_same(spark):
    spark.sql("SET my.key = 17").collect()
    assert spark.conf.get("my.key") == "17"


def test_views_belong_to_their_session(new_session):
    one, two = new_session(), new_session()
    one.range(3).createOrReplaceTempView("mine")
    assert one.table("mine").count() == 3
    with pytest.raises(Exception, match="TABLE_OR_VIEW_NOT_FOUND"):
        two.table("mine").collect()


def test_a_cloned_session_has_configuration_and_views(spark):
    spark.conf.set("my.key", "1")
    spark.range(4).createOrReplaceTempView("mine")
    clone = spark.cloneSession()  # its `stop` is broken in the 4.2 client
    assert clone.conf.get("my.key") == "1"
    assert clone.table("mine").count() == 4
    clone.conf.set("my.key", "2")
    assert spark.conf.get("my.key") == "1"


def test_a_stopped_session_is_gone_and_others_live(remote, spark):
    other = connect(remote)
    other.range(1).collect()
    other.stop()
    assert spark.range(2).count() == 2


def test_the_builder_sets_configuration(remote):
    session = SparkSession.builder.remote(remote).config("spark.sql.session.timeZone", "UTC").create()
    assert session.conf.get("spark.sql.session.timeZone") == "UTC"
    session.stop()


def test_tags_are_kept_by_the_client(spark):
    spark.addTag("mine")
    assert spark.getTags() == {"mine"}
    assert spark.range(2).count() == 2
    spark.clearTags()


def test_a_query_is_analysed_when_it_is_given(spark):
    with pytest.raises(AnalysisException, match="UNRESOLVED_COLUMN"):
        spark.sql("SELECT nope")


def test_types_are_functions(spark):
    row = spark.sql("SELECT int('1') + 1, float(1), string(3), date('2020-01-02'), boolean('true'), decimal('5')").first()
    assert [str(value) for value in row] == ["2", "1.0", "3", "2020-01-02", "True", "5"]
    assert spark.range(1).selectExpr("float(id)", "timestamp(id)").dtypes == [("id", "float"), ("id", "timestamp")]


def test_structs_may_repeat_a_field_name(spark):
    schema = "s struct<x: string, x: int>, t array<struct<y: int, y: int, x: int>>"
    data = [Row(Row("a", 1), [Row(1, 2, 3)])]
    frame = spark.createDataFrame(data, schema)
    assert frame.schema.simpleString() == "struct<s:struct<x:string,x:int>,t:array<struct<y:int,y:int,x:int>>>"
    assert [tuple(map(tuple, frame.first()[0:1])), tuple(frame.first()[1][0])] == [(("a", 1),), (1, 2, 3)]
