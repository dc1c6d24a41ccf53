"""Several stateful operators in one query over several streams, and unions: run as `join_scenarios.run` runs joins."""

from pyspark.sql import functions as F

from join_scenarios import KINDS, RANGE, STEPS, Scenario, side

# What the third and the fourth stream get, step by step.
THIRD = [
    ["2,a,1000", "5,b,1001", "7,,1002"],
    ["16,a,1003", "22,d,1004"],
    ["31,a,1005", "3,a,1006", "44,d,1007"],
    ["28,c,1008", "61,f,1009"],
    ["88,a,1010"],
    ["93,a,1011"],
    ["199,g,1012"],
    ["301,h,1013"],
]
FOURTH = [["1,b,7"], ["12,a,8", "15,d,9"], ["41,d,10"], [], ["62,f,11"], ["91,a,12"], ["203,g,13"], ["299,i,14"]]
THREE = [(left, right, third) for (left, right), third in zip(STEPS, THIRD)]
FOUR = [(*three, fourth) for three, fourth in zip(THREE, FOURTH)]
ONE_AT_A_TIME = [part for l, r in STEPS for part in ((l, []), ([], r)) if part != ([], [])]
NO_DATA_BATCHES_OFF = {"spark.sql.streaming.noDataMicroBatches.enabled": "false"}
MAX_POLICY = {"spark.sql.streaming.multipleWatermarkPolicy": "max"}
UNCHECKED = {"spark.sql.streaming.statefulOperator.checkCorrectness.enabled": "false"}


def left(l, delay="10 seconds"):
    return side(l, "l", delay)


def right(r, delay="5 seconds"):
    return side(r, "r", delay)


def third(t, delay="7 seconds"):
    return side(t, "t", delay)


def plain(raw, delay=None):
    """Columns `t, k, v`, the same for each stream."""
    rows = raw.select(F.expr("timestamp_micros(cast(s * 1000000 as bigint))").alias("t"), "k", "v")
    return rows.withWatermark("t", delay) if delay else rows


def counted(frame, time, *keys, value="lv", size="10 seconds"):
    return frame.groupBy(F.window(time, size), *keys).agg(F.count("*").alias("n"), F.sum(value).alias("v"))


def ranged(l, r, how="inner"):
    return left(l).join(right(r), F.expr(RANGE), how)


def sessions(frame, time, gap, key, value, name):
    grouped = frame.groupBy(F.session_window(time, gap), key).agg(F.count("*").alias(f"{name}n"), F.sum(value).alias(f"{name}v"))
    return grouped.withColumnRenamed("session_window", f"{name}s")


def windows(frame, name, size="10 seconds"):
    """Columns `<name>w, <name>k, <name>n` of a side's windows."""
    grouped = frame.groupBy(F.window(f"{name}t", size).alias(f"{name}w"), f"{name}k")
    return grouped.agg(F.count("*").alias(f"{name}n"))


def window_join(l, r, how):
    one = left(l).select(F.window("lt", "10 seconds").alias("lw"), "lk", "lv")
    other = right(r).select(F.window("rt", "10 seconds").alias("rw"), "rk", "rv")
    return one.join(other, F.expr("lk = rk and lw = rw"), how)


def windows_join(l, r, how):
    return windows(left(l), "l").join(windows(right(r), "r"), F.expr("lw = rw and lk = rk"), how)


def window_times_join(l, r, how):
    one = windows(left(l), "l").select(F.window_time("lw").alias("lt"), "lk", "ln")
    other = windows(right(r), "r").select(F.window_time("rw").alias("rt"), "rk", "rn")
    return one.join(other, F.expr("lk = rk and rt >= lt and rt <= lt + interval 10 seconds"), how)


def three(l, r, t, first, second, condition="lk = tk and tt >= lt - interval 5 seconds and tt <= lt + interval 10 seconds", keep=("lk", "lt", "lv", "rv")):
    """A join of a join, which keeps one event time."""
    return ranged(l, r, first).select(*keep).join(third(t), F.expr(condition), second)


