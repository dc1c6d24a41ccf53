//! Spark's `xxhash64` of column values.
//!
//! The hash of a value is seeded by the hash so far; a null leaves it as it is. Integers up
//! to 32 bits hash as 4 bytes, wider ones as 8, strings and binaries as their bytes, structs
//! field by field and arrays element by element.

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{
        ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type,
        Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalUnit, IntervalYearMonthType,
        TimestampMicrosecondType,
    },
};
use twox_hash::XxHash64;

use crate::{Result, SparkError};

/// Spark's seed.
pub(super) const SEED: u64 = 42;

/// Whether values of this type can be hashed.
pub(in crate::operators::aggregate) fn supports(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(field) => supports(field.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| supports(f.data_type())),
        DataType::Map(_, _) | DataType::Interval(IntervalUnit::MonthDayNano | IntervalUnit::DayTime) => false,
        _ => true,
    }
}

fn int(value: i32, seed: u64) -> u64 {
    XxHash64::oneshot(seed, &value.to_le_bytes())
}

fn long(value: i64, seed: u64) -> u64 {
    XxHash64::oneshot(seed, &value.to_le_bytes())
}

/// Folds row `i` of `column` into `hashes[i]`.
///
/// # Errors
/// For types Spark does not hash (maps).
pub(super) fn hash(column: &ArrayRef, hashes: &mut [u64]) -> Result<()> {
    match column.data_type() {
        DataType::Null => {}
        DataType::Boolean => {
            let flags = column.as_boolean();
            for (row, hash) in hashes.iter_mut().enumerate() {
                if flags.is_valid(row) {
                    *hash = int(i32::from(flags.value(row)), *hash);
                }
            }
        }
        DataType::Int8 => fold::<Int8Type>(column, hashes, |v, h| int(i32::from(v), h)),
        DataType::Int16 => fold::<Int16Type>(column, hashes, |v, h| int(i32::from(v), h)),
        DataType::Int32 => fold::<Int32Type>(column, hashes, int),
        DataType::Date32 => fold::<Date32Type>(column, hashes, int),
        DataType::Interval(IntervalUnit::YearMonth) => fold::<IntervalYearMonthType>(column, hashes, int),
        DataType::Int64 => fold::<Int64Type>(column, hashes, long),
        DataType::Timestamp(_, _) => fold::<TimestampMicrosecondType>(column, hashes, long),
        DataType::Duration(_) => fold::<DurationMicrosecondType>(column, hashes, long),
        DataType::Float32 => fold::<Float32Type>(column, hashes, |v, h| {
            let v = if v.is_nan() { f32::NAN } else { v + 0.0 };
            int(v.to_bits().cast_signed(), h)
        }),
        DataType::Float64 => fold::<Float64Type>(column, hashes, |v, h| {
            let v = if v.is_nan() { f64::NAN } else { v + 0.0 };
            long(v.to_bits().cast_signed(), h)
        }),
        DataType::Decimal128(precision, _) if *precision <= 18 => {
            // The unscaled value fits.
            fold::<Decimal128Type>(column, hashes, |v, h| long(v as i64, h));
        }
        DataType::Decimal128(_, _) => {
            fold::<Decimal128Type>(column, hashes, |v, h| {
                XxHash64::oneshot(h, minimal_big_endian(&v.to_be_bytes()))
            });
        }
        DataType::Utf8 => {
            for (hash, value) in hashes.iter_mut().zip(column.as_string::<i32>().iter()) {
                if let Some(value) = value {
                    *hash = XxHash64::oneshot(*hash, value.as_bytes());
                }
            }
        }
        DataType::Binary => {
            for (hash, value) in hashes.iter_mut().zip(column.as_binary::<i32>().iter()) {
                if let Some(value) = value {
                    *hash = XxHash64::oneshot(*hash, value);
                }
            }
        }
        DataType::Struct(_) => {
            let fields = column.as_struct();
            let before = hashes.to_vec();
            fields.columns().iter().try_for_each(|field| hash(field, hashes))?;
            restore_nulls(column, hashes, &before);
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            for (row, hash_so_far) in hashes.iter_mut().enumerate() {
                if lists.is_valid(row) {
                    let elements = lists.value(row);
                    for i in 0..elements.len() {
                        let mut one = [*hash_so_far];
                        hash(&elements.slice(i, 1), &mut one)?;
                        [*hash_so_far] = one;
                    }
                }
            }
        }
        other => return Err(SparkError::unsupported(format!("the hash of the type {other}"))),
    }
    Ok(())
}

/// A null struct has no fields, whatever its children hold.
fn restore_nulls(column: &ArrayRef, hashes: &mut [u64], before: &[u64]) {
    for (row, hash) in hashes.iter_mut().enumerate() {
        if column.is_null(row) {
            *hash = before[row];
        }
    }
}

fn fold<T: ArrowPrimitiveType>(column: &ArrayRef, hashes: &mut [u64], f: impl Fn(T::Native, u64) -> u64) {
    let array = column.as_primitive::<T>();
    for (row, hash) in hashes.iter_mut().enumerate() {
        if array.is_valid(row) {
            *hash = f(array.value(row), *hash);
        }
    }
}

/// Java's `BigInteger.toByteArray`: two's complement without redundant sign bytes.
fn minimal_big_endian(bytes: &[u8; 16]) -> &[u8] {
    let mut rest: &[u8] = bytes;
    while let [first, second, ..] = rest {
        let redundant = (*first == 0 && *second < 128) || (*first == 255 && *second >= 128);
        if !redundant {
            break;
        }
        rest = &rest[1..];
    }
    rest
}
