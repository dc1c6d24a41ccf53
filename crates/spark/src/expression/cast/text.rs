//! Casts from strings.
//!
//! Blanks and control characters around the value never matter.

use std::sync::Arc;

use datafusion::arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanBuilder, PrimitiveBuilder,
        StringArray,
    },
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
        Int64Type, TimestampMicrosecondType,
    },
};
use millstream_engine::{
    Result, SparkError,
    format::{datetime_text, number_text},
};

use super::{missing, out_of_range};
use crate::{
    functions::{Evaluation, Mode},
    types,
};

pub(super) fn cast(array: &ArrayRef, to: &DataType, evaluation: Evaluation) -> Result<ArrayRef> {
    use DataType as T;
    let Some(strings) = array.as_string_opt::<i32>() else { return Err(missing(array.data_type(), to)) };
    let ansi = evaluation.ansi();
    match to {
        T::Binary => Ok(Arc::new(strings.iter().map(|s| s.map(str::as_bytes)).collect::<BinaryArray>())),
        T::Boolean => {
            let mut out = BooleanBuilder::with_capacity(strings.len());
            for text in strings {
                out.append_option(convert(text, to, ansi, boolean)?);
            }
            Ok(Arc::new(out.finish()))
        }
        T::Int8 => build::<Int8Type>(strings, to, ansi, |s| integral(s, evaluation)),
        T::Int16 => build::<Int16Type>(strings, to, ansi, |s| integral(s, evaluation)),
        T::Int32 => build::<Int32Type>(strings, to, ansi, |s| integral(s, evaluation)),
        T::Int64 => build::<Int64Type>(strings, to, ansi, |s| integral(s, evaluation)),
        T::Float32 => build::<Float32Type>(strings, to, ansi, |s| {
            number_text::parse_f32(s.as_bytes()).or_else(|| special(s).map(|v| v as f32))
        }),
        T::Float64 => build::<Float64Type>(strings, to, ansi, double),
        T::Decimal128(p, s) => decimals(strings, to, *p, *s, ansi),
        T::Date32 => build::<Date32Type>(strings, to, ansi, |s| datetime_text::parse_date(s.as_bytes())),
        T::Timestamp(_, Some(_)) => build::<TimestampMicrosecondType>(strings, to, ansi, |s| {
            datetime_text::parse_timestamp(s.as_bytes(), evaluation.zone)
        }),
        T::Timestamp(_, None) => build::<TimestampMicrosecondType>(strings, to, ansi, |s| {
            datetime_text::parse_timestamp_ntz(s.as_bytes(), true)
        }),
        _ => Err(missing(array.data_type(), to)),
    }
}

fn build<T: ArrowPrimitiveType>(
    strings: &StringArray,
    to: &DataType,
    ansi: bool,
    parse: impl Fn(&str) -> Option<T::Native>,
) -> Result<ArrayRef> {
    let mut out = PrimitiveBuilder::<T>::with_capacity(strings.len()).with_data_type(to.clone());
    for text in strings {
        out.append_option(convert(text, to, ansi, &parse)?);
    }
    Ok(Arc::new(out.finish()))
}

fn convert<V>(
    text: Option<&str>,
    to: &DataType,
    ansi: bool,
    parse: impl Fn(&str) -> Option<V>,
) -> Result<Option<V>> {
    let Some(text) = text else { return Ok(None) };
    match parse(text) {
        None if ansi => Err(invalid_text(text, to)),
        value => Ok(value),
    }
}