def self_join(l, r):
    one = left(l)
    a, b = one.alias("a"), one.alias("b")
    joined = a.join(b, F.expr("a.lk = b.lk and b.lt > a.lt and b.lt <= a.lt + interval 10 seconds"))
    return joined.select("a.lk", F.col("a.lt").alias("t1"), F.col("b.lv").alias("v2"))


def unioned(l, r, one="10 seconds", other="5 seconds"):
    return plain(l, one).union(plain(r, other))


SCENARIOS: dict[str, Scenario] = {}


def add(name, frame, streams=2, **more):
    """`frame` gets the raw streams."""
    steps = {2: STEPS, 3: THREE, 4: FOUR}[streams]
    if more.get("mode", "append") != "append":
        more |= {"steps": ONE_AT_A_TIME, "steady": True}
    SCENARIOS[name] = Scenario(lambda *sides: frame(*sides[:-1]), **({"steps": steps} | more))


# A join, then one more operator.
for _short, _how in KINDS.items():
    _time, _value = ("rt", "rv") if _short == "right" else ("lt", "lv")
    add(f"join_window_{_short}", lambda l, r, h=_how, t=_time, v=_value: counted(ranged(l, r, h), t, value=v))
    add(f"window_join_count_{_short}", lambda l, r, h=_how, w="rw" if _short == "right" else "lw": window_join(l, r, h).groupBy(w).count())
    add(f"dedup_join_{_short}", lambda l, r, h=_how: left(l).dropDuplicates(["lk", "lt"]).join(right(r), F.expr(RANGE), h))
    add(f"windows_join_{_short}", lambda l, r, h=_how: windows_join(l, r, h))
for _short in ("inner", "left", "full"):
    _how = KINDS[_short]
    add(f"join_dedup_{_short}", lambda l, r, h=_how: ranged(l, r, h).select("lk", "lt", "rv").dropDuplicates(["lk", "lt"]))
    add(f"window_times_join_{_short}", lambda l, r, h=_how: window_times_join(l, r, h))
    add(f"join_join_{_short}", lambda l, r, t, h=_how: three(l, r, t, h, "inner"), 3)
    add(f"join_{_short}_of_join", lambda l, r, t, h=_how: three(l, r, t, "inner", h), 3)
    add(f"join_{_short}_of_join_left", lambda l, r, t, h=_how: three(l, r, t, "left_outer", h), 3)
add("join_window_keys", lambda l, r: counted(ranged(l, r), "lt", "lk", "rv", size="20 seconds"))
add("join_window_of_other", lambda l, r: counted(ranged(l, r, "left_outer"), "rt", "lk"))
add("join_sliding_window", lambda l, r: ranged(l, r, "left_outer").groupBy(F.window("lt", "20 seconds", "5 seconds"), "lk").agg(F.count("rv").alias("n")))
add("join_window_max_policy", lambda l, r: counted(ranged(l, r, "left_outer"), "lt"), conf=MAX_POLICY)
add("join_window_no_data_batches_off", lambda l, r: counted(ranged(l, r, "left_outer"), "lt"), conf=NO_DATA_BATCHES_OFF)
add("join_window_steady", lambda l, r: counted(ranged(l, r, "left_outer"), "lt"), steps=ONE_AT_A_TIME, steady=True)
add("join_window_filtered", lambda l, r: counted(ranged(l, r, "left_outer").where("lv % 3 != 0"), "lt").where("n > 0"))
add("join_window_one_watermark", lambda l, r: counted(left(l).join(right(r, None), F.expr(RANGE)), "lt"))
add("join_window_time_key", lambda l, r: counted(left(l).join(right(r), F.expr("lk = rk and lt = rt"), "left_outer"), "lt"))
add("join_event_time", lambda l, r: ranged(l, r).groupBy("lt").agg(F.count("*").alias("n")))
add("join_window_window", lambda l, r: counted(counted(ranged(l, r, "left_outer"), "lt", "lk"), "window", value="v", size="20 seconds"))
add("join_session", lambda l, r: sessions(ranged(l, r, "left_outer"), "lt", "5 seconds", "lk", "rv", "s"))
add("join_distinct_window", lambda l, r: ranged(l, r).select(F.window("lt", "10 seconds").alias("w"), "lk").distinct())
add("join_dedup_key", lambda l, r: ranged(l, r).select("lk", "rv").dropDuplicates(["lk"]))
add("join_dedup_key_time_kept", lambda l, r: ranged(l, r).select("lk", "lt", "rv").dropDuplicates(["lk"]))
add("join_dedup_within", lambda l, r: ranged(l, r, "left_outer").select("lk", "lt", "rv").dropDuplicatesWithinWatermark(["lk"]))
add("join_limit", lambda l, r: ranged(l, r).limit(4))
add("limit_join", lambda l, r: left(l).limit(5).join(right(r), F.expr(RANGE)))
add("join_static_window", lambda l, r: counted(ranged(l, r).join(l.sparkSession.createDataFrame([("a", 1), ("c", 2)], "sk string, sv int"), F.expr("lk = sk")), "lt", value="sv"))
add("self_join_window", lambda l, r: counted(self_join(l, r), "t1", value="v2"))

