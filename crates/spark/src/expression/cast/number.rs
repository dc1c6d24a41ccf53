//! Casts between numbers, booleans and binary.

use std::sync::Arc;

use datafusion::arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryBuilder, BooleanArray, PrimitiveArray,
        PrimitiveBuilder,
    },
    compute::cast as arrow_cast,
    datatypes::{
        DataType, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type,
        Int32Type, Int64Type, IntervalUnit, IntervalYearMonthType,
    },
};
use millstream_engine::{
    Result,
    format::{
        number_text::parse_decimal,
        value_text::{write_decimal, write_double, write_float},
    },
};

use super::{missing, out_of_range, overflow, rules::is_native};
use crate::{
    expression::coercion::{decimal_of, is_integral},
    functions::{Evaluation, Mode},
};

pub(super) fn cast(array: &ArrayRef, to: &DataType, evaluation: Evaluation) -> Result<ArrayRef> {
    use DataType as T;
    let from = array.data_type();
    if is_native(from, to) {
        return Ok(arrow_cast(array, to)?);
    }
    match (from, to) {
        (T::Boolean, _) => from_boolean(array.as_boolean(), to, evaluation),
        (_, T::Boolean) => to_boolean(array, to),
        (t, T::Binary) if is_integral(t) => integral_to_binary(array),
        (T::Decimal128(..), _) => from_decimal(array, to, evaluation),
        (T::Float32 | T::Float64, _) => from_float(array, to, evaluation),
        (t, _) if is_integral(t) => from_integral(array, to, evaluation),
        (T::Interval(IntervalUnit::YearMonth), t) if is_integral(t) => {
            let months = array.as_primitive::<IntervalYearMonthType>();
            from_integral(&(Arc::new(months.reinterpret_cast::<Int32Type>()) as ArrayRef), to, evaluation)
        }
        (T::Duration(_), t) if is_integral(t) => {
            let seconds: PrimitiveArray<Int64Type> =
                array.as_primitive::<DurationMicrosecondType>().unary(|micros| micros / 1_000_000);
            from_integral(&(Arc::new(seconds) as ArrayRef), to, evaluation)
        }
        _ => Err(missing(from, to)),
    }
}

fn from_boolean(array: &BooleanArray, to: &DataType, evaluation: Evaluation) -> Result<ArrayRef> {
    let ints: PrimitiveArray<Int32Type> = array.iter().map(|v| v.map(i32::from)).collect();
    let ints = Arc::new(ints) as ArrayRef;
    if *to == DataType::Int32 { Ok(ints) } else { cast(&ints, to, evaluation) }
}

fn to_boolean(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    fn test<T: ArrowPrimitiveType>(array: &ArrayRef, f: impl Fn(T::Native) -> bool) -> ArrayRef {
        Arc::new(BooleanArray::from_unary(array.as_primitive::<T>(), f))
    }
    Ok(match array.data_type() {
        DataType::Int8 => test::<Int8Type>(array, |v| v != 0),
        DataType::Int16 => test::<Int16Type>(array, |v| v != 0),
        DataType::Int32 => test::<Int32Type>(array, |v| v != 0),
        DataType::Int64 => test::<Int64Type>(array, |v| v != 0),
        DataType::Float32 => test::<Float32Type>(array, |v| v != 0.0),
        DataType::Float64 => test::<Float64Type>(array, |v| v != 0.0),
        DataType::Decimal128(..) => test::<Decimal128Type>(array, |v| v != 0),
        other => return Err(missing(other, to)),
    })
}

