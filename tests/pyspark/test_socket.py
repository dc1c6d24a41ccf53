"""The socket source."""

import socket
import threading
import time

import pytest
from pyspark.errors import AnalysisException, StreamingQueryException
from streaming import eventually


class Peer:
    """A listener that accepts one connection."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1)
        self.port = self.listener.getsockname()[1]
        self.accepted = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        self.connection, _ = self.listener.accept()
        self.accepted.set()

    def send(self, data: bytes):
        assert self.accepted.wait(30)
        self.connection.sendall(data)


def reader(spark, **options):
    return spark.readStream.format("socket").options(**options)


def test_lines_become_rows(spark):
    peer = Peer()
    frame = reader(spark, host="127.0.0.1", port=peer.port, includeTimestamp=True).load()
    assert frame.schema.simpleString() == "struct<value:string,timestamp:timestamp>"
    query = frame.writeStream.format("memory").queryName("lines").start()
    peer.send(b"one\ntwo\r\n\nthree")
    eventually(lambda: spark.table("lines").count() == 3)
    peer.send(b"\nfour\n")
    eventually(lambda: spark.table("lines").count() == 5)
    values = [row.value for row in spark.table("lines").collect()]
    assert values == ["one", "two", "", "three", "four"]
    assert spark.sql("SELECT max(abs(unix_seconds(timestamp) - unix_seconds(now()))) < 60 ok FROM lines").first().ok
    progress = [p for p in query.recentProgress if p["sources"][0]["numInputRows"] > 0]
    assert progress[0]["sources"][0]["description"] == f"TextSocketV2[host: 127.0.0.1, port: {peer.port}]"
    assert [p["sources"][0]["endOffset"] for p in progress][-1] in (4, "4")
    assert query.isActive
    query.stop()


def test_words_are_counted(spark):
    peer = Peer()
    lines = reader(spark, host="127.0.0.1", port=peer.port).load()
    words = lines.selectExpr("explode(split(value, ' ')) word").groupBy("word").count()
    query = words.writeStream.format("memory").queryName("words").outputMode("complete").start()
    peer.send(b"apache spark\napache hadoop\n")
    eventually(lambda: {tuple(r) for r in spark.table("words").collect()} == {("apache", 2), ("spark", 1), ("hadoop", 1)})
    query.stop()


def test_options(spark):
    for options, condition in (
        ({}, "_LEGACY_ERROR_TEMP_1295"),
        ({"host": "127.0.0.1"}, "_LEGACY_ERROR_TEMP_1296"),
        ({"host": "127.0.0.1", "port": 1, "includeTimestamp": "maybe"}, "_LEGACY_ERROR_TEMP_1297"),
    ):
        with pytest.raises(AnalysisException) as error:
            reader(spark, **options).load().schema  # noqa: B018
        assert error.value.getCondition() == condition
    with pytest.raises(Exception, match="does not support user-specified schema"):
        reader(spark, host="127.0.0.1", port=1).schema("a int").load().schema  # noqa: B018
    with pytest.raises(AnalysisException, match="not a valid Spark SQL Data Source"):
        spark.read.format("socket").option("host", "127.0.0.1").option("port", 1).load().schema  # noqa: B018


def test_nobody_listens(spark):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    query = reader(spark, host="127.0.0.1", port=port).load().writeStream.format("noop").start()
    with pytest.raises(StreamingQueryException, match="Connection refused"):
        query.processAllAvailable()
        time.sleep(1)
        query.awaitTermination(30)
