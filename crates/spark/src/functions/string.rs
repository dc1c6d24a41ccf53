//! String functions. Positions and lengths count characters (code points), not bytes.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, BinaryBuilder},
    datatypes::{DataType, Float64Type, Int32Type, Int64Type},
};
use millstream_engine::{
    Result, SparkError,
    format::value_text::{TextStyle, to_text, write_decimal},
};

use super::{
    Args, Call, Function, Kernel, MANY, Output, SessionZone, coerce, custom, exprs, kernel, kernel_call,
    unexpected_input,
};
use crate::{
    expression::{Input, TypedExpr, coercion, implicit_cast, literal},
    types,
};

use Input::{Binary, Int, String as Str, StringOrBinary};

pub(super) const FUNCTIONS: &[Function] = &[
    kernel(&["upper", "ucase"], &[Str], 1, Output::String, |args| {
        map(args, |s, out| out.push_str(&s.to_uppercase()))
    }),
    kernel(&["lower", "lcase"], &[Str], 1, Output::String, |args| {
        map(args, |s, out| out.push_str(&s.to_lowercase()))
    }),
    custom(&["trim"], 1, 2, |call| trim(call, "BOTH")),
    custom(&["btrim"], 1, 2, |call| trim(call, "BOTH")),
    custom(&["ltrim"], 1, 2, |call| trim(call, "LEADING")),
    custom(&["rtrim"], 1, 2, |call| trim(call, "TRAILING")),
    kernel(&["length", "char_length", "character_length", "len"], &[StringOrBinary], 1, Output::Int, length),
    kernel(&["octet_length"], &[StringOrBinary], 1, Output::Int, |args| byte_length(args, 1)),
    kernel(&["bit_length"], &[StringOrBinary], 1, Output::Int, |args| byte_length(args, 8)),
    kernel(&["initcap"], &[Str], 1, Output::String, |args| map(args, initcap)),
    kernel(&["ascii"], &[Str], 1, Output::Int, ascii),
    kernel(&["chr", "char"], &[Input::Long], 1, Output::String, chr),
    custom(&["substring", "substr"], 2, 3, substring),
    kernel(&["left"], &[Str, Int], 2, Output::String, left),
    kernel(&["right"], &[Str, Int], 2, Output::String, right),
    custom(&["concat_ws"], 1, MANY, concat_ws),
    custom(&["replace"], 2, 3, replace),
    kernel(&["translate"], &[Str, Str, Str], 3, Output::String, translate),
    custom(&["lpad"], 2, 3, |call| pad(call, "lpad")),
    custom(&["rpad"], 2, 3, |call| pad(call, "rpad")),
    kernel(&["instr"], &[Str, Str], 2, Output::Int, |args| {
        let (texts, parts) = (args.strings(0)?, args.strings(1)?);
        args.build::<Int32Type>(|row| Ok(Some(position(texts.value(row), parts.value(row), 1))))
    }),
    custom(&["locate"], 2, 3, |call| locate(call, "locate")),
    custom(&["position"], 2, 3, |call| locate(call, "position")),
    kernel(&["repeat"], &[Str, Int], 2, Output::String, repeat),
    kernel(&["space"], &[Int], 1, Output::String, |args| {
        let counts = args.primitives::<Int32Type>(0)?;
        args.build_strings(|row, out| {
            out.extend(std::iter::repeat_n(' ', usize::try_from(counts.value(row)).unwrap_or(0)));
            Ok(true)
        })
    }),
    kernel(&["startswith"], &[Str, Str], 2, Output::Boolean, |args| {
        test(args, |s, part| s.starts_with(part))
    }),
    kernel(&["endswith"], &[Str, Str], 2, Output::Boolean, |args| test(args, |s, part| s.ends_with(part))),
    kernel(&["contains"], &[Str, Str], 2, Output::Boolean, |args| test(args, |s, part| s.contains(part))),
    custom(&["format_number"], 2, 2, format_number),
    kernel(&["base64"], &[Binary], 1, Output::String, base64),
    kernel(&["unbase64"], &[Str], 1, Output::Binary, unbase64),
    kernel(&["substring_index"], &[Str, Str, Int], 3, Output::String, substring_index),
    kernel(&["split_part"], &[Str, Str, Int], 3, Output::String, split_part),
    kernel(&["find_in_set"], &[Str, Str], 2, Output::Int, find_in_set),
    custom(&["overlay"], 3, 4, overlay),
    kernel(&["encode"], &[Str, Str], 2, Output::Binary, encode),
    kernel(&["decode"], &[Binary, Str], 2, Output::String, decode),
    kernel(&["soundex"], &[Str], 1, Output::String, |args| map(args, soundex)),
    kernel(&["url_encode"], &[Str], 1, Output::String, |args| map(args, url_encode)),
];

