"""Files as streams: in, out, and what the logs say."""

import json
import pathlib

import pytest
from pyspark.errors import AnalysisException
from streaming import lines, log, put, tuples, visible


def magnitudes(spark, source: str):
    return (
        spark.readStream.schema("time string, pid string, x double, y double")
        .csv(source)
        .selectExpr("time", "pid", "(x * x + y * y) m")
    )


def to_csv(frame, folder, **options):
    writer = frame.writeStream.format("csv").option("path", folder("out")).option("checkpointLocation", folder("cp"))
    for key, value in options.items():
        writer = writer.option(key, value)
    return writer


def test_csv_to_csv(spark, folder):
    put(folder("in"), "a.csv", "1,ann,3,4", "2,bob,0,1")
    query = to_csv(magnitudes(spark, folder("in")), folder).start()
    query.processAllAvailable()
    assert lines(folder("out")) == ["1,ann,25.0", "2,bob,1.0"]
    put(folder("in"), "b.csv", "3,cid,1,1")
    query.processAllAvailable()
    query.stop()
    assert lines(folder("out")) == ["1,ann,25.0", "2,bob,1.0", "3,cid,2.0"]


def test_the_checkpoint_is_spark_text(spark, folder):
    put(folder("in"), "a.csv", "1,ann,3,4")
    query = to_csv(magnitudes(spark, folder("in")), folder).start()
    query.processAllAvailable()
    put(folder("in"), "b.csv", "3,cid,1,1")
    query.processAllAvailable()
    query.stop()
    assert json.loads(pathlib.Path(folder("cp", "metadata")).read_text()) == {"id": query.id}
    offsets, commits = log(folder("cp", "offsets")), log(folder("cp", "commits"))
    assert list(offsets) == [0, 1] and list(commits) == [0, 1]
    version, header, offset = offsets[1]
    assert version == "v1" and offset == {"logOffset": 1}
    assert set(header) == {"batchWatermarkMs", "batchTimestampMs", "conf"}
    assert header["conf"]["spark.sql.shuffle.partitions"] == "1"
    assert commits[1][:2] == ["v1", {"nextBatchWatermarkMs": 0}]
    version, entry = log(folder("cp", "sources", "0"))[0]
    assert version == "v1" and entry["path"].endswith("/in/a.csv") and entry["batchId"] == 0
    sink = log(folder("out", "_spark_metadata"))
    assert list(sink) == [0, 1]
    version, added = sink[1]
    assert version == "v1" and added["action"] == "add" and added["path"].startswith("file:///") and not added["isDir"]


def test_a_restart_goes_on_where_it_stopped(spark, folder):
    put(folder("in"), "a.csv", "1,ann,3,4")
    query = to_csv(magnitudes(spark, folder("in")), folder).start()
    query.processAllAvailable()
    query.stop()
    put(folder("in"), "b.csv", "2,bob,0,1")
    again = to_csv(magnitudes(spark, folder("in")), folder).start()
    again.processAllAvailable()
    again.stop()
    assert again.id == query.id and again.runId != query.runId
    assert lines(folder("out")) == ["1,ann,25.0", "2,bob,1.0"]


def test_available_now_and_max_files_per_trigger(spark, folder):
    for i in range(5):
        put(folder("in"), f"{i}.csv", f"{i},p,1,1")
    source = spark.readStream.schema("a string, b string, x double, y double").option("maxFilesPerTrigger", 2)
    query = to_csv(source.csv(folder("in")), folder).trigger(availableNow=True).start()
    assert query.awaitTermination(60)
    assert [entry["batchId"] for _, *entries in log(folder("cp", "sources", "0")).values() for entry in entries] == [
        0, 0, 1, 1, 2,
    ]  # fmt: skip
    assert len(lines(folder("out"))) == 5


def test_once_takes_everything_in_one_batch(spark, folder):
    for i in range(5):
        put(folder("in"), f"{i}.csv", f"{i},p,1,1")
    source = spark.readStream.schema("a string, b string, x double, y double").option("maxFilesPerTrigger", 2)
    query = to_csv(source.csv(folder("in")), folder).trigger(once=True).start()
    assert query.awaitTermination(60)
    assert list(log(folder("cp", "offsets"))) == [0]
    assert len(lines(folder("out"))) == 5


