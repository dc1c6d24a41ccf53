"""Records what real Spark does with small streaming programs.

Run with a pyspark 4.3 that has jars (Java 17): python record.py > golden.json
Every scenario feeds CSV files one batch at a time and keeps, per micro-batch, the rows
handed to the sink, the progress, and the offset and commit logs.
"""

import json
import os
import shutil
import sys
import tempfile
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.sql.shuffle.partitions", "1")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
out = {"version": spark.version, "scenarios": {}, "errors": {}}
base = tempfile.mkdtemp()


def read_log(path):
    if not os.path.isdir(path):
        return {}
    names = sorted((n for n in os.listdir(path) if n.isdigit()), key=int)
    return {n: open(os.path.join(path, n)).read() for n in names}


def source(name, options=None):
    path = os.path.join(base, name, "in")
    os.makedirs(path, exist_ok=True)
    reader = spark.readStream.schema("t timestamp, k string, v long").option("maxFilesPerTrigger", 1)
    return path, reader.csv(path)


def feed(path, number, rows):
    text = "".join(",".join(r) + "\n" for r in rows)
    tmp = os.path.join(base, f"tmp-{number}")
    with open(tmp, "w") as f:
        f.write(text)
    os.utime(tmp, (1_700_000_000 + number, 1_700_000_000 + number))
    os.rename(tmp, os.path.join(path, f"{number}.csv"))


def ts(s):
    return f"2024-01-01T00:{s // 60:02d}:{s % 60:02d}.000Z"


def run(name, build, mode, batches, trigger=None, restart_after=(), conf=None, one_by_one=True):
    for k, v in (conf or {}).items():
        spark.conf.set(k, v)
    path, df = source(name)
    checkpoint = os.path.join(base, name, "checkpoint")
    emitted = []

    def keep(batch, batch_id):
        rows = sorted(json.dumps(r.asDict(True), default=str) for r in batch.collect())
        emitted.append([batch_id, rows])

    def start():
        w = build(df).writeStream.outputMode(mode).option("checkpointLocation", checkpoint).foreachBatch(keep)
        if trigger:
            w = w.trigger(**trigger)
        return w.start()

    progress = []
    if trigger:
        for number, rows in enumerate(batches):
            feed(path, number, rows)
        q = start()
        q.awaitTermination()
        progress += [json.loads(p.json) for p in q.recentProgress]
    else:
        q = start()
        for number, rows in enumerate(batches):
            feed(path, number, rows)
            q.processAllAvailable()
            if number in restart_after:
                progress += [json.loads(p.json) for p in q.recentProgress]
                q.stop()
                q = start()
        progress += [json.loads(p.json) for p in q.recentProgress]
        q.stop()
    for k in (conf or {}):
        spark.conf.unset(k)
    out["scenarios"][name] = {
        "mode": mode,
        "trigger": trigger,
        "restart_after": list(restart_after),
        "batches": batches,
        "emitted": emitted,
        "progress": progress,
        "offsets": read_log(os.path.join(checkpoint, "offsets")),
        "commits": read_log(os.path.join(checkpoint, "commits")),
    }


def windowed(df):
    return df.withWatermark("t", "5 seconds").groupBy(F.window("t", "10 seconds"), "k").agg(F.sum("v").alias("s"))


EVENTS = [
    [[ts(1), "a", "1"], [ts(4), "b", "2"], [ts(12), "a", "3"]],
    [[ts(21), "a", "4"], [ts(2), "a", "5"]],
    [[ts(3), "b", "6"], [ts(25), "b", "7"]],
    [[ts(45), "a", "8"]],
]

for mode in ["append", "update", "complete"]:
    run(f"window_{mode}", windowed, mode, EVENTS)
run("window_append_restart", windowed, "append", EVENTS, restart_after=(0, 2))
run("window_append_no_data_off", windowed, "append", EVENTS,
    conf={"spark.sql.streaming.noDataMicroBatches.enabled": "false"})
