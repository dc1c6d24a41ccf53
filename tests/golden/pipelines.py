"""Declarative pipelines, as small programs: SQL files or Python definitions, run once or several times.

Each program is a list of runs. A run registers a graph anew, as `spark-pipelines` does, starts it, and gives back what a
client sees: the events, the error if there was one, the rows of some queries, and the folders of the checkpoints.
"""

import pathlib
import re
from dataclasses import dataclass, field

from pyspark import pipelines as dp
from pyspark.errors import PySparkException
from pyspark.pipelines.add_pipeline_analysis_context import add_pipeline_analysis_context
from pyspark.pipelines.block_session_mutations import block_session_mutations
from pyspark.pipelines.graph_element_registry import graph_element_registration_context
from pyspark.pipelines.spark_connect_graph_element_registry import SparkConnectGraphElementRegistry
from pyspark.pipelines.spark_connect_pipeline import create_dataflow_graph, start_run
from pyspark.sql import functions as f


@dataclass
class Run:
    """One run: statements before it, what is defined, how it is started, and what is looked at after it."""

    sql: str | None = None
    before: list[str] = field(default_factory=list)
    python: object = None
    conf: dict[str, str] = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    show: list[str] = field(default_factory=list)


SOURCE = [
    "CREATE TABLE src (id INT, v STRING) USING parquet",
    "INSERT INTO src VALUES (1, 'a'), (2, 'b'), (3, 'a')",
]
MORE = ["INSERT INTO src VALUES (4, 'b'), (5, 'c')"]
BASIC = """
CREATE STREAMING TABLE st AS SELECT id, v FROM STREAM src;
CREATE MATERIALIZED VIEW mv AS SELECT v, count(*) AS n FROM st GROUP BY v;
"""
SHOW = ["SELECT * FROM st ORDER BY id", "SELECT * FROM mv ORDER BY v"]


def python_definitions(spark):
    @dp.table(partition_cols=["v"], comment="all rows")
    def st():
        return spark.readStream.table("src")

    @dp.temporary_view
    def evens():
        return spark.readStream.table("st").where("id % 2 = 0")

    dp.create_streaming_table("both", schema="id INT, v STRING", table_properties={"a": "b"})

    @dp.append_flow(target="both")
    def even_rows():
        return spark.readStream.table("evens")

    @dp.append_flow(target="both", name="named")
    def odd_rows():
        return spark.readStream.table("st").where(f.col("id") % 2 == 1)

    @dp.materialized_view(format="json")
    def mv():
        return spark.read.table("both").groupBy("v").count()

    @dp.materialized_view
    def by_sql():
        return spark.sql("SELECT max(id) AS m FROM st")


def python_batch_table(spark):
    @dp.table
    def t():
        return spark.range(3)


def python_streaming_view(spark):
    @dp.materialized_view
    def t():
        return spark.readStream.table("src")


def python_sink(spark):
    dp.create_sink("out", "memory", {})

    @dp.append_flow(target="out")
    def to_out():
        return spark.readStream.table("src")


