"""The two servers, one long life each, and a program run on both."""

import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time

import compare
import execute
import program as programs

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "pyspark"))
import harness  # noqa: E402
from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: E402
from pyspark.sql.connect.session import SparkSession  # noqa: E402

# Small data: what Spark would spend on compiling, on files and on filters that change how input rows are counted.
SPARK = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.parquet.filterPushdown": "false",
    "spark.sql.streaming.minBatchesToRetain": "10",
    "spark.sql.streaming.checkpointFileManagerClass": "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager",
    "spark.log.level": "ERROR",
}
# A run that takes longer hangs.
PATIENCE = 90


class Side:
    """A server that is started when needed, again when it died, and anew after `lifetime` programs."""

    def __init__(self, name: str, start, folder: pathlib.Path, lifetime: int):
        self.name, self.start, self.folder, self.lifetime = name, start, folder, lifetime
        self.server, self.runs = None, 0

    def run(self, program: dict) -> dict:
        """What can be observed of a program; a server that hangs or dies is an observation."""
        if self.server and (self.runs >= self.lifetime or not self.server.alive):
            self.stop()
        if not self.server:
            self.server, self.runs = self.start(self.folder), 0
        self.runs += 1
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        hang = threading.Timer(PATIENCE, self.server.kill)
        hang.start()
        try:
            session = connect(self.server.url)
            observed = execute.Execution(session, program, folder).run()
            session.stop()
            return observed
        except Exception as error:  # noqa: BLE001
            how = "hangs" if not hang.is_alive() else "lives" if self.server.alive else "died"
            return {"failed": f"server {how}: {type(error).__name__}", "message": str(error)[:500], "batches": []}
        finally:
            hang.cancel()
            shutil.rmtree(folder, ignore_errors=True)

    def stop(self) -> None:
        if self.server and self.server.alive:
            self.server.stop()
        self.server = None


class Pair:
    """Both sides; everything they write is in memory where the system has a place for that."""

    def __init__(self, arguments):
        os.environ["TZ"] = "UTC"
        time.tzset()
        shared = pathlib.Path("/dev/shm")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fuzz-", dir=shared if shared.exists() else None))
        for side in ("ours", "spark"):
            (self.folder / side).mkdir()
        conf = [part for key, value in SPARK.items() for part in ("--conf", f"{key}={value}")]
        conf += ["--driver-java-options", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djdk.lang.Process.launchMechanism=VFORK"]
        self.ours = Side("ours", harness.millstream, self.folder / "ours", 1_000_000)
        self.spark = Side("spark", lambda folder: harness.apache_spark(folder, *conf), self.folder / "spark", arguments.restart)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ours.stop()
        self.spark.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, program: dict) -> tuple[dict, dict]:
        """(ours, Spark's)."""
        return self.ours.run(program), self.spark.run(program)

    def differ(self, program: dict) -> tuple[dict, dict, str, str]:
        """Both observations, the kind of their difference and what it is."""
        ours, spark = self.run(program)
        return ours, spark, *compare.verdict(ours, spark, *programs.leeway(program))


def connect(url: str) -> SparkSession:
    """A new session whose client does not wait ten minutes for a server that was killed."""
    session = SparkSession.builder.remote(url).create()
    session.client.set_retry_policies([DefaultPolicy(max_retries=3, max_backoff=200, jitter=0)])
    SparkSession._default_session = SparkSession._active_session.session = session
    return session
