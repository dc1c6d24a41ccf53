//! JSON documents into columns, with Spark's rules for what does not fit.
//!
//! A value of the wrong type makes its field null and its record malformed; the other
//! fields stay (partial results). Text that is no JSON makes the whole record null.

use std::{collections::HashMap, sync::Arc};

use datafusion::arrow::{
    array::{RecordBatch, RecordBatchOptions},
    datatypes::{DataType, Field, Fields, SchemaRef, TimeUnit},
};

use super::{
    cursor::{Cursor, Syntax, Token, unescape},
    options::JsonReadOptions,
};
use crate::{
    Result, SparkError,
    format::{
        ParseMode,
        column_builder::{ColumnBuilder, Values},
        csv::convert,
        number_text::{parse_decimal, parse_f32, parse_f64, parse_i64},
    },
};

/// Rows gathered before a batch is handed out.
pub(super) const BATCH_ROWS: usize = 16 * 1024;

/// Turns documents into batches of the projected columns.
pub(super) struct Decoder {
    options: Arc<JsonReadOptions>,
    output: SchemaRef,
    columns: Vec<ColumnBuilder>,
    shape: Shape,
    corrupt: Option<usize>,
    rows: usize,
    scratch: Vec<u8>,
}

/// The fields of an object: names to columns, and the shapes below.
struct Shape {
    names: Vec<Option<Vec<u8>>>,
    by_name: HashMap<Vec<u8>, usize>,
    below: Vec<Kind>,
}

/// What a value may become.
enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
    Decimal(u8, i8),
    Utf8,
    Binary,
    Date,
    Timestamp,
    TimestampNtz,
    Null,
    List(Box<Kind>),
    Map(Box<Kind>),
    Struct(Shape),
}

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Good,
    /// Appended, but something inside did not fit.
    Partial,
    /// Nothing was appended; the value has been passed over.
    Bad,
}

impl Kind {
    fn of(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool,
            DataType::Int8 => Self::I8,
            DataType::Int16 => Self::I16,
            DataType::Int32 => Self::I32,
            DataType::Int64 => Self::I64,
            DataType::Float32 => Self::F32,
            DataType::Float64 => Self::F64,
            DataType::Decimal128(precision, scale) => Self::Decimal(*precision, *scale),
            DataType::Utf8 => Self::Utf8,
            DataType::Binary => Self::Binary,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Self::Timestamp,
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::TimestampNtz,
            DataType::List(item) => Self::List(Box::new(Self::of(item.data_type())?)),
            DataType::Struct(fields) => Self::Struct(Shape::of(fields, None)?),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(kv) if kv.first().is_some_and(|k| *k.data_type() == DataType::Utf8) => {
                    let value = kv.get(1).map(|f| Self::of(f.data_type())).transpose()?;
                    Self::Map(Box::new(value.unwrap_or(Self::Null)))
                }
                _ => {
                    return Err(SparkError::unsupported("reading JSON into a map whose keys are no strings"));
                }
            },
            DataType::Interval(_) | DataType::Duration(_) => {
                return Err(SparkError::unsupported("reading intervals from JSON"));
            }
            other => return Err(SparkError::unsupported(format!("reading the type {other} from JSON"))),
        })
    }
}

impl Shape {
    /// The shape of `fields`; the field `hidden` is never matched.
    fn of(fields: &Fields, hidden: Option<usize>) -> Result<Self> {
        let mut shape = Self { names: Vec::new(), by_name: HashMap::new(), below: Vec::new() };
        for (index, field) in fields.iter().enumerate() {
            let name = field.name().as_bytes().to_vec();
            if hidden == Some(index) {
                shape.names.push(None);
            } else {
                shape.by_name.entry(name.clone()).or_insert(index);
                shape.names.push(Some(name));
            }
            shape.below.push(Kind::of(field.data_type())?);
        }
        Ok(shape)
    }

