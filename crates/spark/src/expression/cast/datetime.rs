//! Casts from and to dates and timestamps.
//!
//! An instant and a wall clock meet in the session's time zone; a date is its midnight
//! there. Numbers are seconds since the epoch.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, PrimitiveBuilder, new_null_array},
    compute::cast as arrow_cast,
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int64Type, TimestampMicrosecondType,
    },
};
use millstream_engine::{Result, time::Zone};

use super::{missing, number};
use crate::{
    expression::{arithmetic::overflow, coercion::is_integral},
    functions::{Evaluation, Mode},
};

pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(crate) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

pub(super) fn cast(array: &ArrayRef, to: &DataType, evaluation: Evaluation) -> Result<ArrayRef> {
    use DataType as T;
    let zone = evaluation.zone;
    match (array.data_type(), to) {
        (T::Date32, T::Timestamp(_, own)) => {
            let days = array.as_primitive::<Date32Type>();
            let zone = if own.is_some() { zone } else { Zone::UTC };
            let midnight = |day: i32| i64::from(day).checked_mul(MICROS_PER_DAY).map(|m| zone.to_utc(m));
            let micros: PrimitiveArray<TimestampMicrosecondType> = match evaluation.mode {
                Mode::Try => days.unary_opt(midnight),
                // Dates reach further than timestamps, and no mode lets them wrap.
                _ => days.try_unary(|day| midnight(day).ok_or_else(|| overflow("long overflow", "")))?,
            };
            Ok(Arc::new(micros.with_data_type(to.clone())))
        }
        // Legacy: a date is no number.
        (T::Date32, _) => Ok(new_null_array(to, array.len())),
        (T::Timestamp(_, own), T::Date32) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>();
            let zone = if own.is_some() { zone } else { Zone::UTC };
            Ok(Arc::new(micros.unary::<_, Date32Type>(|m| date_of(m, zone))))
        }
        (T::Timestamp(_, from), T::Timestamp(_, into)) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>();
            let moved = match (from.is_some(), into.is_some()) {
                (true, false) => micros.unary(|m| zone.to_local(m)),
                (false, true) => micros.unary(|m| zone.to_utc(m)),
                _ => micros.clone(),
            };
            Ok(Arc::new(moved.with_data_type(to.clone())))
        }
        (T::Timestamp(..), _) => from_timestamp(array.as_primitive(), to, evaluation),
        (_, T::Timestamp(..)) => to_timestamp(array, to, evaluation),
        (from, _) => Err(missing(from, to)),
    }
}

/// The local date of an instant.
pub(crate) fn date_of(micros: i64, zone: Zone) -> i32 {
    i32::try_from(zone.to_local(micros).div_euclid(MICROS_PER_DAY)).unwrap_or(i32::MAX)
}

fn from_timestamp(
    micros: &PrimitiveArray<TimestampMicrosecondType>,
    to: &DataType,
    evaluation: Evaluation,
) -> Result<ArrayRef> {
    match to {
        DataType::Boolean => Ok(Arc::new(BooleanArray::from_unary(micros, |m| m != 0))),
        DataType::Float64 => Ok(Arc::new(micros.unary::<_, Float64Type>(|m| m as f64 / 1e6))),
        DataType::Float32 => Ok(Arc::new(micros.unary::<_, Float32Type>(|m| (m as f64 / 1e6) as f32))),
        DataType::Decimal128(p, s) => {
            let mut out =
                PrimitiveBuilder::<Decimal128Type>::with_capacity(micros.len()).with_data_type(to.clone());
            for value in micros {
                // Spark goes by way of a double.
                let decimal = value.and_then(|m| number::rescale(i128::from(m), 6, *p, *s));
                if let (Some(m), None, true) = (value, decimal, evaluation.ansi()) {
                    let mut text = String::new();
                    millstream_engine::format::value_text::write_decimal(i128::from(m), 6, true, &mut text);
                    return Err(super::out_of_range(trim_zeros(&text), *p, *s));
                }
                out.append_option(decimal);
            }
            Ok(Arc::new(out.finish()))
        }
        t if is_integral(t) => {
            let seconds = micros.unary::<_, Int64Type>(|m| m.div_euclid(MICROS_PER_SECOND));
            if *to == DataType::Int64 {
                return Ok(Arc::new(seconds));
            }
            // Overflow is told of the timestamp.
            {
                let limit = match to {
                    DataType::Int8 => i64::from(i8::MAX),
                    DataType::Int16 => i64::from(i16::MAX),
                    _ => i64::from(i32::MAX),
                };
                let mut out = PrimitiveBuilder::<Int64Type>::with_capacity(seconds.len());
                for (row, value) in seconds.iter().enumerate() {
                    match value {
                        Some(v) if v > limit || v < -limit - 1 => {
                            if evaluation.ansi() {
                                let mut text = String::new();
                                let zone = crate::functions::SessionZone(evaluation.zone);
                                millstream_engine::format::value_text::write_timestamp(
                                    micros.value(row),
                                    &zone,
                                    &mut text,
                                );
                                let from = micros.data_type();
                                return Err(super::overflow(format!("TIMESTAMP '{text}'"), from, to));
                            }
                            out.append_null();
                        }
                        value => out.append_option(value),
                    }
                }
                number::cast(&(Arc::new(out.finish()) as ArrayRef), to, evaluation)
            }
        }
        _ => Err(missing(micros.data_type(), to)),
    }
}

