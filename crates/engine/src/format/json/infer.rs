//! The schema of JSON files: fields sorted by name, each of the narrowest type that holds
//! all its values.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::{
    cursor::{Cursor, Scan, Token, unescape},
    options::JsonReadOptions,
};
use crate::{
    Result, SparkError,
    format::{
        ParseMode,
        csv::convert,
        input::{FileRef, LineBlocks},
        number_text::parse_i64,
    },
};

/// A type on the way.
#[derive(Debug, Clone, PartialEq)]
enum Found {
    Null,
    Bool,
    Long,
    Decimal(u32, i32),
    Double,
    Timestamp,
    Text,
    Array(Box<Found>),
    Object(BTreeMap<String, Found>),
}

/// Infers the schema of `files`.
///
/// # Errors
/// Names that differ only in case; malformed documents in `FAILFAST`.
pub(super) fn infer(options: &JsonReadOptions, files: &[FileRef]) -> Result<SchemaRef> {
    let mut root = Found::Object(BTreeMap::new());
    for file in files.iter().filter(|f| f.size > 0) {
        if options.multi_line {
            let content = file.read_all()?;
            add_document(options, &content, &mut root)?;
            continue;
        }
        let mut blocks = LineBlocks::open(file.clone(), options.line_end.clone())?;
        while blocks.advance()? {
            let block = blocks.block();
            let mut at = 0;
            while at < block.len() {
                let (end, next) = options.line_end.line(block, at);
                add_document(options, block.get(at..end).unwrap_or_default(), &mut root)?;
                at = next;
            }
        }
    }
    let fields = match canonical(options, root)? {
        Some(DataType::Struct(fields)) => fields,
        _ => Fields::empty(),
    };
    Ok(Arc::new(Schema::new(fields)))
}

fn add_document(options: &JsonReadOptions, text: &[u8], root: &mut Found) -> Result<()> {
    let mut cursor = Cursor::new(text, options.lenience);
    let valid = std::str::from_utf8(text).is_ok();
    let found = match (valid, cursor.blanks()) {
        (true, Ok(None)) => return Ok(()),
        (true, Ok(Some(_))) => cursor.token().and_then(|t| value(options, &mut cursor, t)).ok(),
        _ => None,
    };
    let mut found = found.unwrap_or(Found::Text);
    while let Found::Array(item) = found {
        found = *item;
    }
    match found {
        // An empty document says nothing.
        Found::Null => Ok(()),
        Found::Object(_) => {
            let before = std::mem::replace(root, Found::Null);
            *root = wider(before, found);
            Ok(())
        }
        _ => match options.mode {
            ParseMode::Permissive => {
                if let Found::Object(fields) = root {
                    fields.insert(options.corrupt_column.clone(), Found::Text);
                }
                Ok(())
            }
            ParseMode::DropMalformed => Ok(()),
            ParseMode::FailFast => Err(SparkError::new("MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION")
                .with("badRecord", options.corrupt_column.clone())
                .with("failFastMode", "FAILFAST")),
        },
    }
}

fn value(options: &JsonReadOptions, cursor: &mut Cursor<'_>, token: Token<'_>) -> Scan<Found> {
    Ok(match token {
        Token::Null => Found::Null,
        Token::Text([], _) => Found::Null,
        Token::Text(raw, _) => {
            let mut text = Vec::new();
            unescape(raw, &mut text);
            if options.prefers_decimal
                && let Some((precision, scale)) = digits(&text).filter(|(p, _)| *p <= 38)
            {
                Found::Decimal(precision, scale)
            } else if options.infer_timestamp && convert::timestamp(&text, &options.values).is_some() {
                Found::Timestamp
            } else {
                Found::Text
            }
        }
        Token::Object => {
            let mut fields = BTreeMap::new();
            let mut first = true;
            while let Some((name, _)) = cursor.field(first)? {
                first = false;
                let mut plain = Vec::new();
                unescape(name, &mut plain);
                let name = String::from_utf8_lossy(&plain).into_owned();
                let token = cursor.token()?;
                let found = value(options, cursor, token)?;
                let known = fields.remove(&name).unwrap_or(Found::Null);
                fields.insert(name, wider(known, found));
            }
            Found::Object(fields)
        }
        Token::Array => {
            let mut item = Found::Null;
            let mut first = true;
            while cursor.element(first)? {
                first = false;
                let token = cursor.token()?;
                item = wider(item, value(options, cursor, token)?);
            }
            Found::Array(Box::new(item))
        }
        _ if options.primitives_as_string => Found::Text,
        Token::True | Token::False => Found::Bool,
        Token::Int(text) => match parse_i64(text) {
            Some(_) => Found::Long,
            None => decimal(text),
        },
        Token::Float(text) if options.prefers_decimal => decimal(text),
        Token::Float(_) => Found::Double,
    })
}

