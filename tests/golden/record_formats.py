"""Records what Apache Spark 4.3 reads from odd files and writes for all types.

Run with a Python that has `pyspark` 4.3 and a Java 17:
    python tests/golden/record_formats.py
It rewrites tests/golden/formats/*.json. Cells are text (`CAST(x AS STRING)`) or null.
"""

import base64
import glob
import gzip
import json
import os
import shutil
import tempfile

from pyspark.sql import SparkSession

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "formats")
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.sql.shuffle.partitions", "1")
    .config("spark.sql.session.timeZone", "America/Los_Angeles")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("OFF")
WORK = tempfile.mkdtemp()


def error_of(e, root):
    text = str(e).split("\n\nJVM stacktrace")[0]
    chain = []
    cause = getattr(e, "_origin", None) or getattr(e, "java_exception", None)
    while cause is not None and len(chain) < 6:
        chain.append(str(cause.getMessage()).replace(root, "{root}")[:600])
        cause = cause.getCause()
    condition = e.getCondition() if hasattr(e, "getCondition") else None
    return {"condition": condition, "text": text.replace(root, "{root}")[:1500], "chain": chain}


def read(name, fmt, files, schema=None, select=None, **options):
    root = tempfile.mkdtemp(dir=WORK)
    stored = []
    for path, content in files:
        data = content if isinstance(content, bytes) else content.encode()
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(data)
        stored.append({"path": path, "base64": base64.b64encode(data).decode()})
    case = {"name": name, "format": fmt, "files": stored, "options": options, "select": select}
    try:
        reader = spark.read.format(fmt).options(**options)
        if schema:
            reader = reader.schema(schema)
            case["given"] = json.loads(spark.createDataFrame([], schema).schema.json())
        df = reader.load(root)
        case["schema"] = json.loads(df.schema.json())
        names = select or df.columns
        out = df.select([df[c].cast("string") for c in names]).collect()
        case["rows"] = [list(r) for r in out]
    except Exception as e:  # recorded, whatever it is
        case["error"] = error_of(e, root)
    return case


def write(name, fmt, sql, **options):
    root = tempfile.mkdtemp(dir=WORK)
    case = {"name": name, "format": fmt, "options": options, "sql": sql}
    try:
        df = spark.sql(sql).coalesce(1)
        # The input as our side can load it: parquet with Spark's own schema.
        case["schema"] = json.loads(df.schema.json())
        source = os.path.join(root, "source")
        df.write.parquet(source, compression="none")
        part = glob.glob(source + "/part-*")[0]
        case["input"] = base64.b64encode(open(part, "rb").read()).decode()
        out = os.path.join(root, "out")
        spark.read.parquet(source).coalesce(1).write.format(fmt).options(**options).save(out)
        parts = sorted(glob.glob(out + "/part-*"))
        data = b"".join(open(p, "rb").read() for p in parts)
        case["extension"] = os.path.basename(parts[0]).split("-c000.", 1)[1] if parts else None
        if options.get("compression") == "gzip":
            data = gzip.decompress(data)
        case["output"] = data.decode("utf-8", "replace")
    except Exception as e:
        case["error"] = error_of(e, root)
    return case


def save(name, cases):
    with open(os.path.join(HERE, name), "w") as f:
        json.dump(cases, f, indent=1, ensure_ascii=False)
        f.write("\n")
    bad = [c["name"] for c in cases if "error" in c]
    print(name, len(cases), "cases, errors:", bad)


# ---------------------------------------------------------------- csv, read
ABC = "a int, b string, c double"
ABCX = ABC + ", _corrupt_record string"
MESSY = (
    '1,x,1.5\n2,"y,z",2\n\n  \n3,"q""r",3\n4,"e\\"s",4\nfive,x,5\n6,x\n7,x,7,8\n8,,\n9,"",9\n"10",x,"1e3"\n'
    '11,"open,5\n12,"ab"cd,1\n13,a"b"c,1\n14, sp ,\t1\n15,"x" ,1\n+16,x,+1\n17,x,1d\n18,x,NaN\n19,x,-Inf\n20,x,Infinity\n'
    '2147483648,big,1\n-1,x,1e400\n 5,x,1\n'
)
csv = []
for mode in ("PERMISSIVE", "DROPMALFORMED", "FAILFAST", "nonsense"):
    csv.append(read("messy " + mode, "csv", [("m.csv", MESSY)], ABCX, mode=mode))
