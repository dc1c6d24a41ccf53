"""The cases record_functions.py records, and the input they run on."""

from itertools import product

# name, type, one text a row. Dates are days, timestamps microseconds since the epoch.
INPUT = [
    ("b", "tinyint", ["1", "-1", "0", None, "127", "-128", "5", "100"]),
    ("s", "smallint", ["1", "-2", "0", None, "32767", "-32768", "7", "300"]),
    ("i", "int", ["1", "-3", "0", None, "2147483647", "-2147483648", "42", "7"]),
    ("l", "bigint", ["1", "-3", "0", None, "9223372036854775807", "-9223372036854775808", "1700000000", "1000000007"]),
    ("f", "float", ["1.5", "-2.5", "0.0", None, "NaN", "inf", "-0.0", "3.4028234663852886e38"]),
    ("d", "double", ["1.5", "-2.5", "0.0", None, "NaN", "-inf", "-0.0", "1.7976931348623157e308"]),
    ("e", "double", ["2.0", "0.5", "3.0", None, "1.0", "-2.0", "0.1", "123456789.125"]),
    ("dec", "decimal(10,2)", ["1.50", "-2.55", "0.00", None, "99999999.99", "-99999999.99", "123.45", "0.01"]),
    ("big", "decimal(38,18)", ["1.5", "-2.5", "0", None, "99999999999999999999.999999999999999999",
                               "0.000000000000000001", "123456789.987654321", "7"]),
    ("str", "string", ["abc", "", " Hello World ", None, "Spark SQL", "ünïcødé ßtr", "a,b,,c", "12"]),
    ("num", "string", ["12", " 3 ", "-4.5", None, "abc", "1e3", "99999999999", "true"]),
    ("dts", "string", ["2024-02-29", "2024-01-15 10:30:45.123456", "2023-12-31T23:59:59Z", None, "2024",
                       "1.493730e+12", "2024-3-5", "2024-01-01 00:00:00+02:00"]),
    ("bin", "binary", ["616263", "", "00ff", None, "537061726b", "e282ac", "31", "3132"]),
    ("dt", "date", ["0", "19782", "-1", None, "2932896", "-719162", "19723", "18321"]),
    ("ts", "timestamp", ["0", "1709210096123456", "-1", None, "1700000000000000", "253402300799999999",
                         "-62135596800000000", "1710064800500000"]),
    ("ntz", "timestamp_ntz", ["0", "1709210096123456", "-1", None, "1700000000000000", "253402300799999999",
                              "-62135596800000000", "1710064800500000"]),
    ("t", "boolean", ["true", "false", "true", None, "false", "true", "false", "true"]),
]

NUMERIC = ["b", "s", "i", "l", "f", "d", "dec", "big"]
EVERY = [name for name, _, _ in INPUT if name != "e"]
TYPES = ["boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal(10,2)", "decimal(5,1)",
         "decimal(38,18)", "string", "binary", "date", "timestamp", "timestamp_ntz"]


def both(cases, zone="UTC"):
    cases = list(dict.fromkeys(cases))
    return [(zone, True, cases), (zone, False, cases)]


def one(cases, zone="UTC", ansi=True):
    return [(zone, ansi, list(dict.fromkeys(cases)))]


def calls(names, *args):
    return [f"F.{name}({', '.join(arg)})" for name in names for arg in args]


ARITHMETIC = (
    [f"c('{x}') {op} c('{y}')" for op in "+-*/%" for x, y in product(NUMERIC, NUMERIC)]
    + [f"c('{x}') {op} c('{y}')" for op in "+-*/%" for x, y in [("num", "i"), ("i", "num"), ("num", "l"), ("num", "d"),
       ("num", "dec"), ("num", "num"), ("t", "i"), ("dt", "i"), ("i", "dt"), ("dt", "dt"), ("ts", "ts"), ("ts", "dt"),
       ("ts", "i"), ("ntz", "ts"), ("bin", "i"), ("str", "str")]]
    + [f"-c('{x}')" for x in NUMERIC + ["num", "t", "dt"]]
    + [f"c('{x}') {op} {k}" for op in ["+", "-", "*", "/", "%", "**"] for x in ["i", "l", "d", "dec", "num"]
       for k in ["1", "2.5", "0", "-3"]]
    + [f"{k} {op} c('{x}')" for op in ["+", "-", "*", "/", "%", "**"] for x in ["i", "d", "dec"] for k in ["1", "2.5"]]
    + ["c('x' if False else 'd') ** 2 + c('e') ** 2", "(c('d') ** 2 + c('e') ** 2) ** 0.5", "c('i') + None",
       "lit(None) + 1", "lit(None) + lit(None)", "c('i') / lit(D('3.0'))", "lit(D('1.23')) * lit(D('4.567'))",
       "c('dec') * c('dec') * c('dec')", "c('big') * c('big')", "c('big') / c('dec')", "lit('5') + lit('6')",
       "c('i') & c('i')", "c('i') | lit(3)", "c('i').bitwiseXOR(c('l'))", "F.bitwise_not('i')", "~c('t')",
       "F.shiftleft('i', 2)", "F.shiftright('l', 1)", "F.shiftrightunsigned('i', 1)", "F.try_add('i', lit(1))",
       "F.try_subtract('l', lit(1))", "F.try_multiply('i', lit(2))", "F.try_divide('i', lit(0))", "F.try_mod('i', lit(0))"]
    + [f"sql:{e}" for e in ["i div 2", "l div i", "dec div 3", "d div 2", "i div 0", "1 + 1", "1.5 * 2", "2 / 3", "7 % 3",
       "-i", "+i", "1L + 1", "1e3 + 1", "1.0BD + 1", "i + '1'", "dt + 1", "dt - 1", "dt - dt", "ts - ts", "1 + NULL",
       "dec + 1", "dec / 3", "dec % 7", "i || str", "i & 3", "i | 3", "i ^ 3", "~i", "1 + 2 * 3 - 4", "mod(i, 2)", "pmod(i, 3)"]]
)

