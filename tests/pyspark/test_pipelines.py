"""Declarative pipelines: the programs of `tests/golden/pipelines.py` against their recording, and what a user runs.

`pipelines.json` says what Apache Spark 4.3 did with each program: events, error, rows, checkpoints.
"""

import json
import os
import pathlib
import subprocess
import sys
import textwrap

import harness
import pyspark.sql.connect.proto as pb2
import pytest
from pyspark.errors import PySparkException

GOLDEN = harness.ROOT / "tests" / "golden"
sys.path.insert(0, str(GOLDEN))

import pipelines  # noqa: E402

RECORDED = json.loads((GOLDEN / "pipelines.json").read_text())["programs"]

# Where Spark fails with rows lost, an internal error or an accident, and this engine does not.
FLOWS_INTO_ONE_TABLE = {"flows", "python"}
ELSEWHERE = {
    "clustered": "refused when it is defined",
    "bucketed": "refused by name",
    "transform_partition": "refused by the parser",
    "persisted_view": "persisted views are not supported",
    "auto_cdc": "refused by name",
    "bad_syntax": "another text of the parser",
    "streaming_table_with_location": "refused by name",
}


@pytest.mark.parametrize("name", [name for name in RECORDED if name not in FLOWS_INTO_ONE_TABLE | set(ELSEWHERE)])
def test_as_spark(spark, tmp_path, name):
    runs = pipelines.run(spark, name, tmp_path / name)
    for ours, sparks in zip(runs, RECORDED[name], strict=True):
        assert_same_error(ours["error"], sparks["error"])
        assert ours["rows"] == sparks["rows"]
        if sparks["error"] is None:
            assert by_flow(ours["events"]) == by_flow(sparks["events"])
            assert checkpoints(ours) == checkpoints(sparks)


@pytest.mark.parametrize("name", [name for name in ELSEWHERE])
def test_refused(spark, tmp_path, name, on_spark):
    runs = pipelines.run(spark, name, tmp_path / name)
    assert on_spark or runs[-1]["error"] is not None


def assert_same_error(ours, sparks):
    if sparks is None:
        assert ours is None
        return
    assert ours is not None
    if sparks["class"] is None:
        # An exception without a class, or one inside of another that only a JVM has.
        text = sparks["message"].split("Exception: ", 1)[-1].split("(", 1)[0].strip()
        if "Circular dependencies" in text:
            assert "Circular dependencies" in ours["message"]
        elif text.startswith("[CANNOT_MERGE_INCOMPATIBLE_DATA_TYPE]"):
            assert ours["class"] == "UNABLE_TO_INFER_PIPELINE_TABLE_SCHEMA"
        else:
            assert ours["message"].startswith(text[:200])
    elif "TABLE_NOT_RESETTABLE" in sparks["message"]:
        assert "cannot be reset" in ours["message"]
    else:
        assert ours["class"] == sparks["class"]


def by_flow(events):
    """The events of each flow in order. Spark says of a stream that failed also that it has COMPLETED."""
    found = {}
    for event in events:
        text = event.split("\n")[0]
        words = [word for word in text.replace("'", " ").split() if word.startswith("spark_catalog.")]
        found.setdefault(words[0] if words else "", []).append(text)
    return found


def checkpoints(run):
    return [path for path in run["checkpoints"] if path.startswith("_checkpoints/spark_catalog")]


@pytest.mark.millstream
@pytest.mark.parametrize("name", sorted(FLOWS_INTO_ONE_TABLE))
def test_flows_into_one_table_lose_nothing(spark, tmp_path, name):
    """Spark's file tables fail one of two flows into a table, and its rows are gone."""
    runs = pipelines.run(spark, name, tmp_path / name)
    assert [run["error"] for run in runs] == [None, None]
    if name == "python":
        assert runs[0]["rows"] == [[["1", "a"], ["2", "b"], ["3", "a"]], [["a", "2"], ["b", "1"]], [["3"]]]
        assert runs[1]["rows"][0] == [["1", "a"], ["2", "b"], ["3", "a"], ["4", "b"], ["5", "c"]]
        return
    first = [["1", "a", "None"], ["2", "b", "None"], ["3", "a", "None"]]
    second = [["101", "None", "a"], ["102", "None", "b"], ["103", "None", "a"]]
    third = [["201", "None", "None"], ["202", "None", "None"], ["203", "None", "None"]]
    assert runs[0]["rows"][0] == first + second
    assert runs[1]["rows"][0] == first + second + third


