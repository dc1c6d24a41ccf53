"""Streaming queries as the user manages them: status, progress, names, ends, the manager."""

import datetime
import json
import statistics
import time
import uuid

import pytest
from pyspark.errors import AnalysisException, StreamingQueryException
from pyspark.sql import functions as F
from pyspark.sql.streaming.listener import StreamingQueryListener
from streaming import eventually, put, tuples


@pytest.fixture
def stream(spark, folder):
    put(folder("in"), "a.csv", "1", "2")
    return spark.readStream.schema("v int").csv(folder("in"))


def test_identity_and_state(spark, stream):
    query = stream.writeStream.format("memory").queryName("mine").start()
    assert uuid.UUID(query.id) and uuid.UUID(query.runId) and query.id != query.runId
    assert query.name == "mine" and query.isActive
    query.stop()
    assert not query.isActive
    assert query.status == {"message": "Stopped", "isDataAvailable": False, "isTriggerActive": False}
    assert query.exception() is None


def test_a_query_without_a_name(stream):
    query = stream.writeStream.format("noop").start()
    assert query.name is None
    query.stop()


def test_status_says_it_waits_for_data(stream):
    query = stream.writeStream.format("noop").start()
    query.processAllAvailable()
    waiting = {"message": "Waiting for data to arrive", "isDataAvailable": False, "isTriggerActive": False}
    eventually(lambda: query.status == waiting, message=str(query.status))


def test_status_says_it_waits_for_the_trigger(stream):
    query = stream.writeStream.format("noop").trigger(processingTime="1 hour").start()
    eventually(lambda: query.status["message"] == "Waiting for next trigger", message=str(query.status))
    assert query.lastProgress.numInputRows == 2


def test_progress_has_every_field(stream):
    query = stream.writeStream.format("memory").queryName("mine").start()
    query.processAllAvailable()
    progress = next(p for p in query.recentProgress if p["batchId"] == 0)
    assert progress["id"] == query.id and progress["runId"] == query.runId and progress["name"] == "mine"
    assert datetime.datetime.strptime(progress["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").year >= 2024
    assert progress.numInputRows == 2 and progress["batchDuration"] >= 0
    assert {"addBatch", "commitOffsets", "getBatch", "latestOffset", "queryPlanning", "triggerExecution", "walCommit"} == set(
        progress["durationMs"]
    )
    assert progress["stateOperators"] == []
    (source,) = progress["sources"]
    assert source["description"].startswith("FileStreamSource[file:/")
    assert json.loads(source["startOffset"]) is None and json.loads(source["endOffset"]) == {"logOffset": 0}
    assert source["numInputRows"] == 2 and source["processedRowsPerSecond"] > 0
    assert progress["sink"] == {"description": "MemorySink", "numOutputRows": 2, "metrics": {}}
    query.stop()
    assert query.lastProgress["batchId"] >= 0


def test_state_operators_in_progress(spark, stream):
    query = stream.groupBy("v").count().writeStream.format("memory").queryName("mine").outputMode("update").start()
    query.processAllAvailable()
    (operator,) = next(p for p in query.recentProgress if p["batchId"] == 0)["stateOperators"]
    assert operator["operatorName"] == "stateStoreSave"
    assert operator["numRowsTotal"] == 2 and operator["numRowsUpdated"] == 2 and operator["numRowsRemoved"] == 0
    assert operator["numRowsDroppedByWatermark"] == 0 and operator["memoryUsedBytes"] > 0
    assert operator["numShufflePartitions"] == 1 and operator["numStateStoreInstances"] == 1
    for name in ("allUpdatesTimeMs", "allRemovalsTimeMs", "commitTimeMs"):
        assert operator[name] >= 0


def test_the_memory_sink_is_a_table(spark, stream, folder):
    query = stream.writeStream.format("memory").queryName("rows").start()
    query.processAllAvailable()
    assert tuples(spark.sql("SELECT * FROM rows")) == [(1,), (2,)]
    put(folder("in"), "b.csv", "3")
    query.processAllAvailable()
    assert tuples(spark.sql("SELECT * FROM rows WHERE v > 1")) == [(2,), (3,)]
    query.stop()
    assert spark.table("rows").count() == 3


def test_the_memory_sink_needs_a_name(stream):
    with pytest.raises(Exception, match="(?i)queryName must be specified"):
        stream.writeStream.format("memory").start()


def test_rate(spark):
    frame = spark.readStream.format("rate").option("rowsPerSecond", 100).load()
    query = frame.writeStream.format("memory").queryName("ticks").start()
    eventually(lambda: spark.table("ticks").count() >= 100)
    query.stop()
    values = [r.value for r in spark.table("ticks").collect()]
    assert sorted(values) == list(range(len(values)))
    assert query.lastProgress["sources"][0]["description"].startswith("RateStreamV2[rowsPerSecond=100")


def test_rate_micro_batch(spark):
    frame = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 10).load()
    query = frame.writeStream.format("memory").queryName("ticks").start()
    eventually(lambda: spark.table("ticks").count() >= 30)
    query.stop()
    values = [r.value for r in spark.table("ticks").collect()]
    assert sorted(values) == list(range(len(values)))