OPS = ["<", "<=", "==", "!=", ">", ">="]
COMPARISON = (
    [f"c('{x}') {op} c('{y}')" for op in ["<", "=="] for x, y in product(EVERY, EVERY)]
    + [f"c('{x}') {op} {k}" for op in OPS for x, k in [("d", "0.0"), ("f", "float('nan')"), ("d", "float('nan')"),
       ("i", "1"), ("i", "1.5"), ("i", "'1'"), ("str", "'abc'"), ("dt", "'2024-02-29'"), ("ts", "'2024-02-29'"),
       ("dec", "1.5"), ("l", "2"), ("t", "True")]]
    + [f"c('{x}').eqNullSafe({y})" for x, y in [("i", "None"), ("i", "c('l')"), ("d", "c('f')"), ("str", "c('num')")]]
    + ["c('t') & c('t')", "c('t') | (c('i') > 0)", "~(c('i') > 0)", "(c('i') > 0) & c('t')", "c('t') & 'true'",
       "c('t') & c('i')", "~c('str')"]
    + ["c('i').isin(1, 42, None)", "c('i').isin(1, 2.5)", "c('str').isin('abc', '12')", "c('d').isin(0.0, float('nan'))",
       "c('i').isin('1', '42')", "c('dt').isin('2024-02-29')", "c('i').isin()", "c('l').between(1, 100)",
       "c('d').between(0.0, 2.0)", "c('ts').between('1970-01-01', '2024-01-01')", "c('str').between('a', 'b')",
       "c('i').isNull()", "c('i').isNotNull()", "F.isnan('d')", "F.isnull('str')", "F.equal_null('i', 'l')",
       "c('str').like('%b%')", "c('str').like('_b_')", "c('str').rlike('[a-c]+')", "c('str').ilike('%SPARK%')",
       "c('str').contains('o')", "c('str').startswith('S')", "c('str').endswith('c')", "c('i').like('%1')",
       "c('str').like('a\\\\_%')"]
)

CONDITIONAL = (
    ["F.when(c('i') > 0, 'pos').when(c('i') < 0, 'neg').otherwise('zero')", "F.when(c('i') > 0, c('i'))",
     "F.when(c('i') > 0, c('i')).otherwise(c('d'))", "F.when(c('t'), c('dec')).otherwise(c('big'))",
     "F.when(c('t'), c('dt')).otherwise(c('ts'))", "F.when(c('t'), 1).otherwise('x')", "F.when(c('t'), lit(None)).otherwise(1)",
     "F.when(c('i'), 1)", "F.coalesce('i', 'l')", "F.coalesce('str', lit('none'))", "F.coalesce('i', lit(0))",
     "F.coalesce('i', 'str')", "F.coalesce(lit(None), lit(None))", "F.ifnull('i', lit(0))", "F.nvl('i', 'd')",
     "F.nvl2('i', 'd', 'l')", "F.nullif('i', lit(1))", "F.nullif('str', lit('abc'))", "F.nanvl('d', 'e')",
     "F.nanvl('f', 'e')", "F.zeroifnull('i')", "F.nullifzero('i')", "F.greatest('i', 'l')", "F.least('i', 'l', 'd')",
     "F.greatest('d', 'e')", "F.least('d', 'e')", "F.greatest('str', 'num')", "F.greatest('dt', 'ts')",
     "F.greatest('dec', 'big')", "F.greatest('i', 'str')", "F.expr('if(i > 0, i, null)')"]
    + [f"sql:{e}" for e in ["if(i > 0, 1, 2.5)", "CASE WHEN i > 0 THEN 'a' ELSE 'b' END", "CASE i WHEN 1 THEN 'x' WHEN 42 THEN 'y' END",
       "i IN (1, 42)", "i NOT IN (1, 42)", "i BETWEEN 1 AND 10", "i NOT BETWEEN 1 AND 10", "i IS NULL", "i IS NOT NULL",
       "i <=> NULL", "str LIKE 'a%'", "str NOT LIKE 'a%'", "str RLIKE 'a'", "NOT t", "t AND i > 0", "t OR i > 0",
       "coalesce(i, 0)", "nvl(i, 0)", "i = 1", "i == 1", "i != 1", "i <> 1", "d IS NOT DISTINCT FROM e"]]
)

