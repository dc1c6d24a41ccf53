"""Joins of two streams (and of a stream with a static frame): scenarios, and one way to run them on any Spark session.

Each step lays one file into each side's folder and runs everything there is until nothing is left to do
(`availableNow`), so that a batch sees both files: every step is also a restart. `steady` scenarios leave the query
running and feed one side at a time. Observed: as in `scenarios.py`.
"""

import dataclasses
import json
import pathlib
import typing

from pyspark.sql import functions as F

from scenarios import _batch, _minus, _order, _put, plain

SCHEMA = "s double, k string, v int"

# (left rows, right rows) of each step: seconds, key, value.
STEPS = [
    (["1,a,1", "2,b,2", "3,,3", "4,c,4", "4,c,4"], ["1,a,10", "6,a,20", "3,,30", "12,b,40"]),
    (["20,a,5", "11,b,6", ",a,7", "21,d,8"], ["20,a,50", "14,b,60", ",a,70", "25,e,80"]),
    (["30,a,9", "5,a,10", "31,,11", "40,d,12"], ["4,c,90", "33,a,100", "35,,110", "41,d,120"]),
    (["3,c,13", "32,a,14"], ["3,c,130", "29,a,140", "60,f,150"]),  # some late, some only nearly
    (["61,f,15", "90,a,16"], []),
    ([], ["92,a,160", "61,f,170"]),
    (["200,g,17"], ["201,g,180", "150,g,190"]),
    (["300,h,18"], ["300,i,200"]),
]

# Enough to see where the bound lies: rows a second apart, then a jump of the watermark.
BOUND_STEPS = [
    ([f"{s},k,{s}" for s in range(0, 40)], [f"{s},k,{s}" for s in range(0, 40)]),
    (["40.5,k,1"], ["41.2505,k,2"]),
    (["41.5,x,1"], ["41.5,x,2"]),
]


@dataclasses.dataclass
class Scenario:
    """What is asked. `frame` gets the two raw streams (columns of SCHEMA) and the session."""

    frame: typing.Callable
    steps: list = dataclasses.field(default_factory=lambda: STEPS)
    mode: str = "append"
    steady: bool = False
    conf: dict = dataclasses.field(default_factory=dict)


def side(raw, name, delay):
    """Columns `<name>t, <name>k, <name>v`, with a watermark on the first."""
    named = raw.select(
        F.expr("timestamp_micros(cast(s * 1000000 as bigint))").alias(f"{name}t"),
        F.col("k").alias(f"{name}k"),
        F.col("v").alias(f"{name}v"),
    )
    return named.withWatermark(f"{name}t", delay) if delay else named


def joined(condition, how="inner", left="10 seconds", right="5 seconds", then=lambda frame: frame):
    def frame(l, r, spark):
        return then(side(l, "l", left).join(side(r, "r", right), F.expr(condition), how))

    return frame


def windowed(how):
    def frame(l, r, spark):
        l = side(l, "l", "10 seconds").select(F.window("lt", "10 seconds").alias("lw"), "lk", "lv")
        r = side(r, "r", "5 seconds").select(F.window("rt", "10 seconds").alias("rw"), "rk", "rv")
        return l.join(r, F.expr("lk = rk and lw = rw"), how)

    return frame


def using(names, how):
    def frame(l, r, spark):
        l = side(l, "l", "10 seconds").withColumnsRenamed({"lt": "t", "lk": "k"})
        r = side(r, "r", "5 seconds").withColumnsRenamed({"rt": "t", "rk": "k"})
        if names == ["k"]:
            r = r.withColumnRenamed("t", "rt")
        return l.join(r, names, how)

    return frame


def self_join(l, r, spark):
    one = side(l, "l", "10 seconds")
    a, b = one.alias("a"), one.alias("b")
    return a.join(b, F.expr("a.lk = b.lk and b.lt > a.lt and b.lt <= a.lt + interval 10 seconds")).select(
        "a.lk", F.col("a.lt").alias("t1"), F.col("b.lt").alias("t2"), F.col("a.lv").alias("v1"), F.col("b.lv").alias("v2")
    )