class TestCalls:
    """What definitions may and may not do, call by call."""

    @pytest.fixture
    def graph(self, spark):
        return pipelines.create_dataflow_graph(spark, default_catalog=None, default_database=None, sql_conf={})

    @staticmethod
    def command(spark, fill):
        command = pb2.Command()
        fill(command.pipeline_command)
        return spark.client.execute_command(command)

    def refused(self, spark, fill):
        with pytest.raises(PySparkException) as refused:
            self.command(spark, fill)
        return refused.value.getCondition()

    def test_an_unknown_graph(self, spark):
        def define(command):
            command.define_output.dataflow_graph_id = "nothing"
            command.define_output.output_name = "t"
            command.define_output.output_type = pb2.OutputType.TABLE

        assert self.refused(spark, define) == "DATAFLOW_GRAPH_NOT_FOUND"

    def test_names_are_answered_in_full(self, spark, graph):
        def define(command):
            command.define_output.dataflow_graph_id = graph
            command.define_output.output_name = "default.`a b`"
            command.define_output.output_type = pb2.OutputType.MATERIALIZED_VIEW

        _, properties, _ = self.command(spark, define)
        name = properties["pipeline_command_result"].define_output_result.resolved_identifier
        assert (name.catalog_name, list(name.namespace), name.table_name) == ("spark_catalog", ["default"], "a b")

    def test_one_time_flows_are_refused(self, spark, graph):
        def define(command):
            command.define_flow.dataflow_graph_id = graph
            command.define_flow.flow_name = "f"
            command.define_flow.target_dataset_name = "t"
            command.define_flow.once = True

        assert self.refused(spark, define) == "DEFINE_FLOW_ONCE_OPTION_NOT_SUPPORTED"

    def test_a_dropped_graph_is_gone(self, spark, graph):
        def drop(command):
            command.drop_dataflow_graph.dataflow_graph_id = graph

        def start(command):
            command.start_run.dataflow_graph_id = graph
            command.start_run.storage = "file:///nowhere"

        self.command(spark, drop)
        self.command(spark, drop)
        assert self.refused(spark, start) == "DATAFLOW_GRAPH_NOT_FOUND"

    def test_a_flow_must_not_look_at_rows_or_types(self, spark, graph):
        with pipelines.add_pipeline_analysis_context(spark=spark, dataflow_graph_id=graph, flow_name="f"):
            spark.sql("SELECT * FROM nothing_yet")
            for look in (lambda: spark.range(1).collect(), lambda: spark.range(1).schema):
                with pytest.raises(PySparkException) as refused:
                    look()
                assert refused.value.getCondition() == "ATTEMPT_ANALYSIS_IN_PIPELINE_QUERY_FUNCTION"

    def test_definitions_run_no_commands(self, spark, graph):
        with pipelines.add_pipeline_analysis_context(spark=spark, dataflow_graph_id=graph, flow_name=None):
            spark.sql("SHOW TABLES")
            with pytest.raises(PySparkException) as refused:
                spark.sql("CREATE TABLE made_by_a_definition (x INT)")
            assert refused.value.getCondition() == "UNSUPPORTED_PIPELINE_SPARK_SQL_COMMAND"


SCRIPT = """
-- what is read
CREATE TABLE IF NOT EXISTS of_a_file (x INT) USING parquet;
INSERT INTO of_a_file VALUES (1), (2);
CREATE TEMPORARY VIEW doubled AS SELECT x * 2 AS x FROM STREAM of_a_file;
CREATE STREAMING TABLE st_of_a_file AS SELECT * FROM STREAM doubled;
CREATE MATERIALIZED VIEW mv_of_a_file AS SELECT sum(x) AS s FROM st_of_a_file;
SELECT s AS the_sum FROM mv_of_a_file;
"""


