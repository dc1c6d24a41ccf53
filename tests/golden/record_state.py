"""Records what Apache Spark's state readers say of the checkpoints of state_cases.py: state.json."""

import json
import os
import pathlib
import tempfile

from pyspark.sql import SparkSession
from state_cases import FILES, QUERIES, READS, answer, run, state

spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.sql.shuffle.partitions", "1")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
os.environ["TZ"] = "UTC"

with tempfile.TemporaryDirectory() as directory:
    rows = pathlib.Path(directory, "rows")
    rows.mkdir()
    for i, lines in enumerate(FILES):
        file = rows / f"{i}.csv"
        file.write_text("".join(f"{line}\n" for line in lines))
        os.utime(file, (1_000_000 + 10 * i,) * 2)
    recorded = {"reads": [], "metadata": {}}
    place = lambda name: f"{directory}/{name}"  # noqa: E731
    for name in QUERIES:
        run(spark, name, str(rows), place(name))
        metadata = lambda: spark.read.format("state-metadata").load(place(name))  # noqa: B023, E731
        recorded["metadata"][name] = answer(metadata, place(name))
    for name, options in READS:
        said = answer(lambda: state(spark, place(name), options), place(name))  # noqa: B023
        recorded["reads"].append({"query": name, "options": options, **said})
    text = ",\n".join(json.dumps(read) for read in recorded["reads"])
    metadata = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in recorded["metadata"].items())
    target = pathlib.Path(__file__).with_name("state.json")
    target.write_text(f'{{"metadata": {{\n{metadata}\n}},\n"reads": [\n{text}\n]}}\n')
spark.stop()