def static(how, stream_left=True):
    def frame(l, r, spark):
        table = spark.createDataFrame([("a", 1), ("a", 2), ("b", 3), (None, 4), ("z", 5)], "sk string, sv int")
        stream = side(l, "l", "10 seconds")
        if stream_left:
            return stream.join(table, F.expr("lk = sk"), how)
        return table.join(stream, F.expr("lk = sk"), how)

    return frame


def static_range(how):
    def frame(l, r, spark):
        table = spark.createDataFrame([("a", 1), ("a", 20), ("b", 3), (None, 4), ("z", 5)], "sk string, sv int")
        return side(l, "l", None).join(table, F.expr("lv < sv"), how)

    return frame


RANGE = "lk = rk and rt >= lt - interval 5 seconds and rt <= lt + interval 10 seconds"
KINDS = {"inner": "inner", "left": "left_outer", "right": "right_outer", "full": "full_outer", "semi": "left_semi"}

SCENARIOS: dict[str, Scenario] = {}
for _short, _how in KINDS.items():
    SCENARIOS[f"range_{_short}"] = Scenario(joined(RANGE, _how))
    SCENARIOS[f"time_key_{_short}"] = Scenario(joined("lk = rk and lt = rt", _how))
    SCENARIOS[f"predicates_{_short}"] = Scenario(joined(f"{RANGE} and lv % 3 != 1 and rv > 30 and lv < rv", _how))
    SCENARIOS[f"literal_predicates_{_short}"] = Scenario(joined(f"{RANGE} and lv > 2 and rv > 30", _how))
    SCENARIOS[f"window_{_short}"] = Scenario(windowed(_how))
    SCENARIOS[f"max_policy_{_short}"] = Scenario(
        joined(RANGE, _how), conf={"spark.sql.streaming.multipleWatermarkPolicy": "max"}
    )
    # One side at a time, the query left running.
    SCENARIOS[f"steady_{_short}"] = Scenario(
        joined(RANGE, _how), steps=[part for l, r in STEPS for part in ((l, []), ([], r)) if part != ([], [])], steady=True
    )
    if _short != "semi":
        SCENARIOS[f"using_time_{_short}"] = Scenario(using(["k", "t"], _how))
    SCENARIOS[f"static_{_short}"] = Scenario(static(_how, stream_left=_short != "right")) if _short != "full" else None
    SCENARIOS[f"where_{_short}"] = Scenario(
        joined(RANGE, _how, then=lambda frame: frame.where("lk != 'c' or lv > 5").where("lv % 2 = 0" if "rv" not in frame.columns else "rv > 20 or rv is null"))
    )
    SCENARIOS[f"null_safe_{_short}"] = Scenario(joined(RANGE.replace("lk = rk", "lk <=> rk"), _how))
