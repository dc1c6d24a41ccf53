"""A random plan as it grows."""

from expressions import Column


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
    def united(self) -> bool:
        return any(step["do"] == "union" for step in self.json["then"])

    @property
    def event(self) -> Column | None:
        return next((column for column in self.columns if column.event), None)
