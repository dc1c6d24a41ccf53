"""Three streaming tasks and a bonus: windows without overlap, windows with overlap, accelerometer data.

Only PySpark, pandas, numpy and the standard library; the same script runs on millstream and on Apache Spark:

    millstream run examples/three_tasks.py
    millstream run examples/three_tasks.py --fast --rows 60000

The tasks follow a public exercise with Spark Structured Streaming (chsueh2/PySpark_Streaming).
"""

import argparse
import pathlib
import shutil
import sys
import time

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, timestamp_millis, window
from pyspark.sql.types import StructType

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import generate_accelerometer  # noqa: E402

TWO_PEOPLE = ["SA0297", "PC6771"]
FIVE_PEOPLE = ["BK7610", "DC6359", "MC7070", "MJ8002", "BU4707"]


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=pathlib.Path, default=pathlib.Path("three_tasks_out"), help="where everything is written")
    options.add_argument("--data", type=pathlib.Path, help="the accelerometer CSV (generated when not given)")
    options.add_argument("--rows", type=int, default=generate_accelerometer.ROWS, help="rows to generate")
    options.add_argument("--batch-size", type=int, default=500, help="rows of a streamed file")
    options.add_argument("--batches", type=int, help="files of each of the two people (default: all there are)")
    options.add_argument("--bonus-batches", type=int, default=20, help="files of each of the five people")
    options.add_argument("--delay", type=float, default=10.0, help="seconds between files")
    options.add_argument("--rows-per-second", type=int, default=1, help="of the rate source")
    options.add_argument("--trigger", default="20 seconds", help="of tasks 1 and 2")
    options.add_argument("--watch", type=float, default=45.0, help="seconds that tasks 1 and 2 run")
    options.add_argument(
        "--own-folders",
        action="store_true",
        help="each query of task 3 writes to a folder of its own: Apache Spark loses rows when two share one",
    )
    options.add_argument("--fast", action="store_true", help="seconds instead of minutes: short delays and triggers")
    given = options.parse_args()
    if given.fast:
        given.batches = given.batches or 20
        given.bonus_batches = min(given.bonus_batches, 5)
        given.delay, given.rows_per_second, given.trigger, given.watch = 0.2, 10, "1 second", 6.0
    return given


# Tasks 1 and 2: a sum of the rate source's values, in windows without and with overlap.


def windowed_sums(spark, name, windows, options):
    """Runs the query `name` for a while, shows its table and saves it as JSON."""
    ticks = spark.readStream.format("rate").option("rowsPerSecond", options.rows_per_second).load()
    query = (
        ticks.withWatermark("timestamp", "5 seconds")
        .groupBy(windows(ticks.timestamp))
        .sum()
        .writeStream.outputMode("update")
        .format("memory")
        .trigger(processingTime=options.trigger)
        .queryName(name)
        .start()
    )
    time.sleep(options.watch)
    # A slow machine may need longer for its first sums.
    patience = time.monotonic() + 300
    while not spark.sql(f"SELECT * FROM {name} WHERE `sum(value)` > 0").head(1) and time.monotonic() < patience:
        time.sleep(1)
    spark.sql(f"SELECT * FROM {name}").show(truncate=False)
    spark.sql(f"SELECT * FROM {name}").coalesce(1).write.format("json").option("header", "false").save(str(options.out / name))
    query.stop()


# Task 3: the magnitude of acceleration of several people at once.


def setup_stream(frame, people, folder):
    """Makes each person's folders afresh; returns (stream folder, checkpoint folder, rows) for each."""
    shutil.rmtree(folder, ignore_errors=True)
    streams = []
    for pid in people:
        stream, checkpoint = folder / pid / "stream", folder / pid / "checkpoint"
        stream.mkdir(parents=True)
        checkpoint.mkdir()
        streams.append((stream, checkpoint, frame[frame["pid"] == pid]))
    return streams


