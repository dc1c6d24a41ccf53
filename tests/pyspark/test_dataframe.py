"""DataFrames: from the client's plan to rows, text and pandas."""

import datetime
import decimal

import pandas as pd
import pytest
from pyspark.sql import Row, functions as F
from pyspark.sql.types import (
    ArrayType,
    IntegerType,
    LongType,
    StructField,
    StructType,
)
from streaming import tuples

PEOPLE = [("Ann", 31, 1.5), ("Bob", 25, None), ("Cid", None, 2.25), ("Ann", 40, 0.0)]


@pytest.fixture
def people(spark):
    return spark.createDataFrame(PEOPLE, "name string, age int, score double")


def test_range_and_collect(spark):
    assert [row.id for row in spark.range(5).collect()] == [0, 1, 2, 3, 4]
    assert [row.id for row in spark.range(10, 0, -3).collect()] == [10, 7, 4, 1]
    assert spark.range(3).schema == StructType([StructField("id", LongType(), False)])


def test_to_pandas(people):
    frame = people.toPandas()
    assert list(frame.columns) == ["name", "age", "score"]
    assert frame["name"].tolist() == ["Ann", "Bob", "Cid", "Ann"]
    assert frame["score"].isna().tolist() == [False, True, False, False]


def test_to_arrow(people):
    table = people.toArrow()
    assert table.num_rows == 4
    assert table.column("age").to_pylist() == [31, 25, None, 40]


def test_all_types_come_back_as_they_went(spark):
    schema = (
        "b boolean, y tinyint, s smallint, i int, l bigint, f float, d double, c decimal(10,2), t string, x binary,"
        " dt date, ts timestamp, tn timestamp_ntz, a array<int>, m map<string,int>, st struct<u:int,v:string>"
    )
    row = (
        True, 1, 2, 3, 4, 0.5, 0.25, decimal.Decimal("12.34"), "text", bytearray(b"\x00\xff"),
        datetime.date(2024, 2, 29), datetime.datetime(2024, 1, 1, 12, 0, 0, 123456),
        datetime.datetime(2024, 1, 1, 12), [1, None], {"k": 1}, Row(u=1, v="w"),
    )  # fmt: skip
    nothing = (None,) * len(row)
    frame = spark.createDataFrame([row, nothing], schema)
    assert frame.schema.simpleString() == (
        "struct<b:boolean,y:tinyint,s:smallint,i:int,l:bigint,f:float,d:double,c:decimal(10,2),t:string,x:binary,"
        "dt:date,ts:timestamp,tn:timestamp_ntz,a:array<int>,m:map<string,int>,st:struct<u:int,v:string>>"
    )
    first, second = frame.collect()
    assert tuple(first) == row
    assert tuple(second) == nothing


def test_show(people, capsys):
    people.show()
    assert capsys.readouterr().out == (
        "+----+----+-----+\n"
        "|name| age|score|\n"
        "+----+----+-----+\n"
        "| Ann|  31|  1.5|\n"
        "| Bob|  25| NULL|\n"
        "| Cid|NULL| 2.25|\n"
        "| Ann|  40|  0.0|\n"
        "+----+----+-----+\n\n"
    )


def test_show_fewer_rows_truncated_and_vertical(spark, capsys):
    frame = spark.createDataFrame([("a long text that is cut", 1e7), ("ö", 123456789.123)], "t string, d double")
    frame.show(1)
    frame.show(2, truncate=5)
    frame.show(2, truncate=False)
    frame.show(1, vertical=True)
    assert capsys.readouterr().out == (
        "+--------------------+-----+\n"
        "|                   t|    d|\n"
        "+--------------------+-----+\n"
        "|a long text that ...|1.0E7|\n"
        "+--------------------+-----+\n"
        "only showing top 1 row\n"
        "+-----+-----+\n"
        "|    t|    d|\n"
        "+-----+-----+\n"
        "|a ...|1.0E7|\n"
        "|    ö|1....|\n"
        "+-----+-----+\n\n"
        "+-----------------------+---------------+\n"
        "|t                      |d              |\n"
        "+-----------------------+---------------+\n"
        "|a long text that is cut|1.0E7          |\n"
        "|ö                      |1.23456789123E8|\n"
        "+-----------------------+---------------+\n\n"
        "-RECORD 0-------------------\n"
        " t   | a long text that ... \n"
        " d   | 1.0E7                \n"
        "only showing top 1 row\n"
    )


