//! Lines of CSV into columns: a typed one-pass path for ordinary lines, the tokenizer for
//! the rest. Both give the same rows (a property test compares them).
//!
//! # Invariants
//! Lines are valid UTF-8. Between two calls all columns have the same length.

use std::{borrow::Cow, sync::Arc};

use datafusion::arrow::{
    array::{RecordBatch, RecordBatchOptions},
    datatypes::SchemaRef,
};
use memchr::{memchr, memchr2, memmem};

use super::{
    convert::{self, Kind},
    options::CsvReadOptions,
    plain_lines::PlainLines,
    tokenizer::{TokenError, Tokens, record},
};
use crate::{
    Result, SparkError,
    format::{
        ParseMode,
        column_builder::{ColumnBuilder, Values},
        input::LineEnd,
        number_scan::{field_f64, field_i64, scan_f64, scan_i64},
    },
};

/// Rows gathered before a batch is handed out.
pub(crate) const BATCH_ROWS: usize = 32 * 1024;

/// Fewer plain lines than this in a row do not pay.
const FEW: usize = 16;
/// So many lines are taken singly then.
const PAUSE: usize = 64;

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

    /// Whether files start with a header.
    pub(crate) fn has_header(&self) -> bool {
        self.options.header
    }

    /// Where the first record at or after `at` starts that is no comment.
    pub(crate) fn skip_comments(&self, input: &[u8], mut at: usize) -> usize {
        while self.options.comment.is_some() && input.get(at).copied() == self.options.comment {
            let rest = input.get(at..).unwrap_or_default();
            at += memchr(b'\n', rest).map_or(rest.len(), |p| p + 1);
        }
        at
    }

    /// Checks the header of a multi-line file, which starts at or after `at`; returns where
    /// it ends.
    pub(crate) fn header_record(
        &self,
        input: &[u8],
        mut at: usize,
        file: &str,
        schema: &SchemaRef,
    ) -> Result<usize> {
        while at < input.len() {
            at = self.skip_comments(input, at);
            let mut tokens = Tokens::default();
            let rest = input.get(at..).unwrap_or_default();
            let next =
                record(&self.options.dialect, input, at, &mut tokens).map_err(|e| cannot_split(e, rest))?;
            if tokens.len() > 0 {
                self.check_names(&tokens, file, schema)?;
                return Ok(next);
            }
            at = next;
        }
        Ok(at)
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

    /// The one-pass path; `None` when the line needs the tokenizer (columns may then be
    /// partly filled). `text` starts with `line`.
    #[inline]
    fn fast_line(&mut self, text: &[u8], line: &[u8]) -> Result<Option<Outcome>> {
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

    /// Checks the header's names where `enforceSchema` is off, and warns where it is on.
    pub(crate) fn check_header(&self, line: &[u8], file: &str, schema: &SchemaRef) -> Result<()> {
        let mut tokens = Tokens::default();
        record(&self.options.dialect, line, 0, &mut tokens).map_err(|e| cannot_split(e, line))?;
        self.check_names(&tokens, file, schema)
    }

    fn check_names(&self, tokens: &Tokens, file: &str, schema: &SchemaRef) -> Result<()> {
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .filter(|n| *n != self.options.corrupt_column)
            .collect();
        let found: Vec<String> = (0..tokens.len())
            .map(|i| String::from_utf8_lossy(tokens.get(i).unwrap_or_default()).into_owned())
            .collect();
        let wanted: Vec<usize> = if self.check_count {
            (0..names.len()).collect()
        } else {
            (0..self.fields.len()).filter(|i| self.fields.get(*i).is_some_and(Option::is_some)).collect()
        };
        let problem = if self.check_count && found.len() != names.len() {
            Some(format!(
                "Number of column in CSV header is not equal to number of fields in the schema:\n Header length: {}, \
                 schema size: {}\nCSV file: {file}",
                found.len(),
                names.len()
            ))
        } else {
            let pick = |list: &dyn Fn(usize) -> String| {
                wanted.iter().map(|i| list(*i)).collect::<Vec<_>>().join(", ")
            };
            let name = |i: usize| names.get(i).copied().unwrap_or_default().to_string();
            let header = |i: usize| found.get(i).cloned().unwrap_or_else(|| "null".to_string());
            wanted.iter().find(|i| name(**i).to_lowercase() != header(**i).to_lowercase()).map(|i| {
                format!(
                    "CSV header does not conform to the schema.\n Header: {}\n Schema: {}\nExpected: {} but found: {}\n\
                     CSV file: {file}",
                    pick(&header),
                    pick(&name),
                    name(*i),
                    header(*i)
                )
            })
        };
        match problem {
            Some(message) if self.options.enforce_schema => tracing::warn!("{message}"),
            Some(message) => return Err(SparkError::new("_LEGACY_ERROR_TEMP_3241").with("msg", message)),
            None => {}
        }
        Ok(())
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
