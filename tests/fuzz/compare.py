"""Whether two observations of a program are the same, and if not, in what.

Exact; floating-point numbers within 1e-12 of each other, relative; rows of a batch as a multiset.
"""

import datetime
import json
import math

NOT_THERE = "UNSUPPORTED_FEATURE.MILLSTREAM"
STATE_NOT_WRITTEN = "CANNOT_LOAD_STATE_STORE.CANNOT_READ_DELTA_FILE_NOT_EXISTS"

# What Spark finds where the operator's own task starts: an error in a row on the way there comes first.
LATE = {"MULTIPLE_EVENT_TIME_COLUMNS"}


def verdict(ours: dict, spark: dict, early: bool = False, lookup: bool = False, unions: int = 0) -> tuple[str, str]:
    """(kind, explanation): `same`, `refused` (by both alike), `not there` (refused by name), `unread`, or `different: ...`.

    `early`: the program has a limit, where Spark stops reading: what it counts then depends on how it reads.
    `lookup`: it joins a stream with a table. Where nothing is left of the table, Spark reads the stream or does not,
    by which of the two has the smaller files: a batch read by one alone is `unread`, and what follows not comparable.
    A stateful operator that Spark's join did not ask for rows writes no state either: its next batch misses a file.
    `unions`: how many it has. A late session counts once for each input of a union that has rows of it, to Spark.
    """
    mine, theirs = _error(ours), _error(spark)
    if mine == NOT_THERE:
        return "not there", ours["message"].splitlines()[0]
    if mine or theirs:
        if lookup and not mine and theirs == STATE_NOT_WRITTEN:
            number = len(spark["batches"]) - 1
            return _rows_differ(ours["rows"][:number], spark["rows"][:number]) or ("unread", f"batch {number}")
        if mine in LATE and spark.get("failed"):
            return "refused", theirs
        if mine != theirs:
            return "different: error", f"ours:  {mine}\n{ours.get('message', '')[:600]}\nspark: {theirs}\n{spark.get('message', '')[:600]}"
        # What a query did before it failed is not compared: its last batch may or may not be reported.
        return "refused", mine
    if _types(ours["schema"]) != _types(spark["schema"]):
        return "different: schema", f"ours:  {_types(ours['schema'])}\nspark: {_types(spark['schema'])}"
    for number, (mine, theirs) in enumerate(zip(ours["batches"], spark["batches"])):
        if lookup and any((a == 0) != (b == 0) for a, b in zip(mine["numInputRows"], theirs["numInputRows"])):
            # Up to here all is the same.
            return _rows_differ(ours["rows"][:number], spark["rows"][:number]) or ("unread", f"batch {number}")
        for key in theirs:
            if key in ("eventTime", "numInputRows") and early:
                continue
            if key == "eventTime" and _event_times_same(mine[key], theirs[key]):
                continue
            if key == "state" and unions and _same_but_late_sessions(mine[key], theirs[key], unions + 1):
                continue
            if mine.get(key) != theirs[key]:
                return f"different: {key}", f"batch {theirs['batchId']}\nours:  {mine.get(key)}\nspark: {theirs[key]}"
    if len(ours["batches"]) != len(spark["batches"]):
        return "different: number of batches", f"ours:  {len(ours['batches'])}\nspark: {len(spark['batches'])}"
    return _rows_differ(ours["rows"], spark["rows"]) or ("same", "")


def _same_but_late_sessions(ours: list, spark: list, inputs: int) -> bool:
    """Whether operators counted the same, but for late sessions, each of which Spark counts up to `inputs` times."""
    late = "numRowsDroppedByWatermark"
    if len(ours) != len(spark):
        return False
    for mine, theirs in zip(ours, spark):
        session = mine["operatorName"] == "sessionWindowStateStoreSaveExec"
        if session and mine[late] <= theirs[late] <= mine[late] * inputs:
            mine = {**mine, late: theirs[late]}
        if mine != theirs:
            return False
    return True


def _rows_differ(ours: list, spark: list) -> tuple[str, str] | None:
    """In what the rows of batches differ."""
    if len(ours) != len(spark):
        return "different: rows", f"{len(ours)} and {len(spark)} batches with rows"
    for number, (mine, theirs) in enumerate(zip(ours, spark)):
        if explanation := rows_differ(mine, theirs):
            return "different: rows", f"batch {number}\n{explanation}"
    return None


def _event_times_same(ours: dict, spark: dict) -> bool:
    """Exact, but for the mean: Spark's is a running one, whose rounding can take a millisecond."""
    mine, theirs = (dict(one) for one in (ours, spark))
    mean, other = mine.pop("avg", None), theirs.pop("avg", None)
    if mine != theirs or (mean is None) != (other is None):
        return False
    return mean is None or abs(_millis(mean) - _millis(other)) <= 1


def _millis(text: str) -> int:
    return round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def _error(observed: dict) -> str | None:
    return observed.get("refused") or observed.get("failed")


def _types(schema):
    """A schema without what only describes it."""
    if isinstance(schema, dict):
        return {key: _types(value) for key, value in schema.items() if key not in ("nullable", "containsNull", "metadata", "valueContainsNull")}
    return [_types(item) for item in schema] if isinstance(schema, list) else schema


def rows_differ(ours: list, spark: list) -> str | None:
    """What only one has, or nothing."""
    left, right = list(ours), []
    for row in spark:
        found = next((i for i, mine in enumerate(left) if same(mine, row)), None)
        if found is None:
            right.append(row)
        else:
            del left[found]
    if not left and not right:
        return None
    lines = [f"only ours:  {json.dumps(row, ensure_ascii=False)}" for row in left[:6]]
    lines += [f"only spark: {json.dumps(row, ensure_ascii=False)}" for row in right[:6]]
    return "\n".join(lines)


def same(one, other) -> bool:
    """Equality of cells."""
    if isinstance(one, float) and isinstance(other, float):
        # -0.0 and 0.0 are different cells.
        return one == other and math.copysign(1, one) == math.copysign(1, other) or one != 0 and math.isclose(one, other, rel_tol=1e-12)
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other
