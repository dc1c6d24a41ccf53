"""Word count over a folder of text files, printed to the console as it grows."""

import pathlib
import tempfile

from pyspark.sql import SparkSession
from pyspark.sql.functions import explode, split

spark = SparkSession.builder.appName("StructuredWordCount").master("local[*]").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")

folder = pathlib.Path(tempfile.mkdtemp(prefix="words-"))
(folder / "1.txt").write_text("the mill grinds\nthe stream runs\n")

lines = spark.readStream.text(str(folder))
words = lines.select(explode(split(lines.value, " ")).alias("word"))
counts = words.groupBy("word").count().orderBy("count", "word", ascending=False)

query = counts.writeStream.outputMode("complete").format("console").option("truncate", False).start()
query.processAllAvailable()
(folder / "2.txt").write_text("the mill stands\n")
query.processAllAvailable()
query.stop()
spark.stop()
