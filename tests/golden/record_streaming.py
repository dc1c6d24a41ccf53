"""Records how Apache Spark runs the scenarios: `streaming/<scenario>.json`, a file each.

    make record                                  (needs Java)
    python tests/golden/record_streaming.py sliding_append ...

Spark 4.3, local[1], one shuffle partition. Nobody edits the recordings by hand.
"""

import pathlib
import sys
import tempfile

import recording
import scenarios

RECORDINGS = pathlib.Path(__file__).resolve().parent / "streaming"


def main() -> None:
    spark = recording.session()
    RECORDINGS.mkdir(exist_ok=True)
    for name in sys.argv[1:] or scenarios.SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                observed = scenarios.run(spark, name, pathlib.Path(folder))
            except Exception as error:
                print(f"{name}: {str(error).splitlines()[0]}", flush=True)
                continue
        recording.write(RECORDINGS, name, spark.version, observed)
    spark.stop()


if __name__ == "__main__":
    main()