# Another operator, then a join.
add("dedup_both_join", lambda l, r: left(l).dropDuplicates(["lk", "lt"]).join(right(r).dropDuplicates(["rk", "rt"]), F.expr(RANGE), "full_outer"))
add("dedup_key_join", lambda l, r: left(l).dropDuplicates(["lk"]).join(right(r), F.expr(RANGE), "left_outer"))
add("dedup_within_join", lambda l, r: left(l).dropDuplicatesWithinWatermark(["lk"]).join(right(r), F.expr(RANGE), "left_outer"))
add("dedup_within_both_join", lambda l, r: left(l).dropDuplicatesWithinWatermark(["lk"]).join(right(r).dropDuplicatesWithinWatermark(["rk", "rv"]), F.expr("lk = rk and lt = rt"), "full_outer"))
add("windows_join_stream", lambda l, r: windows(left(l), "l").join(right(r).select(F.window("rt", "10 seconds").alias("rw"), "rk", "rv"), F.expr("lk = rk and lw = rw"), "left_outer"))
add("windows_join_stream_range", lambda l, r: windows(left(l), "l").select(F.window_time("lw").alias("lt"), "lk", "ln").join(right(r), F.expr(RANGE), "left_outer"))
add("windows_join_key_alone", lambda l, r: windows(left(l), "l").join(right(r), F.expr("lk = rk")))
add("windows_join_max_policy", lambda l, r: windows_join(l, r, "full_outer"), conf=MAX_POLICY)
add("sessions_join", lambda l, r: sessions(left(l), "lt", "5 seconds", "lk", "lv", "l").join(sessions(right(r), "rt", "5 seconds", "rk", "rv", "r"), F.expr("lk = rk and ls = rs")))
add("sessions_join_keys", lambda l, r: sessions(left(l), "lt", "5 seconds", "lk", "lv", "l").join(right(r), F.expr("lk = rk")))

# Three operators and more.
add("dedup_join_window", lambda l, r: counted(left(l).dropDuplicates(["lk", "lt"]).join(right(r), F.expr(RANGE), "left_outer"), "lt"))
add("dedup_join_dedup", lambda l, r: left(l).dropDuplicates(["lk", "lt"]).join(right(r), F.expr(RANGE), "left_outer").select("lk", "lt", "rv").dropDuplicatesWithinWatermark(["lk"]))
add("windows_join_window", lambda l, r: counted(windows_join(l, r, "left_outer"), "lw", value="ln", size="20 seconds"))
add("join_join_window", lambda l, r, t: counted(three(l, r, t, "inner", "left_outer"), "lt"), 3)
add("join_window_join", lambda l, r, t: counted(ranged(l, r), "lt", "lk").join(third(t).select(F.window("tt", "10 seconds").alias("tw"), "tk", "tv"), F.expr("lk = tk and window = tw"), "left_outer"), 3)
add("join_of_joins", lambda l, r, t, u: ranged(l, r, "left_outer").select("lk", "lt", "rv").join(third(t).join(side(u, "u", "3 seconds"), F.expr("tk = uk and ut >= tt and ut <= tt + interval 5 seconds"), "left_outer").select("tk", "tt", "uv"), F.expr("lk = tk and tt >= lt - interval 5 seconds and tt <= lt + interval 10 seconds"), "left_outer"), 4)
add("join_on_a_joined_time", lambda l, r, t: three(l, r, t, "inner", "left_outer", "rk = tk and tt >= rt and tt <= rt + interval 5 seconds", ("rk", "rt", "lv")), 3)

