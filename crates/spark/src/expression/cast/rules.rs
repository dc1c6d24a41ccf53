//! Which casts exist, and which can make a null out of a value.

use datafusion::arrow::datatypes::{DataType, IntervalUnit};
use millstream_engine::{Result, SparkError};

use crate::{
    expression::coercion::{
        decimal_of, is_ansi_interval, is_decimal, is_float, is_integral, is_interval, is_numeric, map_fields,
    },
    functions::Mode,
    types,
};

const CALENDAR: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// Refuses what Spark refuses.
pub(super) fn check(from: &DataType, to: &DataType, mode: Mode, sql: &str) -> Result<()> {
    let lenient = mode == Mode::Legacy;
    if allowed(from, to, lenient) {
        return Ok(());
    }
    let class = if !lenient && allowed(from, to, true) {
        match (from, to) {
            (DataType::Date32 | DataType::Timestamp(..), t) if is_numeric(t) => {
                "DATATYPE_MISMATCH.CAST_WITH_FUNC_SUGGESTION"
            }
            (t, DataType::Timestamp(..)) if is_numeric(t) => "DATATYPE_MISMATCH.CAST_WITH_FUNC_SUGGESTION",
            _ if mode == Mode::Try => "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION",
            _ => "DATATYPE_MISMATCH.CAST_WITH_CONF_SUGGESTION",
        }
    } else if !lenient && is_numeric(from) && *to == DataType::Date32 {
        "DATATYPE_MISMATCH.CAST_WITH_FUNC_SUGGESTION"
    } else {
        "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION"
    };
    let function = match (from, to) {
        (_, DataType::Date32) => "`DATE_FROM_UNIX_DATE`",
        (DataType::Date32, _) => "`UNIX_DATE`",
        (_, DataType::Timestamp(..)) => "`TIMESTAMP_SECONDS`/`TIMESTAMP_MILLIS`/`TIMESTAMP_MICROS`",
        _ => "`UNIX_SECONDS`/`UNIX_MILLIS`/`UNIX_MICROS`",
    };
    Err(SparkError::new(class)
        .with("sqlExpr", format!("\"{sql}\""))
        .with("srcType", format!("\"{}\"", types::sql_name(from)))
        .with("targetType", format!("\"{}\"", types::sql_name(to)))
        .with("functionNames", function)
        .with("config", "\"spark.sql.ansi.enabled\"")
        .with("configVal", "'false'"))
}

fn allowed(from: &DataType, to: &DataType, lenient: bool) -> bool {
    use DataType as T;
    match (from, to) {
        (a, b) if a == b => true,
        (T::Null, _) => true,
        (T::List(a), T::List(b)) => {
            allowed(a.data_type(), b.data_type(), lenient)
                && (b.is_nullable()
                    || !(a.is_nullable() || (lenient && force_nullable(a.data_type(), b.data_type()))))
        }
        (T::Map(a, _), T::Map(b, _)) => match (map_fields(a), map_fields(b)) {
            (Some((ak, av)), Some((bk, bv))) => {
                allowed(ak.data_type(), bk.data_type(), lenient)
                    && !(lenient && force_nullable(ak.data_type(), bk.data_type()))
                    && allowed(av.data_type(), bv.data_type(), lenient)
                    && (bv.is_nullable()
                        || !(av.is_nullable() || (lenient && force_nullable(av.data_type(), bv.data_type()))))
            }
            _ => false,
        },
        (T::Struct(a), T::Struct(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| {
                    allowed(a.data_type(), b.data_type(), lenient)
                        && (b.is_nullable()
                            || !(a.is_nullable()
                                || (lenient && force_nullable(a.data_type(), b.data_type()))))
                })
        }
        (_, T::Utf8) => true,
        (T::Utf8, b) => {
            matches!(
                b,
                T::Binary | T::Boolean | T::Date32 | T::Timestamp(..) | T::Interval(_) | T::Duration(_)
            ) || is_numeric(b)
        }
        (a, T::Binary) => lenient && is_integral(a),
        (T::Boolean, b) => is_numeric(b) || (lenient && matches!(b, T::Timestamp(_, Some(_)))),
        (a, T::Boolean) if is_numeric(a) => true,
        (T::Timestamp(_, Some(_)) | T::Date32, T::Boolean) => lenient,
        (a, b) if is_numeric(a) && is_numeric(b) => true,
        (a, T::Timestamp(_, Some(_))) if is_numeric(a) => true,
        (T::Timestamp(_, Some(_)), b) if is_numeric(b) => true,
        (T::Date32, b) if is_numeric(b) => lenient,
        (T::Date32 | T::Timestamp(..), T::Date32 | T::Timestamp(..)) => true,
        (a, b) if is_ansi_interval(a) && (is_integral(b) || is_decimal(b)) => true,
        (a, b) if is_integral(a) && is_ansi_interval(b) => true,
        (a, b) if is_interval(a) && is_interval(b) => *b == CALENDAR && lenient,
        _ => false,
    }
}

/// Spark's `Cast.forceNullable`: a value may become null.
pub(crate) fn force_nullable(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (a, b) if a == b => false,
        (T::Null, _) => true,
        (T::Utf8, T::Binary) => false,
        (T::Utf8, _) => true,
        (_, T::Utf8) => false,
        (T::Timestamp(..), T::Int8 | T::Int16 | T::Int32) => true,
        (T::Float32 | T::Float64, T::Timestamp(..)) => true,
        (T::Timestamp(..), T::Date32) | (T::Date32, T::Timestamp(..)) => false,
        (T::Timestamp(..), T::Timestamp(..)) => false,
        (_, T::Date32) | (T::Date32, _) => true,
        (_, b) if *b == CALENDAR => true,
        (a, T::Decimal128(p, s)) => !null_safe_to_decimal(a, *p, *s),
        (a, b) if (is_float(a) || is_decimal(a)) && is_integral(b) => true,
        _ => false,
    }
}

fn null_safe_to_decimal(from: &DataType, p: u8, s: i8) -> bool {
    match from {
        DataType::Boolean => i16::from(p) - i16::from(s) >= 1,
        t if is_integral(t) => {
            decimal_of(t).is_some_and(|(ip, _)| i16::from(p) - i16::from(s) >= i16::from(ip))
        }
        DataType::Decimal128(fp, fs) => {
            i16::from(p) - i16::from(s) >= i16::from(*fp) - i16::from(*fs) && s >= *fs
        }
        _ => false,
    }
}

/// Conversions that cannot fail and that Arrow makes exactly as Spark does.
pub(super) fn is_native(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    matches!(
        (from, to),
        (T::Int8, T::Int16 | T::Int32 | T::Int64)
            | (T::Int16, T::Int32 | T::Int64)
            | (T::Int32, T::Int64)
            | (T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32, T::Float64)
            | (T::Int8 | T::Int16 | T::Int32 | T::Int64, T::Float32)
    )
}
