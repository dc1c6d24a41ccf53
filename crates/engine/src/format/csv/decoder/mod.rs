//! Lines of CSV into columns: a typed one-pass path for ordinary lines, the tokenizer for
//! the rest. Both give the same rows (a property test compares them).
//!
//! # Invariants
//! Lines are valid UTF-8. Between two calls all columns have the same length.

mod columns_of_lines;
mod header;
mod plain_lines;
mod single_line;

use std::{borrow::Cow, sync::Arc};

use datafusion::arrow::{
    array::{RecordBatch, RecordBatchOptions},
    datatypes::SchemaRef,
};
use memchr::{memchr, memmem};

use self::plain_lines::PlainLines;
use super::{
    convert::{self, Kind},
    options::CsvReadOptions,
    tokenizer::{TokenError, Tokens, record},
};
use crate::{
    Result, SparkError,
    format::{ParseMode, column_builder::ColumnBuilder, input::LineEnd, number_scan::scan_f64},
};

/// Rows gathered before a batch is handed out.
pub(crate) const BATCH_ROWS: usize = 32 * 1024;

/// Turns lines into batches of the projected columns.
pub(crate) struct Decoder {
    options: Arc<CsvReadOptions>,
    output: SchemaRef,
    /// For each field of a line: the column it fills.
    fields: Vec<Option<Target>>,
    columns: Vec<ColumnBuilder>,
    /// Column that gets the text of malformed records.
    corrupt: Option<usize>,
    /// Whether the number of tokens must be that of the schema. With only some columns
    /// asked for Spark does not look at the number, and malformed rows pass.
    check_count: bool,
    /// No option stands in the way of the one-pass path.
    fast: bool,
    /// Nor in that of many lines at a time.
    plain: Option<PlainLines>,
    /// Lines to take singly before trying again to take many.
    pause: usize,
    rows: usize,
    tokens: Tokens,
    line_break: &'static str,
}

#[derive(Debug, Clone, Copy)]
struct Target {
    column: usize,
    kind: Kind,
}

/// What became of a line.
enum Outcome {
    Good,
    Malformed,
}

