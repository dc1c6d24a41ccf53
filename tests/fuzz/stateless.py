"""Random operators without state: filters, projections, generators, joins with a table, unions."""

import expressions
from expressions import Column, expression
from plan import Plan


class Stateless:
    """The part of the generator that adds them; `rng`, `chance`, `name` and the inputs are the generator's."""

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
