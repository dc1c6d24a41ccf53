"""Random operators with state: windows, sessions, groups, deduplication, joins of streams, limits."""

from expressions import Column, aggregate, expression
from plan import Plan


class Stateful:
    """The part of the generator that adds them."""

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
            condition = expression(self.rng, plan.columns, "boolean", 1)
            if "between" in condition or "nullif" in condition:
                condition = "v0 > 2" if any(column.name == "v0" for column in plan.columns) else "true"
            choice = f"case when {condition} then '{self.seconds(1, 3)}' else '{self.seconds(5, 8)}' end"
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
            while window and "session" in window and text.startswith("histogram_numeric"):
                # Spark merges the bins of each row's own session, one after the other.
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
        if plan.of("window"):
            return self.dedup(plan)  # Spark takes the place of the window in its row for a time, and forgets at once
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
        if not plan.event and not plan.stateful and any(step["do"] == "filter" for step in plan.json["then"]):
            return self.dedup(plan)  # without new rows Spark forgets the filter, and lets more of the other side through
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
        if plan.united and how in ("leftsemi", "leftanti"):
            # Spark joins each input; in a batch where one is empty it numbers the others anew, and mixes their states up.
            how = "left"
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
            # As of the left side: no filter where nothing else is.
            self.rng.choice([self.filter, self.with_column] if plan.event else [self.with_column])(plan)
