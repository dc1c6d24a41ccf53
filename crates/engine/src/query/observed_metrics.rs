//! Observed metrics of a batch, in the two forms in which Spark tells them.
//!
//! A progress fetched over Connect has `{"values": [..], "schema": {..}}` (Jackson's view of a
//! row, with epoch milliseconds for times); a listener gets `Row.json`, an object by column name.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef},
        temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime},
    },
    common::ScalarValue,
};
use serde_json::{Map, Number, Value, json};

use crate::plan::Observed;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// One observed row.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedRow {
    /// Spark's JSON of the row's schema.
    schema: Value,
    values: Vec<ScalarValue>,
}

/// What the batch just executed has observed, by name.
pub(super) fn take(observed: &[Arc<Observed>]) -> BTreeMap<String, ObservedRow> {
    observed
        .iter()
        .filter_map(|observed| {
            let row = observed.take()?;
            let value =
                |column: &ArrayRef| ScalarValue::try_from_array(column, 0).unwrap_or(ScalarValue::Null);
            let values = row.columns().iter().map(value).collect();
            let schema = serde_json::from_str(&observed.schema_json).unwrap_or_default();
            Some((observed.name.clone(), ObservedRow { schema, values }))
        })
        .collect()
}

impl ObservedRow {
    /// The row in a progress that travels over Connect.
    pub fn connect_json(&self) -> Value {
        let values: Vec<Value> = self.values.iter().map(|value| json_of(value, Times::Millis)).collect();
        json!({ "values": values, "schema": self.schema })
    }

    /// Spark's `Row.json`, as listeners get it.
    pub fn json(&self) -> Value {
        let fields = self.schema.get("fields").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let named = fields.iter().zip(&self.values).map(|(field, value)| {
            let name = field.get("name").and_then(Value::as_str).unwrap_or_default();
            (name.to_string(), json_of(value, Times::Text))
        });
        Value::Object(named.collect::<Map<String, Value>>())
    }
}

/// How dates and timestamps are written.
#[derive(Clone, Copy)]
enum Times {
    Millis,
    /// Spark differs: it writes them in the session's time zone, we in UTC.
    Text,
}

fn json_of(value: &ScalarValue, times: Times) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    match value {
        ScalarValue::Boolean(Some(v)) => Value::Bool(*v),
        ScalarValue::Int8(Some(v)) => json!(v),
        ScalarValue::Int16(Some(v)) => json!(v),
        ScalarValue::Int32(Some(v)) => json!(v),
        ScalarValue::Int64(Some(v)) => json!(v),
        ScalarValue::Float32(Some(v)) => {
            Number::from_f64(f64::from(*v)).map_or_else(|| json!(v.to_string()), Value::Number)
        }
        ScalarValue::Float64(Some(v)) => {
            Number::from_f64(*v).map_or_else(|| json!(v.to_string()), Value::Number)
        }
        ScalarValue::Utf8(Some(v)) => json!(v),
        ScalarValue::Date32(Some(days)) => match times {
            Times::Millis => json!(i64::from(*days) * MILLIS_PER_DAY),
            Times::Text => date32_to_datetime(*days).map(|d| d.format("%Y-%m-%d").to_string()).into(),
        },
        ScalarValue::TimestampMicrosecond(Some(micros), _) => match times {
            Times::Millis => json!(micros.div_euclid(1000)),
            Times::Text => {
                timestamp_us_to_datetime(*micros).map(|t| t.format("%Y-%m-%d %H:%M:%S").to_string()).into()
            }
        },
        ScalarValue::List(list) => {
            let elements = list.value(0);
            let element = |i| ScalarValue::try_from_array(&elements, i).unwrap_or(ScalarValue::Null);
            (0..elements.len()).map(|i| json_of(&element(i), times)).collect()
        }
        other => json!(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn a_row_has_two_forms() {
        let schema =
            json!({ "type": "struct", "fields": [{ "name": "rc" }, { "name": "t" }, { "name": "l" }] });
        let list = datafusion::arrow::array::ListArray::from_iter_primitive::<Int64Type, _, _>([Some([
            Some(3),
            None,
        ])]);
        let values = vec![
            ScalarValue::Int64(Some(4)),
            ScalarValue::TimestampMicrosecond(Some(1_795_370_320_174_000), Some("UTC".into())),
            ScalarValue::List(Arc::new(list)),
        ];
        let row = ObservedRow { schema: schema.clone(), values };
        let connect = json!({ "values": [4, 1_795_370_320_174_i64, [3, null]], "schema": schema });
        assert_eq!(row.connect_json(), connect);
        assert_eq!(row.json(), json!({ "rc": 4, "t": "2026-11-22 17:58:40", "l": [3, null] }));
    }

    #[test]
    fn values_are_json_values() {
        let text = |value: &ScalarValue| json_of(value, Times::Text);
        assert_eq!(text(&ScalarValue::Int64(Some(2))), json!(2));
        assert_eq!(text(&ScalarValue::Float64(Some(1.5))), json!(1.5));
        assert_eq!(text(&ScalarValue::Float64(Some(f64::NAN))), json!("NaN"));
        assert_eq!(text(&ScalarValue::Utf8(None)), Value::Null);
        assert_eq!(text(&ScalarValue::Date32(Some(1))), json!("1970-01-02"));
        assert_eq!(json_of(&ScalarValue::Date32(Some(1)), Times::Millis), json!(86_400_000));
    }
}
