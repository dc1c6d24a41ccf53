//! Every recorded expression: its name, type and values, or its error.
//!
//! `tests/golden/record_functions.py` recorded them; a case is the Connect message a
//! client sends. An answer of ours may be "not supported yet", never another value.
//! `FUNCTIONS_REPORT=path` writes what differs, one line a case.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use chrono_tz::Tz;
use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
            Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray,
            TimestampMicrosecondArray,
        },
        datatypes::{DataType, Field, Schema},
    },
    common::DFSchema,
    logical_expr::{Expr, col},
    prelude::SessionContext,
};
use millstream_engine::{
    Result, SparkError,
    format::value_text::{TextStyle, to_text},
    time::WindowSpec,
};
use millstream_spark::{
    SessionConf,
    expression::{self, Scope, TypedExpr},
    sql, types,
};
use millstream_testkit::golden;
use prost::Message;
use serde_json::Value;
use spark_connect_proto as proto;

/// Cases that differ for a reason we accept: family, start of the case, why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("arithmetic", "1 + c(", "the classic API turns it round, a Connect client does not"),
    ("arithmetic", "1 * c(", "as above"),
    ("arithmetic", "2.5 + c(", "as above"),
    ("arithmetic", "2.5 * c(", "as above"),
    ("arithmetic", "c('i') / lit(D(", "a Connect client declares decimal(10,0)"),
    ("arithmetic", "lit(D('1.23'))", "as above"),
    ("literal", "lit(D(", "as above"),
    ("arithmetic", "c('dt') - c('dt')", "shown as DAY TO SECOND: Arrow has no interval fields"),
    ("arithmetic", "-c('big')", "Spark rounds the negative of a decimal to 34 digits"),
    ("math", "F.negative('big')", "as above"),
    ("cast", "c('big').cast('timestamp')", "Spark goes by way of 34 digits"),
    ("cast_text", "lit('12:30').cast('timestamp')", "a time without date is today's in Spark"),
    ("cast_text", "lit('T12:30:45').cast('timestamp')", "as above"),
    ("cast_text", "lit('294247-01-10 04:00:54.775807')", "the end of the range, moved by the zone"),
    (
        "cast_text",
        "lit('epoch').cast('date')",
        "special words are read in literals only by Spark's optimizer",
    ),
    ("arithmetic", "sql:dt - dt", "shown as DAY TO SECOND: Arrow has no interval fields"),
    ("arithmetic", "sql:-i", "the SQL parser sends `negative`, as a client does"),
    ("arithmetic", "sql:d div 2", "Spark casts a double to bigint for div"),
    ("date_time", "sql:-INTERVAL", "intervals are shown with all their fields: Arrow has none"),
    ("date_time", "sql:INTERVAL", "as above"),
    ("date_time", "sql:abs(INTERVAL", "as above"),
    ("date_time", "sql:DATE '2024-01-31' + INTERVAL", "as above"),
    ("date_time", "sql:dt + INTERVAL", "as above"),
    ("date_time", "sql:ts + INTERVAL", "as above"),
    ("date_time", "sql:ts - INTERVAL", "as above"),
    ("date_time", "sql:ntz + INTERVAL", "as above"),
    ("date_time", "sql:TIMESTAMP '2024", "the SQL parser sends a cast, for it knows no time zone"),
    ("date_time", "sql:dateadd(DAY", "units are not parsed yet"),
    ("date_time", "sql:datediff(DAY", "as above"),
    ("date_time", "F.date_format('ts', \"z\")", "before standard time Spark shows the zone's later name"),
    ("cast_try", "c('big').try_cast('timestamp')", "Spark goes by way of 34 digits"),
    ("collection", "F.version()", "the revision is ours"),
    (
        "collection",
        "F.array('i', 'l')[2]",
        "Spark knows that a literal index out of range never gives a null",
    ),
    ("collection", "F.element_at(F.array('i', 'l'), 3)", "as above"),
    ("collection", "F.array(F.struct('i'))['i']", "Spark shows the inner struct's names twice"),
    ("string", "F.unbase64('str')", "Spark fails with a plain Java exception"),
    ("aggregate", "F.sum('ts')", "Spark casts the timestamp to double"),
];

struct Input {
    batch: RecordBatch,
    schema: DFSchema,
}

impl Scope for Input {
    fn resolve(&self, parts: &[String], _: Option<i64>, _: bool) -> Result<TypedExpr> {
        let [name] = parts else { return Err(SparkError::unsupported("a qualified name")) };
        let schema = self.batch.schema();
        match schema.fields().iter().find(|f| f.name().eq_ignore_ascii_case(name)) {
            Some(field) => Ok(TypedExpr::attribute(col(field.name()), Arc::clone(field), name)),
            None => {
                Err(SparkError::new("UNRESOLVED_COLUMN.WITH_SUGGESTION")
                    .with("objectName", format!("`{name}`")))
            }
        }
    }

