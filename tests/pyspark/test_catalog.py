"""`spark.catalog` and SQL statements about tables."""

import pytest
from pyspark.errors import AnalysisException, PySparkException


@pytest.fixture
def table(spark):
    """A table `kept` with two rows."""
    spark.sql("DROP TABLE IF EXISTS kept")
    spark.sql("CREATE TABLE kept (id INT, v STRING) USING parquet")
    spark.sql("INSERT INTO kept VALUES (1, 'a'), (2, 'b')")
    yield "kept"
    spark.catalog.clearCache()
    spark.sql("DROP TABLE IF EXISTS kept")


def rows(spark, query):
    return [tuple(row) for row in spark.sql(query).collect()]


def test_a_cached_table_is_cached_until_it_is_not(spark, table):
    assert not spark.catalog.isCached(table)
    spark.catalog.cacheTable(table)
    assert spark.catalog.isCached(table) and spark.catalog.isCached("default.kept")
    assert rows(spark, "SELECT count(*) FROM kept") == [(2,)]
    spark.catalog.uncacheTable(table)
    assert not spark.catalog.isCached(table)
    spark.catalog.uncacheTable(table)
    spark.catalog.cacheTable(table)
    spark.catalog.clearCache()
    assert not spark.catalog.isCached(table)


def test_rows_written_into_a_cached_table_are_seen(spark, table):
    spark.catalog.cacheTable(table)
    assert rows(spark, "SELECT count(*) FROM kept") == [(2,)]
    spark.sql("INSERT INTO kept VALUES (3, 'c')")
    assert rows(spark, "SELECT count(*) FROM kept") == [(3,)]


def test_a_refreshed_table_stays_cached(spark, table):
    spark.catalog.cacheTable(table)
    spark.catalog.refreshTable(table)
    assert spark.catalog.isCached(table)
    assert rows(spark, "SELECT count(*) FROM kept") == [(2,)]


def test_views_are_cached_by_name(spark):
    spark.range(3).createOrReplaceTempView("three")
    spark.catalog.cacheTable("three")
    assert spark.catalog.isCached("three")
    assert rows(spark, "SELECT sum(id) FROM three") == [(3,)]
    spark.catalog.uncacheTable("three")
    assert not spark.catalog.isCached("three")


@pytest.mark.parametrize("call", ["cacheTable", "uncacheTable", "isCached", "refreshTable"])
def test_a_table_that_is_not_there(spark, call):
    with pytest.raises(AnalysisException) as refused:
        getattr(spark.catalog, call)("no_such_table")
    assert refused.value.getCondition() == "TABLE_OR_VIEW_NOT_FOUND"


def test_cache_statements(spark, table):
    spark.sql("CACHE TABLE kept")
    assert spark.catalog.isCached("kept")
    spark.sql("UNCACHE TABLE kept")
    assert not spark.catalog.isCached("kept")
    spark.sql("CACHE LAZY TABLE big AS SELECT * FROM kept WHERE id > 1")
    assert spark.catalog.isCached("big") and rows(spark, "SELECT id FROM big") == [(2,)]
    spark.sql("CLEAR CACHE")
    assert not spark.catalog.isCached("big")
    spark.catalog.dropTempView("big")
    spark.sql("UNCACHE TABLE IF EXISTS nothing_here")
    spark.sql("REFRESH TABLE kept")
    with pytest.raises(PySparkException):
        spark.sql("CACHE TABLE nothing_here")


def test_show_statements(spark, table):
    assert ("default",) in rows(spark, "SHOW DATABASES")
    assert rows(spark, "SHOW SCHEMAS LIKE 'no_such*'") == []
    assert ("spark_catalog",) in rows(spark, "SHOW CATALOGS")
    assert rows(spark, "SHOW CURRENT NAMESPACE") == [("spark_catalog", "default")]
    assert rows(spark, "SHOW COLUMNS IN kept") == [("id",), ("v",)]
    assert rows(spark, "SHOW COLUMNS FROM kept FROM default") == [("id",), ("v",)]
    spark.sql("USE default")
    with pytest.raises(AnalysisException) as refused:
        spark.sql("USE no_such_database")
    assert refused.value.getCondition() == "SCHEMA_NOT_FOUND"


def test_columns_and_properties_of_a_table_change(spark, table):
    spark.sql("ALTER TABLE kept ADD COLUMNS (w DOUBLE COMMENT 'new')")
    assert rows(spark, "DESCRIBE kept") == [("id", "int", None), ("v", "string", None), ("w", "double", "new")]
    assert rows(spark, "SELECT * FROM kept ORDER BY id") == [(1, "a", None), (2, "b", None)]
    spark.sql("INSERT INTO kept VALUES (3, 'c', 0.5)")
    assert rows(spark, "SELECT w FROM kept ORDER BY id") == [(None,), (None,), (0.5,)]
    with pytest.raises(AnalysisException):
        spark.sql("ALTER TABLE kept ADD COLUMNS (v INT)")
    spark.sql("ALTER TABLE kept SET TBLPROPERTIES ('a' = 'b', c.d = 1)")
    assert rows(spark, "SHOW TBLPROPERTIES kept ('a')") == [("a", "b")]
    assert {("a", "b"), ("c.d", "1")} <= set(rows(spark, "SHOW TBLPROPERTIES kept"))
    spark.sql("ALTER TABLE kept UNSET TBLPROPERTIES IF EXISTS ('a')")
    assert "does not have property" in rows(spark, "SHOW TBLPROPERTIES kept ('a')")[0][1]


def test_partition_columns_are_described(spark):
    spark.sql("DROP TABLE IF EXISTS parted")
    spark.sql("CREATE TABLE parted (id INT, day STRING) USING json PARTITIONED BY (day)")
    described = rows(spark, "DESCRIBE TABLE parted")
    assert described[:2] == [("id", "int", None), ("day", "string", None)]
    assert described[2:] == [("# Partition Information", "", ""), ("# col_name", "data_type", "comment"), ("day", "string", None)]
    spark.sql("DROP TABLE parted")


def test_databases_and_catalogs(spark):
    (default,) = [d for d in spark.catalog.listDatabases() if d.name == "default"]
    assert (default.catalog, default.description) == ("spark_catalog", "default database")
    assert default.locationUri.startswith("file:") and spark.catalog.getDatabase("default") == default
    assert spark.catalog.listDatabases("no_such*") == []
    assert "spark_catalog" in [catalog.name for catalog in spark.catalog.listCatalogs()]
    with pytest.raises(AnalysisException) as refused:
        spark.catalog.getDatabase("no_such_database")
    assert refused.value.getCondition() == "SCHEMA_NOT_FOUND"
