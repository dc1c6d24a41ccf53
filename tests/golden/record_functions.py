"""Records what real Spark answers for expressions: name, type, nullability, values or error.

Each case is Python text over `F` (pyspark.sql.functions) or, with a leading "sql:", SQL
text. It is evaluated by classic Spark on the columns of INPUT; its Connect message, as a
client would send it, is kept beside the answer (base64), so that the Rust test
(crates/spark/tests/it/functions.rs) needs no Python.

Run with a Python that has the full pyspark 4.3 (Java 17):
    python tests/golden/record_functions.py [family ...]
"""

import base64
import datetime
import json
import logging
import math
import sys
from decimal import Decimal
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as classic
from pyspark.sql.connect.functions import builtin as connect
from pyspark.sql.types import BinaryType

sys.path.insert(0, str(Path(__file__).parent))
from function_cases import FAMILIES, INPUT  # noqa: E402

OUT = Path(__file__).parent / "functions"


def raw(text, type_):
    """A Python value for the text of an INPUT cell."""
    if text is None:
        return None
    if type_ in ("tinyint", "smallint", "int", "bigint", "date", "timestamp", "timestamp_ntz"):
        return int(text)
    if type_ in ("float", "double"):
        return float(text)
    if type_.startswith("decimal"):
        return Decimal(text)
    if type_ == "boolean":
        return text == "true"
    if type_ == "binary":
        return bytes.fromhex(text)
    return text


def input_frame(spark):
    ddl, cols = [], []
    for name, type_, _ in INPUT:
        stored = {"date": "int", "timestamp": "bigint", "timestamp_ntz": "bigint"}.get(type_, type_)
        ddl.append(f"{name} {stored}")
        convert = {
            "date": f"date_from_unix_date({name})",
            "timestamp": f"timestamp_micros({name})",
            "timestamp_ntz": f"cast(from_utc_timestamp(timestamp_micros({name}), 'UTC') as timestamp_ntz)",
        }.get(type_, name)
        cols.append(f"{convert} as {name}")
    rows = list(zip(*[[raw(v, t) for v in values] for _, t, values in INPUT], range(8)))
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    frame = spark.createDataFrame(rows, ", ".join(ddl + ["r int"])).selectExpr(*cols, "r").cache()
    frame.count()
    return frame


def condition(error):
    get = getattr(error, "getCondition", None)
    found = get() if get else None
    if found:
        return {"error": found, "params": dict(error.getMessageParameters() or {})}
    return {"error": type(error).__name__, "message": str(error).splitlines()[0][:200]}


def build(text, functions):
    if text.startswith("sql:"):
        return functions.expr(text[4:])
    return eval(text, {"F": functions, "c": functions.col, "lit": functions.lit, "D": Decimal,
                       "dt": datetime, "math": math})


def as_text(column, field):
    return classic.hex(column) if isinstance(field.dataType, BinaryType) else column.cast("string")


def record(frames, text):
    try:
        message = base64.b64encode(build(text, connect).to_plan(None).SerializeToString()).decode()
    except Exception as error:  # a case the client itself refuses
        print("CLIENT", text, repr(error)[:200])
        return None
    case = {"case": text, "proto": message}
    try:
        column = build(text, classic)
        whole = frames[0].select(column)
        field = whole.schema[0]
        case |= {"name": field.name, "type": field.dataType.simpleString(), "nullable": field.nullable}
        shown = as_text(column, field)
        try:
            case["values"] = [row[0] for row in frames[0].select(shown).collect()]
        except Exception:
            values = []
            for frame in frames[1:]:
                try:
                    values.append(frame.select(shown).collect()[0][0])
                except Exception as error:
                    values.append(condition(error))
            case["values"] = values
    except Exception as error:
        case |= condition(error)
    return case


def main():
    logging.disable(logging.CRITICAL)
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "OFF")
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .getOrCreate()
    )
    frame = input_frame(spark)
    frames = [frame] + [frame.where(f"r = {row}") for row in range(frame.count())]
    wanted = sys.argv[1:]
    for family in wanted or FAMILIES:
        groups = FAMILIES[family]
        recorded = []
        for zone, ansi, cases in groups:
            spark.conf.set("spark.sql.ansi.enabled", str(ansi).lower())
            spark.conf.set("spark.sql.session.timeZone", zone)
            done = [case for case in (record(frames, text) for text in cases) if case]
            recorded.append({"zone": zone, "ansi": ansi, "cases": done})
            print(family, zone, ansi, len(done), flush=True)
        lines = ",\n".join(
            json.dumps({"zone": g["zone"], "ansi": g["ansi"]})[:-1]
            + ', "cases": [\n'
            + ",\n".join(json.dumps(case, ensure_ascii=False) for case in g["cases"])
            + "\n]}"
            for g in recorded
        )
        (OUT / f"{family}.json").write_text(f"[\n{lines}\n]\n")
    (OUT / "input.json").write_text(
        "[\n" + ",\n".join(json.dumps({"name": n, "type": t, "values": v}, ensure_ascii=False) for n, t, v in INPUT) + "\n]\n"
    )
    spark.stop()


main()