def start_query(spark, stream, checkpoint, out):
    """Starts the query of one person and waits until it waits for data."""
    schema = StructType()
    for name in ("time", "pid", "x", "y", "z"):
        schema = schema.add(name, "string")
    query = (
        spark.readStream.option("sep", ",")
        .schema(schema)
        .csv(str(stream))
        .select(
            timestamp_millis(col("time").cast("long")).alias("time"),
            "pid",
            col("x").cast("double"),
            col("y").cast("double"),
            col("z").cast("double"),
        )
        .withColumn("mag", (col("x") ** 2 + col("y") ** 2 + col("z") ** 2) ** 0.5)
        .select("time", "pid", "mag")
        .writeStream.outputMode("append")
        .format("csv")
        .option("path", str(out))
        .option("checkpointlocation", str(checkpoint))
        .start()
    )
    patience = time.monotonic() + 60
    while query.status["message"] != "Waiting for data to arrive":
        if time.monotonic() > patience:
            raise TimeoutError(f"the query is not ready: {query.status}")
        time.sleep(0.1)
    print(query.status)
    return query


def start_stream(streams, batch_size, batches, delay):
    """Writes the rows as files of `batch_size` rows, one a person every `delay` seconds; returns how many each."""
    most = min(len(rows) // batch_size for _, _, rows in streams)
    batches = most if batches is None else min(batches, most)
    print(f"{batches} batches to stream")
    for i in range(batches):
        for stream, _, rows in streams:
            file = stream / f"{i + 1}.csv"
            # A reader must never see half a file: write aside, then rename.
            aside = stream / f".{file.name}"
            rows[i * batch_size : (i + 1) * batch_size].to_csv(aside, index=False, header=False)
            aside.replace(file)
        time.sleep(delay)
    return batches


def magnitudes(spark, frame, people, folder, batches, options):
    """The whole of task 3 for `people`; checks that every row sent is in the single CSV."""
    streams = setup_stream(frame, people, folder)
    outs = [folder / pid / "out" if options.own_folders else folder for pid in people]
    queries = [start_query(spark, *stream[:2], out) for stream, out in zip(streams, outs)]
    print(f"{len(spark.streams.active)} queries are active")
    sent = start_stream(streams, options.batch_size, batches, options.delay) * options.batch_size * len(people)
    for query in queries:
        query.processAllAvailable()

    parts = folder / "*" / "out" / "part-*.csv" if options.own_folders else folder / "part-*.csv"
    all_rows = spark.read.option("header", "false").csv(str(parts))
    single = folder / "single_csv_file"
    all_rows.coalesce(1).write.format("csv").option("header", "false").save(str(single))
    for query in queries:
        query.stop()
    written = sum(len(file.read_text().splitlines()) for file in single.glob("part-*.csv"))
    print(f"{folder.name}: {sent} rows sent, {written} rows in {single}")
    if sent != written:
        raise SystemExit(f"rows were lost: {sent} sent, {written} written")


def main() -> None:
    options = arguments()
    shutil.rmtree(options.out, ignore_errors=True)
    options.out = options.out.resolve()
    options.out.mkdir(parents=True)
    frame = pd.read_csv(options.data) if options.data else generate_accelerometer.accelerometer(options.rows)
    frame.info()
    print(f"The unique values of pid: {frame['pid'].unique()}")

    spark = SparkSession.builder.getOrCreate()
    print("Task 1: windows without overlap")
    windowed_sums(spark, "task1", lambda time: window(time, "30 seconds"), options)
    print("Task 2: windows with overlap")
    windowed_sums(spark, "task2", lambda time: window(time, "30 seconds", "15 seconds"), options)
    print("Task 3: two people")
    magnitudes(spark, frame, TWO_PEOPLE, options.out / "task3", options.batches, options)
    print("Bonus: five people")
    magnitudes(spark, frame, FIVE_PEOPLE, options.out / "task3-2nd", options.bonus_batches, options)
    spark.stop()


if __name__ == "__main__":
    main()
