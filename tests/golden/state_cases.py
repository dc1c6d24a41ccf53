"""Queries whose state is read, and how: recorded from Apache Spark by record_state.py, replayed by
test_state_reader.py. Both call `queries` and `READS`."""

from pyspark.sql import functions as F

SCHEMA = "t timestamp, k string, v bigint, d double"
# A file a batch.
FILES = [
    ["2024-01-01 00:00:01,a,1,0.5", "2024-01-01 00:00:02,b,2,1.5"],
    ["2024-01-01 00:00:11,a,3,2.5", "2024-01-01 00:00:03,b,2,1.5"],
    ["2024-01-01 00:00:31,c,,", "2024-01-01 00:00:33,a,5,4.5"],
    ["2024-01-01 00:00:35,c,7,1.0"],
]


def late(rows):
    return rows.withWatermark("t", "10 seconds")


def joined(rows, kind):
    left = late(rows).select("t", "k", "v")
    right = late(rows).select(F.col("t").alias("rt"), F.col("k").alias("rk"), "d")
    near = F.expr("k = rk AND t >= rt - INTERVAL 5 SECONDS AND t <= rt + INTERVAL 5 SECONDS")
    return left.join(right, near, kind)


# Name: query over the rows of FILES, output mode.
QUERIES = {
    "keyed": (
        lambda s: s.groupBy("k").agg(
            F.count("*"), F.sum("v"), F.avg("v"), F.max("v"), F.min("d").alias("m"), F.count("v").alias("c")
        ),
        "update",
    ),
    "expressions": (lambda s: s.groupBy(F.upper("k"), (F.col("v") % 2).alias("z")).count(), "update"),
    "global": (lambda s: s.agg(F.count("*"), F.stddev("d")), "complete"),
    "tumbling": (
        lambda s: late(s).groupBy(F.window("t", "10 seconds"), "k").agg(F.count("*"), F.sum("v")),
        "append",
    ),
    "sliding": (
        lambda s: late(s)
        .groupBy("k", F.window("t", "10 seconds", "5 seconds"))
        .agg(F.count("*"), F.avg("v"), F.max("d")),
        "update",
    ),
    "session": (
        lambda s: late(s).groupBy(F.session_window("t", "5 seconds"), "k").agg(F.count("*"), F.sum("v")),
        "append",
    ),
    "deduplicated": (lambda s: s.dropDuplicates(["k", "v"]), "append"),
    "deduplicated_by_time": (lambda s: late(s).dropDuplicates(["k", "t"]), "append"),
    "within_watermark": (lambda s: late(s).dropDuplicatesWithinWatermark(["k"]), "append"),
    "limited": (lambda s: s.limit(3), "append"),
    "inner": (lambda s: joined(s, "inner"), "append"),
    "left_outer": (lambda s: joined(s, "leftOuter"), "append"),
    "chained": (
        lambda s: late(s).dropDuplicates(["k", "t"]).groupBy(F.window("t", "10 seconds")).count(),
        "append",
    ),
}
JOINS = {"inner", "left_outer"}
FEED = {"readChangeFeed": "true", "changeStartBatchId": "0"}

READS = [
    *(
        (name, options)
        for name in QUERIES
        if name not in JOINS
        for options in ({}, {"batchId": "0"}, {"batchId": "1"}, FEED, {**FEED, "changeEndBatchId": "1"})
    ),
    *(
        (name, {"joinSide": side, **more})
        for name in sorted(JOINS)
        for side in ("left", "right")
        for more in ({}, {"batchId": "0"}, {"batchId": "1"})
    ),
    ("chained", {"operatorId": "1"}),
    ("chained", {"operatorId": "2"}),
    ("inner", {}),
    *(
        ("keyed", options)
        for options in (
            {"batchId": "-1"},
            {"batchId": "99"},
            {"operatorId": "-1"},
            {"operatorId": "5"},
            {"storeName": ""},
            {"storeName": "x"},
            {"joinSide": "left"},
            {"joinSide": "x"},
            {"joinSide": "left", "storeName": "x"},
            {"readChangeFeed": "true"},
            {"readChangeFeed": "true", "changeStartBatchId": "-1"},
            {"readChangeFeed": "true", "changeStartBatchId": "2", "changeEndBatchId": "1"},
            {**FEED, "batchId": "1"},
            {**FEED, "joinSide": "left"},
            {**FEED, "changeEndBatchId": "99"},
            {**FEED, "snapshotStartBatchId": "1"},
            {**FEED, "snapshotPartitionId": "1"},
            {"changeStartBatchId": "0"},
            {"changeEndBatchId": "0"},
            {"snapshotStartBatchId": "0"},
            {"snapshotPartitionId": "0"},
            {"snapshotStartBatchId": "-1", "snapshotPartitionId": "0"},
            {"snapshotStartBatchId": "9", "snapshotPartitionId": "0"},
            {"snapshotStartBatchId": "1", "snapshotPartitionId": "-1"},
            {"stateVarName": "x"},
        )
    ),
]


def plain(value):
    """Rows as lists: names may repeat in Spark's state."""
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value if isinstance(value, (int, float, str, type(None))) else str(value)


def answer(read, place):
    """What a read says: its type and rows, sorted, or the error's condition and message."""
    try:
        frame = read()
        rows = sorted((plain(tuple(row)) for row in frame.collect()), key=repr)
        return {"type": frame.schema.simpleString(), "rows": rows}
    except Exception as error:  # noqa: BLE001
        condition = error.getCondition() if hasattr(error, "getCondition") else None
        message = str(error).split("\n")[0].replace(place, "<checkpoint>")
        return {"error": condition, "message": message.partition(" SQLSTATE")[0]}


def run(spark, name, rows, checkpoint):
    """Runs a query over the files in `rows`, a file a batch, to the end."""
    query, mode = QUERIES[name]
    source = spark.readStream.schema(SCHEMA).option("maxFilesPerTrigger", 1).csv(rows)
    writer = query(source).writeStream.outputMode(mode).format("noop")
    started = writer.option("checkpointLocation", checkpoint).trigger(availableNow=True).start()
    started.awaitTermination()


def state(spark, checkpoint, options):
    reader = spark.read.format("statestore")
    for key, value in options.items():
        reader = reader.option(key, value)
    return reader.load(checkpoint)