def test_windowed_rate_update(spark):
    """The first of the origin's tasks, faster."""
    frame = spark.readStream.format("rate").option("rowsPerSecond", 20).load()
    sums = frame.withWatermark("timestamp", "5 seconds").groupBy(F.window(frame.timestamp, "30 seconds")).sum()
    assert sums.columns == ["window", "sum(value)"]
    query = sums.writeStream.outputMode("update").format("memory").trigger(processingTime="1 second").queryName("task").start()
    eventually(lambda: spark.sql("SELECT * FROM task").count() >= 2)
    query.stop()


def test_active_names_are_unique(stream):
    query = stream.writeStream.format("memory").queryName("mine").start()
    with pytest.raises(Exception, match="(?i)already active|STREAMING_QUERY_ALREADY_EXISTS|DUPLICATE"):
        stream.writeStream.format("memory").queryName("mine").start()
    query.stop()
    stream.writeStream.format("memory").queryName("mine").start().stop()


def test_the_manager_lists_and_finds(spark, stream):
    query = stream.writeStream.format("noop").start()
    assert [q.id for q in spark.streams.active] == [query.id]
    assert spark.streams.get(query.id).runId == query.runId
    query.stop()
    assert spark.streams.active == []


def test_queries_belong_to_their_session(new_session, folder):
    put(folder("in"), "a.csv", "1")
    one, two = new_session(), new_session()
    query = one.readStream.schema("v int").csv(folder("in")).writeStream.format("noop").start()
    assert two.streams.active == []
    assert two.streams.get(query.id) is None


def test_await_any_termination(spark, stream):
    query = stream.writeStream.format("noop").start()
    assert not spark.streams.awaitAnyTermination(0.3)
    query.stop()
    assert spark.streams.awaitAnyTermination(10)
    spark.streams.resetTerminated()


def test_await_termination_with_a_timeout(stream):
    query = stream.writeStream.format("noop").start()
    assert not query.awaitTermination(0.3)
    query.stop()
    assert query.awaitTermination(10)


def test_a_failure_is_told_to_whoever_waits(spark, stream):
    failing = stream.selectExpr("1 / (v - 1) AS q")
    query = failing.writeStream.format("noop").start()
    with pytest.raises(StreamingQueryException, match="DIVIDE_BY_ZERO") as error:
        query.awaitTermination(60)
    assert "[STREAM_FAILED]" in str(error.value)
    assert query.id in str(error.value) and query.runId in str(error.value)
    assert not query.isActive
    assert "DIVIDE_BY_ZERO" in str(query.exception())
    assert query.status["message"].startswith("Terminated with exception")
    assert spark.range(2).count() == 2


def test_triggers_are_checked(stream):
    with pytest.raises(ValueError):
        stream.writeStream.trigger(processingTime="")
    with pytest.raises(Exception, match="(?i)cannot parse|invalid|negative|interval"):
        stream.writeStream.format("noop").trigger(processingTime="soon").start()


def test_console(stream):
    query = stream.writeStream.format("console").option("numRows", 5).start()
    query.processAllAvailable()
    assert query.lastProgress["sink"]["description"].startswith("org.apache.spark.sql.execution.streaming.ConsoleTable")
    query.stop()


def test_console_layout(remote, on_spark, own_server, folder):
    if on_spark:
        pytest.skip("the referee's console is not ours to read")
    from conftest import connect, end

    server = own_server()
    session = connect(server.url)
    put(folder("in"), "a.csv", "1", "2")
    frame = session.readStream.schema("v int").csv(folder("in"))
    query = frame.writeStream.format("console").start()
    query.processAllAvailable()
    query.stop()
    end(session)
    expected = (
        "-------------------------------------------\nBatch: 0\n-------------------------------------------\n"
        "+---+\n|  v|\n+---+\n|  1|\n|  2|\n+---+\n\n"
    )
    assert expected in server.log.read_text()


def test_explain_of_a_query(stream, capsys):
    query = stream.writeStream.format("noop").start()
    query.processAllAvailable()
    query.explain()
    assert "Physical Plan" in capsys.readouterr().out


