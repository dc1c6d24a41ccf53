"""Runs PySpark's own test suites against millstream: docs/spark-tests.md holds what came out.

    python scripts/spark_suites.py CHECKOUT [suite ...] [-k part-of-a-name]

CHECKOUT is a checkout of apache/spark (only python/pyspark/sql/tests and python/test_support are read; nothing is
downloaded here). The interpreter has `pyspark-client`, whose testing classes start no JVM when they are told of a
server. A suite is a module below pyspark.sql.tests; without one, all of `SUITES` run.

Suites that compare Connect with classic PySpark need both. Here their classic side is a Connect session too: of Apache
Spark if `--referee sc://..` names a server, else of millstream again (then only what fails is seen).
"""

import argparse
import importlib
import json
import os
import pathlib
import re
import signal
import sys
import tempfile
import time
import traceback
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "pyspark"))

import harness  # noqa: E402

SUITES = (
    "connect.streaming.test_parity_streaming",
    "connect.streaming.test_parity_listener",
    "connect.streaming.test_parity_foreach",
    "connect.streaming.test_parity_foreach_batch",
    "connect.test_connect_basic",
    "connect.test_connect_session",
    "connect.test_connect_error",
    "connect.test_connect_readwriter",
    "connect.test_parity_dataframe",
    "connect.test_parity_functions",
)


# How millstream says that something is not there yet.
REFUSED = re.compile(r"The feature is not supported: (.{1,150}?) is not supported by millstream yet")


class Results(unittest.TestResult):
    """One line a test as it ends: passed, skipped (by the suite), refused (by millstream, as not supported yet) or failed.

    A test that takes too long is interrupted and counts as failed.
    """

    def __init__(self, patience: int, log):
        super().__init__()
        self.patience, self.log, self.counted = patience, log, {}
        signal.signal(signal.SIGALRM, self._too_long)

    def _too_long(self, *_):
        raise TimeoutError(f"no end after {self.patience} s")

    def startTest(self, test):
        super().startTest(test)
        self.began, self.outcome, self.reason, self.trace = time.monotonic(), "passed", "", ""
        signal.alarm(self.patience)

    def stopTest(self, test):
        signal.alarm(0)
        self._tell(test.id(), time.monotonic() - self.began)
        super().stopTest(test)

    def _tell(self, name: str, seconds: float):
        name = name.removeprefix("pyspark.sql.tests.")
        self.counted[self.outcome] = self.counted.get(self.outcome, 0) + 1
        print(f"{self.outcome:8}{seconds:6.1f}s  {name}  {self.reason}", flush=True)
        self.log.write(json.dumps({"test": name, "outcome": self.outcome, "reason": self.reason, "trace": self.trace}) + "\n")
        self.log.flush()

    def _failed(self, test, error):
        self.outcome = "failed"
        self.trace = "".join(traceback.format_exception(*error))
        self.reason = " ".join(f"{error[0].__name__}: {error[1]}".split())[:300]
        if refused := REFUSED.search(" ".join(self.trace.split())):
            self.outcome, self.reason = "refused", refused.group(1)
        if not hasattr(test, "_testMethodName"):  # a class that could not be set up
            self._tell(test.id(), 0.0)

    def addError(self, test, error):
        signal.alarm(0)
        super().addError(test, error)
        self._failed(test, error)

    def addFailure(self, test, error):
        signal.alarm(0)
        super().addFailure(test, error)
        self._failed(test, error)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._failed(test, error)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.outcome, self.reason = "skipped", reason


class Classic:
    """What the tests call the classic session: a Connect session, with the little of a SparkContext that tests use."""

    def __init__(self, session):
        self._session = session
        self.sparkContext = self

    def __getattr__(self, name):
        return getattr(self._session, name)

    def emptyRDD(self):
        return []

    def parallelize(self, rows, *_):
        session = self._session

        class Rows(list):
            def toDF(self, *schema):
                return session.createDataFrame(list(self), *schema)

        return Rows(rows)


def stand_in_for_classic(referee: str | None) -> None:
    """Lets the suites run that compare Connect with classic PySpark; must come before they are imported."""
    import pyspark.util
    from pyspark.sql.connect.session import SparkSession
    from pyspark.testing import connectutils

    class ReusedMixedTestCase(connectutils.ReusedConnectTestCase):
        connect_conf = connectutils.ReusedMixedTestCase.connect_conf
        both_conf = connectutils.ReusedMixedTestCase.both_conf

        @classmethod
        def setUpClass(cls):
            super().setUpClass()
            cls.connect = cls.spark
            cls.spark = Classic(SparkSession.builder.remote(referee).create() if referee else cls.connect)

        @classmethod
        def tearDownClass(cls):
            cls.spark = cls.connect
            super().tearDownClass()

        @classmethod
        def spark_connect_load_test_data(cls):
            """Tables become views, in both sessions."""
            numbers = range(100)
            tables = (
                (cls.tbl_name, [(x, f"{x}") for x in numbers], ["id", "name"]),
                (cls.tbl_name2, [(x, f"{x}", 2 * x) for x in numbers], ["col1", "col2", "col3"]),
                (cls.tbl_name3, [(x, f"{x}") for x in numbers], ["id", "test\n_column"]),
                (cls.tbl_name4, [(x, {"a": x}, [x, x * 2]) for x in numbers], ["id", "map_column", "array_column"]),
                (cls.tbl_name_empty, [], "firstname string, middlename string, lastname string"),
            )
            for name, rows, schema in tables:
                for session in {cls.connect, cls.spark._session}:
                    session.createDataFrame(rows, schema).createOrReplaceTempView(name)

        @classmethod
        def spark_connect_clean_up_test_data(cls):
            pass

        def compare_by_show(self, df1, df2, n: int = 20, truncate: int = 20):
            self.assertEqual(df1._show_string(n, truncate, False), df2._show_string(n, truncate, False))

        def test_assert_remote_mode(self):
            pass

    connectutils.ReusedMixedTestCase = ReusedMixedTestCase
    pyspark.util.is_remote_only = lambda: False