PROGRAMS = {
    "basic": [
        Run(BASIC, before=SOURCE, show=SHOW),
        Run(BASIC, before=MORE, show=SHOW),
        Run(BASIC, show=SHOW),
        Run(BASIC, options={"full_refresh": ["st"]}, show=SHOW),
        Run(BASIC, before=MORE, options={"refresh": ["mv"]}, show=SHOW),
        Run(BASIC, options={"full_refresh_all": True}, show=SHOW),
        Run(BASIC, options={"dry": True}, show=SHOW),
        Run(BASIC, options={"refresh": ["st"], "full_refresh": ["mv"]}, show=SHOW),
    ],
    "names": [
        Run(
            """
            -- qualified and quoted, defined before what they read
            CREATE MATERIALIZED VIEW spark_catalog.default.third AS SELECT second.v, a.n FROM default.second JOIN `first` a ON a.v = second.v;
            CREATE MATERIALIZED VIEW default.second AS WITH c AS (SELECT v FROM src) SELECT DISTINCT v FROM c WHERE v IN (SELECT v FROM first);
            CREATE MATERIALIZED VIEW First COMMENT 'the first' AS SELECT v, count(*) AS n FROM src GROUP BY v
            """,
            before=SOURCE,
            show=["SELECT * FROM third ORDER BY v", "SELECT * FROM first ORDER BY v", "SHOW TABLES"],
        )
    ],
    "views": [
        Run(
            """
            CREATE TEMPORARY VIEW big AS SELECT id * 10 AS id, v FROM STREAM src;
            CREATE TEMPORARY VIEW bigger AS SELECT id * 10 AS id, v FROM STREAM(big);
            CREATE STREAMING TABLE st AS SELECT * FROM STREAM bigger WHERE v <> 'a';
            CREATE TEMPORARY VIEW counts AS SELECT v, count(*) AS n FROM st GROUP BY v;
            CREATE MATERIALIZED VIEW mv AS SELECT sum(n) AS n FROM counts;
            """,
            before=SOURCE,
            show=["SELECT * FROM st ORDER BY id", "SELECT * FROM mv", "SHOW TABLES"],
        )
    ],
    "flows": [
        Run(
            """
            CREATE STREAMING TABLE t;
            CREATE FLOW one AS INSERT INTO t BY NAME SELECT id, v FROM STREAM src;
            CREATE FLOW two COMMENT 'the other' AS INSERT INTO t BY NAME SELECT v AS w, id + 100 AS id FROM STREAM src;
            """,
            before=SOURCE,
            show=["SELECT id, v, w FROM t ORDER BY id", "DESCRIBE t"],
        ),
        Run(
            """
            CREATE STREAMING TABLE t;
            CREATE FLOW one AS INSERT INTO t BY NAME SELECT id, v FROM STREAM src;
            CREATE FLOW three AS INSERT INTO t BY NAME SELECT id + 200 AS id FROM STREAM src;
            """,
            show=["SELECT id, v, w FROM t ORDER BY id", "DESCRIBE t"],
        ),
    ],
    "clauses": [
        Run(
            """
            CREATE STREAMING TABLE IF NOT EXISTS st (id INT COMMENT 'number', v STRING) USING json PARTITIONED BY (v)
              COMMENT 'text' TBLPROPERTIES ('a' = 'b', 'pipelines.reset.allowed' = 'false') AS SELECT id, v FROM STREAM src;
            CREATE MATERIALIZED VIEW mv (v STRING, n BIGINT) USING csv TBLPROPERTIES ('k' = '1') COMMENT 'counts'
              AS SELECT v, count(*) AS n FROM st GROUP BY v;
            """,
            before=SOURCE,
            show=["SELECT * FROM st ORDER BY id", "SELECT * FROM mv ORDER BY v", "DESCRIBE st", "DESCRIBE mv"],
        ),
        Run(
            """
            CREATE STREAMING TABLE st (id INT COMMENT 'number', v STRING) USING json PARTITIONED BY (v)
              COMMENT 'text' TBLPROPERTIES ('a' = 'b', 'pipelines.reset.allowed' = 'false') AS SELECT id, v FROM STREAM src;
            """,
            options={"full_refresh_all": True},
            show=["SELECT * FROM st ORDER BY id"],
        ),
        Run(
            """
            CREATE STREAMING TABLE st (id INT COMMENT 'number', v STRING) USING json PARTITIONED BY (v)
              TBLPROPERTIES ('pipelines.reset.allowed' = 'false') AS SELECT id, v FROM STREAM src;
            """,
            options={"full_refresh": ["st"]},
        ),
        Run("CREATE STREAMING TABLE st PARTITIONED BY (id) AS SELECT id, v FROM STREAM src;"),
    ],
    "evolution": [
        Run("CREATE STREAMING TABLE st AS SELECT id FROM STREAM src;", before=SOURCE, show=["SELECT * FROM st ORDER BY id"]),
        Run(
            "CREATE STREAMING TABLE st AS SELECT id, v FROM STREAM src;",
            before=MORE,
            show=["SELECT id, v FROM st ORDER BY id", "DESCRIBE st"],
        ),
        Run("CREATE STREAMING TABLE st AS SELECT v, id FROM STREAM src;", before=["INSERT INTO src VALUES (9, 'z')"], show=["SELECT id, v FROM st ORDER BY id", "DESCRIBE st"]),
        Run("CREATE STREAMING TABLE st AS SELECT CAST(id AS STRING) AS id FROM STREAM src;"),
    ],
    "view_evolution": [
        Run("CREATE MATERIALIZED VIEW mv AS SELECT id FROM src;", before=SOURCE, show=["SELECT * FROM mv ORDER BY id"]),
        Run("CREATE MATERIALIZED VIEW mv AS SELECT v, count(*) AS n FROM src GROUP BY v;", show=["SELECT * FROM mv ORDER BY v", "DESCRIBE mv"]),
    ],
    "settings": [
        Run(
            """
            CREATE MATERIALIZED VIEW before AS SELECT CAST(TIMESTAMP_SECONDS(0) AS STRING) AS t;
            SET spark.sql.session.timeZone = Asia/Tokyo;
            CREATE MATERIALIZED VIEW after AS SELECT CAST(TIMESTAMP_SECONDS(0) AS STRING) AS t;
            """,
            conf={"spark.sql.session.timeZone": "UTC"},
            show=["SELECT * FROM before", "SELECT * FROM after"],
        )
    ],
    "uses": [
        Run("USE spark_catalog.default;\nCREATE MATERIALIZED VIEW a AS SELECT 1 AS x;\nUSE default;\nCREATE MATERIALIZED VIEW b AS SELECT * FROM a", show=["SELECT * FROM b"]),
        Run("USE nowhere;\nCREATE MATERIALIZED VIEW c AS SELECT 1 AS x;"),
        Run("CREATE MATERIALIZED VIEW c AS SELECT * FROM nowhere.x;"),
    ],
    "python": [
        Run(python=python_definitions, before=SOURCE, show=["SELECT id, v FROM both ORDER BY id", "SELECT * FROM mv ORDER BY v", "SELECT * FROM by_sql"]),
        Run(python=python_definitions, before=MORE, show=["SELECT id, v FROM both ORDER BY id", "SELECT * FROM mv ORDER BY v", "SELECT * FROM by_sql"]),
    ],
    "python_batch_table": [Run(python=python_batch_table)],
    "python_streaming_view": [Run(python=python_streaming_view, before=SOURCE)],
    "python_sink": [Run(python=python_sink, before=SOURCE)],
    # What is refused.
    "cycle": [Run("CREATE MATERIALIZED VIEW a AS SELECT * FROM b; CREATE MATERIALIZED VIEW b AS SELECT * FROM a;")],
    "cycle_of_one": [Run("CREATE MATERIALIZED VIEW a AS SELECT * FROM a;")],
    "unresolved_table": [
        Run("CREATE MATERIALIZED VIEW a AS SELECT * FROM nothing; CREATE MATERIALIZED VIEW b AS SELECT * FROM a; CREATE MATERIALIZED VIEW c AS SELECT 1 AS x;")
    ],
    "unresolved_column": [Run("CREATE MATERIALIZED VIEW a AS SELECT y FROM src;", before=SOURCE)],
    "unresolved_dry": [Run("CREATE MATERIALIZED VIEW a AS SELECT y FROM src;", before=SOURCE, options={"dry": True})],
    "two_datasets": [Run("CREATE MATERIALIZED VIEW a AS SELECT 1 AS x; CREATE STREAMING TABLE a;")],
    "view_and_view": [Run("CREATE TEMPORARY VIEW a AS SELECT 1 AS x; CREATE TEMPORARY VIEW a AS SELECT 2 AS x;")],
    "view_and_table": [
        Run("CREATE TEMPORARY VIEW a AS SELECT 1 AS x; CREATE MATERIALIZED VIEW a AS SELECT 2 AS x; CREATE MATERIALIZED VIEW b AS SELECT * FROM a", show=["SELECT * FROM b"])
    ],
    "two_flows_of_a_name": [
        Run(
            """
            CREATE STREAMING TABLE t; CREATE STREAMING TABLE u;
            CREATE FLOW f AS INSERT INTO t BY NAME SELECT * FROM STREAM src;
            CREATE FLOW f AS INSERT INTO u BY NAME SELECT * FROM STREAM src;
            """,
            before=SOURCE,
        )
    ],
    "flow_named_as_a_table": [
        Run(
            """
            CREATE STREAMING TABLE t; CREATE STREAMING TABLE u AS SELECT * FROM STREAM src;
            CREATE FLOW u AS INSERT INTO t BY NAME SELECT * FROM STREAM src;
            """,
            before=SOURCE,
        )
    ],
    "flow_named_as_a_bare_table": [
        Run(
            """
            CREATE STREAMING TABLE t; CREATE STREAMING TABLE u;
            CREATE FLOW u AS INSERT INTO t BY NAME SELECT * FROM STREAM src;
            CREATE FLOW t AS INSERT INTO u BY NAME SELECT * FROM STREAM src;
            """,
            before=SOURCE,
        )
    ],
    "view_of_a_stream": [Run("CREATE MATERIALIZED VIEW mv AS SELECT * FROM STREAM src;", before=SOURCE)],
    "table_of_a_batch": [Run("CREATE STREAMING TABLE st AS SELECT * FROM src;", before=SOURCE)],
    "flow_into_a_view": [
        Run("CREATE MATERIALIZED VIEW mv AS SELECT 1 AS id; CREATE FLOW f AS INSERT INTO mv BY NAME SELECT 2 AS id;")
    ],
    "stream_into_a_view": [
        Run("CREATE MATERIALIZED VIEW mv AS SELECT 1 AS id; CREATE FLOW f AS INSERT INTO mv BY NAME SELECT id FROM STREAM src;", before=SOURCE)
    ],
    "flow_into_a_temporary_view": [
        Run("CREATE TEMPORARY VIEW a AS SELECT 1 AS id; CREATE FLOW f AS INSERT INTO a BY NAME SELECT 2 AS id; CREATE MATERIALIZED VIEW b AS SELECT * FROM a;")
    ],
    "table_without_flow": [Run("CREATE STREAMING TABLE t; CREATE MATERIALIZED VIEW b AS SELECT 1 AS x;")],
    "read_of_a_table_without_flow": [Run("CREATE STREAMING TABLE t; CREATE MATERIALIZED VIEW b AS SELECT * FROM t;")],
    "flow_into_nothing": [Run("CREATE FLOW f AS INSERT INTO t BY NAME SELECT * FROM STREAM src;", before=SOURCE)],
    "empty": [Run("")],
    "only_views": [Run("CREATE TEMPORARY VIEW a AS SELECT 1 AS x;")],
    "stream_of_a_batch_view": [
        Run("CREATE TEMPORARY VIEW a AS SELECT * FROM src; CREATE STREAMING TABLE st AS SELECT * FROM STREAM a;", before=SOURCE)
    ],
    "batch_of_a_stream_view": [
        Run("CREATE TEMPORARY VIEW a AS SELECT * FROM STREAM src; CREATE MATERIALIZED VIEW mv AS SELECT * FROM a;", before=SOURCE)
    ],
    "stream_of_a_materialized_view": [
        Run("CREATE MATERIALIZED VIEW a AS SELECT * FROM src; CREATE STREAMING TABLE st AS SELECT * FROM STREAM a;", before=SOURCE, show=["SELECT * FROM st ORDER BY id"]),
        Run("CREATE MATERIALIZED VIEW a AS SELECT * FROM src; CREATE STREAMING TABLE st AS SELECT * FROM STREAM a;", before=MORE, show=["SELECT * FROM st ORDER BY id"]),
    ],
    "not_by_name": [Run("CREATE STREAMING TABLE t; CREATE FLOW f AS INSERT INTO t SELECT * FROM STREAM src;", before=SOURCE)],
    "overwriting_flow": [Run("CREATE STREAMING TABLE t; CREATE FLOW f AS INSERT OVERWRITE t SELECT * FROM STREAM src;", before=SOURCE)],
    "flow_with_columns": [Run("CREATE STREAMING TABLE t; CREATE FLOW f AS INSERT INTO t (id, v) SELECT * FROM STREAM src;", before=SOURCE)],
    "flow_of_two_parts": [Run("CREATE STREAMING TABLE t; CREATE FLOW default.f AS INSERT INTO t BY NAME SELECT * FROM STREAM src;", before=SOURCE)],
    "temporary_view_of_two_parts": [Run("CREATE TEMPORARY VIEW default.a AS SELECT 1 AS x;")],
    "other_statement": [Run("CREATE MATERIALIZED VIEW a AS SELECT 1 AS x;\n\n  -- a comment\n  SELECT 1;")],
    "other_command": [Run("CREATE TABLE t (x INT) USING parquet")],
    "other_insert": [Run("INSERT INTO t SELECT 1")],
    "persisted_view": [Run("CREATE VIEW a AS SELECT 1 AS x; CREATE MATERIALIZED VIEW b AS SELECT * FROM a;", show=["SELECT * FROM b"])],
    "bad_syntax": [Run("CREATE MATERIALIZED VIEW a AS SELECT 1 AS x;\nCREATE STREAMING TABLES b;")],
    "streaming_table_with_location": [Run("CREATE STREAMING TABLE st LOCATION '/tmp/nowhere' AS SELECT * FROM STREAM src;")],
    "or_refresh": [Run("CREATE OR REFRESH STREAMING TABLE st AS SELECT * FROM STREAM src;", before=SOURCE)],
    "or_replace": [Run("CREATE OR REPLACE MATERIALIZED VIEW mv AS SELECT 1 AS x;")],
    "clustered": [Run("CREATE MATERIALIZED VIEW mv CLUSTER BY (x) AS SELECT 1 AS x;", show=["SELECT * FROM mv"])],
    "bucketed": [Run("CREATE MATERIALIZED VIEW mv CLUSTERED BY (x) INTO 2 BUCKETS AS SELECT 1 AS x;")],
    "transform_partition": [Run("CREATE MATERIALIZED VIEW mv PARTITIONED BY (bucket(2, x)) AS SELECT 1 AS x;")],
    "missing_partition_column": [Run("CREATE MATERIALIZED VIEW mv PARTITIONED BY (y) AS SELECT 1 AS x;")],
    "unknown_format": [Run("CREATE MATERIALIZED VIEW mv USING strange AS SELECT 1 AS x;")],
    "columns_do_not_fit": [Run("CREATE MATERIALIZED VIEW mv (x STRING) AS SELECT 1 AS x;")],
    "columns_too_few": [Run("CREATE MATERIALIZED VIEW mv (x INT) AS SELECT 1 AS x, 2 AS y;")],
    "columns_too_many": [Run("CREATE MATERIALIZED VIEW mv (x INT, y INT) AS SELECT 1 AS x;", show=["SELECT * FROM mv"])],
    "columns_of_a_stream_too_few": [Run("CREATE STREAMING TABLE st (id INT) AS SELECT * FROM STREAM src;", before=SOURCE)],
    "flows_do_not_fit": [
        Run(
            """
            CREATE STREAMING TABLE t;
            CREATE FLOW one AS INSERT INTO t BY NAME SELECT id FROM STREAM src;
            CREATE FLOW two AS INSERT INTO t BY NAME SELECT v AS id FROM STREAM src;
            """,
            before=SOURCE,
        )
    ],
    "aggregate_without_watermark": [Run("CREATE STREAMING TABLE st AS SELECT v, count(*) AS n FROM STREAM src GROUP BY v;", before=SOURCE, conf={"spark.sql.pipelines.maxFlowRetryAttempts": "0"})],
    "failing_view": [
        Run(
            """
            CREATE MATERIALIZED VIEW good AS SELECT 1 AS x;
            CREATE MATERIALIZED VIEW bad AS SELECT CAST(v AS INT) AS x FROM src;
            CREATE MATERIALIZED VIEW below AS SELECT * FROM bad;
            CREATE MATERIALIZED VIEW below_below AS SELECT * FROM below;
            """,
            before=SOURCE,
            conf={"spark.sql.pipelines.maxFlowRetryAttempts": "1", "spark.sql.pipelines.execution.watchdog.minRetryTime": "1"},
            show=["SELECT * FROM good", "SELECT * FROM below"],
        )
    ],
    "failing_stream": [
        Run(
            """
            CREATE STREAMING TABLE bad AS SELECT CAST(v AS INT) AS x FROM STREAM src;
            CREATE MATERIALIZED VIEW below AS SELECT * FROM bad;
            """,
            before=SOURCE,
            conf={"spark.sql.pipelines.maxFlowRetryAttempts": "1", "spark.sql.pipelines.execution.watchdog.minRetryTime": "1"},
            show=["SELECT * FROM below"],
        )
    ],
    "failing_without_retries": [
        Run("CREATE MATERIALIZED VIEW bad AS SELECT CAST('x' AS INT) AS x;", conf={"spark.sql.pipelines.maxFlowRetryAttempts": "0"})
    ],
    "refresh_of_nothing": [Run("CREATE MATERIALIZED VIEW a AS SELECT 1 AS x;", options={"refresh": ["nothing"]})],
    "refresh_overlap": [Run("CREATE MATERIALIZED VIEW a AS SELECT 1 AS x;", options={"refresh": ["a"], "full_refresh": ["default.a"]})],
    "full_refresh_conflict": [Run("CREATE MATERIALIZED VIEW a AS SELECT 1 AS x;", options={"full_refresh": ["a"], "full_refresh_all": True})],
    "refresh_conflict": [Run("CREATE MATERIALIZED VIEW a AS SELECT 1 AS x;", options={"refresh": ["a"], "full_refresh_all": True})],
    "no_storage": [Run("CREATE MATERIALIZED VIEW a AS SELECT 1 AS x;", options={"storage": ""})],
    "storage_without_scheme": [Run("CREATE MATERIALIZED VIEW a AS SELECT 1 AS x;", options={"storage": "/tmp/nowhere"})],
    "table_in_the_way": [Run("CREATE MATERIALIZED VIEW src AS SELECT 1 AS x;", before=SOURCE, show=["SELECT * FROM src"])],
    "watermark_and_window": [
        Run(
            """
            CREATE STREAMING TABLE w AS
              SELECT window.start AS s, count(*) AS n FROM STREAM events WATERMARK ts DELAY OF INTERVAL 5 SECONDS
              GROUP BY window(ts, '10 seconds');
            """,
            before=[
                "CREATE TABLE events (ts TIMESTAMP, x INT) USING parquet",
                "INSERT INTO events VALUES (TIMESTAMP'2024-01-01 00:00:01', 1), (TIMESTAMP'2024-01-01 00:00:31', 2)",
            ],
            show=["SELECT * FROM w ORDER BY s"],
        )
    ],
    "auto_cdc": [
        Run("CREATE STREAMING TABLE t; CREATE FLOW f AS AUTO CDC INTO t FROM STREAM src KEYS (id) SEQUENCE BY id;", before=SOURCE)
    ],
}


