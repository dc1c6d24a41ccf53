"""Listeners over Connect."""

from pyspark.sql import functions as F
from pyspark.sql.streaming.listener import StreamingQueryListener
from streaming import eventually, put


class Heard(StreamingQueryListener):
    def __init__(self):
        self.started, self.progressed, self.ended = [], [], []

    def onQueryStarted(self, event):
        self.started.append(event)

    def onQueryProgress(self, event):
        self.progressed.append(event.progress)

    def onQueryIdle(self, event):
        pass

    def onQueryTerminated(self, event):
        self.ended.append(event)


def test_a_listener_hears_the_life_of_a_query(spark, folder):
    heard = Heard()
    spark.streams.addListener(heard)
    put(folder("in"), "a.csv", "1", "2")
    query = spark.readStream.schema("v int").csv(folder("in")).writeStream.format("noop").queryName("heard").start()
    query.processAllAvailable()
    eventually(lambda: any(p.numInputRows == 2 for p in heard.progressed))
    query.stop()
    eventually(lambda: heard.ended)
    spark.streams.removeListener(heard)
    assert str(heard.started[0].id) == query.id and heard.started[0].name == "heard"
    assert str(heard.ended[0].runId) == query.runId and heard.ended[0].exception is None
    progress = next(p for p in heard.progressed if p.numInputRows == 2)
    assert progress.batchId == 0 and progress.sources[0].numInputRows == 2


def test_a_listener_hears_of_a_failure(spark, folder):
    heard = Heard()
    spark.streams.addListener(heard)
    put(folder("in"), "a.csv", "0")
    frame = spark.readStream.schema("v int").csv(folder("in")).selectExpr("1 / v AS q")
    frame.writeStream.format("noop").start()
    eventually(lambda: heard.ended)
    spark.streams.removeListener(heard)
    assert "DIVIDE_BY_ZERO" in heard.ended[0].exception


def test_a_removed_listener_hears_nothing(spark, folder):
    heard = Heard()
    spark.streams.addListener(heard)
    spark.streams.removeListener(heard)
    put(folder("in"), "a.csv", "1")
    query = spark.readStream.schema("v int").csv(folder("in")).writeStream.format("noop").start()
    query.processAllAvailable()
    query.stop()
    assert heard.progressed == [] and heard.ended == []


def test_observed_metrics_are_rows_by_name_to_a_listener(spark, folder):
    heard = Heard()
    spark.streams.addListener(heard)
    put(folder("in"), "a.csv", "1", "2")
    stream = spark.readStream.schema("v int").csv(folder("in"))
    observed = stream.observe("seen", F.count(F.lit(1)).alias("rows"), F.array(F.max("v")).alias("most"), F.lit("x").alias("s"))
    query = observed.writeStream.format("noop").start()
    query.processAllAvailable()
    eventually(lambda: any(p.numInputRows == 2 for p in heard.progressed))
    fetched = next(p for p in query.recentProgress if p["batchId"] == 0)["observedMetrics"]["seen"]
    query.stop()
    # The client waits for ever when it is told of an event while it removes its last listener.
    eventually(lambda: heard.ended)
    spark.streams.removeListener(heard)
    row = next(p for p in heard.progressed if p.numInputRows == 2).observedMetrics["seen"]
    assert row.asDict() == {"rows": 2, "most": [2], "s": "x"}
    assert fetched["values"] == [2, [2], "x"]
