//! Literals of all kinds, and how Spark writes them in names and messages.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, ListArray, MapArray, StructArray, new_empty_array},
        buffer::OffsetBuffer,
        datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano},
    },
    common::ScalarValue,
    logical_expr::Expr,
};
use millstream_engine::{
    Result, SparkError,
    format::{
        number_text,
        value_text::{TextStyle, to_text},
    },
};
use spark_connect_proto::{DataType as ProtoType, expression::Literal, expression::literal as l};

use super::TypedExpr;
use crate::{
    SessionConf,
    functions::{Evaluation, SessionZone},
    types,
};

/// The typed expression of a literal message.
pub(super) fn resolve(literal: &Literal, conf: &SessionConf) -> Result<TypedExpr> {
    let declared = literal.data_type.as_ref().map(types::from_proto).transpose()?;
    from_scalar(value(literal, declared.as_ref())?, conf)
}

/// A literal expression of `value`, named as Spark names it.
pub(crate) fn from_scalar(value: ScalarValue, conf: &SessionConf) -> Result<TypedExpr> {
    let name = pretty(&value, conf)?;
    let (data_type, nullable) = (value.data_type(), value.is_null());
    Ok(TypedExpr::new(Expr::Literal(value, None), data_type, nullable, name))
}

/// An `INT` literal.
pub(crate) fn int(value: i32) -> TypedExpr {
    let expr = Expr::Literal(ScalarValue::Int32(Some(value)), None);
    TypedExpr::new(expr, DataType::Int32, false, value.to_string())
}

/// A `STRING` literal.
pub(crate) fn string(value: &str) -> TypedExpr {
    let expr = Expr::Literal(ScalarValue::Utf8(Some(value.to_string())), None);
    TypedExpr::new(expr, DataType::Utf8, false, value)
}

/// A null of type `data_type`.
pub(crate) fn null(data_type: &DataType) -> Result<TypedExpr> {
    let expr = Expr::Literal(ScalarValue::try_from(data_type)?, None);
    Ok(TypedExpr::new(expr, data_type.clone(), true, "NULL"))
}

fn value(literal: &Literal, declared: Option<&DataType>) -> Result<ScalarValue> {
    use l::LiteralType as L;
    let Some(kind) = &literal.literal_type else {
        return Err(SparkError::internal("a literal message without a value"));
    };
    Ok(match kind {
        L::Null(data_type) => {
            let own = if data_type.kind.is_some() { Some(types::from_proto(data_type)?) } else { None };
            ScalarValue::try_from(&own.or_else(|| declared.cloned()).unwrap_or(DataType::Null))?
        }
        L::Binary(bytes) => ScalarValue::Binary(Some(bytes.to_vec())),
        L::Boolean(v) => ScalarValue::Boolean(Some(*v)),
        // Out of range values cannot come from a Spark client; they wrap as its cast does.
        L::Byte(v) => ScalarValue::Int8(Some(*v as i8)),
        L::Short(v) => ScalarValue::Int16(Some(*v as i16)),
        L::Integer(v) => ScalarValue::Int32(Some(*v)),
        L::Long(v) => ScalarValue::Int64(Some(*v)),
        L::Float(v) => ScalarValue::Float32(Some(*v)),
        L::Double(v) => ScalarValue::Float64(Some(*v)),
        L::Decimal(d) => decimal(d)?,
        L::String(v) => ScalarValue::Utf8(Some(v.clone())),
        L::Date(v) => ScalarValue::Date32(Some(*v)),
        L::Timestamp(v) => ScalarValue::TimestampMicrosecond(Some(*v), Some(types::TIMESTAMP_ZONE.into())),
        L::TimestampNtz(v) => ScalarValue::TimestampMicrosecond(Some(*v), None),
        L::CalendarInterval(i) => {
            let nanos = i.microseconds.checked_mul(1000).ok_or_else(|| {
                SparkError::unsupported("a calendar interval of more than 292 years in microseconds")
            })?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(i.months, i.days, nanos)))
        }
        L::YearMonthInterval(v) => ScalarValue::IntervalYearMonth(Some(*v)),
        L::DayTimeInterval(v) => ScalarValue::DurationMicrosecond(Some(*v)),
        L::Array(array) => list(array, declared)?,
        L::Map(map) => self::map(map, declared)?,
        L::Struct(fields) => structure(fields, declared)?,
        L::SpecializedArray(array) => specialized(array)?,
        L::Time(_) => return Err(SparkError::unsupported("a TIME literal")),
        L::TimestampNtzNanos(_) | L::TimestampLtzNanos(_) => {
            return Err(SparkError::unsupported("a timestamp literal with nanoseconds"));
        }
    })
}

