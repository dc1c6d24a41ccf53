"""Random programs: inputs, a plan of one to a few stateful operators, a mode, and what is fed.

Most are legal; some are not, for what Spark refuses must be refused alike. Nothing depends on the order of rows where
Spark does not define one: `Plan.ordered` says whether it does.
"""

import random

import expressions
import program as programs
import values
from expressions import Column, aggregate, expression, kind_of

ZONES = ["UTC", "UTC", "UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata"]
EXTRAS = ["int", "bigint", "double", "double", "float", "string", "boolean", "decimal(10,2)", "decimal(20,4)", "date", "timestamp", "array<int>", "smallint", "timestamp_ntz"]


class Plan:
    """A plan as it grows: its JSON, the columns it has now, and what was done to it."""

    def __init__(self, source: str, columns: list[Column]):
        self.json = {"from": source, "then": []}
        self.columns = columns
        self.ordered = True
        self.stateful = 0
        self.aggregated = False

    def add(self, do: str, **arguments) -> None:
        self.json["then"].append({"do": do, **arguments})

    def of(self, *kinds: str) -> list[Column]:
        return [column for column in self.columns if column.kind in kinds]

    @property
    def event(self) -> Column | None:
        return next((column for column in self.columns if column.event), None)


class Generator:
    """Makes one program from one seed."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.times = values.Times(self.rng)
        self.inputs: dict[str, dict] = {}
        self.names = 0

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def name(self) -> str:
        self.names += 1
        return f"c{self.names}"

    def seconds(self, *choices: float) -> str:
        """A duration of one of these many units, as people write it."""
        total = self.rng.choice(choices) * self.times.unit
        if total >= 3600 and total % 3600 == 0:
            return f"{int(total // 3600)} hours"
        if total >= 60 and total % 60 == 0:
            return f"{int(total // 60)} minutes"
        return f"{int(total * 1000)} milliseconds" if total != int(total) else f"{int(total)} seconds"

    def program(self) -> dict:
        plan = self.stream()
        self.stateless(plan, self.rng.choice([0, 0, 1, 2]))
        count = self.rng.choice([0, 1, 1, 1, 1, 1, 1, 2, 2])
        for _ in range(count):
            if any(step["do"] == "limit" for step in plan.json["then"]):
                break  # how far Spark reads decides what watermark comes after
            self.stateful(plan)
            self.stateless(plan, self.rng.choice([0, 0, 1, 1, 2]))
        mode = self.mode(plan)
        if mode == "complete" and self.chance(0.15) and (keys := plan.of("int", "bigint", "string")):
            plan.add("sort", by=[self.rng.choice(keys).name])
        sink = "parquet" if mode == "append" and self.chance(0.25) and not plan.of("other") else "memory"
        kept = sink == "parquet" or mode == "complete"
        trigger = "availableNow" if kept and self.chance(0.3) else "processing"
        # Two streams can be fed together only while nothing runs.
        every = kept and trigger == "processing" and self.chance(0.3)
        steps = self.steps(plan.json, trigger == "availableNow" or every)
        restarts = list(range(1, len(steps))) if every else []
        if kept and not every and self.chance(0.3):
            restarts = sorted(self.rng.sample(range(1, len(steps)), min(2, len(steps) - 1)))
        return {
            "conf": self.conf(), "inputs": self.inputs, "plan": plan.json, "mode": mode, "sink": sink, "trigger": trigger,
            "restarts": restarts, "steps": steps,
        }  # fmt: skip

    def conf(self) -> dict:
        conf = {"spark.sql.session.timeZone": self.rng.choice(ZONES)}
        if self.chance(0.1):
            conf["spark.sql.streaming.noDataMicroBatches.enabled"] = "false"
        if self.chance(0.15):
            conf["spark.sql.streaming.multipleWatermarkPolicy"] = "max"
        if self.chance(0.1):
            conf["spark.sql.ansi.enabled"] = "false"
        if self.chance(0.05):
            conf["spark.sql.streaming.statefulOperator.checkCorrectness.enabled"] = "false"
        return conf

    def mode(self, plan: Plan) -> str:
        if self.chance(0.12):
            return self.rng.choice(["append", "update", "complete"])
        if plan.aggregated and plan.stateful == 1:
            return self.rng.choice(["append", "append", "update", "complete"] if plan.event else ["update", "complete"])
        return "append" if self.chance(0.85) else "update"

    # Inputs

    def stream(self, watermark: bool = True) -> Plan:
        """A plan over a stream, sometimes one that is already read; its names are its own."""
        number = len(self.inputs)
        if self.inputs and self.chance(0.2):
            source = self.rng.choice([name for name, one in self.inputs.items() if "rows" not in one])
        else:
            source = f"s{number}"
            columns = [[f"t{number}", "timestamp"], [f"k{number}", "string"], [f"v{number}", "int"]]
            for extra in self.rng.sample(EXTRAS, self.rng.randrange(4)):
                columns.append([f"x{number}_{len(columns)}", extra])
            self.inputs[source] = {"columns": columns}
        columns = [Column(name, kind_of(kind)) for name, kind in self.inputs[source]["columns"]]
        plan = Plan(source, columns)
        if number and source != f"s{number}":
            fresh = [column.renamed(self.name()) for column in columns]
            plan.add("select", columns=[[one.name, old.name] for one, old in zip(fresh, columns)])
            plan.columns = fresh
        if watermark and self.chance(0.92):
            self.watermark(plan)
        return plan

    def watermark(self, plan: Plan) -> None:
        column = plan.of("timestamp")[0]
        if self.chance(0.06) and plan.of("timestamp")[1:]:
            column = plan.of("timestamp")[1]
        plan.add("watermark", column=column.name, delay=self.seconds(0, 2, 5, 10, 10, 30))
        column.event = True

    def table(self) -> tuple[str, list[Column]]:
        """A static table."""
        number = len(self.inputs)
        columns = [[f"k{number}", "string"], [f"v{number}", "int"], [f"x{number}_2", self.rng.choice(EXTRAS)]]
        if self.chance(0.3):
            columns.append([f"t{number}", "timestamp"])
        rows = [[values.cell(self.rng, kind, self.times) for _, kind in columns] for _ in range(self.rng.randrange(7))]
        self.inputs[f"s{number}"] = {"columns": columns, "rows": rows}
        return f"s{number}", [Column(name, kind_of(kind)) for name, kind in columns]

    def steps(self, plan: dict, restarting: bool) -> list[dict]:
        """What is fed.

        A query that runs reads what it sees when it looks, so it is then given one file of one folder that one stream
        reads: else no two runs are alike.
        """
        fed = {name: one["columns"] for name, one in self.inputs.items() if "rows" not in one}
        reads = [one["from"] for one in programs.plans(plan)]
        steps = []
        for number in range(self.rng.randrange(3, 6)):
            stopped = number == 0 or restarting
            names = list(fed) if stopped else [name for name in fed if reads.count(name) == 1]
            step = {}
            for name in names if stopped else self.rng.sample(names, min(1, len(names))):
                files = []
                for _ in range(self.rng.choice([1, 2, 3] if number == 0 else [1, 1, 1, 2] if stopped else [0, 1, 1, 1, 1])):
                    self.times.advance(self.rng)
                    files.append(self.rows(fed[name]))
                if files:
                    step[name] = files
            steps.append(step)
        return steps

    def rows(self, columns: list) -> list[list]:
        rows = [
            [values.cell(self.rng, kind, self.times) for _, kind in columns]
            for _ in range(self.rng.choice([0, 1, 2, 4, 6, 9]))
        ]
        # Some come twice.
        for row in list(rows):
            if self.chance(0.15):
                rows.insert(self.rng.randrange(len(rows) + 1), list(row))
        return rows

    # Operators without state

    def stateless(self, plan: Plan, count: int) -> None:
        for _ in range(count):
            makers = [self.filter, self.filter, self.with_column, self.with_column, self.select, self.explode, self.join_static, self.join_static, self.union]
            self.rng.choice(makers)(plan)

    def filter(self, plan: Plan) -> None:
        plan.add("filter", where=expression(self.rng, plan.columns, "boolean"))

    def with_column(self, plan: Plan) -> None:
        kind = self.rng.choice([*expressions.KINDS, "array"])
        name = self.name()
        plan.add("with", name=name, expr=expression(self.rng, plan.columns, kind))
        plan.columns = [*plan.columns, Column(name, kind)]

    def select(self, plan: Plan) -> None:
        kept = [column for column in plan.columns if column.event or column.kind == "window" or self.chance(0.7)]
        if self.chance(0.05):
            kept = [column for column in kept if not column.event] or kept
        kept = kept or plan.columns
        made = [(Column(self.name(), kind), kind) for kind in self.rng.sample(expressions.KINDS, self.rng.randrange(3))]
        named = [[column.name, column.name] for column in kept]
        named += [[column.name, expression(self.rng, plan.columns, kind)] for column, kind in made]
        plan.add("select", columns=named)
        plan.columns = kept + [column for column, _ in made]

    def explode(self, plan: Plan) -> None:
        if plan.of("window"):
            return
        name = self.name()
        how = self.rng.choice(["explode", "explode", "explode_outer"])
        plan.add("with", name=name, expr=f"{how}({expression(self.rng, plan.columns, 'array')})")
        plan.columns = [*plan.columns, Column(name, "int")]

    def join_static(self, plan: Plan) -> None:
        name, columns = self.table()
        if plan.stateful and not self.inputs[name]["rows"]:
            # Spark does not even ask the stateful operator for rows when it joins them with nothing.
            self.inputs[name]["rows"].append(["a", 1, *[None] * (len(columns) - 2)])
        condition = self.equality(plan.columns, columns)
        if self.chance(0.25):
            condition += f" and {expression(self.rng, [*plan.columns, *columns], 'boolean', 1)}"
        how = self.rng.choice(["inner", "inner", "left", "left", "right", "full"] if self.chance(0.2) else ["inner", "left", "leftsemi", "leftanti"])
        if plan.stateful and how in ("leftsemi", "leftanti"):
            how = "left"  # Spark pushes these through aggregates, which then have less state
        plan.add("join", right={"from": name, "then": []}, on=condition, how=how)
        if how not in ("leftsemi", "leftanti"):
            plan.columns = [*plan.columns, *columns]
        plan.ordered = False

    def equality(self, left: list[Column], right: list[Column]) -> str:
        """An equality between columns of two sides, mostly of keys."""
        pairs = [(one.name, other.name) for one in left for other in right if one.kind == other.kind and one.kind in ("string", "int")]
        one, other = self.rng.choice(pairs) if pairs else ("1", "1")
        return f"{one} <=> {other}" if self.chance(0.1) else f"{one} = {other}"

    def union(self, plan: Plan) -> None:
        if plan.of("window", "other") or plan.stateful or not plan.of("timestamp"):
            return
        other = self.stream(watermark=False)
        named, used = [], []
        for column in plan.columns:
            if column.kind in ("ntz",):
                return
            named.append([self.name(), expression(self.rng, other.columns, column.kind, 0)])
            used.append(Column(named[-1][0], column.kind))
        other.add("select", columns=named)
        other.columns = used
        event = plan.columns.index(plan.event) if plan.event else None
        if event is not None and self.chance(0.85):
            other.add("watermark", column=used[event].name, delay=self.seconds(0, 5, 10))
        plan.add("union", right=other.json)
        plan.ordered = False

    # Operators with state

    def stateful(self, plan: Plan) -> None:
        makers = [self.windows] * 6 + [self.sessions] * 3 + [self.groups] * 3 + [self.dedup] * 3 + [self.join_streams] * 4 + [self.dedup_within, self.dedup_within, self.distinct, self.limit]
        self.rng.choice(makers)(plan)

    def time(self, plan: Plan) -> str | None:
        """The time of a window: mostly the event time, or that of an earlier window."""
        if window := plan.of("window"):
            return self.rng.choice([window[0].name, f"window_time({window[0].name})"])
        if plan.event and self.chance(0.95):
            return plan.event.name
        return self.rng.choice(plan.of("timestamp")).name if plan.of("timestamp") else None

    def windows(self, plan: Plan) -> None:
        of = self.time(plan)
        if not of:
            return self.groups(plan)
        size = self.rng.choice([1, 4, 5, 10, 10, 20, 24])
        window = [self.seconds(size)]
        if self.chance(0.5):
            slides = [n for n in (1, 2, 3, 5, 6, 10) if n <= size and size / n <= 10]
            window.append(self.seconds(self.rng.choice(slides or [size])))
            if self.chance(0.3):
                window.append(self.seconds(0.5, 1) if "1 " not in window[1] else self.seconds(0.25))
        elif self.chance(0.1):
            window = [self.rng.choice(["1 day", "1 week", "100 milliseconds"] if self.times.unit > 1 else ["1 minute", "100 milliseconds", "333 milliseconds"])]
        self.grouped(plan, {"name": self.name(), "of": of, "window": window}, event=plan.event is not None)

    def sessions(self, plan: Plan) -> None:
        of = self.time(plan)
        if not of or plan.of("window"):
            return self.windows(plan)
        gap: object = self.seconds(1, 2, 5, 10)
        if self.chance(0.35):
            choice = f"case when {expression(self.rng, plan.columns, 'boolean', 1)} then '{self.seconds(1, 3)}' else '{self.seconds(5, 8)}' end"
            number = f"make_interval(0, 0, 0, 0, 0, 0, pmod({self.rng.choice(plan.of('int') or [Column('3', 'int')]).name}, 9) * {self.times.unit})"
            gap = {"expr": self.rng.choice([choice, number])}
        self.grouped(plan, {"name": self.name(), "of": of, "session": gap}, event=plan.event is not None)

    def grouped(self, plan: Plan, window: dict | None, event: bool) -> None:
        """An aggregate by a window and keys."""
        keys, columns = [], []
        if window:
            keys.append(window)
            columns.append(Column(window["name"], "window", event))
        for _ in range(self.rng.choice([0, 1, 1, 1, 2])):
            kind = self.rng.choice(["string", "string", "string", "int", "boolean", "date", "double", "decimal"])
            column = Column(self.name(), kind)
            keys.append({"name": column.name, "expr": expression(self.rng, plan.columns, kind, self.rng.choice([0, 0, 1]))})
            columns.append(column)
        if not window and plan.event and plan.event.kind == "timestamp" and self.chance(0.3):
            keys.append({"name": plan.event.name, "expr": plan.event.name})
            columns.append(plan.event)
        if window and self.chance(0.5):
            self.rng.shuffle(keys)
        made = []
        for _ in range(self.rng.randrange(1, 5)):
            text, kind = aggregate(self.rng, plan.columns, plan.ordered)
            made.append([self.name(), text])
            columns.append(Column(made[-1][0], kind))
        plan.add("aggregate", by=keys, values=made)
        names = [key["name"] for key in keys] + [name for name, _ in made]
        plan.columns = sorted(columns, key=lambda column: names.index(column.name))
        plan.ordered, plan.aggregated = False, True
        plan.stateful += 1

    def groups(self, plan: Plan) -> None:
        self.grouped(plan, None, event=False)

    def keys(self, plan: Plan, event: bool) -> list[str] | None:
        """Columns to deduplicate by; what else a row has is then dropped where its order is not defined."""
        usable = [column for column in plan.columns if column.kind != "other"]
        if self.chance(0.2) and len(usable) == len(plan.columns):
            return None
        chosen = self.rng.sample(usable, min(len(usable), self.rng.choice([1, 1, 2, 3])))
        if event and plan.event and plan.event not in chosen and self.chance(0.7):
            chosen.append(plan.event)
        return [column.name for column in chosen]

    def deduplicated(self, plan: Plan, do: str, keys: list[str] | None) -> None:
        plan.add(do, columns=keys)
        if keys and not plan.ordered:
            plan.add("select", columns=[[key, key] for key in keys])
            plan.columns = [next(c for c in plan.columns if c.name == key) for key in keys]
        plan.stateful += 1

    def dedup(self, plan: Plan) -> None:
        self.deduplicated(plan, "dedup", self.keys(plan, event=True))

    def dedup_within(self, plan: Plan) -> None:
        if not plan.ordered and not plan.aggregated:
            return self.dedup(plan)  # which time is kept depends on the order
        self.deduplicated(plan, "dedup_within", self.keys(plan, event=False))

    def distinct(self, plan: Plan) -> None:
        if plan.event and self.chance(0.5):
            plan.add("select", columns=[[column.name, column.name] for column in plan.columns[:2]])
            plan.columns = plan.columns[:2]
        plan.add("distinct")
        plan.stateful += 1

    def limit(self, plan: Plan) -> None:
        if not plan.ordered:
            return self.windows(plan)
        plan.add("limit", n=self.rng.choice([1, 3, 8, 20]))
        plan.stateful += 1

    def join_streams(self, plan: Plan) -> None:
        right = self.stream()
        self.stateless_right(right)
        condition = self.equality(plan.columns, right.columns)
        if plan.event and right.event and plan.event.kind == right.event.kind == "timestamp" and self.chance(0.75):
            one, other = plan.event.name, right.event.name
            low, high = self.seconds(0, 2, 5, 10), self.seconds(0, 2, 5, 20)
            condition += self.rng.choice([
                f" and {other} >= {one} - interval {low} and {other} <= {one} + interval {high}",
                f" and {other} between {one} and {one} + interval {high}",
                f" and {one} >= {other} and {one} < {other} + interval {high}",
                f" and {other} > {one} - interval {low}",
                f" and {one} = {other}",
            ])  # fmt: skip
        if self.chance(0.2):
            condition += f" and {expression(self.rng, [*plan.columns, *right.columns], 'boolean', 1)}"
        how = self.rng.choice(["inner", "inner", "inner", "left", "left", "right", "full", "leftsemi", "leftanti" if self.chance(0.2) else "left"])
        plan.add("join", right=right.json, on=condition, how=how)
        if how not in ("leftsemi", "leftanti"):
            # One of the two event times goes on.
            for column in right.columns:
                column.event = column.event and not plan.event
            plan.columns = [*plan.columns, *right.columns]
        plan.ordered = False
        plan.stateful += 1 + right.stateful

    def stateless_right(self, plan: Plan) -> None:
        for _ in range(self.rng.choice([0, 0, 1])):
            self.rng.choice([self.filter, self.with_column])(plan)
