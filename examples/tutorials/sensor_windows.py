"""Readings of sensors as JSON files: averages in overlapping windows, late readings dropped, a table in memory."""

import json
import pathlib
import tempfile

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, StringType, StructField, StructType, TimestampType

spark = SparkSession.builder.master("local[*]").appName("Sensors").getOrCreate()
spark.sparkContext.setLogLevel("WARN")
spark.conf.set("spark.sql.session.timeZone", "UTC")

schema = StructType(
    [
        StructField("sensor", StringType()),
        StructField("time", TimestampType()),
        StructField("celsius", DoubleType()),
    ]
)
folder = pathlib.Path(tempfile.mkdtemp(prefix="sensors-"))


def send(name, *readings):
    rows = [json.dumps(dict(zip(("sensor", "time", "celsius"), reading))) for reading in readings]
    (folder / name).write_text("\n".join(rows) + "\n")


send("1.json", ("roof", "2024-06-01T12:00:10Z", 20.0), ("roof", "2024-06-01T12:04:00Z", 22.0), ("hall", "2024-06-01T12:01:00Z", 18.5))

readings = spark.readStream.schema(schema).json(str(folder))
averages = (
    readings.withWatermark("time", "10 minutes")
    .groupBy(F.window("time", "10 minutes", "5 minutes"), "sensor")
    .agg(F.avg("celsius").alias("average"), F.max("celsius").alias("hottest"), F.count("*").alias("readings"))
)
query = averages.writeStream.format("memory").queryName("averages").outputMode("update").start()
query.processAllAvailable()

send("2.json", ("roof", "2024-06-01T12:30:00Z", 30.0))
query.processAllAvailable()
send("3.json", ("roof", "2024-06-01T11:00:00Z", 99.0))  # far too late
query.processAllAvailable()

spark.sql("SELECT window.start, window.end, sensor, average, hottest, readings FROM averages ORDER BY start, sensor").show(truncate=False)
late = sum(operator["numRowsDroppedByWatermark"] for p in query.recentProgress for operator in p["stateOperators"])
print(f"dropped as late: {late}")
query.stop()
spark.stop()
