//! Types and schemas as Spark's SQL text: `a INT, b STRUCT<x: STRING> NOT NULL COMMENT 'c'`.

use std::collections::HashMap;

use datafusion::arrow::datatypes::{DataType, Field, Fields, IntervalUnit, TimeUnit};
use millstream_engine::{Result, SparkError};
use serde_json::Value;

use super::{arrow, json};

/// Nesting beyond which text is refused rather than overflowing the stack.
const MAX_DEPTH: usize = 200;

/// Parses one type: `int`, `array<struct<a:int>>`, `decimal(10,2)`.
///
/// `char(n)` and `varchar(n)` mean `string` here, as in Spark's casts.
///
/// # Errors
/// `PARSE_SYNTAX_ERROR`, `UNSUPPORTED_DATATYPE`, `DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION`.
pub fn parse_data_type(text: &str) -> Result<DataType> {
    let mut parser = Parser::new(text)?;
    let data_type = parser.data_type()?;
    parser.end()?;
    Ok(data_type)
}

/// Parses the columns of a table: `a INT, b STRING NOT NULL`.
fn parse_columns(text: &str) -> Result<Fields> {
    let mut parser = Parser::new(text)?;
    let mut fields = vec![parser.column()?];
    while parser.take(&Token::Symbol(',')) {
        fields.push(parser.column()?);
    }
    parser.end()?;
    Ok(fields.into())
}

/// Parses DDL text as Spark's `DDLParse` does: table columns, else one type, else the
/// inside of a struct.
///
/// # Errors
/// Those of the first reading.
pub fn parse_ddl(text: &str) -> Result<DataType> {
    match parse_columns(text) {
        Ok(fields) => Ok(DataType::Struct(fields)),
        Err(error) => parse_data_type(text)
            .or_else(|_| parse_data_type(&format!("struct<{}>", text.trim())))
            .map_err(|_| error),
    }
}

/// Parses the schema of a read or a local relation: DDL text or JSON.
///
/// # Errors
/// Those of [`parse_ddl`]; `INVALID_SCHEMA.NON_STRUCT_TYPE` where it is no struct;
/// `UNSUPPORTED_CHAR_OR_VARCHAR_AS_STRING`.
pub fn parse_schema(text: &str) -> Result<Fields> {
    let data_type =
        if text.trim_start().starts_with(['{', '"']) { json::from_json(text)? } else { parse_ddl(text)? };
    match data_type {
        DataType::Struct(fields) => {
            if Parser::new(text).is_ok_and(|p| p.has_char_type()) {
                return Err(SparkError::new("UNSUPPORTED_CHAR_OR_VARCHAR_AS_STRING"));
            }
            Ok(fields)
        }
        other => Err(SparkError::new("INVALID_SCHEMA.NON_STRUCT_TYPE")
            .with("inputSchema", format!("\"{text}\""))
            .with("dataType", format!("\"{}\"", super::sql_name(&other)))),
    }
}