def millstream_run(*arguments, cwd):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SPARK_")} | {"PYSPARK_PYTHON": sys.executable}
    command = [str(harness.binary()), "run", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


class TestSqlFiles:
    """`millstream run pipeline.sql`."""

    @pytest.fixture
    def script(self, tmp_path):
        path = tmp_path / "pipeline.sql"
        path.write_text(SCRIPT)
        return path

    def test_on_a_server(self, spark, remote, script):
        """The same file on a Connect server, ours or Spark's."""
        pipelines.clear(spark)
        try:
            storage = f"file://{script.parent}/storage"
            for total in ("6", "12"):
                ended = millstream_run(script, "--remote", remote, "--storage", storage, cwd=script.parent)
                assert ended.returncode == 0, ended.stdout + ended.stderr
                assert "Flow spark_catalog.default.st_of_a_file has COMPLETED." in ended.stdout
                assert "the_sum" in ended.stdout and f"| {total}|".replace(" ", "") in ended.stdout.replace(" ", "")
            assert (script.parent / "storage/_checkpoints/spark_catalog/default/st_of_a_file/st_of_a_file/0").is_dir()
        finally:
            pipelines.clear(spark)

    def test_errors_on_a_server(self, spark, remote, tmp_path):
        (tmp_path / "bad.sql").write_text("CREATE MATERIALIZED VIEW bad AS SELECT * FROM nothing")
        ended = millstream_run("bad.sql", "--remote", remote, cwd=tmp_path)
        assert ended.returncode == 1
        assert "Failed to resolve flow: 'spark_catalog.default.bad'." in ended.stdout
        assert "TABLE_OR_VIEW_NOT_FOUND" in ended.stdout and "Failed to resolve flows in the pipeline." in ended.stderr

    @pytest.mark.millstream
    def test_alone(self, script, tmp_path):
        for total in (6, 12):
            ended = millstream_run("pipeline.sql", cwd=tmp_path)
            assert ended.returncode == 0, ended.stdout + ended.stderr
            assert f"|{total:7}|" in ended.stdout
        assert (tmp_path / "pipeline-storage/_checkpoints/spark_catalog/default/st_of_a_file").is_dir()
        dry = millstream_run("pipeline.sql", "--dry-run", cwd=tmp_path)
        assert dry.returncode == 0 and "QUEUED" not in dry.stdout and "Run is COMPLETED." in dry.stdout
        full = millstream_run("pipeline.sql", "--full-refresh", "st_of_a_file", "--refresh=mv_of_a_file", cwd=tmp_path)
        assert full.returncode == 0 and f"|{24:7}|" in full.stdout, full.stdout + full.stderr

    @pytest.mark.millstream
    def test_without_a_pipeline(self, tmp_path):
        (tmp_path / "plain.sql").write_text("CREATE TEMPORARY VIEW v AS SELECT 1 AS x; SELECT x + 1 AS y FROM v")
        ended = millstream_run("plain.sql", cwd=tmp_path)
        assert ended.returncode == 0 and "|  2|" in ended.stdout, ended.stderr
        (tmp_path / "empty.sql").write_text("-- nothing\n;")
        assert "no statement" in millstream_run("empty.sql", cwd=tmp_path).stderr
        wrong = millstream_run("plain.sql", "--nonsense", cwd=tmp_path)
        assert wrong.returncode == 2 and "--nonsense" in wrong.stderr


@pytest.mark.millstream
def test_spark_pipelines_without_a_jvm(tmp_path):
    """PySpark's own command: a specification with a Python file and a SQL file."""
    (tmp_path / "defs").mkdir()
    (tmp_path / "spark-pipeline.yml").write_text(
        f"name: test\nstorage: file://{tmp_path}/storage\nlibraries:\n  - glob:\n      include: defs/**\n"
    )
    (tmp_path / "defs" / "one.py").write_text(
        textwrap.dedent("""
            from pyspark import pipelines as dp

            @dp.materialized_view
            def numbers():
                return spark.range(10)
        """)
    )
    (tmp_path / "defs" / "two.sql").write_text("CREATE MATERIALIZED VIEW evens AS SELECT id FROM numbers WHERE id % 2 = 0")
    dry = millstream_run("spark-pipeline.yml", "--dry-run", cwd=tmp_path)
    assert dry.returncode == 0 and "STARTING" not in dry.stdout, dry.stdout + dry.stderr
    ended = millstream_run("spark-pipeline.yml", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.index("numbers has COMPLETED") < ended.stdout.index("evens is STARTING")
    (tmp_path / "look.sql").write_text("SELECT count(*) AS n FROM evens")
    assert "|  5|" in millstream_run("look.sql", cwd=tmp_path).stdout
    (tmp_path / "defs" / "two.sql").write_text("CREATE MATERIALIZED VIEW evens AS SELECT nothing FROM numbers")
    failed = millstream_run("spark-pipeline.yml", cwd=tmp_path)
    assert failed.returncode == 1 and "UNRESOLVED_COLUMN" in failed.stdout
    assert pathlib.Path(tmp_path, "spark-warehouse", "evens").is_dir()
