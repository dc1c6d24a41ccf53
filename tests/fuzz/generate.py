"""Random programs: inputs, a plan of one to a few stateful operators, a mode, and what is fed.

Most are legal; some are not, for what Spark refuses must be refused alike. Nothing depends on the order of rows where
Spark does not define one: `Plan.ordered` says whether it does.
"""

import random

import program as programs
import values
from expressions import Column, kind_of
from plan import Plan
from stateful import Stateful
from stateless import Stateless

ZONES = ["UTC", "UTC", "UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata"]
EXTRAS = ["int", "bigint", "double", "double", "float", "string", "boolean", "decimal(10,2)", "decimal(20,4)", "date", "timestamp", "array<int>", "smallint", "timestamp_ntz"]


class Generator(Stateless, Stateful):
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