CASTS = [f"c('{x}').cast('{t}')" for x, t in product(EVERY, TYPES)]
TRY_CASTS = [f"c('{x}').try_cast('{t}')" for x, t in product(["num", "dts", "d", "l", "i", "big", "str", "ts", "dec"], TYPES)]
CAST_TEXTS = {
    "int": ["12", " 12 ", "+12", "-12", "1.9", "-1.9", "1.", ".5", "1e2", "", " ", "2147483648", "1L", "0x10", "1_000", "\\t7\\n", "١٢"],
    "bigint": ["9223372036854775807", "9223372036854775808", "-9223372036854775808", "12.7", "1e18"],
    "double": ["1.5", "1e400", "-1e-400", "NaN", "nan", "Infinity", "-Infinity", "inf", "+Inf", "1d", "1.5f", "1e", "0x1p3", ".5", "5.", " 1 "],
    "float": ["1.5", "3.5e38", "1e-50", "NaN", "1f", "16777217"],
    "decimal(5,2)": ["123.456", "999.995", "1000", "1e2", "1E-3", " 1.5 ", "abc", "", "+1.5", ".5"],
    "boolean": ["true", "T", "yes", "Y", "1", "false", "f", "no", "N", "0", " true ", "2", "", "TRUE", "on"],
    "date": ["2024-02-29", "2024-02-30", "2024-2-9", "2024", "2024-02", "2024-02-29 12:00:00", "2024-02-29T", "20240229",
             " 2024-02-29 ", "+2024-01-01", "-2024-01-01", "10000-01-01", "2024-13-01", "epoch", "0001-01-01", "24-01-01"],
    "timestamp": ["2024-02-29", "2024-02-29 12", "2024-02-29 12:30", "2024-02-29 12:30:45", "2024-02-29 12:30:45.1",
                  "2024-02-29 12:30:45.123456789", "2024-02-29T12:30:45Z", "2024-02-29T12:30:45+02:00", "2024-02-29T12:30:45+2",
                  "2024-02-29T12:30:45 America/New_York", "2024-02-29 12:30:45 UTC", "2024-02-29 12:30:45 GMT+3",
                  "12:30", "T12:30:45", "2024", "2024-02", "2024-03-10 02:30:00", "2024-11-03 01:30:00", "2024-02-29 25:00:00",
                  "2024-02-29 12:60:00", "1.493730e+12", "1493730000000", " 2024-02-29 ", "abc", "", "2024-2-9 1:2:3",
                  "294247-01-10 04:00:54.775807", "2024-02-29 12:30:45.", "2024-02-29 12:30:45 PST", "2024-02-29T12:30:45-08"],
    "timestamp_ntz": ["2024-02-29 12:30:45.5", "2024-02-29T12:30:45Z", "2024-02-29", "12:30", "abc"],
}
CAST_TEXT_CASES = [f"lit('{text}').cast('{t}')" for t, texts in CAST_TEXTS.items() for text in texts]
CAST_NESTED = ["F.array('i', 'i').cast('array<string>')", "F.array('num').cast('array<int>')", "F.array('i').cast('string')",
               "F.array('str', 'num').cast('string')", "F.create_map('str', 'i').cast('string')", "F.struct('i', 'str').cast('string')",
               "F.struct('i', 'str').cast('struct<a:bigint,b:string>')", "F.array(F.struct('d', 'ts')).cast('string')",
               "F.create_map(lit('k'), c('i')).cast('map<string,double>')", "lit(None).cast('int')", "lit(None)",
               "F.struct(c('i').alias('x'), lit(None).alias('y')).cast('string')", "lit(1).cast('double')", "lit('1').cast('int')",
               "c('i').cast('double') + 1", "c('i').cast('double')", "(c('i') + 1).cast('double')", "c('i').alias('z').cast('string')",
               "F.array('i').cast('int')", "c('i').cast('array<int>')", "c('i').astype('long')"]

MATH1 = ["sqrt", "cbrt", "exp", "expm1", "log", "log10", "log2", "log1p", "ln", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
         "tanh", "asinh", "acosh", "atanh", "degrees", "radians", "signum", "sign", "rint", "abs", "ceil", "ceiling", "floor", "negative", "positive",
         "sec", "csc", "cot"]
