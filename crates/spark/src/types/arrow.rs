//! The Arrow types that stand for Spark's, and field metadata.
//!
//! | Spark | Arrow |
//! |---|---|
//! | void | Null |
//! | boolean, tinyint, smallint, int, bigint | Boolean, Int8, Int16, Int32, Int64 |
//! | float, double, decimal(p,s) | Float32, Float64, Decimal128(p, s) |
//! | string, binary | Utf8, Binary |
//! | date, timestamp, timestamp_ntz | Date32, Timestamp(us, "UTC"), Timestamp(us) |
//! | interval, year-month, day-time | Interval(MonthDayNano), Interval(YearMonth), Duration(us) |
//! | array, map, struct | List("element"), Map("entries" of "key", "value"), Struct |
//!
//! A field's metadata maps each of Spark's metadata keys to the JSON text of its value.

use std::{collections::HashMap, sync::Arc};

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use serde_json::{Map, Value};

/// The zone in the Arrow type of Spark's `timestamp`.
pub const TIMESTAMP_ZONE: &str = "UTC";

/// Spark's `timestamp`: an instant.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from(TIMESTAMP_ZONE)))
}

/// Spark's `timestamp_ntz`: a local date and time.
pub fn timestamp_ntz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// Spark's `decimal(precision, scale)`, `None` outside of its limits.
pub fn decimal(precision: i32, scale: i32) -> Option<DataType> {
    let p = u8::try_from(precision).ok().filter(|p| (1..=38).contains(p))?;
    let s = i8::try_from(scale).ok().filter(|s| *s >= 0 && i32::from(*s) <= precision)?;
    Some(DataType::Decimal128(p, s))
}

/// `array<element>`.
pub fn list_of(element: DataType, contains_null: bool) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, contains_null)))
}

/// `map<key, value>`; keys are never null.
pub fn map_of(key: DataType, value: DataType, value_contains_null: bool) -> DataType {
    let entries =
        Fields::from(vec![Field::new("key", key, false), Field::new("value", value, value_contains_null)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

/// `struct<fields>`.
pub fn struct_of(fields: impl IntoIterator<Item = Field>) -> DataType {
    DataType::Struct(fields.into_iter().collect())
}

/// The comment of a column, if it has one.
pub fn field_comment(field: &Field) -> Option<String> {
    match serde_json::from_str(field.metadata().get("comment")?) {
        Ok(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// A field's metadata as Spark's JSON object, keys sorted.
pub fn metadata_json(field: &Field) -> Map<String, Value> {
    let mut keys: Vec<_> = field.metadata().iter().collect();
    keys.sort();
    keys.into_iter()
        .map(|(key, text)| {
            (key.clone(), serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())))
        })
        .collect()
}

/// Field metadata from Spark's JSON object.
pub fn metadata_of_json(object: &Map<String, Value>) -> HashMap<String, String> {
    object.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
}

/// The two fields of a map's entries, `None` for a malformed Arrow map.
pub(super) fn map_entry(entries: &Field) -> Option<(&FieldRef, &FieldRef)> {
    match entries.data_type() {
        DataType::Struct(fields) => Some((fields.first()?, fields.get(1)?)),
        _ => None,
    }
}
