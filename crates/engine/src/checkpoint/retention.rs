//! How much of the past stays in logs.

/// What a query keeps, by the session's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// `spark.sql.streaming.minBatchesToRetain`: batches that can be gone back to.
    pub min_batches: i64,
    /// The logs of file sources, `spark.sql.streaming.fileSource.log.*`.
    pub source_log: LogRetention,
    /// The log of a file sink, `spark.sql.streaming.fileSink.log.*`.
    pub sink_log: LogRetention,
}

impl Default for Retention {
    fn default() -> Self {
        let log = LogRetention::default();
        Self { min_batches: log.min_batches, source_log: log, sink_log: log }
    }
}

/// What a log that compacts itself keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRetention {
    /// Numbers that stay, at least.
    pub min_batches: i64,
    /// `compactInterval`: every so many numbers one file takes in all before it.
    pub compact_interval: i64,
    /// `cleanupDelay`: milliseconds a file lives on after a compaction covered it.
    pub cleanup_delay_ms: i64,
    /// `deletion`: whether anything is removed at all.
    pub deletion: bool,
}

impl Default for LogRetention {
    fn default() -> Self {
        Self { min_batches: 100, compact_interval: 10, cleanup_delay_ms: 10 * 60 * 1000, deletion: true }
    }
}