MATH = (
    calls(MATH1, ["'d'"], ["'e'"], ["'i'"], ["'dec'"])
    + calls(["abs", "ceil", "floor", "negative", "positive", "sqrt", "signum"], ["'b'"], ["'l'"], ["'f'"], ["'big'"], ["'num'"], ["'str'"])
    + [f"F.{fn}('{x}'{s})" for fn in ["round", "bround"] for x in ["e", "d", "f", "i", "l", "dec", "big", "num"] for s in ["", ", 1", ", -1", ", 0", ", 3"]]
    + ["F.round(lit(2.5))", "F.round(lit(3.5))", "F.bround(lit(2.5))", "F.round(lit(-2.5))", "F.round(lit(1.005), 2)", "F.round(lit(0.285), 2)",
       "F.ceil('dec', lit(1))", "F.floor('dec', lit(1))", "F.ceil(lit(3.1411), lit(3))", "F.floor('e', lit(-1))",
       "F.pow('e', 'e')", "F.pow('i', lit(2))", "F.power('e', lit(0.5))", "F.atan2('e', 'e')", "F.atan2('d', lit(1.0))", "F.hypot('e', 'e')",
       "F.hypot('i', lit(4))", "F.pmod('i', lit(3))", "F.pmod('l', 'i')", "F.pmod('d', 'e')", "F.pmod('dec', lit(7))", "F.factorial('b')",
       "F.factorial(lit(5))", "F.factorial(lit(21))", "F.hex('i')", "F.hex('l')", "F.hex('str')", "F.hex('bin')", "F.unhex('num')", "F.unhex(F.hex('str'))",
       "F.bin('l')", "F.bin('i')", "F.conv('num', 10, 2)", "F.conv('num', 16, 10)", "F.conv(lit('-10'), 16, -10)", "F.conv(lit('ff'), 16, 10)",
       "F.log(2.0, 'e')", "F.e()", "F.pi()", "F.width_bucket('e', lit(0.0), lit(10.0), lit(5))", "F.rand(42)", "F.randn(42)",
       "F.bit_count('i')", "F.bit_get('i', lit(0))", "F.getbit('l', lit(3))"]
    + [f"sql:{e}" for e in ["ceil(3.1411, 3)", "floor(-0.1)", "ceil(5)", "round(25, -1)", "sqrt(4)", "pow(2, 3)", "power(2, 3)", "log(2, 8)", "ln(1)", "abs(-1)",
       "sign(40)", "mod(7, 2)", "rint(12.3456)", "greatest(10, 9, 2)", "least(1.5, 1)", "hex(17)", "bin(13)", "e()", "pi()", "factorial(5)", "conv('100', 2, 10)"]]
)

STRING = (
    calls(["upper", "lower", "ucase", "lcase", "trim", "ltrim", "rtrim", "btrim", "length", "char_length", "character_length", "octet_length", "bit_length",
           "initcap", "reverse", "ascii", "base64", "md5", "sha1", "sha", "crc32", "hash", "xxhash64", "soundex", "isnull"], ["'str'"], ["'num'"])
    + calls(["upper", "length", "reverse", "md5", "base64", "crc32", "hash", "xxhash64", "octet_length", "sha1", "bit_length"], ["'i'"], ["'bin'"])
    + [f"F.{h}('{x}')" for h in ["hash", "xxhash64"] for x in ["b", "s", "i", "l", "f", "d", "dec", "big", "bin", "dt", "ts", "ntz", "t"]]
    + ["F.hash('i', 'str', 'd')", "F.xxhash64('i', 'str', 'd')", "F.hash(F.array('i', 'i'))", "F.hash(F.struct('i', 'str'))", "F.sha2('str', 256)", "F.sha2('str', 512)",
       "F.sha2('str', 0)", "F.sha2('str', 224)", "F.sha2('str', 1)",
       "F.substring('str', 2, 3)", "F.substring('str', -3, 2)", "F.substring('str', 0, 2)", "c('str').substr(2, 3)", "F.substr('str', lit(2))", "F.substring('bin', 1, 1)",
       "F.left('str', lit(2))", "F.right('str', lit(2))", "F.concat('str', 'num')", "F.concat('str', lit('-'), 'i')", "F.concat('bin', 'bin')", "F.concat(lit('a'))",
       "F.concat_ws('-', 'str', 'num', 'i')", "F.concat_ws(',', F.array('str', 'num'), 'i')", "F.split('str', ',')", "F.split('str', '[ ,]', 2)", "F.split('str', '')",
       "F.split('str', ',', -1)", "F.split('str', 'l+')",
       "F.regexp_replace('str', '[aeiou]', '*')", "F.regexp_replace('str', '(l+)', '<$1>')", "F.regexp_replace('str', lit('a'), lit('$$'))", "F.regexp_extract('str', '(\\\\w+) (\\\\w+)', 2)",
       "F.regexp_extract('str', '(\\\\d+)', 1)", "F.regexp_extract('str', 'x', 0)", "F.regexp_extract('str', '(a)', 5)", "F.regexp_extract_all('str', lit('([a-z])'), lit(1))",
       "F.regexp_count('str', lit('l'))", "F.regexp_substr('str', lit('l+'))", "F.regexp_instr('str', lit('l'))", "F.rlike('str', lit('^a'))", "F.regexp('str', lit('^a'))", "F.regexp_like('str', lit('^a'))",
       "F.replace('str', lit('l'), lit('L'))", "F.replace('str', lit('l'))", "F.translate('str', 'abc', '12')", "F.lpad('str', 6, '*')", "F.rpad('str', 6, '*')", "F.lpad('str', 2, '*')",
       "F.rpad('str', 20, 'xy')", "F.lpad('str', 5, '')", "F.instr('str', 'l')", "F.locate('l', 'str')", "F.locate('l', 'str', 5)", "F.position(lit('l'), 'str')", "F.repeat('str', 2)",
       "F.repeat('str', 0)", "F.startswith('str', lit('a'))", "F.endswith('str', lit('c'))", "F.contains('str', lit('o'))", "F.contains('str', 'num')",
       "F.format_string('%d-%s', 'i', 'str')", "F.format_string('%5.2f|%05d|%x|%-5s|', 'e', 'i', 'i', 'str')", "F.format_string('%%')", "F.printf(lit('%s %s'), 'str', 'd')", "F.format_number('e', 2)",
       "F.format_number('i', 0)", "F.format_number('d', 3)", "F.format_number('dec', 1)", "F.format_number('l', 2)", "F.chr('i')", "F.chr('b')", "F.char('l')", "F.unbase64(F.base64('str'))",
       "F.unbase64('str')", "F.space(lit(3))", "F.substring_index('str', ',', 2)", "F.substring_index('str', ',', -1)", "F.levenshtein('str', 'num')", "F.levenshtein('str', 'num', 2)", "F.overlay('str', lit('XX'), 2)",
       "F.overlay('str', lit('XX'), 2, 0)", "F.trim('str', lit('a '))", "F.ltrim('str', lit(' a'))", "F.rtrim('str', lit('c '))", "F.find_in_set('num', 'str')", "F.split_part('str', lit(','), lit(2))",
       "F.elt(lit(1), 'str', 'num')", "F.encode('str', 'UTF-8')", "F.decode('bin', 'UTF-8')", "F.to_binary('str', lit('utf-8'))", "F.url_encode('str')", "F.url_decode(F.url_encode('str'))",
       "F.ilike('str', lit('A%'))", "F.like('str', lit('%l%'))", "F.mask('str')", "F.sentences('str')"]
    + [f"sql:{e}" for e in ["upper(str)", "levenshtein(str, num, i)", "levenshtein('kitten', 'sitting', -1)", "substring(str, 2)", "substring(str FROM 2 FOR 3)", "trim(BOTH 'a' FROM str)", "trim(str)", "str || '-' || i", "concat(str, '!')", "position('l' IN str)", "lpad(str, 5)",
       "replace(str, 'a')", "split(str, ',')", "initcap('hello world')", "regexp_extract('100-200', '(\\\\d+)-(\\\\d+)')", "length('abc')", "char_length('abc')", "left(str, 2)", "format_string('%s', i)", "ascii('a')", "nvl(str, 'x')"]]
)