fn map(args: &Args, f: impl Fn(&str, &mut String)) -> Result<ArrayRef> {
    let texts = args.strings(0)?;
    args.build_strings(|row, out| {
        f(texts.value(row), out);
        Ok(true)
    })
}

fn test(args: &Args, f: impl Fn(&str, &str) -> bool) -> Result<ArrayRef> {
    let (texts, parts) = (args.strings(0)?, args.strings(1)?);
    args.build_booleans(|row| Ok(Some(f(texts.value(row), parts.value(row)))))
}

/// A function that is null only where an argument is.
pub(super) fn strict(
    call: Call,
    shown: String,
    inputs: &[Input],
    id: &str,
    t: DataType,
    f: Kernel,
) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let args = coerce(call.args, inputs, &shown, conf)?;
    let nullable = args.iter().any(TypedExpr::nullable);
    let expr = kernel_call(id, f, exprs(&args), t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, shown))
}

/// `trim(text)` of blanks, `trim(text, characters)` of any of these.
fn trim(mut call: Call, side: &str) -> Result<TypedExpr> {
    // `trim`, `ltrim` and `rtrim` take the characters first, `btrim` last.
    if call.name != "btrim" && call.args.len() == 2 {
        call.args.reverse();
    }
    let shown = match call.args.as_slice() {
        [text, characters] if call.name != "btrim" => {
            format!("TRIM({side} {} FROM {})", characters.sql, text.sql)
        }
        _ => call.sql_as(call.name),
    };
    let f: Kernel = match side {
        "BOTH" => |args| trim_kernel(args, true, true),
        "LEADING" => |args| trim_kernel(args, true, false),
        _ => |args| trim_kernel(args, false, true),
    };
    let id = match side {
        "BOTH" => "trim",
        "LEADING" => "ltrim",
        _ => "rtrim",
    };
    strict(call, shown, &[Str, Str], id, DataType::Utf8, f)
}

fn trim_kernel(args: &Args, start: bool, end: bool) -> Result<ArrayRef> {
    let texts = args.strings(0)?;
    let characters = if args.len() > 1 { Some(args.strings(1)?) } else { None };
    args.build_strings(|row, out| {
        let set = characters.as_ref().map_or(" ", |c| c.value(row));
        let mut text = texts.value(row);
        if start {
            text = text.trim_start_matches(|c| set.contains(c));
        }
        if end {
            text = text.trim_end_matches(|c| set.contains(c));
        }
        out.push_str(text);
        Ok(true)
    })
}

fn count(value: usize) -> Option<i32> {
    i32::try_from(value).ok()
}

fn length(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    match array.as_string_opt::<i32>() {
        Some(texts) => args.build::<Int32Type>(|row| Ok(count(texts.value(row).chars().count()))),
        None => byte_length(args, 1),
    }
}

fn byte_length(args: &Args, unit: usize) -> Result<ArrayRef> {
    let array = args.array(0)?;
    match array.as_string_opt::<i32>() {
        Some(texts) => args.build::<Int32Type>(|row| Ok(count(texts.value(row).len() * unit))),
        None => {
            let bytes = args.binaries(0)?;
            args.build::<Int32Type>(|row| Ok(count(bytes.value(row).len() * unit)))
        }
    }
}

fn initcap(text: &str, out: &mut String) {
    let mut first = true;
    for c in text.chars() {
        if first {
            // Title case where it is one character, as Java's is.
            match c {
                'ß' => out.push_str("Ss"),
                c => out.extend(c.to_uppercase()),
            }
        } else {
            out.extend(c.to_lowercase());
        }
        first = c == ' ';
    }
}

fn ascii(args: &Args) -> Result<ArrayRef> {
    let texts = args.strings(0)?;
    args.build::<Int32Type>(|row| {
        let code = texts.value(row).chars().next().map_or(0, u32::from);
        Ok(i32::try_from(code).ok())
    })
}

