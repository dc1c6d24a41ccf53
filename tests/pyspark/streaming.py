"""What streaming tests have in common: feeding folders, reading logs and results."""

import json
import os
import pathlib
import time


def put(folder: str, name: str, *lines: str) -> None:
    """Makes a file of these lines appear in `folder` at once, younger than all before it."""
    directory = pathlib.Path(folder)
    directory.mkdir(parents=True, exist_ok=True)
    hidden = directory / f".{name}.being-written"
    hidden.write_text("".join(f"{line}\n" for line in lines))
    others = [entry.stat().st_mtime_ns for entry in directory.iterdir() if not entry.name.startswith(".")]
    if others:
        # Spark orders files by modification time in milliseconds.
        stamp = max(hidden.stat().st_mtime_ns, max(others) + 2_000_000)
        os.utime(hidden, ns=(stamp, stamp))
    hidden.rename(directory / name)


def log(directory: str) -> dict[int, list]:
    """A log of the checkpoint or of a file sink: number to its lines, the first is the version."""
    entries = {}
    for entry in pathlib.Path(directory).iterdir():
        if not entry.name.startswith(".") and not entry.name.endswith(".tmp"):
            version, *lines = entry.read_text().splitlines()
            entries[int(entry.name.split(".")[0])] = [version, *map(json.loads, lines)]
    return dict(sorted(entries.items()))


def sink_entries(folder: str) -> list[dict]:
    """The files that the log of a file sink lists: the last compaction, and what came after it."""
    directory = pathlib.Path(folder, "_spark_metadata")
    compacted = max((int(p.stem) for p in directory.glob("*.compact")), default=-1)
    entries = []
    for path in sorted(directory.glob("[0-9]*"), key=lambda p: int(p.stem)):
        number = int(path.stem)
        if number > compacted or (number == compacted and path.suffix == ".compact"):
            entries += map(json.loads, path.read_text().splitlines()[1:])
    return entries


def tuples(frame) -> list[tuple]:
    """The rows of a frame, sorted, as plain tuples (rows inside them too)."""

    def plain(value):
        if isinstance(value, tuple):
            return tuple(plain(v) for v in value)
        return value

    return sorted((plain(tuple(row)) for row in frame.collect()), key=repr)


def eventually(condition, seconds: float = 30.0, message: str = ""):
    """The first true value of `condition()`; fails when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(message or "it did not happen in time")


def visible(folder: str) -> list[str]:
    """The data files of a folder, as a glob over `part-*` sees them."""
    return sorted(str(p) for p in pathlib.Path(folder).glob("**/part-*"))


def lines(folder: str) -> list[str]:
    """All lines of all visible data files, sorted."""
    return sorted(line for name in visible(folder) for line in pathlib.Path(name).read_text().splitlines())
