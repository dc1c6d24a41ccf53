"""Random expressions as SQL text, typed by kind: int, bigint, double, decimal, string, boolean, timestamp, date, array.

They avoid what ANSI mode makes an error of (mostly: a program that fails must fail alike), and what depends on the
order of rows or on the clock.
"""

import random
import re

KINDS = ["int", "bigint", "double", "decimal", "string", "boolean", "timestamp", "date"]


class Column:
    """A column a plan has at some point; `kind` may also be `window`, `array` or `ntz`."""

    def __init__(self, name: str, kind: str, event: bool = False):
        self.name, self.kind, self.event = name, kind, event

    def renamed(self, name: str):
        return Column(name, self.kind, self.event)


def kind_of(ddl: str) -> str:
    """The kind of a column of this type."""
    if ddl.startswith("decimal"):
        return "decimal"
    if ddl.startswith("array"):
        return "array"
    return {"tinyint": "int", "smallint": "int", "float": "double", "timestamp_ntz": "ntz"}.get(ddl, ddl)


# What makes a kind: `{kind}` stands for an expression of that kind, `#` for a small number.
TEMPLATES = {
    "int": [
        "{int} % #", "pmod({int}, #)", "try_add({int}, #)", "try_subtract({int}, {int})", "coalesce({int}, #)", "length({string})",
        "case when {boolean} then {int} else {int} end", "if({boolean}, {int}, null)", "hour({timestamp})", "minute({timestamp})",
        "second({timestamp})", "year({date})", "month({date})", "day({date})", "dayofweek({date})", "weekofyear({date})", "quarter({date})",
        "dayofyear({date})", "datediff({date}, {date})", "cast({boolean} as int)", "nullif({int}, #)", "greatest({int}, {int})", "least({int}, #, {int})",
        "ascii({string})", "instr({string}, 'a')", "locate('b', {string})", "hash({string}, {int})", "cast(sign({int} % 5) as int)", "try_cast({string} as int)",
        "cardinality({array})", "{array}[0]", "try_element_at({array}, 1)", "bit_count({int})", "{int} & #", "shiftleft({int} % 9, 2)", "size({array})",
        "cast({decimal} % 100 as int)", "levenshtein({string}, 'abc')", "weekday({date})", "array_position({array}, 1)",
    ],
    "bigint": [
        "cast({int} as bigint)", "unix_micros({timestamp})", "unix_seconds({timestamp})", "unix_millis({timestamp})", "unix_timestamp({timestamp})",
        "xxhash64({string}, {int})", "try_add({bigint}, {int})", "coalesce({bigint}, 0L)", "{bigint} % 1000", "{int} div #", "crc32(cast({string} as binary))",
        "floor({decimal})", "timestampdiff(MINUTE, {timestamp}, {timestamp})",
    ],
    "double": [
        "{double} * #", "cast({int} as double)", "{double} + {int}", "nanvl({double}, 0D)", "try_divide({double}, {int})", "try_divide({int}, #)",
        "sqrt(abs({double}))", "round({double}, 1)", "-({double})", "abs({double})", "coalesce({double}, 0.5D)", "cast({decimal} as double)",
        "ceil({double} % 10)", "{double} % 3", "greatest({double}, 0.25D)", "pow({int} % 5, 2)", "signum({double})", "if(isnan({double}), null, {double})",
        "exp({double} % 3)", "atan2({double}, 2D)", "rint({double})", "log1p(abs({double}))",
    ],
    "decimal": [
        "cast({int} % 1000 as decimal(10,2))", "{decimal} * 2", "{decimal} + 1.25", "{decimal} - {decimal}", "round({decimal}, 1)", "abs({decimal})", "-({decimal})",
        "coalesce({decimal}, 0.0)", "try_divide({decimal}, 3)", "{decimal} % 7", "greatest({decimal}, 1.5)",
    ],
    "string": [
        "upper({string})", "lower({string})", "concat({string}, '_', {int})", "substring({string}, 1, 2)", "coalesce({string}, 'none')",
        "date_format({timestamp}, 'yyyy-MM-dd HH:mm:ss')", "cast({timestamp} as string)", "cast({decimal} as string)", "cast({double} as string)",
        "cast({date} as string)", "lpad({string}, 4, '*')", "rpad({string}, 3, '.')", "trim({string})", "reverse({string})", "md5(cast({string} as binary))",
        "concat_ws('-', {string}, {string})", "replace({string}, 'a', 'xy')", "regexp_replace({string}, '[ab]', '-')", "repeat({string}, 2)",
        "if({boolean}, {string}, 'other')", "initcap({string})", "hex({int})", "left({string}, 1)", "split_part({string}, 'a', 1)", "translate({string}, 'ab', 'x')",
        "cast({boolean} as string)", "format_number({int}, 1)", "nvl2({string}, 'some', {string})", "to_json(named_struct('a', {int}, 'b', {string}))",
        "array_join(transform({array}, x -> cast(x as string)), ',')", "substring_index({string}, 'a', 1)", "date_format({timestamp}, 'EEE MMM d, HH:mm:ss.SSS z')",
        "regexp_extract({string}, '(.)(.*)', 1)", "soundex({string})", "right({string}, 2)", "from_utc_timestamp({timestamp}, 'Asia/Tokyo') || ''",
    ],
    "boolean": [
        "{int} > #", "{int} = {int}", "{string} = 'a'", "{string} is null", "{string} in ('a', 'b', null)", "{string} like '%a%'", "{double} > 0", "isnan({double})",
        "{int} between 0 and #", "({boolean} and {boolean})", "({boolean} or {boolean})", "(not {boolean})", "{string} <=> null", "{decimal} >= 1.5",
        "{timestamp} > {timestamp}", "{date} <= {date}", "{string} rlike '^[a-c]'", "startswith({string}, 'a')", "array_contains({array}, 1)", "{int} is not null",
        "{double} = {double}", "coalesce({boolean}, false)", "exists({array}, x -> x > 1)", "{string} < 'b'", "{date} = cast({timestamp} as date)", "contains({string}, 'b')",
    ],
    "timestamp": [
        "{timestamp} + interval 5 seconds", "{timestamp} - interval 1 day", "{timestamp} + interval 1 month", "date_trunc('HOUR', {timestamp})",
        "date_trunc('DAY', {timestamp})", "cast({date} as timestamp)", "timestamp_seconds({int} % 1000 * 100)", "coalesce({timestamp}, timestamp'2024-01-15 12:00:03')",
        "date_trunc('MINUTE', {timestamp})", "timestampadd(HOUR, 2, {timestamp})", "to_utc_timestamp({timestamp}, 'America/New_York')", "greatest({timestamp}, {timestamp})",
    ],
    "date": [
        "cast({timestamp} as date)", "date_add({date}, {int} % 40)", "last_day({date})", "trunc({date}, 'MM')", "add_months({date}, {int} % 5)", "date_sub({date}, #)",
        "coalesce({date}, date'2024-02-29')", "next_day({date}, 'MON')", "to_date({timestamp})", "make_date(2024, 1 + pmod({int}, 12), 1)",
    ],
    "array": ["array({int}, {int})", "array({int})", "sort_array({array})", "array_distinct({array})", "slice({array}, 1, 2)", "filter({array}, x -> x > 0)", "sequence(1, pmod({int}, 4) + 1)"],
}  # fmt: skip

