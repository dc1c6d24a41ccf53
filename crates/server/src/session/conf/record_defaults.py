"""Records the SQL settings of a real Spark: what `spark_defaults.tsv` holds.

Run with a full `pyspark` of the version to follow, in an empty folder:
`python record_defaults.py > spark_defaults.tsv`. One line a setting, tab separated:
key, kind, default, type, allowed.

kind     `runtime`, `static`, or `core` (known to Spark's core: no SQL setting)
default  what `spark.conf.get` gives in a fresh session; `<undefined>` where that is None;
         `<value of other.key>` where another setting is the default
type     what Spark says a wrong value should be (`boolean`, `int`, ...); `options` and
         `requirement` have their values in `allowed`; `string` takes everything
allowed  for `options` the comma-separated values as Spark prints them; for `requirement`
         the values, then `|`, then Spark's sentence
"""

import os
import re

from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
jvm = spark._jvm


def scala_object(package, name):
    return getattr(getattr(package, name + "$"), "MODULE$")


sql_conf = scala_object(jvm.org.apache.spark.sql.internal, "SQLConf")
rows = []


def escape(text):
    text = text.replace(os.getcwd(), "$PWD")
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def wrong_value(key):
    try:
        spark.conf.set(key, "no such value")
        return "string", ""
    except Exception as error:
        text = str(error)
    finally:
        spark.conf.unset(key)
    if "OUT_OF_RANGE_OF_OPTIONS" in text:
        return "options", re.search(r"one of '(.*)'", text).group(1)
    if "TYPE_MISMATCH" in text:
        return re.search(r"a/an '(.*)' value", text).group(1), ""
    if "TIME_ZONE" in text:
        return "timezone", ""
    if "For input string" in text:
        return "number", ""
    sentence = re.search(r" is invalid\. (.*?)\s*SQLSTATE", text, re.S)
    values = re.search(r"[Vv]alid values are (.*)", sentence.group(1)) if sentence else None
    if values:
        allowed = ",".join(re.findall(r"'([a-z]+)'", values.group(1)))
        return "requirement", allowed + "|" + escape(sentence.group(1))
    return "string", ""


entries = sql_conf.getConfigEntries().iterator()
sql_keys = set()
while entries.hasNext():
    entry = entries.next()
    key = entry.key()
    sql_keys.add(key)
    static = sql_conf.isStaticConfigKey(key)
    default = entry.defaultValueString()
    if not default.startswith("<value of"):
        default = spark.conf.get(key)
        default = "<undefined>" if default is None else default
    kind, allowed = ("string", "") if static else wrong_value(key)
    rows.append((key, "static" if static else "runtime", escape(default), kind, allowed))

known = jvm.java.lang.Class.forName("org.apache.spark.internal.config.ConfigEntry$")
field = known.getDeclaredField("knownConfigs")
field.setAccessible(True)
keys = field.get(scala_object(jvm.org.apache.spark.internal.config, "ConfigEntry")).keySet().iterator()
while keys.hasNext():
    key = keys.next()
    if key not in sql_keys:
        rows.append((key, "core", "<undefined>", "string", ""))

for row in sorted(rows):
    print("\t".join(row))