/// A decimal literal; its type holds the digits and what is declared.
fn decimal(decimal: &l::Decimal) -> Result<ScalarValue> {
    let digits = decimal.value.trim_start_matches(['-', '+']);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().unwrap_or(0)),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let own_scale = (i32::try_from(fraction.len()).unwrap_or(i32::MAX) - exponent).max(0);
    let own_whole = i32::try_from(whole.trim_start_matches('0').len()).unwrap_or(i32::MAX) + exponent.max(0);
    // Python clients declare decimal(10,0) whatever the value: the wider of both holds.
    let scale = decimal.scale.map_or(own_scale, |declared| declared.max(own_scale));
    let own_precision = (own_whole + own_scale).max(1);
    let precision =
        decimal.precision.map_or(own_precision, |declared| declared.max(own_precision)).max(scale);
    let range = || {
        SparkError::new("NUMERIC_VALUE_OUT_OF_RANGE.WITHOUT_SUGGESTION")
            .with("roundedValue", decimal.value.clone())
            .with("originalValue", decimal.value.clone())
            .with("precision", precision.to_string())
            .with("scale", scale.to_string())
    };
    let Some(DataType::Decimal128(p, s)) = types::decimal(precision, scale) else { return Err(range()) };
    let value = number_text::parse_decimal(decimal.value.as_bytes(), p, s).ok_or_else(range)?;
    Ok(ScalarValue::Decimal128(Some(value), p, s))
}

fn element(
    literals: &[Literal],
    declared: Option<&DataType>,
    old: Option<&ProtoType>,
) -> Result<(ArrayRef, DataType)> {
    let mut data_type = match (declared, old) {
        (Some(declared), _) => Some(declared.clone()),
        (None, Some(old)) if old.kind.is_some() => Some(types::from_proto(old)?),
        _ => None,
    };
    let mut values = Vec::with_capacity(literals.len());
    for literal in literals {
        let next = value(literal, data_type.as_ref())?;
        if data_type.as_ref().is_none_or(|known| *known == DataType::Null) {
            data_type = Some(next.data_type());
        }
        values.push(next);
    }
    let data_type = data_type.unwrap_or(DataType::Null);
    let values = values
        .into_iter()
        .map(|v| if v.is_null() { Ok(ScalarValue::try_from(&data_type)?) } else { Ok(v) })
        .collect::<Result<Vec<_>>>()?;
    let array =
        if values.is_empty() { new_empty_array(&data_type) } else { ScalarValue::iter_to_array(values)? };
    Ok((array, data_type))
}

#[expect(deprecated, reason = "clients before Spark 4.1 send the element type here")]
fn list(array: &l::Array, declared: Option<&DataType>) -> Result<ScalarValue> {
    let (inner, contains_null) = match declared {
        Some(DataType::List(field)) => (Some(field.data_type()), Some(field.is_nullable())),
        _ => (None, None),
    };
    let (values, data_type) = element(&array.elements, inner, array.element_type.as_ref())?;
    let contains_null = contains_null.unwrap_or(values.logical_null_count() > 0);
    let DataType::List(field) = types::list_of(data_type, contains_null) else {
        return Err(SparkError::internal("a list type"));
    };
    one_list(field, values)
}