def test_show_nested_values(spark, capsys):
    spark.sql(
        "SELECT array(1, null) a, map('k', 1.5D) m, named_struct('u', 1, 'v', 'x') s, X'00FF' b,"
        " timestamp'2024-01-01 00:00:00' t, date'2024-01-01' d, CAST(1.50 AS decimal(5,2)) c, true o"
    ).show(truncate=False)
    assert capsys.readouterr().out == (
        "+---------+----------+------+-------+-------------------+----------+----+----+\n"
        "|a        |m         |s     |b      |t                  |d         |c   |o   |\n"
        "+---------+----------+------+-------+-------------------+----------+----+----+\n"
        "|[1, NULL]|{k -> 1.5}|{1, x}|[00 FF]|2024-01-01 00:00:00|2024-01-01|1.50|true|\n"
        "+---------+----------+------+-------+-------------------+----------+----+----+\n\n"
    )


def test_print_schema(spark, capsys):
    spark.sql("SELECT 1 a, array(named_struct('u', 'x')) b").printSchema()
    assert capsys.readouterr().out == (
        "root\n |-- a: integer (nullable = false)\n |-- b: array (nullable = false)\n"
        " |    |-- element: struct (containsNull = false)\n |    |    |-- u: string (nullable = false)\n\n"
    )


def test_create_data_frame_from_pandas(spark):
    frame = spark.createDataFrame(pd.DataFrame({"k": ["a", "b"], "v": [1.5, 2.5]}))
    assert frame.schema.simpleString() == "struct<k:string,v:double>"
    assert tuples(frame) == [("a", 1.5), ("b", 2.5)]


def test_create_data_frame_over_a_mebibyte(spark):
    rows = [(i, f"{i:040d}") for i in range(40_000)]
    frame = spark.createDataFrame(rows, "id long, text string")
    assert frame.count() == 40_000
    assert frame.agg(F.sum("id"), F.min("text"), F.max("text")).collect() == [
        (sum(range(40_000)), f"{0:040d}", f"{39_999:040d}")
    ]


def test_a_large_result_arrives_whole(spark):
    rows = spark.range(300_000).select("id", F.concat(F.lit("text-"), F.col("id").cast("string")).alias("t")).collect()
    assert len(rows) == 300_000
    assert sum(row.id for row in rows) == 299_999 * 300_000 // 2


def test_projections(people):
    frame = people.select(F.col("name"), (F.col("age") + 1).alias("next"), "score").withColumn("twice", F.col("score") * 2)
    assert frame.columns == ["name", "next", "score", "twice"]
    assert tuples(frame.drop("name", "score")) == [(26, None), (32, 3.0), (41, 0.0), (None, 4.5)]
    assert people.withColumnRenamed("name", "who").columns == ["who", "age", "score"]
    assert people.toDF("a", "b", "c").columns == ["a", "b", "c"]
    assert people.selectExpr("name || '!' AS loud").first() == ("Ann!",)


def test_filters(people):
    assert tuples(people.filter("age > 30").select("age")) == [(31,), (40,)]
    assert people.where(F.col("age").isNull()).count() == 1
    assert people.filter(F.col("name").isin("Bob", "Cid")).count() == 2
    assert people.filter(F.col("name").like("%n%") & ~(F.col("age") == 40)).count() == 1
    assert people.filter(F.col("age").between(25, 31)).count() == 2


def test_aggregates(people):
    frame = people.groupBy("name").agg(F.count("*").alias("n"), F.sum("age"), F.avg("score"), F.max("age"))
    assert frame.columns == ["name", "n", "sum(age)", "avg(score)", "max(age)"]
    assert tuples(frame) == [("Ann", 2, 71, 0.75, 40), ("Bob", 1, 25, None, 25), ("Cid", 1, None, 2.25, None)]
    assert people.groupBy().sum().columns == ["sum(age)", "sum(score)"]
    assert people.agg({"age": "max"}).first() == (40,)
    assert people.select(F.countDistinct("name")).first() == (3,)


