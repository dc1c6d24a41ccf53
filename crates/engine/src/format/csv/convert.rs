//! One CSV token into one value of a column, as Spark's converters do.

use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

use super::options::ValueOptions;
use crate::{
    Result, SparkError,
    format::{
        column_builder::{ColumnBuilder, Values},
        datetime_text::{parse_date, parse_timestamp, parse_timestamp_ntz},
        number_text::{parse_bool, parse_decimal, parse_f32, parse_f64, parse_i64},
    },
};

/// What a column's tokens become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
    Decimal(u8, i8),
    Date,
    Timestamp,
    TimestampNtz,
    Utf8,
    Binary,
}

impl Kind {
    /// The kind for a column type.
    ///
    /// # Errors
    /// For types CSV has no text for.
    pub(crate) fn of(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool,
            DataType::Int8 => Self::I8,
            DataType::Int16 => Self::I16,
            DataType::Int32 => Self::I32,
            DataType::Int64 => Self::I64,
            DataType::Float32 => Self::F32,
            DataType::Float64 => Self::F64,
            DataType::Decimal128(precision, scale) => Self::Decimal(*precision, *scale),
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Self::Timestamp,
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::TimestampNtz,
            DataType::Utf8 => Self::Utf8,
            DataType::Binary => Self::Binary,
            DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::MonthDayNano)
            | DataType::Duration(_) => {
                return Err(SparkError::unsupported("reading intervals from CSV"));
            }
            other => return Err(SparkError::unsupported(format!("reading the type {other} from CSV"))),
        })
    }
}

/// Appends the value of `token`, which is neither null nor the null value.
///
/// Returns false, and appends nothing, when the token is no value of the kind. `token` must
/// be UTF-8.
#[inline]
pub(crate) fn append(
    kind: Kind,
    token: &[u8],
    options: &ValueOptions,
    column: &mut ColumnBuilder,
) -> Result<bool> {
    let done = match (kind, &mut column.values) {
        (Kind::Utf8 | Kind::Binary, Values::Bytes(..)) => {
            column.push_bytes(token)?;
            return Ok(true);
        }
        (Kind::Bool, Values::Bool(v)) => parse_bool(token).map(|x| v.append(x)),
        (Kind::I8, Values::I8(v)) => parse_i64(token).and_then(|x| i8::try_from(x).ok()).map(|x| v.push(x)),
        (Kind::I16, Values::I16(v)) => {
            parse_i64(token).and_then(|x| i16::try_from(x).ok()).map(|x| v.push(x))
        }
        (Kind::I32, Values::I32(v)) => {
            parse_i64(token).and_then(|x| i32::try_from(x).ok()).map(|x| v.push(x))
        }
        (Kind::I64, Values::I64(v)) => parse_i64(token).map(|x| v.push(x)),
        (Kind::F32, Values::F32(v)) => {
            special(token, options).map(|x| x as f32).or_else(|| parse_f32(token)).map(|x| v.push(x))
        }
        (Kind::F64, Values::F64(v)) => {
            special(token, options).or_else(|| parse_f64(token)).map(|x| v.push(x))
        }
        (Kind::Decimal(precision, scale), Values::I128(v)) => {
            decimal(token, precision, scale).map(|x| v.push(x))
        }
        (Kind::Date, Values::I32(v)) => date(token, options).map(|x| v.push(x)),
        (Kind::Timestamp, Values::I64(v)) => timestamp(token, options).map(|x| v.push(x)),
        (Kind::TimestampNtz, Values::I64(v)) => timestamp_ntz(token, options).map(|x| v.push(x)),
        (Kind::Null, Values::Null) => None,
        _ => return Err(SparkError::internal(format!("a column of {kind:?} has another storage"))),
    };
    Ok(match done {
        Some(()) => {
            column.mark_valid();
            true
        }
        None => false,
    })
}

/// `nanValue`, `positiveInf` and `negativeInf`.
pub(crate) fn special(token: &[u8], options: &ValueOptions) -> Option<f64> {
    if token == options.nan {
        Some(f64::NAN)
    } else if token == options.negative_inf {
        Some(f64::NEG_INFINITY)
    } else if token == options.positive_inf {
        Some(f64::INFINITY)
    } else {
        None
    }
}

/// Thousands separators are dropped, as the en-US number parser of Spark does.
pub(crate) fn decimal(token: &[u8], precision: u8, scale: i8) -> Option<i128> {
    if token.contains(&b',') {
        let bare: Vec<u8> = token.iter().copied().filter(|b| *b != b',').collect();
        return parse_decimal(&bare, precision, scale);
    }
    parse_decimal(token, precision, scale)
}

/// A date by the pattern, or by the rules of casts where that is allowed.
pub(crate) fn date(token: &[u8], options: &ValueOptions) -> Option<i32> {
    match &options.date {
        None => parse_date(token).or_else(|| without_gmt(token).and_then(|t| parse_date(&t))),
        Some(pattern) => {
            let found = std::str::from_utf8(token).ok().and_then(|t| pattern.parse_date(t));
            match found {
                None if options.date_fallback => parse_date(token),
                found => found,
            }
        }
    }
}

/// A timestamp by the pattern, or by the rules of casts where that is allowed.
pub(crate) fn timestamp(token: &[u8], options: &ValueOptions) -> Option<i64> {
    match &options.timestamp {
        None => parse_timestamp(token, options.zone)
            .or_else(|| without_gmt(token).and_then(|t| parse_timestamp(&t, options.zone))),
        Some(pattern) => {
            let found =
                std::str::from_utf8(token).ok().and_then(|t| pattern.parse_timestamp(t, options.zone));
            match found {
                None if options.timestamp_fallback => parse_timestamp(token, options.zone),
                found => found,
            }
        }
    }
}

/// A timestamp without time zone.
pub(crate) fn timestamp_ntz(token: &[u8], options: &ValueOptions) -> Option<i64> {
    match &options.timestamp_ntz {
        None => parse_timestamp_ntz(token, false),
        Some(pattern) => pattern.parse_timestamp_ntz(std::str::from_utf8(token).ok()?, false),
    }
}

/// Spark's fallback reads `2024-01-01GMT+1` with the letters taken out.
fn without_gmt(token: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(token, b"GMT")?;
    Some(String::from_utf8_lossy(token).replace("GMT", "").into_bytes())
}
