//! `format_number`: thousands apart, rounded half even.

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Float64Type, Int32Type},
};
use millstream_engine::{
    Result, SparkError,
    format::value_text::{TextStyle, to_text, write_decimal},
};

use super::{Args, Call, Function, SessionZone, custom, kernel_call, unexpected_input};
use crate::expression::{Input, TypedExpr, coercion, implicit_cast};

use Input::Int;

pub(super) const FUNCTIONS: &[Function] = &[custom(&["format_number"], 2, 2, format_number)];

/// `format_number(x, places)`: `1,234.50`, rounded half even.
fn format_number(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("format_number");
    let (number, places) = call.two()?;
    if *places.data_type() == DataType::Utf8 {
        return Err(SparkError::unsupported("`format_number` with a pattern"));
    }
    let number = match number.data_type() {
        t if coercion::is_numeric(t) => number,
        DataType::Utf8 | DataType::Null => implicit_cast(number, &DataType::Float64, conf)?,
        _ => return Err(unexpected_input(&sql, 0, "\"NUMERIC\"", &number)),
    };
    let places = Int
        .coerce(places.clone(), conf)
        .ok_or_else(|| unexpected_input(&sql, 1, "(\"INT\" or \"STRING\")", &places))?;
    let args = vec![number.expr, places.expr];
    let expr = kernel_call("format_number", format_number_kernel, args, DataType::Utf8, true, evaluation);
    Ok(TypedExpr::new(expr, DataType::Utf8, true, sql))
}

fn format_number_kernel(args: &Args) -> Result<ArrayRef> {
    let numbers = args.array(0)?;
    let places = args.primitives::<Int32Type>(1)?;
    // The exact value of a double decides ties, as in Java's DecimalFormat.
    let doubles = match numbers.data_type() {
        DataType::Float32 | DataType::Float64 => {
            Some(datafusion::arrow::compute::cast(&numbers, &DataType::Float64)?)
        }
        _ => None,
    };
    let texts = to_text(&numbers, &SessionZone(args.evaluation.zone), TextStyle::Pretty)?;
    args.build_strings(|row, out| {
        let Ok(places) = usize::try_from(places.value(row)) else { return Ok(false) };
        let text = match &doubles {
            Some(doubles) => {
                let value = doubles.as_primitive::<Float64Type>().value(row);
                if value.is_nan() {
                    out.push_str("NaN");
                    return Ok(true);
                }
                if value.is_infinite() {
                    out.push_str(if value > 0.0 { "∞" } else { "-∞" });
                    return Ok(true);
                }
                // Rust prints the exact value, rounded half to even.
                let shortest = format!("{value}");
                if shortest.split_once('.').map_or(0, |(_, f)| f.len()) <= places {
                    shortest
                } else {
                    format!("{value:.places$}")
                }
            }
            None => round_half_even(texts.value(row), places),
        };
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", text.as_str()),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        out.push_str(sign);
        for (i, c) in whole.chars().enumerate() {
            if i > 0 && (whole.len() - i) % 3 == 0 {
                out.push(',');
            }
            out.push(c);
        }
        if places > 0 {
            out.push('.');
            out.push_str(&format!("{fraction:0<places$}"));
        }
        Ok(true)
    })
}

/// A plain decimal number rounded half even.
fn round_half_even(text: &str, places: usize) -> String {
    let Some((whole, fraction)) = text.split_once('.') else { return text.to_string() };
    if fraction.len() <= places {
        return text.to_string();
    }
    let Ok(unscaled) = format!("{whole}{fraction}").parse::<i128>() else { return text.to_string() };
    let unit = 10i128.pow(u32::try_from(fraction.len() - places).unwrap_or(0));
    let (quotient, rest) = (unscaled / unit, (unscaled % unit).abs());
    let up = rest * 2 > unit || (rest * 2 == unit && quotient % 2 != 0);
    let rounded = if up { quotient + if unscaled < 0 { -1 } else { 1 } } else { quotient };
    let mut out = String::new();
    if rounded == 0 && text.starts_with('-') {
        out.push('-');
    }
    write_decimal(rounded, i32::try_from(places).unwrap_or(0), true, &mut out);
    out
}
