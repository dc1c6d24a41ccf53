//! `format_string`: Java's `Formatter` patterns.

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{DataType, Float64Type, Int64Type},
};
use millstream_engine::{
    Result, SparkError,
    format::value_text::{TextStyle, to_text},
};

use super::{Args, Call, Function, MANY, SessionZone, custom, exprs, kernel_call, unexpected_input};
use crate::expression::{Input, TypedExpr, coercion};

pub(super) const FUNCTIONS: &[Function] = &[custom(&["format_string", "printf"], 1, MANY, format_string)];

fn format_string(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as(call.name);
    let mut args = call.args;
    if let Some(pattern) = args.first_mut() {
        *pattern = Input::String
            .coerce(pattern.clone(), conf)
            .ok_or_else(|| unexpected_input(&sql, 0, "\"STRING\"", pattern))?;
    }
    let nullable = args.first().is_some_and(TypedExpr::nullable);
    let expr = kernel_call("format_string", kernel, exprs(&args), DataType::Utf8, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Utf8, nullable, sql))
}

/// A value as a pattern may ask for it.
struct Argument {
    texts: ArrayRef,
    longs: Option<ArrayRef>,
    doubles: Option<ArrayRef>,
    bits: u32,
}

fn argument(array: &ArrayRef, args: &Args) -> Result<Argument> {
    let t = array.data_type();
    let style = TextStyle::Cast { ansi: args.evaluation.ansi() };
    let as_type = |wanted: bool, to: DataType| {
        if wanted { Ok::<_, SparkError>(Some(cast(array, &to)?)) } else { Ok(None) }
    };
    Ok(Argument {
        texts: std::sync::Arc::new(to_text(array, &SessionZone(args.evaluation.zone), style)?),
        longs: as_type(coercion::is_integral(t), DataType::Int64)?,
        doubles: as_type(coercion::is_float(t) || coercion::is_decimal(t), DataType::Float64)?,
        bits: u32::try_from(t.primitive_width().unwrap_or(8) * 8).unwrap_or(64),
    })
}

fn kernel(args: &Args) -> Result<ArrayRef> {
    let patterns = args.strings(0)?;
    let arguments = (1..args.len()).map(|i| argument(&args.array(i)?, args)).collect::<Result<Vec<_>>>()?;
    let mut out = datafusion::arrow::array::StringBuilder::new();
    let mut cell = String::new();
    for row in 0..args.rows {
        if patterns.is_null(row) {
            out.append_null();
            continue;
        }
        cell.clear();
        format(patterns.value(row), &arguments, row, &mut cell)?;
        out.append_value(&cell);
    }
    Ok(std::sync::Arc::new(out.finish()))
}

/// One `%...` of a pattern.
#[derive(Debug, Default, PartialEq)]
struct Specifier {
    index: Option<usize>,
    flags: String,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

/// Reads a specifier after its `%`; answers it and what follows.
fn specifier(text: &str) -> Option<(Specifier, &str)> {
    let mut out = Specifier::default();
    let digits = |t: &str| t.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = text;
    let n = digits(rest);
    if n > 0 && rest.as_bytes().get(n) == Some(&b'$') {
        out.index = rest.get(..n)?.parse().ok();
        rest = rest.get(n + 1..)?;
    }
    let n = rest.bytes().take_while(|b| b"-#+ 0,(".contains(b)).count();
    out.flags = rest.get(..n)?.to_string();
    rest = rest.get(n..)?;
    let n = digits(rest);
    out.width = rest.get(..n)?.parse().unwrap_or(0);
    rest = rest.get(n..)?;
    if let Some(after) = rest.strip_prefix('.') {
        let n = digits(after);
        out.precision = Some(after.get(..n)?.parse().ok()?);
        rest = after.get(n..)?;
    }
    let mut chars = rest.chars();
    out.conversion = chars.next()?;
    Some((out, chars.as_str()))
}

fn format(pattern: &str, arguments: &[Argument], row: usize, out: &mut String) -> Result<()> {
    let refused = || SparkError::unsupported(format!("the format `{pattern}`"));
    let mut rest = pattern;
    let mut next = 0;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let (spec, tail) = specifier(after).ok_or_else(refused)?;
        rest = tail;
        let text = match spec.conversion {
            '%' => "%".to_string(),
            'n' => "\n".to_string(),
            conversion => {
                let index = match spec.index {
                    Some(index) => index.checked_sub(1).ok_or_else(refused)?,
                    None => {
                        next += 1;
                        next - 1
                    }
                };
                let argument = arguments.get(index).ok_or_else(refused)?;
                let text = convert(&spec, argument, row).ok_or_else(refused)?;
                if conversion.is_ascii_uppercase() { text.to_uppercase() } else { text }
            }
        };
        pad(&spec, text, out);
    }
    out.push_str(rest);
    Ok(())
}

