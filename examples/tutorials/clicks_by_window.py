"""Clicks of a web site: how many and by how many users, in windows; two queries at once, and their progress."""

import pathlib
import tempfile

from pyspark.sql import SparkSession
from pyspark.sql.functions import approx_count_distinct, col, count, window

spark = SparkSession.builder.master("local[4]").appName("clicks").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")

folder = tempfile.mkdtemp(prefix="clicks-")
with open(pathlib.Path(folder, "a.csv"), "w") as file:
    for i in range(1000):
        click = i // 2  # each click arrives twice
        file.write(f"{click},user{click % 37},2024-06-01 12:{click // 60 % 60:02d}:{click % 60:02d}\n")

clicks = spark.readStream.schema("id LONG, user STRING, at TIMESTAMP").csv(folder)
mine = clicks.where((col("user") == "user7") & (col("id") % 2 == 0)).drop("user")
query = mine.writeStream.format("memory").queryName("mine").outputMode("append").start()

users = (
    clicks.withWatermark("at", "1 minute")
    .groupBy(window(col("at"), "5 minutes"))
    .agg(count("*").alias("clicks"), approx_count_distinct("user").alias("users"))
    .writeStream.format("memory")
    .queryName("users")
    .outputMode("complete")
    .start()
)
print([q.name for q in sorted(spark.streams.active, key=lambda q: q.name)])
for running in (query, users):
    running.processAllAvailable()

print("batches:", query.lastProgress["batchId"] + 1)
print("clicks of user7:", spark.table("mine").count())
spark.table("users").orderBy("window").show(truncate=False)
for running in spark.streams.active:
    running.stop()
spark.stop()