run("window_append_available_now", windowed, "append", EVENTS, trigger={"availableNow": True})
run("window_append_once", windowed, "append", EVENTS, trigger={"once": True})
run("filter_moves_below", lambda d: d.withWatermark("t", "5 seconds").filter("k <> 'z'")
    .groupBy(F.window("t", "10 seconds")).count(), "append", [
    [[ts(1), "a", "1"], [ts(59), "z", "2"]],
    [[ts(20), "a", "3"]],
])
run("filter_on_time_stays", lambda d: d.withWatermark("t", "5 seconds").filter("t < '2024-01-01 00:00:30'")
    .groupBy(F.window("t", "10 seconds")).count(), "append", [
    [[ts(1), "a", "1"], [ts(59), "z", "2"]],
    [[ts(20), "a", "3"]],
])
run("filter_after_aggregate", lambda d: windowed(d).filter("k <> 'z'"), "append", [
    [[ts(1), "a", "1"], [ts(59), "z", "2"]],
    [[ts(20), "a", "3"]],
])
run("filter_on_aggregate_value", lambda d: windowed(d).filter("s > 1"), "append", [
    [[ts(1), "a", "1"], [ts(4), "b", "2"], [ts(29), "z", "2"]],
    [[ts(50), "a", "3"]],
])
run("stateless", lambda d: d.withWatermark("t", "5 seconds").select("t", (F.col("v") * 2).alias("w")), "append", EVENTS[:2])
run("stateless_no_watermark", lambda d: d.filter("v > 1").select("k"), "append", EVENTS[:2])
run("global_count_complete", lambda d: d.groupBy().count(), "complete", EVENTS[:2])
run("group_update_no_watermark", lambda d: d.groupBy("k").count(), "update", EVENTS[:2])
run("current_timestamp", lambda d: d.select(F.current_timestamp().alias("now"), F.current_date().alias("day")).select(
    F.col("now").isNotNull().alias("a"), (F.to_date("now") == F.col("day")).alias("b")), "append", EVENTS[:1])


def union_watermarks(df):
    left = df.filter("k = 'a'").withWatermark("t", "5 seconds")
    right = df.filter("k = 'b'").withWatermark("t", "2 seconds")
    return left.union(right).groupBy(F.window("t", "10 seconds")).count()


for policy in ["min", "max"]:
    run(f"two_watermarks_{policy}", union_watermarks, "append", EVENTS,
        conf={"spark.sql.streaming.multipleWatermarkPolicy": policy})

# Errors of illegal plans.
_, df = source("errors")
static = spark.range(3).selectExpr("cast(id as string) k", "id x")
wm = df.withWatermark("t", "5 seconds")


def error(name, f):
    try:
        q = f()
        if q is not None:
            q.stop()
        out["errors"][name] = None
    except Exception as e:  # noqa: BLE001
        cls = e.getCondition() if hasattr(e, "getCondition") else None
        out["errors"][name] = {"type": type(e).__name__, "class": cls, "message": str(e).split("\n\nJVM")[0].split(";\n")[0]}


def write(d, mode, fmt="noop", **opts):
    w = d.writeStream.format(fmt).outputMode(mode)
    for k, v in opts.items():
        w = w.option(k, v)
    return w.start()


agg = df.groupBy("k").count()
error("append_agg_no_watermark", lambda: write(agg, "append"))
error("append_agg_key_not_window", lambda: write(wm.groupBy("k").count(), "append"))
error("complete_no_agg", lambda: write(df, "complete"))
error("update_sort", lambda: write(agg.orderBy("k"), "update"))
error("append_sort", lambda: write(df.orderBy("k"), "append"))
error("complete_sort", lambda: write(agg.orderBy("k"), "complete"))
error("limit_update", lambda: write(df.limit(3), "update"))
error("limit_append", lambda: write(df.limit(3), "append"))
error("two_aggs_update", lambda: write(agg.groupBy("count").count(), "update"))
error("two_aggs_append", lambda: write(
    wm.groupBy(F.window("t", "5 seconds")).count().groupBy(F.window("window", "10 seconds")).count(), "append"))
