//! Writes CSV byte for byte as Spark does.

use std::sync::Arc;

use chrono::Utc;
use datafusion::arrow::{
    array::{Array, AsArray, RecordBatch, StringArray},
    buffer::NullBuffer,
    datatypes::{DataType, Date32Type, Float64Type, SchemaRef, TimeUnit, TimestampMicrosecondType},
};

use super::options::CsvWriteOptions;
use crate::{
    Result,
    format::{
        FileEncoder, Options, TextRows, WriteFormat,
        date_pattern::TimestampPrinter,
        schema_check::check_columns,
        text_file::TextFile,
        value_text::{self, TextStyle, write_double},
    },
    time::Zone,
};

/// The CSV writer of one set of options.
#[derive(Debug)]
pub(crate) struct CsvWriter {
    options: Arc<CsvWriteOptions>,
}

impl CsvWriter {
    /// Checks `options`; `zone` is the session's.
    pub(crate) fn new(options: &Options, zone: Zone) -> Result<Self> {
        Ok(Self { options: Arc::new(CsvWriteOptions::new(options, zone)?) })
    }
}

impl WriteFormat for CsvWriter {
    fn extension(&self) -> String {
        format!("csv{}", self.options.compression.suffix())
    }

    fn encoder(&self, schema: SchemaRef) -> Result<Box<dyn FileEncoder>> {
        check_columns("CSV", &schema, false)?;
        let mut head = vec![];
        if self.options.header {
            for (index, field) in schema.fields().iter().enumerate() {
                if index > 0 {
                    head.extend_from_slice(self.options.delimiter.as_bytes());
                }
                append_field(&self.options, index, Some(field.name()), &mut head);
            }
            self.options.end_row(0, &mut head);
        }
        let rows = Records::new(Arc::clone(&self.options));
        Ok(Box::new(TextFile::new(Arc::new(rows), self.options.compression, head)))
    }
}

impl CsvWriteOptions {
    /// Ends the row that began at `start`. One without any character is not written at all,
    /// as in Spark.
    fn end_row(&self, start: usize, out: &mut Vec<u8>) {
        if out.len() > start {
            out.extend_from_slice(self.line_end.as_bytes());
        }
    }
}

/// A CSV record a row.
#[derive(Debug)]
pub(super) struct Records {
    options: Arc<CsvWriteOptions>,
    plain: PlainText,
}

/// How a column's values become fields.
enum Column<'a> {
    /// Numbers and timestamps whose text never needs quotes: straight into the record.
    Doubles(&'a [f64]),
    Timestamps(&'a [i64], TimestampPrinter<'a>),
    /// Other such text.
    Plain(Cell<'a>),
    Strings(&'a StringArray),
    /// Any text.
    Other(Cell<'a>),
}

/// Appends the text of one row's value, which is not null.
type Cell<'a> = Box<dyn Fn(usize, &mut String) -> Result<()> + 'a>;

impl TextRows for Records {
    fn encode(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let options = self.options.as_ref();
        let columns = batch.columns().iter().map(|c| self.column(c.as_ref())).collect::<Result<Vec<_>>>()?;
        let nulls: Vec<Option<&NullBuffer>> = batch.columns().iter().map(|c| c.nulls()).collect();
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            let start = out.len();
            for (index, (column, nulls)) in columns.iter().zip(&nulls).enumerate() {
                if index > 0 {
                    match options.delimiter.as_bytes() {
                        [delimiter] => out.push(*delimiter),
                        many => out.extend_from_slice(many),
                    }
                }
                if nulls.is_some_and(|n| n.is_null(row)) {
                    append_field(options, index, None, out);
                    continue;
                }
                match column {
                    Column::Doubles(values) => {
                        if let Some(value) = values.get(row) {
                            write_double(*value, out);
                        }
                    }
                    Column::Timestamps(values, printer) => {
                        if let Some(micros) = values.get(row) {
                            printer.print(*micros, out)?;
                        }
                    }
                    Column::Plain(cell) => {
                        text.clear();
                        cell(row, &mut text)?;
                        out.extend_from_slice(text.as_bytes());
                    }
                    Column::Strings(strings) => {
                        let value = strings.value(row);
                        if self.plain.holds(value) {
                            out.extend_from_slice(value.as_bytes());
                        } else {
                            append_field(options, index, Some(value), out);
                        }
                    }
                    Column::Other(cell) => {
                        text.clear();
                        cell(row, &mut text)?;
                        append_field(options, index, Some(&text), out);
                    }
                }
            }
            options.end_row(start, out);
        }
        Ok(())
    }
}

impl Records {
    pub(super) fn new(options: Arc<CsvWriteOptions>) -> Self {
        Self { plain: PlainText::new(&options), options }
    }

    fn column<'a>(&'a self, array: &'a dyn Array) -> Result<Column<'a>> {
        if let Some(strings) = array.as_string_opt::<i32>() {
            return Ok(Column::Strings(strings));
        }
        let cell = cell(array, &self.options)?;
        let plain = self.plain.usual
            && match array.data_type() {
                DataType::Date32 => self.options.date.prints_plain_text(),
                DataType::Timestamp(_, Some(_)) => self.options.timestamp.prints_plain_text(),
                DataType::Timestamp(_, None) => self.options.timestamp_ntz.prints_plain_text(),
                other => is_number(other),
            };
        if !plain {
            return Ok(Column::Other(cell));
        }
        Ok(match array.data_type() {
            DataType::Float64 => Column::Doubles(array.as_primitive::<Float64Type>().values()),
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
                let printer = TimestampPrinter::new(&self.options.timestamp, self.options.zone);
                Column::Timestamps(array.as_primitive::<TimestampMicrosecondType>().values(), printer)
            }
            _ => Column::Plain(cell),
        })
    }
}

#[cfg(test)]
impl Records {
    /// Every value by the general path, to compare with.
    pub(super) fn without_shortcuts(options: Arc<CsvWriteOptions>) -> Self {
        Self { options, plain: PlainText { harmless: [false; 256], usual: false } }
    }
}

/// Tells text that is written as it is: not empty, no blank at its ends, no character that
/// means something.
#[derive(Debug)]
struct PlainText {
    /// By byte: whether it may be anywhere in plain text.
    harmless: [bool; 256],
    /// Whether ASCII letters, digits, blanks and `+-.:` all are.
    usual: bool,
}

impl PlainText {
    fn new(options: &CsvWriteOptions) -> Self {
        let mut harmless = [!options.quote_all; 256];
        let special = [options.quote, options.escape, options.comment.unwrap_or(b'\n'), b'\n', b'\r'];
        for byte in special.into_iter().chain(options.delimiter.bytes()).chain(options.line_end.bytes()) {
            harmless[usize::from(byte)] = false;
        }
        let usual = |b: &u8| b.is_ascii_alphanumeric() || b"+-.: ".contains(b);
        let usual = (0..=u8::MAX).filter(usual).all(|b| harmless[usize::from(b)]);
        Self { harmless, usual }
    }

    #[inline]
    fn holds(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
        *first > b' ' && *last > b' ' && bytes.iter().all(|b| self.harmless[usize::from(*b)])
    }
}

fn is_number(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal128(_, _)
    )
}

