"""Records what Apache Spark says to the programs of `refusals.py`: `streaming/refusals.json`.

    make record                                  (needs Java)

Spark 4.3, local[1]. Nobody edits the recording by hand.
"""

import json
import pathlib
import tempfile

import refusals
from pyspark.sql import SparkSession

RECORDING = pathlib.Path(__file__).resolve().parent / "streaming" / "refusals.json"


def main() -> None:
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.log.level", "OFF")
    spark = builder.config("spark.sql.shuffle.partitions", "1").getOrCreate()
    with tempfile.TemporaryDirectory() as folder:
        streams = {name: refusals.run(spark, name, pathlib.Path(folder)) for name in refusals.CASES}
    batches = {name: refusals.run_batch(spark, name) for name in refusals.BATCH}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(case)}" for name, case in streams.items())
    batch = ",\n".join(f"  {json.dumps(name)}: {json.dumps(case)}" for name, case in batches.items())
    text = f'{{"spark": "{spark.version}",\n "streams": {{\n{lines}\n }},\n "batches": {{\n{batch}\n }}}}\n'
    json.loads(text)
    RECORDING.write_text(text)
    refused = sum(case is not None for case in streams.values())
    print(f"{refused} of {len(streams)} programs are refused")
    spark.stop()


if __name__ == "__main__":
    main()
