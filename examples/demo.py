"""The main job, live: two people's phones stream in, magnitudes stream out, two window queries run beside it.

    make demo                       all set-up, then this
    millstream run examples/demo.py --data accelerometer.csv --out demo_out

Everything is plain PySpark and runs on Apache Spark as well (there, two queries must not share an output folder).
"""

import argparse
import pathlib
import shutil
import sys
import threading
import time

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import generate_accelerometer  # noqa: E402

PEOPLE = ["SA0297", "PC6771"]
SCHEMA = "time STRING, pid STRING, x STRING, y STRING, z STRING"
FILE_ROWS = 500


def arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=pathlib.Path, help="the accelerometer CSV (generated when not given)")
    options.add_argument("--rows", type=int, default=generate_accelerometer.ROWS, help="rows to generate without --data")
    options.add_argument("--out", type=pathlib.Path, default=pathlib.Path("demo_out"))
    options.add_argument("--seconds", type=float, default=40.0, help="how long the data takes to stream in")
    return options.parse_args()


def readings(spark, folder):
    """The stream of a folder: when, who, and the magnitude of the acceleration in g."""
    x, y, z = (F.col(axis).cast("double") for axis in "xyz")
    return (
        spark.readStream.schema(SCHEMA)
        .csv(str(folder))
        .select(
            F.timestamp_millis(F.col("time").cast("long")).alias("time"),
            "pid",
            ((x**2 + y**2 + z**2) ** 0.5).alias("mag"),
        )
    )


def start_queries(spark, out):
    """One query a person into one folder of CSV files, and two window queries over both people."""
    queries = {}
    for pid in PEOPLE:
        queries[pid] = (
            readings(spark, out / "incoming" / pid)
            .writeStream.queryName(f"magnitude_{pid}")
            .format("csv")
            .option("path", str(out / "magnitudes"))
            .option("checkpointLocation", str(out / "checkpoints" / pid))
            .start()
        )
    everybody = readings(spark, out / "incoming" / "*").withWatermark("time", "5 minutes")
    statistics = [F.count("*").alias("readings"), F.avg("mag").alias("average"), F.max("mag").alias("peak")]
    for name, window, mode in (
        ("every_minute", F.window("time", "1 minute"), "append"),
        ("last_minute", F.window("time", "1 minute", "10 seconds"), "update"),
    ):
        query = everybody.groupBy(window, "pid").agg(*statistics).writeStream.queryName(name)
        queries[name] = query.format("memory").outputMode(mode).start()
    return queries