def meet_at(server: harness.Server) -> None:
    """Every address the tests name (a local master, the default port) becomes the one of `server`."""
    from pyspark.sql.connect.client import DefaultChannelBuilder
    from pyspark.sql.connect.session import SparkSession
    from pyspark.sql.session import SparkSession as AnySession

    os.environ["SPARK_CONNECT_TESTING_REMOTE"] = server.url
    DefaultChannelBuilder.default_port = staticmethod(lambda: server.port)
    for builder in (SparkSession.Builder, AnySession.Builder):
        plain = getattr(builder, "_plain_remote", builder.remote)
        builder._plain_remote = plain

        def remote(self, location="sc://localhost", plain=plain):
            return plain(self, server.url if location.startswith("local") else location)

        builder.remote = remote


def old_names() -> None:
    """What the testing classes of the installed client call otherwise than those of some checkouts."""
    from pyspark.testing import sqlutils, utils
    from pyspark.testing.sqlutils import SQLTestUtils

    for name, value in vars(utils).items():
        vars(sqlutils).setdefault(name, value)
    for old, new in (("tempView", "temp_view"), ("temp_view", "tempView")):
        if not hasattr(SQLTestUtils, old):
            setattr(SQLTestUtils, old, getattr(SQLTestUtils, new))


def prefer_stand_in(module) -> None:
    """The methods of our mixed class win over those of the suite's base class."""
    from pyspark.testing import connectutils

    for case in vars(module).values():
        if isinstance(case, type) and issubclass(case, connectutils.ReusedMixedTestCase):
            for name in ("spark_connect_load_test_data", "spark_connect_clean_up_test_data"):
                if name in vars(case):
                    setattr(case, name, vars(connectutils.ReusedMixedTestCase)[name])


def cases(suite, module: str, part: str):
    """The tests of classes that the module itself defines."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from cases(test, module, part)
        elif test.id().startswith(f"{module}.") and part in test.id():
            yield test


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("checkout", type=pathlib.Path)
    options.add_argument("suites", nargs="*", default=SUITES)
    options.add_argument("-k", default="", metavar="PART", help="only tests whose name contains this")
    options.add_argument("--spark", action="store_true", help="run against Apache Spark itself, to see what fails there too")
    options.add_argument("--referee", help="address of an Apache Spark Connect server for the classic side")
    options.add_argument("--patience", type=int, default=120, help="seconds a test may take")
    options.add_argument("--log", type=pathlib.Path, default="spark-suites.jsonl", help="every result with its trace")
    given = options.parse_args()
    python = given.checkout.resolve() / "python"
    log = open(given.log, "w")

    # The testing classes look for it when they are imported.
    os.environ["SPARK_HOME"] = str(harness.spark_home() if given.spark else given.checkout.resolve())
    import pyspark.sql

    pyspark.sql.__path__.append(str(python / "pyspark" / "sql"))
    stand_in_for_classic(given.referee)
    old_names()
    results = Results(given.patience, log)
    with tempfile.TemporaryDirectory() as directory:
        # Tests name their data relative to the checkout, on the client and on the server; tables go beside it.
        home = pathlib.Path(directory)
        (home / "python").symlink_to(python)
        os.chdir(home)
        server = None
        for name in given.suites:
            if server is None or not server.alive:
                server = harness.apache_spark(home) if given.spark else harness.millstream(home)
                meet_at(server)
            try:
                module = importlib.import_module(f"pyspark.sql.tests.{name}")
            except ImportError as error:
                print(f"failed          {name} cannot be imported: {error}", flush=True)
                results.counted["failed"] = results.counted.get("failed", 0) + 1
                continue
            prefer_stand_in(module)
            found = unittest.defaultTestLoader.loadTestsFromModule(module)
            unittest.TestSuite(cases(found, module.__name__, given.k)).run(results)
            if not server.alive:
                print(f"the server died during {name}:\n{server.log.read_text()[-4000:]}", flush=True)
        server.stop()
        os.chdir(ROOT)
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(results.counted.items())))
    return 0 if set(results.counted) <= {"passed", "skipped"} else 1


if __name__ == "__main__":
    sys.exit(main())