PATTERNS = ["yyyy-MM-dd HH:mm:ss", "yyyy/MM/dd", "dd.MM.yyyy", "MMM d, yyyy h:mm a", "EEEE", "D", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "yy", "HH:mm:ss.SSSSSS", "Q", "w", "E", "u", "VV", "z", "xxx", "G"]
DATE_TIME = (
    calls(["year", "month", "day", "dayofmonth", "dayofweek", "dayofyear", "weekofyear", "quarter", "hour", "minute", "second", "last_day", "weekday", "dayname", "monthname"],
          ["'ts'"], ["'dt'"], ["'ntz'"], ["'dts'"])
    + ["F.date_add('dt', 1)", "F.date_add('dt', 'i')", "F.date_add('ts', 1)", "F.date_add('dts', 1)", "F.date_sub('dt', 1)", "F.date_sub('ts', 400)", "F.dateadd('dt', lit(3))", "F.datediff('dt', 'ts')", "F.date_diff('dt', lit('2024-01-01'))", "F.datediff('ts', 'dt')",
       "F.add_months('dt', 1)", "F.add_months('dt', -13)", "F.add_months('ts', 'b')", "F.months_between('ts', 'dt')", "F.months_between('ts', lit('2024-02-29'))", "F.months_between('ts', 'ntz', False)", "F.next_day('dt', 'Mon')", "F.next_day('ts', 'friday')",
       "F.next_day('dt', 'xx')", "F.last_day('dt')"]
    + [f"F.trunc('dt', '{u}')" for u in ["year", "yyyy", "month", "mon", "quarter", "week", "day", "x"]]
    + ["F.trunc('ts', 'month')"]
    + [f"F.date_trunc('{u}', 'ts')" for u in ["year", "quarter", "month", "week", "day", "dd", "hour", "minute", "second", "millisecond", "microsecond", "x"]]
    + ["F.date_trunc('hour', 'ntz')", "F.date_trunc('day', 'dt')"]
    + [f"F.date_format('{x}', \"{p}\")" for x in ["ts"] for p in PATTERNS]
    + ["F.date_format('dt', 'yyyy-MM-dd')", "F.date_format('ntz', 'HH:mm')", "F.date_format('dts', 'yyyy')"]
    + ["F.to_timestamp('dts')", "F.to_date('dts')", "F.to_timestamp('str')", "F.to_date('ts')", "F.to_timestamp('dt')", "F.to_timestamp('dts', 'yyyy-MM-dd HH:mm:ss.SSSSSS')", "F.to_timestamp('dts', 'yyyy-MM-dd')", "F.to_date('dts', 'yyyy-MM-dd')",
       "F.to_timestamp(lit('03/15/2024 01:02'), 'MM/dd/yyyy HH:mm')", "F.to_date(lit('15.3.2024'), 'd.M.yyyy')", "F.try_to_timestamp('dts')", "F.try_to_timestamp('dts', lit('yyyy'))", "F.to_timestamp_ntz('dts')", "F.to_timestamp_ltz('dts')",
       "F.unix_timestamp('ts')", "F.unix_timestamp('dt')", "F.unix_timestamp('dts')", "F.unix_timestamp('dts', 'yyyy-MM-dd')", "F.to_unix_timestamp('ts')", "F.from_unixtime('l')", "F.from_unixtime('i')", "F.from_unixtime('i', 'yyyy/MM/dd HH:mm')",
       "F.from_unixtime(lit(1700000000))", "F.timestamp_seconds('i')", "F.timestamp_seconds('l')", "F.timestamp_seconds('e')", "F.timestamp_seconds('dec')", "F.timestamp_millis('l')", "F.timestamp_millis('i')", "F.timestamp_micros('l')",
       "F.unix_seconds('ts')", "F.unix_millis('ts')", "F.unix_micros('ts')", "F.unix_date('dt')", "F.date_from_unix_date('i')", "F.make_date('i', lit(2), lit(29))", "F.make_date(lit(2024), 'b', lit(1))", "F.make_timestamp(lit(2024), lit(2), lit(29), lit(1), lit(2), 'e')",
       "F.make_timestamp(lit(2024), lit(2), lit(29), lit(1), lit(2), lit(3.5), lit('America/New_York'))", "F.to_utc_timestamp('ts', 'America/Los_Angeles')", "F.from_utc_timestamp('ts', 'America/Los_Angeles')", "F.from_utc_timestamp('ts', '+05:30')", "F.to_utc_timestamp('ts', 'nowhere')",
       "F.date_part(lit('year'), 'ts')", "F.extract(lit('SECOND'), 'ts')", "F.datepart(lit('week'), 'dt')", "F.make_dt_interval(lit(1), lit(2), lit(3), lit(4.5))", "F.make_interval(lit(1), lit(2))", "F.make_ym_interval(lit(1), lit(2))",
       "F.convert_timezone(lit('UTC'), lit('Asia/Tokyo'), 'ntz')", "F.current_timezone()", "F.timestamp_diff('HOUR', 'ts', 'ntz')", "F.timestamp_add('DAY', lit(3), 'ts')",
       "F.window_time(F.window('ts', '10 minutes'))"]
    + [f"sql:{e}" for e in ["ts + INTERVAL 1 DAY", "ts - INTERVAL '1' HOUR", "dt + INTERVAL 1 MONTH", "dt + INTERVAL '1' DAY", "ts - dt", "dt - ts", "ts + INTERVAL 1 MONTH 2 DAYS", "INTERVAL 1 DAY + INTERVAL 2 HOURS", "INTERVAL '1-2' YEAR TO MONTH", "INTERVAL 3 DAYS * 2",
       "INTERVAL 1 DAY / 2", "DATE '2024-01-31' + INTERVAL 1 MONTH", "TIMESTAMP '2024-01-01 00:00:00'", "DATE '2024-01-01'", "TIMESTAMP_NTZ '2024-01-01 00:00:00'", "extract(HOUR FROM ts)", "extract(EPOCH FROM ts)", "year(ts)", "date_add(dt, 1)", "dateadd(DAY, 1, ts)", "datediff(DAY, dt, ts)",
       "to_timestamp('2024-01-01')", "unix_timestamp('2024-01-01', 'yyyy-MM-dd')", "ntz + INTERVAL 1 DAY", "date_trunc('HOUR', ts)", "-INTERVAL 1 DAY", "INTERVAL 1 YEAR", "ts BETWEEN '2024-01-01' AND '2024-12-31'", "cast(ts as date)", "hour(ts)", "INTERVAL 1 DAY > INTERVAL 2 HOURS", "abs(INTERVAL -1 DAY)"]]
)

