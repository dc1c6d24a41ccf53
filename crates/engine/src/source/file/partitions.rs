//! Partition columns: the `k=v` directories of a path as constant columns.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, new_null_array},
        datatypes::{DataType, Field, SchemaRef, TimeUnit},
    },
    common::ScalarValue,
};

use super::listing::ListedFile;
use crate::{
    Result, SparkError,
    format::{
        datetime_text::{parse_date, parse_timestamp, parse_timestamp_ntz},
        number_text::{parse_bool, parse_decimal, parse_f64, parse_i64},
    },
    time::Zone,
};

/// The value of the partition column `field` whose directory says `text`.
///
/// # Errors
/// Text that is no value of the column's type.
pub(crate) fn partition_value(field: &Field, text: Option<&str>, zone: Zone) -> Result<ScalarValue> {
    let data_type = field.data_type();
    let Some(text) = text else { return Ok(ScalarValue::try_from(data_type)?) };
    let bytes = text.as_bytes();
    let int = || parse_i64(bytes);
    let value = match data_type {
        DataType::Utf8 => Some(ScalarValue::Utf8(Some(text.to_string()))),
        DataType::Int8 => int().and_then(|v| i8::try_from(v).ok()).map(|v| ScalarValue::Int8(Some(v))),
        DataType::Int16 => int().and_then(|v| i16::try_from(v).ok()).map(|v| ScalarValue::Int16(Some(v))),
        DataType::Int32 => int().and_then(|v| i32::try_from(v).ok()).map(|v| ScalarValue::Int32(Some(v))),
        DataType::Int64 => int().map(|v| ScalarValue::Int64(Some(v))),
        DataType::Float32 => parse_f64(bytes).map(|v| ScalarValue::Float32(Some(v as f32))),
        DataType::Float64 => parse_f64(bytes).map(|v| ScalarValue::Float64(Some(v))),
        DataType::Boolean => parse_bool(bytes).map(|v| ScalarValue::Boolean(Some(v))),
        DataType::Date32 => parse_date(bytes).map(|v| ScalarValue::Date32(Some(v))),
        DataType::Binary => Some(ScalarValue::Binary(Some(bytes.to_vec()))),
        DataType::Decimal128(precision, scale) => parse_decimal(bytes, *precision, *scale)
            .map(|v| ScalarValue::Decimal128(Some(v), *precision, *scale)),
        DataType::Timestamp(TimeUnit::Microsecond, Some(tz)) => parse_timestamp(bytes, zone)
            .map(|v| ScalarValue::TimestampMicrosecond(Some(v), Some(Arc::clone(tz)))),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            parse_timestamp_ntz(bytes, true).map(|v| ScalarValue::TimestampMicrosecond(Some(v), None))
        }
        other => return Err(SparkError::unsupported(format!("a partition column of the type {other}"))),
    };
    value.ok_or_else(|| {
        SparkError::new("_LEGACY_ERROR_TEMP_3241").with(
            "msg",
            format!("Failed to cast value `{text}` to `{data_type}` for partition column `{}`", field.name()),
        )
    })
}

/// A constant column of `rows` rows.
pub(crate) fn constant(value: &ScalarValue, rows: usize) -> Result<ArrayRef> {
    if value.is_null() {
        return Ok(new_null_array(&value.data_type(), rows));
    }
    Ok(value.to_array_of_size(rows)?)
}

/// For each column of `schema`: its value for `file` if it is one of the file's partition
/// columns (compared without case).
pub(crate) fn values_for(
    schema: &SchemaRef,
    file: &ListedFile,
    zone: Zone,
) -> Result<Vec<Option<ScalarValue>>> {
    schema
        .fields()
        .iter()
        .map(|field| {
            let found =
                file.partitions.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(field.name()));
            found.map(|(_, text)| partition_value(field, text.as_deref(), zone)).transpose()
        })
        .collect()
}
