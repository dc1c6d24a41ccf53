"""The data of the benches: generated once into a folder, the same bytes for the same size.

Accelerometer rows `time,pid,x,y,z` (epoch milliseconds, UTC) of twelve people at 40 Hz, all in time together, in equal
files whose modification times follow their numbers. One row in a hundred is up to five seconds late (within the
watermark's delay), from the third file on one in ten thousand is three hours late (dropped by whoever has windows).
Coordinates are multiples of 1/1024, so that sums of them are exact.
"""

import os
import pathlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

PEOPLE = np.array("SA0297 PC6771 BK7610 DC6359 MC7070 MJ8002 BU4707 JR8022 HV0618 SF3079 JB3156 CC6740".split())
START = 1_493_733_840_000  # 2017-05-02 14:04:00 UTC
FILES = 20
HOUR = 3_600_000
KEYS = 1_000_000


def accelerometer(rows: int) -> pd.DataFrame:
    """Twelve people, one after another; each has a reading every 25 ms."""
    chance = np.random.default_rng(297)
    number = np.arange(rows)
    time = START + number // 12 * 25 + chance.integers(0, 25, rows)
    late = chance.random(rows) < 0.01
    time -= late * chance.integers(0, 5000, rows)
    very_late = (chance.random(rows) < 0.0001) & (number >= 2 * rows // FILES)
    time -= very_late * 3 * HOUR
    seconds = number / 480.0
    wave = np.stack([np.sin(seconds * pace) for pace in (11.0, 12.5, 1.7)]) + chance.normal(0, 0.1, (3, rows))
    x, y, z = np.rint(wave * 1024) / 1024
    return pd.DataFrame({"time": time, "pid": PEOPLE[number % 12], "x": x, "y": y, "z": z})


def keyed(rows: int) -> pd.DataFrame:
    """A key of a million and a reading."""
    chance = np.random.default_rng(4)
    return pd.DataFrame({"k": chance.integers(0, KEYS, rows), "v": chance.integers(0, 1024, rows) / 1024})


def identified(rows: int) -> pd.DataFrame:
    """Rows with an id of 16 hexadecimal digits; one in twenty comes again within a second."""
    chance = np.random.default_rng(5)
    number = np.arange(rows)
    number = np.where(chance.random(rows) < 0.05, np.maximum(number - chance.integers(1, 400, rows), 0), number)
    ids = (number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).tolist()
    time = START + np.arange(rows) * 2
    return pd.DataFrame({"time": time, "id": [f"{i:016x}" for i in ids], "v": chance.integers(0, 1024, rows) / 1024})


def pairs(rows: int) -> dict[str, pd.DataFrame]:
    """Two streams: what was shown, and for four of five a click up to ten seconds later, some of them too late."""
    chance = np.random.default_rng(6)
    time = START + np.arange(rows) * 2
    ids = chance.permutation(rows)
    clicked = chance.random(rows) < 0.8
    clicks = pd.DataFrame({"time": time + chance.integers(0, 12_000, rows), "ad": np.where(clicked, ids, ids + rows)})
    return {"shown": pd.DataFrame({"time": time, "ad": ids}), "clicks": clicks.sort_values("time", kind="stable")}


def write(frame: pd.DataFrame, folder: pathlib.Path, form: str) -> None:
    folder.mkdir(parents=True)
    for i in range(FILES):
        file = folder / f"{i:04d}.{form}"
        table = pa.Table.from_pandas(frame[i * len(frame) // FILES : (i + 1) * len(frame) // FILES], preserve_index=False)
        if form == "csv":
            pa.csv.write_csv(table, file, pa.csv.WriteOptions(include_header=False, quoting_style="none"))
        else:
            pa.parquet.write_table(table, file)
        os.utime(file, (1_700_000_000 + i, 1_700_000_000 + i))


def frames(kind: str, rows: int) -> dict[str, pd.DataFrame]:
    """The inputs of a kind of data by the name of their folder."""
    single = {"accelerometer": accelerometer, "keyed": keyed, "identified": identified}
    return {"in": single[kind](rows)} if kind in single else pairs(rows)


def prepare(scratch: pathlib.Path, kind: str, rows: int, form: str) -> pathlib.Path:
    """The folder of the data, written if it is not there."""
    folder = scratch / f"{kind}-{rows}-{form}"
    if not folder.exists():
        unfinished = scratch / f"{folder.name}.unfinished"
        for name, frame in frames(kind, rows).items():
            write(frame, unfinished / name, form)
        unfinished.rename(folder)
    return folder