fn chr(args: &Args) -> Result<ArrayRef> {
    let codes = args.primitives::<Int64Type>(0)?;
    args.build_strings(|row, out| {
        let code = codes.value(row);
        if code >= 0 {
            out.extend(char::from_u32(u32::try_from(code & 0xff).unwrap_or(0)));
        }
        Ok(true)
    })
}

/// Byte range of the characters `start..end`, cut to the text.
fn characters(text: &str, start: i64, end: i64) -> &str {
    let at = |position: i64| {
        if position <= 0 {
            return 0;
        }
        text.char_indices()
            .nth(usize::try_from(position).unwrap_or(usize::MAX))
            .map_or(text.len(), |(at, _)| at)
    };
    if end <= start { "" } else { text.get(at(start)..at(end)).unwrap_or_default() }
}

/// Start and end (from 0) of SQL's `substring(text, position, length)` in `total` items.
fn substring_range(total: i64, position: i32, length: i32) -> (i64, i64) {
    let position = i64::from(position);
    let start = match position {
        p if p > 0 => p - 1,
        0 => 0,
        p => total + p,
    };
    // The part before the first character counts.
    (start, start.saturating_add(i64::from(length)))
}

fn substring(mut call: Call) -> Result<TypedExpr> {
    if call.args.len() == 2 {
        call.args.push(literal::int(i32::MAX));
    }
    let binary = call.args.first().is_some_and(|arg| *arg.data_type() == DataType::Binary);
    let shown = call.sql_as(call.name);
    let (t, f): (_, Kernel) =
        if binary { (DataType::Binary, substring_of_binary) } else { (DataType::Utf8, substring_of_string) };
    strict(call, shown, &[StringOrBinary, Int, Int], "substring", t, f)
}

fn substring_of_string(args: &Args) -> Result<ArrayRef> {
    let texts = args.strings(0)?;
    let (positions, lengths) = (args.primitives::<Int32Type>(1)?, args.primitives::<Int32Type>(2)?);
    args.build_strings(|row, out| {
        let text = texts.value(row);
        let position = positions.value(row);
        // Only a position from the end needs the length.
        let total = if position < 0 { i64::try_from(text.chars().count()).unwrap_or(0) } else { 0 };
        let (start, end) = substring_range(total, position, lengths.value(row));
        out.push_str(characters(text, start.max(0), end));
        Ok(true)
    })
}

fn substring_of_binary(args: &Args) -> Result<ArrayRef> {
    let bytes = args.binaries(0)?;
    let (positions, lengths) = (args.primitives::<Int32Type>(1)?, args.primitives::<Int32Type>(2)?);
    let valid = args.validity()?;
    let mut out = BinaryBuilder::new();
    for row in 0..args.rows {
        if valid.as_ref().is_some_and(|v| v.is_null(row)) {
            out.append_null();
            continue;
        }
        let value = bytes.value(row);
        let total = i64::try_from(value.len()).unwrap_or(i64::MAX);
        let (start, end) = substring_range(total, positions.value(row), lengths.value(row));
        let index = |v: i64| usize::try_from(v.clamp(0, total)).unwrap_or(0);
        out.append_value(value.get(index(start)..index(end)).unwrap_or_default());
    }
    Ok(Arc::new(out.finish()))
}

fn left(args: &Args) -> Result<ArrayRef> {
    let (texts, counts) = (args.strings(0)?, args.primitives::<Int32Type>(1)?);
    args.build_strings(|row, out| {
        out.push_str(characters(texts.value(row), 0, i64::from(counts.value(row))));
        Ok(true)
    })
}

fn right(args: &Args) -> Result<ArrayRef> {
    let (texts, counts) = (args.strings(0)?, args.primitives::<Int32Type>(1)?);
    args.build_strings(|row, out| {
        let total = i64::try_from(texts.value(row).chars().count()).unwrap_or(0);
        let count = i64::from(counts.value(row));
        if count > 0 {
            out.push_str(characters(texts.value(row), (total - count).max(0), total));
        }
        Ok(true)
    })
}

