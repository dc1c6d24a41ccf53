//! The bits and digits of integers, and numbers in other bases.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Int8Type, Int32Type, Int64Type},
};
use millstream_engine::{Result, SparkError};

use super::{Args, Call, Function, Kernel, Output, custom, kernel, kernel_call, unexpected_input};
use crate::expression::{Input, TypedExpr, arithmetic::overflow, cast, coercion, implicit_cast};

use Input::{Int, Long};

pub(super) const FUNCTIONS: &[Function] = &[
    kernel(&["bin"], &[Long], 1, Output::String, bin),
    custom(&["hex"], 1, 1, hex),
    kernel(&["unhex"], &[Input::String], 1, Output::Binary, unhex).may_be_null(),
    kernel(&["conv"], &[Input::String, Int, Int], 3, Output::String, conv).may_be_null(),
    custom(&["bit_count"], 1, 1, bit_count),
    kernel(&["bit_get", "getbit"], &[Input::Integral, Int], 2, Output::Byte, bit_get),
];

fn bin(args: &Args) -> Result<ArrayRef> {
    let values = args.primitives::<Int64Type>(0)?;
    args.build_strings(|row, out| {
        out.push_str(&format!("{:b}", values.value(row)));
        Ok(true)
    })
}

/// `hex` of a number (as bigint), a string's bytes or binary.
fn hex(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let evaluation = call.evaluation();
    let sql = call.sql_as("hex");
    let child = call.one()?;
    let to = match child.data_type() {
        DataType::Binary => DataType::Binary,
        DataType::Utf8 | DataType::Null => DataType::Utf8,
        t if coercion::is_numeric(t) => DataType::Int64,
        _ => return Err(unexpected_input(&sql, 0, "(\"BIGINT\" or \"BINARY\" or \"STRING\")", &child)),
    };
    let child = implicit_cast(child, &to, conf)?;
    let nullable = child.nullable();
    let expr = kernel_call("hex", hex_kernel, vec![child.expr], DataType::Utf8, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Utf8, nullable, sql))
}

fn hex_kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let write = |bytes: &[u8], out: &mut String| {
        for byte in bytes {
            out.push_str(&format!("{byte:02X}"));
        }
    };
    match array.data_type() {
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>();
            args.build_strings(|row, out| {
                out.push_str(&format!("{:X}", values.value(row)));
                Ok(true)
            })
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            args.build_strings(|row, out| {
                write(values.value(row).as_bytes(), out);
                Ok(true)
            })
        }
        _ => {
            let values = array.as_binary::<i32>();
            args.build_strings(|row, out| {
                write(values.value(row), out);
                Ok(true)
            })
        }
    }
}

/// The bytes hexadecimal digits stand for; an odd first digit is a byte of its own.
fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().map(|b| char::from(b).to_digit(16)).collect::<Option<Vec<u32>>>()?;
    let (first, rest) = digits.split_at(digits.len() % 2);
    let byte = |high: u32, low: u32| u8::try_from(high * 16 + low).ok();
    let mut out: Vec<u8> = first.iter().filter_map(|low| byte(0, *low)).collect();
    out.extend(rest.chunks_exact(2).filter_map(|pair| byte(pair[0], pair[1])));
    Some(out)
}

fn unhex(args: &Args) -> Result<ArrayRef> {
    let values = args.strings(0)?;
    let mut out = datafusion::arrow::array::BinaryBuilder::with_capacity(args.rows, args.rows * 4);
    for value in &values {
        out.append_option(value.and_then(bytes_of_hex));
    }
    Ok(Arc::new(out.finish()))
}

/// Hive's `conv`: digits of one base as digits of another; a negative target base is signed.
fn conv(args: &Args) -> Result<ArrayRef> {
    let values = args.strings(0)?;
    let (from, to) = (args.primitives::<Int32Type>(1)?, args.primitives::<Int32Type>(2)?);
    args.build_strings(|row, out| {
        let (text, from, to) = (values.value(row).trim_matches(' '), from.value(row), to.value(row));
        if !(2..=36).contains(&from) || !(2..=36).contains(&to.abs()) || text.is_empty() {
            return Ok(false);
        }
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut value: u64 = 0;
        let mut overflowed = false;
        for c in digits.chars() {
            let Some(digit) = c.to_digit(from.unsigned_abs()) else { break };
            match value
                .checked_mul(u64::from(from.unsigned_abs()))
                .and_then(|v| v.checked_add(u64::from(digit)))
            {
                Some(next) => value = next,
                None => overflowed = true,
            }
        }
        if overflowed {
            if args.evaluation.ansi() {
                return Err(overflow("Overflow in function conv()", ""));
            }
            value = u64::MAX;
        }
        let mut sign = false;
        if negative && to > 0 {
            value = if value.cast_signed() < 0 && overflowed { u64::MAX } else { value.wrapping_neg() };
        } else if to < 0 {
            let signed = if negative { value.cast_signed().wrapping_neg() } else { value.cast_signed() };
            sign = signed < 0;
            value = signed.unsigned_abs();
        }
        let base = u64::from(to.unsigned_abs());
        let mut reversed = Vec::new();
        loop {
            let digit = u32::try_from(value % base).unwrap_or(0);
            reversed.extend(char::from_digit(digit, 36).map(|c| c.to_ascii_uppercase()));
            value /= base;
            if value == 0 {
                break;
            }
        }
        if sign {
            out.push('-');
        }
        out.extend(reversed.iter().rev());
        Ok(true)
    })
}

fn bit_count(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let evaluation = call.evaluation();
    let sql = call.sql_as("bit_count");
    let child = call.one()?;
    if !coercion::is_integral(child.data_type()) && *child.data_type() != DataType::Boolean {
        return Err(unexpected_input(&sql, 0, "(\"INTEGRAL\" or \"BOOLEAN\")", &child));
    }
    let nullable = child.nullable();
    let child = cast::explicit_cast(child, &DataType::Int64, super::Mode::Legacy, conf)?;
    let f: Kernel = |args| {
        let values = args.primitives::<Int64Type>(0)?;
        Ok(Arc::new(values.unary::<_, Int32Type>(|v| v.count_ones().cast_signed())))
    };
    let expr = kernel_call("bit_count", f, vec![child.expr], DataType::Int32, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Int32, nullable, sql))
}

fn bit_get(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let width = i32::try_from(array.data_type().primitive_width().unwrap_or(8) * 8).unwrap_or(64);
    let longs = datafusion::arrow::compute::cast(&array, &DataType::Int64)?;
    let values = longs.as_primitive::<Int64Type>();
    let positions = args.primitives::<Int32Type>(1)?;
    args.build::<Int8Type>(|row| {
        let position = positions.value(row);
        if !(0..width).contains(&position) {
            return Err(SparkError::new("INVALID_PARAMETER_VALUE.BIT_POSITION_RANGE")
                .with("functionName", "`bit_get`")
                .with("parameter", "`pos`")
                .with("upper", width.to_string())
                .with("invalidValue", position.to_string()));
        }
        Ok(Some(i8::from((values.value(row) >> position) & 1 == 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_reads_odd_lengths() {
        assert_eq!(bytes_of_hex("1FF"), Some(vec![1, 255]));
        assert_eq!(bytes_of_hex("xy"), None);
    }
}