fn one_list(field: FieldRef, values: ArrayRef) -> Result<ScalarValue> {
    let offsets = OffsetBuffer::from_lengths([values.len()]);
    Ok(ScalarValue::List(Arc::new(ListArray::try_new(field, offsets, values, None)?)))
}

#[expect(deprecated, reason = "clients before Spark 4.1 send the types here")]
fn map(map: &l::Map, declared: Option<&DataType>) -> Result<ScalarValue> {
    let (key, value, has_null) = match declared {
        Some(DataType::Map(entries, _)) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => (
                Some(fields[0].data_type().clone()),
                Some(fields[1].data_type().clone()),
                Some(fields[1].is_nullable()),
            ),
            _ => (None, None, None),
        },
        _ => (None, None, None),
    };
    let (keys, key) = element(&map.keys, key.as_ref(), map.key_type.as_ref())?;
    let (values, value) = element(&map.values, value.as_ref(), map.value_type.as_ref())?;
    let has_null = has_null.unwrap_or(values.logical_null_count() > 0);
    let DataType::Map(entries, sorted) = types::map_of(key, value, has_null) else {
        return Err(SparkError::internal("a map type"));
    };
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(SparkError::internal("a map's entries"));
    };
    let offsets = OffsetBuffer::from_lengths([keys.len()]);
    let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    Ok(ScalarValue::Map(Arc::new(MapArray::try_new(Arc::clone(&entries), offsets, pairs, None, sorted)?)))
}

#[expect(deprecated, reason = "clients before Spark 4.1 send the type here")]
fn structure(structure: &l::Struct, declared: Option<&DataType>) -> Result<ScalarValue> {
    let old =
        structure.struct_type.as_ref().filter(|t| t.kind.is_some()).map(types::from_proto).transpose()?;
    let fields = match declared.or(old.as_ref()) {
        Some(DataType::Struct(fields)) => Some(fields.clone()),
        _ => None,
    };
    let mut columns: Vec<(FieldRef, ArrayRef)> = Vec::with_capacity(structure.elements.len());
    for (i, literal) in structure.elements.iter().enumerate() {
        let field = fields.as_ref().and_then(|fields| fields.get(i));
        let value = value(literal, field.map(|f| f.data_type()))?;
        let field = match field {
            Some(field) => Arc::clone(field),
            None => Arc::new(Field::new(format!("col{}", i + 1), value.data_type(), value.is_null())),
        };
        let value = if value.is_null() { ScalarValue::try_from(field.data_type())? } else { value };
        columns.push((field, value.to_array()?));
    }
    Ok(ScalarValue::Struct(Arc::new(StructArray::from(columns))))
}

fn specialized(array: &l::SpecializedArray) -> Result<ScalarValue> {
    use datafusion::arrow::array as a;
    use l::specialized_array::ValueType as V;
    let values: ArrayRef = match &array.value_type {
        Some(V::Bools(v)) => Arc::new(a::BooleanArray::from(v.values.clone())),
        Some(V::Ints(v)) => Arc::new(a::Int32Array::from(v.values.clone())),
        Some(V::Longs(v)) => Arc::new(a::Int64Array::from(v.values.clone())),
        Some(V::Floats(v)) => Arc::new(a::Float32Array::from(v.values.clone())),
        Some(V::Doubles(v)) => Arc::new(a::Float64Array::from(v.values.clone())),
        Some(V::Strings(v)) => Arc::new(a::StringArray::from(v.values.clone())),
        None => return Err(SparkError::internal("an array literal without values")),
    };
    let DataType::List(field) = types::list_of(values.data_type().clone(), false) else {
        return Err(SparkError::internal("a list type"));
    };
    one_list(field, values)
}

/// The text of a literal inside a column name: `1`, `x`, `DATE '2024-02-29'`.
pub(crate) fn pretty(value: &ScalarValue, conf: &SessionConf) -> Result<String> {
    Ok(match value {
        ScalarValue::Utf8(Some(text)) => text.clone(),
        value if value.is_null() => "NULL".to_string(),
        value if value.data_type().is_numeric() => text_of(&value.to_array()?, conf)?,
        value => sql(value, conf)?,
    })
}

