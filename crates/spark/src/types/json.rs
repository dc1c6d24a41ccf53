//! Spark's JSON form of types: `{"type":"struct","fields":[...]}`.

use std::{borrow::Cow, sync::Arc};

use datafusion::arrow::datatypes::{DataType, Field, Fields};
use millstream_engine::{Result, SparkError};
use serde_json::{Map, Value, json};

use super::{arrow, ddl, type_name};

/// A type as Spark's JSON text.
pub fn to_json(data_type: &DataType) -> String {
    value(data_type).to_string()
}

/// A schema as the JSON text of its struct type.
pub fn schema_json<'a>(fields: impl IntoIterator<Item = &'a Field>) -> String {
    struct_value(fields).to_string()
}

fn struct_value<'a>(fields: impl IntoIterator<Item = &'a Field>) -> Value {
    let fields: Vec<Value> = fields
        .into_iter()
        .map(|f| {
            json!({
                "name": f.name(),
                "type": value(f.data_type()),
                "nullable": f.is_nullable(),
                "metadata": Value::Object(arrow::metadata_json(f)),
            })
        })
        .collect();
    json!({ "type": "struct", "fields": fields })
}

fn value(data_type: &DataType) -> Value {
    match data_type {
        DataType::Struct(fields) => struct_value(fields.iter().map(Arc::as_ref)),
        DataType::List(element) => json!({
            "type": "array",
            "elementType": value(element.data_type()),
            "containsNull": element.is_nullable(),
        }),
        DataType::Map(entries, _) => match arrow::map_entry(entries) {
            Some((k, v)) => json!({
                "type": "map",
                "keyType": value(k.data_type()),
                "valueType": value(v.data_type()),
                "valueContainsNull": v.is_nullable(),
            }),
            None => Value::String("map".to_string()),
        },
        other => Value::String(type_name(other).into_owned()),
    }
}

/// Reads a type from Spark's JSON text.
///
/// # Errors
/// `INVALID_JSON_DATA_TYPE` for text that is no type.
pub fn from_json(text: &str) -> Result<DataType> {
    let parsed: Value = serde_json::from_str(text).map_err(|_| invalid(text))?;
    of_value(&parsed)
}

fn of_value(json: &Value) -> Result<DataType> {
    match json {
        Value::String(name) => atomic(name),
        Value::Object(object) => of_object(json, object),
        _ => Err(invalid(&json.to_string())),
    }
}

fn of_object(json: &Value, object: &Map<String, Value>) -> Result<DataType> {
    let missing = || invalid(&json.to_string());
    let child = |key: &str| object.get(key).ok_or_else(missing).and_then(of_value);
    let flag = |key: &str| object.get(key).and_then(Value::as_bool).unwrap_or(true);
    match object.get("type").and_then(Value::as_str) {
        Some("struct") => {
            let fields = object.get("fields").and_then(Value::as_array).ok_or_else(missing)?;
            Ok(DataType::Struct(fields.iter().map(field).collect::<Result<Fields>>()?))
        }
        Some("array") => Ok(arrow::list_of(child("elementType")?, flag("containsNull"))),
        Some("map") => Ok(arrow::map_of(child("keyType")?, child("valueType")?, flag("valueContainsNull"))),
        Some("udt") => Err(SparkError::unsupported("the user-defined type in a schema")),
        _ => Err(missing()),
    }
}

fn field(json: &Value) -> Result<Field> {
    let missing = || invalid(&json.to_string());
    let name = json.get("name").and_then(Value::as_str).ok_or_else(missing)?;
    let data_type = of_value(json.get("type").ok_or_else(missing)?)?;
    let nullable = json.get("nullable").and_then(Value::as_bool).unwrap_or(true);
    let field = Field::new(name, data_type, nullable);
    Ok(match json.get("metadata").and_then(Value::as_object) {
        Some(metadata) => field.with_metadata(arrow::metadata_of_json(metadata)),
        None => field,
    })
}

fn atomic(name: &str) -> Result<DataType> {
    let ddl: Cow<'_, str> = match name {
        "null" => "void".into(),
        "decimal" => "decimal(10,0)".into(),
        // Collated strings carry their collation in the metadata of older writers.
        name => name.into(),
    };
    match ddl::parse_data_type(&ddl) {
        Ok(DataType::Struct(_) | DataType::List(_) | DataType::Map(..)) | Err(_) => Err(invalid(name)),
        Ok(data_type) => Ok(data_type),
    }
}

fn invalid(text: &str) -> SparkError {
    SparkError::new("INVALID_JSON_DATA_TYPE").with("invalidType", text)
}
