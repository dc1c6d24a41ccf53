"""Programs: a streaming query and what it is fed, as JSON, and the one way to turn it into a DataFrame.

    {"conf": {"spark.sql.session.timeZone": "UTC"},
     "inputs": {"s0": {"columns": [["t", "timestamp"], ["k", "string"]]},
                "table": {"columns": [...], "rows": [...]}},              a static table has rows
     "plan": {"from": "s0", "then": [{"do": "watermark", "column": "t", "delay": "5 seconds"}, ...]},
     "mode": "append", "sink": "memory", "trigger": "processing",
     "steps": [{"s0": [file, ...]}, ...]}                                  a file is a list of rows

The files of a step appear together, each stream reads one file a batch, and everything there is runs after each step.
A plan is a chain over an input; joins and unions have a second plan. Expressions are SQL text, all else is the
DataFrame API. The same code runs against both engines, so only the servers can differ.
"""

from pyspark.sql import functions as F


def ddl(columns: list[list[str]]) -> str:
    return ", ".join(f"`{name}` {kind}" for name, kind in columns)


def frame(session, plan: dict, read) -> object:
    """The DataFrame of a plan; `read(input)` gives those it starts from."""
    rows = read(plan["from"])
    for step in plan["then"]:
        rows = _apply(session, rows, step, read)
    return rows


def _apply(session, rows, step: dict, read):
    match step["do"]:
        case "watermark":
            return rows.withWatermark(step["column"], step["delay"])
        case "select":
            return rows.select(*_named(step["columns"]))
        case "with":
            return rows.withColumn(step["name"], F.expr(step["expr"]))
        case "filter":
            return rows.filter(step["where"])
        case "aggregate":
            keys = [_key(key) for key in step["by"]]
            return rows.groupBy(*keys).agg(*_named(step["values"]))
        case "dedup":
            return rows.dropDuplicates(step["columns"]) if step["columns"] else rows.dropDuplicates()
        case "dedup_within":
            columns = step["columns"]
            return rows.dropDuplicatesWithinWatermark(columns) if columns else rows.dropDuplicatesWithinWatermark()
        case "distinct":
            return rows.distinct()
        case "join":
            on = F.expr(step["on"]) if step["on"] else None
            return rows.join(frame(session, step["right"], read), on, step["how"])
        case "union":
            return rows.union(frame(session, step["right"], read))
        case "limit":
            return rows.limit(step["n"])
        case "sort":
            return rows.orderBy(*(F.expr(key) for key in step["by"]))
        case "drop":
            return rows.drop(*step["columns"])
        case other:
            raise ValueError(f"no such step: {other}")


def _named(columns: list[list[str]]) -> list:
    return [F.expr(text).alias(name) for name, text in columns]


def _key(key: dict):
    """A grouping key: an expression, a window or a session."""
    if "window" in key:
        return F.window(F.expr(key["of"]), *key["window"]).alias(key["name"])
    if "session" in key:
        gap = key["session"]
        return F.session_window(F.expr(key["of"]), F.expr(gap["expr"]) if isinstance(gap, dict) else gap).alias(key["name"])
    return F.expr(key["expr"]).alias(key["name"])


def streams(program: dict) -> list[str]:
    """The inputs that are fed."""
    return [name for name, one in program["inputs"].items() if "rows" not in one]


def plans(plan: dict):
    """The plan and all plans in it."""
    yield plan
    for step in plan["then"]:
        if "right" in step:
            yield from plans(step["right"])


def stops_early(program: dict) -> bool:
    """Whether Spark may stop reading before the end of a batch."""
    return any(step["do"] == "limit" for plan in plans(program["plan"]) for step in plan["then"])


def looks_up(program: dict) -> bool:
    """Whether a stream is joined with a table."""
    return any(step["do"] == "join" and "rows" in program["inputs"][step["right"]["from"]] for plan in plans(program["plan"]) for step in plan["then"])


def unions(program: dict) -> int:
    """How many unions there are."""
    return sum(step["do"] == "union" for plan in plans(program["plan"]) for step in plan["then"])


def leeway(program: dict) -> tuple[bool, bool, int]:
    """What `compare.verdict` has to know of a program."""
    return stops_early(program), looks_up(program), unions(program)


def show(program: dict) -> str:
    """The query in a line or two, for people."""

    def chain(plan):
        steps = []
        for step in plan["then"]:
            rest = {k: v for k, v in step.items() if k not in ("do", "right")}
            right = f" [{chain(step['right'])}]" if "right" in step else ""
            steps.append(f"{step['do']}{right} {rest}")
        return " | ".join([plan["from"], *steps])

    return f"{program['mode']}, {program['sink']}, {program['trigger']}, {program['conf']}: {chain(program['plan'])}"