def run(spark, name: str, folder: pathlib.Path) -> list[dict]:
    """What a client sees of each run of a program. The warehouse is emptied before and after."""
    folder.mkdir(parents=True, exist_ok=True)
    clear(spark)
    try:
        return [one(spark, run, folder) for run in PROGRAMS[name]]
    finally:
        clear(spark)


def one(spark, run: Run, folder: pathlib.Path) -> dict:
    for statement in run.before:
        spark.sql(statement).collect()
    for key, value in run.conf.items():
        spark.conf.set(key, value)
    events, error = [], None
    try:
        graph = create_dataflow_graph(spark, default_catalog=None, default_database=None, sql_conf={})
        registry = SparkConnectGraphElementRegistry(spark, graph)
        if run.sql is not None:
            registry.register_sql(run.sql, pathlib.Path("pipeline.sql"))
        if run.python is not None:
            with graph_element_registration_context(registry):
                with add_pipeline_analysis_context(spark=spark, dataflow_graph_id=graph, flow_name=None):
                    with block_session_mutations():
                        run.python(spark)
        options = {"full_refresh": [], "full_refresh_all": False, "refresh": [], "dry": False, "storage": f"file://{folder}"}
        for result in start_run(spark, graph, **(options | run.options)):
            if "pipeline_event_result" in result:
                events.append(told(result["pipeline_event_result"].event.message, folder))
    except PySparkException as refused:
        error = {"class": refused.getCondition(), "message": told(str(refused), folder)}
    finally:
        for key in run.conf:
            spark.conf.unset(key)
    return {"events": events, "error": error, "rows": [rows(spark, q) for q in run.show], "checkpoints": checkpoints(folder)}


def rows(spark, query: str):
    try:
        return [[str(value) for value in row] for row in spark.sql(query).collect()]
    except PySparkException as refused:
        return refused.getCondition()


def checkpoints(folder: pathlib.Path) -> list[str]:
    """The folders of checkpoints: tables, flows, and their numbers."""
    found = folder.glob("_checkpoints/*/*/*/*/*")
    return sorted(str(path.relative_to(folder)) for path in found if path.is_dir())


def told(text: str, folder: pathlib.Path) -> str:
    """A message without what differs from run to run: folders, ids, the stack of the server."""
    text = text.split("\n\nJVM stacktrace")[0].replace(str(folder), "<folder>")
    text = re.sub(r"file:/+[^ ',;]*/warehouse", "<warehouse>", text)
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text).strip()


def clear(spark) -> None:
    for table in spark.catalog.listTables():
        if table.isTemporary:
            spark.catalog.dropTempView(table.name)
        else:
            kind = "VIEW" if table.tableType == "VIEW" else "TABLE"
            spark.sql(f"DROP {kind} IF EXISTS `{table.name}`")
