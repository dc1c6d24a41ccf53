//! Connect's `DataType` messages to and from Arrow.

use datafusion::arrow::datatypes::{DataType, Field, Fields, IntervalUnit, TimeUnit};
use millstream_engine::{Result, SparkError};
use serde_json::Value;
use spark_connect_proto::{DataType as Proto, data_type as p};

use super::{arrow, ddl, type_name};

/// The Arrow type of a Connect type.
///
/// # Errors
/// A type that is not supported yet, or text (`unparsed`) that is no type.
pub fn from_proto(proto: &Proto) -> Result<DataType> {
    let Some(kind) = &proto.kind else {
        return Err(SparkError::internal("a data type message without a kind"));
    };
    Ok(match kind {
        p::Kind::Null(_) => DataType::Null,
        p::Kind::Binary(_) => DataType::Binary,
        p::Kind::Boolean(_) => DataType::Boolean,
        p::Kind::Byte(_) => DataType::Int8,
        p::Kind::Short(_) => DataType::Int16,
        p::Kind::Integer(_) => DataType::Int32,
        p::Kind::Long(_) => DataType::Int64,
        p::Kind::Float(_) => DataType::Float32,
        p::Kind::Double(_) => DataType::Float64,
        p::Kind::Decimal(d) => {
            let (precision, scale) = (d.precision.unwrap_or(10), d.scale.unwrap_or(0));
            ddl::decimal_type(precision, scale)?
        }
        p::Kind::String(s) => {
            if !matches!(s.collation.as_str(), "" | "UTF8_BINARY") {
                return Err(SparkError::unsupported(format!("the collation {}", s.collation)));
            }
            DataType::Utf8
        }
        p::Kind::Char(_) | p::Kind::VarChar(_) => DataType::Utf8,
        p::Kind::Date(_) => DataType::Date32,
        p::Kind::Timestamp(_) => arrow::timestamp(),
        p::Kind::TimestampNtz(_) => arrow::timestamp_ntz(),
        p::Kind::CalendarInterval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        p::Kind::YearMonthInterval(_) => DataType::Interval(IntervalUnit::YearMonth),
        p::Kind::DayTimeInterval(_) => DataType::Duration(TimeUnit::Microsecond),
        p::Kind::Array(a) => arrow::list_of(child(a.element_type.as_deref())?, a.contains_null),
        p::Kind::Map(m) => arrow::map_of(
            child(m.key_type.as_deref())?,
            child(m.value_type.as_deref())?,
            m.value_contains_null,
        ),
        p::Kind::Struct(s) => DataType::Struct(fields(s)?),
        p::Kind::Unparsed(u) => ddl::parse_ddl(&u.data_type_string)?,
        p::Kind::Variant(_) => return Err(unsupported("VARIANT")),
        p::Kind::Udt(_) => return Err(SparkError::unsupported("the user-defined type")),
        p::Kind::Geometry(_) => return Err(unsupported("GEOMETRY")),
        p::Kind::Geography(_) => return Err(unsupported("GEOGRAPHY")),
        p::Kind::Time(_) => return Err(unsupported("TIME")),
        p::Kind::TimestampNtzNanos(_) | p::Kind::TimestampLtzNanos(_) => {
            return Err(SparkError::unsupported("a timestamp type with nanoseconds"));
        }
    })
}

/// The fields of a Connect type that must be a struct.
///
/// # Errors
/// As [`from_proto`]; an internal error when it is no struct.
pub fn struct_from_proto(proto: &Proto) -> Result<Fields> {
    match from_proto(proto)? {
        DataType::Struct(fields) => Ok(fields),
        other => Err(SparkError::internal(format!("a schema must be a struct, not {}", type_name(&other)))),
    }
}

fn child(proto: Option<&Proto>) -> Result<DataType> {
    proto.map_or_else(|| Err(SparkError::internal("a nested data type is missing")), from_proto)
}

fn fields(proto: &p::Struct) -> Result<Fields> {
    proto.fields.iter().map(field).collect()
}

