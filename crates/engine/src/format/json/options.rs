//! The options of JSON reads and writes.

use crate::{
    Result, SparkError,
    format::{
        Options, ParseMode,
        compression::Compression,
        csv::{DEFAULT_TIMESTAMP_FORMAT, ValueOptions, line_separator},
        date_pattern::DatePattern,
        input::LineEnd,
        options::{bool_option, option_zone},
    },
    time::Zone,
};

/// What beyond strict JSON is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lenience {
    pub(super) comments: bool,
    pub(super) unquoted_names: bool,
    pub(super) single_quotes: bool,
    pub(super) leading_zeros: bool,
    pub(super) non_numeric: bool,
    pub(super) any_escape: bool,
    pub(super) control_chars: bool,
}

/// How JSON files are read.
#[derive(Debug, Clone)]
pub(super) struct JsonReadOptions {
    pub(super) lenience: Lenience,
    pub(super) values: ValueOptions,
    pub(super) mode: ParseMode,
    pub(super) corrupt_column: String,
    pub(super) multi_line: bool,
    pub(super) line_end: LineEnd,
    pub(super) primitives_as_string: bool,
    pub(super) prefers_decimal: bool,
    pub(super) infer_timestamp: bool,
    pub(super) drop_all_null: bool,
}

/// How JSON files are written.
#[derive(Debug, Clone)]
pub(super) struct JsonWriteOptions {
    pub(super) ignore_nulls: bool,
    pub(super) pretty: bool,
    pub(super) ascii: bool,
    pub(super) line_end: String,
    pub(super) date: DatePattern,
    pub(super) timestamp: DatePattern,
    pub(super) timestamp_ntz: DatePattern,
    pub(super) zone: Zone,
    pub(super) compression: Compression,
}

impl JsonReadOptions {
    pub(super) fn new(options: &Options, zone: Zone) -> Result<Self> {
        check_encoding(options)?;
        let flag = |name: &str, default: bool| bool_option(options, name, default);
        Ok(Self {
            lenience: Lenience {
                comments: flag("allowComments", false)?,
                unquoted_names: flag("allowUnquotedFieldNames", false)?,
                single_quotes: flag("allowSingleQuotes", true)?,
                leading_zeros: flag("allowNumericLeadingZeros", false)?,
                non_numeric: flag("allowNonNumericNumbers", true)?,
                any_escape: flag("allowBackslashEscapingAnyCharacter", false)?,
                control_chars: flag("allowUnquotedControlChars", false)?,
            },
            values: ValueOptions::new(options, zone)?,
            mode: ParseMode::of(options),
            corrupt_column: options.get("columnNameOfCorruptRecord").unwrap_or("_corrupt_record").to_string(),
            multi_line: flag("multiLine", false)?,
            line_end: match options.get("lineSep") {
                None => LineEnd::Any,
                Some("") => return Err(SparkError::new("INVALID_LINE_SEPARATOR.EMPTY")),
                Some(text) => LineEnd::Custom(text.as_bytes().to_vec()),
            },
            primitives_as_string: flag("primitivesAsString", false)?,
            prefers_decimal: flag("prefersDecimal", false)?,
            infer_timestamp: flag("inferTimestamp", false)?,
            drop_all_null: flag("dropFieldIfAllNull", false)?,
        })
    }
}

impl JsonWriteOptions {
    pub(super) fn new(options: &Options, zone: Zone) -> Result<Self> {
        check_encoding(options)?;
        let pattern =
            |name: &str, default: &str| DatePattern::formatter(options.get(name).unwrap_or(default));
        Ok(Self {
            ignore_nulls: bool_option(options, "ignoreNullFields", true)?,
            pretty: bool_option(options, "pretty", false)?,
            ascii: bool_option(options, "writeNonAsciiCharacterAsCodePoint", false)?,
            line_end: options.get("lineSep").map(line_separator).transpose()?.unwrap_or("\n").to_string(),
            date: pattern("dateFormat", "yyyy-MM-dd")?,
            timestamp: pattern("timestampFormat", DEFAULT_TIMESTAMP_FORMAT)?,
            timestamp_ntz: pattern("timestampNTZFormat", "yyyy-MM-dd'T'HH:mm:ss[.SSS]")?,
            zone: option_zone(options, zone)?,
            compression: Compression::of(options)?,
        })
    }
}

fn check_encoding(options: &Options) -> Result<()> {
    match options.get("encoding").or(options.get("charset")) {
        Some(name) if !["utf-8", "utf8"].contains(&name.to_ascii_lowercase().as_str()) => {
            Err(SparkError::unsupported(format!("JSON in the encoding {name}")))
        }
        _ => Ok(()),
    }
}
