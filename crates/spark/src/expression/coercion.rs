//! Spark's implicit types: what two operands, a list of branches or a parameter become.
//!
//! ANSI (the default) and the legacy rules differ; each function takes which one holds.
//! Type equality ignores nullability inside arrays, maps and structs.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, Fields},
    common::ScalarValue,
};

use super::{TypedExpr, cast::implicit_cast};
use crate::{SessionConf, types};

const MAX_PRECISION: u8 = 38;
const MIN_ADJUSTED_SCALE: u8 = 6;

/// Whether two types differ in nothing but inner nullability.
pub(crate) fn same_type(a: &DataType, b: &DataType) -> bool {
    match (a, b) {
        (DataType::List(a), DataType::List(b)) => same_type(a.data_type(), b.data_type()),
        (DataType::Map(a, _), DataType::Map(b, _)) => same_type(a.data_type(), b.data_type()),
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| a.name() == b.name() && same_type(a.data_type(), b.data_type()))
        }
        _ => a == b,
    }
}

pub(crate) fn is_integral(t: &DataType) -> bool {
    matches!(t, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64)
}

pub(crate) fn is_float(t: &DataType) -> bool {
    matches!(t, DataType::Float32 | DataType::Float64)
}

pub(crate) fn is_decimal(t: &DataType) -> bool {
    matches!(t, DataType::Decimal128(..))
}

/// tinyint to double and decimal.
pub(crate) fn is_numeric(t: &DataType) -> bool {
    is_integral(t) || is_float(t) || is_decimal(t)
}

/// date, timestamp, timestamp_ntz.
pub(crate) fn is_datetime(t: &DataType) -> bool {
    matches!(t, DataType::Date32 | DataType::Timestamp(..))
}

/// Year-month and day-time intervals.
pub(crate) fn is_ansi_interval(t: &DataType) -> bool {
    *t == DataType::Interval(datafusion::arrow::datatypes::IntervalUnit::YearMonth)
        || matches!(t, DataType::Duration(_))
}

pub(crate) fn is_interval(t: &DataType) -> bool {
    matches!(t, DataType::Interval(_) | DataType::Duration(_))
}

fn is_atomic(t: &DataType) -> bool {
    !matches!(t, DataType::Null | DataType::List(_) | DataType::Map(..) | DataType::Struct(_))
}

/// The decimal that holds every value of an integral type (or of a float, as Spark has it).
pub(crate) fn decimal_of(t: &DataType) -> Option<(u8, i8)> {
    Some(match t {
        DataType::Int8 => (3, 0),
        DataType::Int16 => (5, 0),
        DataType::Int32 => (10, 0),
        DataType::Int64 => (20, 0),
        DataType::Float32 => (14, 7),
        DataType::Float64 => (30, 15),
        DataType::Decimal128(p, s) => (*p, *s),
        _ => return None,
    })
}

/// The smallest decimal for an integral literal, otherwise [`decimal_of`] its type.
pub(crate) fn decimal_of_operand(operand: &TypedExpr) -> Option<(u8, i8)> {
    let value = match operand.literal() {
        Some(ScalarValue::Int8(Some(v))) => i128::from(*v),
        Some(ScalarValue::Int16(Some(v))) => i128::from(*v),
        Some(ScalarValue::Int32(Some(v))) => i128::from(*v),
        Some(ScalarValue::Int64(Some(v))) => i128::from(*v),
        _ => return decimal_of(operand.data_type()),
    };
    let digits = value.unsigned_abs().checked_ilog10().map_or(1, |d| d + 1);
    Some((u8::try_from(digits).unwrap_or(MAX_PRECISION), 0))
}

/// A decimal type that holds both, cut at 38 digits as Spark cuts comparisons and unions.
pub(crate) fn wider_decimal((p1, s1): (u8, i8), (p2, s2): (u8, i8)) -> DataType {
    let scale = s1.max(s2);
    let range = (i16::from(p1) - i16::from(s1)).max(i16::from(p2) - i16::from(s2));
    bounded(range + i16::from(scale), i16::from(scale))
}

/// Spark's `DecimalType.bounded`: precision and scale are each cut at 38.
pub(crate) fn bounded(precision: i16, scale: i16) -> DataType {
    DataType::Decimal128(
        u8::try_from(precision.clamp(1, 38)).unwrap_or(MAX_PRECISION),
        i8::try_from(scale.clamp(0, 38)).unwrap_or(38),
    )
}

