//! String functions. Positions and lengths count characters (code points), not bytes.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Int32Type, Int64Type},
};
use millstream_engine::{Result, SparkError};

use super::{
    Args, Call, Function, Kernel, MANY, Output, coerce, custom, exprs, kernel, kernel_call,
    substring::characters, unexpected_input,
};
use crate::{
    expression::{Input, TypedExpr, implicit_cast, literal},
    types,
};

use Input::{Int, String as Str, StringOrBinary};

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
    custom(&["concat_ws"], 1, MANY, concat_ws),
    custom(&["replace"], 2, 3, replace),
    kernel(&["translate"], &[Str, Str, Str], 3, Output::String, translate),
    custom(&["lpad"], 2, 3, |call| pad(call, "lpad")),
    custom(&["rpad"], 2, 3, |call| pad(call, "rpad")),
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
    kernel(&["soundex"], &[Str], 1, Output::String, |args| map(args, soundex)),
];

pub(super) fn map(args: &Args, f: impl Fn(&str, &mut String)) -> Result<ArrayRef> {
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

pub(super) fn count(value: usize) -> Option<i32> {
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

fn repeat(args: &Args) -> Result<ArrayRef> {
    let (texts, counts) = (args.strings(0)?, args.primitives::<Int32Type>(1)?);
    args.build_strings(|row, out| {
        for _ in 0..counts.value(row).max(0) {
            out.push_str(texts.value(row));
        }
        Ok(true)
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