error("distinct_agg", lambda: write(df.groupBy("k").agg(F.countDistinct("v")), "update"))
error("distinct", lambda: write(df.distinct(), "append"))
error("dedup", lambda: write(df.dropDuplicates(["k"]), "append"))
error("dedup_complete", lambda: write(df.dropDuplicates(["k"]), "complete"))
error("dedup_within", lambda: write(df.dropDuplicatesWithinWatermark(["k"]), "append"))
error("join_inner_static", lambda: write(df.join(static, "k"), "append"))
error("join_left_static", lambda: write(df.join(static, "k", "left"), "append"))
error("join_right_static", lambda: write(df.join(static, "k", "right"), "append"))
error("join_full_static", lambda: write(df.join(static, "k", "full"), "append"))
error("join_semi_static", lambda: write(df.join(static, "k", "left_semi"), "append"))
error("join_anti_static", lambda: write(df.join(static, "k", "left_anti"), "append"))
error("join_static_left_stream", lambda: write(static.join(df, "k", "left"), "append"))
error("join_static_right_stream", lambda: write(static.join(df, "k", "right"), "append"))
error("join_static_semi_stream", lambda: write(static.join(df, "k", "left_semi"), "append"))
error("join_stream_stream_update", lambda: write(df.join(df.select("k"), "k"), "update"))
error("join_stream_stream_complete", lambda: write(df.join(df.select("k"), "k"), "complete"))
error("union_static", lambda: write(df.select("k").union(static.select("k")), "append"))
error("intersect", lambda: write(df.select("k").intersect(df.select("k")), "append"))
error("except", lambda: write(static.select("k").subtract(df.select("k")), "append"))
error("except_left", lambda: write(df.select("k").subtract(static.select("k")), "append"))
error("except_all", lambda: write(df.select("k").exceptAll(static.select("k")), "append"))
error("intersect_static", lambda: write(df.select("k").intersect(static.select("k")), "append"))
error("rank", lambda: write(df.selectExpr("row_number() over (partition by k order by t) r"), "append"))
error("sample", lambda: write(df.sample(0.5), "append"))
error("monotonic", lambda: write(df.select(F.monotonically_increasing_id()), "append"))
error("pivot", lambda: write(df.groupBy("k").pivot("v").count(), "append"))
error("batch_count", lambda: df.count())
error("batch_show", lambda: df.show())
error("batch_write", lambda: df.write.format("noop").mode("append").save())
error("not_streaming", lambda: static.writeStream.format("noop").start())
error("watermark_string", lambda: write(df.withWatermark("k", "5 seconds"), "append"))
error("watermark_negative", lambda: write(df.withWatermark("t", "-5 seconds"), "append"))
error("watermark_bad", lambda: write(df.withWatermark("t", "5 apples"), "append"))
error("watermark_redefined", lambda: write(wm.groupBy(F.window("t", "5 seconds")).count().withWatermark("window", "1 second").groupBy("window").count(), "append"))
error("no_checkpoint", lambda: write(df, "append", "parquet", path=os.path.join(base, "o1")))
error("file_update", lambda: write(df, "update", "parquet", path=os.path.join(base, "o2"), checkpointLocation=os.path.join(base, "c2")))
error("bad_mode", lambda: write(df, "foo"))
error("continuous", lambda: df.writeStream.format("noop").trigger(continuous="1 second").start())
error("continuous_rate", lambda: spark.readStream.format("rate").load().groupBy("value").count().writeStream.outputMode("complete").format("memory").queryName("c").trigger(continuous="1 second").start())
error("unknown_source", lambda: spark.readStream.format("nope").load())
error("unknown_sink", lambda: write(df, "append", "nope"))
error("rate_bad_rows", lambda: write(spark.readStream.format("rate").option("rowsPerSecond", "-1").load(), "append"))
error("rate_bad_parts", lambda: write(spark.readStream.format("rate").option("numPartitions", "0").load(), "append"))
error("rate_bad_ramp", lambda: write(spark.readStream.format("rate").option("rampUpTime", "-5s").load(), "append"))
error("rate_schema", lambda: write(spark.readStream.format("rate").schema("a int").load(), "append"))
error("ratemb_missing", lambda: write(spark.readStream.format("rate-micro-batch").load(), "append"))
error("ratemb_bad", lambda: write(spark.readStream.format("rate-micro-batch").option("rowsPerBatch", "0").load(), "append"))
error("file_no_schema", lambda: spark.readStream.csv(os.path.join(base, "errors", "in")))
error("file_no_path", lambda: write(spark.readStream.schema("a int").csv(os.path.join(base, "missing")), "append"))