fn trim_zeros(text: &str) -> String {
    let trimmed = text.trim_end_matches('0');
    match trimmed.strip_suffix('.') {
        Some(whole) => format!("{whole}.0"),
        None => trimmed.to_string(),
    }
}

fn to_timestamp(array: &ArrayRef, to: &DataType, evaluation: Evaluation) -> Result<ArrayRef> {
    let micros: PrimitiveArray<TimestampMicrosecondType> = match array.data_type() {
        DataType::Boolean => array.as_boolean().iter().map(|v| v.map(i64::from)).collect(),
        t if is_integral(t) => {
            let longs = arrow_cast(array, &DataType::Int64)?;
            // Spark saturates (`SECONDS.toMicros`).
            longs.as_primitive::<Int64Type>().unary(|v| v.saturating_mul(MICROS_PER_SECOND))
        }
        DataType::Float32 | DataType::Float64 => {
            let single = *array.data_type() == DataType::Float32;
            let doubles = arrow_cast(array, &DataType::Float64)?;
            let mut out = PrimitiveBuilder::<TimestampMicrosecondType>::with_capacity(doubles.len());
            for value in doubles.as_primitive::<Float64Type>() {
                match value {
                    Some(v) if v.is_finite() => {
                        let micros = v * 1e6;
                        let outside = micros.floor() > i64::MAX as f64 || micros.ceil() < i64::MIN as f64;
                        if outside && evaluation.mode == Mode::Try {
                            out.append_null();
                            continue;
                        }
                        if outside && evaluation.ansi() {
                            let mut text = String::new();
                            millstream_engine::format::value_text::write_double(v, &mut text);
                            let text = if single { text } else { format!("{text}D") };
                            return Err(super::overflow(text, array.data_type(), to));
                        }
                        out.append_value(micros as i64);
                    }
                    Some(v) if evaluation.ansi() => {
                        let text = if v.is_nan() {
                            "NaN"
                        } else if v > 0.0 {
                            "Infinity"
                        } else {
                            "-Infinity"
                        };
                        let text = format!("CAST('{text}' AS {})", if single { "FLOAT" } else { "DOUBLE" });
                        return Err(super::text::invalid(&text, array.data_type(), to));
                    }
                    _ => out.append_null(),
                }
            }
            out.finish()
        }
        DataType::Decimal128(_, s) => {
            let scale = u32::try_from(*s).unwrap_or(0);
            array.as_primitive::<Decimal128Type>().unary(|v| {
                let micros = if scale >= 6 {
                    v / 10i128.pow(scale - 6)
                } else {
                    v.saturating_mul(10i128.pow(6 - scale))
                };
                micros as i64
            })
        }
        other => return Err(missing(other, to)),
    };
    Ok(Arc::new(micros.with_data_type(to.clone())))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{array::Date32Array, buffer::NullBuffer};

    use super::*;

    #[test]
    fn a_date_beyond_timestamps_is_an_error_and_nothing_where_it_is_null() {
        let to = DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, None);
        let in_mode = |mode| Evaluation { mode, zone: Zone::UTC };
        // 10 January 294247 is the last day of which a timestamp knows the midnight.
        let dates = |days: i32, valid| {
            let nulls = NullBuffer::from(vec![true, valid]);
            Arc::new(Date32Array::new(vec![106_751_991, days].into(), Some(nulls))) as ArrayRef
        };
        for mode in [Mode::Ansi, Mode::Legacy] {
            let error = cast(&dates(106_751_992, true), &to, in_mode(mode)).unwrap_err();
            assert!(error.to_string().contains("long overflow"), "{error}");
            let cast = cast(&dates(i32::MIN, false), &to, in_mode(mode)).unwrap();
            assert_eq!(cast.as_primitive::<TimestampMicrosecondType>().value(0), 9_223_372_022_400_000_000);
            assert_eq!(cast.null_count(), 1);
        }
        assert_eq!(cast(&dates(106_751_992, true), &to, in_mode(Mode::Try)).unwrap().null_count(), 1);
    }
}