fn decimal(text: &[u8]) -> Found {
    match digits(text) {
        Some((precision, scale)) if precision.max(scale.unsigned_abs()) <= 38 => {
            Found::Decimal(precision.max(scale.unsigned_abs()), scale)
        }
        _ => Found::Double,
    }
}

/// Precision and scale of a decimal number, as Java's `BigDecimal` counts them.
fn digits(text: &[u8]) -> Option<(u32, i32)> {
    let text = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let split = text.iter().position(|b| matches!(b, b'e' | b'E'));
    let (number, exponent) = match split {
        Some(at) => (text.get(..at)?, parse_i64(text.get(at + 1..)?)?),
        None => (text, 0),
    };
    let point = number.iter().position(|b| *b == b'.');
    let fraction = point.map_or(0, |p| number.len() - p - 1);
    let all: Vec<u8> = number.iter().copied().filter(|b| *b != b'.').collect();
    if all.is_empty() || !all.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let significant = all.iter().skip_while(|b| **b == b'0').count().max(1);
    let scale = i64::try_from(fraction).ok()?.checked_sub(exponent)?;
    Some((u32::try_from(significant).ok()?, i32::try_from(scale).ok()?))
}

/// The narrowest type that holds both.
fn wider(a: Found, b: Found) -> Found {
    use Found::{Array, Decimal, Double, Long, Null, Object, Text};
    match (a, b) {
        (a, b) if a == b => a,
        (Null, t) | (t, Null) => t,
        (Long | Decimal(..), Double) | (Double, Long | Decimal(..)) => Double,
        (Decimal(p, s), Long) | (Long, Decimal(p, s)) => both(p, s, 20, 0),
        (Decimal(p, s), Decimal(q, t)) => both(p, s, q, t),
        (Array(x), Array(y)) => Array(Box::new(wider(*x, *y))),
        (Object(mut x), Object(y)) => {
            for (name, found) in y {
                let known = x.remove(&name).unwrap_or(Null);
                x.insert(name, wider(known, found));
            }
            Object(x)
        }
        _ => Text,
    }
}

fn both(p: u32, s: i32, q: u32, t: i32) -> Found {
    let scale = s.max(t);
    let whole = (i64::from(p) - i64::from(s)).max(i64::from(q) - i64::from(t));
    match u32::try_from(whole + i64::from(scale)) {
        Ok(precision) if precision <= 38 => Found::Decimal(precision, scale),
        _ => Found::Double,
    }
}

/// The column type: nulls are strings (or dropped), empty objects vanish.
fn canonical(options: &JsonReadOptions, found: Found) -> Result<Option<DataType>> {
    Ok(match found {
        Found::Null if options.drop_all_null => None,
        Found::Null | Found::Text => Some(DataType::Utf8),
        Found::Bool => Some(DataType::Boolean),
        Found::Long => Some(DataType::Int64),
        Found::Double => Some(DataType::Float64),
        Found::Timestamp => Some(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        Found::Decimal(_, scale) if scale < 0 => {
            return Err(SparkError::new("NEGATIVE_SCALE_DISALLOWED")
                .with("scale", format!("'{scale}'"))
                .with("sqlConf", "\"spark.sql.legacy.allowNegativeScaleOfDecimal\""));
        }
        Found::Decimal(precision, scale) => Some(DataType::Decimal128(
            u8::try_from(precision).unwrap_or(38),
            i8::try_from(scale).unwrap_or(38),
        )),
        Found::Array(item) => {
            canonical(options, *item)?.map(|t| DataType::List(Arc::new(Field::new("element", t, true))))
        }
        Found::Object(fields) => {
            let mut out: Vec<Field> = Vec::new();
            // Names are sorted as UTF-8 here and as UTF-16 in Java, which differs only
            // beyond the basic plane.
            for (name, found) in fields.into_iter().filter(|(name, _)| !name.is_empty()) {
                let Some(data_type) = canonical(options, found)? else { continue };
                if out.iter().any(|f| f.name().eq_ignore_ascii_case(&name)) {
                    return Err(SparkError::new("COLUMN_ALREADY_EXISTS")
                        .with("columnName", format!("`{}`", name.to_lowercase())));
                }
                out.push(Field::new(name, data_type, true));
            }
            (!out.is_empty()).then(|| DataType::Struct(out.into()))
        }
    })
}