/// `CAST_INVALID_INPUT` for a string.
pub(crate) fn invalid_text(text: &str, to: &DataType) -> SparkError {
    invalid(&format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")), &DataType::Utf8, to)
}

/// `CAST_INVALID_INPUT` for a value written as SQL.
pub(super) fn invalid(value: &str, from: &DataType, to: &DataType) -> SparkError {
    SparkError::new("CAST_INVALID_INPUT")
        .with("expression", value)
        .with("sourceType", format!("\"{}\"", types::sql_name(from)))
        .with("targetType", format!("\"{}\"", types::sql_name(to)))
        .with("ansiConfig", crate::conf::ANSI_CONFIG)
}

/// Trims as `UTF8String.trimAll`: blanks and ISO control characters.
pub(crate) fn trim_all(text: &str) -> &str {
    text.trim_matches(|c: char| c == ' ' || c.is_control())
}

fn boolean(text: &str) -> Option<bool> {
    match trim_all(text).to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// Sign and digits; outside ANSI mode also a fraction, which is cut off.
fn integral<N: TryFrom<i64>>(text: &str, evaluation: Evaluation) -> Option<N> {
    let text = trim_all(text);
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if evaluation.mode == Mode::Legacy => {
            if !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            // `.5` is 0, a lone sign is no number.
            match whole {
                "" if !fraction.is_empty() => "0",
                "-" | "+" if !fraction.is_empty() => "0",
                whole => whole,
            }
        }
        Some(_) => return None,
        None => text,
    };
    let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    N::try_from(whole.parse::<i64>().ok()?).ok()
}

fn double(text: &str) -> Option<f64> {
    number_text::parse_f64(text.as_bytes()).or_else(|| special(text))
}

/// Spark's own spellings of infinity and NaN, in any case.
fn special(text: &str) -> Option<f64> {
    match trim_all(text).to_ascii_lowercase().as_str() {
        "inf" | "+inf" | "infinity" | "+infinity" => Some(f64::INFINITY),
        "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
        "nan" => Some(f64::NAN),
        _ => None,
    }
}

fn decimals(strings: &StringArray, to: &DataType, p: u8, s: i8, ansi: bool) -> Result<ArrayRef> {
    let mut out = PrimitiveBuilder::<Decimal128Type>::with_capacity(strings.len()).with_data_type(to.clone());
    for text in strings {
        let value = text.and_then(|text| number_text::parse_decimal(trim_all(text).as_bytes(), p, s));
        if let (Some(text), None, true) = (text, value, ansi) {
            // A number that does not fit, or no number at all.
            let number = trim_all(text);
            let is_number = number.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
                && number.parse::<f64>().is_ok_and(f64::is_finite);
            return Err(if is_number {
                out_of_range(plain_number(number), p, s)
            } else {
                invalid_text(text, to)
            });
        }
        out.append_option(value);
    }
    Ok(Arc::new(out.finish()))
}

/// A decimal number without exponent where it is short enough to write out.
fn plain_number(text: &str) -> String {
    for scale in 0..=18 {
        if let Some(value) = number_text::parse_decimal(text.as_bytes(), 38, scale)
            && super::number::rescale(value, scale, 38, 18)
                == number_text::parse_decimal(text.as_bytes(), 38, 18)
        {
            let mut out = String::new();
            millstream_engine::format::value_text::write_decimal(value, i32::from(scale), true, &mut out);
            return out;
        }
    }
    text.to_string()
}

#[cfg(test)]
mod tests {
    use millstream_engine::time::Zone;

    use super::*;

    fn accepts(value: &str, to: &DataType, evaluation: Evaluation) -> bool {
        let array = std::sync::Arc::new(StringArray::from(vec![value])) as ArrayRef;
        cast(&array, to, evaluation).is_ok_and(|array| array.is_valid(0))
    }

    #[test]
    fn fractions_of_integers_are_legacy_only() {
        let legacy = Evaluation { mode: Mode::Legacy, zone: Zone::UTC };
        let ansi = Evaluation { mode: Mode::Ansi, zone: Zone::UTC };
        assert_eq!(integral::<i32>(" 1.9 ", legacy), Some(1));
        assert_eq!(integral::<i32>("1.9", ansi), None);
        assert_eq!(integral::<i32>("-.5", legacy), Some(0));
        assert_eq!(integral::<i32>("+", legacy), None);
        assert!(accepts("\t7\n", &DataType::Int32, ansi));
        assert!(!accepts("1.493730e+12", &types::timestamp(), legacy));
    }
}
