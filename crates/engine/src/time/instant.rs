//! Instants as Spark's logs write them: milliseconds since the epoch.

use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z; Spark's unit for triggers and watermarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub i64);

impl Millis {
    /// The epoch; also Spark's watermark before any event was seen.
    pub const ZERO: Millis = Millis(0);

    /// The same instant in microseconds, Arrow's unit for Spark timestamps.
    pub fn as_micros(self) -> i64 {
        self.0.saturating_mul(1000)
    }

    /// The instant of a microsecond timestamp, rounded down as Spark does.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.div_euclid(1000))
    }
}

/// Prints as Spark's progress JSON does: `2024-01-01T00:00:00.000Z`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp_millis(self.0) {
            Some(t) => write!(f, "{}", t.format("%Y-%m-%dT%H:%M:%S%.3fZ")),
            None => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_like_spark_and_rounds_down() {
        assert_eq!(Millis(1_704_067_200_123).to_string(), "2024-01-01T00:00:00.123Z");
        assert_eq!(Millis::from_micros(-1), Millis(-1));
        assert_eq!(Millis::from_micros(1999), Millis(1));
    }
}
