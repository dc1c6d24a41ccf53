//! Hashes: Spark's own Murmur3 and xxHash64 of rows, and digests.

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{
        DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type,
        Int16Type, Int32Type, Int64Type, IntervalYearMonthType, TimestampMicrosecondType,
    },
};
use millstream_engine::{Result, SparkError};
use twox_hash::XxHash64;

use super::{Args, Call, Function, Kernel, MANY, Output, custom, exprs, kernel, kernel_call};
use crate::expression::{Input, TypedExpr};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["hash"], 1, MANY, hash),
    custom(&["xxhash64"], 1, MANY, xxhash64),
    kernel(&["crc32"], &[Input::Binary], 1, Output::Long, crc32),
    kernel(&["md5"], &[Input::Binary], 1, Output::String, |args| digest(args, md5)),
    kernel(&["sha1", "sha"], &[Input::Binary], 1, Output::String, |args| digest(args, sha1)),
    kernel(&["sha2"], &[Input::Binary, Input::Int], 2, Output::String, sha2).may_be_null(),
];

/// One of Spark's row hashes: how each kind of value is mixed into a running hash.
trait RowHash {
    type State: Copy;
    fn int(state: Self::State, value: i32) -> Self::State;
    fn long(state: Self::State, value: i64) -> Self::State;
    fn bytes(state: Self::State, value: &[u8]) -> Self::State;
}

struct Murmur3;

impl Murmur3 {
    fn mix(hash: i32, value: i32) -> i32 {
        let k = value.wrapping_mul(0xcc9e_2d51_u32.cast_signed()).rotate_left(15).wrapping_mul(0x1b87_3593);
        (hash ^ k).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64_u32.cast_signed())
    }

    fn finish(hash: i32, length: usize) -> i32 {
        let mut h = hash.cast_unsigned() ^ u32::try_from(length).unwrap_or(u32::MAX);
        h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
        (h ^ (h >> 16)).cast_signed()
    }
}

impl RowHash for Murmur3 {
    type State = i32;

    fn int(state: i32, value: i32) -> i32 {
        Self::finish(Self::mix(state, value), 4)
    }

    fn long(state: i32, value: i64) -> i32 {
        let low = Self::mix(state, value as i32);
        Self::finish(Self::mix(low, (value >> 32) as i32), 8)
    }

    /// The bytes after the last whole word are mixed one at a time, sign-extended: not the
    /// standard algorithm.
    fn bytes(state: i32, value: &[u8]) -> i32 {
        let mut words = value.chunks_exact(4);
        let mut hash = state;
        for word in &mut words {
            let word = word.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
            hash = Self::mix(hash, word.cast_signed());
        }
        for byte in words.remainder() {
            hash = Self::mix(hash, i32::from(byte.cast_signed()));
        }
        Self::finish(hash, value.len())
    }
}

struct XxHash;

impl RowHash for XxHash {
    type State = u64;

    fn int(state: u64, value: i32) -> u64 {
        XxHash64::oneshot(state, &value.to_le_bytes())
    }

    fn long(state: u64, value: i64) -> u64 {
        XxHash64::oneshot(state, &value.to_le_bytes())
    }

    fn bytes(state: u64, value: &[u8]) -> u64 {
        XxHash64::oneshot(state, value)
    }
}