fn integral_to_binary(array: &ArrayRef) -> Result<ArrayRef> {
    let longs = arrow_cast(array, &DataType::Int64)?;
    let longs = longs.as_primitive::<Int64Type>();
    let width = array.data_type().primitive_width().unwrap_or(8);
    let mut out = BinaryBuilder::new();
    for value in longs {
        match value {
            Some(value) => out.append_value(value.to_be_bytes().get(8 - width..).unwrap_or_default()),
            None => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// An integer as a decimal with `scale` zeros, `None` when it has too many digits.
pub(super) fn integral_to_decimal(value: i64, precision: u8, scale: i8) -> Option<i128> {
    let scaled = i128::from(value).checked_mul(10i128.checked_pow(u32::try_from(scale).ok()?)?)?;
    (scaled.unsigned_abs() < 10u128.pow(u32::from(precision))).then_some(scaled)
}

fn from_integral(array: &ArrayRef, to: &DataType, evaluation: Evaluation) -> Result<ArrayRef> {
    let from = array.data_type().clone();
    let longs = arrow_cast(array, &DataType::Int64)?;
    let longs = longs.as_primitive::<Int64Type>();
    match to {
        t if is_integral(t) => {
            narrow(longs, to, evaluation, |v| v, |v| (i128::from(v), suffixed(v, &from)), &from)
        }
        DataType::Decimal128(p, s) => {
            let mut out =
                PrimitiveBuilder::<Decimal128Type>::with_capacity(longs.len()).with_data_type(to.clone());
            for value in longs {
                let decimal = value.and_then(|v| integral_to_decimal(v, *p, *s));
                if let (Some(value), None, true) = (value, decimal, evaluation.ansi()) {
                    return Err(out_of_range(value.to_string(), *p, *s));
                }
                out.append_option(decimal);
            }
            Ok(Arc::new(out.finish()))
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            Ok(Arc::new(longs.unary::<_, IntervalYearMonthType>(|v| v as i32)))
        }
        DataType::Duration(_) => {
            Ok(Arc::new(longs.unary::<_, DurationMicrosecondType>(|v| v.wrapping_mul(1_000_000))))
        }
        _ => Err(missing(&from, to)),
    }
}

/// An integer as SQL writes it for its type.
fn suffixed(value: i64, from: &DataType) -> String {
    let suffix = match from {
        DataType::Int8 => "Y",
        DataType::Int16 => "S",
        DataType::Int64 => "L",
        _ => "",
    };
    format!("{value}{suffix}")
}

/// Whole numbers into an integral type: `wrapped` gives the legacy value (Java's narrowing
/// to `long` at least), `exact` the true one with its text.
fn narrow<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    to: &DataType,
    evaluation: Evaluation,
    wrapped: impl Fn(T::Native) -> i64,
    exact: impl Fn(T::Native) -> (i128, String),
    from: &DataType,
) -> Result<ArrayRef> {
    let (least, most) = match to {
        DataType::Int8 => (i128::from(i8::MIN), i128::from(i8::MAX)),
        DataType::Int16 => (i128::from(i16::MIN), i128::from(i16::MAX)),
        DataType::Int32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    let mut out = PrimitiveBuilder::<Int64Type>::with_capacity(array.len());
    for value in array {
        let Some(value) = value else {
            out.append_null();
            continue;
        };
        if evaluation.mode == Mode::Legacy {
            out.append_value(wrapped(value));
            continue;
        }
        let (whole, text) = exact(value);
        match i64::try_from(whole).ok().filter(|_| (least..=most).contains(&whole)) {
            Some(fits) => out.append_value(fits),
            None if evaluation.ansi() => return Err(overflow(text, from, to)),
            None => out.append_null(),
        }
    }
    let longs = out.finish();
    Ok(match to {
        DataType::Int8 => Arc::new(longs.unary::<_, Int8Type>(|v| v as i8)),
        DataType::Int16 => Arc::new(longs.unary::<_, Int16Type>(|v| v as i16)),
        DataType::Int32 => Arc::new(longs.unary::<_, Int32Type>(|v| v as i32)),
        _ => Arc::new(longs),
    })
}

fn from_float(array: &ArrayRef, to: &DataType, evaluation: Evaluation) -> Result<ArrayRef> {
    let from = array.data_type().clone();
    let single = from == DataType::Float32;
    let doubles = arrow_cast(array, &DataType::Float64)?;
    let doubles = doubles.as_primitive::<Float64Type>();
    let text = |v: f64| {
        let mut out = String::new();
        if single {
            write_float(v as f32, &mut out)
        } else {
            write_double(v, &mut out)
        }
        out
    };
    match to {
        DataType::Float32 => Ok(Arc::new(doubles.unary::<_, Float32Type>(|v| v as f32))),
        t if is_integral(t) => {
            // Java narrows a double to byte and short by way of int.
            let by_int = *to != DataType::Int64;
            let wrapped = move |v: f64| if by_int { i64::from(v as i32) } else { v as i64 };
            let exact = |v: f64| {
                let suffix = if single { "" } else { "D" };
                let value = if v.is_nan() { i128::MAX } else { whole(v) };
                (value, float_sql(&text(v), v, single, suffix))
            };
            narrow(doubles, to, evaluation, wrapped, exact, &from)
        }
        DataType::Decimal128(p, s) => {
            let mut out =
                PrimitiveBuilder::<Decimal128Type>::with_capacity(doubles.len()).with_data_type(to.clone());
            for value in doubles {
                let decimal =
                    value.filter(|v| v.is_finite()).and_then(|v| parse_decimal(text(v).as_bytes(), *p, *s));
                match (value, decimal) {
                    (Some(v), None) if evaluation.ansi() && v.is_finite() => {
                        return Err(out_of_range(plain(&text(v)), *p, *s));
                    }
                    _ => out.append_option(decimal),
                }
            }
            Ok(Arc::new(out.finish()))
        }
        _ => Err(missing(&from, to)),
    }
}

fn float_sql(text: &str, value: f64, single: bool, suffix: &str) -> String {
    if single {
        format!("CAST('{text}' AS FLOAT)")
    } else if value.is_finite() {
        format!("{text}{suffix}")
    } else {
        format!("CAST('{text}' AS DOUBLE)")
    }
}

/// Java's text of a double without an exponent, as a decimal shows it.
fn plain(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('E') else { return text.to_string() };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = if fraction == "0" { "" } else { fraction };
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).unwrap_or(0) + exponent;
    let length = i32::try_from(digits.len()).unwrap_or(0);
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    if point >= length {
        format!("{sign}{digits}{}", zeros(point - length))
    } else if point <= 0 {
        format!("{sign}0.{}{digits}", zeros(-point))
    } else {
        let (a, b) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{sign}{a}.{b}")
    }
}

/// The whole part of a double; far outside of `long` where it does not fit 128 bits.
fn whole(v: f64) -> i128 {
    v.trunc() as i128
}

fn from_decimal(array: &ArrayRef, to: &DataType, evaluation: Evaluation) -> Result<ArrayRef> {
    let from = array.data_type().clone();
    let scale = decimal_of(&from).map_or(0, |(_, s)| s);
    let decimals = array.as_primitive::<Decimal128Type>();
    let unit = 10i128.pow(u32::try_from(scale).unwrap_or(0));
    let text = |v: i128| {
        let mut out = String::new();
        write_decimal(v, i32::from(scale), true, &mut out);
        out
    };
    match to {
        DataType::Float64 => Ok(Arc::new(decimals.unary::<_, Float64Type>(|v| decimal_to_double(v, scale)))),
        DataType::Float32 => {
            Ok(Arc::new(decimals.unary::<_, Float32Type>(|v| text(v).parse::<f32>().unwrap_or(f32::NAN))))
        }
        t if is_integral(t) => {
            let exact = |v: i128| (v / unit, format!("{}BD", text(v)));
            narrow(decimals, to, evaluation, |v| (v / unit) as i64, exact, &from)
        }
        DataType::Decimal128(p, s) => {
            let mut out =
                PrimitiveBuilder::<Decimal128Type>::with_capacity(decimals.len()).with_data_type(to.clone());
            for value in decimals {
                let decimal = value.and_then(|v| rescale(v, scale, *p, *s));
                if let (Some(value), None, true) = (value, decimal, evaluation.ansi()) {
                    return Err(out_of_range(text(value), *p, *s));
                }
                out.append_option(decimal);
            }
            Ok(Arc::new(out.finish()))
        }
        _ => Err(missing(&from, to)),
    }
}

/// The double nearest to a decimal.
pub(crate) fn decimal_to_double(value: i128, scale: i8) -> f64 {
    const EXACT: u128 = 1 << 53;
    if value.unsigned_abs() < EXACT && (0..=22).contains(&scale) {
        // Both are exact, so one division rounds once.
        return value as f64 / 10f64.powi(i32::from(scale));
    }
    let mut text = String::new();
    write_decimal(value, i32::from(scale), true, &mut text);
    text.parse().unwrap_or(f64::NAN)
}

/// A decimal brought to another scale, rounding half up; `None` when it has too many digits.
pub(crate) fn rescale(value: i128, from: i8, precision: u8, scale: i8) -> Option<i128> {
    let scaled = if scale >= from {
        value.checked_mul(10i128.checked_pow(u32::try_from(scale - from).ok()?)?)?
    } else {
        let unit = 10i128.checked_pow(u32::try_from(from - scale).ok()?)?;
        let (quotient, rest) = (value / unit, value % unit);
        if rest.unsigned_abs() * 2 >= unit.unsigned_abs() { quotient + value.signum() } else { quotient }
    };
    (scaled.unsigned_abs() < 10u128.checked_pow(u32::from(precision))?).then_some(scaled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rescale_rounds_half_up_and_refuses_what_does_not_fit() {
        assert_eq!(rescale(125, 2, 5, 1), Some(13));
        assert_eq!(rescale(-125, 2, 5, 1), Some(-13));
        assert_eq!(rescale(124, 2, 5, 1), Some(12));
        assert_eq!(rescale(99_995, 3, 4, 2), None);
        assert_eq!(rescale(7, 0, 5, 2), Some(700));
    }

    #[test]
    fn plain_writes_out_exponents() {
        assert_eq!(plain("1.5E10"), "15000000000");
        assert_eq!(plain("1.5E-3"), "0.0015");
        assert_eq!(plain("12.25"), "12.25");
    }
}
