"""Datasets defined in Python; `spark` is given by the runner."""

from pathlib import Path

from pyspark import pipelines as dp
from pyspark.sql import functions as f

ORDERS = str(Path(__file__).resolve().parents[1] / "orders")
SCHEMA = "id INT, customer STRING, amount DECIMAL(10, 2), ordered_at TIMESTAMP"


@dp.table(comment="every order, once")
def all_orders():
    return spark.readStream.schema(SCHEMA).option("header", True).csv(ORDERS)  # noqa: F821


@dp.materialized_view
def customers():
    orders = spark.read.table("all_orders")  # noqa: F821
    return orders.groupBy("customer").agg(f.count("*").alias("orders"), f.sum("amount").alias("total"))