csv.append(read("messy without corrupt column", "csv", [("m.csv", MESSY)], ABC))
csv.append(read("messy pruned", "csv", [("m.csv", MESSY)], ABC, ["b"]))
csv.append(read("messy pruned drop", "csv", [("m.csv", MESSY)], ABC, ["a"], mode="DROPMALFORMED"))
csv.append(read("messy corrupt and a", "csv", [("m.csv", MESSY)], ABCX, ["a", "_corrupt_record"]))
csv.append(read("other corrupt name", "csv", [("m.csv", MESSY)], ABC + ", bad string", columnNameOfCorruptRecord="bad"))
csv.append(read("corrupt in front", "csv", [("m.csv", MESSY)], "_corrupt_record string, " + ABC))
csv.append(read("corrupt wrong type", "csv", [("m.csv", MESSY)], ABC + ", _corrupt_record int"))
csv.append(read("escape is quote", "csv", [("m.csv", MESSY)], ABCX, escape='"'))
csv.append(read("no quote", "csv", [("m.csv", MESSY)], ABCX, quote=""))
csv.append(read("no escape", "csv", [("m.csv", MESSY)], ABCX, escape=""))
csv.append(read("trim", "csv", [("m.csv", MESSY)], ABCX, ignoreLeadingWhiteSpace="true", ignoreTrailingWhiteSpace="true"))
csv.append(read("null value", "csv", [("m.csv", MESSY)], ABCX, nullValue="x"))
csv.append(read("empty value", "csv", [("m.csv", MESSY)], ABCX, emptyValue="EMPTY"))
csv.append(read("null and empty value", "csv", [("m.csv", MESSY)], ABCX, nullValue="NA", emptyValue=""))
for h in ("STOP_AT_CLOSING_QUOTE", "BACK_TO_DELIMITER", "SKIP_VALUE", "RAISE_ERROR", "stop_at_delimiter"):
    csv.append(read("quotes " + h, "csv", [("m.csv", MESSY)], ABCX, unescapedQuoteHandling=h))
