//! What a type is called: `simpleString`, `catalogString`, `sql` and `typeName`.

use std::borrow::Cow;

use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

use super::arrow::{field_comment, map_entry};

/// Struct fields shown by `simpleString` (`spark.sql.debug.maxToStringFields`).
const MAX_FIELDS: usize = 25;

/// Spark's `simpleString`: as in `struct<a:int,b:string>`; long structs are cut.
pub fn simple_string(data_type: &DataType) -> String {
    render(data_type, Some(MAX_FIELDS))
}

/// Spark's `catalogString`: like [`simple_string`], never cut.
pub fn catalog_string(data_type: &DataType) -> String {
    render(data_type, None)
}

fn render(data_type: &DataType, limit: Option<usize>) -> String {
    match data_type {
        DataType::List(element) => format!("array<{}>", render(element.data_type(), limit)),
        DataType::Map(entries, _) => match map_entry(entries) {
            Some((key, value)) => {
                format!("map<{},{}>", render(key.data_type(), limit), render(value.data_type(), limit))
            }
            None => "map".to_string(),
        },
        DataType::Struct(fields) => {
            let shown = limit.filter(|limit| fields.len() > *limit).map_or(fields.len(), |limit| limit - 1);
            let mut parts: Vec<String> = fields
                .iter()
                .take(shown)
                .map(|f| format!("{}:{}", f.name(), render(f.data_type(), limit)))
                .collect();
            if shown < fields.len() {
                parts.push(format!("... {} more fields", fields.len() - shown));
            }
            format!("struct<{}>", parts.join(","))
        }
        other => atomic(other).into_owned(),
    }
}

/// Spark's `sql`: `STRUCT<a: INT NOT NULL, b: STRING COMMENT 'c'>`.
pub fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::List(element) => format!("ARRAY<{}>", sql_name(element.data_type())),
        DataType::Map(entries, _) => match map_entry(entries) {
            Some((key, value)) => {
                format!("MAP<{}, {}>", sql_name(key.data_type()), sql_name(value.data_type()))
            }
            None => "MAP".to_string(),
        },
        DataType::Struct(fields) => {
            let parts: Vec<String> = fields.iter().map(|f| field_sql(f)).collect();
            format!("STRUCT<{}>", parts.join(", "))
        }
        other => atomic(other).to_uppercase(),
    }
}

fn field_sql(field: &Field) -> String {
    let mut out = format!("{}: {}", quote_if_needed(field.name()), sql_name(field.data_type()));
    if !field.is_nullable() {
        out.push_str(" NOT NULL");
    }
    if let Some(comment) = field_comment(field) {
        out.push_str(&format!(" COMMENT '{}'", comment.replace('\\', "\\\\").replace('\'', "\\'")));
    }
    out
}

/// Spark's `typeName`, as `printSchema` and the JSON form use it: `integer`, `long`, `array`.
pub fn type_name(data_type: &DataType) -> Cow<'static, str> {
    match data_type {
        DataType::Int8 => "byte".into(),
        DataType::Int16 => "short".into(),
        DataType::Int32 => "integer".into(),
        DataType::Int64 => "long".into(),
        DataType::List(_) => "array".into(),
        DataType::Map(..) => "map".into(),
        DataType::Struct(_) => "struct".into(),
        other => atomic(other),
    }
}

fn atomic(data_type: &DataType) -> Cow<'static, str> {
    match data_type {
        DataType::Null => "void".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 => "smallint".into(),
        DataType::Int32 => "int".into(),
        DataType::Int64 => "bigint".into(),
        DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Decimal128(p, s) => format!("decimal({p},{s})").into(),
        DataType::Utf8 => "string".into(),
        DataType::Binary => "binary".into(),
        DataType::Date32 => "date".into(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamp".into(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp_ntz".into(),
        DataType::Interval(IntervalUnit::MonthDayNano) => "interval".into(),
        DataType::Interval(IntervalUnit::YearMonth) => "interval year to month".into(),
        DataType::Duration(TimeUnit::Microsecond) => "interval day to second".into(),
        // Not one of ours: only seen in messages about such types.
        other => other.to_string().to_lowercase().into(),
    }
}

/// An identifier in backticks, as Spark's messages print it.
pub fn quote_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// An identifier in backticks unless it is plain (letters, digits, underscores, not only digits).
fn quote_if_needed(name: &str) -> String {
    let plain = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.chars().all(|c| c.is_ascii_digit());
    if plain { name.to_string() } else { quote_identifier(name) }
}
