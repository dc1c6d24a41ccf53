"""A daily job: new CSV orders, joined with customers, appended to a partitioned parquet table, then read back."""

import pathlib
import tempfile

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, sum, to_date, upper, when

spark = SparkSession.builder.appName("orders").master("local[*]").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")

base = pathlib.Path(tempfile.mkdtemp(prefix="orders-"))
incoming = base / "incoming"
incoming.mkdir()
customers = spark.createDataFrame([(1, "Ann", "no"), (2, "Bob", "it")], ["customer", "name", "country"])


def run():
    """One run of the job: everything that is new, then it ends."""
    orders = (
        spark.readStream.option("header", True)
        .schema("id INT, customer INT, at STRING, amount DECIMAL(10,2)")
        .option("maxFilesPerTrigger", 1)
        .csv(str(incoming))
    )
    enriched = (
        orders.join(customers, "customer", "left")
        .withColumn("country", upper(when(col("country").isNull(), "??").otherwise(col("country"))))
        .withColumn("day", to_date("at"))
        .select("id", "name", "country", "day", "amount")
    )
    query = (
        enriched.writeStream.format("parquet")
        .partitionBy("country")
        .option("path", str(base / "orders"))
        .option("checkpointLocation", str(base / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()


(incoming / "monday.csv").write_text("id,customer,at,amount\n1,1,2024-06-03 10:00:00,10.50\n2,2,2024-06-03 11:00:00,7.25\n")
run()
(incoming / "tuesday.csv").write_text("id,customer,at,amount\n3,3,2024-06-04 09:00:00,100.00\n4,1,2024-06-04 09:30:00,1.00\n")
run()

table = spark.read.parquet(str(base / "orders"))
table.orderBy("id").show()
table.groupBy("country").agg(sum("amount").alias("total")).orderBy("country").show()
spark.stop()