/// `concat_ws(separator, strings and arrays of strings)`: nulls are left out.
fn concat_ws(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("concat_ws");
    let args = call
        .args
        .into_iter()
        .enumerate()
        .map(|(i, arg)| match arg.data_type() {
            DataType::List(_) if i > 0 => implicit_cast(arg, &types::list_of(DataType::Utf8, true), conf),
            _ => Str.coerce(arg.clone(), conf).ok_or_else(|| {
                unexpected_input(
                    &sql,
                    i,
                    if i == 0 { "\"STRING\"" } else { "(\"ARRAY<STRING>\" or \"STRING\")" },
                    &arg,
                )
            }),
        })
        .collect::<Result<Vec<_>>>()?;
    let nullable = args.first().is_some_and(TypedExpr::nullable);
    let expr = kernel_call("concat_ws", concat_ws_kernel, exprs(&args), DataType::Utf8, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Utf8, nullable, sql))
}

fn concat_ws_kernel(args: &Args) -> Result<ArrayRef> {
    let separators = args.strings(0)?;
    let parts: Vec<ArrayRef> = (1..args.len()).map(|i| args.array(i)).collect::<Result<_>>()?;
    let mut out = datafusion::arrow::array::StringBuilder::new();
    let mut cell = String::new();
    for row in 0..args.rows {
        if separators.is_null(row) {
            out.append_null();
            continue;
        }
        cell.clear();
        let mut first = true;
        let mut add = |text: &str| {
            if !first {
                cell.push_str(separators.value(row));
            }
            first = false;
            cell.push_str(text);
        };
        for part in parts.iter().filter(|part| part.is_valid(row)) {
            match part.as_string_opt::<i32>() {
                Some(texts) => add(texts.value(row)),
                None => {
                    let items = part.as_list::<i32>().value(row);
                    items.as_string::<i32>().iter().flatten().for_each(&mut add);
                }
            }
        }
        out.append_value(&cell);
    }
    Ok(Arc::new(out.finish()))
}

fn replace(mut call: Call) -> Result<TypedExpr> {
    if call.args.len() == 2 {
        call.args.push(literal::string(""));
    }
    let shown = call.sql_as("replace");
    strict(call, shown, &[Str], "replace", DataType::Utf8, |args| {
        let (texts, from, to) = (args.strings(0)?, args.strings(1)?, args.strings(2)?);
        args.build_strings(|row, out| {
            match from.value(row) {
                "" => out.push_str(texts.value(row)),
                from => out.push_str(&texts.value(row).replace(from, to.value(row))),
            }
            Ok(true)
        })
    })
}

fn translate(args: &Args) -> Result<ArrayRef> {
    let (texts, from, to) = (args.strings(0)?, args.strings(1)?, args.strings(2)?);
    args.build_strings(|row, out| {
        for c in texts.value(row).chars() {
            match from.value(row).chars().position(|known| known == c) {
                Some(i) => out.extend(to.value(row).chars().nth(i).filter(|c| *c != '\0')),
                None => out.push(c),
            }
        }
        Ok(true)
    })
}

fn pad(mut call: Call, name: &str) -> Result<TypedExpr> {
    if call.args.first().is_some_and(|arg| *arg.data_type() == DataType::Binary) {
        return Err(SparkError::unsupported(format!("the function `{name}` on binary")));
    }
    if call.args.len() == 2 {
        call.args.push(literal::string(" "));
    }
    let shown = call.sql_as(name);
    let f: Kernel =
        if name == "lpad" { |args| pad_kernel(args, true) } else { |args| pad_kernel(args, false) };
    strict(call, shown, &[Str, Int, Str], name, DataType::Utf8, f)
}

fn pad_kernel(args: &Args, before: bool) -> Result<ArrayRef> {
    let (texts, lengths, pads) = (args.strings(0)?, args.primitives::<Int32Type>(1)?, args.strings(2)?);
    args.build_strings(|row, out| {
        let (text, length) = (texts.value(row), usize::try_from(lengths.value(row)).unwrap_or(0));
        let missing = length.saturating_sub(text.chars().count());
        let kept = characters(text, 0, i64::try_from(length).unwrap_or(i64::MAX));
        if !before {
            out.push_str(kept);
        }
        if !pads.value(row).is_empty() {
            out.extend(pads.value(row).chars().cycle().take(missing));
        }
        if before {
            out.push_str(kept);
        }
        Ok(true)
    })
}