    /// The column of a field name; `guess` is where it usually is.
    fn find(&self, name: &[u8], guess: usize) -> Option<usize> {
        if self.names.get(guess).is_some_and(|n| n.as_deref() == Some(name)) {
            return Some(guess);
        }
        self.by_name.get(name).copied()
    }
}

impl Decoder {
    /// A decoder for the columns `projection` of `schema`.
    ///
    /// # Errors
    /// Column types JSON cannot hold.
    pub(super) fn new(
        options: Arc<JsonReadOptions>,
        schema: &SchemaRef,
        projection: &[usize],
    ) -> Result<Self> {
        let output: SchemaRef = Arc::new(schema.project(projection)?);
        let corrupt = output.fields().iter().position(|f: &Arc<Field>| *f.name() == options.corrupt_column);
        let columns = output
            .fields()
            .iter()
            .map(|f| ColumnBuilder::new(f.data_type(), 1024))
            .collect::<Result<Vec<_>>>()?;
        let shape = Shape::of(output.fields(), corrupt)?;
        Ok(Self { options, output, columns, shape, corrupt, rows: 0, scratch: Vec::new() })
    }

    /// Rows gathered so far.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The rows gathered, as a batch; the decoder starts anew.
    pub(super) fn flush(&mut self) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(ColumnBuilder::finish).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.output), arrays, &options)?)
    }

    /// Decodes one document: a line, or a whole file. `valid` tells whether it was UTF-8
    /// before replacement; blank text gives no row.
    ///
    /// # Errors
    /// A malformed record in `FAILFAST`.
    pub(super) fn document(&mut self, text: &[u8], valid: bool) -> Result<()> {
        let start = self.rows;
        let options = Arc::clone(&self.options);
        let mut cursor = Cursor::new(text, options.lenience);
        let decoded = if valid { self.rows_of(&mut cursor) } else { Err(Stop::Syntax) };
        match decoded {
            Ok(true) => {
                for _ in start..self.rows {
                    self.push_corrupt(None)?;
                }
                Ok(())
            }
            Ok(false) => self.malformed(start, text),
            Err(Stop::Syntax) => {
                self.undo(start);
                self.null_row();
                self.malformed(start, text)
            }
            Err(Stop::Error(e)) => Err(e),
        }
    }

    /// Appends the document's rows without the corrupt column; false when a value did not
    /// fit.
    fn rows_of(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, Stop> {
        if cursor.blanks()?.is_none() {
            return Ok(true);
        }
        match cursor.token()? {
            Token::Object => Ok(self.row(cursor)? == Outcome::Good),
            // Each element of an array at the top is a row.
            Token::Array => {
                let mut good = true;
                let mut first = true;
                while cursor.element(first)? {
                    first = false;
                    match cursor.token()? {
                        Token::Object => good &= self.row(cursor)? == Outcome::Good,
                        _ => return Err(Stop::Syntax),
                    }
                }
                Ok(good)
            }
            _ => Err(Stop::Syntax),
        }
    }

    fn row(&mut self, cursor: &mut Cursor<'_>) -> Result<Outcome, Stop> {
        let mut walk = Walk { options: &self.options, scratch: &mut self.scratch };
        let outcome = walk.object(cursor, &self.shape, &mut self.columns, self.rows, self.corrupt)?;
        self.rows += 1;
        Ok(outcome)
    }

    fn undo(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|c| c.truncate(rows));
        self.rows = rows;
    }

    fn null_row(&mut self) {
        for (index, column) in self.columns.iter_mut().enumerate() {
            if Some(index) != self.corrupt {
                column.push_null();
            }
        }
        self.rows += 1;
    }

    fn push_corrupt(&mut self, text: Option<&[u8]>) -> Result<()> {
        if let Some(column) = self.corrupt.and_then(|c| self.columns.get_mut(c)) {
            match text {
                Some(text) => column.push_bytes(text)?,
                None => column.push_null(),
            }
        }
        Ok(())
    }

    /// Ends the rows from `start` on, which belong to a malformed record.
    fn malformed(&mut self, start: usize, text: &[u8]) -> Result<()> {
        match self.options.mode {
            ParseMode::Permissive => {
                for _ in start..self.rows {
                    self.push_corrupt(Some(text))?;
                }
                Ok(())
            }
            ParseMode::DropMalformed => {
                self.undo(start);
                Ok(())
            }
            ParseMode::FailFast => {
                self.push_corrupt(Some(text))?;
                let cells: Vec<String> = self.columns.iter().map(ColumnBuilder::last_value_text).collect();
                Err(SparkError::new("MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION")
                    .with("badRecord", format!("[{}]", cells.join(",")))
                    .with("failFastMode", "FAILFAST"))
            }
        }
    }
}

