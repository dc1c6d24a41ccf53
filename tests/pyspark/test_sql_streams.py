"""Streams in SQL text: temporary views, WATERMARK, STREAM, tables."""

import json
import pathlib

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import functions as F
from streaming import put, tuples


@pytest.fixture
def views(spark, folder):
    """A stream `rv`, the same with a watermark as `sv`, a batch `bv`."""
    put(folder("in"), "0.csv", "2021-01-01 00:00:00,a,1")
    raw = spark.readStream.schema("ts timestamp, k string, v int").csv(folder("in"))
    raw.createOrReplaceTempView("rv")
    raw.withWatermark("ts", "10 seconds").createOrReplaceTempView("sv")
    spark.createDataFrame([("a", 10), ("b", 20)], "k string, x int").createOrReplaceTempView("bv")
    return folder


def delays(frame):
    return {field.name: field.metadata.get("spark.watermarkDelayMs") for field in frame.schema}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rv WATERMARK ts DELAY OF INTERVAL 10 SECONDS", {"ts": 10_000, "k": None, "v": None}),
        ("rv WATERMARK ts DELAY OF INTERVAL 10 SECONDS AS x", {"ts": 10_000, "k": None, "v": None}),
        ("rv WATERMARK ts + INTERVAL 1 DAY AS t DELAY OF INTERVAL 1 MINUTE", {"t": 60_000, "ts": None, "k": None, "v": None}),
        ("rv WATERMARK ts DELAY OF INTERVAL 1 MONTH", {"ts": 2_678_400_000, "k": None, "v": None}),
        ("rv WATERMARK ts DELAY OF INTERVAL '1-2' YEAR TO MONTH", {"ts": 37_497_600_000, "k": None, "v": None}),
        ("(SELECT ts, k FROM rv) WATERMARK ts DELAY OF INTERVAL 10 SECONDS AS y", {"ts": 10_000, "k": None}),
        ("STREAM rv WATERMARK ts DELAY OF INTERVAL 1 SECOND", {"ts": 1_000, "k": None, "v": None}),
        ("STREAM(rv) WATERMARK ts DELAY OF INTERVAL 1 SECOND AS z", {"ts": 1_000, "k": None, "v": None}),
        ("STREAM rv", {"ts": None, "k": None, "v": None}),
        ("STREAM(sv) AS z", {"ts": 10_000, "k": None, "v": None}),
    ],
)
def test_watermark_clause(spark, views, text, expected):
    frame = spark.sql(f"SELECT * FROM {text}")
    assert frame.isStreaming
    assert delays(frame) == expected


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("rv AS x WATERMARK ts DELAY OF INTERVAL 10 SECONDS", "PARSE_SYNTAX_ERROR"),
        ("rv WATERMARK ts DELAY OF '10 seconds'", "PARSE_SYNTAX_ERROR"),
        ("rv WATERMARK ts + INTERVAL 1 DAY DELAY OF INTERVAL 10 SECONDS", "REQUIRES_EXPLICIT_NAME_IN_WATERMARK_CLAUSE"),
        ("rv WATERMARK k DELAY OF INTERVAL 10 SECONDS", "EVENT_TIME_IS_NOT_ON_TIMESTAMP_TYPE"),
        ("rv WATERMARK zz DELAY OF INTERVAL 10 SECONDS", "UNRESOLVED_COLUMN.WITH_SUGGESTION"),
        ("rv WATERMARK ts DELAY OF INTERVAL 10 SECONDS x(a, b, c)", "UNRESOLVED_COLUMN.WITH_SUGGESTION"),
        ("STREAM nothere", "TABLE_OR_VIEW_NOT_FOUND"),
        ("STREAM bv", "_LEGACY_ERROR_TEMP_1008"),
        ("STREAM(bv)", "_LEGACY_ERROR_TEMP_1008"),
    ],
)
def test_refused_clauses(spark, views, text, condition):
    with pytest.raises(Exception) as error:
        spark.sql(f"SELECT * FROM {text}").schema  # noqa: B018
    assert error.value.getCondition() == condition


def test_names_after_a_watermark(spark, views):
    joined = spark.sql("SELECT x.k, y.x FROM rv WATERMARK ts DELAY OF INTERVAL 1 SECOND AS x JOIN bv y ON x.k = y.k")
    query = joined.writeStream.format("memory").queryName("joined").start()
    query.processAllAvailable()
    assert tuples(spark.table("joined")) == [("a", 10)]


def test_read_stream_table_of_views(spark, views):
    assert spark.readStream.table("sv").isStreaming
    assert delays(spark.readStream.table("sv"))["ts"] == 10_000
    assert spark.table("sv").isStreaming
    for name, condition in (("bv", "_LEGACY_ERROR_TEMP_1008"), ("nope", "TABLE_OR_VIEW_NOT_FOUND")):
        with pytest.raises(AnalysisException) as error:
            spark.readStream.table(name).schema  # noqa: B018
        assert error.value.getCondition() == condition


@pytest.fixture
def tables(spark):
    """Drops the tables of a test."""
    names = [f"t{i}" for i in range(1, 6)]
    yield
    for name in names:
        spark.sql(f"DROP TABLE IF EXISTS {name}")


def run(writer, folder, table):
    query = writer.option("checkpointLocation", folder("checkpoint")).toTable(table)
    query.processAllAvailable()
    query.stop()
    return query


