"""Counts the instructions of the hot kernels under callgrind (`make bench-instructions`).

A count is the same on a busy machine as on a quiet one, so a kernel that got slower is seen where times say nothing. A
kernel (`crates/engine/benches/kernels.rs`) runs in a process of its own, for one round and for three: half of the
difference is one round, without what was prepared. Counts belong to a build profile; they are compared with those in
`instructions.json`, and one that grew by more than the tolerance fails. `--accept` writes the counts there.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BASELINE = HERE / "instructions.json"
# A round's input.
ROWS = 8192


def count(binary: str, kernel: str, rounds: int, keep: pathlib.Path | None) -> int:
    """Instructions of a whole process."""
    with tempfile.TemporaryDirectory() as scratch:
        output = (keep / f"callgrind.out.{kernel}") if keep else pathlib.Path(scratch, "callgrind.out")
        # Addresses and their hashes are the same each time.
        fixed = ["setarch", "-R"] if shutil.which("setarch") else []
        command = [*fixed, "valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", binary, kernel, str(rounds)]
        ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TMPDIR": scratch})
    found = re.search(r"Collected : (\d+)", ended.stderr)
    if ended.returncode or not found:
        sys.exit(f"{' '.join(command)} failed:\n{ended.stderr[-3000:]}")
    return int(found[1])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", required=True, help="the built bench `kernels`")
    options.add_argument("--profile", required=True, help="what the binary was built as: part of the baseline's key")
    options.add_argument("--tolerance", type=float, default=3.0, help="percent a kernel may grow")
    options.add_argument("--accept", action="store_true", help="take the counts as the new baseline")
    options.add_argument("--keep", type=pathlib.Path, help="a folder for callgrind's files, for callgrind_annotate")
    options.add_argument("kernels", nargs="*", help="all if none is named")
    given = options.parse_args()
    if not shutil.which("valgrind"):
        print("valgrind is not installed: no instructions were counted (Debian: apt-get install valgrind)")
        return
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    known = subprocess.run([given.binary], capture_output=True, text=True, check=True).stdout.split()
    if unknown := set(given.kernels) - set(known):
        sys.exit(f"no such kernel: {', '.join(sorted(unknown))}")

    baselines = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    baseline = baselines.setdefault(given.profile, {})
    grown = []
    print(f"{'kernel':<22}{'instructions a row':>20}{'before':>12}{'change':>10}")
    for kernel in given.kernels or known:
        round_of_two = count(given.binary, kernel, 3, given.keep) - count(given.binary, kernel, 1, None)
        now, before = round(round_of_two / 2 / ROWS, 1), baseline.get(kernel)
        change = f"{(now / before - 1) * 100:+.1f} %" if before else "new"
        print(f"{kernel:<22}{now:>20,.1f}{before or '':>12}{change:>10}", flush=True)
        if before and now > before * (1 + given.tolerance / 100):
            grown.append(kernel)
        baseline[kernel] = now if given.accept or before is None else before
    if given.accept:
        BASELINE.write_text(json.dumps(baselines, indent=2) + "\n")
    elif grown:
        sys.exit(f"more instructions than before: {', '.join(grown)} (--accept if that is meant)")


if __name__ == "__main__":
    main()