csv.append(read("quotes nonsense", "csv", [("m.csv", MESSY)], ABCX, unescapedQuoteHandling="X"))
csv.append(read("crlf", "csv", [("m.csv", '1,"a",1\r\n2,b,2\r3,c,3\n\r\n4,"d",4\r\n')], ABCX))
csv.append(read("bom", "csv", [("m.csv", b"\xef\xbb\xbf1,x,1\n")], ABCX))
csv.append(read("bad utf8", "csv", [("m.csv", b"1,\xff\xfex\xc3,1\n2,\xc3\xa9,2\n")], ABCX))
csv.append(read("tab", "csv", [("m.csv", '1\t"x\ty"\t1\n2\tz\n')], ABCX, sep="\\t"))
csv.append(read("two chars", "csv", [("m.csv", '1||"x||y"||1\n2||z|q||3\n3||"a"b||1\n4||||\n5||"x" ||2\n')], ABCX, sep="||"))
csv.append(read("backslash", "csv", [("m.csv", "1,x,1\n")], ABCX, sep="\\"))
csv.append(read("empty sep", "csv", [("m.csv", "1,x,1\n")], ABCX, sep=""))
csv.append(read("bad sep", "csv", [("m.csv", "1,x,1\n")], ABCX, sep="\\q"))
csv.append(read("long quote", "csv", [("m.csv", "1,x,1\n")], ABCX, quote="ab"))
csv.append(read("bad header flag", "csv", [("m.csv", "1,x,1\n")], ABCX, header="yes"))
csv.append(read("comment", "csv", [("m.csv", "#c\n1,x,1\n #d,x,1\n\"#e\",x,1\n")], ABCX, comment="#"))
csv.append(read("header", "csv", [("m.csv", "\n#c\na,b,c\n1,x,1\na,b,c\n")], ABCX, header="true", comment="#"))
csv.append(read("header other order", "csv", [("m.csv", "b,a,c\n1,x,1\n")], ABC, header="true"))
csv.append(read("header not enforced", "csv", [("m.csv", "b,a,c\n1,x,1\n")], ABC, header="true", enforceSchema="false"))
csv.append(read("header not enforced case", "csv", [("m.csv", "A,B,C\n1,x,1\n")], ABC, header="true", enforceSchema="false"))
csv.append(read("header not enforced count", "csv", [("m.csv", "a,b\n1,x\n")], ABC, header="true", enforceSchema="false"))
csv.append(read("header not enforced pruned", "csv", [("m.csv", "a,x,c\n1,x,2\n")], ABC, ["a", "c"], header="true", enforceSchema="false"))
csv.append(read("line sep", "csv", [("m.csv", "1,x,1;2,y\n,2;3,z,3")], ABCX, lineSep=";"))
csv.append(read("line sep 2", "csv", [("m.csv", "1,x,1\r\n2,y,2\n3,z,3")], ABCX, lineSep="\r\n"))
csv.append(read("line sep long", "csv", [("m.csv", "1")], ABCX, lineSep="abc"))
csv.append(read("line sep empty", "csv", [("m.csv", "1")], ABCX, lineSep=""))
ML = 'a,b,c\n1,"x\ny",1\n\n2,"p""q\r\n",2\n3,z\n"4",w,4'
csv.append(read("multi line", "csv", [("m.csv", ML)], ABCX, multiLine="true", header="true"))
csv.append(read("multi line crlf", "csv", [("m.csv", ML.replace("\r\n", "\n").replace("\n", "\r\n"))], ABCX, multiLine="true", header="true"))
csv.append(read("multi line comment", "csv", [("m.csv", '#x\n1,"a\n#b",1\n#y\n2,c,2\n')], ABCX, multiLine="true", comment="#"))
csv.append(read("multi line drop", "csv", [("m.csv", ML)], ABC, multiLine="true", mode="DROPMALFORMED"))
csv.append(read("max columns", "csv", [("m.csv", "1,x,1\n1,x,1,2,3\n")], ABCX, maxColumns="4"))
csv.append(read("max chars", "csv", [("m.csv", "1,xxxxxxx,1\n")], ABCX, maxCharsPerColumn="5"))
csv.append(read("encoding", "csv", [("m.csv", b"1,\xe9,1\n")], ABCX, encoding="ISO-8859-1"))
csv.append(read("encoding unknown", "csv", [("m.csv", b"1,x,1\n")], ABCX, encoding="nope"))
csv.append(read("nan and inf", "csv", [("m.csv", "1,x,nil\n2,x,up\n3,x,down\n4,x,NaN\n")], ABCX, nanValue="nil", positiveInf="up", negativeInf="down"))
csv.append(read("nan is a number", "csv", [("m.csv", "1,x,-1\n2,x,2\n")], ABCX, nanValue="-1"))
TYPES = "a tinyint, b smallint, c bigint, d float, e boolean, f decimal(6,2), g date, h timestamp, i timestamp_ntz, _corrupt_record string"
TYPED = "\n".join([
    "127,-32768,9223372036854775807,1.5,true,1234.565,2024-01-02,2024-01-02 03:04:05,2024-01-02 03:04:05.123456",
    "128,32768,9223372036854775808,x,TRUE,12345.6,2024-1-2,2024-01-02T03:04:05Z,2024-01-02T03:04",
    "1,1,1,1e40,False,\"1,234.5\",2024,2024-01-02T03:04:05.123+02:00,2024-01-02 03:04:05Z",
    "1,1,1,1,yes,1e3,2024-01,2024-01-02,2024-01-02",
    "1,1,1,1,t,-0.005,2024-02-30,2024-01-02 24:00:00,2024",
    "1,1,1,1,true,abc,01/02/2024,2024-01-02 03:04:05 America/New_York,x",
    "1,1,1,1,true, 1,2024-01-02T10:00,2024-03-10 02:30:00,2024-01-02 3:4:5",
    "1,1,1,0x1p3,true,.5,2024-01-02 x,2024-01-02 03:04:05 GMT+1,2024-01-02 03:04:05.1234567",
    "1,1,1,1f,true,5.,+12345-01-01,12:00:00,2024-01-02T03:04:05+01:00",
    "1,1,1, 1 ,true,1.,-0001-01-01,1900-01-01 00:00:00,1900-01-01",
])
csv.append(read("types", "csv", [("m.csv", TYPED)], TYPES))
csv.append(read("types pattern", "csv", [("m.csv", "1,1,1,1,true,1,02/01/2024,02.01.2024 03:04,03:04 2024\n1,1,1,1,true,1,2024-01-02,2024-01-02 03:04:05,x\n")], TYPES, dateFormat="dd/MM/yyyy", timestampFormat="dd.MM.yyyy HH:mm", timestampNTZFormat="HH:mm yyyy"))
csv.append(read("types pattern fallback", "csv", [("m.csv", "1,1,1,1,true,1,2024-01-02,2024-01-02 03:04:05,03:04 2024\n")], TYPES, dateFormat="dd/MM/yyyy", timestampFormat="dd.MM.yyyy HH:mm", timestampNTZFormat="HH:mm yyyy", enableDateTimeParsingFallback="true"))
csv.append(read("types zone", "csv", [("m.csv", "1,1,1,1,true,1,2024-01-02,2024-01-02 03:04:05,2024-01-01\n")], TYPES, timeZone="Asia/Tokyo"))
csv.append(read("types bad pattern", "csv", [("m.csv", "1,1,1,1,true,1,2024-01-02,x,x\n")], TYPES, dateFormat="YYYY"))
csv.append(read("types bad pattern 2", "csv", [("m.csv", "1,1,1,1,true,1,2024-01-02,x,x\n")], TYPES, dateFormat="yyyy-MM-dd'T"))
csv.append(read("binary", "csv", [("m.csv", "1\n")], "a binary"))
csv.append(read("struct", "csv", [("m.csv", "1\n")], "a struct<x:int>"))
csv.append(read("interval", "csv", [("m.csv", "INTERVAL '1-2' YEAR TO MONTH,INTERVAL '1 02:03:04' DAY TO SECOND\n")], "a interval year to month, b interval day to second"))
csv.append(read("time", "csv", [("m.csv", "1\n")], "a void"))
csv.append(read("gzip", "csv", [("m.csv.gz", gzip.compress(b"1,x,1\n2,y,2\n"))], ABC))
csv.append(read("bad gzip", "csv", [("m.csv.gz", b"1,x,1\n2,y,2\n")], ABC))
csv.append(read("hidden", "csv", [("m.csv", "1,x,1\n"), ("_h.csv", "2,x,2\n"), (".h.csv", "3,x,3\n"), ("sub/n.csv", "4,x,4\n")], ABC))
csv.append(read("recursive", "csv", [("m.csv", "1,x,1\n"), ("sub/n.csv", "4,x,4\n"), ("k=1/o.csv", "5,x,5\n")], ABC, recursiveFileLookup="true", pathGlobFilter="[no].csv"))
# inference
csv.append(read("infer strings", "csv", [("m.csv", "1,x,1.5\n2,y\n3,z,1,4\n")]))
csv.append(read("infer header", "csv", [("m.csv", "id,,id,x y\n1,x,1.5,\n2,y,\n")], header="true"))
csv.append(read("infer header case", "csv", [("m.csv", "id,ID,iD\n1,2,3\n")], header="true"))
csv.append(read("infer header only", "csv", [("m.csv", "id,b\n")], header="true"))
csv.append(read("infer header only typed", "csv", [("m.csv", "id,b\n")], header="true", inferSchema="true"))
csv.append(read("infer empty file", "csv", [("m.csv", "")], header="true"))
csv.append(read("infer no file", "csv", [("_m.csv", "")], header="true"))
INFER = "i,l,d,b,dt,ts,s,dec,n,mixed,long_d,ts2,dd\n1,3000000000,1.5,true,2024-01-01,2024-01-01 00:00:00,x,12345678901234567890,,1,1,2024-01-01T00:00:00Z,1\n2,1,2,FALSE,2024-01-02,2024-01-01T00:00,1,1,,a,1.5,2024-01-01,2024-01-01\n,,,,,,,,,,,,\n"
csv.append(read("infer types", "csv", [("m.csv", INFER)], header="true", inferSchema="true"))
csv.append(read("infer types no prefer date", "csv", [("m.csv", INFER)], header="true", inferSchema="true", preferDate="false"))
csv.append(read("infer nan", "csv", [("m.csv", "a,b,c\nNaN,Inf,-Inf\n1,1,1\n")], header="true", inferSchema="true"))
csv.append(read("infer formats", "csv", [("m.csv", "a,b\n01/02/2024,01.02.2024 10:00\n")], header="true", inferSchema="true", dateFormat="dd/MM/yyyy", timestampFormat="dd.MM.yyyy HH:mm"))
csv.append(read("infer two files", "csv", [("a.csv", "x\n1\n"), ("b.csv", "x\n1.5\n")], header="true", inferSchema="true"))
csv.append(read("infer more columns", "csv", [("m.csv", "a,b\n1,2,3\n1\n")], header="true", inferSchema="true"))
csv.append(read("infer ragged", "csv", [("m.csv", "1\n1,2\n")], inferSchema="true"))
csv.append(read("infer multi line", "csv", [("m.csv", 'a,b\n1,"x\ny"\n2,z\n')], header="true", inferSchema="true", multiLine="true"))
# partitions
P = [("k=1/l=a/m.csv", "1,x,1\n"), ("k=2/l=__HIVE_DEFAULT_PARTITION__/m.csv", "2,y,2\n")]
csv.append(read("partitions", "csv", P, ABC))
csv.append(read("partitions pruned", "csv", P, ABC, ["l", "a"]))
csv.append(read("partitions only", "csv", P, ABC, ["k"]))
csv.append(read("partitions given", "csv", P, "k string, " + ABC))
csv.append(read("partitions in file", "csv", [("k=1/m.csv", "9,x\n")], "k int, b string"))
csv.append(read("partition types", "csv", [("a=1/b=3000000000/c=1.5/d=true/e=2024-01-01/f=2024-01-01 00%3A00%3A00/g=x%2Fy/h=12345678901234567890/i=-5/m.csv", "1\n")], "z int"))
csv.append(read("partition mixed", "csv", [("a=1/m.csv", "1\n"), ("a=x/m.csv", "2\n")], "z int"))
csv.append(read("partition mixed numbers", "csv", [("a=1/m.csv", "1\n"), ("a=1.5/m.csv", "2\n"), ("a=3000000000/m.csv", "3\n")], "z int"))
csv.append(read("partition mixed dates", "csv", [("a=2024-01-01/m.csv", "1\n"), ("a=2024-01-01 10%3A00%3A00/m.csv", "2\n")], "z int"))
csv.append(read("partition conflict", "csv", [("a=1/m.csv", "1\n"), ("b=x/m.csv", "2\n")], "z int"))
csv.append(read("partition and plain", "csv", [("a=1/m.csv", "1\n"), ("m.csv", "2\n")], "z int"))
csv.append(read("partition and plain dir", "csv", [("a=1/m.csv", "1\n"), ("sub/m.csv", "2\n")], "z int"))
csv.append(read("partition strings", "csv", [("a=1/m.csv", "1\n"), ("a=02/m.csv", "1\n")], "z int"))
csv.append(read("partition padded", "csv", [("a=01/m.csv", "1\n"), ("a=02/m.csv", "1\n")], "z int"))
save("csv_read.json", csv)

