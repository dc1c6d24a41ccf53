//! Writes JSON byte for byte as Spark does: one object a line, nulls left out.

use std::{fmt::Write, sync::Arc};

use chrono::Utc;
use datafusion::arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
        Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
    },
};

use super::options::JsonWriteOptions;
use crate::{
    Result,
    format::{
        FileEncoder, Options, TextRows, WriteFormat,
        date_pattern::TimestampPrinter,
        schema_check::check_columns,
        text_file::{TextFile, append_string},
        value_text::{self, TextStyle, write_decimal, write_double, write_float},
    },
    time::Zone,
};

/// The JSON writer of one set of options.
#[derive(Debug)]
pub(crate) struct JsonWriter {
    options: Arc<JsonWriteOptions>,
}

impl JsonWriter {
    /// Checks `options`; `zone` is the session's.
    pub(crate) fn new(options: &Options, zone: Zone) -> Result<Self> {
        Ok(Self { options: Arc::new(JsonWriteOptions::new(options, zone)?) })
    }
}

impl WriteFormat for JsonWriter {
    fn extension(&self) -> String {
        format!("json{}", self.options.compression.suffix())
    }

    fn encoder(&self, schema: SchemaRef) -> Result<Box<dyn FileEncoder>> {
        check_columns("JSON", &schema, true)?;
        let names = schema.fields().iter().map(|f| quoted(f.name(), self.options.ascii)).collect();
        let rows = Objects { options: Arc::clone(&self.options), names };
        Ok(Box::new(TextFile::new(Arc::new(rows), self.options.compression, vec![])))
    }
}

/// A JSON object a row.
#[derive(Debug)]
struct Objects {
    options: Arc<JsonWriteOptions>,
    /// Of the columns, quoted.
    names: Vec<String>,
}

/// Appends one row's value, which is not null; the number is the nesting depth.
type Cell<'a> = Box<dyn Fn(usize, usize, &mut String) -> Result<()> + 'a>;

impl TextRows for Objects {
    fn encode(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let options = self.options.as_ref();
        let cells = batch.columns().iter().map(|c| cell(c.as_ref(), options)).collect::<Result<Vec<_>>>()?;
        let columns: Vec<&dyn Array> = batch.columns().iter().map(AsRef::as_ref).collect();
        append_string(out, |out| {
            for row in 0..batch.num_rows() {
                object(options, &self.names, &columns, &cells, row, 0, out)?;
                out.push_str(&options.line_end);
            }
            Ok(())
        })
    }
}

fn object(
    options: &JsonWriteOptions,
    names: &[String],
    columns: &[&dyn Array],
    cells: &[Cell<'_>],
    row: usize,
    depth: usize,
    out: &mut String,
) -> Result<()> {
    out.push('{');
    let mut first = true;
    for ((name, column), cell) in names.iter().zip(columns).zip(cells) {
        let null = column.is_null(row) || *column.data_type() == DataType::Null;
        if null && options.ignore_nulls {
            continue;
        }
        separate(options, &mut first, depth, out);
        out.push_str(name);
        out.push_str(if options.pretty { " : " } else { ":" });
        if null {
            out.push_str("null");
        } else {
            cell(row, depth + 1, out)?;
        }
    }
    close_object(options, first, depth, out);
    Ok(())
}

/// What stands before a field.
fn separate(options: &JsonWriteOptions, first: &mut bool, depth: usize, out: &mut String) {
    if !*first {
        out.push(',');
    }
    *first = false;
    if options.pretty {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth + 1));
    }
}

