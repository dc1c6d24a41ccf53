//! JSON text: `to_json`, `from_json`, `get_json_object`.

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray},
        datatypes::{
            DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
            Int64Type, TimestampMicrosecondType,
        },
    },
    common::ScalarValue,
};
use millstream_engine::{
    Result, SparkError,
    format::{
        date_pattern::DatePattern,
        datetime_text, number_text,
        value_text::{TextStyle, write_date, write_decimal, write_double, write_float, writer},
    },
    time::Zone,
};
use serde_json::Value;

use super::{
    Args, Call, Function, Kernel, Output, SessionZone, collection::span, custom, kernel, kernel_call,
    literal_text, unexpected_input,
};
use crate::{
    expression::{Input, TypedExpr},
    types,
};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["to_json"], 1, 2, to_json),
    custom(&["from_json"], 2, 3, from_json),
    kernel(&["get_json_object"], &[Input::String, Input::String], 2, Output::String, get_json_object)
        .may_be_null(),
];

fn no_options(call: &Call, count: usize) -> Result<()> {
    if call.args.len() > count {
        return Err(SparkError::unsupported(format!("options of the function `{}`", call.name)));
    }
    Ok(())
}

/// `to_json(struct, array or map)`: null fields are left out.
fn to_json(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    no_options(&call, 1)?;
    let sql = call.sql_as("to_json");
    let child = call.one()?;
    if !matches!(child.data_type(), DataType::Struct(_) | DataType::List(_) | DataType::Map(..)) {
        return Err(SparkError::new("DATATYPE_MISMATCH.INVALID_JSON_SCHEMA")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("schema", format!("\"{}\"", types::sql_name(child.data_type()))));
    }
    let nullable = child.nullable();
    let f: Kernel = |args| {
        let array = args.array(0)?;
        args.build_strings(|row, out| {
            write(array.as_ref(), row, args.evaluation.zone, out)?;
            Ok(true)
        })
    };
    let expr = kernel_call("to_json", f, vec![child.expr], DataType::Utf8, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Utf8, nullable, sql))
}

fn quoted(text: &str, out: &mut String) {
    out.push_str(&Value::from(text).to_string());
}

/// Spark's default timestamp pattern of JSON and CSV.
const TIMESTAMP: &str = "yyyy-MM-dd'T'HH:mm:ss.SSSXXX";
const TIMESTAMP_NTZ: &str = "yyyy-MM-dd'T'HH:mm:ss.SSS";

fn write(array: &dyn Array, row: usize, zone: Zone, out: &mut String) -> Result<()> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    let float = |text: String, finite: bool, out: &mut String| {
        if finite { out.push_str(&text) } else { quoted(&text, out) }
    };
    match array.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => out.push_str(&array.as_primitive::<Int8Type>().value(row).to_string()),
        DataType::Int16 => out.push_str(&array.as_primitive::<Int16Type>().value(row).to_string()),
        DataType::Int32 => out.push_str(&array.as_primitive::<Int32Type>().value(row).to_string()),
        DataType::Int64 => out.push_str(&array.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Float32 => {
            let v = array.as_primitive::<Float32Type>().value(row);
            let mut text = String::new();
            write_float(v, &mut text);
            float(text, v.is_finite(), out);
        }
        DataType::Float64 => {
            let v = array.as_primitive::<Float64Type>().value(row);
            let mut text = String::new();
            write_double(v, &mut text);
            float(text, v.is_finite(), out);
        }
        DataType::Decimal128(_, s) => {
            write_decimal(array.as_primitive::<Decimal128Type>().value(row), i32::from(*s), true, out);
        }
        DataType::Utf8 => quoted(array.as_string::<i32>().value(row), out),
        DataType::Date32 => {
            let mut text = String::new();
            write_date(i64::from(array.as_primitive::<Date32Type>().value(row)), &mut text);
            quoted(&text, out);
        }
        DataType::Timestamp(_, own) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let mut text = String::new();
            if own.is_some() {
                DatePattern::formatter(TIMESTAMP)?.format_timestamp(micros, zone, &mut text)?;
            } else {
                DatePattern::formatter(TIMESTAMP_NTZ)?.format_timestamp_ntz(micros, &mut text)?;
            }
            quoted(&text, out);
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            out.push('[');
            for (n, i) in span(list, row).enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(list.values().as_ref(), i, zone, out)?;
            }
            out.push(']');
        }
        DataType::Struct(fields) => {
            let structs = array.as_struct();
            out.push('{');
            let mut first = true;
            for (field, column) in fields.iter().zip(structs.columns()) {
                if column.is_null(row) || *column.data_type() == DataType::Null {
                    continue;
                }
                if !first {
                    out.push(',');
                }
                first = false;
                quoted(field.name(), out);
                out.push(':');
                write(column.as_ref(), row, zone, out)?;
            }
            out.push('}');
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let session = SessionZone(zone);
            let key = writer(map.keys().as_ref(), &session, TextStyle::Cast { ansi: true })?;
            let offsets = map.value_offsets();
            let range =
                usize::try_from(offsets[row]).unwrap_or(0)..usize::try_from(offsets[row + 1]).unwrap_or(0);
            out.push('{');
            for (n, i) in range.enumerate() {
                if n > 0 {
                    out.push(',');
                }
                let mut text = String::new();
                key(i, &mut text);
                quoted(&text, out);
                out.push(':');
                write(map.values().as_ref(), i, zone, out)?;
            }
            out.push('}');
        }
        other => return Err(SparkError::unsupported(format!("{} in `to_json`", types::sql_name(other)))),
    }
    Ok(())
}

