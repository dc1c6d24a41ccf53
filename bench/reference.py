"""What each workload must come to, computed from the same data with NumPy and pandas."""

import numpy as np
import pandas as pd

import data

Totals = dict[str, float]


def totals(frame: pd.DataFrame, names: tuple[str, ...]) -> Totals:
    return {"rows": len(frame), **{name: float(frame[name].sum()) for name in names}}


def magnitude(frame: pd.DataFrame) -> pd.Series:
    return np.sqrt(frame.x * frame.x + frame.y * frame.y + frame.z * frame.z)


def windows(duration: int, slide: int):
    """Windows of seconds that are over at the end; each person's seconds as a dense array, summed along it."""

    def reference(frames: dict[str, pd.DataFrame], names: tuple[str, ...]) -> Totals:
        frame = frames["in"]
        over = (frame.time.max() - 10_000) // 1000  # the watermark
        frame = frame[frame.time > data.START + frame.index // 12 * 25 - data.HOUR]  # hours late: dropped
        frame = frame.assign(mag=magnitude(frame), second=frame.time // 1000)
        first = frame.second.min() - duration
        length = int(frame.second.max() - first + duration + 1)
        out = []
        for _, own in frame.groupby("pid"):
            n, s, peak = np.zeros(length), np.zeros(length), np.full(length, -np.inf)
            at = (own.second - first).to_numpy()
            np.add.at(n, at, 1)
            np.add.at(s, at, own.mag.to_numpy())
            np.maximum.at(peak, at, own.mag.to_numpy())
            starts = np.arange(length - duration)
            starts = starts[(starts + first) % slide == 0]
            starts = starts[starts + first + duration <= over]
            cn, cs = np.concatenate([[0], np.cumsum(n)]), np.concatenate([[0], np.cumsum(s)])
            wn, ws = cn[starts + duration] - cn[starts], cs[starts + duration] - cs[starts]
            wp = pd.Series(peak[::-1]).rolling(duration, min_periods=1).max().to_numpy()[::-1][starts]
            some = wn > 0
            out.append(pd.DataFrame({"start": starts[some] + first, "n": wn[some], "average": ws[some] / wn[some], "peak": wp[some]}))
        return totals(pd.concat(out), names)

    return reference


def deduplicated(frames, names):
    return totals(frames["in"].drop_duplicates("id"), names)


def running(frames, names):
    """Each batch puts out the keys it met, with what they have come to."""
    frame = frames["in"]
    counts, sums = np.zeros(data.KEYS), np.zeros(data.KEYS)
    out = dict.fromkeys(("rows", *names), 0.0)
    for i in range(data.FILES):
        part = frame[i * len(frame) // data.FILES : (i + 1) * len(frame) // data.FILES]
        counts += np.bincount(part.k, minlength=data.KEYS)
        sums += np.bincount(part.k, weights=part.v, minlength=data.KEYS)
        met = part.k.unique()
        for name, value in zip(("rows", "n", "s"), (len(met), counts[met].sum(), sums[met].sum())):
            out[name] += float(value)
    return out


def joined(frames, names):
    pairs = frames["shown"].merge(frames["clicks"], on="ad", suffixes=("", "_click"))
    pairs = pairs[(pairs.time_click >= pairs.time) & (pairs.time_click <= pairs.time + 10_000)]
    return totals(pairs.rename(columns={"ad": "shown_ad"}), names)


def sessions(frames, names):
    frame = frames["in"]
    frame = frame.assign(k=frame.id.str[:3])
    before = frame.groupby("k").time.shift()
    starts = before.isna() | (frame.time - before > 2000)
    number = starts.astype("int64").groupby(frame.k).cumsum()
    groups = frame.groupby(["k", number.rename("session")])
    out = groups.agg(start=("time", "min"), end=("time", "max"), n=("v", "size"), s=("v", "sum"))
    out = out[out.end + 2000 <= frame.time.max() - 10_000]
    return totals(out.assign(start=out.start // 1000), names)


def projected(frames, names):
    frame = frames["in"]
    return totals(frame.assign(mag=magnitude(frame)), names)


REFERENCES = {
    "w1": projected,
    "w2": windows(60, 60),
    "w3": windows(60, 1),
    "w3o-1h": windows(3600, 3600),
    "w3o-1m": windows(3600, 60),
    "w3o-1s": windows(3600, 1),
    "w4": running,
    "w5": deduplicated,
    "w6": joined,
    "w7": sessions,
}