def test_sql_over_a_stream(spark, stream):
    stream.createOrReplaceTempView("numbers")
    frame = spark.sql("SELECT v, v * 10 AS t FROM numbers WHERE v > 1")
    assert frame.isStreaming
    query = frame.writeStream.format("memory").queryName("tens").start()
    query.processAllAvailable()
    assert tuples(spark.table("tens")) == [(2, 20)]


def test_a_view_of_a_stream_can_be_windowed_in_sql(spark, folder):
    put(folder("in"), "a.csv", "1", "12")
    frame = spark.readStream.schema("v int").csv(folder("in")).selectExpr("timestamp_seconds(v) ts", "v")
    frame.withWatermark("ts", "1 second").createOrReplaceTempView("ticks")
    counts = spark.sql("SELECT window(ts, '10 seconds') w, count(*) n FROM ticks GROUP BY window(ts, '10 seconds')")
    query = counts.writeStream.format("memory").queryName("counts").outputMode("complete").start()
    query.processAllAvailable()
    assert tuples(spark.sql("SELECT unix_timestamp(w.start), n FROM counts")) == [(0, 1), (10, 1)]


def test_observed_metrics(spark, stream):
    query = stream.observe("seen", F.count(F.lit(1)).alias("n"), F.max("v").alias("m")).writeStream.format("noop").start()
    query.processAllAvailable()
    seen = next(p for p in query.recentProgress if p["batchId"] == 0)["observedMetrics"]["seen"]
    assert seen["values"] == [2, 2]
    assert [field["name"] for field in seen["schema"]["fields"]] == ["n", "m"]


def test_unknown_options_are_ignored(stream):
    query = stream.writeStream.format("noop").option("someUnknownOption", "x").start()
    query.processAllAvailable()
    query.stop()


def test_the_continuous_trigger_is_refused(stream):
    with pytest.raises(Exception, match="(?i)continuous"):
        query = stream.writeStream.format("noop").trigger(continuous="1 second").start()
        query.awaitTermination(20)


def test_the_default_checkpoint_location(new_session, folder):
    put(folder("in"), "a.csv", "1")
    session = new_session(**{"spark.sql.streaming.checkpointLocation": folder("cps")})
    query = session.readStream.schema("v int").csv(folder("in")).writeStream.format("noop").queryName("named").start()
    query.processAllAvailable()
    query.stop()
    import pathlib

    assert pathlib.Path(folder("cps", "named", "offsets", "0")).exists()


def test_a_file_sink_needs_a_checkpoint(stream, folder):
    with pytest.raises(Exception, match="(?i)checkpointLocation must be specified"):
        stream.writeStream.format("csv").start(folder("out"))


def test_the_name_of_a_source_is_not_ignored(spark):
    with pytest.raises(AnalysisException, match="STREAMING_QUERY_EVOLUTION_ERROR.SOURCE_NAMING_NOT_SUPPORTED.*`?ticks"):
        spark.readStream.format("rate").name("ticks").load().schema  # noqa: B018


def test_an_interrupt_stops_streams_and_leaves_listeners(spark, stream):
    ends = []

    class Ends(StreamingQueryListener):
        def onQueryStarted(self, event): ...
        def onQueryProgress(self, event): ...
        def onQueryIdle(self, event): ...
        def onQueryTerminated(self, event):
            ends.append((str(event.runId), event.exception))

    listener = Ends()
    spark.streams.addListener(listener)
    spark.addTag("mine")
    mine = stream.writeStream.format("noop").start()
    spark.removeTag("mine")
    other = stream.writeStream.format("noop").start()
    assert len(spark.interruptTag("mine")) == 1
    eventually(lambda: not mine.isActive)
    assert other.isActive
    assert len(spark.interruptAll()) == 1
    eventually(lambda: not other.isActive and len(ends) == 2)
    spark.streams.removeListener(listener)
    assert sorted(ends) == sorted([(mine.runId, None), (other.runId, None)])


def test_a_memory_table_shows_names_that_repeat(spark, folder):
    rows = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 3).option("startTimestamp", 1000).load()
    doubled = rows.select("value", (rows.value * 2).alias("value"))
    query = doubled.writeStream.format("memory").queryName("doubled").trigger(once=True).start()
    query.awaitTermination()
    assert spark.table("doubled").columns == ["value", "value"]
    assert tuples(spark.table("doubled")) == [(0, 0), (1, 2), (2, 4)]


@pytest.mark.millstream
def test_an_answer_in_pieces_does_not_wait_for_an_acknowledgement(spark, stream):
    query = stream.writeStream.format("noop").trigger(processingTime="1 hour").start()
    seconds = []
    for _ in range(41):
        began = time.perf_counter()
        assert query.isActive
        seconds.append(time.perf_counter() - began)
    # 4 ms; where the second piece waits for the client's delayed acknowledgement of the first, 47.
    assert statistics.median(seconds) < 0.035
