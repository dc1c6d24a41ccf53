"""Records what `show()` prints on Apache Spark 4.3: run with `python show.py` where pyspark 4.3 and Java are."""
import json, os
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
         .config("spark.sql.session.timeZone", "America/New_York").getOrCreate())
spark.sparkContext.setLogLevel("OFF")
TYPES = """select 1 as i, 1.0D as d, 1e7D dd, cast(1.5 as float) f, 1.10 dec, 'abc' s, true b, date'2024-01-01' dt,
 timestamp'2024-01-01 00:00:00' ts, timestamp_ntz'2024-01-01 00:00:00.5' ntz, array(1,null,2) a, map('k',1,'n',null) m,
 struct(1 as x,null as y,'z' as z) st, binary('12') bin, null n, interval '1-2' year to month ym,
 interval '1 02:03:04.5' day to second ds, make_interval(1,2,0,3,4,5,6.5) ci, cast(0.0000001 as decimal(20,10)) dc"""
TEXTS = [("中文字", 1), ("日本語のとても長い文字列ですから切り取られるはず", 2), ("tab\there\nnl\r\f\b\v\a", 3),
         ("😀😀😀😀😀😀😀😀😀😀😀", 4), (None, 5), ("", 6)]
frames = {"types": spark.sql(TYPES), "texts": spark.createDataFrame(TEXTS, "`名 前\t` string, x int"),
          "empty": spark.range(0), "nocolumns": spark.range(2).select()}
cases = []
for frame, n, truncate, vertical in [
        ("types", 20, 20, False), ("types", 20, 0, True), ("types", 20, 20, True), ("texts", 20, 20, False),
        ("texts", 20, 0, False), ("texts", 20, 3, False), ("texts", 20, 5, False), ("texts", 2, 20, False),
        ("texts", 1, 20, False), ("texts", 0, 20, False), ("texts", 2, 20, True), ("texts", 0, 20, True),
        ("texts", 6, 20, False), ("texts", -1, 20, False), ("empty", 20, 20, False), ("empty", 20, 20, True),
        ("nocolumns", 20, 20, False), ("nocolumns", 1, 20, False)]:
    text = frames[frame]._jdf.showString(n, truncate, vertical)
    cases.append({"frame": frame, "num_rows": n, "truncate": truncate, "vertical": vertical, "text": text})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "show.json"), "w") as out:
    json.dump(cases, out, indent=1, ensure_ascii=False)