def test_joins(spark, people):
    cities = spark.createDataFrame([("Ann", "Oslo"), ("Dan", "Rome")], "name string, city string")
    assert tuples(people.join(cities, "name").select("name", "city")) == [("Ann", "Oslo"), ("Ann", "Oslo")]
    assert people.join(cities, "name", "left").filter("city is null").count() == 2
    assert people.join(cities, "name", "full").count() == 5
    assert people.join(cities, "name", "left_semi").count() == 2
    assert people.join(cities, "name", "left_anti").columns == ["name", "age", "score"]
    on = people.join(cities, people.name == cities.name)
    assert on.columns == ["name", "age", "score", "name", "city"]
    assert tuples(on.select(cities.name, people.age)) == [("Ann", 31), ("Ann", 40)]
    assert people.crossJoin(cities).count() == 8


def test_sorting_and_limits(people):
    assert [r.age for r in people.orderBy("age").collect()] == [None, 25, 31, 40]
    assert [r.age for r in people.orderBy(F.col("age").desc()).collect()] == [40, 31, 25, None]
    assert [r.age for r in people.orderBy(F.col("age").asc_nulls_last()).limit(2).collect()] == [25, 31]
    assert [r.name for r in people.sort("name", "age").collect()] == ["Ann", "Ann", "Bob", "Cid"]
    assert people.limit(0).collect() == []
    assert [r.id for r in people.sparkSession.range(10).offset(7).collect()] == [7, 8, 9]


def test_sets_and_duplicates(spark):
    a = spark.createDataFrame([(1,), (2,), (2,), (3,)], "v int")
    b = spark.createDataFrame([(2,), (4,)], "v int")
    assert tuples(a.union(b)) == [(1,), (2,), (2,), (2,), (3,), (4,)]
    assert tuples(a.distinct()) == [(1,), (2,), (3,)]
    assert tuples(a.dropDuplicates(["v"])) == [(1,), (2,), (3,)]
    assert tuples(a.intersect(b)) == [(2,)]
    assert tuples(a.subtract(b)) == [(1,), (3,)]
    left, right = a.selectExpr("v", "'x' w"), b.selectExpr("'y' w", "v")
    assert tuples(left.unionByName(right).filter("w = 'y'")) == [(2, "y"), (4, "y")]


def test_describe_and_nulls(people):
    described = people.describe("age")
    for _ in range(5):
        assert [row.summary for row in described.collect()] == ["count", "mean", "stddev", "min", "max"]
        assert [row.summary for row in described.head(2)] == ["count", "mean"]
    assert [tuple(row) for row in described.filter("summary in ('count', 'min', 'max')").collect()] == [
        ("count", "3"),
        ("min", "25"),
        ("max", "40"),
    ]
    assert people.na.drop().count() == 2
    assert people.fillna(0, ["age"]).filter("age = 0").count() == 1


def test_sample_is_stable(spark):
    frame = spark.range(1000).sample(0.5, seed=7)
    assert frame.count() == frame.count()
    assert 350 < frame.count() < 650


def test_arithmetic_has_spark_types(spark):
    frame = spark.sql("SELECT 7 / 2 a, 7 % 3 b, -7 % 3 c, 2 * 3L d, 1.5 + 1 e, 1 / 3.0 f, 7 div 2 g")
    assert frame.schema.simpleString() == (
        "struct<a:double,b:int,c:int,d:bigint,e:decimal(3,1),f:decimal(8,6),g:bigint>"
    )
    assert tuple(frame.first()) == (3.5, 1, -1, 6, decimal.Decimal("2.5"), decimal.Decimal("0.333333"), 3)
    power = spark.range(1).select((F.lit(3) ** 2).alias("p"), (F.lit(2.0) ** 0.5).alias("r"))
    assert tuple(power.first()) == (9.0, 2.0**0.5)


def test_null_logic(spark):
    row = spark.sql("SELECT null = 1 a, null <=> null b, null and false c, coalesce(null, 2) d, nullif(1, 1) e").first()
    assert tuple(row) == (None, True, False, 2, None)


def test_conditionals(people):
    frame = people.select(F.when(F.col("age") > 30, "old").when(F.col("age") > 20, "young").otherwise("?").alias("w"))
    assert [r.w for r in frame.collect()] == ["old", "young", "?", "old"]