impl Decoder {
    /// A decoder of files with columns `schema` for the columns `projection`, in that order.
    ///
    /// # Errors
    /// Column types CSV cannot hold.
    pub(crate) fn new(
        options: Arc<CsvReadOptions>,
        schema: &SchemaRef,
        projection: &[usize],
        capacity: usize,
    ) -> Result<Self> {
        let output: SchemaRef = Arc::new(schema.project(projection)?);
        let is_corrupt =
            |index: usize| schema.fields().get(index).is_some_and(|f| *f.name() == options.corrupt_column);
        let mut fields = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if is_corrupt(index) {
                continue;
            }
            let target = projection.iter().position(|p| *p == index).map(|column| -> Result<Target> {
                Ok(Target { column, kind: Kind::of(field.data_type())? })
            });
            fields.push(target.transpose()?);
        }
        let corrupt = projection.iter().position(|p| is_corrupt(*p));
        let capacity = capacity.min(BATCH_ROWS);
        let columns = output
            .fields()
            .iter()
            .map(|f| ColumnBuilder::new(f.data_type(), capacity))
            .collect::<Result<Vec<_>>>()?;
        let check_count = !options.pruning || fields.iter().all(Option::is_some);
        if !check_count {
            // Fields after the last wanted one need no look.
            let wanted = fields.iter().rposition(Option::is_some).map_or(0, |p| p + 1);
            fields.truncate(wanted);
        }
        let d = &options.dialect;
        let fast = d.delimiter.len() == 1
            && !d.ignore_leading
            && !d.ignore_trailing
            && d.max_chars.is_none()
            && numbers_are_plain(&options)
            && d.max_columns >= fields.len().max(1024);
        let delimiter = d.delimiter.first().copied().unwrap_or(b',');
        // What a malformed line does to its row needs the line.
        let many = fast
            && options.null_value.is_empty()
            && options.mode == ParseMode::Permissive
            && corrupt.is_none()
            && options.line_end == LineEnd::Any
            && !fields.is_empty()
            && ![delimiter, d.quote].iter().any(|b| matches!(b, b'\n' | b'\r'));
        let plain = many.then(|| PlainLines::new(delimiter, d.quote, fields.len(), check_count));
        Ok(Self {
            fast,
            plain,
            pause: 0,
            options,
            output,
            fields,
            columns,
            corrupt,
            check_count,
            rows: 0,
            tokens: Tokens::default(),
            line_break: "\n",
        })
    }

    /// Forces the plain path, to compare with.
    #[cfg(test)]
    pub(crate) fn set_fast(&mut self, fast: bool) {
        self.fast &= fast;
        self.plain = self.plain.take().filter(|_| fast);
    }

    /// Rows gathered so far.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The rows gathered, as a batch; the decoder starts anew.
    pub(crate) fn flush(&mut self) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(ColumnBuilder::finish).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.output), arrays, &options)?)
    }

    /// Decodes the line that `text` starts with: `length` bytes without its terminator. What
    /// follows is not looked into, but lets numbers be read in large steps.
    ///
    /// # Errors
    /// A malformed record in `FAILFAST`; a record that cannot be split at all.
    #[inline]
    pub(crate) fn line(&mut self, text: &[u8], length: usize) -> Result<()> {
        let line = text.get(..length).unwrap_or(text);
        if self.is_skipped(line) {
            return Ok(());
        }
        self.counted_line(text, line)
    }

    /// Whether Spark skips the line: blank, or a comment.
    #[inline]
    pub(crate) fn is_skipped(&self, line: &[u8]) -> bool {
        match line.first() {
            None => true,
            Some(first) if Some(*first) == self.options.comment => true,
            Some(first) => *first <= b' ' && line.iter().all(|b| *b <= b' '),
        }
    }

    #[inline]
    fn counted_line(&mut self, text: &[u8], line: &[u8]) -> Result<()> {
        if self.fields.is_empty() && !self.check_count {
            self.rows += 1;
            return Ok(());
        }
        let outcome = match self.fast {
            true => match self.fast_line(text, line)? {
                Some(outcome) => outcome,
                None => {
                    self.undo();
                    self.tokenized_line(line)?
                }
            },
            false => self.tokenized_line(line)?,
        };
        self.close(outcome, line)
    }

    /// Decodes one record of a multi-line file that starts at `at`; returns where the next
    /// one starts.
    pub(crate) fn record(&mut self, input: &[u8], at: usize) -> Result<usize> {
        let mut tokens = std::mem::take(&mut self.tokens);
        let split = record(&self.options.dialect, input, at, &mut tokens);
        let next = match split {
            Ok(next) => next,
            Err(e) => return Err(cannot_split(e, input.get(at..).unwrap_or_default())),
        };
        let text = input.get(at..next).unwrap_or_default();
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = self.as_in_file(text.strip_suffix(b"\r").unwrap_or(text));
        if tokens.len() == 0 {
            self.tokens = tokens;
            return Ok(next);
        }
        if self.fields.is_empty() && !self.check_count {
            self.rows += 1;
            self.tokens = tokens;
            return Ok(next);
        }
        let outcome = self.tokens_to_row(&tokens);
        self.tokens = tokens;
        self.close(outcome?, &text)?;
        Ok(next)
    }

    /// Tells what `\n` stands for in the records, where line ends were replaced.
    pub(crate) fn set_line_break(&mut self, line_break: &'static str) {
        self.line_break = line_break;
    }

    /// The text of a record with the line ends of its file.
    fn as_in_file<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        if self.line_break == "\n" || self.corrupt.is_none() || memchr(b'\n', text).is_none() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(String::from_utf8_lossy(text).replace('\n', self.line_break).into_bytes())
    }

    /// Whether line ends are told from the content of a multi-line file.
    pub(crate) fn detects_line_end(&self) -> bool {
        self.options.line_end == LineEnd::Any
    }

    fn tokenized_line(&mut self, line: &[u8]) -> Result<Outcome> {
        let mut tokens = std::mem::take(&mut self.tokens);
        let split = record(&self.options.dialect, line, 0, &mut tokens);
        let outcome = match split {
            Ok(_) => self.tokens_to_row(&tokens),
            Err(e) => Err(cannot_split(e, line)),
        };
        self.tokens = tokens;
        outcome
    }

    fn tokens_to_row(&mut self, tokens: &Tokens) -> Result<Outcome> {
        let mut good = !self.check_count || tokens.len() == self.fields.len();
        for (index, target) in self.fields.iter().enumerate() {
            let Some(Target { column, kind }) = *target else { continue };
            let Some(builder) = self.columns.get_mut(column) else { continue };
            match tokens.get(index) {
                Some(token) if token != self.options.null_value => {
                    if !convert::append(kind, token, &self.options.values, builder)? {
                        good = false;
                        builder.push_null();
                    }
                }
                _ => builder.push_null(),
            }
        }
        Ok(if good { Outcome::Good } else { Outcome::Malformed })
    }

    /// Forgets what the current, unfinished row has appended.
    fn undo(&mut self) {
        for column in &mut self.columns {
            column.truncate(self.rows);
        }
    }

    /// Ends the current row by the mode's rule.
    #[inline]
    fn close(&mut self, outcome: Outcome, text: &[u8]) -> Result<()> {
        match (outcome, self.options.mode) {
            (Outcome::Good, _) => {
                if let Some(column) = self.corrupt.and_then(|c| self.columns.get_mut(c)) {
                    column.push_null();
                }
                self.rows += 1;
            }
            (Outcome::Malformed, ParseMode::Permissive) => {
                if let Some(column) = self.corrupt.and_then(|c| self.columns.get_mut(c)) {
                    column.push_bytes(text)?;
                }
                self.rows += 1;
            }
            (Outcome::Malformed, ParseMode::DropMalformed) => self.undo(),
            (Outcome::Malformed, ParseMode::FailFast) => {
                if let Some(column) = self.corrupt.and_then(|c| self.columns.get_mut(c)) {
                    column.push_bytes(text)?;
                }
                return Err(SparkError::new("MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION")
                    .with("badRecord", self.last_row_text())
                    .with("failFastMode", "FAILFAST")
                    .caused_by(
                        SparkError::new("MALFORMED_CSV_RECORD")
                            .with("badRecord", String::from_utf8_lossy(text)),
                    ));
            }
        }
        Ok(())
    }

    /// `[1,null,abc]`: the unfinished row as Spark's internal rows print.
    fn last_row_text(&self) -> String {
        let cells: Vec<String> = self.columns.iter().map(ColumnBuilder::last_value_text).collect();
        format!("[{}]", cells.join(","))
    }
}

fn cannot_split(error: TokenError, text: &[u8]) -> SparkError {
    let why = match error {
        TokenError::TooManyColumns => "more columns than `maxColumns`",
        TokenError::TooLong => "a value longer than `maxCharsPerColumn`",
        TokenError::UnescapedQuote => "an unescaped quote",
    };
    let line = text.get(..memmem::find(text, b"\n").unwrap_or(text.len())).unwrap_or_default();
    SparkError::new("MALFORMED_CSV_RECORD")
        .with("badRecord", String::from_utf8_lossy(line))
        .caused_by(std::io::Error::new(std::io::ErrorKind::InvalidData, why))
}

/// Whether the special numbers could be mistaken for plain ones by the one-pass path.
fn numbers_are_plain(options: &CsvReadOptions) -> bool {
    let v = &options.values;
    [&v.nan, &v.positive_inf, &v.negative_inf]
        .iter()
        .all(|text| scan_f64(text, 0).is_none_or(|(_, end)| end < text.len()))
}