COLLECTION = [
    "F.array('i', 'i')", "F.array('i', 'd')", "F.array()", "F.array('i', 'str')", "F.array(lit(1), lit(None))", "F.struct('i', 'str')", "F.struct(c('i').alias('x'), lit(1))", "F.named_struct(lit('a'), c('i'), lit('b'), c('d'))", "F.create_map('str', 'i')", "F.create_map(lit('a'), lit(1), lit('b'), lit(2))",
    "F.create_map()", "F.map_from_arrays(F.array(lit('a'), lit('b')), F.array('i', 'i'))", "F.element_at(F.array('i', 'l'), 1)", "F.element_at(F.array('i', 'l'), 3)", "F.element_at(F.array('i', 'l'), -1)", "F.element_at(F.create_map(lit('a'), c('i')), lit('a'))", "F.element_at(F.create_map(lit('a'), c('i')), lit('z'))",
    "F.try_element_at(F.array('i', 'l'), lit(3))", "F.get(F.array('i', 'l'), 1)", "F.get(F.array('i', 'l'), 5)", "F.array('i', 'l')[0]", "F.array('i', 'l')[2]", "F.create_map(lit('a'), c('i'))['a']", "F.create_map(lit('a'), c('i'))['b']", "F.struct('i', 'str')['i']", "F.struct('i', 'str').getField('str')", "F.struct('i', 'str').nope", "F.array(F.struct('i'))['i']",
    "F.size(F.array('i', 'l'))", "F.size(F.split('str', ','))", "F.cardinality(F.array('i'))", "F.array_size(F.split('str', ','))", "F.size(F.create_map(lit('a'), c('i')))", "F.array_contains(F.array('i', 'l'), 1)", "F.array_contains(F.array(lit(1), lit(None)), 2)", "F.array_contains(F.split('str', ','), 'b')", "F.sort_array(F.array('i', lit(5), lit(None)))", "F.sort_array(F.array('d', 'e'), False)",
    "F.array_sort(F.array('d', 'e', lit(None)))", "F.array_distinct(F.array('i', 'i', lit(1)))", "F.array_distinct(F.array('d', lit(0.0), lit(-0.0), lit(float('nan'))))", "F.slice(F.array('i', 'l', 'b'), 2, 2)", "F.slice(F.array('i', 'l', 'b'), -2, 1)", "F.slice(F.array('i'), 0, 1)", "F.array_join(F.array('str', 'num'), ',')", "F.array_join(F.array('str', 'num'), ',', 'NULL')", "F.array_max(F.array('d', 'e'))", "F.array_min(F.array('i', 'b'))", "F.array_position(F.array('i', lit(7)), 7)",
    "F.array_remove(F.array('i', lit(7)), 7)", "F.array_repeat('i', 2)", "F.array_union(F.array('i'), F.array('i', lit(1)))", "F.array_intersect(F.array('i'), F.array(lit(1), lit(42)))", "F.array_except(F.array('i', lit(5)), F.array(lit(1)))", "F.arrays_overlap(F.array('i'), F.array(lit(1)))", "F.array_append(F.array('i'), lit(9))", "F.array_prepend(F.array('i'), lit(9))", "F.array_insert(F.array('i'), 1, lit(9))", "F.array_compact(F.array('i', lit(None)))", "F.flatten(F.array(F.array('i'), F.array('l')))",
    "F.sequence(lit(1), lit(5))", "F.sequence(lit(5), lit(1), lit(-2))", "F.arrays_zip(F.array('i'), F.array('l'))", "F.reverse(F.array('i', 'l'))", "F.concat(F.array('i'), F.array('l'))", "F.map_keys(F.create_map(lit('a'), c('i')))", "F.map_values(F.create_map(lit('a'), c('i')))", "F.map_entries(F.create_map(lit('a'), c('i')))", "F.map_contains_key(F.create_map(lit('a'), c('i')), 'a')", "F.map_concat(F.create_map(lit('a'), c('i')), F.create_map(lit('b'), c('i')))",
    "F.str_to_map(lit('a:1,b:2'))", "F.map_from_entries(F.array(F.struct(lit('a'), c('i'))))",
    "F.transform(F.array('i', 'b'), lambda x: x + 1)", "F.transform(F.array('i', 'b'), lambda x, k: x + k)", "F.filter(F.array('i', 'b'), lambda x: x > 0)", "F.exists(F.array('i', 'b'), lambda x: x > 100)", "F.forall(F.array('i', 'b'), lambda x: x > 0)", "F.aggregate(F.array('e', 'e'), lit(0.0), lambda a, x: a + x)", "F.aggregate(F.array('e', 'e'), lit(0.0), lambda a, x: a + x, lambda a: a * 2)", "F.transform_values(F.create_map(lit('a'), c('e')), lambda k, v: v + 1)", "F.map_filter(F.create_map(lit('a'), c('i')), lambda k, v: v > 0)", "F.zip_with(F.array('e'), F.array('d'), lambda x, y: x + y)",
    "F.struct('i', 'str').withField('z', lit(1))", "F.struct('i', 'str').dropFields('i')", "F.struct('i', 'str').withField('i', lit('q'))",
    "F.to_json(F.struct('i', 'str', 'd', 'ts', 'dt', 'dec', 't'))", "F.to_json(F.array('i'))", "F.to_json(F.create_map(lit('a'), c('e')))", "F.from_json(lit('{\"a\":1,\"b\":\"x\"}'), 'a INT, b STRING')", "F.from_json(lit('bad'), 'a INT')", "F.from_json(lit('{\"a\":\"q\"}'), 'a INT')", "F.from_json(lit('[1,2]'), 'array<int>')", "F.get_json_object(lit('{\"a\":{\"b\":[1,2,{\"c\":\"x\"}]}}'), '$.a.b[2].c')",
    "F.get_json_object(lit('{\"a\":{\"b\":[1,2]}}'), '$.a.b')", "F.get_json_object(lit('{\"a\":1}'), '$.z')", "F.get_json_object('str', '$.a')",
    "F.typeof('i')", "F.typeof(F.array('d'))", "F.version()", "F.spark_partition_id()", "F.monotonically_increasing_id()", "F.input_file_name()", "F.nosuch('i')" if False else "F.call_function('nosuch', c('i'))", "F.call_function('abs', c('i'))", "F.call_function('abs', c('i'), c('i'))", "F.assert_true(c('i').isNull() | lit(True))", "F.raise_error('boom')", "F.uuid()" if False else "F.current_user()" if False else "F.lit(1)",
]