def test_readers_honour_the_sink_log(spark, folder):
    put(folder("in"), "a.csv", "1,ann,3,4")
    query = to_csv(magnitudes(spark, folder("in")), folder).start()
    query.processAllAvailable()
    query.stop()
    stray = pathlib.Path(folder("out", "part-stray.csv"))
    stray.write_text("9,stray,9.0\n")
    assert tuples(spark.read.csv(folder("out"))) == [("1", "ann", "25.0")]
    assert spark.read.csv(folder("out", "part-*.csv")).count() == 2


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_formats_and_partitions(spark, folder, form):
    put(folder("in"), "a.csv", "1,ann,3,4", "2,bob,0,1", "3,ann,1,1")
    query = (
        magnitudes(spark, folder("in"))
        .writeStream.format(form)
        .partitionBy("pid")
        .option("checkpointLocation", folder("cp"))
        .start(folder("out"))
    )
    query.processAllAvailable()
    query.stop()
    assert sorted({pathlib.Path(p).parent.name for p in visible(folder("out"))}) == ["pid=ann", "pid=bob"]
    read = spark.read.schema("time string, m double, pid string").format(form).load(folder("out"))
    assert tuples(read.select("time", "m", "pid")) == [("1", 25.0, "ann"), ("2", 1.0, "bob"), ("3", 2.0, "ann")]


def test_text_and_json_sources(spark, folder):
    put(folder("texts"), "a.txt", "one two", "two")
    put(folder("objects"), "a.json", '{"a":1,"b":"x"}', '{"b":"y","a":2}')
    words = spark.readStream.text(folder("texts")).selectExpr("explode(split(value, ' ')) word").groupBy("word").count()
    counted = words.writeStream.format("memory").queryName("words").outputMode("complete").start()
    objects = spark.readStream.schema("a int, b string").json(folder("objects"))
    copied = objects.writeStream.format("memory").queryName("objects").start()
    counted.processAllAvailable()
    copied.processAllAvailable()
    assert tuples(spark.table("words")) == [("one", 1), ("two", 2)]
    assert tuples(spark.table("objects")) == [(1, "x"), (2, "y")]


def test_parquet_source(spark, folder):
    spark.range(10).selectExpr("id", "cast(id as string) t").write.parquet(folder("in"))
    frame = spark.readStream.schema("id long, t string").parquet(folder("in"))
    query = frame.writeStream.format("memory").queryName("copy").start()
    query.processAllAvailable()
    assert spark.table("copy").count() == 10


def test_partitioned_source_folders(spark, folder):
    put(folder("in", "k=a"), "1.csv", "1")
    put(folder("in", "k=b"), "1.csv", "2")
    frame = spark.readStream.schema("v int, k string").csv(folder("in"))
    query = frame.writeStream.format("memory").queryName("parts").start()
    query.processAllAvailable()
    assert tuples(spark.table("parts")) == [(1, "a"), (2, "b")]


def test_globs_as_sources(spark, folder):
    put(folder("in", "one"), "a.csv", "1")
    put(folder("in", "two"), "a.csv", "2")
    put(folder("in", "other"), "a.csv", "3")
    query = (
        spark.readStream.schema("v int").csv(folder("in", "t*")).writeStream.format("memory").queryName("globbed").start()
    )
    query.processAllAvailable()
    assert tuples(spark.table("globbed")) == [(2,)]


def test_a_streaming_source_needs_a_schema(spark, folder):
    pathlib.Path(folder("in")).mkdir()
    with pytest.raises(Exception, match="(?i)schema must be specified"):
        spark.readStream.csv(folder("in")).isStreaming


def test_malformed_rows_in_a_stream(spark, folder):
    put(folder("in"), "a.csv", "1,2", "x,3")
    reader = spark.readStream.schema("a int, b int, bad string").option("columnNameOfCorruptRecord", "bad")
    query = reader.csv(folder("in")).writeStream.format("memory").queryName("kept").start()
    query.processAllAvailable()
    assert tuples(spark.table("kept")) == [(1, 2, None), (None, 3, "x,3")]
    failing = spark.readStream.schema("a int, b int").option("mode", "FAILFAST").csv(folder("in"))
    query = failing.writeStream.format("noop").option("checkpointLocation", folder("cp")).start()
    with pytest.raises(Exception, match="FAILED_READ_FILE.NO_HINT"):
        query.processAllAvailable()
    assert "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record parsing: [null,3]." in str(query.exception())


def test_union_of_two_folders(spark, folder):
    put(folder("one"), "a.csv", "1,ann,3,4")
    put(folder("two"), "a.csv", "2,bob,0,1")
    query = to_csv(magnitudes(spark, folder("one")).union(magnitudes(spark, folder("two"))), folder).start()
    query.processAllAvailable()
    assert lines(folder("out")) == ["1,ann,25.0", "2,bob,1.0"]
    assert len(query.lastProgress["sources"]) == 2


