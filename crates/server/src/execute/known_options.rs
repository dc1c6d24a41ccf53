//! Options that nobody knows: Spark ignores them in silence, here they are ignored with one
//! warning a session, or refused where `spark.millstream.strictOptions` is true.

use millstream_engine::{Result, SparkError, format::Options};

use crate::session::Session;

/// What options are given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// `spark.read`.
    Read,
    /// `spark.readStream`.
    ReadStream,
    /// `df.write`.
    Write,
    /// `df.writeStream`.
    WriteStream,
}

const FILE_READ: &[&str] = &[
    "path",
    "pathGlobFilter",
    "recursiveFileLookup",
    "modifiedBefore",
    "modifiedAfter",
    "basePath",
    "ignoreCorruptFiles",
    "ignoreMissingFiles",
    "mergeSchema",
    "timeZone",
    "locale",
];
const FILE_READ_STREAM: &[&str] = &[
    "maxFilesPerTrigger",
    "maxBytesPerTrigger",
    "latestFirst",
    "fileNameOnly",
    "maxFileAge",
    "cleanSource",
    "sourceArchiveDir",
    "maxCachedFiles",
    "discardCachedInputRatio",
];
const FILE_WRITE: &[&str] =
    &["path", "partitionOverwriteMode", "maxRecordsPerFile", "compression", "codec", "timeZone", "locale"];
const STREAM_WRITE: &[&str] = &["checkpointLocation", "path", "queryName", "retention"];
const CSV: &[&str] = &[
    "sep",
    "delimiter",
    "encoding",
    "charset",
    "quote",
    "escape",
    "comment",
    "header",
    "inferSchema",
    "preferDate",
    "enforceSchema",
    "ignoreLeadingWhiteSpace",
    "ignoreTrailingWhiteSpace",
    "nullValue",
    "nanValue",
    "positiveInf",
    "negativeInf",
    "dateFormat",
    "timestampFormat",
    "timestampNTZFormat",
    "enableDateTimeParsingFallback",
    "maxColumns",
    "maxCharsPerColumn",
    "unescapedQuoteHandling",
    "mode",
    "columnNameOfCorruptRecord",
    "multiLine",
    "charToEscapeQuoteEscaping",
    "samplingRatio",
    "emptyValue",
    "lineSep",
    "compression",
    "codec",
    "quoteAll",
    "escapeQuotes",
    "extension",
    "columnPruning",
    "inputBufferSize",
    "singleVariantColumn",
];
const JSON: &[&str] = &[
    "primitivesAsString",
    "prefersDecimal",
    "allowComments",
    "allowUnquotedFieldNames",
    "allowSingleQuotes",
    "allowNumericLeadingZeros",
    "allowBackslashEscapingAnyCharacter",
    "mode",
    "columnNameOfCorruptRecord",
    "dateFormat",
    "timestampFormat",
    "timestampNTZFormat",
    "enableDateTimeParsingFallback",
    "multiLine",
    "allowUnquotedControlChars",
    "encoding",
    "charset",
    "lineSep",
    "samplingRatio",
    "dropFieldIfAllNull",
    "allowNonNumericNumbers",
    "compression",
    "codec",
    "ignoreNullFields",
    "pretty",
    "writeNonAsciiCharacterAsCodePoint",
    "inferTimestamp",
    "maxNestingDepth",
    "maxNumLen",
    "maxStringLen",
    "singleVariantColumn",
];
const PARQUET: &[&str] = &["datetimeRebaseMode", "int96RebaseMode", "mergeSchema", "compression", "codec"];
const TEXT: &[&str] = &["wholetext", "lineSep", "compression", "codec", "encoding", "charset"];
const RATE: &[&str] = &["rowsPerSecond", "rampUpTime", "numPartitions", "useManualClock"];
const RATE_MICRO_BATCH: &[&str] =
    &["rowsPerBatch", "numPartitions", "startTimestamp", "advanceMillisPerBatch"];
const SOCKET: &[&str] = &["host", "port", "includeTimestamp", "numPartitions"];
const CONSOLE: &[&str] = &["numRows", "truncate"];

/// The known options of a format, or nothing where the format is not known either.
fn known(format: &str, used: Use) -> Option<Vec<&'static str>> {
    let own: &[&str] = match format {
        "csv" => CSV,
        "json" => JSON,
        "parquet" => PARQUET,
        "text" => TEXT,
        "rate" => RATE,
        "rate-micro-batch" => RATE_MICRO_BATCH,
        "socket" => SOCKET,
        "console" => CONSOLE,
        "memory" | "noop" => &[],
        _ => return None,
    };
    let general: &[&[&str]] = match used {
        Use::Read => &[FILE_READ],
        Use::ReadStream => &[FILE_READ, FILE_READ_STREAM],
        Use::Write => &[FILE_WRITE],
        Use::WriteStream => &[FILE_WRITE, STREAM_WRITE],
    };
    Some(own.iter().chain(general.iter().copied().flatten()).copied().collect())
}

/// Warns of the options of `format` that nobody knows.
///
/// # Errors
/// The first of them, where `spark.millstream.strictOptions` is true.
pub fn check(session: &Session, format: &str, used: Use, options: &Options) -> Result<()> {
    let Some(known) = known(format, used) else { return Ok(()) };
    let strict = session.conf.read().is_true("spark.millstream.strictOptions");
    for (name, _) in options.iter() {
        // Names with dots are settings of libraries (`parquet.block.size`).
        if name.contains('.') || name.starts_with("__") || known.iter().any(|k| k.eq_ignore_ascii_case(name))
        {
            continue;
        }
        let hint = nearest(name, &known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let text = format!("the option `{name}` is unknown to the format `{format}`{hint}");
        if strict {
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_3241").with("msg", text));
        }
        if session.warned.lock().insert(text.clone()) {
            tracing::warn!("{text} (it is ignored)");
        }
    }
    Ok(())
}

/// The known option that is at most a third of its letters away.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let near = |k: &&&str| distance(&name, &k.to_ascii_lowercase());
    known.iter().min_by_key(near).filter(|k| near(k) * 3 <= name.len().max(3)).copied()
}

/// Insertions, deletions and replacements between two texts.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(x != *y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelled_options_find_their_neighbour() {
        let csv = known("csv", Use::ReadStream).unwrap();
        assert_eq!(nearest("heade", &csv), Some("header"));
        assert_eq!(nearest("maxfilepertrigger", &csv), Some("maxFilesPerTrigger"));
        assert_eq!(nearest("colour", &csv), None);
        assert!(known("nosuch", Use::Read).is_none());
    }

    #[test]
    fn distances_are_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
