"""Cells: how a program file writes them, how they become Parquet, and random ones.

A program is JSON, so a cell is text where JSON has no such value: timestamps, dates and decimals as Spark shows them,
`NaN` and the infinities by name. The cells of a column follow from its type, which is Spark's DDL text.
"""

import datetime
import decimal
import math
import random
import re

import pyarrow as pa

UTC = datetime.timezone.utc
STRINGS = ["a", "b", "c", "", "A", "ab", "ä€", " a", "a ", "0", "-7", "long" * 40, "é", "日本", "%a_"]


def arrow_type(ddl: str) -> pa.DataType:
    """The Arrow type of a column of a program."""
    if ddl.startswith("array<"):
        return pa.list_(arrow_type(ddl[6:-1]))
    if match := re.fullmatch(r"decimal\((\d+),(\d+)\)", ddl):
        return pa.decimal128(int(match[1]), int(match[2]))
    return {
        "boolean": pa.bool_(), "tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64(),
        "float": pa.float32(), "double": pa.float64(), "string": pa.string(), "binary": pa.binary(), "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"), "timestamp_ntz": pa.timestamp("us"),
    }[ddl]  # fmt: skip


def from_json(cell, ddl: str):
    """A cell of a program file as the value Arrow takes."""
    if cell is None:
        return None
    if ddl.startswith("array<"):
        return [from_json(item, ddl[6:-1]) for item in cell]
    if ddl.startswith("decimal"):
        return decimal.Decimal(cell)
    if ddl in ("float", "double"):
        return float(cell)
    if ddl == "date":
        return datetime.date.fromisoformat(cell)
    if ddl.startswith("timestamp"):
        time = datetime.datetime.fromisoformat(cell)
        return time.replace(tzinfo=UTC) if ddl == "timestamp" else time
    return bytes.fromhex(cell) if ddl == "binary" else cell


def to_json(value):
    """A value of a result as a cell."""
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, datetime.datetime):
        return (value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value).isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return f"{value.days}d {value.seconds}s {value.microseconds}us"
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


def table(columns: list[list[str]], rows: list[list]) -> pa.Table:
    """The rows of a program file as an Arrow table."""
    fields = [pa.field(name, arrow_type(ddl)) for name, ddl in columns]
    arrays = [pa.array([from_json(row[i], ddl) for row in rows], arrow_type(ddl)) for i, (_, ddl) in enumerate(columns)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


class Times:
    """Event times of one program: they advance from batch to batch, some are late, many fall on edges."""

    # Around changes of daylight saving time, the epoch, a leap day, and where nothing happens.
    STARTS = [
        "2024-01-15T12:00:00", "2024-01-15T12:00:00", "2024-03-10T06:59:30", "2024-11-03T05:59:30", "2024-03-31T00:59:30",
        "2024-10-27T00:59:30", "1969-12-31T23:59:30", "1970-01-01T00:00:05", "1883-11-18T17:00:00", "2024-02-28T23:59:45",
    ]  # fmt: skip

    def __init__(self, rng: random.Random):
        self.start = datetime.datetime.fromisoformat(rng.choice(self.STARTS))
        # The unit of windows, gaps and delays, in seconds.
        self.unit = rng.choice([1, 1, 1, 10, 60, 3600])
        self.now = 0.0

    def advance(self, rng: random.Random) -> None:
        """The next batch begins."""
        self.now += rng.choice([0, 2, 5, 8, 15, 15, 30, 100]) * self.unit

    def text(self, rng: random.Random) -> str | None:
        """An event time of this batch."""
        if rng.random() < 0.06:
            return None
        offset = self.now - rng.choice([0, 0, 1, 3, 7, 12, 20, 45]) * self.unit + rng.randrange(6) * self.unit
        kind = rng.random()
        if kind < 0.15:
            offset += rng.random() * self.unit
        elif kind < 0.25:
            offset -= 0.000001
        return (self.start + datetime.timedelta(seconds=offset)).isoformat()


def cell(rng: random.Random, ddl: str, times: Times):
    """A random cell of a column."""
    if rng.random() < 0.1:
        return None
    if ddl.startswith("array<"):
        return [cell(rng, ddl[6:-1], times) for _ in range(rng.randrange(4))]
    if match := re.fullmatch(r"decimal\((\d+),(\d+)\)", ddl):
        scale = int(match[2])
        whole = rng.choice([rng.randrange(-500, 500), rng.randrange(10), 10 ** min(int(match[1]), 6) - 1])
        return str(decimal.Decimal(whole).scaleb(-scale))
    if ddl in ("float", "double"):
        odd = ["NaN", "Infinity", "-Infinity", -0.0, 0.0, 1e300 if ddl == "double" else 1e30, 0.1]
        return rng.choice(odd) if rng.random() < 0.15 else rng.randrange(-40, 40) / 4
    if ddl == "date":
        day = times.start.date() + datetime.timedelta(days=rng.randrange(-3, 4))
        return rng.choice([day.isoformat()] * 9 + ["1582-10-15", "0001-01-01"]) if rng.random() < 0.2 else day.isoformat()
    if ddl.startswith("timestamp"):
        return times.text(rng)
    if ddl == "string":
        return rng.choice(STRINGS[:3]) if rng.random() < 0.75 else rng.choice(STRINGS)
    if ddl == "boolean":
        return rng.random() < 0.5
    if ddl == "binary":
        return rng.choice(["", "00", "ff", "61", "6162"])
    if rng.random() < 0.06:
        bits = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 62}[ddl]
        return rng.choice([2**bits - 1, -(2**bits)])
    return rng.randrange(-9, 12)