def test_tables_are_created_filled_and_dropped(spark, folder, tables):
    assert spark.sql("CREATE TABLE t1 (a INT, b STRING COMMENT 'text') USING parquet").collect() == []
    with pytest.raises(AnalysisException) as error:
        spark.sql("CREATE TABLE t1 (a INT) USING json")
    assert error.value.getCondition() == "TABLE_OR_VIEW_ALREADY_EXISTS"
    spark.sql("CREATE TABLE IF NOT EXISTS t1 (a INT) USING json")
    assert spark.table("t1").collect() == []
    spark.sql("INSERT INTO t1 VALUES (1, 'x'), (2, 'y')")
    assert tuples(spark.sql("SELECT t1.a, b FROM default.t1 AS t1")) == [(1, "x"), (2, "y")]
    spark.sql("INSERT OVERWRITE t1 SELECT 3, 'z'")
    assert tuples(spark.table("spark_catalog.default.t1")) == [(3, "z")]
    with pytest.raises(AnalysisException) as error:
        spark.sql("INSERT INTO t1 SELECT 3")
    assert error.value.getCondition() == "INSERT_COLUMN_ARITY_MISMATCH.NOT_ENOUGH_DATA_COLUMNS"
    assert spark.catalog.tableExists("t1") and spark.catalog.tableExists("default.t1") and not spark.catalog.tableExists("nope")
    table = spark.catalog.getTable("t1")
    assert (table.name, table.catalog, table.namespace, table.tableType, table.isTemporary) == ("t1", "spark_catalog", ["default"], "MANAGED", False)
    assert "t1" in [t.name for t in spark.catalog.listTables()]
    assert ("default", "t1", False) in tuples(spark.sql("SHOW TABLES"))
    assert [(c.name, c.dataType, c.nullable) for c in spark.catalog.listColumns("t1")] == [("a", "int", True), ("b", "string", True)]
    spark.sql("DROP TABLE t1")
    for text in ("DROP TABLE t1", "SELECT * FROM t1", "INSERT INTO t1 SELECT 1", "DESCRIBE t1", "SELECT * FROM nodb.t"):
        with pytest.raises(AnalysisException) as error:
            spark.sql(text).collect()
        assert error.value.getCondition() == "TABLE_OR_VIEW_NOT_FOUND", text
    spark.sql("DROP TABLE IF EXISTS t1")


def test_save_as_table_and_insert_into(spark, tables):
    rows = spark.createDataFrame([("a", 1), ("b", 2)], "k string, v int")
    rows.write.saveAsTable("t1")
    with pytest.raises(AnalysisException) as error:
        rows.write.saveAsTable("t1")
    assert error.value.getCondition() == "TABLE_OR_VIEW_ALREADY_EXISTS"
    rows.select("v", "k").write.mode("append").saveAsTable("t1")  # by name
    rows.write.insertInto("t1")
    assert spark.table("t1").count() == 6 and tuples(spark.table("t1").select("k").distinct()) == [("a",), ("b",)]
    with pytest.raises(AnalysisException) as error:
        rows.select("k").write.mode("append").saveAsTable("t1")
    assert error.value.getCondition() == "_LEGACY_ERROR_TEMP_1161"
    with pytest.raises(AnalysisException) as error:
        rows.write.insertInto("nope")
    assert error.value.getCondition() == "TABLE_OR_VIEW_NOT_FOUND"
    rows.limit(1).write.mode("overwrite").saveAsTable("t1")
    assert tuples(spark.table("t1")) == [("a", 1)]
    spark.sql("CREATE TABLE t2 USING json PARTITIONED BY (p) AS SELECT 1 a, 'x' p UNION ALL SELECT 2, 'y'")
    assert tuples(spark.table("t2")) == [(1, "x"), (2, "y")]
    assert [c.isPartition for c in spark.catalog.listColumns("t2")] == [False, True]


def test_streams_from_and_into_tables(spark, folder, views, tables):
    run(spark.table("sv").groupBy(F.window("ts", "10 seconds"), "k").agg(F.sum("v").alias("n")).select("k", "n").writeStream, folder, "t1")
    assert tuples(spark.table("t1")) == [] and spark.table("t1").columns == ["k", "n"]
    put(folder("in"), "1.csv", "2021-01-01 00:01:00,b,2")
    run(spark.table("sv").groupBy(F.window("ts", "10 seconds"), "k").agg(F.sum("v").alias("n")).select("k", "n").writeStream, folder, "t1")
    assert tuples(spark.table("t1")) == [("a", 1)]
    back = spark.readStream.table("t1")
    assert back.isStreaming and spark.sql("SELECT * FROM STREAM t1").isStreaming
    query = back.writeStream.format("memory").queryName("back").start()
    query.processAllAvailable()
    assert tuples(spark.table("back")) == [("a", 1)]


def test_to_table_refusals(spark, folder, views, tables):
    raw = spark.table("rv")
    for name, mode, frame, condition in (
        ("bv", "append", raw, "_LEGACY_ERROR_TEMP_1190"),
        ("nodb.t1", "append", raw, "SCHEMA_NOT_FOUND"),
        ("t3", "complete", raw.groupBy("k").count(), "STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE"),
    ):
        with pytest.raises(AnalysisException) as error:
            frame.writeStream.outputMode(mode).option("checkpointLocation", folder("checkpoint")).toTable(name)
        assert error.value.getCondition() == condition, name


@pytest.mark.millstream
def test_tables_outlive_the_server(own_server, folder):
    from conftest import connect, end

    server = own_server()
    spark = connect(server.url)
    spark.range(3).write.saveAsTable("kept")
    end(spark)
    server.kill()
    directory = pathlib.Path(folder("spark-warehouse"))
    definition = json.loads((directory / "_millstream" / "kept.json").read_text())
    assert definition["provider"] == "parquet" and definition["location"] == str(directory / "kept")
    spark = connect(own_server().url)
    assert tuples(spark.table("kept")) == [(0,), (1,), (2,)]
    end(spark)