fn field(proto: &p::StructField) -> Result<Field> {
    let field = Field::new(&proto.name, child(proto.data_type.as_ref())?, proto.nullable);
    match proto.metadata.as_deref().map(serde_json::from_str) {
        Some(Ok(Value::Object(object))) => Ok(field.with_metadata(arrow::metadata_of_json(&object))),
        Some(_) => Err(SparkError::internal(format!("metadata of column {} is no JSON object", proto.name))),
        None => Ok(field),
    }
}

fn unsupported(name: &str) -> SparkError {
    SparkError::unsupported(format!("the data type {name}"))
}

/// The Connect type of an Arrow type.
///
/// # Errors
/// An internal error for an Arrow type outside of Spark's set.
pub fn to_proto(data_type: &DataType) -> Result<Proto> {
    let kind = match data_type {
        DataType::Null => p::Kind::Null(p::Null::default()),
        DataType::Boolean => p::Kind::Boolean(p::Boolean::default()),
        DataType::Int8 => p::Kind::Byte(p::Byte::default()),
        DataType::Int16 => p::Kind::Short(p::Short::default()),
        DataType::Int32 => p::Kind::Integer(p::Integer::default()),
        DataType::Int64 => p::Kind::Long(p::Long::default()),
        DataType::Float32 => p::Kind::Float(p::Float::default()),
        DataType::Float64 => p::Kind::Double(p::Double::default()),
        DataType::Decimal128(precision, scale) => p::Kind::Decimal(p::Decimal {
            precision: Some(i32::from(*precision)),
            scale: Some(i32::from(*scale)),
            ..Default::default()
        }),
        DataType::Utf8 => {
            p::Kind::String(p::String { collation: "UTF8_BINARY".to_string(), ..Default::default() })
        }
        DataType::Binary => p::Kind::Binary(p::Binary::default()),
        DataType::Date32 => p::Kind::Date(p::Date::default()),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => p::Kind::Timestamp(p::Timestamp::default()),
        DataType::Timestamp(TimeUnit::Microsecond, None) => p::Kind::TimestampNtz(p::TimestampNtz::default()),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            p::Kind::CalendarInterval(p::CalendarInterval::default())
        }
        DataType::Interval(IntervalUnit::YearMonth) => p::Kind::YearMonthInterval(p::YearMonthInterval {
            start_field: Some(0),
            end_field: Some(1),
            ..Default::default()
        }),
        DataType::Duration(TimeUnit::Microsecond) => p::Kind::DayTimeInterval(p::DayTimeInterval {
            start_field: Some(0),
            end_field: Some(3),
            ..Default::default()
        }),
        DataType::List(element) => p::Kind::Array(Box::new(p::Array {
            element_type: Some(Box::new(to_proto(element.data_type())?)),
            contains_null: element.is_nullable(),
            ..Default::default()
        })),
        DataType::Map(entries, _) => {
            let (key, value) = arrow::map_entry(entries)
                .ok_or_else(|| SparkError::internal("a map without key and value fields"))?;
            p::Kind::Map(Box::new(p::Map {
                key_type: Some(Box::new(to_proto(key.data_type())?)),
                value_type: Some(Box::new(to_proto(value.data_type())?)),
                value_contains_null: value.is_nullable(),
                ..Default::default()
            }))
        }
        DataType::Struct(fields) => return struct_to_proto(fields.iter().map(AsRef::as_ref)),
        other => {
            return Err(SparkError::internal(format!("the Arrow type {other} stands for no Spark type")));
        }
    };
    Ok(Proto { kind: Some(kind) })
}

/// The Connect struct type of a schema.
///
/// # Errors
/// As [`to_proto`].
pub fn struct_to_proto<'a>(fields: impl IntoIterator<Item = &'a Field>) -> Result<Proto> {
    let fields = fields
        .into_iter()
        .map(|f| {
            let metadata = arrow::metadata_json(f);
            Ok(p::StructField {
                name: f.name().clone(),
                data_type: Some(to_proto(f.data_type())?),
                nullable: f.is_nullable(),
                metadata: (!metadata.is_empty()).then(|| Value::Object(metadata).to_string()),
            })
        })
        .collect::<Result<_>>()?;
    Ok(Proto { kind: Some(p::Kind::Struct(p::Struct { fields, ..Default::default() })) })
}