LITERALS = ["lit(1)", "lit(2**40)", "lit(1.5)", "lit('x')", "lit(True)", "lit(None)", "lit(D('1.50'))", "lit(b'ab')", "lit(dt.date(2024, 2, 29))", "lit(dt.datetime(2024, 2, 29, 1, 2, 3, 4000))", "lit(dt.timedelta(days=1, hours=2, microseconds=5))", "lit([1, 2])", "lit(['a', 'b'])", "lit([1.5, 2.0])", "lit(float('nan'))", "lit(float('inf'))", "lit(-0.0)", "lit(1e20)", "lit(1e-5)", "lit(100000000.0)",
            "lit(1).alias('q')", "c('i').alias('q') + 1", "c('i')", "c('input.i')" if False else "c('i').alias('a b') + 1", "c('`i`')", "c('nope')", "c('I')", "lit(D('1E+3'))", "lit(\"it's\")", "lit(dt.timedelta(seconds=-1))", "lit({'a': 1})", "lit(())" if False else "lit([])",
            "c('i') + lit(1.0)", "c('str') == 'x'", "c('dt') == dt.date(2024, 2, 29)", "c('ts') > dt.datetime(2024, 2, 29)", "lit(3.0) * lit(2)", "lit(1.0E10) + 1"]

REGRESSIONS = ["avgx", "avgy", "count", "intercept", "r2", "slope", "sxx", "sxy", "syy"]
AGGREGATES = (
    [f"F.{fn}('{x}')" for fn in ["count", "sum", "avg", "mean", "min", "max", "stddev", "stddev_samp", "stddev_pop", "std", "variance", "var_samp", "var_pop", "first", "last", "any_value", "collect_list", "collect_set", "approx_count_distinct", "sum_distinct", "count_distinct", "skewness", "kurtosis", "median", "mode"]
     for x in ["i", "e", "dec", "str", "b", "d"]]
    + [f"F.regr_{fn}({pair})" for fn in REGRESSIONS for pair in ["'e', 'i'", "'d', 'i'", "'i', lit(1)", "lit(2), 'i'", "'dec', 'e'", "'str', 'i'", "'b', 'i'"]]
    + [f"F.histogram_numeric('{x}', lit({nb}))" for x in ["b", "s", "i", "l", "f", "d", "e", "dec", "big", "num", "dt", "ts", "ntz", "t"] for nb in [2, 3, 5]]
    + [f"F.histogram_numeric('i', lit({nb}))" for nb in [1, None, "'4'"]]
    + ["F.histogram_numeric('i', 'i')"]
    + ["F.count('*')", "F.count(lit(1))", "F.count_distinct('i', 'str')", "F.max_by('str', 'e')", "F.min_by('str', 'e')", "F.bool_and('t')", "F.every('t')", "F.bool_or('t')", "F.some('t')", "F.first('str', True)", "F.last('str', True)", "F.max('ts')", "F.min('dt')", "F.max('t')", "F.count_if(c('i') > 0)", "F.sum('num')", "F.avg('big')", "F.sum('big')", "F.sum('t')", "F.corr('e', 'e')", "F.covar_pop('e', 'e')", "F.covar_samp('e', 'd')", "F.sum('e') / F.count('e')", "F.sum(c('e') * 2) + 1", "F.sum('e').cast('int')", "F.avg('i').alias('m')", "F.product('e')", "F.percentile_approx('e', 0.5)", "F.percentile('e', 0.5)", "F.bit_and('i')", "F.bit_or('i')", "F.bit_xor('i')", "F.try_sum('l')", "F.try_avg('i')", "F.sum('l')", "F.sum('ts')", "F.avg('str')", "F.approx_count_distinct('i', 0.1)", "F.array_agg('i')", "F.listagg('str', ',')", "F.string_agg('str', ',')", "F.count('i', 'e')" if False else "F.regr_count('e', 'd')"]
)

FAMILIES = {
    "literal": both(LITERALS) + one(LITERALS[:12], "America/Los_Angeles"),
    "arithmetic": both(ARITHMETIC),
    "comparison": both(COMPARISON),
    "conditional": both(CONDITIONAL),
    "cast": both(CASTS) + one(CASTS[-15 * 5:] + [k for k in CASTS if "dts" in k], "America/Los_Angeles"),
    "cast_text": both(CAST_TEXT_CASES + CAST_NESTED) + one([k for k in CAST_TEXT_CASES if "'timestamp" in k], "America/Los_Angeles", False),
    "cast_try": one(TRY_CASTS),
    "math": both(MATH),
    "string": both(STRING),
    "date_time": both(DATE_TIME) + one([k for k in DATE_TIME if "interval" not in k.lower()], "America/Los_Angeles", False),
    "collection": both(COLLECTION),
    "aggregate": both(AGGREGATES),
}