def test_casts_under_ansi(spark):
    assert tuple(spark.sql("SELECT cast('12' as int), cast(1.9D as int), cast('2024-01-01' as date)").first()) == (
        12, 1, datetime.date(2024, 1, 1),
    )  # fmt: skip
    with pytest.raises(Exception, match="CAST_INVALID_INPUT"):
        spark.sql("SELECT cast('1493733882409' as timestamp)").collect()
    spark.conf.set("spark.sql.ansi.enabled", "false")
    assert spark.sql("SELECT cast('1493733882409' as timestamp)").first()[0] is None
    assert spark.sql("SELECT cast('x' as int)").first()[0] is None


def test_try_cast(spark):
    assert tuple(spark.sql("SELECT try_cast('x' as int), try_cast('7' as int)").first()) == (None, 7)


def test_division_by_zero(spark):
    with pytest.raises(Exception, match="DIVIDE_BY_ZERO"):
        spark.sql("SELECT 1 / 0").collect()
    spark.conf.set("spark.sql.ansi.enabled", "false")
    assert spark.sql("SELECT 1 / 0").first()[0] is None


def test_overflow(spark):
    with pytest.raises(Exception, match="ARITHMETIC_OVERFLOW"):
        spark.sql("SELECT 9223372036854775807 + 1").collect()


def test_string_functions(spark):
    row = spark.sql(
        "SELECT upper('aB') a, lower('aB') b, length('ö') c, trim(' x ') d, substring('hello', 2, 3) e,"
        " concat('a', 'b') f, split('a,b,c', ',') g, regexp_replace('a1b2', '[0-9]', '#') h, lpad('7', 3, '0') i,"
        " instr('hello', 'l') j, initcap('ab cd') k, reverse('abc') l, regexp_extract('k=v', '(.)=(.)', 2) m,"
        " concat_ws('-', 'a', null, 'b') n, repeat('ab', 2) o, startswith('abc', 'ab') p"
    ).first()
    assert tuple(row) == (
        "AB", "ab", 1, "x", "ell", "ab", ["a", "b", "c"], "a#b#", "007", 3, "Ab Cd", "cba", "v", "a-b", "abab", True,
    )  # fmt: skip


def test_date_functions(spark):
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    row = spark.sql(
        "SELECT year(t) y, month(t) m, dayofmonth(t) d, hour(t) h, minute(t) n, second(t) s, date_format(t, 'yyyy/MM/dd') f,"
        " cast(date_trunc('hour', t) as string) g, cast(to_date(t) as string) i, datediff(t, '2024-01-01') j,"
        " cast(date_add(t, 1) as string) k, unix_timestamp(t) l, dayofweek(t) o, cast(t + interval 1 hour as string) p,"
        " cast(to_timestamp('2024/02/03', 'yyyy/MM/dd') as string) q"
        " FROM (SELECT timestamp'2024-02-29 13:45:59' t)"
    ).first()
    assert tuple(row) == (
        2024, 2, 29, 13, 45, 59, "2024/02/29", "2024-02-29 13:00:00", "2024-02-29", 59, "2024-03-01", 1709214359, 5,
        "2024-02-29 14:45:59", "2024-02-03 00:00:00",
    )  # fmt: skip


def test_math_functions(spark):
    row = spark.sql(
        "SELECT abs(-1) a, round(2.5D) b, round(1.235, 2) c, floor(-1.5D) d, ceil(1.2D) e, sqrt(9) f, pow(2, 3) g,"
        " greatest(1, 3, 2) h, least(1, null, 2) i, sign(-2.0D) j, pmod(-7, 3) k"
    ).first()
    assert tuple(row) == (1, 3.0, decimal.Decimal("1.24"), -2, 2, 3.0, 8.0, 3, 1, -1.0, 2)


def test_collections(spark):
    frame = spark.createDataFrame([([3, 1, 2],), ([],), (None,)], StructType([StructField("a", ArrayType(IntegerType()))]))
    measured = frame.select(F.size("a"), F.array_contains("a", 1), F.sort_array("a"))
    assert [tuple(r) for r in measured.collect()] == [
        (3, True, [1, 2, 3]),
        (0, False, []),
        (None, None, None),
    ]
    assert tuples(frame.select(F.explode("a").alias("v"))) == [(1,), (2,), (3,)]


