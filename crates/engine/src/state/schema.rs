//! What an operator's state consists of, and the refusal of state that differs.

use datafusion::arrow::datatypes::{DataType, IntervalUnit};
use serde::{Deserialize, Serialize};

use crate::{Result, SparkError};

/// Names and types of key and value columns, in order.
///
/// Key names may change from run to run, as in Spark. Value names carry the aggregate
/// function and may not: `sum` and `max` keep the same type but not the same state
/// (`Spark differs:` it compares types alone).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSchema {
    /// (name, type in Spark's words).
    pub keys: Vec<(String, String)>,
    /// (name, type in Spark's words).
    pub values: Vec<(String, String)>,
}

impl StateSchema {
    /// Refuses state written as `stored`.
    ///
    /// # Errors
    /// `STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE`, `STATE_STORE_VALUE_SCHEMA_NOT_COMPATIBLE`:
    /// the query was changed; it needs a new checkpoint, or the old query back.
    pub fn check(&self, stored: &Self) -> Result<()> {
        let types = |columns: &[(String, String)]| columns.iter().map(|(_, t)| t.clone()).collect::<Vec<_>>();
        if types(&self.keys) != types(&stored.keys) {
            return Err(SparkError::new("STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE")
                .with("storedKeySchema", show(&stored.keys))
                .with("newKeySchema", show(&self.keys)));
        }
        if self.values != stored.values {
            return Err(SparkError::new("STATE_STORE_VALUE_SCHEMA_NOT_COMPATIBLE")
                .with("storedValueSchema", show(&stored.values))
                .with("newValueSchema", show(&self.values)));
        }
        Ok(())
    }
}

fn show(columns: &[(String, String)]) -> String {
    let fields: Vec<_> = columns.iter().map(|(name, data_type)| format!("{name}: {data_type}")).collect();
    format!("struct<{}>", fields.join(", "))
}

/// A type in Spark's words (`bigint`, `array<string>`), for durable files and messages.
pub fn spark_type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "void".to_string(),
        DataType::Boolean => "boolean".to_string(),
        DataType::Int8 => "tinyint".to_string(),
        DataType::Int16 => "smallint".to_string(),
        DataType::Int32 => "int".to_string(),
        DataType::Int64 => "bigint".to_string(),
        DataType::Float32 => "float".to_string(),
        DataType::Float64 => "double".to_string(),
        DataType::Utf8 => "string".to_string(),
        DataType::Binary => "binary".to_string(),
        DataType::Date32 => "date".to_string(),
        DataType::Timestamp(_, Some(_)) => "timestamp".to_string(),
        DataType::Timestamp(_, None) => "timestamp_ntz".to_string(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Duration(_) => "interval day to second".to_string(),
        DataType::Interval(IntervalUnit::YearMonth) => "interval year to month".to_string(),
        DataType::Interval(_) => "interval".to_string(),
        DataType::List(element) => format!("array<{}>", spark_type_name(element.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|f| format!("{}:{}", f.name(), spark_type_name(f.data_type()))).collect();
            format!("struct<{}>", fields.join(","))
        }
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(keys: &[(&str, &str)], values: &[(&str, &str)]) -> StateSchema {
        let own =
            |columns: &[(&str, &str)]| columns.iter().map(|(n, t)| (n.to_string(), t.to_string())).collect();
        StateSchema { keys: own(keys), values: own(values) }
    }

    #[test]
    fn renamed_keys_pass_and_other_changes_are_refused() {
        let stored = schema(&[("a", "int")], &[("0.sum_0", "bigint")]);
        schema(&[("b", "int")], &[("0.sum_0", "bigint")]).check(&stored).unwrap();
        let key = schema(&[("a", "string")], &[("0.sum_0", "bigint")]).check(&stored).unwrap_err();
        assert_eq!(key.class(), "STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE");
        let value = schema(&[("a", "int")], &[("0.max_0", "bigint")]).check(&stored).unwrap_err();
        assert_eq!(value.class(), "STATE_STORE_VALUE_SCHEMA_NOT_COMPATIBLE");
        assert!(value.to_string().contains("new value_schema=struct<0.max_0: bigint>"), "{value}");
    }
}
