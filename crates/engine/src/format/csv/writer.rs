//! Writes CSV byte for byte as Spark does.

use std::sync::Arc;

use chrono::Utc;
use datafusion::arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, Date32Type, SchemaRef, TimeUnit, TimestampMicrosecondType},
};

use super::options::CsvWriteOptions;
use crate::{
    Result,
    format::{
        FileEncoder, Options, WriteFormat,
        schema_check::check_columns,
        value_text::{self, TextStyle},
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
        let mut encoder = Encoder { options: Arc::clone(&self.options), out: Vec::new() };
        if self.options.header {
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            encoder.header(&names);
        }
        Ok(Box::new(encoder))
    }
}

struct Encoder {
    options: Arc<CsvWriteOptions>,
    out: Vec<u8>,
}

/// Appends the text of one row's value, which is not null.
type Cell<'a> = Box<dyn Fn(usize, &mut String) -> Result<()> + 'a>;

impl FileEncoder for Encoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = Arc::clone(&self.options);
        let cells = batch.columns().iter().map(|c| cell(c.as_ref(), &options)).collect::<Result<Vec<_>>>()?;
        // Text of numbers and times needs no look for special characters.
        let harmless = |byte: u8| byte == 0 || !(byte.is_ascii_alphanumeric() || b"+-.: ".contains(&byte));
        let d = &options;
        let plain_numbers = !d.quote_all
            && d.delimiter.bytes().all(harmless)
            && [d.quote, d.escape, d.comment.unwrap_or(0)].into_iter().all(harmless)
            && d.line_end.bytes().all(harmless);
        let plain: Vec<bool> =
            batch.columns().iter().map(|c| plain_numbers && is_number(c.data_type())).collect();
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            let start = self.out.len();
            for (index, (column, cell)) in batch.columns().iter().zip(&cells).enumerate() {
                if index > 0 {
                    self.out.extend_from_slice(self.options.delimiter.as_bytes());
                }
                if column.is_null(row) {
                    field(&self.options, index, None, &mut self.out);
                    continue;
                }
                text.clear();
                cell(row, &mut text)?;
                if plain.get(index) == Some(&true) {
                    self.out.extend_from_slice(text.as_bytes());
                } else {
                    field(&self.options, index, Some(&text), &mut self.out);
                }
            }
            self.end_row(start);
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.out.len()
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>> {
        self.options.compression.compress(self.out)
    }
}

impl Encoder {
    fn header(&mut self, names: &[&str]) {
        let start = self.out.len();
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                self.out.extend_from_slice(self.options.delimiter.as_bytes());
            }
            field(&self.options, index, Some(name), &mut self.out);
        }
        self.end_row(start);
    }

    /// A row without any character is not written at all, as in Spark.
    fn end_row(&mut self, start: usize) {
        if self.out.len() > start {
            self.out.extend_from_slice(self.options.line_end.as_bytes());
        }
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
            Box::new(move |row, out| options.timestamp.format_timestamp(micros.value(row), options.zone, out))
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
fn field(options: &CsvWriteOptions, index: usize, value: Option<&str>, out: &mut Vec<u8>) {
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