fn cell<'a>(array: &'a dyn Array, options: &'a CsvWriteOptions) -> Result<Cell<'a>> {
    Ok(match array.data_type() {
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            Box::new(move |row, out| options.date.format_date(days.value(row), out))
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>();
            let printer = TimestampPrinter::new(&options.timestamp, options.zone);
            Box::new(move |row, out| printer.print(micros.value(row), out))
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>();
            Box::new(move |row, out| options.timestamp_ntz.format_timestamp_ntz(micros.value(row), out))
        }
        _ => {
            let style = match array.data_type() {
                // `[68 69]`
                DataType::Binary => TextStyle::Pretty,
                _ => TextStyle::Cast { ansi: false },
            };
            let writer = value_text::writer(array, &Utc, style)?;
            Box::new(move |row, out| {
                writer(row, out);
                Ok(())
            })
        }
    })
}

/// Appends one value, quoted where needed; `None` is null.
fn append_field(options: &CsvWriteOptions, index: usize, value: Option<&str>, out: &mut Vec<u8>) {
    let (text, substitute) = match value {
        None => (options.null_value.as_str(), true),
        Some("") => (options.empty_value.as_str(), true),
        Some(text) => (text, false),
    };
    let before = out.len();
    append(options, index, text, substitute, options.quote_all, out);
    if out.len() == before && !substitute {
        // Nothing but blanks: written as an empty value.
        append(options, index, &options.empty_value, true, options.quote_all, out);
    }
}

fn append(
    options: &CsvWriteOptions,
    index: usize,
    text: &str,
    substitute: bool,
    quoted: bool,
    out: &mut Vec<u8>,
) {
    let bytes = text.as_bytes();
    let blank = |b: &u8| *b <= b' ';
    let start =
        if options.ignore_leading { bytes.iter().position(|b| !blank(b)).unwrap_or(bytes.len()) } else { 0 };
    let end = if options.ignore_trailing {
        bytes.iter().rposition(|b| !blank(b)).map_or(start, |p| (p + 1).max(start))
    } else {
        bytes.len()
    };
    // Blanks are ASCII: the ends are between characters.
    let trimmed = bytes.get(start..end).unwrap_or_default();
    let starts_special = bytes.get(start).is_some_and(|b| *b == options.quote)
        || index == 0 && bytes.first().copied().is_some_and(|b| Some(b) == options.comment);
    let quoted = quoted || starts_special && start < bytes.len();
    if quoted
        && substitute
        && bytes.len() >= 2
        && bytes.first() == Some(&options.quote)
        && bytes.last() == Some(&options.quote)
    {
        out.extend_from_slice(bytes);
        return;
    }
    if quoted || needs_quotes(options, bytes.get(start..).unwrap_or_default()) {
        append_quoted(options, trimmed, out);
    } else {
        out.extend_from_slice(trimmed);
    }
}

/// Whether an unquoted value would not read back: it holds a delimiter, a line end, or
/// (with `escapeQuotes`) a quote.
fn needs_quotes(options: &CsvWriteOptions, text: &[u8]) -> bool {
    let delimiter = options.delimiter.as_bytes();
    let special = |byte: &u8| {
        matches!(byte, b'\n' | b'\r')
            || options.escape_quotes && *byte == options.quote
            || options.line_end.as_bytes().contains(byte)
    };
    match delimiter {
        [single] => text.iter().any(|b| b == single || special(b)),
        many => text.iter().any(special) || memchr::memmem::find(text, many).is_some(),
    }
}

fn append_quoted(options: &CsvWriteOptions, text: &[u8], out: &mut Vec<u8>) {
    // Quotes and escapes are ASCII (see `char_option`): never a part of another character.
    out.push(options.quote);
    for byte in text {
        if *byte == options.quote {
            out.push(options.escape);
        } else if *byte == options.escape && options.escape_escape != 0 {
            out.push(options.escape_escape);
        } else if *byte == b'\n' && options.line_end != "\n" {
            // A line feed in a value becomes the file's own line end.
            out.extend_from_slice(options.line_end.as_bytes());
            continue;
        }
        out.push(*byte);
    }
    out.push(options.quote);
}
