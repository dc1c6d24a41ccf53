"""Reading and writing files in batches."""

import pathlib

import pytest
from streaming import lines, tuples, visible


def test_csv_there_and_back(spark, folder):
    frame = spark.createDataFrame([("a,b", 1, 1.5), ('q"q', None, 1e7), ("", 3, None)], "t string, i int, d double")
    frame.coalesce(1).write.csv(folder("out"))
    assert pathlib.Path(folder("out", "_SUCCESS")).exists()
    (part,) = visible(folder("out"))
    assert pathlib.Path(part).name.endswith("-c000.csv")
    assert lines(folder("out")) == ['"",3,', '"a,b",1,1.5', '"q\\"q",,1.0E7']
    assert tuples(spark.read.schema("t string, i int, d double").csv(folder("out"))) == tuples(
        frame.selectExpr("nullif(t, '') t", "i", "d")
    )


def test_csv_header_separator_and_inference(spark, folder):
    pathlib.Path(folder("in")).mkdir()
    pathlib.Path(folder("in", "a.csv")).write_text("id;name;score\n1;Ann;1.5\n2;Bob;\n")
    frame = spark.read.option("header", True).option("sep", ";").option("inferSchema", True).csv(folder("in"))
    assert frame.schema.simpleString() == "struct<id:int,name:string,score:double>"
    assert tuples(frame) == [(1, "Ann", 1.5), (2, "Bob", None)]
    plain = spark.read.csv(folder("in", "a.csv"), sep=";")
    assert plain.columns == ["_c0", "_c1", "_c2"]
    assert plain.count() == 3


def test_json_there_and_back(spark, folder):
    frame = spark.sql("SELECT 1 a, 'x' b, named_struct('u', 1.5D) c, array(1, 2) d, cast(null as string) e")
    frame.coalesce(1).write.json(folder("out"))
    assert lines(folder("out")) == ['{"a":1,"b":"x","c":{"u":1.5},"d":[1,2]}']
    read = spark.read.json(folder("out"))
    assert read.schema.simpleString() == "struct<a:bigint,b:string,c:struct<u:double>,d:array<bigint>>"
    assert tuples(read) == [(1, "x", (1.5,), [1, 2])]


def test_parquet_there_and_back(spark, folder):
    frame = spark.sql(
        "SELECT id, cast(id as string) t, timestamp_seconds(id) s, cast(id as decimal(10,2)) c, array(id) a FROM range(100)"
    )
    frame.write.parquet(folder("out"))
    assert all(name.endswith(".snappy.parquet") for name in visible(folder("out")))
    read = spark.read.parquet(folder("out"))
    assert read.schema.simpleString() == frame.schema.simpleString()
    assert tuples(read) == tuples(frame)


def test_text_there_and_back(spark, folder):
    spark.createDataFrame([("one",), ("zwö",)], "value string").coalesce(1).write.text(folder("out"))
    assert lines(folder("out")) == ["one", "zwö"]
    assert tuples(spark.read.text(folder("out"))) == [("one",), ("zwö",)]


def test_save_modes(spark, folder):
    one, two = spark.range(1), spark.range(2)
    one.write.csv(folder("out"))
    with pytest.raises(Exception, match="PATH_ALREADY_EXISTS"):
        one.write.csv(folder("out"))
    one.write.mode("ignore").csv(folder("out"))
    assert lines(folder("out")) == ["0"]
    two.write.mode("append").csv(folder("out"))
    assert lines(folder("out")) == ["0", "0", "1"]
    two.write.mode("overwrite").csv(folder("out"))
    assert lines(folder("out")) == ["0", "1"]


def test_partition_by(spark, folder):
    frame = spark.createDataFrame([(1, "a", "x/y"), (2, "b", None), (3, "a", "x/y")], "v int, k string, w string")
    frame.write.partitionBy("k", "w").csv(folder("out"))
    folders = sorted({str(pathlib.Path(p).parent.relative_to(folder("out"))) for p in visible(folder("out"))})
    assert folders == ["k=a/w=x%2Fy", "k=b/w=__HIVE_DEFAULT_PARTITION__"]
    read = spark.read.schema("v int").csv(folder("out"))
    assert read.columns == ["v", "k", "w"]
    assert tuples(read) == [(1, "a", "x/y"), (2, "b", None), (3, "a", "x/y")]


def test_globs_and_several_paths(spark, folder):
    for name in ("a", "b", "c"):
        spark.createDataFrame([(name,)], "t string").coalesce(1).write.csv(folder("in", name))
    assert tuples(spark.read.csv(folder("in", "[ab]", "part-*.csv"))) == [("a",), ("b",)]
    assert tuples(spark.read.csv([folder("in", "a"), folder("in", "c")])) == [("a",), ("c",)]


def test_a_path_that_does_not_exist(spark, folder):
    with pytest.raises(Exception, match="PATH_NOT_FOUND") as error:
        spark.read.csv(folder("nowhere", "part-*.csv")).collect()
    assert "nowhere" in str(error.value)


def test_hidden_files_are_not_read(spark, folder):
    pathlib.Path(folder("in")).mkdir()
    for name in ("_hidden.csv", ".hidden.csv", "seen.csv"):
        pathlib.Path(folder("in", name)).write_text(f"{name}\n")
    assert tuples(spark.read.csv(folder("in"))) == [("seen.csv",)]


SCHEMA = "a int, b int, bad string"