/// Why a document gives no (more) rows.
enum Stop {
    Syntax,
    Error(SparkError),
}

impl From<Syntax> for Stop {
    fn from(_: Syntax) -> Self {
        Self::Syntax
    }
}

impl From<SparkError> for Stop {
    fn from(error: SparkError) -> Self {
        Self::Error(error)
    }
}

/// Walks values into columns.
struct Walk<'a> {
    options: &'a JsonReadOptions,
    scratch: &'a mut Vec<u8>,
}

impl Walk<'_> {
    /// The fields of an object that was just entered, as row `row` of `columns`; every
    /// column (but `hidden`) has `row + 1` rows afterwards.
    fn object(
        &mut self,
        cursor: &mut Cursor<'_>,
        shape: &Shape,
        columns: &mut [ColumnBuilder],
        row: usize,
        hidden: Option<usize>,
    ) -> Result<Outcome, Stop> {
        let mut good = true;
        let mut first = true;
        let mut guess = 0;
        while let Some((name, escaped)) = cursor.field(first)? {
            first = false;
            let found = if escaped {
                let mut plain = Vec::new();
                unescape(name, &mut plain);
                shape.find(&plain, guess)
            } else {
                shape.find(name, guess)
            };
            let Some((index, column, kind)) =
                found.and_then(|i| Some((i, columns.get_mut(i)?, shape.below.get(i)?)))
            else {
                let token = cursor.token()?;
                cursor.skip(token)?;
                continue;
            };
            guess = index + 1;
            if column.rows() > row {
                // Named twice: the last value that fits counts, so try it first.
                let mut trial = *cursor;
                let before = column.rows();
                let outcome = self.value(&mut trial, kind, column)?;
                if outcome != Outcome::Bad {
                    column.truncate(row);
                    self.value(cursor, kind, column)?;
                } else {
                    column.truncate(before);
                }
                *cursor = trial;
                good &= outcome == Outcome::Good;
                continue;
            }
            match self.value(cursor, kind, column)? {
                Outcome::Good => {}
                Outcome::Partial => good = false,
                Outcome::Bad => {
                    good = false;
                    column.push_null();
                }
            }
        }
        for (index, column) in columns.iter_mut().enumerate() {
            if column.rows() <= row && Some(index) != hidden {
                column.push_null();
            }
        }
        Ok(if good { Outcome::Good } else { Outcome::Partial })
    }

    /// Appends the value at the cursor, which moves behind it in any case.
    fn value(
        &mut self,
        cursor: &mut Cursor<'_>,
        kind: &Kind,
        column: &mut ColumnBuilder,
    ) -> Result<Outcome, Stop> {
        cursor.blanks()?;
        let start = cursor.position();
        let token = cursor.token()?;
        if token == Token::Null {
            column.push_null();
            return Ok(Outcome::Good);
        }
        match (kind, token) {
            (Kind::Struct(shape), Token::Object) => {
                let row = column.rows();
                let Values::Struct(children) = &mut column.values else { return Err(storage()) };
                let outcome = self.object(cursor, shape, children, row, None)?;
                column.mark_valid();
                return Ok(outcome);
            }
            (Kind::List(item), Token::Array) => return self.list(cursor, item, column),
            (Kind::Map(item), Token::Object) => return self.map(cursor, item, column),
            (Kind::Utf8, Token::Text(text, false)) => {
                column.push_bytes(text)?;
                return Ok(Outcome::Good);
            }
            (Kind::Utf8, Token::Text(text, true)) => {
                self.scratch.clear();
                unescape(text, self.scratch);
                column.push_bytes(self.scratch)?;
                return Ok(Outcome::Good);
            }
            // Anything else is kept as it is written.
            (Kind::Utf8, token) => {
                cursor.skip(token)?;
                column.push_bytes(cursor.since(start))?;
                return Ok(Outcome::Good);
            }
            (Kind::Null, token) => {
                cursor.skip(token)?;
                column.push_null();
                return Ok(Outcome::Good);
            }
            _ => {}
        }
        let fits = match token {
            Token::Text(text, escaped) => {
                let text = if escaped {
                    self.scratch.clear();
                    unescape(text, self.scratch);
                    self.scratch.as_slice()
                } else {
                    text
                };
                from_text(kind, text, self.options, column)?
            }
            Token::Int(text) | Token::Float(text) => {
                from_number(kind, text, matches!(token, Token::Int(_)), column)
            }
            Token::True | Token::False => match (kind, &mut column.values) {
                (Kind::Bool, Values::Bool(v)) => {
                    v.append(token == Token::True);
                    true
                }
                _ => false,
            },
            _ => false,
        };
        if fits {
            column.mark_valid();
            return Ok(Outcome::Good);
        }
        cursor.skip(token)?;
        Ok(Outcome::Bad)
    }

    fn list(
        &mut self,
        cursor: &mut Cursor<'_>,
        item: &Kind,
        column: &mut ColumnBuilder,
    ) -> Result<Outcome, Stop> {
        let row = column.rows();
        let Values::List(_, child) = &mut column.values else { return Err(storage()) };
        let (mut first, mut outcome) = (true, Outcome::Good);
        while cursor.element(first)? {
            first = false;
            match self.value(cursor, item, child)? {
                Outcome::Good => {}
                Outcome::Partial => outcome = Outcome::Partial,
                Outcome::Bad => {
                    cursor.skip_elements(false)?;
                    column.truncate(row);
                    return Ok(Outcome::Bad);
                }
            }
        }
        column.close_list()?;
        Ok(outcome)
    }

    fn map(
        &mut self,
        cursor: &mut Cursor<'_>,
        item: &Kind,
        column: &mut ColumnBuilder,
    ) -> Result<Outcome, Stop> {
        let row = column.rows();
        let Values::Map(_, keys, values) = &mut column.values else { return Err(storage()) };
        let (mut first, mut outcome) = (true, Outcome::Good);
        while let Some((name, escaped)) = cursor.field(first)? {
            first = false;
            match self.value(cursor, item, values)? {
                Outcome::Bad => outcome = Outcome::Bad,
                found => {
                    if outcome == Outcome::Good {
                        outcome = found;
                    }
                    if escaped {
                        self.scratch.clear();
                        unescape(name, self.scratch);
                        keys.push_bytes(self.scratch)?;
                    } else {
                        keys.push_bytes(name)?;
                    }
                }
            }
        }
        if outcome == Outcome::Bad {
            column.truncate(row);
        } else {
            column.close_list()?;
        }
        Ok(outcome)
    }
}

