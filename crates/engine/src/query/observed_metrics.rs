//! Observed metrics as the progress reports them over Connect: `{"values": [..], "schema": {..}}`.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::common::ScalarValue;
use serde_json::{Number, Value, json};

use crate::plan::Observed;

/// What the batch just executed has observed, by name.
pub(super) fn take(observed: &[Arc<Observed>]) -> BTreeMap<String, Value> {
    observed
        .iter()
        .filter_map(|observed| {
            let row = observed.take()?;
            let values: Vec<Value> = row
                .columns()
                .iter()
                .map(|column| {
                    ScalarValue::try_from_array(column, 0).map_or(Value::Null, |value| json_of(&value))
                })
                .collect();
            let schema: Value = serde_json::from_str(&observed.schema_json).unwrap_or_default();
            Some((observed.name.clone(), json!({ "values": values, "schema": schema })))
        })
        .collect()
}

/// A value as Spark's `Row.json` writes it.
fn json_of(value: &ScalarValue) -> Value {
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
        other => json!(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_json_values() {
        assert_eq!(json_of(&ScalarValue::Int64(Some(2))), json!(2));
        assert_eq!(json_of(&ScalarValue::Float64(Some(1.5))), json!(1.5));
        assert_eq!(json_of(&ScalarValue::Float64(Some(f64::NAN))), json!("NaN"));
        assert_eq!(json_of(&ScalarValue::Utf8(None)), Value::Null);
    }
}