/// Where `part` starts in `text` at or after character `from`, counted from 1; 0 for nowhere.
fn position(text: &str, part: &str, from: i32) -> i32 {
    let Ok(skip) = usize::try_from(from - 1) else { return 0 };
    let start = match text.char_indices().nth(skip) {
        Some((at, _)) => at,
        None if skip == text.chars().count() || part.is_empty() => text.len(),
        None => return 0,
    };
    match text.get(start..).and_then(|rest| rest.find(part)) {
        Some(at) => count(text.get(..start + at).unwrap_or_default().chars().count() + 1).unwrap_or(0),
        None => 0,
    }
}

fn locate(mut call: Call, shown: &str) -> Result<TypedExpr> {
    if call.args.len() == 2 {
        call.args.push(literal::int(1));
    }
    let shown = call.sql_as(shown);
    strict(call, shown, &[Str, Str, Int], "locate", DataType::Int32, |args| {
        let (parts, texts, from) = (args.strings(0)?, args.strings(1)?, args.primitives::<Int32Type>(2)?);
        args.build::<Int32Type>(|row| Ok(Some(position(texts.value(row), parts.value(row), from.value(row)))))
    })
}

fn repeat(args: &Args) -> Result<ArrayRef> {
    let (texts, counts) = (args.strings(0)?, args.primitives::<Int32Type>(1)?);
    args.build_strings(|row, out| {
        for _ in 0..counts.value(row).max(0) {
            out.push_str(texts.value(row));
        }
        Ok(true)
    })
}

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

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(args: &Args) -> Result<ArrayRef> {
    let bytes = args.binaries(0)?;
    args.build_strings(|row, out| {
        for chunk in bytes.value(row).chunks(3) {
            let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            for i in 0..4 {
                if i <= chunk.len() {
                    let digit = (group >> (18 - 6 * i)) & 63;
                    out.extend(BASE64.get(usize::try_from(digit).unwrap_or(0)).map(|b| char::from(*b)));
                } else {
                    out.push('=');
                }
            }
        }
        Ok(true)
    })
}

/// MIME decoding: characters outside of the alphabet are skipped.
fn unbase64(args: &Args) -> Result<ArrayRef> {
    let texts = args.strings(0)?;
    let mut out = BinaryBuilder::new();
    for text in &texts {
        let Some(text) = text else {
            out.append_null();
            continue;
        };
        let (mut bytes, mut bits, mut digits) = (Vec::new(), 0u32, 0);
        for byte in text.bytes().take_while(|b| *b != b'=') {
            let Some(digit) = BASE64.iter().position(|known| *known == byte) else { continue };
            bits = bits << 6 | u32::try_from(digit).unwrap_or(0);
            digits += 1;
            if digits % 4 != 1 {
                let shift = [0, 0, 4, 2][digits % 4];
                bytes.push((bits >> shift) as u8);
            }
        }
        if digits % 4 == 1 {
            return Err(SparkError::new("CONVERSION_INVALID_INPUT")
                .with("str", format!("'{text}'"))
                .with("fmt", "'BASE64'")
                .with("targetType", "\"BINARY\"")
                .with("suggestion", "`try_to_binary`"));
        }
        out.append_value(bytes);
    }
    Ok(Arc::new(out.finish()))
}

fn substring_index(args: &Args) -> Result<ArrayRef> {
    let (texts, parts, counts) = (args.strings(0)?, args.strings(1)?, args.primitives::<Int32Type>(2)?);
    args.build_strings(|row, out| {
        let (text, part, n) = (texts.value(row), parts.value(row), counts.value(row));
        if part.is_empty() || n == 0 {
            return Ok(true);
        }
        let wanted = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX) - 1;
        let found = if n > 0 {
            text.match_indices(part).nth(wanted).map(|(at, _)| text.get(..at))
        } else {
            text.rmatch_indices(part).nth(wanted).map(|(at, _)| text.get(at + part.len()..))
        };
        out.push_str(found.flatten().unwrap_or(text));
        Ok(true)
    })
}

fn split_part(args: &Args) -> Result<ArrayRef> {
    let (texts, parts, numbers) = (args.strings(0)?, args.strings(1)?, args.primitives::<Int32Type>(2)?);
    args.build_strings(|row, out| {
        let (text, part, n) = (texts.value(row), parts.value(row), numbers.value(row));
        if n == 0 {
            return Err(SparkError::new("INVALID_INDEX_OF_ZERO"));
        }
        let pieces: Vec<&str> = if part.is_empty() { vec![text] } else { text.split(part).collect() };
        let index = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX) - 1;
        let found = if n > 0 { pieces.get(index) } else { pieces.iter().rev().nth(index) };
        out.push_str(found.copied().unwrap_or_default());
        Ok(true)
    })
}