fn storage() -> Stop {
    Stop::Error(SparkError::internal("a JSON column has another storage"))
}

/// A string for a column that is no string.
fn from_text(
    kind: &Kind,
    text: &[u8],
    options: &JsonReadOptions,
    column: &mut ColumnBuilder,
) -> Result<bool> {
    if let Kind::Binary = kind {
        // `push_bytes` counts the row itself; the caller counts it here.
        let Some(bytes) = base64(text) else { return Ok(false) };
        if let Values::Bytes(offsets, data) = &mut column.values {
            data.extend_from_slice(&bytes);
            offsets
                .push(i32::try_from(data.len()).map_err(|_| SparkError::internal("a batch exceeds 2 GiB"))?);
        }
        return Ok(true);
    }
    if text.is_empty() {
        return Ok(false);
    }
    let values = &options.values;
    let float = || match text {
        _ if !options.lenience.non_numeric => None,
        b"NaN" => Some(f64::NAN),
        b"+INF" | b"+Infinity" | b"Infinity" => Some(f64::INFINITY),
        b"-INF" | b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    };
    let done = match (kind, &mut column.values) {
        (Kind::F32, Values::F32(v)) => float().map(|x| v.push(x as f32)),
        (Kind::F64, Values::F64(v)) => float().map(|x| v.push(x)),
        (Kind::Decimal(p, s), Values::I128(v)) => convert::decimal(text, *p, *s).map(|x| v.push(x)),
        (Kind::Date, Values::I32(v)) => {
            // Very old Spark versions wrote dates as day numbers.
            let days = || {
                values.date_fallback.then(|| parse_i64(text)).flatten().and_then(|d| i32::try_from(d).ok())
            };
            convert::date(text, values).or_else(days).map(|x| v.push(x))
        }
        (Kind::Timestamp, Values::I64(v)) => convert::timestamp(text, values).map(|x| v.push(x)),
        (Kind::TimestampNtz, Values::I64(v)) => convert::timestamp_ntz(text, values).map(|x| v.push(x)),
        _ => None,
    };
    Ok(done.is_some())
}

