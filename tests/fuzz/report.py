"""A program with what Spark answered, as a file that people can read and `make test` can replay."""

import json
import pathlib


def write(path: pathlib.Path, program: dict, spark: dict, kind: str, why: str) -> None:
    """Writes the file: a line a row, so that a difference can be read."""
    path.write_text(_text({"kind": kind, "why": why.splitlines(), "program": program, "spark": spark}, "") + "\n")


def _text(value, indent: str) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(flat) <= 130 or not isinstance(value, (dict, list)) or not value:
        return flat
    deeper = indent + " "
    if isinstance(value, dict):
        items = [f"{deeper}{json.dumps(key)}: {_text(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + _text(item, deeper) for item in value) + f"\n{indent}]"
