//! The options of CSV reads and writes, checked as Spark checks them.

use super::tokenizer::{Dialect, UnescapedQuotes};
use crate::{
    Result, SparkError,
    format::{
        Options, ParseMode,
        compression::Compression,
        date_pattern::DatePattern,
        input::LineEnd,
        options::{bool_option, char_option, check_charset, illegal, int_option, option_zone},
    },
    time::Zone,
};

/// How timestamps are written unless told otherwise. Offsets of old times have seconds.
pub(crate) const DEFAULT_TIMESTAMP_FORMAT: &str = "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXXXX]";

/// How CSV files are read.
#[derive(Debug, Clone)]
pub(crate) struct CsvReadOptions {
    pub(crate) dialect: Dialect,
    pub(crate) comment: Option<u8>,
    pub(crate) header: bool,
    pub(crate) enforce_schema: bool,
    pub(crate) infer_schema: bool,
    pub(crate) prefer_date: bool,
    pub(crate) null_value: Vec<u8>,
    pub(crate) values: ValueOptions,
    pub(crate) mode: ParseMode,
    pub(crate) corrupt_column: String,
    pub(crate) multi_line: bool,
    /// Only wanted fields are looked at; otherwise every record's field count is checked.
    pub(crate) pruning: bool,
    pub(crate) line_end: LineEnd,
}

/// How single values are read.
#[derive(Debug, Clone)]
pub(crate) struct ValueOptions {
    pub(crate) nan: Vec<u8>,
    pub(crate) positive_inf: Vec<u8>,
    pub(crate) negative_inf: Vec<u8>,
    pub(crate) date: Option<DatePattern>,
    pub(crate) timestamp: Option<DatePattern>,
    pub(crate) timestamp_ntz: Option<DatePattern>,
    /// Whether text that does not fit the pattern may still be read as casts read it.
    pub(crate) date_fallback: bool,
    pub(crate) timestamp_fallback: bool,
    pub(crate) zone: Zone,
}

/// How CSV files are written.
#[derive(Debug, Clone)]
pub(crate) struct CsvWriteOptions {
    pub(crate) delimiter: String,
    pub(crate) quote: u8,
    pub(crate) escape: u8,
    pub(crate) escape_escape: u8,
    pub(crate) comment: Option<u8>,
    pub(crate) header: bool,
    pub(crate) quote_all: bool,
    pub(crate) escape_quotes: bool,
    pub(crate) ignore_leading: bool,
    pub(crate) ignore_trailing: bool,
    pub(crate) null_value: String,
    pub(crate) empty_value: String,
    pub(crate) line_end: String,
    pub(crate) date: DatePattern,
    pub(crate) timestamp: DatePattern,
    pub(crate) timestamp_ntz: DatePattern,
    pub(crate) zone: Zone,
    pub(crate) compression: Compression,
}