fn find_in_set(args: &Args) -> Result<ArrayRef> {
    let (words, sets) = (args.strings(0)?, args.strings(1)?);
    args.build::<Int32Type>(|row| {
        let word = words.value(row);
        if word.contains(',') {
            return Ok(Some(0));
        }
        Ok(count(sets.value(row).split(',').position(|item| item == word).map_or(0, |i| i + 1)))
    })
}

fn overlay(mut call: Call) -> Result<TypedExpr> {
    if call.args.first().is_some_and(|arg| *arg.data_type() == DataType::Binary) {
        return Err(SparkError::unsupported("the function `overlay` on binary"));
    }
    if call.args.len() == 3 {
        call.args.push(literal::int(-1));
    }
    let shown = call.sql_as("overlay");
    strict(call, shown, &[Str, Str, Int, Int], "overlay", DataType::Utf8, |args| {
        let (texts, parts) = (args.strings(0)?, args.strings(1)?);
        let (starts, lengths) = (args.primitives::<Int32Type>(2)?, args.primitives::<Int32Type>(3)?);
        args.build_strings(|row, out| {
            let (text, part, start) = (texts.value(row), parts.value(row), i64::from(starts.value(row)));
            let length = match lengths.value(row) {
                n if n >= 0 => i64::from(n),
                _ => i64::try_from(part.chars().count()).unwrap_or(0),
            };
            out.push_str(characters(text, 0, start - 1));
            out.push_str(part);
            out.push_str(characters(text, (start - 1 + length).max(0), i64::MAX));
            Ok(true)
        })
    })
}

fn charset(name: &str, function: &str) -> Result<()> {
    if matches!(name.to_ascii_uppercase().as_str(), "UTF-8" | "UTF8" | "US-ASCII") {
        return Ok(());
    }
    Err(SparkError::unsupported(format!("the charset {name} of `{function}`")))
}

fn encode(args: &Args) -> Result<ArrayRef> {
    let (texts, charsets) = (args.strings(0)?, args.strings(1)?);
    let mut out = BinaryBuilder::new();
    for (text, name) in texts.iter().zip(charsets.iter()) {
        match text.zip(name) {
            Some((text, name)) => {
                charset(name, "encode")?;
                out.append_value(text.as_bytes());
            }
            None => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn decode(args: &Args) -> Result<ArrayRef> {
    let (bytes, charsets) = (args.binaries(0)?, args.strings(1)?);
    args.build_strings(|row, out| {
        charset(charsets.value(row), "decode")?;
        match std::str::from_utf8(bytes.value(row)) {
            Ok(text) => {
                out.push_str(text);
                Ok(true)
            }
            Err(_) => Err(SparkError::new("MALFORMED_CHARACTER_CODING")
                .with("function", "`decode`")
                .with("charset", charsets.value(row))),
        }
    })
}

fn soundex(text: &str, out: &mut String) {
    const CODES: &[u8; 26] = b"01230127022455012623010202";
    let code = |c: char| {
        let index =
            u32::from(c.to_ascii_uppercase()).checked_sub(65).and_then(|i| usize::try_from(i).ok())?;
        CODES.get(index).copied()
    };
    let Some(first) = text.chars().next().filter(char::is_ascii_alphabetic) else {
        out.push_str(text);
        return;
    };
    out.push(first.to_ascii_uppercase());
    let mut last = code(first);
    for c in text.chars().skip(1) {
        let Some(digit) = code(c).filter(|_| c.is_ascii_alphabetic()) else {
            last = Some(b'0');
            continue;
        };
        // H and W do not separate equal codes.
        if matches!(c.to_ascii_uppercase(), 'H' | 'W') {
            continue;
        }
        if digit != b'0' && Some(digit) != last {
            out.push(char::from(digit));
            if out.len() == 4 {
                return;
            }
        }
        last = Some(digit);
    }
    while out.len() < 4 {
        out.push('0');
    }
}

fn url_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
}