class Feed(threading.Thread):
    """Writes each person's rows as files of 500 rows, spread over the given time."""

    def __init__(self, frame, out, seconds):
        super().__init__(daemon=True)
        self.rows = {pid: frame[frame["pid"] == pid] for pid in PEOPLE}
        self.out, self.seconds, self.sent, self.failure = out, seconds, 0, None

    def run(self):
        try:
            files = -(-max(len(rows) for rows in self.rows.values()) // FILE_ROWS)
            begin = time.monotonic()
            for i in range(files):
                for pid, rows in self.rows.items():
                    piece = rows[i * FILE_ROWS : (i + 1) * FILE_ROWS]
                    if len(piece):
                        file = self.out / "incoming" / pid / f"{i + 1:05d}.csv"
                        aside = file.with_name(f".{file.name}")
                        piece.to_csv(aside, index=False, header=False)
                        aside.replace(file)
                        self.sent += len(piece)
                time.sleep(max(0.0, begin + self.seconds * (i + 1) / files - time.monotonic()))
        except Exception as error:  # noqa: BLE001
            self.failure = error


class Meter:
    """What a query has done so far, from its progress reports."""

    def __init__(self, query):
        self.query, self.rows, self.late, self.seen, self.watermark, self.state, self.rates = query, 0, 0, -1, "", 0, []

    def update(self):
        for progress in self.query.recentProgress:
            if progress["batchId"] <= self.seen or "addBatch" not in progress["durationMs"]:
                continue
            self.seen = progress["batchId"]
            rows = sum(source["numInputRows"] for source in progress["sources"])
            self.rows += rows
            self.rates = [*self.rates[-19:], (rows, progress["durationMs"]["triggerExecution"])]
            self.watermark = progress["eventTime"].get("watermark", self.watermark)
            operators = progress["stateOperators"]
            self.state = sum(operator["numRowsTotal"] for operator in operators)
            self.late += sum(operator["numRowsDroppedByWatermark"] for operator in operators)

    def line(self):
        busy = sum(millis for _, millis in self.rates)
        rate = 1000 * sum(rows for rows, _ in self.rates) / busy if busy else 0.0
        watermark = self.watermark[11:19] if self.watermark[:4] > "1970" else "-"
        return (
            f"{self.query.name:<17} {self.seen + 1:>7,} {self.rows:>9,} {rate:>9,.0f}   {watermark:<9} {self.state:>10,}"
        )


HEAD = f"{'query':<17} {'batches':>7} {'rows':>9} {'rows/s':>9}   {'watermark':<9} {'state rows':>10}"


class Display:
    """A line a query, redrawn in a terminal, printed now and then elsewhere."""

    def __init__(self):
        self.live, self.drawn, self.printed = sys.stdout.isatty(), False, 0.0

    def show(self, meters, last=False):
        if not self.live and not last and time.monotonic() - self.printed < 5:
            return
        self.printed = time.monotonic()
        lines = [HEAD, *(meter.line() for meter in meters)]
        if self.live and self.drawn:
            sys.stdout.write(f"\x1b[{len(lines)}A")
        clear = "\x1b[2K" if self.live else ""
        sys.stdout.write("".join(f"{clear}{line}\n" for line in lines) + ("" if self.live else "\n"))
        sys.stdout.flush()
        self.drawn = True


def watch(queries, feed):
    """Shows progress until everything sent has been worked through."""
    display, meters = Display(), [Meter(query) for query in queries.values()]
    finished = False
    while not finished:
        finished = not feed.is_alive()
        if finished:
            for query in queries.values():
                query.processAllAvailable()
        for meter in meters:
            meter.update()
            if failure := meter.query.exception():
                raise SystemExit(f"{meter.query.name} failed: {failure}")
        display.show(meters, last=finished)
        if not finished:
            time.sleep(0.5)
    if feed.failure:
        raise feed.failure
    return meters


def results(spark, out, feed, meters):
    """The single CSV, checked against what was sent, and the tables of the windows."""
    spark.read.csv(str(out / "magnitudes" / "part-*.csv")).coalesce(1).write.csv(str(out / "single_csv"))
    (single,) = (out / "single_csv").glob("part-*.csv")
    written = sum(1 for _ in open(single))

    print("\nWindows of one minute (closed by the watermark):")
    spark.sql(
        "SELECT window.start, pid, readings, round(average, 4) average, peak FROM every_minute ORDER BY start, pid"
    ).show(8, truncate=False)
    last = spark.table("last_minute").selectExpr("window.start", "window.end", "pid", "readings", "average", "peak").toPandas()
    # Update mode adds a row whenever a window changes: the one with most readings is the latest.
    last = last.sort_values("readings").drop_duplicates(["start", "pid"], keep="last")
    last.sort_values(["start", "pid"]).to_csv(out / "last_minute.csv", index=False)
    print("The last minute, every ten seconds (the five liveliest):")
    print(last.nlargest(5, "average").to_string(index=False))

    late = sum(meter.late for meter in meters)
    print(f"\n{feed.sent:,} rows sent, {written:,} rows in the single CSV, {late:,} groups dropped as late")
    print(f"  magnitudes    {out / 'magnitudes'}")
    print(f"  single CSV    {single}")
    print(f"  last minute   {out / 'last_minute.csv'}")
    print(f"  checkpoints   {out / 'checkpoints'}")
    if written != feed.sent:
        raise SystemExit("rows are missing")


def main() -> None:
    options = arguments()
    out = options.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    for pid in PEOPLE:
        (out / "incoming" / pid).mkdir(parents=True)
    frame = pd.read_csv(options.data) if options.data else generate_accelerometer.accelerometer(options.rows)

    begin = time.monotonic()
    spark = SparkSession.builder.appName("demo").getOrCreate()
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    print(f"{len(frame):,} rows of {frame['pid'].nunique()} people; {' and '.join(PEOPLE)} stream in, {FILE_ROWS} rows a file\n")
    queries = start_queries(spark, out)
    feed = Feed(frame, out, options.seconds)
    feed.start()
    meters = watch(queries, feed)
    results(spark, out, feed, meters)
    for query in queries.values():
        query.stop()
    spark.stop()
    print(f"{time.monotonic() - begin:.0f} s in all")


if __name__ == "__main__":
    main()