impl CsvReadOptions {
    /// Checks `options`; `zone` is the session's.
    ///
    /// # Errors
    /// Values Spark refuses, and known options this build does not implement.
    pub(crate) fn new(options: &Options, zone: Zone) -> Result<Self> {
        let (quote, escape, escape_escape) = quoting(options)?;
        let encoding = options.get("encoding").or(options.get("charset")).unwrap_or("UTF-8");
        check_charset("CSVOptions", encoding)?;
        if !["utf-8", "utf8", "us-ascii", "ascii"].contains(&encoding.to_ascii_lowercase().as_str()) {
            return Err(SparkError::unsupported(format!("reading CSV in the encoding {encoding}")));
        }
        let multi_line = bool_option(options, "multiLine", false)?;
        let line_end = match options.get("lineSep") {
            None => LineEnd::Any,
            Some(text) => LineEnd::Custom(line_separator(text)?.as_bytes().to_vec()),
        };
        if multi_line && !(line_end == LineEnd::Any || line_end == LineEnd::Custom(b"\n".to_vec())) {
            return Err(SparkError::unsupported("the CSV option `lineSep` together with `multiLine`"));
        }
        let max_chars = match int_option(options, "maxCharsPerColumn", -1)? {
            -1 => None,
            n => Some(usize::try_from(n).map_err(|_| illegal("maxCharsPerColumn must be positive or -1"))?),
        };
        Ok(Self {
            dialect: Dialect {
                delimiter: delimiter(options)?.into_bytes(),
                quote,
                escape,
                escape_escape,
                ignore_leading: bool_option(options, "ignoreLeadingWhiteSpace", false)?,
                ignore_trailing: bool_option(options, "ignoreTrailingWhiteSpace", false)?,
                unescaped: unescaped_quotes(options)?,
                empty_value: options.get("emptyValue").unwrap_or("").as_bytes().to_vec(),
                max_columns: usize::try_from(int_option(options, "maxColumns", 20480)?)
                    .map_err(|_| illegal("maxColumns must be positive"))?,
                max_chars,
            },
            comment: comment(options)?,
            header: bool_option(options, "header", false)?,
            enforce_schema: bool_option(options, "enforceSchema", true)?,
            infer_schema: bool_option(options, "inferSchema", false)?,
            prefer_date: bool_option(options, "preferDate", true)?,
            null_value: options.get("nullValue").unwrap_or("").as_bytes().to_vec(),
            values: ValueOptions::new(options, zone)?,
            mode: ParseMode::of(options),
            corrupt_column: options.get("columnNameOfCorruptRecord").unwrap_or("_corrupt_record").to_string(),
            multi_line,
            pruning: bool_option(options, "columnPruning", true)?,
            line_end,
        })
    }
}

impl ValueOptions {
    /// Formats, special numbers and the time zone, for CSV and for partition values.
    pub(crate) fn new(options: &Options, zone: Zone) -> Result<Self> {
        let text = |name: &str, default: &str| options.get(name).unwrap_or(default).as_bytes().to_vec();
        let pattern = |name: &str| options.get(name).map(DatePattern::parser).transpose();
        let fallback = match options.get("enableDateTimeParsingFallback") {
            None => None,
            Some(_) => Some(bool_option(options, "enableDateTimeParsingFallback", false)?),
        };
        Ok(Self {
            nan: text("nanValue", "NaN"),
            positive_inf: text("positiveInf", "Inf"),
            negative_inf: text("negativeInf", "-Inf"),
            date: pattern("dateFormat")?,
            timestamp: pattern("timestampFormat")?,
            timestamp_ntz: pattern("timestampNTZFormat")?,
            date_fallback: fallback.unwrap_or(options.get("dateFormat").is_none()),
            timestamp_fallback: fallback.unwrap_or(options.get("timestampFormat").is_none()),
            zone: option_zone(options, zone)?,
        })
    }
}

impl CsvWriteOptions {
    /// Checks `options`; `zone` is the session's.
    pub(crate) fn new(options: &Options, zone: Zone) -> Result<Self> {
        let (quote, escape, escape_escape) = quoting(options)?;
        let pattern =
            |name: &str, default: &str| DatePattern::formatter(options.get(name).unwrap_or(default));
        let encoding = options.get("encoding").or(options.get("charset")).unwrap_or("UTF-8");
        check_charset("CSVOptions", encoding)?;
        if !["utf-8", "utf8"].contains(&encoding.to_ascii_lowercase().as_str()) {
            return Err(SparkError::unsupported(format!("writing CSV in the encoding {encoding}")));
        }
        Ok(Self {
            delimiter: delimiter(options)?,
            quote,
            escape,
            escape_escape,
            // The writer quotes a leading `#` even where no comment character is set.
            comment: Some(comment(options)?.unwrap_or(b'#')),
            header: bool_option(options, "header", false)?,
            quote_all: bool_option(options, "quoteAll", false)?,
            escape_quotes: bool_option(options, "escapeQuotes", true)?,
            ignore_leading: bool_option(options, "ignoreLeadingWhiteSpace", true)?,
            ignore_trailing: bool_option(options, "ignoreTrailingWhiteSpace", true)?,
            null_value: options.get("nullValue").unwrap_or("").to_string(),
            empty_value: options.get("emptyValue").unwrap_or("\"\"").to_string(),
            line_end: options.get("lineSep").map(line_separator).transpose()?.unwrap_or("\n").to_string(),
            date: pattern("dateFormat", "yyyy-MM-dd")?,
            timestamp: pattern("timestampFormat", DEFAULT_TIMESTAMP_FORMAT)?,
            timestamp_ntz: pattern("timestampNTZFormat", "yyyy-MM-dd'T'HH:mm:ss[.SSS]")?,
            zone: option_zone(options, zone)?,
            compression: Compression::of(options)?,
        })
    }
}

