"""The real PySpark client against the built binary.

Every test that is not marked `millstream` also passes against Apache Spark (`pytest --spark`), so that
what is expected here is what Spark does.
"""

import os
import pathlib
import sys

import harness
import pytest

# A worker of pytest-xdist has a main module without a file, which the client takes for a doctest of its own.
vars(sys.modules["__main__"]).setdefault("__file__", __file__)

from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.session import SparkSession


def pytest_addoption(parser):
    parser.addoption(
        "--spark", action="store_true", help="run against Apache Spark (SPARK_HOME, or SPARK_TEST_REMOTE when it runs already)"
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "millstream: about millstream alone, not run against Apache Spark")
    config.addinivalue_line("markers", "slow: takes more than about ten seconds")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--spark"):
        skip = pytest.mark.skip(reason="about millstream alone")
        for item in items:
            if item.get_closest_marker("millstream"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def on_spark(request) -> bool:
    """Whether the referee is being asked."""
    return request.config.getoption("--spark")


@pytest.fixture(scope="session")
def remote(request, on_spark, tmp_path_factory):
    """The address of one server for all tests that do not need one of their own."""
    if on_spark and (url := os.environ.get("SPARK_TEST_REMOTE")):
        yield url
        return
    directory = tmp_path_factory.mktemp("server")
    server = harness.apache_spark(directory) if on_spark else harness.millstream(directory)
    yield server.url
    alive = server.alive
    server.stop()
    assert alive, f"the server died during the tests:\n{server.log.read_text()[-4000:]}"


@pytest.fixture
def new_session(remote):
    """Opens sessions that end with the test."""
    sessions = []

    def open_session(**conf) -> SparkSession:
        session = connect(remote)
        sessions.append(session)
        session.conf.set("spark.sql.shuffle.partitions", "1")
        for key, value in conf.items():
            session.conf.set(key, value)
        return session

    yield open_session
    for session in sessions:
        end(session)


@pytest.fixture
def spark(new_session) -> SparkSession:
    """A fresh session."""
    return new_session()


@pytest.fixture
def own_server(on_spark, tmp_path):
    """Starts millstream servers of the test's own (to kill, to restart)."""
    servers = []

    def start(*options: str, **arguments) -> harness.Server:
        server = harness.millstream(tmp_path, *options, **arguments)
        servers.append(server)
        return server

    yield start
    for server in servers:
        if server.alive:
            server.kill()


@pytest.fixture
def folder(tmp_path):
    """Names of folders and files below the test's own directory, as text."""

    def path(*parts: str) -> str:
        return str(pathlib.Path(tmp_path, *parts))

    return path


def connect(url: str) -> SparkSession:
    """A new session of its own at `url`, whose client does not wait ten minutes for a server that was killed."""
    session = SparkSession.builder.remote(url).create()
    session.client.set_retry_policies([DefaultPolicy(max_retries=4, max_backoff=200, jitter=0)])
    # Functions ask the active session for settings: never one whose server is gone.
    SparkSession._default_session = SparkSession._active_session.session = session
    return session


def end(session: SparkSession) -> None:
    """Stops what still streams, then the session; a server that is gone is no error."""
    try:
        for query in session.streams.active:
            query.stop()
        session.stop()
    except Exception:  # noqa: BLE001
        pass
