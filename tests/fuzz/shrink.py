"""Makes a program that differs smaller while it still differs in the same way."""

import copy

import program as programs


def shrink(pair, program: dict, found: tuple, attempts: int) -> tuple:
    """The smallest program found in so many attempts, with both observations, kind and explanation."""
    best = (program, *found)
    kind = found[2]
    tried = set()
    progress = True
    while progress and attempts > 0:
        progress = False
        for candidate in candidates(best[0]):
            text = repr(candidate)
            if text in tried:
                continue
            tried.add(text)
            if attempts == 0:
                break
            attempts -= 1
            result = pair.differ(candidate)
            if result[2] == kind:
                best = (candidate, *result)
                progress = True
                break
    return best


def candidates(program: dict):
    """Smaller programs, the much smaller ones first."""
    steps = program["steps"]
    for keep in (len(steps) // 2, len(steps) - 1):
        if 0 < keep < len(steps):
            yield _changed(program, steps=steps[:keep])
    if program["restarts"]:
        yield _changed(program, restarts=[])
    if program["trigger"] != "processing":
        yield _changed(program, trigger="processing")
    yield from _smaller_plans(program)
    for at in range(len(steps) - 1):
        yield _changed(program, steps=steps[:at] + steps[at + 1 :], restarts=[])
    for key in program["conf"]:
        yield _changed(program, conf={k: v for k, v in program["conf"].items() if k != key})
    for at, step in enumerate(steps):
        for name, files in step.items():
            for number, rows in enumerate(files):
                if len(files) > 1:
                    changed = copy.deepcopy(program)
                    del changed["steps"][at][name][number]
                    yield changed
                for part in _parts(rows):
                    changed = copy.deepcopy(program)
                    changed["steps"][at][name][number] = part
                    yield changed


def _changed(program: dict, **changes) -> dict:
    changed = copy.deepcopy(program) | copy.deepcopy(changes)
    changed["restarts"] = [n for n in changed["restarts"] if n < len(changed["steps"])]
    return changed


def _parts(rows: list):
    if len(rows) > 2:
        yield rows[: len(rows) // 2]
        yield rows[len(rows) // 2 :]
    if rows:
        for at in range(len(rows)):
            yield rows[:at] + rows[at + 1 :]


def _smaller_plans(program: dict):
    """Without one of the operators, or one of an operator's columns."""
    for number, plan in enumerate(programs.plans(program["plan"])):
        for at in reversed(range(len(plan["then"]))):
            changed = copy.deepcopy(program)
            own = list(programs.plans(changed["plan"]))[number]
            del own["then"][at]
            yield _without_unused(changed)
            for field in ("values", "columns", "by"):
                parts = plan["then"][at].get(field)
                for part in range(len(parts)) if isinstance(parts, list) and len(parts) > 1 else []:
                    changed = copy.deepcopy(program)
                    del list(programs.plans(changed["plan"]))[number]["then"][at][field][part]
                    yield changed


def _without_unused(program: dict) -> dict:
    used = {plan["from"] for plan in programs.plans(program["plan"])}
    program["inputs"] = {name: one for name, one in program["inputs"].items() if name in used}
    program["steps"] = [{name: files for name, files in step.items() if name in used} for step in program["steps"]]
    return program
