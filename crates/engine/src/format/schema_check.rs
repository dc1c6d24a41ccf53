//! Which column types a format can hold, with Spark's error for those it cannot.

use datafusion::arrow::datatypes::{DataType, IntervalUnit, SchemaRef, TimeUnit};

use crate::{Result, SparkError};

/// Checks every column of `schema` for the text format `format` (`CSV`, `JSON`);
/// `nested` allows arrays, maps and structs.
///
/// # Errors
/// `UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE` naming the column.
pub(crate) fn check_columns(format: &str, schema: &SchemaRef, nested: bool) -> Result<()> {
    for field in schema.fields() {
        if !holds(field.data_type(), nested) {
            return Err(SparkError::new("UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE")
                .with("format", format)
                .with("columnName", format!("`{}`", field.name()))
                .with("columnType", format!("\"{}\"", sql_type(field.data_type()))));
        }
    }
    Ok(())
}

fn holds(data_type: &DataType, nested: bool) -> bool {
    match data_type {
        DataType::Struct(fields) => nested && fields.iter().all(|f| holds(f.data_type(), nested)),
        DataType::List(item) => nested && holds(item.data_type(), nested),
        DataType::Map(entries, _) => nested && holds(entries.data_type(), nested),
        DataType::Null => nested,
        DataType::Interval(IntervalUnit::MonthDayNano) => false,
        _ => true,
    }
}

/// A type as SQL spells it: `STRUCT<start: TIMESTAMP NOT NULL>`.
pub(crate) fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "VOID".to_string(),
        DataType::Boolean => "BOOLEAN".to_string(),
        DataType::Int8 => "TINYINT".to_string(),
        DataType::Int16 => "SMALLINT".to_string(),
        DataType::Int32 => "INT".to_string(),
        DataType::Int64 => "BIGINT".to_string(),
        DataType::Float32 => "FLOAT".to_string(),
        DataType::Float64 => "DOUBLE".to_string(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::Utf8 => "STRING".to_string(),
        DataType::Binary => "BINARY".to_string(),
        DataType::Date32 => "DATE".to_string(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "TIMESTAMP".to_string(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP_NTZ".to_string(),
        DataType::Interval(IntervalUnit::YearMonth) => "INTERVAL YEAR TO MONTH".to_string(),
        DataType::Interval(_) => "INTERVAL".to_string(),
        DataType::Duration(_) => "INTERVAL DAY TO SECOND".to_string(),
        DataType::List(item) => format!("ARRAY<{}>", sql_type(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(kv) => {
                let parts: Vec<String> = kv.iter().map(|f| sql_type(f.data_type())).collect();
                format!("MAP<{}>", parts.join(", "))
            }
            other => format!("MAP<{other}>"),
        },
        DataType::Struct(fields) => {
            let parts: Vec<String> = fields
                .iter()
                .map(|f| {
                    let not_null = if f.is_nullable() { "" } else { " NOT NULL" };
                    format!("{}: {}{not_null}", f.name(), sql_type(f.data_type()))
                })
                .collect();
            format!("STRUCT<{}>", parts.join(", "))
        }
        other => other.to_string(),
    }
}