# ---------------------------------------------------------------- json, read
J = "a int, b string, c double, d struct<x:int,y:array<bigint>>, e map<string,int>, _corrupt_record string"
JSONS = "\n".join([
    '{"a":1,"b":"x","c":1.5,"d":{"x":1,"y":[1,2,null]},"e":{"k":1,"l":null}}',
    '{"b":"y"}', '{}', "", '  ', '{"a":"1"}', '{"a":1.5}', '{"a":2147483648}', '{"a":true}', '{"b":1}', '{"b":1.50}', '{"b":true}', '{"b":{"q":1,"r":[1, 2]}}', '{"b":[1,"x"]}',
    '{"c":"NaN"}', '{"c":"Infinity"}', '{"c":"-INF"}', '{"c":NaN}', '{"c":"1.5"}', '{"c":1}', '{"c":1e3}', '{"d":1}', '{"d":[{"x":1}]}', '{"d":{"x":"bad","y":[1]}}', '{"e":[1]}', '{"d":{"y":[1,"x"]}}',
    '{"a":1', '{"a":1}}', '{"a":1} trailing', '{"a":1}{"a":2}', '[{"a":1},{"a":2}]', '[]', '1', '"x"', 'null', 'not json', "{'a':1}", '{a:1}', '{"a":01}', '{"b":"\\u00e9\\n\\q"}', '{"b":"tab\there"}', '{"a":1,"a":2}', '{"a":null,"b":null}', '{"A":7}', '{"z":{"deep":[1,{"x":2}]},"a":3}', '{"a":1,}', '/*c*/{"a":1}', '{"b":"x","a":"zz","c":2}', '{"a":""}', '{"c":""}', '{"b":""}', '{"d":""}', '{"d":{}}', '{"e":{}}', '{"a":-0}', '{"b":-0.0}', '{"b":1E5}', '{"b":123456789012345678901234567890}',
])
js = []
for mode in ("PERMISSIVE", "DROPMALFORMED", "FAILFAST"):
    js.append(read("messy " + mode, "json", [("m.json", JSONS)], J, mode=mode))