# Unions, of streams and of what was made of them.
add("union_rows", lambda l, r: unioned(l, r))
add("union_window", lambda l, r: counted(unioned(l, r), "t", value="v"))
add("union_window_max_policy", lambda l, r: counted(unioned(l, r), "t", value="v"), conf=MAX_POLICY)
add("union_window_steady", lambda l, r: counted(unioned(l, r), "t", "k", value="v"), steps=ONE_AT_A_TIME, steady=True)
add("union_window_left_watermark", lambda l, r: counted(unioned(l, r, other=None), "t", value="v"))
add("union_window_watermark_above", lambda l, r: counted(plain(l).union(plain(r)).withWatermark("t", "8 seconds"), "t", value="v"))
add("union_watermark_above", lambda l, r: plain(l).unionByName(plain(r)).withWatermark("t", "10 seconds").dropDuplicates(["k", "t"]))
add("union_itself_window", lambda l, r: counted(plain(l, "10 seconds").union(plain(l, "10 seconds")), "t", "k", value="v"))
add("union_dedup", lambda l, r: unioned(l, r).dropDuplicates(["k", "t"]))
add("union_dedup_within", lambda l, r: unioned(l, r).dropDuplicatesWithinWatermark(["k"]))
add("union_dedup_within_swapped", lambda l, r: unioned(l, r, "5 seconds", "10 seconds").dropDuplicatesWithinWatermark(["k"]))
add("union_of_dedups_window", lambda l, r: counted(plain(l, "10 seconds").dropDuplicates(["k", "t"]).union(plain(r, "5 seconds").dropDuplicatesWithinWatermark(["k"])), "t", value="v"))
add("union_of_windows", lambda l, r: counted(plain(l, "10 seconds"), "t", "k", value="v").union(counted(plain(r, "5 seconds"), "t", "k", value="v", size="20 seconds")))
add("union_of_windows_window", lambda l, r: counted(counted(plain(l, "10 seconds"), "t", "k", value="v").union(counted(plain(r, "5 seconds"), "t", "k", value="v", size="5 seconds")), "window", value="n", size="20 seconds"))
add("union_session", lambda l, r: sessions(unioned(l, r), "t", "5 seconds", "k", "v", "s"))
add("union_limit", lambda l, r: unioned(l, r).limit(7))
# Spark itself fails at the second batch: the operators of its limits change places.
add("union_of_limits", lambda l, r: plain(l).limit(3).union(plain(r).limit(2)))
add("union_of_three_window", lambda l, r, t: counted(plain(l, "10 seconds").union(plain(r, "5 seconds")).union(plain(t, "7 seconds")), "t", value="v"), 3)
add("union_of_three_window_max_policy", lambda l, r, t: counted(plain(l, "10 seconds").union(plain(r, "5 seconds")).union(plain(t, "7 seconds")), "t", value="v"), 3, conf=MAX_POLICY)
add("union_join", lambda l, r, t: unioned(l, t).withColumnsRenamed({"t": "lt", "k": "lk", "v": "lv"}).join(right(r), F.expr(RANGE), "left_outer"), 3)
add("join_union_window", lambda l, r, t: counted(ranged(l, r, "left_outer").select(F.col("lt").alias("t"), F.col("lk").alias("k"), F.col("lv").alias("v")).union(plain(t, "7 seconds")), "t", value="v"), 3)
add("join_union_window_swapped", lambda l, r, t: counted(plain(t, "7 seconds").union(ranged(l, r, "left_outer").select(F.col("lt").alias("t"), F.col("lk").alias("k"), F.col("lv").alias("v"))), "t", value="v"), 3)
add("union_of_joins_window", lambda l, r, t, u: counted(ranged(l, r).select("lt", "lk", "lv").union(third(t).join(side(u, "u", "3 seconds"), F.expr("tk = uk and ut >= tt and ut <= tt + interval 5 seconds"), "left_outer").select("tt", "tk", "tv")), "lt"), 4)
add("union_of_joins", lambda l, r, t, u: ranged(l, r, "left_outer").select("lt", "lk", "lv").union(third(t).join(side(u, "u", "3 seconds"), F.expr("tk = uk and ut >= tt and ut <= tt + interval 5 seconds"), "left_outer").select("tt", "tk", "tv")), 4)