LITERALS = {
    "int": ["0", "1", "7", "-3"], "bigint": ["0L", "12345678901L"], "double": ["0.5D", "-2.25D"], "decimal": ["1.5", "-0.25", "10.00"],
    "string": ["'a'", "'b'", "''", "'x y'"], "boolean": ["true", "false"], "timestamp": ["timestamp'2024-01-15 12:00:10'", "timestamp_seconds(5)"],
    "date": ["date'2024-03-10'", "date'1969-12-31'"], "array": ["array(1, 2)"],
}  # fmt: skip


def named(columns: list[Column], kind: str) -> list[str]:
    """The columns of a kind, and the parts of windows."""
    own = [column.name for column in columns if column.kind == kind]
    if kind == "timestamp":
        own += [f"{column.name}.{part}" for column in columns if column.kind == "window" for part in ("start", "end")]
    return own


def expression(rng: random.Random, columns: list[Column], kind: str, depth: int = 2) -> str:
    """A random expression of a kind over these columns."""
    own = named(columns, kind)
    if own and (depth == 0 or rng.random() < 0.4):
        return rng.choice(own) if rng.random() < 0.95 else rng.choice(LITERALS[kind])
    if depth > 0:
        text = rng.choice(TEMPLATES[kind])
    else:
        # Of columns there are rather than of nothing.
        there = {one for one in TEMPLATES if named(columns, one)}
        usable = [text for text in TEMPLATES[kind] if (used := set(re.findall(r"{(\w+)}", text))) and used <= there]
        text = rng.choice(usable or LITERALS[kind])
    while "{" in text:
        start = text.index("{")
        end = text.index("}", start)
        text = text[:start] + expression(rng, columns, text[start + 1 : end], depth - 1) + text[end + 1 :]
    while "#" in text:
        text = text.replace("#", str(rng.choice([2, 3, 5, 7])), 1)
    return text