/// `decimal(precision, scale)` with Spark's errors for what is out of range.
pub(super) fn decimal_type(precision: i32, scale: i32) -> Result<DataType> {
    arrow::decimal(precision, scale).ok_or_else(|| {
        if precision > 38 {
            SparkError::new("DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION")
                .with("precision", precision.to_string())
                .with("maxPrecision", "38")
        } else if scale < 0 {
            SparkError::new("NEGATIVE_SCALE_DISALLOWED")
                .with("scale", scale.to_string())
                .with("sqlConf", "\"spark.sql.legacy.allowNegativeScaleOfDecimal\"")
        } else {
            SparkError::new("DECIMAL_SCALE_EXCEEDS_PRECISION")
                .with("scale", scale.to_string())
                .with("precision", precision.to_string())
        }
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Number(String),
    Text(String),
    Symbol(char),
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self> {
        Ok(Self { tokens: tokenize(text)?, next: 0, depth: 0 })
    }

    fn has_char_type(&self) -> bool {
        self.tokens.windows(2).any(|pair| match pair {
            [Token::Word(word), Token::Symbol('(')] => {
                ["char", "character", "varchar"].iter().any(|w| word.eq_ignore_ascii_case(w))
            }
            _ => false,
        })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self, token: &Token) -> bool {
        let hit = self.peek() == Some(token);
        self.next += usize::from(hit);
        hit
    }

    fn keyword(&mut self, word: &str) -> bool {
        let hit = matches!(self.peek(), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word));
        self.next += usize::from(hit);
        hit
    }

    fn expect(&mut self, symbol: char) -> Result<()> {
        if self.take(&Token::Symbol(symbol)) { Ok(()) } else { Err(self.syntax_error()) }
    }

    fn end(&self) -> Result<()> {
        if self.peek().is_none() { Ok(()) } else { Err(self.syntax_error()) }
    }

    fn syntax_error(&self) -> SparkError {
        syntax_error(match self.peek() {
            None => "end of input".to_string(),
            Some(Token::Word(w) | Token::Number(w)) => format!("'{w}'"),
            Some(Token::Quoted(w)) => format!("'`{w}`'"),
            Some(Token::Text(w)) => format!("''{w}''"),
            Some(Token::Symbol(c)) => format!("'{c}'"),
        })
    }

    fn identifier(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(name) | Token::Quoted(name)) => {
                let name = name.clone();
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// `name [:] type [NOT NULL] [COMMENT 'text']`
    fn column(&mut self) -> Result<Field> {
        let name = self.identifier()?;
        self.take(&Token::Symbol(':'));
        let data_type = self.data_type()?;
        let mut nullable = true;
        if self.keyword("not") {
            if !self.keyword("null") {
                return Err(self.syntax_error());
            }
            nullable = false;
        }
        let field = Field::new(name, data_type, nullable);
        if !self.keyword("comment") {
            return Ok(field);
        }
        match self.peek().cloned() {
            Some(Token::Text(comment)) => {
                self.next += 1;
                let metadata = HashMap::from([("comment".to_string(), Value::String(comment).to_string())]);
                Ok(field.with_metadata(metadata))
            }
            _ => Err(self.syntax_error()),
        }
    }

    fn data_type(&mut self) -> Result<DataType> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SparkError::unsupported(format!("a type nested more than {MAX_DEPTH} levels deep")));
        }
        let data_type = self.one_type();
        self.depth -= 1;
        data_type
    }

    fn one_type(&mut self) -> Result<DataType> {
        let Some(Token::Word(word)) = self.peek().cloned() else { return Err(self.syntax_error()) };
        self.next += 1;
        let name = word.to_ascii_lowercase();
        match name.as_str() {
            "array" => {
                self.expect('<')?;
                let element = self.data_type()?;
                self.expect('>')?;
                return Ok(arrow::list_of(element, true));
            }
            "map" => {
                self.expect('<')?;
                let key = self.data_type()?;
                self.expect(',')?;
                let value = self.data_type()?;
                self.expect('>')?;
                return Ok(arrow::map_of(key, value, true));
            }
            "struct" => return self.struct_type(),
            "interval" => return self.interval(),
            _ => {}
        }
        let arguments = self.arguments()?;
        atomic(&name, &arguments).unwrap_or_else(|| {
            let arguments = match arguments.as_slice() {
                [] => String::new(),
                some => format!("({})", some.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
            };
            Err(SparkError::new("UNSUPPORTED_DATATYPE")
                .with("typeName", format!("\"{}{arguments}\"", word.to_ascii_uppercase())))
        })
    }

    fn struct_type(&mut self) -> Result<DataType> {
        self.expect('<')?;
        let mut fields = Vec::new();
        if !self.take(&Token::Symbol('>')) {
            fields.push(self.column()?);
            while self.take(&Token::Symbol(',')) {
                fields.push(self.column()?);
            }
            self.expect('>')?;
        }
        Ok(DataType::Struct(fields.into()))
    }

    /// `INTERVAL`, `INTERVAL YEAR [TO MONTH]`, `INTERVAL DAY [TO SECOND]`, ...
    ///
    /// Spark differs: the narrower forms (`INTERVAL HOUR TO MINUTE`) are read as the whole
    /// range `DAY TO SECOND` or `YEAR TO MONTH`.
    fn interval(&mut self) -> Result<DataType> {
        const DAY_TIME: [&str; 4] = ["day", "hour", "minute", "second"];
        const YEAR_MONTH: [&str; 2] = ["year", "month"];
        for (units, data_type) in [
            (&YEAR_MONTH[..], DataType::Interval(IntervalUnit::YearMonth)),
            (&DAY_TIME[..], DataType::Duration(TimeUnit::Microsecond)),
        ] {
            let Some(from) = units.iter().position(|unit| self.keyword(unit)) else { continue };
            if self.keyword("to") && !units.iter().skip(from + 1).any(|unit| self.keyword(unit)) {
                return Err(self.syntax_error());
            }
            return Ok(data_type);
        }
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn arguments(&mut self) -> Result<Vec<i32>> {
        let mut arguments = Vec::new();
        if !self.take(&Token::Symbol('(')) {
            return Ok(arguments);
        }
        loop {
            let negative = self.take(&Token::Symbol('-'));
            let number = match self.peek() {
                Some(Token::Number(digits)) => digits.parse::<i32>().ok(),
                _ => None,
            };
            let Some(number) = number else { return Err(self.syntax_error()) };
            self.next += 1;
            arguments.push(if negative { -number } else { number });
            if !self.take(&Token::Symbol(',')) {
                break;
            }
        }
        self.expect(')')?;
        Ok(arguments)
    }
}

fn atomic(name: &str, arguments: &[i32]) -> Option<Result<DataType>> {
    let data_type = match (name, arguments) {
        ("boolean", []) => DataType::Boolean,
        ("tinyint" | "byte", []) => DataType::Int8,
        ("smallint" | "short", []) => DataType::Int16,
        ("int" | "integer", []) => DataType::Int32,
        ("bigint" | "long", []) => DataType::Int64,
        ("float" | "real", []) => DataType::Float32,
        ("double", []) => DataType::Float64,
        ("date", []) => DataType::Date32,
        ("timestamp" | "timestamp_ltz", []) => arrow::timestamp(),
        ("timestamp_ntz", []) => arrow::timestamp_ntz(),
        ("string", []) | ("char" | "character" | "varchar", [_]) => DataType::Utf8,
        ("binary", []) => DataType::Binary,
        ("void", []) => DataType::Null,
        ("decimal" | "dec" | "numeric", []) => return Some(decimal_type(10, 0)),
        ("decimal" | "dec" | "numeric", [p]) => return Some(decimal_type(*p, 0)),
        ("decimal" | "dec" | "numeric", [p, s]) => return Some(decimal_type(*p, *s)),
        ("time", [] | [_]) => return Some(Err(SparkError::unsupported("the data type TIME"))),
        ("variant", []) => return Some(Err(SparkError::unsupported("the data type VARIANT"))),
        _ => return None,
    };
    Some(Ok(data_type))
}

fn tokenize(text: &str) -> Result<Vec<Token>> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied();
    let mut tokens = Vec::new();
    let mut i = 0;
    while let Some(c) = at(i) {
        if c.is_whitespace() {
            i += 1;
        } else if c.is_alphanumeric() || c == '_' {
            let start = i;
            while at(i).is_some_and(|c| c.is_alphanumeric() || c == '_') {
                i += 1;
            }
            let word: String = chars.iter().skip(start).take(i - start).collect();
            let digits = word.chars().all(|c| c.is_ascii_digit());
            tokens.push(if digits { Token::Number(word) } else { Token::Word(word) });
        } else if matches!(c, '`' | '\'' | '"') {
            let (word, end) = quoted(&chars, i, c).ok_or_else(|| syntax_error(format!("'{c}'")))?;
            tokens.push(if c == '`' { Token::Quoted(word) } else { Token::Text(word) });
            i = end;
        } else {
            tokens.push(Token::Symbol(c));
            i += 1;
        }
    }
    Ok(tokens)
}

/// Reads a quoted run that begins at `start`; gives its text and the position after it.
fn quoted(chars: &[char], start: usize, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut i = start + 1;
    loop {
        let c = *chars.get(i)?;
        i += 1;
        if c == quote {
            if quote == '`' && chars.get(i) == Some(&'`') {
                out.push('`');
                i += 1;
                continue;
            }
            return Some((out, i));
        }
        if c == '\\' && quote != '`' {
            let escaped = *chars.get(i)?;
            i += 1;
            out.push(match escaped {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            });
            continue;
        }
        out.push(c);
    }
}

fn syntax_error(near: String) -> SparkError {
    SparkError::new("PARSE_SYNTAX_ERROR").with("error", near).with("hint", "")
}