@pytest.fixture
def malformed(folder):
    pathlib.Path(folder("in")).mkdir()
    pathlib.Path(folder("in", "a.csv")).write_text("1,2\nx,3\n4\n5,6,7\n")
    pathlib.Path(folder("in", "b.json")).write_text('{"a":1,"b":2}\n{"a":"x","b":3}\n{"a":\n')
    return folder("in")


def test_malformed_csv_permissive(spark, malformed):
    frame = spark.read.schema(SCHEMA).option("columnNameOfCorruptRecord", "bad").csv(f"{malformed}/a.csv")
    assert tuples(frame) == [(1, 2, None), (4, None, "4"), (5, 6, "5,6,7"), (None, 3, "x,3")]
    plain = spark.read.schema("a int, b int").csv(f"{malformed}/a.csv")
    assert tuples(plain) == [(1, 2), (4, None), (5, 6), (None, 3)]


def test_malformed_csv_drop(spark, malformed):
    frame = spark.read.schema("a int, b int").option("mode", "DROPMALFORMED").csv(f"{malformed}/a.csv")
    assert tuples(frame) == [(1, 2)]


def test_malformed_csv_failfast(spark, malformed):
    frame = spark.read.schema("a int, b int").option("mode", "FAILFAST").csv(f"{malformed}/a.csv")
    with pytest.raises(Exception) as failed:
        frame.collect()
    assert failed.value.getCondition() == "FAILED_READ_FILE.NO_HINT"
    assert "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record parsing: [null,3]." in str(failed.value)


def test_malformed_json_modes(spark, malformed):
    path = f"{malformed}/b.json"
    frame = spark.read.schema(SCHEMA).option("columnNameOfCorruptRecord", "bad").json(path)
    assert tuples(frame) == [(1, 2, None), (None, 3, '{"a":"x","b":3}'), (None, None, '{"a":')]
    assert tuples(spark.read.schema("a int, b int").option("mode", "DROPMALFORMED").json(path)) == [(1, 2)]
    with pytest.raises(Exception) as failed:
        spark.read.schema("a int, b int").option("mode", "FAILFAST").json(path).collect()
    assert failed.value.getCondition() == "FAILED_READ_FILE.NO_HINT"
    assert "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record parsing: [null,3]." in str(failed.value)


def test_files_are_chosen_by_name_and_time(spark, folder):
    for name in ("a.csv", "b.txt", "sub/c.csv"):
        path = pathlib.Path(folder("in")) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1\n")
    reader = spark.read.schema("a int").option("pathGlobFilter", "*.csv")
    assert reader.csv(folder("in")).count() == 1
    assert reader.option("recursiveFileLookup", "true").csv(folder("in")).count() == 2
    assert spark.read.schema("a int").option("modifiedAfter", "2050-01-01T00:00:00").csv(folder("in")).count() == 0
    assert spark.read.schema("a int").option("modifiedBefore", "2050-01-01T00:00:00").csv(folder("in")).count() == 2
    with pytest.raises(Exception, match="'modifiedafter' option is invalid"):
        spark.read.schema("a int").option("modifiedAfter", "x").csv(folder("in")).count()


def test_files_that_cannot_be_read_are_passed_over_where_asked(spark, folder):
    directory = pathlib.Path(folder("in"))
    directory.mkdir()
    (directory / "a.csv").write_text("1\n")
    (directory / "b.csv.gz").write_bytes(b"\x1f\x8bno gzip at all")
    reader = spark.read.schema("a int")
    with pytest.raises(Exception, match="FAILED_READ_FILE"):
        reader.csv(folder("in")).collect()
    assert tuples(reader.option("ignoreCorruptFiles", "true").csv(folder("in"))) == [(1,)]
    (directory / "b.csv.gz").unlink()
    frame = spark.read.schema("a int").option("ignoreMissingFiles", "true").csv(folder("in"))
    strict = spark.read.schema("a int").csv(folder("in"))
    frame.schema, strict.schema  # listed when they are analysed
    assert tuples(frame) == [(1,)]


def test_two_columns_of_one_name_are_refused(spark, folder):
    twice = spark.range(1).selectExpr("id", "id AS ID")
    for write in (twice.write.json, twice.write.parquet):
        with pytest.raises(Exception, match=r"\[COLUMN_ALREADY_EXISTS\] The column `id` already exists"):
            write(folder("out"))
    twice.write.csv(folder("csv"))
    assert lines(folder("csv")) == ["0,0"]


def test_options_spark_does_not_know_are_ignored(spark, folder):
    spark.range(1).write.format("json").option("header", "false").save(folder("out"))
    assert lines(folder("out")) == ['{"id":0}']


def test_compression(spark, folder):
    spark.range(3).coalesce(1).write.option("compression", "gzip").csv(folder("out"))
    assert visible(folder("out"))[0].endswith(".csv.gz")
    assert spark.read.csv(folder("out")).count() == 3


def test_save_with_format_and_path_option(spark, folder):
    spark.range(2).write.format("csv").option("path", folder("out")).save()
    assert spark.read.format("csv").load(folder("out")).count() == 2


def test_timestamps_in_csv(spark, folder):
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.sql("SELECT timestamp'2024-01-01 00:00:00' t, timestamp'2024-01-01 00:00:00.123456' u").write.csv(folder("out"))
    assert lines(folder("out")) == ["2024-01-01T00:00:00.000Z,2024-01-01T00:00:00.123Z"]
    read = spark.read.schema("t timestamp, u timestamp").csv(folder("out"))
    assert tuples(read.selectExpr("unix_micros(t)", "unix_micros(u)")) == [(1704067200000000, 1704067200123000)]