# Aggregates that do not depend on the order of rows.
AGGREGATES = [
    "count(*)", "count(*)", "count({any})", "sum({int})", "sum({int})", "sum({bigint} % 100000)", "sum({double})", "sum({decimal})", "avg({int})", "avg({double})", "avg({decimal})",
    "min({any})", "max({any})", "min({int})", "max({string})", "sort_array(collect_set({int}))", "sort_array(collect_list({string}))", "stddev({int})", "stddev_pop({double})",
    "variance({int})", "var_pop({int})", "approx_count_distinct({any})", "bool_and({boolean})", "bool_or({boolean})", "count_if({boolean})", "try_sum({int})", "bit_xor({int})",
    "bit_and({int})", "bit_or({int})", "sum({int}) filter (where {boolean})", "count(*) filter (where {boolean})", "round(corr({int}, {double}), 9) + 0D", "round(covar_samp({int}, {double}), 9) + 0D",
    "round(skewness({int}), 9) + 0D", "kurtosis({int})", "percentile({int}, 0.5)", "median({int})", "any_value({int}) is null", "count({int}, {string})", "min({timestamp})", "max({date})", "mode({int}, true)",
    "percentile_approx({int}, 0.5)", "regr_count({int}, {int})", "max(struct({int}, {string}))", "try_avg({int})", "sum({int}) + count(*)", "max({int}) - min({int})", "round(avg({double}), 2)",
    "sort_array(array_agg({int}))", "count(distinct {int})", "grouping_id()", "hll_sketch_estimate(hll_sketch_agg({int}))", "max(length({string}))", "every({boolean})",
]  # fmt: skip
# Sums of such are the same in any order: small multiples of 1/1024.
EXACT = "(rint(({}) * 1024) % 1048576) / 1024"
# Those that do. Not of strings: those Spark aggregates after a sort by the key, which puts rows of one key in another
# order where some key is null (its radix sort makes room for a null at the front).
ORDERED = ["first({any})", "last({any})", "first({any}, true)", "last({any}, true)", "collect_list({int})", "max_by({string}, {int})", "min_by({any}, {int})", "first({int}) + 1", "histogram_numeric({int}, 3)"]
RESULT = {"count": "bigint", "count_if": "bigint", "approx_count_distinct": "bigint", "sum({int})": "bigint", "sum({double})": "double", "sum({decimal})": "decimal", "min({int})": "int", "max({string})": "string"}


def aggregate(rng: random.Random, columns: list[Column], ordered: bool) -> tuple[str, str]:
    """A random aggregate and the kind of its result (`other` where nothing is made of it)."""
    template = rng.choice(ORDERED if ordered and rng.random() < 0.2 else AGGREGATES[:33] if rng.random() < 0.85 else AGGREGATES)
    kind = RESULT.get(template, RESULT.get(template.split("(")[0], "other"))
    if "filter (where" in template and template.startswith("sum"):
        kind = "bigint"
    kinds = [kind for kind in KINDS if kind != "string"] if template in ORDERED else KINDS
    text = template.replace("{any}", "{" + rng.choice(kinds) + "}")
    while "{" in text:
        start, end = text.index("{"), text.index("}")
        wanted = text[start + 1 : end]
        argument = expression(rng, columns, wanted, rng.choice([0, 0, 0, 1, 2]))
        if wanted == "double" and template not in ORDERED and not template.startswith(("min", "max", "count")):
            argument = EXACT.format(argument)
        text = text[:start] + argument + text[end + 1 :]
    return text, kind
