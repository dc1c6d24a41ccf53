"""Random streaming programs on Apache Spark and on millstream: the same rows, the same batches, the same refusals.

    make fuzz-spark N=300 SEED=7              (needs Java)
    make fuzz-spark PROGRAM=tests/fuzz/found/name.json

Program number i of a seed is always the same one. What differs is made smaller and written to `--out`, a file each.
"""

import argparse
import collections
import json
import pathlib
import sys
import time

import generate
import program as programs
import report
import shrink
from servers import Pair


def main() -> int:
    arguments = options()
    arguments.out.mkdir(parents=True, exist_ok=True)
    work = list(arguments.program) or [(arguments.seed * 1_000_000 + i) for i in range(arguments.first, arguments.first + arguments.n)]
    counts, stop = collections.Counter(), time.monotonic() + arguments.minutes * 60
    reasons = collections.Counter()
    with Pair(arguments) as pair:
        for one in work:
            if time.monotonic() > stop:
                print(f"{arguments.minutes} minutes are over", flush=True)
                break
            named = isinstance(one, int)
            program = generate.Generator(one).program() if named else json.loads(one.read_text())["program"]
            name = str(one) if named else one.stem
            start = time.monotonic()
            ours, spark, kind, why = pair.differ(program)
            counts[kind.split(":")[0]] += 1
            print(f"{name}: {kind} ({time.monotonic() - start:.1f} s) {why.splitlines()[0][:150] if why else ''}", flush=True)
            if kind in ("not there", "refused"):
                reasons[f"{kind}: {why}"] += 1
            if arguments.keep or kind == "not there" or kind.startswith("different"):
                if kind.startswith("different") and arguments.shrink:
                    program, ours, spark, kind, why = shrink.shrink(pair, program, (ours, spark, kind, why), arguments.shrink)
                if kind != "not there":
                    print(programs.show(program), why, sep="\n", flush=True)
                report.write(arguments.out / f"{name}.json", program, spark, kind, why)
    for reason, count in reasons.most_common():
        print(f"{count:5} {reason}")
    print(", ".join(f"{count} {kind}" for kind, count in counts.most_common()))
    return 1 if counts["different"] else 0


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=100, help="how many programs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first program")
    parser.add_argument("--program", type=pathlib.Path, nargs="*", default=[], help="programs to replay")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many")
    parser.add_argument("--restart", type=int, default=300, help="a new Spark after so many programs")
    parser.add_argument("--shrink", type=int, default=40, help="how often a failing program is tried in making it smaller")
    parser.add_argument("--keep", action="store_true", help="write every program with Spark's answer")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(".build/fuzz"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
