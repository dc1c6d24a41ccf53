"""Records how Apache Spark runs the scenarios: `streaming/<scenario>.json`, a file each.

    make record                                  (needs Java)
    python tests/golden/record_streaming.py sliding_append ...

Spark 4.3, local[1], one shuffle partition. Nobody edits the recordings by hand.
"""

import json
import os
import pathlib
import sys
import tempfile

import scenarios
from pyspark.sql import SparkSession

RECORDINGS = pathlib.Path(__file__).resolve().parent / "streaming"


def main() -> None:
    os.environ.setdefault("TZ", "UTC")
    builder = SparkSession.builder
    if "SPARK_REMOTE" not in os.environ:
        builder = builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.log.level", "ERROR")
    spark = builder.getOrCreate()
    RECORDINGS.mkdir(exist_ok=True)
    for name in sys.argv[1:] or scenarios.SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                observed = scenarios.run(spark, name, pathlib.Path(folder))
            except Exception as error:
                print(f"{name}: {str(error).splitlines()[0]}", flush=True)
                continue
        # A line a row and a line a batch, so that a difference can be read.
        steps = []
        for step in observed:
            rows = ",\n".join(f"   {json.dumps(row)}" for row in step["rows"])
            batches = ",\n".join(f"   {json.dumps(batch)}" for batch in step["batches"])
            steps.append(f' {{"rows": [\n{rows}\n  ],\n  "batches": [\n{batches}\n  ]}}')
        text = f'{{"spark": "{spark.version}", "steps": [\n' + ",\n".join(steps) + "\n]}\n"
        json.loads(text)
        (RECORDINGS / f"{name}.json").write_text(text)
        print(f"{name}: {sum(len(s['rows']) for s in observed)} rows, {sum(len(s['batches']) for s in observed)} batches", flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