/// Mixes row `row` of `array` into `state`; a null leaves it as it is.
fn mix<H: RowHash>(array: &dyn Array, row: usize, state: H::State) -> Result<H::State> {
    if array.is_null(row) {
        return Ok(state);
    }
    Ok(match array.data_type() {
        DataType::Null => state,
        DataType::Boolean => H::int(state, i32::from(array.as_boolean().value(row))),
        DataType::Int8 => H::int(state, i32::from(array.as_primitive::<Int8Type>().value(row))),
        DataType::Int16 => H::int(state, i32::from(array.as_primitive::<Int16Type>().value(row))),
        DataType::Int32 => H::int(state, array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => H::long(state, array.as_primitive::<Int64Type>().value(row)),
        DataType::Date32 => H::int(state, array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(..) => {
            H::long(state, array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Duration(_) => H::long(state, array.as_primitive::<DurationMicrosecondType>().value(row)),
        DataType::Interval(datafusion::arrow::datatypes::IntervalUnit::YearMonth) => {
            H::int(state, array.as_primitive::<IntervalYearMonthType>().value(row))
        }
        DataType::Float32 => {
            let v = array.as_primitive::<Float32Type>().value(row);
            let bits = if v == 0.0 {
                0
            } else if v.is_nan() {
                0x7fc0_0000
            } else {
                v.to_bits()
            };
            H::int(state, bits.cast_signed())
        }
        DataType::Float64 => {
            let v = array.as_primitive::<Float64Type>().value(row);
            let bits = if v == 0.0 {
                0
            } else if v.is_nan() {
                0x7ff8_0000_0000_0000
            } else {
                v.to_bits()
            };
            H::long(state, bits.cast_signed())
        }
        DataType::Decimal128(precision, _) => {
            let v = array.as_primitive::<Decimal128Type>().value(row);
            match i64::try_from(v) {
                Ok(v) if *precision <= 18 => H::long(state, v),
                _ => H::bytes(state, minimal_bytes(&v.to_be_bytes())),
            }
        }
        DataType::Utf8 => H::bytes(state, array.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => H::bytes(state, array.as_binary::<i32>().value(row)),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).try_fold(state, |state, i| mix::<H>(items.as_ref(), i, state))?
        }
        DataType::Struct(_) => {
            let fields = array.as_struct();
            fields.columns().iter().try_fold(state, |state, column| mix::<H>(column.as_ref(), row, state))?
        }
        other => return Err(SparkError::unsupported(format!("the hash of {other}"))),
    })
}

/// A two's complement number without redundant leading bytes, as Java's `BigInteger` has it.
fn minimal_bytes(bytes: &[u8]) -> &[u8] {
    let mut out = bytes;
    while let [first, rest @ ..] = out
        && let Some(next) = rest.first()
        && ((*first == 0 && *next < 0x80) || (*first == 0xff && *next >= 0x80))
    {
        out = rest;
    }
    out
}

fn row_hash(call: Call, name: &str, t: DataType, f: Kernel) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as(name);
    if call.args.iter().any(|arg| contains_map(arg.data_type())) {
        return Err(SparkError::new("DATATYPE_MISMATCH.HASH_MAP_TYPE")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("functionName", format!("`{name}`")));
    }
    let expr = kernel_call(name, f, exprs(&call.args), t.clone(), false, evaluation);
    Ok(TypedExpr::new(expr, t, false, sql))
}

fn contains_map(t: &DataType) -> bool {
    match t {
        DataType::Map(..) => true,
        DataType::List(field) => contains_map(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|f| contains_map(f.data_type())),
        _ => false,
    }
}

const SEED: i32 = 42;

fn hash(call: Call) -> Result<TypedExpr> {
    row_hash(call, "hash", DataType::Int32, |args| {
        let columns = args.arrays()?;
        let hashes = (0..args.rows)
            .map(|row| {
                columns.iter().try_fold(SEED, |state, column| mix::<Murmur3>(column.as_ref(), row, state))
            })
            .collect::<Result<Vec<i32>>>()?;
        Ok(std::sync::Arc::new(datafusion::arrow::array::Int32Array::from(hashes)))
    })
}

fn xxhash64(call: Call) -> Result<TypedExpr> {
    row_hash(call, "xxhash64", DataType::Int64, |args| {
        let columns = args.arrays()?;
        let seed = u64::from(SEED.unsigned_abs());
        let hashes = (0..args.rows)
            .map(|row| {
                let hash = columns
                    .iter()
                    .try_fold(seed, |state, column| mix::<XxHash>(column.as_ref(), row, state))?;
                Ok(hash.cast_signed())
            })
            .collect::<Result<Vec<i64>>>()?;
        Ok(std::sync::Arc::new(datafusion::arrow::array::Int64Array::from(hashes)))
    })
}

fn crc32(args: &Args) -> Result<ArrayRef> {
    let bytes = args.binaries(0)?;
    args.build::<Int64Type>(|row| Ok(Some(i64::from(crc32fast::hash(bytes.value(row))))))
}

fn hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        out.push_str(&format!("{byte:02x}"));
    }
}

