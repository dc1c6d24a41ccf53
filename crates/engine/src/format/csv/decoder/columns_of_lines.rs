//! Many plain lines at a time, a column after the other.

use super::{BATCH_ROWS, Decoder, Target, plain_lines::PlainLines};
use crate::{
    Result,
    format::{
        column_builder::{ColumnBuilder, Values},
        csv::convert::{self, Kind},
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
            for (start, end) in plain.field(field) {
                if start == end {
                    column.push_null();
                } else if !push_field(kind, text, start, end, column) {
                    let token = text.get(start..end).unwrap_or_default();
                    if !convert::append(kind, token, &self.options.values, column)? {
                        column.push_null();
                    }
                }
            }
        }
        self.rows += plain.lines();
        Ok(next)
    }
}

/// Appends the number from `start` to `end`; false, and nothing is appended, if it is not a
/// usual one.
#[inline]
fn push_field(kind: Kind, text: &[u8], start: usize, end: usize, column: &mut ColumnBuilder) -> bool {
    let whole = |(value, found)| (found == end).then_some(value);
    let pushed = match (kind, &mut column.values) {
        (Kind::F64, Values::F64(values)) => field_f64(text, start, end)
            .or_else(|| scan_f64(text, start).and_then(whole))
            .map(|value| values.push(value)),
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
