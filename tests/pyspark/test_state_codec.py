"""`spark.sql.streaming.stateStore.compression.codec`: which codec files of state have, and that a restart reads others."""

import collections
import json
import pathlib

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from streaming import put

CODEC = "spark.sql.streaming.stateStore.compression.codec"


def count(spark, folder, checkpoint):
    """Counts by key what is in `folder` since the last run."""
    rows = spark.readStream.schema("k bigint").csv(folder)
    counted = rows.groupBy("k").agg(F.count("*").alias("n"))
    writer = counted.writeStream.format("memory").queryName("counted").outputMode("complete")
    writer.option("checkpointLocation", checkpoint).trigger(availableNow=True).start().awaitTermination()
    return {row.k: row.n for row in spark.table("counted").collect()}


def codecs(checkpoint):
    """By change: the codec its header states."""
    found = {}
    for path in pathlib.Path(checkpoint, "state", "0").glob("*.change"):
        content = path.read_bytes()
        found[int(path.stem)] = json.loads(content[12 : 12 + int.from_bytes(content[8:12], "little")])["codec"]
    return [codec for _, codec in sorted(found.items())]


def test_each_run_writes_its_own_codec_and_reads_the_others(spark, tmp_path):
    folder, checkpoint = str(tmp_path / "rows"), str(tmp_path / "checkpoint")
    expected = collections.Counter()
    for run, codec in enumerate((None, "zstd", "lz4")):
        keys = range(5000 + run)
        put(folder, f"{run}.csv", *map(str, keys))
        expected.update(keys)
        if codec:
            spark.conf.set(CODEC, codec)
        assert count(spark, folder, checkpoint) == expected
    assert codecs(checkpoint) == ["lz4", "zstd", "lz4"]


@pytest.mark.parametrize(("codec", "condition"), [("zip", "CODEC_NOT_AVAILABLE.WITH_CONF_SUGGESTION"), ("lzf", "UNSUPPORTED_FEATURE")])
def test_a_codec_that_is_not_there_is_refused(spark, tmp_path, codec, condition):
    put(str(tmp_path / "rows"), "0.csv", "1")
    spark.conf.set(CODEC, codec)
    with pytest.raises(PySparkException) as refused:
        count(spark, str(tmp_path / "rows"), str(tmp_path / "checkpoint"))
    assert condition in str(refused.value) and codec in str(refused.value)
    assert spark.range(1).count() == 1