del SCENARIOS["static_full"]
SCENARIOS |= {
    "static_anti": Scenario(static("left_anti")),
    "static_right_of_table": Scenario(static("inner", stream_left=False)),
    "static_range_inner": Scenario(static_range("inner")),
    "static_range_left": Scenario(static_range("left_outer")),
    "static_range_semi": Scenario(static_range("left_semi")),
    "static_range_anti": Scenario(static_range("left_anti")),
    "static_cross": Scenario(lambda l, r, spark: side(l, "l", None).crossJoin(spark.range(2))),
    "no_watermark_inner": Scenario(joined(RANGE, left=None, right=None)),
    "left_watermark_inner": Scenario(joined(RANGE, right=None)),
    "right_watermark_inner": Scenario(joined(RANGE, left=None)),
    "key_alone_inner": Scenario(joined("lk = rk")),
    "left_bound_left": Scenario(joined("lk = rk and rt <= lt + interval 10 seconds", "left_outer")),
    "right_bound_right": Scenario(joined("lk = rk and rt >= lt - interval 5 seconds", "right_outer")),
    "one_bound_full": Scenario(joined("lk = rk and rt >= lt - interval 5 seconds", "full_outer")),
    "one_bound_semi": Scenario(joined("lk = rk and rt <= lt + interval 10 seconds", "left_semi")),
    "time_key_left_watermark_left": Scenario(joined("lk = rk and lt = rt", "left_outer", right=None)),
    "time_key_right_watermark_left": Scenario(joined("lk = rk and lt = rt", "left_outer", left=None)),
    "time_key_alone_full": Scenario(joined("lt = rt", "full_outer")),
    "expression_keys_inner": Scenario(joined(f"upper(lk) = upper(rk) and lv % 10 = cast(rv / 10 as bigint) % 10 and rt >= lt and rt <= lt + interval 10 seconds")),
    "condition_above": Scenario(lambda l, r, spark: side(l, "l", "10 seconds").join(side(r, "r", "5 seconds")).where(RANGE).where("lv < 10").select("lk", "lv", "rv")),
    "filters_below_inner": Scenario(lambda l, r, spark: side(l, "l", "10 seconds").where("lk > 'a'").join(side(r, "r", "5 seconds"), F.expr(RANGE))),
    "filters_below_left": Scenario(lambda l, r, spark: side(l, "l", "10 seconds").where("lk > 'a'").join(side(r, "r", "5 seconds"), F.expr(RANGE), "left_outer")),
    "outer_made_inner": Scenario(joined(RANGE, "left_outer", then=lambda frame: frame.where("rv > 30"))),
    "full_made_left": Scenario(joined(RANGE, "full_outer", then=lambda frame: frame.where("lv > 1"))),
    "using_key_inner": Scenario(using(["k"], "inner")),
    "self_join": Scenario(self_join),
    "projected_inner": Scenario(joined(RANGE, then=lambda frame: frame.select("lv", (F.col("rv") + 1).alias("w")))),
    "no_data_batches_off_left": Scenario(joined(RANGE, "left_outer"), conf={"spark.sql.streaming.noDataMicroBatches.enabled": "false"}),
}

