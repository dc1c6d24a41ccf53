//! Offsets as Spark writes them in `offsets/N`: one line of JSON a source.

use std::fmt;

/// A source's position, kept as the exact JSON line of the offset log.
///
/// Two offsets are equal when their lines are; ordering is known only to the source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Offset(String);

impl Offset {
    /// Wraps a line of JSON (no newline inside).
    pub fn new(json: impl Into<String>) -> Self {
        Self(json.into())
    }

    /// The line as written to the log.
    pub fn json(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
