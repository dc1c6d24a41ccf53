"""Records what Apache Spark makes of the programs of `pipelines.py`: `pipelines.json`.

    make record                                  (needs Java; with names as arguments only those programs)

A Connect client against Spark 4.3's own Connect server, local[1]. Nobody edits the recording by hand.
"""

import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "pyspark"))

import harness  # noqa: E402
import pipelines  # noqa: E402
from pyspark.sql.connect.session import SparkSession  # noqa: E402

RECORDING = HERE / "pipelines.json"


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        server = harness.apache_spark(folder)
        try:
            recorded = {}
            for program in names or pipelines.PROGRAMS:
                spark = SparkSession.builder.remote(server.url).create()
                SparkSession._default_session = SparkSession._active_session.session = spark
                spark.conf.set("spark.sql.connect.serverStacktrace.enabled", "false")
                version = spark.version
                recorded[program] = pipelines.run(spark, program, folder / program)
                spark.stop()
                print(program, [run["error"] and run["error"]["class"] for run in recorded[program]], flush=True)
        finally:
            server.stop()
    if names:
        recorded = json.loads(RECORDING.read_text())["programs"] | recorded
        recorded = {program: recorded[program] for program in pipelines.PROGRAMS}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(runs)}" for name, runs in recorded.items())
    text = f'{{"spark": "{version}",\n "programs": {{\n{lines}\n }}}}\n'
    json.loads(text)
    RECORDING.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
