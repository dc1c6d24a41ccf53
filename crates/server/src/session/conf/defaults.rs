//! Spark's settings with their defaults, from the table recorded from a real Spark.

use std::{collections::HashMap, sync::LazyLock};

/// Recorded by `record_defaults.py`, which explains the columns.
const TABLE: &str = include_str!("spark_defaults.tsv");

/// Settings of Spark's Connect server, which a classic session does not know.
const CONNECT: &[(&str, &str, &str)] = &[
    ("spark.connect.session.planCompression.threshold", "10485760", "int"),
    ("spark.connect.session.planCompression.defaultAlgorithm", "ZSTD", "string"),
    // Spark differs: true there, but there is no JVM here whose stack could be shown.
    ("spark.sql.connect.serverStacktrace.enabled", "false", "boolean"),
    ("spark.sql.connect.enrichError.enabled", "true", "boolean"),
    ("spark.connect.progress.reportInterval", "2s", "string"),
    // Ours: refuse unknown options of sources and sinks instead of warning.
    ("spark.millstream.strictOptions", "false", "boolean"),
];

/// Who may change a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The session.
    Runtime,
    /// Nobody after the start.
    Static,
    /// Nobody: a setting of Spark's core, not of SQL.
    Core,
}

/// A known setting.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub key: &'static str,
    /// Who may change it.
    pub kind: Kind,
    /// Type as Spark names it in errors.
    pub value_type: &'static str,
    /// Allowed values; see the table's script.
    pub allowed: &'static str,
    default: &'static str,
}

impl Entry {
    /// The setting whose value is this one's default.
    pub fn fallback(&self) -> Option<&'static str> {
        self.default.strip_prefix("<value of ")?.strip_suffix('>')
    }

    /// The default; `None` when there is none.
    pub fn default(&self) -> Option<String> {
        if self.default == "<undefined>" {
            return None;
        }
        let here = || std::env::current_dir().unwrap_or_default().display().to_string();
        let text = unescape(self.default);
        Some(if text.contains("$PWD") { text.replace("$PWD", &here()) } else { text })
    }
}

/// Looks a setting up by its exact name.
pub fn find(key: &str) -> Option<&'static Entry> {
    static ENTRIES: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
        let recorded = TABLE.lines().filter_map(parse);
        let connect = CONNECT.iter().map(|&(key, default, value_type)| Entry {
            key,
            kind: Kind::Runtime,
            value_type,
            allowed: "",
            default,
        });
        recorded.chain(connect).map(|entry| (entry.key, entry)).collect()
    });
    ENTRIES.get(key)
}

fn parse(line: &'static str) -> Option<Entry> {
    let mut columns = line.split('\t');
    let key = columns.next()?;
    let kind = match columns.next()? {
        "runtime" => Kind::Runtime,
        "static" => Kind::Static,
        _ => Kind::Core,
    };
    Some(Entry { key, kind, default: columns.next()?, value_type: columns.next()?, allowed: columns.next()? })
}

/// Undoes the table's escapes.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_parses_and_fallbacks_exist() {
        for line in TABLE.lines() {
            let entry = parse(line).unwrap_or_else(|| panic!("{line}"));
            if let Some(other) = entry.fallback() {
                assert!(find(other).is_some(), "{} falls back to {other}", entry.key);
            }
        }
    }

    /// What the PySpark client asks for by itself.
    #[test]
    fn settings_that_pyspark_reads_are_known() {
        for key in [
            "spark.sql.timestampType",
            "spark.sql.session.timeZone",
            "spark.sql.session.localRelationCacheThreshold",
            "spark.sql.session.localRelationChunkSizeRows",
            "spark.sql.session.localRelationChunkSizeBytes",
            "spark.sql.session.localRelationBatchOfChunksSizeBytes",
            "spark.sql.execution.pandas.convertToArrowArraySafely",
            "spark.sql.execution.pandas.inferPandasDictAsMap",
            "spark.sql.pyspark.inferNestedDictAsStruct.enabled",
            "spark.sql.pyspark.legacy.inferArrayTypeFromFirstElement.enabled",
            "spark.sql.pyspark.legacy.inferMapTypeFromFirstPair.enabled",
            "spark.sql.execution.arrow.useLargeVarTypes",
            "spark.sql.execution.pandas.structHandlingMode",
            "spark.sql.execution.arrow.pyspark.selfDestruct.enabled",
            "spark.sql.execution.pyspark.binaryAsBytes",
            "spark.sql.execution.pythonUDF.arrow.enabled",
            "spark.sql.pyspark.jvmStacktrace.enabled",
            "spark.sql.connect.serverStacktrace.enabled",
            "spark.python.sql.dataFrameDebugging.enabled",
            "spark.sql.repl.eagerEval.enabled",
            "spark.sql.repl.eagerEval.maxNumRows",
            "spark.sql.repl.eagerEval.truncate",
            "spark.sql.crossJoin.enabled",
            "spark.sql.streaming.numRecentProgressUpdates",
        ] {
            assert!(find(key).is_some_and(|e| e.kind != Kind::Core), "{key}");
        }
    }
}
