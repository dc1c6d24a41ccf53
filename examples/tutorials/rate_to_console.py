"""The first stream of most courses: the rate source, a filter, the console."""

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, expr

spark = SparkSession.builder.master("local[2]").appName("rate demo").config("spark.sql.shuffle.partitions", "2").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
print(f"Spark {spark.version}, application {spark.sparkContext.applicationId}")

rate = spark.readStream.format("rate").option("rowsPerSecond", 10).load()
even = rate.filter(col("value") % 2 == 0).withColumn("double", expr("value * 2")).drop("timestamp")
even.printSchema()

query = (
    even.writeStream.queryName("even")
    .outputMode("append")
    .format("console")
    .option("numRows", 5)
    .trigger(processingTime="1 second")
    .start()
)
ended = query.awaitTermination(4)
print("ended by itself" if ended else "still running", "after", query.lastProgress["batchId"] + 1, "batches")
query.stop()
spark.stop()
