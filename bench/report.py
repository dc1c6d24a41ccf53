"""Shows results: lines for a terminal, a table in Markdown, a plot in SVG."""

import json
import pathlib

HEADER = f"{'':<12} {'seconds':>9} {'M rows/s':>9} {'tree MB':>9} {'engine MB':>9} {'ready s':>8}"


def ratio(result: dict) -> float | None:
    engines = result["engines"]
    if "spark" not in engines:
        return None
    return engines["spark"]["seconds"] / engines["millstream"]["seconds"]


def show(result: dict) -> None:
    some = next(iter(result["engines"].values()))
    print(f"\n{result['workload']}: {result['says']}; {result['rows']:,} rows in, {int(some['results']):,} out, as the reference says")
    print(HEADER)
    for name, m in result["engines"].items():
        print(f"{name:<12} {m['seconds']:>9.2f} {m['rate']:>9.3f} {m['megabytes']:>9.0f} {m['engine_megabytes']:>9.0f} {m['ready']:>8.2f}")
    if times := ratio(result):
        goal = f", goal {result['goal']:g}" if result["goal"] else ""
        engines = result["engines"]
        memory = engines["spark"]["engine_megabytes"] / engines["millstream"]["engine_megabytes"]
        print(f"{times:.1f} times as fast{goal}; 1/{memory:.1f} of the engine's memory (goal 1/10)")


def overlap(results: list[dict]) -> None:
    """Whether a window that slides by an hour, a minute or a second costs the same."""
    same = [result for result in results if result["workload"].startswith("w3o")]
    if len(same) < 2:
        return
    seconds = {r["workload"]: r["engines"]["millstream"]["seconds"] for r in same}
    shown = ", ".join(f"{r['workload']} {seconds[r['workload']]:.2f} s for {int(r['engines']['millstream']['results']):,} rows" for r in same)
    spread = max(seconds.values()) / min(seconds.values()) - 1
    print(f"\nslides of one window: {shown}; the slowest takes {spread:.0%} more than the fastest (goal 15 %)")


def formats(folder: pathlib.Path) -> None:
    """How Parquet input compares with CSV, where both were measured."""
    found = {form: folder / f"{form}.json" for form in ("csv", "parquet")}
    if not all(file.exists() for file in found.values()):
        return
    rates = {form: {r["workload"]: r["engines"]["millstream"]["rate"] for r in json.loads(file.read_text())} for form, file in found.items()}
    both = [name for name in rates["csv"] if name in rates["parquet"]]
    times = ", ".join(f"{name} {rates['parquet'][name] / rates['csv'][name]:.1f}" for name in both)
    if both:
        print(f"\nrows a second from Parquet, CSV = 1: {times} (goal 2)")


def table(results: list[dict]) -> str:
    lines = [
        "| | query | rows in | millstream M rows/s | Spark 4.3 M rows/s | times | goal | MB | Spark MB |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        ours, spark = result["engines"]["millstream"], result["engines"].get("spark")
        times = ratio(result)
        cells = [
            result["workload"],
            result["says"],
            f"{result['rows']:,}",
            f"{ours['rate']:.2f}",
            f"{spark['rate']:.3f}" if spark else "",
            f"**{times:.0f}**" if times else "",
            f"{result['goal']:g}" if result["goal"] else "",
            f"{ours['engine_megabytes']:.0f}",
            f"{spark['engine_megabytes']:.0f}" if spark else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plot(results: list[dict]) -> str:
    """How many times Spark's rate, a bar a workload; a mark where the goal is."""
    bars = [(r["workload"], r["says"], ratio(r), r["goal"]) for r in results if ratio(r)]
    widest = max([times for _, _, times, _ in bars] + [goal or 0 for *_, goal in bars] + [1])
    height = 34 * len(bars) + 40
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" font-family="sans-serif" font-size="13">',
        f'<rect width="760" height="{height}" fill="#fff"/>',
        '<text x="10" y="20" font-weight="bold">Rows a second, Apache Spark 4.3 = 1 (a line marks the goal)</text>',
    ]
    for i, (name, says, times, goal) in enumerate(bars):
        y, scale = 34 * i + 36, 360 / widest
        out.append(f'<text x="10" y="{y + 16}"><tspan font-weight="bold">{name}</tspan> {says}</text>')
        out.append(f'<rect x="320" y="{y}" width="{times * scale:.1f}" height="22" fill="#2b6cb0"/>')
        out.append(f'<text x="745" y="{y + 16}" text-anchor="end">{times:.0f}</text>')
        if goal:
            out.append(f'<rect x="{320 + goal * scale:.1f}" y="{y - 3}" width="2" height="28" fill="#c53030"/>')
    return "\n".join([*out, "</svg>"]) + "\n"


def write(folder: pathlib.Path, results: list[dict], form: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{form}.json").write_text(json.dumps(results, indent=1))
    (folder / f"{form}.md").write_text(table(results))
    formats(folder)
    if any(ratio(result) for result in results):
        (folder / f"{form}.svg").write_text(plot(results))