    fn columns(&self, _: &[String], _: Option<i64>) -> Result<Vec<TypedExpr>> {
        let schema = self.batch.schema();
        schema.fields().iter().map(|f| self.resolve(&[f.name().clone()], None, false)).collect()
    }

    fn parse_expression(&self, text: &str) -> Result<proto::Expression> {
        sql::parse_expression(text)
    }

    fn parse_type(&self, text: &str) -> Result<DataType> {
        types::parse_data_type(text)
    }

    fn is_streaming(&self) -> bool {
        false
    }

    fn session_window(&self, _: TypedExpr, _: TypedExpr) -> Result<TypedExpr> {
        Err(SparkError::unsupported("windows"))
    }
    fn window(&self, _: TypedExpr, _: WindowSpec) -> Result<TypedExpr> {
        Err(SparkError::unsupported("a window without relation"))
    }
}

fn input() -> Input {
    let recorded = golden::json("functions/input.json").unwrap();
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for column in recorded.as_array().unwrap() {
        let data_type = types::parse_data_type(column["type"].as_str().unwrap()).unwrap();
        let texts: Vec<Option<&str>> =
            column["values"].as_array().unwrap().iter().map(Value::as_str).collect();
        fields.push(Field::new(column["name"].as_str().unwrap(), data_type.clone(), true));
        columns.push(array_of(&texts, &data_type));
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    Input { batch, schema: DFSchema::try_from(schema).unwrap() }
}

fn array_of(texts: &[Option<&str>], data_type: &DataType) -> ArrayRef {
    macro_rules! parsed {
        ($array:ty) => {
            Arc::new(texts.iter().map(|t| t.map(|t| t.parse().unwrap())).collect::<$array>())
        };
    }
    match data_type {
        DataType::Boolean => parsed!(BooleanArray),
        DataType::Int8 => parsed!(Int8Array),
        DataType::Int16 => parsed!(Int16Array),
        DataType::Int32 => parsed!(Int32Array),
        DataType::Int64 => parsed!(Int64Array),
        DataType::Float32 => parsed!(Float32Array),
        DataType::Float64 => parsed!(Float64Array),
        DataType::Date32 => parsed!(Date32Array),
        DataType::Timestamp(..) => {
            let micros =
                texts.iter().map(|t| t.map(|t| t.parse().unwrap())).collect::<TimestampMicrosecondArray>();
            Arc::new(micros.with_data_type(data_type.clone()))
        }
        DataType::Decimal128(_, scale) => {
            let unscaled = |t: &str| -> i128 {
                let (whole, fraction) = t.split_once('.').unwrap_or((t, ""));
                format!("{whole}{fraction:0<width$}", width = usize::try_from(*scale).unwrap())
                    .parse()
                    .unwrap()
            };
            let values = texts.iter().map(|t| t.map(unscaled)).collect::<Decimal128Array>();
            Arc::new(values.with_data_type(data_type.clone()))
        }
        DataType::Binary => {
            let bytes = |t: &str| {
                (0..t.len() / 2)
                    .map(|i| u8::from_str_radix(&t[2 * i..2 * i + 2], 16).unwrap())
                    .collect::<Vec<u8>>()
            };
            Arc::new(texts.iter().map(|t| t.map(bytes)).collect::<BinaryArray>())
        }
        _ => Arc::new(texts.iter().copied().collect::<StringArray>()),
    }
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for byte in text.bytes().filter(|b| *b != b'=') {
        let digit = ALPHABET.iter().position(|a| *a == byte).unwrap();
        bits = bits << 6 | u32::try_from(digit).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    out
}

/// What the values of a result look like: a text or an error class each.
fn texts(array: &ArrayRef, conf: &SessionConf) -> Vec<Option<String>> {
    if let Some(binary) = array.as_binary_opt::<i32>() {
        return binary.iter().map(|v| v.map(|v| v.iter().map(|b| format!("{b:02X}")).collect())).collect();
    }
    let zone: Tz = conf.time_zone_id.parse().unwrap();
    let strings = to_text(array, &zone, TextStyle::Cast { ansi: conf.ansi }).unwrap();
    strings.iter().map(|t| t.map(str::to_string)).collect()
}

fn evaluate(expr: &Expr, input: &Input, rows: &RecordBatch) -> Result<ArrayRef> {
    let context = SessionContext::new();
    let physical = context.create_physical_expr(expr.clone(), &input.schema)?;
    Ok(physical.evaluate(rows)?.into_array(rows.num_rows())?)
}

/// The same text, or the same double within one unit in the last place.
fn same(expected: &str, got: &str, data_type: &str) -> bool {
    if expected == got {
        return true;
    }
    if data_type != "double" && data_type != "float" {
        return false;
    }
    match (expected.parse::<f64>(), got.parse::<f64>()) {
        (Ok(a), Ok(b)) if data_type == "float" => a as f32 == b as f32,
        (Ok(a), Ok(b)) => {
            a == b || (a.is_sign_positive() == b.is_sign_positive() && a.to_bits().abs_diff(b.to_bits()) <= 2)
        }
        _ => false,
    }
}

/// `None` when it agrees, otherwise what differs.
fn check(case: &Value, input: &Input, conf: &SessionConf) -> Option<String> {
    let message = proto::Expression::decode(base64(case["proto"].as_str().unwrap()).as_slice()).unwrap();
    let typed = match expression::resolve(&message, input, conf) {
        Ok(typed) => typed,
        Err(error) => return wrong_error(case.get("error"), &error),
    };
    if let Some(class) = case["error"].as_str() {
        return Some(format!("resolved as {} instead of {class}", typed.name));
    }
    let (name, data_type) = (case["name"].as_str().unwrap(), case["type"].as_str().unwrap());
    if typed.name != name {
        return Some(format!("name {} instead of {name}", typed.name));
    }
    let own = types::simple_string(typed.data_type());
    if own != data_type && !data_type.starts_with("interval") {
        return Some(format!("type {own} instead of {data_type}"));
    }
    if case["nullable"] == Value::Bool(false) && typed.nullable() {
        return Some("nullable".to_string());
    }
    if matches!(&typed.expr, Expr::AggregateFunction(_))
        || name.contains("rand")
        || case["case"].as_str().unwrap().contains("sum(")
    {
        return None;
    }
    let recorded = case["values"].as_array()?;
    for (row, expected) in recorded.iter().enumerate() {
        let got = evaluate(&typed.expr, input, &input.batch.slice(row, 1));
        let differs = match (expected, got) {
            (Value::Object(error), Ok(array)) => {
                Some(format!("{:?} instead of {}", texts(&array, conf)[0], error["error"]))
            }
            (Value::Object(error), Err(own)) => wrong_error(error.get("error"), &own),
            (_, Err(error)) => wrong_error(None, &error),
            (expected, Ok(array)) => {
                if array.data_type() != typed.data_type() {
                    return Some(format!(
                        "evaluates to {} instead of {}",
                        array.data_type(),
                        typed.data_type()
                    ));
                }
                if array.is_null(0) && !typed.nullable() {
                    return Some("null in a column that is not nullable".to_string());
                }
                let got = texts(&array, conf)[0].clone();
                match (expected.as_str(), got.as_deref()) {
                    (None, None) => None,
                    (Some(a), Some(b)) if same(a, b, data_type) => None,
                    (a, b) => Some(format!("{b:?} instead of {a:?}")),
                }
            }
        };
        if let Some(differs) = differs {
            return Some(format!("row {row}: {differs}"));
        }
    }
    // All rows at once give the same as one by one.
    if recorded.iter().all(|v| !v.is_object()) {
        match evaluate(&typed.expr, input, &input.batch) {
            Err(error) => return wrong_error(None, &error),
            Ok(array) => {
                for (row, got) in texts(&array, conf).into_iter().enumerate() {
                    match (recorded[row].as_str(), got.as_deref()) {
                        (None, None) => {}
                        (Some(a), Some(b)) if same(a, b, data_type) => {}
                        (a, b) => return Some(format!("together row {row}: {b:?} instead of {a:?}")),
                    }
                }
            }
        }
    }
    None
}

fn wrong_error(expected: Option<&Value>, own: &SparkError) -> Option<String> {
    match expected.and_then(Value::as_str) {
        Some(class) if class == own.class() => None,
        Some(class) => Some(format!("{own} instead of {class}")),
        None => Some(own.to_string()),
    }
}

fn run(family: &str) {
    let input = input();
    let groups = golden::json(&format!("functions/{family}.json")).unwrap();
    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    let (mut agreed, mut unsupported) = (0, 0);
    for group in groups.as_array().unwrap() {
        let mut conf = SessionConf::new(group["zone"].as_str().unwrap());
        conf.ansi = group["ansi"].as_bool().unwrap();
        for case in group["cases"].as_array().unwrap() {
            let text = case["case"].as_str().unwrap();
            if DIFFERENCES.iter().any(|(f, start, _)| *f == family && text.starts_with(start)) {
                continue;
            }
            match check(case, &input, &conf) {
                None => agreed += 1,
                Some(differs) if differs.contains("UNSUPPORTED_FEATURE.MILLSTREAM") => unsupported += 1,
                Some(differs) => {
                    let key = format!("{family} {} ansi={} {text}", conf.time_zone_id, conf.ansi);
                    wrong.insert(key, differs);
                }
            }
        }
    }
    let mut report = String::new();
    for (case, differs) in &wrong {
        let _ = writeln!(report, "{case}\n    {differs}");
    }
    let summary = format!("{family}: {agreed} agree, {unsupported} unsupported, {} differ", wrong.len());
    if let Ok(path) = std::env::var("FUNCTIONS_REPORT") {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{summary}\n{report}").unwrap();
    }
    assert!(wrong.is_empty(), "{summary}\n{report}");
}

macro_rules! families {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*
    };
}

families! { literal arithmetic comparison conditional cast cast_text cast_try math string date_time collection aggregate }
