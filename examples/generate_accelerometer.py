"""Generates accelerometer data of the shape of the "bar crawl" study: 12 people, phones at about 40 Hz.

    python examples/generate_accelerometer.py --rows 100000 data.csv

Columns: `time` (epoch milliseconds), `pid`, `x`, `y`, `z` (acceleration in g, four decimals), people one after another
in time within each. The same seed gives the same bytes.
"""

import argparse
import pathlib

import numpy as np
import pandas as pd

PEOPLE = "SA0297 PC6771 BK7610 DC6359 MC7070 MJ8002 BU4707 JR8022 HV0618 SF3079 JB3156 CC6740".split()
ROWS = 1_048_573
START = 1_493_733_882_409  # 2017-05-02 14:04:42.409 UTC
STEP = 25  # milliseconds: 40 Hz


def person(pid: str, rows: int, chance: np.random.Generator) -> pd.DataFrame:
    """One person's walk: gravity turns slowly with the phone, steps come and go, the sensor is noisy."""
    gaps = np.maximum(1, np.rint(chance.normal(STEP, 4, rows))).astype(np.int64)
    gaps += (chance.random(rows) < 2e-5) * chance.integers(5_000, 120_000, rows)  # the phone sleeps now and then
    time = START + int(chance.integers(0, 60_000)) + np.cumsum(gaps)

    seconds = (time - time[0]) / 1000.0
    tilt = 0.5 + np.cumsum(chance.normal(0, 0.004, rows))
    turn = np.cumsum(chance.normal(0, 0.006, rows))
    gravity = np.stack([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)])

    pace = chance.uniform(1.6, 2.1)  # steps a second
    effort = np.clip(np.sin(seconds / chance.uniform(40, 90)) + chance.normal(0, 0.05, rows), 0, None)
    stride = effort * np.sin(2 * np.pi * pace * seconds) * np.array([[0.08], [0.12], [0.30]])

    x, y, z = np.round(gravity + stride + chance.normal(0, 0.02, (3, rows)), 4) + 0.0
    return pd.DataFrame({"time": time, "pid": pid, "x": x, "y": y, "z": z})


def accelerometer(rows: int = ROWS, seed: int = 297) -> pd.DataFrame:
    """All people, `rows` rows in all, as evenly spread as it goes."""
    chances = np.random.default_rng(seed).spawn(len(PEOPLE))
    share, rest = divmod(rows, len(PEOPLE))
    frames = [person(pid, share + (i < rest), chances[i]) for i, pid in enumerate(PEOPLE)]
    return pd.concat(frames, ignore_index=True)


def write(path: pathlib.Path, rows: int = ROWS, seed: int = 297) -> None:
    """Writes the CSV; the file appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    accelerometer(rows, seed).to_csv(unfinished, index=False, float_format="%.4f")
    unfinished.replace(path)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("path", type=pathlib.Path)
    options.add_argument("--rows", type=int, default=ROWS, help="rows in all (default %(default)s)")
    options.add_argument("--seed", type=int, default=297)
    given = options.parse_args()
    write(given.path, given.rows, given.seed)
    print(f"{given.rows} rows of {len(PEOPLE)} people in {given.path}")


if __name__ == "__main__":
    main()