/// Spark's `DecimalType.adjustPrecisionScale`: beyond 38 digits fraction digits are given
/// up, down to 6.
pub(crate) fn adjusted(precision: i16, scale: i16) -> DataType {
    if precision <= i16::from(MAX_PRECISION) {
        return bounded(precision, scale);
    }
    let whole = precision - scale;
    let least = scale.min(i16::from(MIN_ADJUSTED_SCALE));
    bounded(i16::from(MAX_PRECISION), (i16::from(MAX_PRECISION) - whole).max(least))
}

fn is_wider_decimal(p: u8, s: i8, integral: &DataType) -> bool {
    decimal_of(integral).is_some_and(|(ip, _)| i16::from(p) - i16::from(s) >= i16::from(ip))
}

fn numeric_rank(t: &DataType) -> Option<u8> {
    Some(match t {
        DataType::Int8 => 0,
        DataType::Int16 => 1,
        DataType::Int32 => 2,
        DataType::Int64 => 3,
        DataType::Float32 => 4,
        DataType::Float64 => 5,
        _ => return None,
    })
}

/// Spark's `findTightestCommonType`: no precision is lost and no string is read.
pub(crate) fn tightest_common(a: &DataType, b: &DataType, ansi: bool) -> Option<DataType> {
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (DataType::Null, t) | (t, DataType::Null) => Some(t.clone()),
        (DataType::Decimal128(p, s), t) | (t, DataType::Decimal128(p, s)) if is_integral(t) => {
            is_wider_decimal(*p, *s, t).then_some(DataType::Decimal128(*p, *s))
        }
        (DataType::Date32, t @ DataType::Timestamp(..)) | (t @ DataType::Timestamp(..), DataType::Date32) => {
            Some(t.clone())
        }
        (DataType::Timestamp(..), DataType::Timestamp(..)) => Some(types::timestamp()),
        _ => {
            if let (Some(left), Some(right)) = (numeric_rank(a), numeric_rank(b)) {
                let wider = if left > right { a } else { b };
                // ANSI: an integer beside a float makes both double.
                return Some(if ansi && *wider == DataType::Float32 {
                    DataType::Float64
                } else {
                    wider.clone()
                });
            }
            complex(a, b, |a, b| tightest_common(a, b, ansi))
        }
    }
}

/// Spark's `findWiderTypeWithoutStringPromotionForTwo`.
pub(crate) fn wider_without_strings(a: &DataType, b: &DataType, ansi: bool) -> Option<DataType> {
    tightest_common(a, b, ansi)
        .or_else(|| wider_for_decimal(a, b))
        .or_else(|| complex(a, b, |a, b| wider_without_strings(a, b, ansi)))
}

/// Spark's `findWiderTypeForTwo`, as branches of CASE, COALESCE, IN and UNION use it.
pub(crate) fn wider(a: &DataType, b: &DataType, ansi: bool) -> Option<DataType> {
    tightest_common(a, b, ansi)
        .or_else(|| wider_for_decimal(a, b))
        .or_else(|| if ansi { wider_for_string(a, b) } else { string_promotion(a, b) })
        .or_else(|| complex(a, b, |a, b| wider(a, b, ansi)))
}

/// [`wider`] of all; strings are looked at last in legacy mode, as in Spark.
pub(crate) fn wider_of_all<'a>(
    types: impl IntoIterator<Item = &'a DataType>,
    ansi: bool,
) -> Option<DataType> {
    let mut all: Vec<&DataType> = types.into_iter().collect();
    if !ansi {
        all.sort_by_key(|t| **t != DataType::Utf8);
    }
    all.into_iter().try_fold(DataType::Null, |common, t| wider(&common, t, ansi))
}

fn wider_for_decimal(a: &DataType, b: &DataType) -> Option<DataType> {
    match (a, b) {
        (DataType::Decimal128(..), t) | (t, DataType::Decimal128(..)) if is_float(t) => {
            Some(DataType::Float64)
        }
        (DataType::Decimal128(p, s), t) | (t, DataType::Decimal128(p, s))
            if is_integral(t) || is_decimal(t) =>
        {
            Some(wider_decimal((*p, *s), decimal_of(t)?))
        }
        _ => None,
    }
}