js.append(read("messy plain", "json", [("m.json", JSONS)], J.replace(", _corrupt_record string", "")))
js.append(read("messy pruned", "json", [("m.json", JSONS)], J, ["b"]))
js.append(read("lenient", "json", [("m.json", JSONS)], J, allowComments="true", allowUnquotedFieldNames="true", allowNumericLeadingZeros="true", allowBackslashEscapingAnyCharacter="true", allowUnquotedControlChars="true", allowSingleQuotes="true"))
js.append(read("strict", "json", [("m.json", JSONS)], J, allowSingleQuotes="false", allowNonNumericNumbers="false"))
js.append(read("primitives as string", "json", [("m.json", '{"a":1,"b":1.50}\n{"a":true}\n{"a":{"x":1}}\n')], None, primitivesAsString="true"))
js.append(read("multi line object", "json", [("m.json", '{"a":1,\n"b":"x"}')], J, multiLine="true"))
js.append(read("multi line array", "json", [("m.json", '[{"a":1,\n"b":"x"},\n{"a":2}, {"a":"q"}]')], J, multiLine="true"))
js.append(read("multi line several", "json", [("m.json", '{"a":1}\n{"a":2}')], J, multiLine="true"))
js.append(read("multi line bad", "json", [("m.json", '{"a":1,\n"b":')], J, multiLine="true"))
js.append(read("line sep", "json", [("m.json", '{"a":1};{"a":2}')], J, lineSep=";"))
JT = "a tinyint, b smallint, c bigint, d float, e boolean, f decimal(6,2), g date, h timestamp, i timestamp_ntz, j binary, _corrupt_record string"
JTS = "\n".join([
    '{"a":127,"b":-5,"c":9223372036854775807,"d":1.5,"e":true,"f":1234.565,"g":"2024-01-02","h":"2024-01-02 03:04:05","i":"2024-01-02 03:04:05.123456","j":"aGk="}',
    '{"a":128}', '{"b":40000}', '{"c":9223372036854775808}', '{"d":1e40}', '{"e":"true"}', '{"e":1}', '{"f":"12.5"}', '{"f":12345.6}', '{"f":"1,234.5"}', '{"g":"2024-1-2"}', '{"g":5}', '{"g":"01/02/2024"}', '{"h":"2024-01-02T03:04:05.123+02:00"}', '{"h":1700000000}', '{"h":1.5}', '{"h":"x"}', '{"i":"2024-01-02T03:04:05Z"}', '{"i":5}', '{"j":"!!"}', '{"j":1}', '{"d":"1.5"}', '{"f":1e2}', '{"c":1.0}', '{"c":"5"}', '{"g":"2024"}', '{"h":"2024-01-02"}',
])
js.append(read("types", "json", [("m.json", JTS)], JT))
js.append(read("types pattern", "json", [("m.json", '{"g":"02/01/2024","h":"02.01.2024 03:04","i":"03:04 2024"}\n{"g":"2024-01-02"}\n{"h":"2024-01-02 03:04:05"}\n')], JT, dateFormat="dd/MM/yyyy", timestampFormat="dd.MM.yyyy HH:mm", timestampNTZFormat="HH:mm yyyy"))
js.append(read("corrupt only", "json", [("m.json", JSONS)], None, ["_corrupt_record"]))
js.append(read("infer", "json", [("m.json", '{"z":1,"a":"x","n":null,"d":1.5,"b":true,"o":{"y":1,"x":[1,2.5]},"e":[],"q":{}}\n{"z":9223372036854775808,"a":1,"d":2,"o":{"x":["s"]},"t":"2024-01-01","big":12345678901234567890}\n{"m":[{"k":1},{"l":2}],"b":"q"}\n')]))
js.append(read("infer corrupt", "json", [("m.json", '{"a":1}\nbad\n')]))
js.append(read("infer corrupt drop", "json", [("m.json", '{"a":1}\nbad\n')], None, mode="DROPMALFORMED"))
js.append(read("infer corrupt fail", "json", [("m.json", '{"a":1}\nbad\n')], None, mode="FAILFAST"))
js.append(read("infer timestamps", "json", [("m.json", '{"a":"2024-01-01T00:00:00Z","b":"2024-01-01","c":"2024-01-01 00:00:00","d":"x"}\n')], None, inferTimestamp="true"))
js.append(read("infer decimals", "json", [("m.json", '{"a":1.5,"b":12345678901234567890,"c":1e10}\n')], None, prefersDecimal="true"))
js.append(read("infer empty", "json", [("m.json", "")]))
js.append(read("infer blank objects", "json", [("m.json", "{}\n")]))
js.append(read("infer drop all null", "json", [("m.json", '{"a":null,"b":1,"c":[],"d":{}}\n')], None, dropFieldIfAllNull="true"))
js.append(read("infer arrays", "json", [("m.json", '[{"a":1},{"b":2}]\n')]))
js.append(read("infer scalar", "json", [("m.json", '1\n"x"\n')]))
js.append(read("infer case", "json", [("m.json", '{"a":1,"A":2}\n')]))
js.append(read("no file", "json", [("_m.json", "")]))
js.append(read("bad utf8", "json", [("m.json", b'{"b":"\xff\xc3\xa9"}\n')], J))
js.append(read("bom", "json", [("m.json", b'\xef\xbb\xbf{"a":1}\n')], J))
js.append(read("partitions", "json", [("k=1/m.json", '{"a":1}\n')], "a int"))
js.append(read("not null", "json", [("m.json", '{"a":1}\n')], "a int not null, b int not null"))
save("json_read.json", js)