/// The text of a value as SQL, as messages quote it: `'abc'`, `12L`, `1.5D`.
pub(crate) fn sql(value: &ScalarValue, conf: &SessionConf) -> Result<String> {
    if value.is_null() {
        return Ok(match value.data_type() {
            DataType::Null => "NULL".to_string(),
            other => format!("CAST(NULL AS {})", types::sql_name(&other)),
        });
    }
    let text = |suffix: &str| Ok::<_, SparkError>(format!("{}{suffix}", text_of(&value.to_array()?, conf)?));
    Ok(match value {
        ScalarValue::Utf8(Some(text)) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        ScalarValue::Binary(Some(bytes)) => {
            format!("X'{}'", bytes.iter().map(|b| format!("{b:02X}")).collect::<String>())
        }
        ScalarValue::Int8(_) => text("Y")?,
        ScalarValue::Int16(_) => text("S")?,
        ScalarValue::Int64(_) => text("L")?,
        ScalarValue::Decimal128(..) => text("BD")?,
        ScalarValue::Float32(Some(v)) if v.is_nan() => "CAST('NaN' AS FLOAT)".to_string(),
        ScalarValue::Float32(Some(v)) if v.is_infinite() => {
            format!("CAST('{}' AS FLOAT)", if *v > 0.0 { "Infinity" } else { "-Infinity" })
        }
        ScalarValue::Float32(_) => format!("CAST({} AS FLOAT)", text("")?),
        ScalarValue::Float64(Some(v)) if v.is_nan() => "CAST('NaN' AS DOUBLE)".to_string(),
        ScalarValue::Float64(Some(v)) if v.is_infinite() => {
            format!("CAST('{}' AS DOUBLE)", if *v > 0.0 { "Infinity" } else { "-Infinity" })
        }
        ScalarValue::Float64(_) => text("D")?,
        ScalarValue::Date32(_) => format!("DATE '{}'", text("")?),
        ScalarValue::TimestampMicrosecond(_, Some(_)) => format!("TIMESTAMP '{}'", text("")?),
        ScalarValue::TimestampMicrosecond(_, None) => format!("TIMESTAMP_NTZ '{}'", text("")?),
        ScalarValue::List(list) => {
            let parts = scalars(&list.value(0))?.iter().map(|v| sql(v, conf)).collect::<Result<Vec<_>>>()?;
            format!("ARRAY({})", parts.join(", "))
        }
        ScalarValue::Map(map) => {
            let entries = map.value(0);
            let side = |i: usize| -> Result<String> {
                let parts =
                    scalars(entries.column(i))?.iter().map(|v| sql(v, conf)).collect::<Result<Vec<_>>>()?;
                Ok(format!("ARRAY({})", parts.join(", ")))
            };
            format!("MAP_FROM_ARRAYS({}, {})", side(0)?, side(1)?)
        }
        ScalarValue::Struct(array) => {
            let mut parts = Vec::new();
            for (field, column) in array.fields().iter().zip(array.columns()) {
                parts.push(format!("'{}'", field.name()));
                parts.push(sql(&ScalarValue::try_from_array(column, 0)?, conf)?);
            }
            format!("NAMED_STRUCT({})", parts.join(", "))
        }
        _ => text("")?,
    })
}

fn scalars(array: &ArrayRef) -> Result<Vec<ScalarValue>> {
    (0..array.len()).map(|i| Ok(ScalarValue::try_from_array(array, i)?)).collect()
}

/// Spark's text of the single value of `array`.
fn text_of(array: &ArrayRef, conf: &SessionConf) -> Result<String> {
    let zone = SessionZone(Evaluation::of(conf).zone);
    let text = to_text(array, &zone, TextStyle::Pretty)?;
    Ok(text.value(0).to_string())
}
