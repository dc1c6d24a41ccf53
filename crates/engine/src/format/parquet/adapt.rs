//! From the types Arrow reads out of a Parquet file to the column types of a query.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, PrimitiveArray},
    compute::{CastOptions, cast_with_options},
    datatypes::{
        DataType, DurationMicrosecondType, Field, Fields, Int32Type, Int64Type, IntervalUnit,
        IntervalYearMonthType, TimeUnit,
    },
};

use crate::{Result, SparkError, format::schema_check::sql_type};

/// Spark's type for a column Arrow reads as `data_type`.
pub(super) fn spark_type(data_type: &DataType) -> Result<DataType> {
    Ok(match data_type {
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Date64 => DataType::Date32,
        // INT96 comes as nanoseconds without zone; it is an instant.
        DataType::Timestamp(TimeUnit::Nanosecond, None) => utc(),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => utc(),
        DataType::Dictionary(_, values) => spark_type(values)?,
        DataType::List(item) | DataType::LargeList(item) => DataType::List(named("element", item)?),
        DataType::Map(entries, _) => {
            let DataType::Struct(kv) = entries.data_type() else {
                return Err(SparkError::internal("map entries are no struct"));
            };
            let parts = kv
                .iter()
                .zip(["key", "value"])
                .map(|(f, name)| {
                    let data_type = spark_type(f.data_type())?;
                    Ok(Arc::new(Field::new(name, data_type, name == "value")))
                })
                .collect::<Result<Vec<_>>>()?;
            let entries = Field::new("entries", DataType::Struct(Fields::from(parts)), false);
            DataType::Map(Arc::new(entries), false)
        }
        DataType::Struct(fields) => {
            let parts = fields.iter().map(|f| named(f.name(), f)).collect::<Result<Vec<_>>>()?;
            DataType::Struct(Fields::from(parts))
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            return Err(SparkError::unsupported("Parquet columns of the type time"));
        }
        DataType::Interval(_) => return Err(SparkError::unsupported("Parquet columns of the type interval")),
        other => other.clone(),
    })
}

fn named(name: &str, field: &Field) -> Result<Arc<Field>> {
    Ok(Arc::new(Field::new(name, spark_type(field.data_type())?, true)))
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// `array` as the type a query wants.
///
/// # Errors
/// `FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH` where Spark would refuse too.
pub(super) fn adapt(array: &ArrayRef, field: &Field, file: &str) -> Result<ArrayRef> {
    let (from, to) = (array.data_type(), field.data_type());
    if from == to {
        return Ok(Arc::clone(array));
    }
    match to {
        // Spark stores these intervals as plain integers.
        DataType::Interval(IntervalUnit::YearMonth) if *from == DataType::Int32 => {
            let values: PrimitiveArray<IntervalYearMonthType> =
                array.as_primitive::<Int32Type>().reinterpret_cast();
            return Ok(Arc::new(values));
        }
        DataType::Duration(TimeUnit::Microsecond) if *from == DataType::Int64 => {
            let values: PrimitiveArray<DurationMicrosecondType> =
                array.as_primitive::<Int64Type>().reinterpret_cast();
            return Ok(Arc::new(values));
        }
        _ => {}
    }
    if !widens(from, to) {
        return Err(SparkError::new("FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH")
            .with("path", file)
            .with("column", format!("[{}]", field.name()))
            .with("expectedType", sql_type(to).to_lowercase())
            .with("actualType", parquet_name(from)));
    }
    // INT96 is an instant: name its zone before the unit changes.
    let array = match from {
        DataType::Timestamp(TimeUnit::Nanosecond, None) if *to == utc() => {
            cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?
        }
        _ => Arc::clone(array),
    };
    cast(&array, to)
}

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    Ok(cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })?)
}

/// Whether Spark reads a file's `from` as `to` without loss.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, List, Map, Struct,
        Timestamp, Utf8,
    };
    match (from, to) {
        (List(a), List(b)) => widens(a.data_type(), b.data_type()),
        (Map(a, _), Map(b, _)) => widens(a.data_type(), b.data_type()),
        (Struct(a), Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| widens(x.data_type(), y.data_type()))
        }
        (Int8, Int16 | Int32 | Int64 | Float64 | Float32)
        | (Int16, Int32 | Int64 | Float64 | Float32)
        | (Int32, Int8 | Int16 | Int64 | Float64)
        | (Float32, Float64)
        | (Date32, Timestamp(TimeUnit::Microsecond, None))
        | (Binary, Utf8)
        | (Utf8, Binary) => true,
        (Int8 | Int16 | Int32, Decimal128(p, s)) => i32::from(*p) - i32::from(*s) >= 10,
        (Int64, Decimal128(p, s)) => i32::from(*p) - i32::from(*s) >= 20,
        (Decimal128(p, s), Decimal128(q, t)) => {
            t >= s && i32::from(*q) - i32::from(*t) >= i32::from(*p) - i32::from(*s)
        }
        (from, to) => spark_type(from).is_ok_and(|t| t == *to || (t != *from && widens(&t, to))),
    }
}

fn parquet_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Date32 => "INT32",
        DataType::Int64 | DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Millisecond, _) => "INT64",
        DataType::Timestamp(TimeUnit::Nanosecond, _) => "INT96",
        DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Utf8 | DataType::Binary => "BINARY",
        _ => "FIXED_LEN_BYTE_ARRAY",
    }
    .to_string()
}