# ---------------------------------------------------------------- text, read
tx = []
tx.append(read("lines", "text", [("a.txt", "x\n\ny\r\nz\rw")]))
tx.append(read("lines with schema", "text", [("a.txt", "x\ny")], "line string"))
tx.append(read("whole", "text", [("a.txt", "x\n\ny\r\n")], None, wholetext="true"))
tx.append(read("line sep", "text", [("a.txt", "x;y\nz;")], None, lineSep=";"))
tx.append(read("two columns", "text", [("a.txt", "x")], "a string, b string"))
tx.append(read("int column", "text", [("a.txt", "x")], "a int"))
tx.append(read("bad utf8", "text", [("a.txt", b"\xffx\n")]))
tx.append(read("empty", "text", [("a.txt", "")]))
tx.append(read("no file", "text", [("_a.txt", "")]))
tx.append(read("partitions", "text", [("k=1/a.txt", "x")]))
tx.append(read("parquet is no text", "parquet", [("a.parquet", "x")]))
tx.append(read("parquet no file", "parquet", [("_a", "x")]))
save("text_read.json", tx)

# ---------------------------------------------------------------- write
ALL = """SELECT * FROM VALUES
 (1Y, 2S, 3, 4L, 1.5F, 2.25D, true, 12.50BD, 'plain', DATE'2024-01-02', TIMESTAMP'2024-01-02 03:04:05.123456', TIMESTAMP_NTZ'2024-01-02 03:04:05.123456', INTERVAL '1-2' YEAR TO MONTH, INTERVAL '1 02:03:04.5' DAY TO SECOND),
 (-1Y, -2S, -3, -4L, 1.0E10F, 1.0E-5D, false, -0.01BD, 'comma, quote" back\\\\slash', DATE'1500-01-01', TIMESTAMP'1900-01-01 00:00:00', TIMESTAMP_NTZ'0001-01-01 00:00:00', INTERVAL '-0-1' YEAR TO MONTH, INTERVAL '-0 00:00:00.000001' DAY TO SECOND),
 (null, null, null, null, null, null, null, null, null, null, null, null, null, null),
 (0Y, 0S, 0, 0L, float('NaN'), double('Infinity'), true, 0.00BD, '', DATE'9999-12-31', TIMESTAMP'2024-07-02 00:00:00', TIMESTAMP_NTZ'2024-07-02 00:00:00', INTERVAL '0-0' YEAR TO MONTH, INTERVAL '0 00:00:00' DAY TO SECOND)
 AS t(a, b, c, d, e, f, g, h, i, j, k, l, m, n)"""
