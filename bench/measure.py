"""Runs a command and watches the memory of its process tree."""

import json
import os
import pathlib
import subprocess
import sys
import threading
import time


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        found.append(current)
        try:
            for task in pathlib.Path(f"/proc/{current}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found


# Seconds between two looks at a process tree. Looking every 0.02 s slowed the shortest runs: w3 over 10 M rows 9.2, not 11.1 M rows/s.
PAUSE = 0.1


def resident(pid: int, field: str = "VmRSS") -> tuple[str, int]:
    """A process's name and its resident kilobytes; the most there have been, as `VmHWM`."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "", 0
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return fields["Name"].strip(), int(fields.get(field, "0 kB").split()[0])


def environment(extra: dict) -> dict:
    """Ours without what steers PySpark, and `extra`."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
    return clean | {"PYTHONWARNINGS": "ignore"} | extra


def run(command: list[str], extra: dict) -> dict:
    """Runs a command to its end; its last line of JSON, and in MB the peaks of its tree and of what is no Python in it.

    A process's peak is the kernel's own figure; those of processes that run side by side are added up.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(extra)
    )
    peaks = {"megabytes": 0.0, "engine_megabytes": 0.0}

    def watch():
        while process.poll() is None:
            sizes = [resident(pid, "VmHWM") for pid in tree(process.pid)]
            engine = sum(size for name, size in sizes if not name.startswith("python"))
            peaks["megabytes"] = max(peaks["megabytes"], sum(size for _, size in sizes) / 1024)
            peaks["engine_megabytes"] = max(peaks["engine_megabytes"], engine / 1024)
            time.sleep(PAUSE)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    output, errors = process.communicate()
    watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{output}\n{errors[-3000:]}")
    return json.loads(output.strip().splitlines()[-1]) | peaks
