"""What the recorders of streaming scenarios have in common: the session of Apache Spark, and a recording as text."""

import json
import os
import pathlib

from pyspark.sql import SparkSession


def session() -> SparkSession:
    """Spark on one core, or the server that SPARK_REMOTE names."""
    os.environ.setdefault("TZ", "UTC")
    builder = SparkSession.builder
    if "SPARK_REMOTE" not in os.environ:
        builder = builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.log.level", "ERROR")
    return builder.getOrCreate()


def write(folder: pathlib.Path, name: str, version: str, observed: list) -> None:
    """A line a row and a line a batch, so that a difference can be read."""
    steps = []
    for step in observed:
        rows = ",\n".join(f"   {json.dumps(row)}" for row in step["rows"])
        batches = ",\n".join(f"   {json.dumps(batch)}" for batch in step["batches"])
        steps.append(f' {{"rows": [\n{rows}\n  ],\n  "batches": [\n{batches}\n  ]}}')
    text = f'{{"spark": "{version}", "steps": [\n' + ",\n".join(steps) + "\n]}\n"
    json.loads(text)
    (folder / f"{name}.json").write_text(text)
    print(f"{name}: {sum(len(s['rows']) for s in observed)} rows, {sum(len(s['batches']) for s in observed)} batches", flush=True)