def same_name():
    a = df.writeStream.format("noop").queryName("dup").start()
    try:
        return df.writeStream.format("noop").queryName("dup").start()
    finally:
        a.stop()


error("same_name", same_name)


def memory_recover():
    c = os.path.join(base, "cm")
    q = df.writeStream.format("memory").queryName("mm").option("checkpointLocation", c).start()
    feed(os.path.join(base, "errors", "in"), 1, EVENTS[0])
    q.processAllAvailable()
    q.stop()
    return df.writeStream.format("memory").queryName("mm").option("checkpointLocation", c).start()


error("memory_recover", memory_recover)


def failing():
    q = df.selectExpr("raise_error('boom')").writeStream.format("noop").start()
    feed(os.path.join(base, "errors", "in"), 2, EVENTS[0])
    try:
        q.processAllAvailable()
    finally:
        st = q.status
        out["errors"]["failing_status"] = st
        ex = q.exception()
        out["errors"]["failing_exception"] = str(ex).split("JVM")[0][:2000] if ex else None


error("failing", failing)

# Rate sources.
q = spark.readStream.format("rate").option("rowsPerSecond", 5).load().writeStream.format("memory").queryName("rate5").start()
time.sleep(4.5)
rate = {"status": q.status, "progress": [json.loads(p.json) for p in q.recentProgress]}
q.stop()
rate["rows"] = [[r[0].isoformat(), r[1]] for r in spark.sql("select * from rate5").collect()]
out["rate"] = rate
c = os.path.join(base, "crmb")
w = (spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 4).option("startTimestamp", 1000).option("numPartitions", 2)
     .option("advanceMillisPerBatch", 500).load().writeStream.format("memory").queryName("rmb").option("checkpointLocation", c))
q = w.start()
time.sleep(2)
q.stop()
out["rate_micro_batch"] = {
    "progress": [json.loads(p.json) for p in q.recentProgress][:3],
    "offsets": dict(list(read_log(os.path.join(c, "offsets")).items())[:3]),
    "rows": [[str(r[0]), r[1]] for r in spark.sql("select timestamp, value from rmb limit 12").collect()],
}
c = os.path.join(base, "crate")
q = (spark.readStream.format("rate").option("rowsPerSecond", 10).option("rampUpTime", "3s").load().writeStream.format("memory")
     .queryName("ramp").option("checkpointLocation", c).start())
time.sleep(5.5)
q.stop()
out["rate_ramp"] = {
    "offsets": read_log(os.path.join(c, "offsets")),
    "source": read_log(os.path.join(c, "sources", "0")),
    "rows": [[r[0].timestamp(), r[1]] for r in spark.sql("select timestamp, value from ramp order by value").collect()],
}
out["stopped_status"] = q.status
json.dump(out, sys.stdout, indent=1, default=str)
shutil.rmtree(base, ignore_errors=True)
spark.stop()
