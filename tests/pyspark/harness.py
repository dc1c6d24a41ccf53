"""Servers the tests talk to: the built millstream binary, or a real Spark Connect server as the referee.

A server is a child process on a free loopback port. It is always ended by its own process id.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def binary() -> pathlib.Path:
    """The millstream binary under test."""
    return pathlib.Path(os.environ.get("MILLSTREAM_BIN", ROOT / "target" / "debug" / "millstream")).resolve()


class Server:
    """A Connect server as a child process."""

    def __init__(self, command: list[str], port: int, directory: pathlib.Path, patience: float):
        self.port = port
        self.url = f"sc://127.0.0.1:{port}"
        self.log = directory / f"server-{port}.log"
        self.directory = directory
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
        environment |= {"PYSPARK_PYTHON": sys.executable, "RUST_BACKTRACE": "1"}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait_until_open(patience)

    def _wait_until_open(self, patience: float) -> None:
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log.read_text()}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"the server did not open its port in {patience} s:\n{self.log.read_text()}")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL: nothing of the server runs any more when this returns."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL


def millstream(directory: pathlib.Path, *options: str, port: int | None = None) -> Server:
    """Starts the built binary; its working directory is `directory`."""
    program = binary()
    if not program.exists():
        raise RuntimeError(f"{program} does not exist: build it first (make build)")
    port = port or free_port()
    return Server([str(program), "server", "--port", str(port), *options], port, directory, patience=20)


def apache_spark(directory: pathlib.Path, *options: str) -> Server:
    """Starts Apache Spark's own Connect server: local[1], one shuffle partition."""
    home = spark_home()
    port = free_port()
    conf = {
        "spark.sql.shuffle.partitions": "1",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.ui.enabled": "false",
        "spark.sql.warehouse.dir": str(directory / "warehouse"),
    }
    command = [str(home / "bin" / "spark-submit"), "--master", "local[1]"]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    for key, value in conf.items():
        command += ["--conf", f"{key}={value}"]
    return Server([*command, *options, "spark-internal"], port, directory, patience=120)


def spark_home() -> pathlib.Path:
    """Where Apache Spark lies: `SPARK_HOME`, or the pyspark of `MILLSTREAM_SPARK_PYTHON`."""
    if home := os.environ.get("SPARK_HOME"):
        return pathlib.Path(home)
    python = os.environ.get("MILLSTREAM_SPARK_PYTHON", sys.executable)
    code = "import pyspark, os; print(os.path.dirname(pyspark.__file__))"
    home = pathlib.Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())
    if not (home / "jars").exists():
        raise RuntimeError("no Apache Spark found: set SPARK_HOME or MILLSTREAM_SPARK_PYTHON")
    return home
