//! The session settings a query was started with.

use std::collections::BTreeMap;

/// `spark.*` settings by full name, as they stood when the query was started; a restart
/// overrides those that the checkpoint froze.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryConf(BTreeMap<String, String>);

impl QueryConf {
    /// Takes settings; later ones win.
    pub fn new(settings: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(settings.into_iter().collect())
    }

    /// The value of a setting that was set.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Overrides a setting.
    pub fn set(&mut self, key: &str, value: &str) {
        self.0.insert(key.to_string(), value.to_string());
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        match self.get(key) {
            Some(value) => value.trim().eq_ignore_ascii_case("true"),
            None => default,
        }
    }

    fn number(&self, key: &str, default: i64) -> i64 {
        self.get(key).and_then(|value| value.trim().parse().ok()).unwrap_or(default)
    }

    /// Whether a batch without data may run to emit or evict state.
    pub(crate) fn no_data_batches(&self) -> bool {
        self.flag("spark.sql.streaming.noDataMicroBatches.enabled", true)
    }

    /// Whether starting a checkpoint that is running stops the old run.
    pub(crate) fn stop_active_run_on_restart(&self) -> bool {
        self.flag("spark.sql.streaming.stopActiveRunOnRestart", true)
    }

    /// Whether illegal plans are refused (Spark's own tests switch it off).
    pub(crate) fn unsupported_operation_check(&self) -> bool {
        self.flag("spark.sql.streaming.unsupportedOperationCheck", true)
    }

    /// Whether sessions of a batch merge before late ones are dropped.
    pub(crate) fn merge_sessions_in_local_partition(&self) -> bool {
        self.flag("spark.sql.streaming.sessionWindow.merge.sessions.in.local.partition", false)
    }

    /// Spark's number of shuffle partitions, frozen in the checkpoint.
    pub(crate) fn shuffle_partitions(&self) -> usize {
        usize::try_from(self.number("spark.sql.shuffle.partitions", 200)).unwrap_or(200)
    }

    /// How many progress updates are kept.
    pub(crate) fn progress_retention(&self) -> usize {
        usize::try_from(self.number("spark.sql.streaming.numRecentProgressUpdates", 100)).unwrap_or(0)
    }

    /// Milliseconds without data after which an idle event is sent.
    pub(crate) fn idle_interval_ms(&self) -> i64 {
        self.number("spark.sql.streaming.noDataProgressEventInterval", 10_000)
    }

    /// Parent of checkpoints of queries that name none.
    pub(crate) fn checkpoint_root(&self) -> Option<&str> {
        self.get("spark.sql.streaming.checkpointLocation")
    }

    /// `min` or `max`.
    pub(crate) fn watermark_policy(&self) -> &str {
        self.get("spark.sql.streaming.multipleWatermarkPolicy").unwrap_or("min")
    }

    /// Whether a temporary checkpoint goes even when the query failed.
    pub(crate) fn force_delete_temporary_checkpoint(&self) -> bool {
        self.flag("spark.sql.streaming.forceDeleteTempCheckpointLocation", false)
    }
}