fn close_object(options: &JsonWriteOptions, empty: bool, depth: usize, out: &mut String) {
    if options.pretty {
        if empty {
            out.push(' ');
        } else {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    }
    out.push('}');
}

fn cell<'a>(array: &'a dyn Array, options: &'a JsonWriteOptions) -> Result<Cell<'a>> {
    macro_rules! display {
        ($type:ty) => {{
            let values = array.as_primitive::<$type>();
            Box::new(move |row, _, out: &mut String| {
                // Writing to a String cannot fail.
                let _ = write!(out, "{}", values.value(row));
                Ok(())
            })
        }};
    }
    Ok(match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean();
            Box::new(move |row, _, out| {
                out.push_str(if values.value(row) { "true" } else { "false" });
                Ok(())
            })
        }
        DataType::Int8 => display!(Int8Type),
        DataType::Int16 => display!(Int16Type),
        DataType::Int32 => display!(Int32Type),
        DataType::Int64 => display!(Int64Type),
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            Box::new(move |row, _, out| {
                let value = values.value(row);
                float(value.is_finite(), out, |out| write_float(value, out));
                Ok(())
            })
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            Box::new(move |row, _, out| {
                let value = values.value(row);
                float(value.is_finite(), out, |out| write_double(value, out));
                Ok(())
            })
        }
        DataType::Decimal128(_, scale) => {
            let (values, scale) = (array.as_primitive::<Decimal128Type>(), i32::from(*scale));
            Box::new(move |row, _, out| {
                write_decimal(values.value(row), scale, false, out);
                Ok(())
            })
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            Box::new(move |row, _, out| {
                quote(values.value(row), options.ascii, out);
                Ok(())
            })
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            Box::new(move |row, _, out| {
                out.push('"');
                base64(values.value(row), out);
                out.push('"');
                Ok(())
            })
        }
        DataType::Date32 => {
            let values = array.as_primitive::<Date32Type>();
            time_cell(options, move |row, text| options.date.format_date(values.value(row), text))
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let values = array.as_primitive::<TimestampMicrosecondType>();
            let printer = TimestampPrinter::new(&options.timestamp, options.zone);
            time_cell(options, move |row, text| printer.print(values.value(row), text))
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            let values = array.as_primitive::<TimestampMicrosecondType>();
            time_cell(options, move |row, text| {
                options.timestamp_ntz.format_timestamp_ntz(values.value(row), text)
            })
        }
        DataType::Struct(fields) => {
            let values = array.as_struct();
            let names: Vec<String> = fields.iter().map(|f| quoted(f.name(), options.ascii)).collect();
            let columns: Vec<&dyn Array> = values.columns().iter().map(AsRef::as_ref).collect();
            let cells = columns.iter().map(|c| cell(*c, options)).collect::<Result<Vec<_>>>()?;
            Box::new(move |row, depth, out| object(options, &names, &columns, &cells, row, depth, out))
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let items = list.values().as_ref();
            let item = cell(items, options)?;
            Box::new(move |row, depth, out| {
                out.push('[');
                let range = range(list.value_offsets(), row);
                let blank = if options.pretty { " " } else { "" };
                for (i, index) in range.clone().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    out.push_str(blank);
                    nullable(items, &item, index, depth, out)?;
                }
                out.push_str(blank);
                out.push(']');
                Ok(())
            })
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let keys = value_text::writer(map.keys().as_ref(), &Utc, TextStyle::Cast { ansi: false })?;
            let values = map.values().as_ref();
            let item = cell(values, options)?;
            Box::new(move |row, depth, out| {
                out.push('{');
                let mut first = true;
                let mut key = String::new();
                for index in range(map.value_offsets(), row) {
                    separate(options, &mut first, depth, out);
                    key.clear();
                    keys(index, &mut key);
                    quote(&key, options.ascii, out);
                    out.push_str(if options.pretty { " : " } else { ":" });
                    nullable(values, &item, index, depth + 1, out)?;
                }
                close_object(options, first, depth, out);
                Ok(())
            })
        }
        DataType::Null => Box::new(|_, _, out| {
            out.push_str("null");
            Ok(())
        }),
        // Intervals: their text.
        _ => {
            let writer = value_text::writer(array, &Utc, TextStyle::Cast { ansi: false })?;
            time_cell(options, move |row, text| {
                writer(row, text);
                Ok(())
            })
        }
    })
}

/// A quoted text made by `write`.
fn time_cell<'a>(
    options: &'a JsonWriteOptions,
    write: impl Fn(usize, &mut String) -> Result<()> + 'a,
) -> Cell<'a> {
    Box::new(move |row, _, out| {
        let mut text = String::new();
        write(row, &mut text)?;
        quote(&text, options.ascii, out);
        Ok(())
    })
}

fn nullable(array: &dyn Array, cell: &Cell<'_>, index: usize, depth: usize, out: &mut String) -> Result<()> {
    if array.is_null(index) {
        out.push_str("null");
        return Ok(());
    }
    cell(index, depth, out)
}

/// Numbers JSON has no form for are quoted.
fn float(finite: bool, out: &mut String, write: impl Fn(&mut String)) {
    if finite {
        write(out);
    } else {
        out.push('"');
        write(out);
        out.push('"');
    }
}

fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |i: usize| offsets.get(i).and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
    at(row)..at(row + 1)
}

fn quoted(text: &str, ascii: bool) -> String {
    let mut out = String::new();
    quote(text, ascii, &mut out);
    out
}

/// A string with the escapes Jackson writes.
fn quote(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    let plain = |b: &u8| *b >= b' ' && *b != b'"' && *b != b'\\' && (!ascii || *b < 0x80);
    if text.as_bytes().iter().all(plain) {
        out.push_str(text);
    } else {
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || ascii && !c.is_ascii() => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04X}");
                    }
                }
                c => out.push(c),
            }
        }
    }
    out.push('"');
}

fn base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let value = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            if i > group.len() {
                out.push('=');
            } else {
                let digit = usize::try_from(value >> (18 - 6 * i) & 63).unwrap_or(0);
                out.push(char::from(DIGITS.get(digit).copied().unwrap_or(b'=')));
            }
        }
    }
}
