//! The session settings a query was started with.

use std::collections::BTreeMap;

use crate::{
    checkpoint::{LogRetention, Retention},
    time::time_setting_ms,
};

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

    /// Whether several stateful operators are refused in a mode where rows can get lost.
    pub(crate) fn correctness_check(&self) -> bool {
        self.flag("spark.sql.streaming.statefulOperator.checkCorrectness.enabled", true)
    }

    /// Spark's number of shuffle partitions, frozen in the checkpoint.
    pub(crate) fn shuffle_partitions(&self) -> usize {
        usize::try_from(self.number("spark.sql.shuffle.partitions", 200)).unwrap_or(200)
    }

    /// Spark's name of the codec for files of state.
    pub(crate) fn state_codec(&self) -> Option<&str> {
        self.get("spark.sql.streaming.stateStore.compression.codec")
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

    /// How much of the past stays in logs and state.
    pub(crate) fn retention(&self) -> Retention {
        let min_batches = self.number("spark.sql.streaming.minBatchesToRetain", 100);
        let log = |of: &str| {
            let key = |name: &str| format!("spark.sql.streaming.{of}.log.{name}");
            let standard = LogRetention::default();
            let delay = self.get(&key("cleanupDelay")).and_then(|text| time_setting_ms(text, 1));
            LogRetention {
                min_batches,
                compact_interval: self.number(&key("compactInterval"), standard.compact_interval),
                cleanup_delay_ms: delay.unwrap_or(standard.cleanup_delay_ms),
                deletion: self.flag(&key("deletion"), standard.deletion),
            }
        };
        Retention { min_batches, source_log: log("fileSource"), sink_log: log("fileSink") }
    }

    /// A setting, as `key=value`, that would change what a query does and has no effect here.
    pub(crate) fn without_effect(&self) -> Option<String> {
        // What each would have to be for Spark to do what is done here.
        const ONLY: [(&str, &str); 3] = [
            ("spark.sql.streaming.offsetLog.formatVersion", "1"),
            ("spark.sql.streaming.queryEvolution.enableSourceEvolution", "false"),
            ("spark.sql.streaming.statefulOperator.allowMultiple", "true"),
        ];
        ONLY.iter().find_map(|(key, only)| {
            let value = self.get(key)?;
            (!value.trim().eq_ignore_ascii_case(only)).then(|| format!("{key}={value}"))
        })
    }

    /// Whether a temporary checkpoint goes even when the query failed.
    pub(crate) fn force_delete_temporary_checkpoint(&self) -> bool {
        self.flag("spark.sql.streaming.forceDeleteTempCheckpointLocation", false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_that_of_the_settings() {
        assert_eq!(QueryConf::default().retention(), Retention::default());
        let set = [
            ("spark.sql.streaming.minBatchesToRetain", "3"),
            ("spark.sql.streaming.fileSource.log.cleanupDelay", "2m"),
            ("spark.sql.streaming.fileSink.log.compactInterval", "4"),
            ("spark.sql.streaming.fileSink.log.deletion", "false"),
        ];
        let conf = QueryConf::new(set.map(|(k, v)| (k.to_string(), v.to_string())));
        let Retention { min_batches, source_log, sink_log } = conf.retention();
        assert_eq!((min_batches, source_log.min_batches, source_log.cleanup_delay_ms), (3, 3, 120_000));
        assert_eq!((source_log.compact_interval, source_log.deletion), (10, true));
        assert_eq!((sink_log.compact_interval, sink_log.deletion), (4, false));
    }
}