/// ANSI: a string beside another type is read as that type.
pub(crate) fn wider_for_string(a: &DataType, b: &DataType) -> Option<DataType> {
    match (a, b) {
        (DataType::Utf8, t) | (t, DataType::Utf8) => match t {
            t if is_integral(t) => Some(DataType::Int64),
            t if is_numeric(t) => Some(DataType::Float64),
            DataType::Null => Some(DataType::Utf8),
            t if is_ansi_interval(t) => None,
            t if is_atomic(t) => Some(t.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Legacy: a string beside another type makes both strings.
fn string_promotion(a: &DataType, b: &DataType) -> Option<DataType> {
    match (a, b) {
        (DataType::Utf8, t) | (t, DataType::Utf8) => {
            (is_atomic(t) && !matches!(t, DataType::Binary | DataType::Boolean)).then_some(DataType::Utf8)
        }
        _ => None,
    }
}

/// The common type of the two sides of a comparison.
pub(crate) fn comparison(left: &DataType, right: &DataType, ansi: bool) -> Option<DataType> {
    if same_type(left, right) {
        return merge_nullability(left, right);
    }
    if ansi {
        return wider(left, right, true);
    }
    match (left, right) {
        (DataType::Utf8, t) | (t, DataType::Utf8) if !is_ansi_interval(t) => match t {
            DataType::Decimal128(..) => Some(DataType::Float64),
            DataType::Null => Some(DataType::Utf8),
            t if is_atomic(t) => Some(t.clone()),
            _ => None,
        },
        _ => wider_without_strings(left, right, false),
    }
}

/// Two types that are [`same_type`]: null inside where either has it.
pub(crate) fn merge_nullability(a: &DataType, b: &DataType) -> Option<DataType> {
    if a == b { Some(a.clone()) } else { complex(a, b, merge_nullability) }
}

fn complex(
    a: &DataType,
    b: &DataType,
    common: impl Fn(&DataType, &DataType) -> Option<DataType> + Copy,
) -> Option<DataType> {
    // A cast inside that can fail leaves a null.
    let forced =
        |from: &DataType, to: &DataType| !same_type(from, to) && super::cast::force_nullable(from, to);
    match (a, b) {
        (DataType::List(x), DataType::List(y)) => {
            let element = common(x.data_type(), y.data_type())?;
            let null = x.is_nullable()
                || y.is_nullable()
                || forced(x.data_type(), &element)
                || forced(y.data_type(), &element);
            Some(types::list_of(element, null))
        }
        (DataType::Map(x, _), DataType::Map(y, _)) => {
            let ((xk, xv), (yk, yv)) = (map_fields(x)?, map_fields(y)?);
            let key = common(xk.data_type(), yk.data_type())?;
            let value = common(xv.data_type(), yv.data_type())?;
            if forced(xk.data_type(), &key) || forced(yk.data_type(), &key) {
                return None;
            }
            let null = xv.is_nullable()
                || yv.is_nullable()
                || forced(xv.data_type(), &value)
                || forced(yv.data_type(), &value);
            Some(types::map_of(key, value, null))
        }
        (DataType::Struct(xs), DataType::Struct(ys)) if xs.len() == ys.len() => {
            let fields = xs
                .iter()
                .zip(ys)
                .map(|(x, y)| {
                    if !x.name().eq_ignore_ascii_case(y.name()) {
                        return None;
                    }
                    let t = common(x.data_type(), y.data_type())?;
                    let null = x.is_nullable()
                        || y.is_nullable()
                        || forced(x.data_type(), &t)
                        || forced(y.data_type(), &t);
                    Some(Arc::new(Field::new(x.name(), t, null)))
                })
                .collect::<Option<Fields>>()?;
            Some(DataType::Struct(fields))
        }
        _ => None,
    }
}

/// Key and value of a map's entries.
pub(crate) fn map_fields(entries: &Field) -> Option<(&Arc<Field>, &Arc<Field>)> {
    match entries.data_type() {
        DataType::Struct(fields) => Some((fields.first()?, fields.get(1)?)),
        _ => None,
    }
}

/// What a function's parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// Anything, as it is.
    Any,
    Boolean,
    Int,
    /// tinyint to int, as int: a number of days.
    Days,
    Long,
    Double,
    /// Any numeric type; a string becomes double.
    Numeric,
    /// tinyint to bigint.
    Integral,
    String,
    Binary,
    /// String or binary as they are; other types become strings.
    StringOrBinary,
    Date,
    /// timestamp; dates and strings become one.
    Timestamp,
    /// timestamp or timestamp_ntz as they are; others become timestamp.
    AnyTimestamp,
    TimestampNtz,
    Array,
}

impl Input {
    /// How messages name the requirement.
    pub(crate) fn described(self) -> &'static str {
        match self {
            Input::Any => "\"ANY\"",
            Input::Boolean => "\"BOOLEAN\"",
            Input::Int => "\"INT\"",
            Input::Days => "(\"INT\" or \"SMALLINT\" or \"TINYINT\")",
            Input::Long => "\"BIGINT\"",
            Input::Double => "\"DOUBLE\"",
            Input::Numeric => "\"NUMERIC\"",
            Input::Integral => "\"INTEGRAL\"",
            Input::String => "\"STRING\"",
            Input::Binary => "\"BINARY\"",
            Input::StringOrBinary => "(\"STRING\" or \"BINARY\")",
            Input::Date => "\"DATE\"",
            Input::Timestamp => "\"TIMESTAMP\"",
            Input::AnyTimestamp => "(\"TIMESTAMP\" or \"TIMESTAMP WITHOUT TIME ZONE\")",
            Input::TimestampNtz => "\"TIMESTAMP_NTZ\"",
            Input::Array => "\"ARRAY\"",
        }
    }

    /// The type an argument of type `from` gets, `None` where Spark refuses it.
    pub(crate) fn accept(self, from: &DataType) -> Option<DataType> {
        use DataType as T;
        let exact = |to: DataType| implicit_type(from, to);
        match self {
            Input::Any => Some(from.clone()),
            Input::Boolean => exact(T::Boolean),
            Input::Int => exact(T::Int32),
            Input::Days => match from {
                T::Int8 | T::Int16 | T::Int32 | T::Utf8 | T::Null => Some(T::Int32),
                _ => None,
            },
            Input::Long => exact(T::Int64),
            Input::Double => exact(T::Float64),
            Input::Numeric => match from {
                t if is_numeric(t) => Some(t.clone()),
                T::Utf8 | T::Null => Some(T::Float64),
                _ => None,
            },
            Input::Integral => match from {
                t if is_integral(t) => Some(t.clone()),
                T::Null => Some(T::Int32),
                T::Utf8 => Some(T::Int64),
                _ => None,
            },
            Input::String => exact(T::Utf8),
            Input::Binary => exact(T::Binary),
            Input::StringOrBinary => match from {
                T::Binary => Some(T::Binary),
                _ => exact(T::Utf8),
            },
            Input::Date => exact(T::Date32),
            Input::Timestamp => exact(types::timestamp()),
            Input::AnyTimestamp => match from {
                T::Timestamp(_, None) => Some(types::timestamp_ntz()),
                _ => exact(types::timestamp()),
            },
            Input::TimestampNtz => exact(types::timestamp_ntz()),
            Input::Array => match from {
                T::List(_) => Some(from.clone()),
                T::Null => Some(types::list_of(T::Null, true)),
                _ => None,
            },
        }
    }

    /// `argument` as this parameter takes it.
    pub(crate) fn coerce(self, argument: TypedExpr, conf: &SessionConf) -> Option<TypedExpr> {
        let to = self.accept(argument.data_type())?;
        implicit_cast(argument, &to, conf).ok()
    }
}

/// Spark's `implicitCast` to one type.
fn implicit_type(from: &DataType, to: DataType) -> Option<DataType> {
    use DataType as T;
    let allowed = *from == to
        || *from == T::Null
        || match &to {
            T::Utf8 => is_atomic(from),
            t if is_numeric(t) => is_numeric(from) || *from == T::Utf8,
            T::Boolean | T::Binary => *from == T::Utf8,
            t if is_datetime(t) => is_datetime(from) || *from == T::Utf8,
            _ => false,
        };
    allowed.then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_types_follow_ansi_and_legacy_rules() {
        use DataType as T;
        let d = |p, s| T::Decimal128(p, s);
        let cases = [
            (T::Int32, T::Float32, true, Some(T::Float64)),
            (T::Int32, T::Float32, false, Some(T::Float32)),
            (T::Int32, T::Utf8, true, Some(T::Int64)),
            (T::Int32, T::Utf8, false, Some(T::Utf8)),
            (T::Date32, T::Utf8, true, Some(T::Date32)),
            (d(10, 2), T::Int32, true, Some(d(12, 2))),
            (d(10, 2), T::Int8, true, Some(d(10, 2))),
            (d(38, 18), d(10, 2), true, Some(d(38, 18))),
            (d(10, 2), T::Float64, true, Some(T::Float64)),
            (T::Boolean, T::Int32, true, None),
            (T::Null, T::Utf8, true, Some(T::Utf8)),
        ];
        for (a, b, ansi, expected) in cases {
            assert_eq!(wider(&a, &b, ansi), expected, "{a} {b} ansi={ansi}");
            assert_eq!(wider(&b, &a, ansi), expected, "{b} {a} ansi={ansi}");
        }
    }

    #[test]
    fn decimals_beyond_38_digits_give_up_scale_down_to_6() {
        assert_eq!(adjusted(76, 36), DataType::Decimal128(38, 6));
        assert_eq!(adjusted(40, 10), DataType::Decimal128(38, 8));
        assert_eq!(adjusted(20, 10), DataType::Decimal128(20, 10));
    }
}
