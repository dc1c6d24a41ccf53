//! The schema of CSV files, from the header and (with `inferSchema`) from all values.

use std::{collections::HashSet, sync::Arc};

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::{
    convert::{self, special},
    options::CsvReadOptions,
    reader::one_line_end,
    tokenizer::{Tokens, record},
};
use crate::{
    Result, SparkError,
    format::{
        datetime_text::parse_date,
        input::{FileRef, LineBlocks, LineEnd},
        number_text::{parse_bool, parse_f64, parse_i64},
    },
};

/// Infers the schema of `files`. Names come from the first record of the first file that
/// has one; a field that is null everywhere is a string.
pub(super) fn infer(options: &CsvReadOptions, files: &[FileRef]) -> Result<SchemaRef> {
    let mut inference = Inference { options, names: None, types: Vec::new(), header: None };
    for file in files.iter().filter(|f| f.size > 0) {
        if inference.done() {
            break;
        }
        if options.multi_line { inference.records(file)? } else { inference.lines(file)? }
    }
    let names = inference.names.unwrap_or_default();
    let fields: Vec<Field> = names
        .into_iter()
        .zip(inference.types)
        .map(|(name, data_type)| {
            let data_type = if data_type == DataType::Null { DataType::Utf8 } else { data_type };
            Field::new(name, data_type, true)
        })
        .collect();
    Ok(Arc::new(Schema::new(fields)))
}

struct Inference<'a> {
    options: &'a CsvReadOptions,
    names: Option<Vec<String>>,
    types: Vec<DataType>,
    /// The first line, which is a header wherever it occurs.
    header: Option<Vec<u8>>,
}

impl Inference<'_> {
    /// Without `inferSchema` the first record tells everything.
    fn done(&self) -> bool {
        self.names.is_some() && !self.options.infer_schema
    }

    fn lines(&mut self, file: &FileRef) -> Result<()> {
        let mut blocks = LineBlocks::open(file.clone(), self.options.line_end.clone())?;
        let mut tokens = Tokens::default();
        while !self.done() && blocks.advance()? {
            let mut at = 0;
            while at < blocks.block().len() && !self.done() {
                let (end, next) = self.options.line_end.line(blocks.block(), at);
                let line = blocks.block().get(at..end).unwrap_or_default();
                at = next;
                let comment = self.options.comment.is_some() && line.first().copied() == self.options.comment;
                if comment || line.iter().all(|b| *b <= b' ') {
                    continue;
                }
                let line = String::from_utf8_lossy(line);
                let is_header = self.header.as_deref() == Some(line.as_bytes());
                split(self.options, line.as_bytes(), 0, &mut tokens)?;
                if self.names.is_none() {
                    self.start(&tokens);
                    if self.options.header {
                        self.header = Some(line.as_bytes().to_vec());
                        continue;
                    }
                } else if is_header {
                    continue;
                }
                self.row(&tokens);
            }
        }
        Ok(())
    }

    fn records(&mut self, file: &FileRef) -> Result<()> {
        let content = String::from_utf8_lossy(&file.read_all()?).into_owned().into_bytes();
        let content = if self.options.line_end == LineEnd::Any { one_line_end(content).0 } else { content };
        let mut tokens = Tokens::default();
        let mut at = 0;
        // Every file has its own header.
        let mut header = self.options.header;
        while at < content.len() && !self.done() {
            if self.options.comment.is_some() && content.get(at).copied() == self.options.comment {
                at += content
                    .get(at..)
                    .and_then(|r| memchr::memchr(b'\n', r))
                    .map_or(content.len() - at, |p| p + 1);
                continue;
            }
            at = split(self.options, &content, at, &mut tokens)?;
            if tokens.len() == 0 {
                continue;
            }
            if self.names.is_none() {
                self.start(&tokens);
            }
            if header {
                header = false;
                continue;
            }
            self.row(&tokens);
        }
        Ok(())
    }

    fn start(&mut self, tokens: &Tokens) {
        let names = column_names(self.options, tokens);
        let first = if self.options.infer_schema { DataType::Null } else { DataType::Utf8 };
        self.types = vec![first; names.len()];
        self.names = Some(names);
    }

    fn row(&mut self, tokens: &Tokens) {
        if !self.options.infer_schema {
            return;
        }
        for (index, so_far) in self.types.iter_mut().enumerate() {
            if let Some(token) = tokens.get(index)
                && !token.is_empty()
                && token != self.options.null_value
            {
                let found = value_type(self.options, so_far, token);
                *so_far = compatible(self.options, so_far, found);
            }
        }
    }
}

fn split(options: &CsvReadOptions, input: &[u8], at: usize, tokens: &mut Tokens) -> Result<usize> {
    record(&options.dialect, input, at, tokens).map_err(|_| {
        SparkError::new("MALFORMED_CSV_RECORD").with("badRecord", String::from_utf8_lossy(input))
    })
}