fn from_number(kind: &Kind, text: &[u8], int: bool, column: &mut ColumnBuilder) -> bool {
    let whole = || if int { parse_i64(text) } else { None };
    let done = match (kind, &mut column.values) {
        // Spark's parser takes 128 to 255 for a byte and wraps them.
        (Kind::I8, Values::I8(v)) => whole().filter(|x| (-128..=255).contains(x)).map(|x| v.push(x as i8)),
        (Kind::I16, Values::I16(v)) => whole().and_then(|x| i16::try_from(x).ok()).map(|x| v.push(x)),
        (Kind::I32, Values::I32(v)) => whole().and_then(|x| i32::try_from(x).ok()).map(|x| v.push(x)),
        (Kind::I64, Values::I64(v)) => whole().map(|x| v.push(x)),
        (Kind::F32, Values::F32(v)) => {
            json_float(text).map(|x| x as f32).or_else(|| parse_f32(text)).map(|x| v.push(x))
        }
        (Kind::F64, Values::F64(v)) => json_float(text).or_else(|| parse_f64(text)).map(|x| v.push(x)),
        (Kind::Decimal(p, s), Values::I128(v)) => parse_decimal(text, *p, *s).map(|x| v.push(x)),
        (Kind::Timestamp, Values::I64(v)) => {
            whole().and_then(|x| x.checked_mul(1_000_000)).map(|x| v.push(x))
        }
        _ => None,
    };
    done.is_some()
}

/// The non-numeric numbers.
fn json_float(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"INF" | b"+INF" | b"Infinity" | b"+Infinity" => Some(f64::INFINITY),
        b"-INF" | b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Base64 with padding; blanks between groups are ignored.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let bytes: Vec<u8> = text.iter().copied().filter(|b| *b > b' ').collect();
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let padding = bytes.iter().rev().take_while(|b| **b == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3);
    let content = bytes.get(..bytes.len() - padding).unwrap_or_default();
    for group in content.chunks(4) {
        let mut value = 0u32;
        for byte in group {
            value = value << 6 | u32::from(digit(*byte)?);
        }
        value <<= 6 * (4 - group.len());
        let full = value.to_be_bytes();
        out.extend_from_slice(full.get(1..group.len()).unwrap_or_default());
    }
    Some(out)
}
