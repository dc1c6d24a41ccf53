//! Parts of strings, and where they are. Positions count characters (code points) from 1.

use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, BinaryBuilder},
    datatypes::{DataType, Int32Type},
};
use millstream_engine::{Result, SparkError};

use super::{
    Args, Call, Function, Kernel, Output, custom, kernel,
    string::{count, strict},
};
use crate::expression::{Input, TypedExpr, literal};

use Input::{Int, String as Str, StringOrBinary};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["substring", "substr"], 2, 3, substring),
    kernel(&["left"], &[Str, Int], 2, Output::String, left),
    kernel(&["right"], &[Str, Int], 2, Output::String, right),
    kernel(&["instr"], &[Str, Str], 2, Output::Int, |args| {
        let (texts, parts) = (args.strings(0)?, args.strings(1)?);
        args.build::<Int32Type>(|row| Ok(Some(position(texts.value(row), parts.value(row), 1))))
    }),
    custom(&["locate"], 2, 3, |call| locate(call, "locate")),
    custom(&["position"], 2, 3, |call| locate(call, "position")),
    kernel(&["substring_index"], &[Str, Str, Int], 3, Output::String, substring_index),
    kernel(&["split_part"], &[Str, Str, Int], 3, Output::String, split_part),
    kernel(&["find_in_set"], &[Str, Str], 2, Output::Int, find_in_set),
    custom(&["overlay"], 3, 4, overlay),
];

/// Byte range of the characters `start..end`, cut to the text.
pub(super) fn characters(text: &str, start: i64, end: i64) -> &str {
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