fn quoting(options: &Options) -> Result<(u8, u8, u8)> {
    let quote = char_option(options, "quote", b'"')?;
    let escape = char_option(options, "escape", b'\\')?;
    let escape_escape = match options.get("charToEscapeQuoteEscaping").filter(|v| !v.is_empty()) {
        Some(_) => char_option(options, "charToEscapeQuoteEscaping", 0)?,
        None if quote == escape => 0,
        None => escape,
    };
    Ok((quote, escape, escape_escape))
}

fn comment(options: &Options) -> Result<Option<u8>> {
    Ok(Some(char_option(options, "comment", 0)?).filter(|c| *c != 0))
}

fn unescaped_quotes(options: &Options) -> Result<UnescapedQuotes> {
    let text = options.get("unescapedQuoteHandling").unwrap_or("STOP_AT_DELIMITER").to_ascii_uppercase();
    Ok(match text.as_str() {
        "STOP_AT_DELIMITER" => UnescapedQuotes::StopAtDelimiter,
        "STOP_AT_CLOSING_QUOTE" => UnescapedQuotes::StopAtClosingQuote,
        "BACK_TO_DELIMITER" => UnescapedQuotes::BackToDelimiter,
        "SKIP_VALUE" => UnescapedQuotes::SkipValue,
        "RAISE_ERROR" => UnescapedQuotes::RaiseError,
        other => {
            return Err(illegal(format!(
                "No enum constant com.univocity.parsers.csv.UnescapedQuoteHandling.{other}"
            )));
        }
    })
}

/// `sep` or `delimiter` with Spark's escapes: `\t`, `\\`, `\0`, `\uXXXX` as written by hand.
fn delimiter(options: &Options) -> Result<String> {
    let text = options.get("sep").or(options.get("delimiter")).unwrap_or(",");
    if text.is_empty() {
        return Err(SparkError::new("INVALID_DELIMITER_VALUE.EMPTY_STRING"));
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(ch) = rest.chars().next() {
        if ch != '\\' {
            out.push(ch);
            rest = rest.get(ch.len_utf8()..).unwrap_or_default();
            continue;
        }
        let mut after = rest.chars().skip(1);
        let replaced = match after.next() {
            None => return Err(SparkError::new("INVALID_DELIMITER_VALUE.SINGLE_BACKSLASH")),
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('"') => '"',
            Some('\'') => '\'',
            Some('\\') => '\\',
            Some('u') if rest == "\\u0000" => {
                rest = rest.get(4..).unwrap_or_default();
                '\0'
            }
            Some(_) => {
                return Err(SparkError::new("INVALID_DELIMITER_VALUE.UNSUPPORTED_SPECIAL_CHARACTER")
                    .with("str", text));
            }
        };
        out.push(replaced);
        rest = rest.get(2..).unwrap_or_default();
    }
    Ok(out)
}

/// `lineSep`: one or two characters.
pub(crate) fn line_separator(text: &str) -> Result<&str> {
    match text.encode_utf16().count() {
        0 => Err(SparkError::new("INVALID_LINE_SEPARATOR.EMPTY")),
        1 | 2 => Ok(text),
        n => Err(SparkError::new("INVALID_LINE_SEPARATOR.TOO_LONG").with("length", n.to_string())),
    }
}
