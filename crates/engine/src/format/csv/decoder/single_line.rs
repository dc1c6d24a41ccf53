//! One line in one pass: fields are found and read as they come.

use memchr::{memchr, memchr2};

use super::{Decoder, Outcome};
use crate::{
    Result,
    format::{
        column_builder::{ColumnBuilder, Values},
        csv::convert::{self, Kind},
        number_scan::{scan_f64, scan_i64},
    },
};

impl Decoder {
    /// The one-pass path; `None` when the line needs the tokenizer (columns may then be
    /// partly filled). `text` starts with `line`.
    #[inline]
    pub(super) fn fast_line(&mut self, text: &[u8], line: &[u8]) -> Result<Option<Outcome>> {
        let Self { options, fields, columns, check_count, .. } = self;
        let d = &options.dialect;
        let delimiter = d.delimiter.first().copied().unwrap_or(b',');
        let plain_null = options.null_value.is_empty();
        let mut good = true;
        // Start of the next field; beyond the line once the last field was read.
        let mut at = 0;
        for target in fields.iter() {
            if at > line.len() {
                if *check_count {
                    good = false;
                }
                if let Some(builder) = target.and_then(|t| columns.get_mut(t.column)) {
                    builder.push_null();
                }
                continue;
            }
            let first = line.get(at).copied();
            if first == Some(d.quote) && d.quote != 0 {
                let Some((start, end, next)) = simple_quoted(line, at, delimiter, d.quote, d.escape) else {
                    return Ok(None);
                };
                at = next;
                let Some(target) = target else { continue };
                let Some(builder) = columns.get_mut(target.column) else { continue };
                let token = line.get(start..end).unwrap_or_default();
                let token = if token.is_empty() { d.empty_value.as_slice() } else { token };
                if token == options.null_value {
                    builder.push_null();
                } else if !convert::append(target.kind, token, &options.values, builder)? {
                    good = false;
                    builder.push_null();
                }
                continue;
            }
            let Some(target) = target else {
                at += memchr(delimiter, line.get(at..).unwrap_or_default()).unwrap_or(line.len() - at) + 1;
                continue;
            };
            let Some(builder) = columns.get_mut(target.column) else { continue };
            if first.is_none() || first == Some(delimiter) {
                builder.push_null();
                at += 1;
                continue;
            }
            if plain_null && let Some(end) = scan(target.kind, text, line.len(), at, delimiter, builder) {
                at = end + 1;
                continue;
            }
            let length = memchr(delimiter, line.get(at..).unwrap_or_default()).unwrap_or(line.len() - at);
            let token = line.get(at..at + length).unwrap_or_default();
            at += length + 1;
            if !plain_null && token == options.null_value {
                builder.push_null();
            } else if !convert::append(target.kind, token, &options.values, builder)? {
                good = false;
                builder.push_null();
            }
        }
        if *check_count && at <= line.len() {
            good = false;
        }
        Ok(Some(if good { Outcome::Good } else { Outcome::Malformed }))
    }
}

/// A quoted field without escapes: start and end of its content, and the next field.
#[inline]
fn simple_quoted(
    line: &[u8],
    at: usize,
    delimiter: u8,
    quote: u8,
    escape: u8,
) -> Option<(usize, usize, usize)> {
    let start = at + 1;
    let rest = line.get(start..)?;
    let end = start + memchr2(quote, escape, rest)?;
    if line.get(end) != Some(&quote) {
        return None;
    }
    match line.get(end + 1) {
        // At the very end the tokenizer decides: a lone quote is text there.
        None if end > start => Some((start, end, end + 2)),
        Some(next) if *next == delimiter => Some((start, end, end + 2)),
        _ => None,
    }
}

/// Parses a number that ends at a delimiter or the line's end; returns where it ends. The
/// line is the first `length` bytes of `text`.
#[inline]
fn scan(
    kind: Kind,
    text: &[u8],
    length: usize,
    at: usize,
    delimiter: u8,
    column: &mut ColumnBuilder,
) -> Option<usize> {
    let ends = |end: usize| end == length || end < length && text.get(end) == Some(&delimiter);
    let end = match (kind, &mut column.values) {
        (Kind::F64, Values::F64(values)) => {
            let (value, end) = scan_f64(text, at).filter(|(_, end)| ends(*end))?;
            values.push(value);
            end
        }
        (Kind::I64, Values::I64(values)) => {
            let (value, end) = scan_i64(text, at).filter(|(_, end)| ends(*end))?;
            values.push(value);
            end
        }
        (Kind::I32, Values::I32(values)) => {
            let (value, end) = scan_i64(text, at).filter(|(_, end)| ends(*end))?;
            values.push(i32::try_from(value).ok()?);
            end
        }
        _ => return None,
    };
    column.mark_valid();
    Some(end)
}
