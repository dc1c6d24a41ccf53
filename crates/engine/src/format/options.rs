//! Reading option values as Spark reads them, and telling unknown options from known ones.

use super::Options;
use crate::{Result, SparkError, time::Zone};

/// An option Spark refuses with an `IllegalArgumentException`.
pub(crate) fn illegal(message: impl Into<String>) -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_3241").with("msg", message)
}

/// `true` or `false` in any case.
pub(crate) fn bool_option(options: &Options, name: &str, default: bool) -> Result<bool> {
    match options.get(name) {
        None => Ok(default),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(illegal(format!("{name} flag can be true or false."))),
    }
}

/// A whole number.
pub(crate) fn int_option(options: &Options, name: &str, default: i64) -> Result<i64> {
    match options.get(name) {
        None => Ok(default),
        Some(text) => text
            .parse::<i32>()
            .map(i64::from)
            .map_err(|_| illegal(format!("{name} should be an integer. Found {text}."))),
    }
}

/// Refuses `samplingRatio` where it would count: below 1 Spark infers a schema from some rows only.
pub(crate) fn refuse_sampling(options: &Options) -> Result<()> {
    let Some(text) = options.get("samplingRatio") else { return Ok(()) };
    match text.trim().parse::<f64>() {
        Err(_) => Err(illegal(format!("For input string: \"{text}\""))),
        Ok(ratio) if ratio <= 0.0 => {
            Err(illegal(format!("samplingRatio ({ratio:?}) should be greater than 0")))
        }
        Ok(ratio) if ratio > 0.99 => Ok(()),
        Ok(_) => Err(SparkError::unsupported("inferring a schema with the option `samplingRatio` below 1")),
    }
}

/// One character, 0 for an empty value.
pub(crate) fn char_option(options: &Options, name: &str, default: u8) -> Result<u8> {
    match options.get(name) {
        None => Ok(default),
        Some("") => Ok(0),
        Some(text) => match text.as_bytes() {
            [byte] => Ok(*byte),
            _ if text.encode_utf16().count() == 1 => {
                Err(SparkError::unsupported(format!("the option `{name}` with a character outside ASCII")))
            }
            _ => Err(SparkError::new("OPTION_VALUE_EXCEEDS_ONE_CHARACTER")
                .with("paramName", name)
                .with("actualValue", text)),
        },
    }
}

/// The option `timeZone`, else the session's zone.
pub(crate) fn option_zone(options: &Options, session: Zone) -> Result<Zone> {
    match options.get("timeZone") {
        None => Ok(session),
        Some(id) => Zone::parse(id).ok_or_else(|| illegal(format!("Unknown time-zone ID: {id}"))),
    }
}

/// Refuses a character set Spark does not know.
pub(crate) fn check_charset(function: &str, name: &str) -> Result<()> {
    const KNOWN: [&str; 7] = ["iso-8859-1", "us-ascii", "utf-16", "utf-16be", "utf-16le", "utf-32", "utf-8"];
    let plain = name.to_ascii_lowercase();
    if KNOWN.contains(&plain.as_str()) || plain == "utf8" {
        return Ok(());
    }
    Err(SparkError::new("INVALID_PARAMETER_VALUE.CHARSET")
        .with("functionName", format!("`{function}`"))
        .with("parameter", "`charset`")
        .with("charset", name)
        .with("charsets", KNOWN.join(", ")))
}