/// `from_json(text, schema)`: PERMISSIVE; text that is no JSON gives null fields.
fn from_json(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    no_options(&call, 2)?;
    let (child, schema) = call.two()?;
    let sql = format!("from_json({})", child.sql);
    let text = literal_text(&schema, "from_json", "schema")?;
    let t = if text.trim_start().starts_with(['{', '"']) {
        types::from_json(text)?
    } else {
        types::parse_ddl(text)?
    };
    let t = nullable_inside(&t);
    let Some(child) = Input::String.coerce(child.clone(), conf) else {
        return Err(unexpected_input(&sql, 0, "\"STRING\"", &child));
    };
    let f: Kernel = |args| {
        let texts = args.strings(0)?;
        let t = args.return_type;
        let mut rows = Vec::with_capacity(args.rows);
        for text in &texts {
            rows.push(match text {
                None => ScalarValue::try_from(t)?,
                Some(text) if text.trim().is_empty() => ScalarValue::try_from(t)?,
                Some(text) => {
                    let value = serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
                    root(&value, t, args.evaluation.zone)?
                }
            });
        }
        Ok(ScalarValue::iter_to_array(rows)?)
    };
    let expr = kernel_call("from_json", f, vec![child.expr], t.clone(), true, evaluation);
    Ok(TypedExpr::new(expr, t, true, sql))
}

/// Everything read from text may be null.
fn nullable_inside(t: &DataType) -> DataType {
    match t {
        DataType::List(field) => types::list_of(nullable_inside(field.data_type()), true),
        DataType::Map(entries, _) => match crate::expression::coercion::map_fields(entries) {
            Some((key, value)) => {
                types::map_of(nullable_inside(key.data_type()), nullable_inside(value.data_type()), true)
            }
            None => t.clone(),
        },
        DataType::Struct(fields) => {
            types::struct_of(fields.iter().map(|f| {
                f.as_ref().clone().with_data_type(nullable_inside(f.data_type())).with_nullable(true)
            }))
        }
        other => other.clone(),
    }
}

/// The whole text: a struct always exists, its fields null where the text does not fit.
fn root(value: &Value, t: &DataType, zone: Zone) -> Result<ScalarValue> {
    match (t, value) {
        (DataType::Struct(_), Value::Object(_)) => convert(value, t, zone),
        // A single object in an array counts as that object.
        (DataType::Struct(_), Value::Array(items)) if items.len() == 1 => root(&items[0], t, zone),
        (DataType::Struct(_), _) => convert(&Value::Object(serde_json::Map::new()), t, zone),
        (DataType::List(element), Value::Object(_)) if matches!(element.data_type(), DataType::Struct(_)) => {
            convert(&Value::Array(vec![value.clone()]), t, zone)
        }
        _ => convert(value, t, zone),
    }
}