fn pad(spec: &Specifier, text: String, out: &mut String) {
    let missing = spec.width.saturating_sub(text.chars().count());
    if spec.flags.contains('-') {
        out.push_str(&text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(&text);
    }
}

/// The text of one argument; `None` where Java throws or we do not follow.
fn convert(spec: &Specifier, argument: &Argument, row: usize) -> Option<String> {
    let texts = argument.texts.as_string::<i32>();
    let cut = |text: &str| match spec.precision {
        Some(n) => text.chars().take(n).collect(),
        None => text.to_string(),
    };
    if texts.is_null(row) {
        return Some(cut(if spec.conversion == 'b' { "false" } else { "null" }));
    }
    let long = argument.longs.as_ref().map(|a| a.as_primitive::<Int64Type>().value(row));
    let double = argument.doubles.as_ref().map(|a| a.as_primitive::<Float64Type>().value(row));
    let unsigned = |v: i64| {
        if argument.bits < 64 { v.cast_unsigned() & ((1u64 << argument.bits) - 1) } else { v.cast_unsigned() }
    };
    Some(match spec.conversion.to_ascii_lowercase() {
        's' => cut(texts.value(row)),
        'b' => cut(if texts.value(row) == "false" { "false" } else { "true" }),
        'd' => number(spec, &long?.unsigned_abs().to_string(), long? < 0),
        'x' => zeros(spec, format!("{:x}", unsigned(long?))),
        'o' => zeros(spec, format!("{:o}", unsigned(long?))),
        'c' => char::from_u32(u32::try_from(long?).ok()?)?.to_string(),
        'f' | 'e' => {
            let v = double?;
            if !v.is_finite() {
                return Some(if v.is_nan() {
                    "NaN".into()
                } else if v > 0.0 {
                    "Infinity".into()
                } else {
                    "-Infinity".to_string()
                });
            }
            let places = spec.precision.unwrap_or(6);
            let digits = if spec.conversion.eq_ignore_ascii_case(&'f') {
                half_up(v.abs(), places)
            } else {
                let text = format!("{:.places$e}", v.abs());
                let (mantissa, exponent) = text.split_once('e')?;
                let exponent: i32 = exponent.parse().ok()?;
                format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
            };
            number(spec, &digits, v.is_sign_negative())
        }
        _ => return None,
    })
}

/// Java rounds the shortest text of a double half up.
fn half_up(value: f64, places: usize) -> String {
    let text = format!("{value}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if fraction.len() <= places {
        let dot = if places > 0 { "." } else { "" };
        return format!("{whole}{dot}{fraction:0<places$}");
    }
    let kept = format!("{whole}{}", fraction.get(..places).unwrap_or_default());
    let up = fraction.as_bytes().get(places).is_some_and(|b| *b >= b'5');
    let Ok(scaled) = kept.parse::<u128>() else { return format!("{value:.places$}") };
    let digits = format!("{:0>width$}", scaled + u128::from(up), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    if places > 0 { format!("{whole}.{fraction}") } else { whole.to_string() }
}

/// Signs, thousands and leading zeros around the digits of a number.
fn number(spec: &Specifier, digits: &str, negative: bool) -> String {
    let has = |flag| spec.flags.contains(flag);
    let mut body = digits.to_string();
    if has(',') {
        let (whole, rest) = match body.find('.') {
            Some(at) => body.split_at(at),
            None => (body.as_str(), ""),
        };
        let mut grouped = String::new();
        for (i, c) in whole.chars().enumerate() {
            if i > 0 && (whole.len() - i) % 3 == 0 {
                grouped.push(',');
            }
            grouped.push(c);
        }
        body = format!("{grouped}{rest}");
    }
    let (before, after) = match (negative, has('('), has('+'), has(' ')) {
        (true, true, ..) => ("(", ")"),
        (true, ..) => ("-", ""),
        (false, _, true, _) => ("+", ""),
        (false, _, _, true) => (" ", ""),
        _ => ("", ""),
    };
    if has('0') {
        let width = spec.width.saturating_sub(before.len() + after.len());
        body = format!("{body:0>width$}");
    }
    format!("{before}{body}{after}")
}

fn zeros(spec: &Specifier, digits: String) -> String {
    if spec.flags.contains('0') { format!("{digits:0>width$}", width = spec.width) } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_have_all_parts() {
        let (spec, rest) = specifier("2$-08.3f|").unwrap();
        assert_eq!(
            spec,
            Specifier { index: Some(2), flags: "-0".into(), width: 8, precision: Some(3), conversion: 'f' }
        );
        assert_eq!(rest, "|");
    }

    #[test]
    fn numbers_round_half_up_and_group() {
        assert_eq!(half_up(123456789.125, 2), "123456789.13");
        assert_eq!(half_up(0.5, 0), "1");
        assert_eq!(half_up(2.0, 2), "2.00");
        let spec = Specifier { flags: ",".into(), ..Specifier::default() };
        assert_eq!(number(&spec, "1234567.5", true), "-1,234,567.5");
    }
}
