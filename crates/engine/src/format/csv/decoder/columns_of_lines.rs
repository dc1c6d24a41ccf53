//! Many plain lines at a time, a column after the other.

use super::{BATCH_ROWS, Decoder, Target, plain_lines::PlainLines};
use crate::{
    Result,
    format::{
        column_builder::{ColumnBuilder, Values},
        csv::{
            convert::{self, Kind},
            options::ValueOptions,
        },
        number_scan::{field_f64, field_i64, scan_f64},
    },
};

/// Fewer plain lines than this in a row do not pay.
const FEW: usize = 16;
/// So many lines are taken singly then.
const PAUSE: usize = 64;

impl Decoder {
    /// Decodes many of the lines that `text` starts with, where they are plain; returns where
    /// the next one starts, 0 if the first one has to be decoded as a single [`line`](Self::line).
    pub(crate) fn plain_lines(&mut self, text: &[u8]) -> Result<usize> {
        let Some(mut plain) = self.plain.take() else { return Ok(0) };
        let next = self.take_plain(&mut plain, text);
        self.plain = Some(plain);
        next
    }

    fn take_plain(&mut self, plain: &mut PlainLines, text: &[u8]) -> Result<usize> {
        if self.pause > 0 {
            self.pause -= 1;
            return Ok(0);
        }
        let next = plain.split(text, BATCH_ROWS.saturating_sub(self.rows), |line| self.is_skipped(line));
        if plain.lines() < FEW {
            self.pause = PAUSE;
        }
        for (field, target) in self.fields.iter().enumerate() {
            let Some(Target { column, kind }) = *target else { continue };
            let Some(column) = self.columns.get_mut(column) else { continue };
            let bounds = plain.field(field);
            match kind {
                Kind::F64 => push_doubles(text, bounds, &self.options.values, column)?,
                Kind::Utf8 | Kind::Binary => push_texts(text, bounds, column)?,
                _ => {
                    for (start, end) in bounds {
                        push_one(kind, text, start, end, &self.options.values, column)?;
                    }
                }
            }
        }
        self.rows += plain.lines();
        Ok(next)
    }
}

/// Appends a column of doubles: first what is to be divided, then all divisions.
fn push_doubles(
    text: &[u8],
    bounds: impl Iterator<Item = (usize, usize)>,
    options: &ValueOptions,
    column: &mut ColumnBuilder,
) -> Result<()> {
    let before = column.rows();
    let mut divisors = Vec::with_capacity(bounds.size_hint().0);
    for (start, end) in bounds {
        match (field_f64(text, start, end), &mut column.values) {
            (Some((value, divisor)), Values::F64(values)) => {
                values.push(value);
                column.mark_valid();
                divisors.push(divisor);
            }
            _ => {
                push_one(Kind::F64, text, start, end, options, column)?;
                divisors.push(1.0);
            }
        }
    }
    if let Values::F64(values) = &mut column.values {
        let pushed = values.get_mut(before..).unwrap_or_default();
        pushed.iter_mut().zip(divisors).for_each(|(value, divisor)| *value /= divisor);
    }
    Ok(())
}

fn push_texts(
    text: &[u8],
    bounds: impl Iterator<Item = (usize, usize)>,
    column: &mut ColumnBuilder,
) -> Result<()> {
    for (start, end) in bounds {
        match start == end {
            true => column.push_null(),
            false => column.push_part(text, start, end)?,
        }
    }
    Ok(())
}

/// Appends the value from `start` to `end`; null where there is none of the column's kind.
#[inline]
fn push_one(
    kind: Kind,
    text: &[u8],
    start: usize,
    end: usize,
    options: &ValueOptions,
    column: &mut ColumnBuilder,
) -> Result<()> {
    if start == end {
        column.push_null();
    } else if !push_number(kind, text, start, end, column) {
        let token = text.get(start..end).unwrap_or_default();
        if !convert::append(kind, token, options, column)? {
            column.push_null();
        }
    }
    Ok(())
}

/// Appends the number from `start` to `end`; false, and nothing is appended, if it is not a
/// usual one.
#[inline]
fn push_number(kind: Kind, text: &[u8], start: usize, end: usize, column: &mut ColumnBuilder) -> bool {
    let whole = |(value, found)| (found == end).then_some(value);
    let pushed = match (kind, &mut column.values) {
        (Kind::F64, Values::F64(values)) => {
            scan_f64(text, start).and_then(whole).map(|value| values.push(value))
        }
        (Kind::I64, Values::I64(values)) => field_i64(text, start, end).map(|value| values.push(value)),
        (Kind::I32, Values::I32(values)) => field_i64(text, start, end)
            .and_then(|value| i32::try_from(value).ok())
            .map(|value| values.push(value)),
        _ => None,
    };
    if pushed.is_some() {
        column.mark_valid();
    }
    pushed.is_some()
}
