//! Schemas as Spark's JSON (`StructType.json`), which Parquet footers carry.

use std::{collections::HashMap, sync::Arc};

use datafusion::arrow::datatypes::{DataType, Field, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit};
use serde_json::{Map, Value, json};

/// The JSON of a schema, compact as Spark writes it.
pub(crate) fn schema_to_json(schema: &SchemaRef) -> String {
    struct_json(schema.fields()).to_string()
}

/// The schema of Spark's JSON, `None` where it holds a type unknown here. Every field is
/// nullable.
pub(crate) fn schema_from_json(text: &str) -> Option<Schema> {
    let DataType::Struct(fields) = type_from(&serde_json::from_str(text).ok()?)? else { return None };
    Some(Schema::new(fields))
}

fn struct_json(fields: &Fields) -> Value {
    let fields: Vec<Value> = fields
        .iter()
        .map(|f| {
            let metadata: Map<String, Value> = f
                .metadata()
                .iter()
                .map(|(k, v)| (k.clone(), serde_json::from_str(v).unwrap_or_else(|_| Value::String(v.clone()))))
                .collect();
            json!({"name": f.name(), "type": type_json(f.data_type()), "nullable": f.is_nullable(), "metadata": metadata})
        })
        .collect();
    json!({"type": "struct", "fields": fields})
}

fn type_json(data_type: &DataType) -> Value {
    match data_type {
        DataType::Null => json!("void"),
        DataType::Boolean => json!("boolean"),
        DataType::Int8 => json!("byte"),
        DataType::Int16 => json!("short"),
        DataType::Int32 => json!("integer"),
        DataType::Int64 => json!("long"),
        DataType::Float32 => json!("float"),
        DataType::Float64 => json!("double"),
        DataType::Decimal128(precision, scale) => json!(format!("decimal({precision},{scale})")),
        DataType::Utf8 => json!("string"),
        DataType::Binary => json!("binary"),
        DataType::Date32 => json!("date"),
        DataType::Timestamp(_, Some(_)) => json!("timestamp"),
        DataType::Timestamp(_, None) => json!("timestamp_ntz"),
        DataType::Interval(IntervalUnit::YearMonth) => json!("interval year to month"),
        DataType::Interval(_) => json!("interval"),
        DataType::Duration(_) => json!("interval day to second"),
        DataType::List(item) => {
            json!({"type": "array", "elementType": type_json(item.data_type()), "containsNull": item.is_nullable()})
        }
        DataType::Map(entries, _) => {
            let empty = Fields::empty();
            let kv = if let DataType::Struct(kv) = entries.data_type() { kv } else { &empty };
            let part = |i: usize| kv.get(i).map_or(Value::Null, |f| type_json(f.data_type()));
            json!({"type": "map", "keyType": part(0), "valueType": part(1),
                   "valueContainsNull": kv.get(1).is_none_or(|f| f.is_nullable())})
        }
        DataType::Struct(fields) => struct_json(fields),
        other => json!(other.to_string()),
    }
}

fn type_from(value: &Value) -> Option<DataType> {
    if let Some(name) = value.as_str() {
        return Some(match name {
            "void" | "null" => DataType::Null,
            "boolean" => DataType::Boolean,
            "byte" => DataType::Int8,
            "short" => DataType::Int16,
            "integer" => DataType::Int32,
            "long" => DataType::Int64,
            "float" => DataType::Float32,
            "double" => DataType::Float64,
            "decimal" => DataType::Decimal128(10, 0),
            "binary" => DataType::Binary,
            "date" => DataType::Date32,
            "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
            "string" => DataType::Utf8,
            n if n.starts_with("varchar(") || n.starts_with("char(") => DataType::Utf8,
            n if n.starts_with("decimal(") => {
                let (precision, scale) = n.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
                DataType::Decimal128(precision.trim().parse().ok()?, scale.trim().parse().ok()?)
            }
            "interval year to month" | "interval year" | "interval month" => {
                DataType::Interval(IntervalUnit::YearMonth)
            }
            n if n.starts_with("interval ") => DataType::Duration(TimeUnit::Microsecond),
            _ => return None,
        });
    }
    match value.get("type")?.as_str()? {
        "struct" => {
            let fields = value.get("fields")?.as_array()?.iter().map(|f| {
                let metadata: HashMap<String, String> =
                    f.get("metadata").and_then(Value::as_object).map_or_else(HashMap::new, |m| {
                        m.iter()
                            .map(|(k, v)| {
                                (k.clone(), v.as_str().map_or_else(|| v.to_string(), str::to_string))
                            })
                            .collect()
                    });
                let field = Field::new(f.get("name")?.as_str()?, type_from(f.get("type")?)?, true);
                Some(Arc::new(field.with_metadata(metadata)))
            });
            Some(DataType::Struct(fields.collect::<Option<Vec<_>>>()?.into()))
        }
        "array" => {
            let item = Field::new("element", type_from(value.get("elementType")?)?, true);
            Some(DataType::List(Arc::new(item)))
        }
        "map" => {
            let kv = vec![
                Field::new("key", type_from(value.get("keyType")?)?, false),
                Field::new("value", type_from(value.get("valueType")?)?, true),
            ];
            let entries = Field::new("entries", DataType::Struct(kv.into()), false);
            Some(DataType::Map(Arc::new(entries), false))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_survive_the_round_trip() {
        let text = r#"{"type":"struct","fields":[{"name":"a","type":"integer","nullable":true,"metadata":{}},{"name":"w","type":{"type":"struct","fields":[{"name":"start","type":"timestamp","nullable":true,"metadata":{}}]},"nullable":true,"metadata":{"spark.timeWindow":true}},{"name":"l","type":{"type":"array","elementType":"decimal(10,2)","containsNull":true},"nullable":true,"metadata":{}},{"name":"m","type":{"type":"map","keyType":"string","valueType":"interval day to second","valueContainsNull":true},"nullable":true,"metadata":{}}]}"#;
        let schema = Arc::new(schema_from_json(text).unwrap());
        assert_eq!(schema_to_json(&schema), text);
        assert_eq!(
            schema_from_json("{\"type\":\"struct\",\"fields\":[{\"name\":\"x\",\"type\":\"variant\"}]}"),
            None
        );
    }
}