# Conditions and what they bound: numRowsTotal tells.
BOUNDS = {
    "between": "rt between lt - interval 5 seconds and lt + interval 10 seconds",
    "strict": "lt > rt - interval 5 seconds and lt < rt + interval 10 seconds",
    "not_strict": "lt >= rt - interval 5 seconds and lt <= rt + interval 10 seconds",
    "moved": "lt + interval 5 seconds > rt and rt + interval 10 seconds > lt",
    "difference": "rt - lt < interval 5 seconds and rt - lt > interval -10 seconds",
    "two_intervals": "lt > rt - interval 2 seconds - interval 3 seconds and rt > lt - interval 10 seconds",
    "same_interval_twice": "lt > rt - interval 3 seconds - interval 3 seconds and rt > lt - interval 4 seconds - interval 4 seconds",
    "as_double": "cast(lt as double) > cast(rt as double) - 5 and cast(rt as double) > cast(lt as double) - 10.5",
    "as_long": "cast(lt as long) >= cast(rt as long) - 5 and cast(rt as long) >= cast(lt as long) - 10",
    "fraction": "lt > rt - interval 2500500 microseconds and rt >= lt - interval 10500 milliseconds",
    "minus_sign": "-(cast(rt as double) - 5) > -cast(lt as double) and cast(lt as double) > -(5 - cast(rt as double))",
    "several": "lt > rt - interval 5 seconds and lt > rt - interval 8 seconds and rt > lt - interval 10 seconds and rt >= lt - interval 3 seconds",
    "other_columns": "lt > rt - interval 5 seconds and rt > lt - interval 10 seconds and lv <= rv + 100",
    "month": "lt > rt - interval 1 month and rt > lt - interval 10 seconds",
    "day_and_time": "lt > rt - interval '0 00:00:05' day to second and rt > lt - interval '00:10' minute to second",
    "calendar": "lt > rt - make_interval(0, 0, 0, 0, 0, 0, 5) and rt > lt - make_dt_interval(0, 0, 0, 10)",
    "multiplied": "lt > rt - interval 1 second * 5 and rt > lt - 2 * interval 5 seconds",
    "disjunction": "(lt > rt - interval 5 seconds or lv = rv) and rt > lt - interval 10 seconds",
    "negated": "not (lt <= rt - interval 5 seconds) and not (rt < lt - interval 10 seconds)",
    "truncated": "date_trunc('second', lt) > rt - interval 5 seconds and rt > lt - interval 10 seconds",
    "as_string": "cast(lt as string) > cast(rt as string) and rt > lt - interval 10 seconds",
    "as_date": "cast(lt as date) >= cast(rt as date) and rt > lt - interval 10 seconds",
    "equal_times": "lt = rt",
    "equal_moved": "lt = rt - interval 5 seconds",
    "equal_dates": "cast(lt as date) = cast(rt as date)",
    "literal_time": "lt > timestamp '1970-01-01 00:00:03' and lt > rt - interval 5 seconds and rt > lt - interval 10 seconds",
    "columns_of_one_side": "lt > rt - interval 5 seconds and rt > lt - interval 10 seconds and lt > cast(lv as timestamp) - interval 100 seconds",
    "zero": "lt >= rt and rt >= lt",
}
for _name, _bound in BOUNDS.items():
    SCENARIOS[f"bound_{_name}"] = Scenario(joined(f"lk = rk and ({_bound})", then=lambda frame: frame.where("lv + rv = -1")), steps=BOUND_STEPS)
    if _name in ("between", "literal_time", "fraction", "same_interval_twice", "other_columns", "columns_of_one_side"):
        SCENARIOS[f"bound_{_name}_left"] = Scenario(joined(f"lk = rk and ({_bound})", "left_outer"), steps=BOUND_STEPS)

# What is refused, when it is started.
TIME = "rt >= lt - interval 5 seconds and rt <= lt + interval 10 seconds"
REFUSED = {
    "no_equality": Scenario(joined(TIME)),
    "no_condition": Scenario(lambda l, r, spark: side(l, "l", "10 seconds").crossJoin(side(r, "r", "5 seconds"))),
    "no_equality_left": Scenario(joined(TIME, "left_outer")),
    "anti": Scenario(joined(RANGE, "left_anti")),
    "table_anti": Scenario(static("left_anti", stream_left=False)),
    "table_left": Scenario(static("left_outer", stream_left=False)),
    "table_semi": Scenario(static("left_semi", stream_left=False)),
    "table_full": Scenario(static("full_outer", stream_left=False)),
    "right_of_table": Scenario(static("right_outer")),
    "full_of_table": Scenario(static("full_outer")),
    "complete_aggregate": Scenario(joined(RANGE, then=lambda frame: frame.groupBy("lk").count()), mode="complete"),
    "update_aggregate": Scenario(joined(RANGE, then=lambda frame: frame.groupBy("lk").count()), mode="update"),
}
for _short, _how in KINDS.items():
    REFUSED[f"update_{_short}"] = Scenario(joined(RANGE, _how), mode="update")
    REFUSED[f"complete_{_short}"] = Scenario(joined(RANGE, _how), mode="complete")
    if _short != "inner":
        REFUSED[f"key_alone_{_short}"] = Scenario(joined("lk = rk", _how))
        REFUSED[f"no_watermark_{_short}"] = Scenario(joined(RANGE, _how, left=None, right=None))
        REFUSED[f"left_watermark_{_short}"] = Scenario(joined("lk = rk and rt <= lt + interval 10 seconds", _how, right=None))
        REFUSED[f"right_watermark_{_short}"] = Scenario(joined("lk = rk and rt <= lt + interval 10 seconds", _how, left=None))
        REFUSED[f"upper_bound_{_short}"] = Scenario(joined("lk = rk and rt <= lt + interval 10 seconds", _how))
        REFUSED[f"lower_bound_{_short}"] = Scenario(joined("lk = rk and rt >= lt - interval 5 seconds", _how))