def test_join_with_a_static_frame(spark, folder):
    put(folder("in"), "a.csv", "1,ann,3,4", "2,dan,0,1")
    cities = spark.createDataFrame([("ann", "Oslo")], "pid string, city string")
    joined = magnitudes(spark, folder("in")).join(cities, "pid", "left_outer").select("pid", "city")
    query = joined.writeStream.format("memory").queryName("joined").start()
    query.processAllAvailable()
    put(folder("in"), "b.csv", "3,ann,0,0")
    query.processAllAvailable()
    assert tuples(spark.table("joined")) == [("ann", "Oslo"), ("ann", "Oslo"), ("dan", None)]


@pytest.mark.millstream
def test_two_queries_into_one_folder(spark, folder):
    """Apache Spark loses rows here or stops one of the queries."""
    queries = []
    for pid in ("ann", "bob"):
        put(folder(pid, "in"), "0.csv", f"0,{pid},1,1")
        frame = magnitudes(spark, folder(pid, "in"))
        queries.append(
            frame.writeStream.format("csv")
            .option("path", folder("out"))
            .option("checkpointlocation", folder(pid, "cp"))
            .start()
        )
    for i in range(1, 15):
        for pid in ("ann", "bob"):
            put(folder(pid, "in"), f"{i}.csv", *(f"{i},{pid},{j},1" for j in range(i)))
    for query in queries:
        query.processAllAvailable()
        query.stop()
    expected = 2 * (1 + sum(range(1, 15)))
    assert len(lines(folder("out"))) == expected
    assert spark.read.csv(folder("out")).count() == expected
    assert spark.read.csv(folder("out", "part-*.csv")).distinct().count() == expected


def test_files_written_in_place_are_read_once_and_whole(spark, folder):
    """pandas writes straight into the watched folder."""
    pathlib.Path(folder("in")).mkdir()
    query = to_csv(magnitudes(spark, folder("in")), folder).start()
    for i in range(10):
        with open(folder("in", f"{i}.csv"), "w") as file:
            for j in range(200):
                file.write(f"{j},p{i},1,1\n")
    query.processAllAvailable()
    query.stop()
    assert len(lines(folder("out"))) == 2000


def test_an_empty_folder_waits(spark, folder):
    pathlib.Path(folder("in")).mkdir()
    query = to_csv(magnitudes(spark, folder("in")), folder).start()
    query.processAllAvailable()
    assert visible(folder("out")) == []
    put(folder("in"), "a.csv", "1,ann,3,4")
    query.processAllAvailable()
    assert lines(folder("out")) == ["1,ann,25.0"]


def test_a_source_path_that_does_not_exist(spark, folder):
    with pytest.raises(Exception, match="PATH_NOT_FOUND"):
        to_csv(magnitudes(spark, folder("nowhere")), folder).start().processAllAvailable()


def test_update_and_complete_are_refused_by_file_sinks(spark, folder):
    pathlib.Path(folder("in")).mkdir()
    counts = magnitudes(spark, folder("in")).groupBy("pid").count()
    for mode in ("update", "complete"):
        with pytest.raises(Exception, match=f"(?i)does not support {mode} output mode|STREAMING_OUTPUT_MODE"):
            to_csv(counts, folder).outputMode(mode).start()


def test_one_path_only_unless_the_session_says_so(spark, folder):
    spark.range(3).write.json(folder("in"))
    for reader in (spark.read, spark.readStream):
        with pytest.raises(AnalysisException, match="There is a 'path'"):
            reader.format("json").schema("id int").option("path", folder("fake")).load(folder("in")).schema  # noqa: B018
    spark.conf.set("spark.sql.legacy.pathOptionBehavior.enabled", "true")
    given = {"path": folder("in"), "format": "json", "schema": "id int"}
    assert spark.read.option("path", folder("fake")).load(**given).count() == 3
    stream = spark.readStream.option("path", folder("fake")).load(**given)
    query = stream.writeStream.format("memory").queryName("one_path").trigger(availableNow=True).start()
    assert query.awaitTermination(60)
    assert spark.table("one_path").count() == 3


def test_repartitioned_streams_write_so_many_files(spark, folder):
    put(folder("in"), "a.csv", *[f"{i}" for i in range(20)])
    source = spark.readStream.schema("v int").csv(folder("in"))
    wishes = {"four": source.repartition(4), "one": source.repartition(4).coalesce(1), "keys": source.repartition(3, "v")}
    for name, frame in wishes.items():
        query = frame.writeStream.format("csv").option("path", folder(name)).option("checkpointLocation", folder(f"{name}-cp"))
        query.trigger(availableNow=True).start().awaitTermination(60)
        assert sorted(map(int, lines(folder(name)))) == list(range(20))
    assert [len(visible(folder(name))) for name in ("four", "one", "keys")] == [4, 1, 3]