/// A JSON value as a value of type `t`, null where it does not fit.
fn convert(value: &Value, t: &DataType, zone: Zone) -> Result<ScalarValue> {
    use datafusion::arrow::array::{ListArray, MapArray, StructArray, new_empty_array};
    use datafusion::arrow::buffer::OffsetBuffer;
    use std::sync::Arc;
    let null = || Ok(ScalarValue::try_from(t)?);
    let long = || value.as_i64();
    let found = match (t, value) {
        (_, Value::Null) => return null(),
        (DataType::Utf8, Value::String(text)) => Some(ScalarValue::Utf8(Some(text.clone()))),
        (DataType::Utf8, other) => Some(ScalarValue::Utf8(Some(other.to_string()))),
        (DataType::Boolean, Value::Bool(v)) => Some(ScalarValue::Boolean(Some(*v))),
        (DataType::Int8, Value::Number(_)) => {
            long().and_then(|v| i8::try_from(v).ok()).map(|v| ScalarValue::Int8(Some(v)))
        }
        (DataType::Int16, Value::Number(_)) => {
            long().and_then(|v| i16::try_from(v).ok()).map(|v| ScalarValue::Int16(Some(v)))
        }
        (DataType::Int32, Value::Number(_)) => {
            long().and_then(|v| i32::try_from(v).ok()).map(|v| ScalarValue::Int32(Some(v)))
        }
        (DataType::Int64, Value::Number(_)) => long().map(|v| ScalarValue::Int64(Some(v))),
        (DataType::Float32, Value::Number(n)) => n.as_f64().map(|v| ScalarValue::Float32(Some(v as f32))),
        (DataType::Float64, Value::Number(n)) => n.as_f64().map(|v| ScalarValue::Float64(Some(v))),
        (DataType::Float32 | DataType::Float64, Value::String(text)) => {
            let special = match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" | "+Infinity" | "INF" | "+INF" => Some(f64::INFINITY),
                "-Infinity" | "-INF" => Some(f64::NEG_INFINITY),
                _ => None,
            };
            special.map(|v| match t {
                DataType::Float32 => ScalarValue::Float32(Some(v as f32)),
                _ => ScalarValue::Float64(Some(v)),
            })
        }
        (DataType::Decimal128(p, s), Value::Number(n)) => {
            number_text::parse_decimal(n.to_string().as_bytes(), *p, *s)
                .map(|v| ScalarValue::Decimal128(Some(v), *p, *s))
        }
        (DataType::Decimal128(p, s), Value::String(text)) => {
            number_text::parse_decimal(text.as_bytes(), *p, *s)
                .map(|v| ScalarValue::Decimal128(Some(v), *p, *s))
        }
        (DataType::Date32, Value::String(text)) => {
            datetime_text::parse_date(text.as_bytes()).map(|v| ScalarValue::Date32(Some(v)))
        }
        (DataType::Timestamp(_, Some(_)), Value::String(text)) => {
            datetime_text::parse_timestamp(text.as_bytes(), zone)
                .map(|v| ScalarValue::TimestampMicrosecond(Some(v), Some(types::TIMESTAMP_ZONE.into())))
        }
        (DataType::Timestamp(_, Some(_)), Value::Number(_)) => long()
            .and_then(|v| v.checked_mul(1_000_000))
            .map(|v| ScalarValue::TimestampMicrosecond(Some(v), Some(types::TIMESTAMP_ZONE.into()))),
        (DataType::Timestamp(_, None), Value::String(text)) => {
            datetime_text::parse_timestamp_ntz(text.as_bytes(), false)
                .map(|v| ScalarValue::TimestampMicrosecond(Some(v), None))
        }
        (DataType::List(field), Value::Array(items)) => {
            let values = items
                .iter()
                .map(|item| convert(item, field.data_type(), zone))
                .collect::<Result<Vec<_>>>()?;
            let values = if values.is_empty() {
                new_empty_array(field.data_type())
            } else {
                ScalarValue::iter_to_array(values)?
            };
            let offsets = OffsetBuffer::from_lengths([values.len()]);
            Some(ScalarValue::List(Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, None)?)))
        }
        (DataType::Struct(fields), Value::Object(object)) => {
            let columns = fields
                .iter()
                .map(|f| {
                    Ok(convert(object.get(f.name()).unwrap_or(&Value::Null), f.data_type(), zone)?
                        .to_array()?)
                })
                .collect::<Result<Vec<ArrayRef>>>()?;
            Some(ScalarValue::Struct(Arc::new(StructArray::try_new_with_length(
                fields.clone(),
                columns,
                None,
                1,
            )?)))
        }
        (DataType::Map(entries, sorted), Value::Object(object)) => {
            let DataType::Struct(fields) = entries.data_type() else { return null() };
            let (Some(key), Some(field)) = (fields.first(), fields.get(1)) else { return null() };
            if *key.data_type() != DataType::Utf8 {
                return Err(SparkError::unsupported("`from_json` into a map without string keys"));
            }
            let keys = ScalarValue::iter_to_array(object.keys().map(|k| ScalarValue::from(k.as_str())));
            let values =
                object.values().map(|v| convert(v, field.data_type(), zone)).collect::<Result<Vec<_>>>()?;
            let (keys, values) = if values.is_empty() {
                (new_empty_array(&DataType::Utf8), new_empty_array(field.data_type()))
            } else {
                (keys?, ScalarValue::iter_to_array(values)?)
            };
            let offsets = OffsetBuffer::from_lengths([keys.len()]);
            let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
            Some(ScalarValue::Map(Arc::new(MapArray::try_new(
                Arc::clone(entries),
                offsets,
                pairs,
                None,
                *sorted,
            )?)))
        }
        (t, _)
            if !matches!(
                t,
                DataType::Int8
                    | DataType::Int16
                    | DataType::Int32
                    | DataType::Int64
                    | DataType::Float32
                    | DataType::Float64
                    | DataType::Boolean
                    | DataType::Decimal128(..)
                    | DataType::Date32
                    | DataType::Timestamp(..)
                    | DataType::List(_)
                    | DataType::Struct(_)
                    | DataType::Map(..)
            ) =>
        {
            return Err(SparkError::unsupported(format!("{} in `from_json`", types::sql_name(t))));
        }
        _ => None,
    };
    found.map_or_else(null, Ok)
}