def prepare(spark, scenario, folder: pathlib.Path):
    """The folders of the sides, and the frame over them."""
    folders = [folder / part for part in ("left", "right", "third", "fourth")[: len(scenario.steps[0])]]
    for source in folders:
        source.mkdir(parents=True)
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    sides = [spark.readStream.schema(SCHEMA).csv(str(source)) for source in folders]
    return folders, scenario.frame(*sides, spark)


def run(spark, name: str, folder: pathlib.Path, scenarios: dict | None = None) -> list[dict]:
    """Runs a scenario below `folder` and returns what was observed, step by step, as JSON values.

    In other modes than append the result is kept in memory, which only a query left running can do.
    """
    scenario = (scenarios or SCENARIOS)[name]
    folders, frame = prepare(spark, scenario, folder)
    for key, value in scenario.conf.items():
        spark.conf.set(key, value)
    checkpoint, out = folder / "checkpoint", folder / "out"
    schema = frame.schema
    in_memory = scenario.mode != "append"
    table = f"joined_{name}"

    def start():
        writer = frame.writeStream.outputMode(scenario.mode).option("checkpointLocation", str(checkpoint))
        if not scenario.steady:
            writer = writer.trigger(availableNow=True)
        return writer.format("memory").queryName(table).start() if in_memory else writer.format("json").start(str(out))

    def result():
        if in_memory:
            return [plain(row) for row in spark.table(table).collect()]
        if not any(out.glob("part-*")):
            return []
        return [plain(row) for row in spark.read.schema(schema).json(str(out)).collect()]

    observed, query, before, seen = [], None, [], -1
    try:
        for number, step in enumerate(scenario.steps):
            for source, lines in zip(folders, step):
                if lines:
                    _put(source, number, lines)
            if scenario.steady:
                query = query or start()
                query.processAllAvailable()
            else:
                query = start()
                assert query.awaitTermination(120)
            after = result()
            batches = [{"eventTime": {}} | json.loads(p.json) for p in query.recentProgress]
            batches = [b for b in batches if "addBatch" in b["durationMs"] and b["batchId"] > seen]
            seen = max([seen, *(b["batchId"] for b in batches)])
            added = after if scenario.mode == "complete" else _minus(after, before)
            observed.append({"rows": sorted(added, key=_order), "batches": [_joined_batch(b, checkpoint) for b in batches]})
            before = after
    finally:
        if query:
            query.stop()
        for key in scenario.conf:
            spark.conf.unset(key)
    return observed


def _joined_batch(progress: dict, checkpoint: pathlib.Path) -> dict:
    """As `scenarios._batch`; whether offsets are objects or text depends on the client."""
    batch = _batch(progress, checkpoint)
    for source in batch["sources"]:
        for end in ("startOffset", "endOffset"):
            if isinstance(source[end], str):
                source[end] = json.loads(source[end])
    return batch


def refuse(spark, name: str, folder: pathlib.Path) -> str:
    """Starts a program that is refused and returns the error's first line."""
    scenario = REFUSED[name]
    try:
        folders, frame = prepare(spark, scenario, folder)
        for source, lines in zip(folders, STEPS[0]):
            _put(source, 0, lines)
        query = frame.writeStream.outputMode(scenario.mode).trigger(availableNow=True).option("checkpointLocation", str(folder / "checkpoint"))
        query = query.format("memory").queryName(f"refused_{name}").start()
        query.awaitTermination(120)
    except Exception as error:
        return str(error).splitlines()[0].split(";")[0]
    return "runs"