STRINGS = """SELECT * FROM VALUES ('#lead', 'x'), (' sp ', '  '), ('  ', 'y'), ('a\\nb', 'c\\rd'), ('"', '""'), ('a"b', 'a\\\\b'), ('a\\\\', '\\\\"'),
 ('a,b\\\\c"d', 'x,"'), ('\\ttab\\t', '\\u00e9\\u65e5'), ('', null), (null, ''), (null, null), ('"q"', ' "q" '), ('a\\\\b,c', ',') AS t(s, u)"""
NESTED = """SELECT named_struct('start', TIMESTAMP'2024-01-01 00:00:00', 'end', TIMESTAMP'2024-01-01 00:01:00') AS window, 1 AS v,
 array(1, null, 3) AS arr, map('k', 1, 'n', null) AS m, named_struct('x', null, 'y', array(named_struct('z', 1.5D))) AS st, binary('hi') AS bin,
 CAST(null AS string) AS nul, 'quote" \\\\ / \\u00e9 \\u0001 \\t \\n' AS esc, 1.10BD AS dec, 100000000.0D AS dbl, double('NaN') AS nan, float('-Infinity') AS inf, array() AS ea, map() AS em"""
w = []
for fmt in ("csv", "json"):
    w.append(write("all types", fmt, ALL))
    w.append(write("all types zone", fmt, ALL, timeZone="Asia/Kolkata"))
    w.append(write("all types patterns", fmt, ALL, dateFormat="EEE d MMM yyyy", timestampFormat="yyyy-MM-dd HH:mm:ss.SSSSSS VV", timestampNTZFormat="HH:mm:ss"))
    w.append(write("strings", fmt, STRINGS))
    w.append(write("nested", fmt, NESTED))
    w.append(write("gzip", fmt, STRINGS, compression="gzip"))
    w.append(write("line sep", fmt, STRINGS, lineSep="\r\n"))
    w.append(write("empty", fmt, ALL + " WHERE a = 99"))
    w.append(write("unknown option", fmt, "SELECT 1 a", header="true", nonsense="x"))
    w.append(write("bad codec", fmt, "SELECT 1 a", compression="rar"))
    w.append(write("duplicate", fmt, "SELECT 1 a, 2 A"))
w.append(write("header", "csv", ALL, header="true"))
w.append(write("header strings", "csv", "SELECT 1 AS `a,b`, 2 AS ` c `, 3 AS `#d`, 4 AS `e\"f`", header="true"))
w.append(write("header empty", "csv", "SELECT 1 AS a WHERE 1 = 0", header="true"))
w.append(write("quote all", "csv", ALL, quoteAll="true"))
w.append(write("quote all strings", "csv", STRINGS, quoteAll="true"))
w.append(write("no escape quotes", "csv", STRINGS, escapeQuotes="false"))
w.append(write("escape is quote", "csv", STRINGS, escape='"'))
w.append(write("no quote", "csv", STRINGS, quote=""))
w.append(write("sep", "csv", STRINGS, sep="||"))
w.append(write("tab", "csv", STRINGS, sep="\t"))
w.append(write("null and empty", "csv", STRINGS, nullValue="NA", emptyValue="E"))
w.append(write("empty as nothing", "csv", STRINGS, emptyValue=""))
w.append(write("keep blanks", "csv", STRINGS, ignoreLeadingWhiteSpace="false", ignoreTrailingWhiteSpace="false"))
w.append(write("comment", "csv", STRINGS, comment="#"))
w.append(write("one null column", "csv", "SELECT * FROM VALUES (1), (null), (3) AS t(a)"))
w.append(write("one string column", "csv", "SELECT * FROM VALUES ('x'), (''), (null), (' ') AS t(a)"))
w.append(write("binary", "csv", "SELECT binary('x') AS b"))
w.append(write("keep nulls", "json", NESTED, ignoreNullFields="false"))
w.append(write("all types keep nulls", "json", ALL, ignoreNullFields="false"))
w.append(write("pretty", "json", NESTED, pretty="true"))
w.append(write("non ascii", "json", STRINGS, writeNonAsciiCharacterAsCodePoint="true"))
w.append(write("text", "text", "SELECT * FROM VALUES ('x'), (null), (''), ('a\\nb') AS t(s)"))
w.append(write("text sep", "text", "SELECT * FROM VALUES ('x'), ('y') AS t(s)", lineSep=";"))
w.append(write("text two columns", "text", STRINGS))
w.append(write("text int", "text", "SELECT 1 AS a"))
save("write.json", w)