# Limits that are none, or one, to the optimiser.
add("limit_of_nothing", lambda l, r: plain(l).where("1 = 0").select("k", "v").limit(3))
add("limit_of_nothing_joined", lambda l, r: left(l).where("1 = 0").join(right(r), F.expr(RANGE)).limit(3))
add("limit_of_limit", lambda l, r: plain(l).limit(5).select("k", "v").limit(3))
add("limit_above_limit", lambda l, r: plain(l).limit(3).where("v > 1").limit(4))
add("limit_of_dedup_of_limit", lambda l, r: plain(l).limit(5).dropDuplicates(["k"]).limit(5))
add("limit_of_windows_of_limit", lambda l, r: plain(l).limit(3).withColumn("w", F.window("t", "10 seconds", "5 seconds")).limit(6))
add("limit_of_fewer_windows_of_limit", lambda l, r: plain(l).limit(3).withColumn("w", F.window("t", "10 seconds", "5 seconds")).limit(5))
add("limit_of_watermark_of_limit", lambda l, r: plain(plain(l).limit(3).select(F.expr("unix_micros(t) / 1e6").alias("s"), "k", "v"), "10 seconds").limit(5))

# Other modes.
for _short in ("inner", "semi"):
    _how = KINDS[_short]
    add(f"join_{_short}_update", lambda l, r, h=_how: ranged(l, r, h), mode="update")
    add(f"join_count_{_short}_update", lambda l, r, h=_how: ranged(l, r, h).groupBy("lk").count(), mode="update")
    add(f"join_window_{_short}_update", lambda l, r, h=_how: counted(ranged(l, r, h), "lt"), mode="update")
add("join_dedup_update", lambda l, r: ranged(l, r).select("lk", "lt", "rv").dropDuplicates(["lk", "lt"]), mode="update")
add("dedup_join_update", lambda l, r: left(l).dropDuplicates(["lk", "lt"]).join(right(r), F.expr(RANGE)), mode="update")
add("join_global_update", lambda l, r: ranged(l, r).groupBy().agg(F.count("*").alias("n"), F.sum("rv").alias("v")), mode="update")
add("union_count_update", lambda l, r: unioned(l, r).groupBy("k").count(), mode="update")
add("union_window_update", lambda l, r: counted(unioned(l, r), "t", value="v"), mode="update")
add("union_count_complete", lambda l, r: unioned(l, r).groupBy("k").agg(F.count("*").alias("n"), F.sum("v").alias("v")), mode="complete")
add("union_window_complete", lambda l, r: counted(unioned(l, r), "t", value="v"), mode="complete")
add("windows_join_update_unchecked", lambda l, r: windows_join(l, r, "inner"), mode="update", conf=UNCHECKED)
add("window_count_update_unchecked", lambda l, r: counted(plain(l, "10 seconds"), "t", "k", value="v").groupBy("k").agg(F.sum("n").alias("n")), mode="update", conf=UNCHECKED)