def test_window_in_a_batch(spark):
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    frame = spark.sql("SELECT timestamp_seconds(v) t, v FROM VALUES (1), (9), (10), (25) AS d(v)")
    tumbling = frame.groupBy(F.window("t", "10 seconds")).agg(F.sum("v").alias("s"))
    assert tumbling.select("window.start", "window.end").schema.simpleString() == "struct<start:timestamp,end:timestamp>"
    assert tuples(tumbling.selectExpr("unix_timestamp(window.start)", "unix_timestamp(window.end)", "s")) == [
        (0, 10, 10),
        (10, 20, 10),
        (20, 30, 25),
    ]
    sliding = frame.groupBy(F.window("t", "20 seconds", "10 seconds")).count()
    assert tuples(sliding.selectExpr("unix_timestamp(window.start)", "count")) == [(-10, 2), (0, 3), (10, 2), (20, 1)]
    shifted = frame.groupBy(F.window("t", "10 seconds", "10 seconds", "5 seconds")).count()
    assert tuples(shifted.selectExpr("unix_timestamp(window.start)", "count")) == [(-5, 1), (25, 1), (5, 2)]


def test_window_time(spark):
    frame = spark.sql("SELECT timestamp_seconds(7) t").groupBy(F.window("t", "10 seconds")).count()
    assert tuples(frame.select(F.window_time("window").alias("w")).selectExpr("unix_micros(w)")) == [(9_999_999,)]


def test_sql_with_views_and_parameters(spark, people):
    people.createOrReplaceTempView("people")
    assert tuples(spark.sql("SELECT name, count(*) AS n FROM people GROUP BY name HAVING count(*) > 1")) == [("Ann", 2)]
    assert spark.sql("SELECT * FROM people WHERE age > :least", args={"least": 35}).count() == 1
    assert spark.sql("SELECT * FROM {f} LIMIT 2", f=people).count() == 2
    assert tuples(
        spark.sql("WITH a AS (SELECT name, max(age) m FROM people GROUP BY name) SELECT a.name FROM a JOIN people p"
                  " ON a.name = p.name AND a.m = p.age ORDER BY 1")
    ) == [("Ann",), ("Bob",)]  # fmt: skip
    assert spark.catalog.dropTempView("people")
    assert not spark.catalog.dropTempView("people")


def test_views_can_be_replaced_and_not_created_twice(spark):
    spark.range(1).createTempView("v")
    with pytest.raises(Exception, match="TEMP_TABLE_OR_VIEW_ALREADY_EXISTS"):
        spark.range(2).createTempView("v")
    spark.range(3).createOrReplaceTempView("v")
    assert spark.table("v").count() == 3


def test_duplicate_names_are_allowed_until_they_are_asked_for(spark):
    frame = spark.range(1).selectExpr("id a", "id + 1 a")
    assert tuple(frame.first()) == (0, 1)
    with pytest.raises(Exception, match="AMBIGUOUS_REFERENCE"):
        frame.select("a").collect()


def test_is_streaming_and_schema_strings(spark):
    assert not spark.range(1).isStreaming
    assert spark.readStream.format("rate").load().isStreaming
    assert spark.readStream.format("rate").load().schema.simpleString() == "struct<timestamp:timestamp,value:bigint>"


def test_explain_names_the_plan(people, capsys):
    people.filter("age > 1").explain()
    assert "Physical Plan" in capsys.readouterr().out


def test_repartition_keeps_rows(spark):
    assert spark.range(100).repartition(4).count() == 100
    assert spark.range(100).coalesce(1).count() == 100


def test_deep_plans(spark):
    frame = spark.range(1)
    for i in range(150):
        frame = frame.withColumn(f"c{i % 5}", F.lit(i))
    assert len(frame.collect()[0]) == 6
    total = F.lit(0)
    for i in range(45):  # the client itself gives up on deeper expressions
        total = total + F.lit(i)
    assert spark.range(1).select(total).first()[0] == sum(range(45))
    assert spark.sql(f"SELECT {' + '.join(map(str, range(400)))}").first()[0] == sum(range(400))