/// A step of a JSON path.
enum Step {
    Field(String),
    Index(usize),
    Every,
}

/// `$.a.b[0]['c'][*]`, `None` when it is no path.
fn path(text: &str) -> Option<Vec<Step>> {
    let mut rest = text.trim().strip_prefix('$')?;
    let mut out = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            if name.is_empty() {
                return None;
            }
            out.push(if name == "*" { Step::Every } else { Step::Field(name.to_string()) });
            rest = tail;
        } else {
            let (inside, tail) = rest.strip_prefix('[')?.split_once(']')?;
            out.push(match inside.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
                Some(name) => Step::Field(name.to_string()),
                None if inside == "*" => Step::Every,
                None => Step::Index(inside.parse().ok()?),
            });
            rest = tail;
        }
    }
    Some(out)
}

fn follow<'v>(value: &'v Value, steps: &[Step], found: &mut Vec<&'v Value>) {
    let Some((step, rest)) = steps.split_first() else {
        found.push(value);
        return;
    };
    match (step, value) {
        (Step::Field(name), Value::Object(object)) => {
            if let Some(next) = object.get(name) {
                follow(next, rest, found);
            }
        }
        // A field of an array is that of each of its objects.
        (Step::Field(_), Value::Array(items)) => items.iter().for_each(|item| follow(item, steps, found)),
        (Step::Index(i), Value::Array(items)) => {
            if let Some(next) = items.get(*i) {
                follow(next, rest, found);
            }
        }
        (Step::Every, Value::Array(items)) => items.iter().for_each(|item| follow(item, rest, found)),
        _ => {}
    }
}

fn get_json_object(args: &Args) -> Result<ArrayRef> {
    let (texts, paths) = (args.strings(0)?, args.strings(1)?);
    args.build_strings(|row, out| {
        let Some(steps) = path(paths.value(row)) else { return Ok(false) };
        let Ok(value) = serde_json::from_str::<Value>(texts.value(row)) else { return Ok(false) };
        let mut found = Vec::new();
        follow(&value, &steps, &mut found);
        match found.as_slice() {
            [] | [Value::Null] => return Ok(false),
            [Value::String(text)] => out.push_str(text),
            [one] => out.push_str(&one.to_string()),
            many => {
                let all: Vec<String> = many.iter().map(|v| v.to_string()).collect();
                out.push_str(&format!("[{}]", all.join(",")));
            }
        }
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_fields_and_elements() {
        let value: Value =
            serde_json::from_str(r#"{"a":{"b":[1,{"c":"x"}]},"d":[{"e":1},{"e":2}]}"#).unwrap();
        for (text, expected) in [("$.a.b[1].c", 1), ("$['a'].b", 1), ("$.d[*].e", 2), ("$.z", 0)] {
            let mut found = Vec::new();
            follow(&value, &path(text).unwrap(), &mut found);
            assert_eq!(found.len(), expected, "{text}");
        }
        assert!(path("a.b").is_none());
    }
}