# ---------------------------------------------------------------- patterns
spark.conf.set("spark.sql.ansi.enabled", "false")
pt = {"format": [], "parse": []}
STAMPS = ["2024-03-05 14:07:09.012345", "2024-07-01 00:00:00", "1999-12-31 23:59:59.999999", "0044-03-15 12:00:00"]
FORMATS = ["yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]", "y yy yyy yyyy yyyyy yyyyyy", "M MM MMM MMMM L LL LLL LLLL", "d dd D DDD", "E EE EEE EEEE", "h hh H HH k kk K KK", "m mm s ss", "S SS SSS SSSSSS SSSSSSSSS",
           "a", "G GGGG yyyy", "Q QQ QQQ QQQQ q", "F", "X XX XXX XXXX XXXXX", "x xx xxx xxxx xxxxx", "Z ZZ ZZZ ZZZZ ZZZZZ", "O OOOO", "VV", "z zz zzz", "zzzz", "''yyyy''", "'it''s' yyyy", "[yyyy[-MM]]", "YYYY", "w", "u", "e", "c", "MMMMM", "A", "n", "dddd", "yyyy-MM-dd'", "yyyy{", "ss#", "VVV", "aa", "DD", "hh:mm a", "B", "p", "T"]
for p in FORMATS:
    row = []
    for s in STAMPS:
        try:
            row.append(spark.sql("SELECT date_format(TIMESTAMP'%s', \"%s\")" % (s, p.replace('"', '\\"'))).collect()[0][0])
        except Exception as e:
            row.append({"error": error_of(e, "")["condition"] or error_of(e, "")["text"][:200]})
    pt["format"].append([p, row])
PARSE = [("yyyy-MM-dd HH:mm:ss", ["2024-03-05 14:07:09", "2024-3-5 14:07:09", "2024-03-05 24:00:00", "2024-03-05 14:07", "+2024-03-05 14:07:09", "12024-03-05 14:07:09", "2024-02-30 00:00:00"]),
         ("yyyyMMddHHmmss", ["20240305140709", "2024030514070"]), ("yyyyMMddHHmmssSSS", ["20240305140709123", "202403051407091"]), ("yyyyMMdd", ["20240305", "120240305", "2024035"]),
         ("yyyy-MM-dd'T'HH:mm:ss[.SSSSSS][XXX]", ["2024-03-05T14:07:09", "2024-03-05T14:07:09.5", "2024-03-05T14:07:09.123456Z", "2024-03-05T14:07:09+02:00", "2024-03-05t14:07:09"]),
         ("dd/MM/yyyy hh:mm a", ["05/03/2024 02:07 PM", "05/03/2024 02:07 pm", "05/03/2024 14:07 PM", "05/03/2024 12:00 AM"]), ("MMM d, yyyy", ["Mar 5, 2024", "mar 5, 2024", "March 5, 2024", "Foo 5, 2024"]), ("MMMM d yyyy", ["March 5 2024", "Mar 5 2024"]),
         ("HH:mm", ["14:07"]), ("hh:mm", ["02:07", "13:00"]), ("a", ["PM"]), ("kk:mm", ["24:00", "00:30"]), ("KK:mm a", ["00:30 PM", "12:00 AM"]), ("yyyy-DDD", ["2024-065", "2023-366"]), ("yy-MM-dd", ["24-03-05", "99-01-01"]), ("y-M-d", ["2024-3-5", "-5-3-5", "0-1-1"]),
         ("yyyy-MM-dd VV", ["2024-03-05 Europe/Berlin", "2024-03-05 +01:00", "2024-03-05 Nowhere/X"]), ("yyyy-MM-dd z", ["2024-03-05 PST", "2024-03-05 UTC", "2024-07-05 PDT"]), ("yyyy-MM-dd XX", ["2024-03-05 +0130", "2024-03-05 Z"]), ("yyyy-MM-dd Z", ["2024-03-05 +0130", "2024-03-05 -0800"]), ("yyyy-MM-dd O", ["2024-03-05 GMT+1", "2024-03-05 GMT+01:30"]),
         ("yyyy G", ["2024 AD", "44 BC"]), ("SSS", ["5", "123", "1234"]), ("ss.SS", ["09.5", "09.123"]), ("E", ["Mon"]), ("yyyy-MM-dd HH", ["2024-03-05 14"]), ("yyyy-MM-dd HH:mm:ss", ["2024-03-10 02:30:00"]), ("yyyy MM", ["2024 03"]), ("MM yyyy dd yyyy", ["03 2024 05 2024", "03 2024 05 2025"]), ("yyyy-MM-dd", ["2024-03-05 ", " 2024-03-05", "2024-03-05T00"])]
for p, texts in PARSE:
    row = []
    for t in texts:
        try:
            v = spark.sql("SELECT CAST(unix_micros(try_to_timestamp('%s', \"%s\")) AS string)" % (t, p)).collect()[0][0]
            row.append([t, v])
        except Exception as e:
            row.append([t, {"error": error_of(e, "")["condition"] or error_of(e, "")["text"][:200]}])
    pt["parse"].append([p, row])
with open(os.path.join(HERE, "patterns.json"), "w") as f:
    json.dump(pt, f, indent=1, ensure_ascii=False)
    f.write("\n")
spark.stop()
shutil.rmtree(WORK)