fn digest(args: &Args, f: fn(&[u8]) -> Vec<u8>) -> Result<ArrayRef> {
    let bytes = args.binaries(0)?;
    args.build_strings(|row, out| {
        hex(&f(bytes.value(row)), out);
        Ok(true)
    })
}

fn sha2(args: &Args) -> Result<ArrayRef> {
    use sha2::Digest;
    let (bytes, lengths) = (args.binaries(0)?, args.primitives::<Int32Type>(1)?);
    args.build_strings(|row, out| {
        let value = bytes.value(row);
        match lengths.value(row) {
            0 | 256 => hex(&sha2::Sha256::digest(value), out),
            224 => hex(&sha2::Sha224::digest(value), out),
            384 => hex(&sha2::Sha384::digest(value), out),
            512 => hex(&sha2::Sha512::digest(value), out),
            _ => return Ok(false),
        }
        Ok(true)
    })
}

/// The message in 64-byte blocks with its length, as MD5 and SHA-1 pad it.
fn padded(message: &[u8], length: [u8; 8]) -> Vec<u8> {
    let mut out = message.to_vec();
    out.push(0x80);
    while out.len() % 64 != 56 {
        out.push(0);
    }
    out.extend(length);
    out
}

fn bit_length(message: &[u8]) -> u64 {
    u64::try_from(message.len()).unwrap_or(u64::MAX).wrapping_mul(8)
}

/// RFC 1321.
fn md5(message: &[u8]) -> Vec<u8> {
    const SHIFTS: [u32; 16] = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded(message, bit_length(message).to_le_bytes()).chunks_exact(64) {
        let words: Vec<u32> = block
            .chunks_exact(4)
            .map(|w| w.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)))
            .collect();
        let [mut a, mut b, mut c, mut d] = state;
        for i in 0..64 {
            let (f, g) = match i / 16 {
                0 => ((b & c) | (!b & d), i),
                1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
                2 => (b ^ c ^ d, (3 * i + 5) % 16),
                _ => (c ^ (b | !d), (7 * i) % 16),
            };
            // The table of constants is defined by the sine.
            let constant = ((i as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(f).wrapping_add(constant).wrapping_add(words[g]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[i / 16 * 4 + i % 4]));
        }
        for (slot, value) in state.iter_mut().zip([a, b, c, d]) {
            *slot = slot.wrapping_add(value);
        }
    }
    state.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// RFC 3174.
fn sha1(message: &[u8]) -> Vec<u8> {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    for block in padded(message, bit_length(message).to_be_bytes()).chunks_exact(64) {
        let mut words: Vec<u32> = block
            .chunks_exact(4)
            .map(|w| w.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)))
            .collect();
        for i in 16..80 {
            words.push((words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16]).rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (i, word) in words.iter().enumerate() {
            let (f, k) = match i / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (slot, value) in state.iter_mut().zip([a, b, c, d, e]) {
            *slot = slot.wrapping_add(value);
        }
    }
    state.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_the_standards() {
        let text = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(text(md5(b"abc")), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(text(md5(&[b'a'; 100])), "36a92cc94a9e0fa21f625f8bfb007adf");
        assert_eq!(text(sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn big_integers_have_no_redundant_bytes() {
        assert_eq!(minimal_bytes(&1i128.to_be_bytes()), &[1]);
        assert_eq!(minimal_bytes(&128i128.to_be_bytes()), &[0, 128]);
        assert_eq!(minimal_bytes(&(-1i128).to_be_bytes()), &[255]);
    }
}