/// Column names: those of the header, made unique and complete as Spark does, else `_c0`...
fn column_names(options: &CsvReadOptions, tokens: &Tokens) -> Vec<String> {
    let found: Vec<Option<String>> =
        (0..tokens.len()).map(|i| tokens.get(i).map(|t| String::from_utf8_lossy(t).into_owned())).collect();
    let mut seen = HashSet::new();
    let mut repeated = HashSet::new();
    for name in found.iter().flatten() {
        if !seen.insert(name.to_lowercase()) {
            repeated.insert(name.to_lowercase());
        }
    }
    found
        .into_iter()
        .enumerate()
        .map(|(index, name)| match name {
            Some(name) if options.header && !name.is_empty() && name.as_bytes() != options.null_value => {
                if repeated.contains(&name.to_lowercase()) {
                    format!("{name}{index}")
                } else {
                    name
                }
            }
            _ => format!("_c{index}"),
        })
        .collect()
}

fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The narrowest type of `token`, trying only what the column may still become.
fn value_type(options: &CsvReadOptions, so_far: &DataType, token: &[u8]) -> DataType {
    const INT: u8 = 0;
    const LONG: u8 = 1;
    const DECIMAL: u8 = 2;
    const DOUBLE: u8 = 3;
    const DATE: u8 = 4;
    const TIMESTAMP: u8 = 5;
    const BOOLEAN: u8 = 6;
    let from = match so_far {
        DataType::Null | DataType::Int32 => INT,
        DataType::Int64 => LONG,
        DataType::Decimal128(_, _) => DECIMAL,
        DataType::Float64 => DOUBLE,
        DataType::Date32 => DATE,
        DataType::Timestamp(_, _) => TIMESTAMP,
        DataType::Boolean => BOOLEAN,
        _ => return DataType::Utf8,
    };
    if from <= LONG
        && let Some(value) = parse_i64(token)
    {
        let int = from == INT && i32::try_from(value).is_ok();
        return if int { DataType::Int32 } else { DataType::Int64 };
    }
    if from <= DECIMAL
        && let Some(precision) = whole_digits(token)
    {
        return DataType::Decimal128(precision, 0);
    }
    if from <= DOUBLE && (parse_f64(token).is_some() || special(token, &options.values).is_some()) {
        return DataType::Float64;
    }
    if from <= DATE && (options.prefer_date || from == DATE) && is_date(options, token) {
        return DataType::Date32;
    }
    if from <= TIMESTAMP && is_timestamp(options, token) {
        return timestamp_type();
    }
    if parse_bool(token).is_some() { DataType::Boolean } else { DataType::Utf8 }
}

/// Digits of a whole number too large for a long but not for a decimal.
fn whole_digits(token: &[u8]) -> Option<u8> {
    let bare: Vec<u8> = token.iter().copied().filter(|b| *b != b',').collect();
    let digits = bare.strip_prefix(b"-").or(bare.strip_prefix(b"+")).unwrap_or(&bare);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let significant = digits.iter().skip_while(|b| **b == b'0').count().max(1);
    u8::try_from(significant).ok().filter(|p| *p <= 38)
}

fn is_date(options: &CsvReadOptions, token: &[u8]) -> bool {
    match &options.values.date {
        // Inference is strict: `yyyy-MM-dd` exactly.
        None => {
            token.len() == 10
                && token.get(4) == Some(&b'-')
                && token.get(7) == Some(&b'-')
                && parse_date(token).is_some()
        }
        Some(pattern) => std::str::from_utf8(token).is_ok_and(|t| pattern.parse_date(t).is_some()),
    }
}

fn is_timestamp(options: &CsvReadOptions, token: &[u8]) -> bool {
    match &options.values.timestamp {
        None => convert::timestamp(token, &options.values).is_some(),
        Some(pattern) => std::str::from_utf8(token)
            .is_ok_and(|t| pattern.parse_timestamp(t, options.values.zone).is_some()),
    }
}

/// The type that holds both.
fn compatible(options: &CsvReadOptions, a: &DataType, b: DataType) -> DataType {
    use DataType::{Date32, Decimal128, Float64, Int32, Int64, Null, Timestamp, Utf8};
    match (a, b) {
        (a, b) if *a == b => b,
        (Null, t) => t,
        (t, Null) => t.clone(),
        (Int32, Int64) | (Int64, Int32) => Int64,
        (Int32 | Int64 | Decimal128(_, _), Float64) | (Float64, Int32 | Int64 | Decimal128(_, _)) => Float64,
        (Int32, Decimal128(p, s)) => wider(10, 0, p, s),
        (Int64, Decimal128(p, s)) => wider(20, 0, p, s),
        (Decimal128(p, s), Int32) => wider(10, 0, *p, *s),
        (Decimal128(p, s), Int64) => wider(20, 0, *p, *s),
        (Decimal128(p, s), Decimal128(q, t)) => wider(*p, *s, q, t),
        (Date32, Timestamp(_, _)) | (Timestamp(_, _), Date32) if options.values.timestamp.is_none() => {
            timestamp_type()
        }
        _ => Utf8,
    }
}

fn wider(p: u8, s: i8, q: u8, t: i8) -> DataType {
    let scale = s.max(t);
    let whole = (i16::from(p) - i16::from(s)).max(i16::from(q) - i16::from(t));
    match u8::try_from(whole + i16::from(scale)) {
        Ok(precision) if precision <= 38 => DataType::Decimal128(precision, scale),
        _ => DataType::Float64,
    }
}
