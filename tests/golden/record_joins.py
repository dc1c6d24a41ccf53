"""Records how Apache Spark joins streams (`joins/<scenario>.json`, `joins/refused.json`) and what it makes of several
stateful operators over several streams (`chains/<scenario>.json`).

    make record                               (needs Java)
    python tests/golden/record_joins.py range_left ...

Spark 4.3, local[1], one shuffle partition. Nobody edits the recordings by hand.
"""

import json
import pathlib
import sys
import tempfile

import chain_scenarios
import join_scenarios
import recording

GOLDEN = pathlib.Path(__file__).resolve().parent
RECORDINGS = GOLDEN / "joins"


def main() -> None:
    spark = recording.session()
    asked = sys.argv[1:]
    for scenarios, recordings in ((join_scenarios.SCENARIOS, RECORDINGS), (chain_scenarios.SCENARIOS, GOLDEN / "chains")):
        recordings.mkdir(exist_ok=True)
        for name in scenarios:
            if not asked or name in asked or recordings.name in asked:
                record(spark, name, scenarios, recordings)
    if not asked or "refused" in asked:
        refused = {}
        for name in join_scenarios.REFUSED:
            with tempfile.TemporaryDirectory() as folder:
                refused[name] = join_scenarios.refuse(spark, name, pathlib.Path(folder))
        (RECORDINGS / "refused.json").write_text(json.dumps({"spark": spark.version, "refused": refused}, indent=1) + "\n")
    spark.stop()


def record(spark, name: str, scenarios: dict, recordings: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            observed = join_scenarios.run(spark, name, pathlib.Path(folder), scenarios)
        except Exception as error:
            print(f"{name}: {str(error).splitlines()[0]}", flush=True)
            return
    recording.write(recordings, name, spark.version, observed)


if __name__ == "__main__":
    main()
