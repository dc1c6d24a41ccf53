//! `offsets/<N>`: the write-ahead log; what batch `N` will read, and under which settings.
//!
//! Layout (v1): `v1`, a line of metadata JSON, then one line a source in plan order, left
//! to right: its offset JSON, or `-` while it has none. The settings in `conf` are frozen:
//! a restart takes them from the last file, not from the session.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};

use super::metadata_log::{MetadataLog, damaged};
use crate::{Result, SparkError, query::BatchId, source::Offset};

/// What one batch reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetSeq {
    /// Watermark, trigger time and frozen settings.
    pub metadata: OffsetSeqMetadata,
    /// By source, in plan order: where the batch ends; `None` while the source has nothing.
    pub offsets: Vec<Option<Offset>>,
}

/// Line 2 of an offset file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OffsetSeqMetadata {
    /// Global event-time watermark in force during the batch, 0 before any.
    #[serde(rename = "batchWatermarkMs", default)]
    pub batch_watermark_ms: i64,
    /// Trigger time: `current_timestamp()` of the batch, also when it is run again.
    #[serde(rename = "batchTimestampMs", default)]
    pub batch_timestamp_ms: i64,
    /// Frozen settings by full name.
    #[serde(default, serialize_with = "in_spark_order")]
    pub conf: BTreeMap<String, String>,
}

/// A setting that the offset log freezes.
#[derive(Debug, Clone, Copy)]
pub struct FrozenConf {
    /// Full name.
    pub key: &'static str,
    /// Spark 4.3's default, written when the session has no value of its own.
    pub default: &'static str,
    /// What a restart assumes when the file lacks the entry; `None`: the session's value.
    pub if_missing: Option<&'static str>,
}

macro_rules! frozen {
    ($($key:literal $default:literal $missing:expr;)*) => {
        /// The 17 settings Spark 4.3 freezes, in the order it writes them.
        pub const FROZEN_CONF: &[FrozenConf] =
            &[$(FrozenConf { key: concat!("spark.sql.", $key), default: $default, if_missing: $missing },)*];
    };
}

frozen! {
    "streaming.stateStore.providerClass" "org.apache.spark.sql.execution.streaming.state.HDFSBackedStateStoreProvider" None;
    "dropDuplicates.deterministicKeyOrder.enabled" "true" Some("false");
    "streaming.stateStore.rocksdb.mergeOperatorVersion" "2" Some("1");
    "streaming.stateStore.rocksdb.formatVersion" "5" None;
    "streaming.queryEvolution.enableSourceEvolution" "false" Some("false");
    "streaming.stateStore.encodingFormat" "unsaferow" Some("unsaferow");
    "streaming.statefulOperator.useStrictDistribution" "true" Some("false");
    "streaming.flatMapGroupsWithState.stateFormatVersion" "2" Some("1");
    "streaming.multipleWatermarkPolicy" "min" Some("min");
    "streaming.stateStore.rowChecksum.enabled" "false" Some("false");
    "streaming.statefulOperator.alwaysNullableOutput.enabled" "true" Some("false");
    "streaming.aggregation.stateFormatVersion" "2" Some("1");
    "function.protobufExtensions.enabled" "false" Some("false");
    "shuffle.partitions" "200" None;
    "streaming.join.stateFormatVersion" "2" Some("1");
    "streaming.stateStore.compression.codec" "lz4" Some("lz4");
    "optimizer.pruneFiltersCanPruneStreamingSubplan" "false" Some("true");
}

impl OffsetSeqMetadata {
    /// Freezes the settings of a session: `get` answers with its own values.
    pub fn freeze(get: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
        let value = |c: &FrozenConf| get(c.key).unwrap_or_else(|| c.default.to_string());
        FROZEN_CONF.iter().map(|c| (c.key.to_string(), value(c))).collect()
    }

    /// The settings a restart must run under: what the file says, else what Spark assumes
    /// for files of older versions. A key that is absent here keeps the session's value.
    pub fn resumed_conf(&self) -> BTreeMap<String, String> {
        let value =
            |c: &FrozenConf| self.conf.get(c.key).cloned().or_else(|| Some(c.if_missing?.to_string()));
        FROZEN_CONF.iter().filter_map(|c| Some((c.key.to_string(), value(c)?))).collect()
    }
}

/// Spark's own keys in Spark's order, others after them by name.
fn in_spark_order<S: Serializer>(conf: &BTreeMap<String, String>, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(conf.len()))?;
    for frozen in FROZEN_CONF {
        if let Some(value) = conf.get(frozen.key) {
            map.serialize_entry(frozen.key, value)?;
        }
    }
    for (key, value) in conf {
        if !FROZEN_CONF.iter().any(|f| f.key == key) {
            map.serialize_entry(key, value)?;
        }
    }
    map.end()
}

/// The files `offsets/<N>`.
#[derive(Debug)]
pub struct OffsetLog {
    log: MetadataLog,
}

impl OffsetLog {
    pub(super) fn new(log: MetadataLog) -> Self {
        Self { log }
    }

    /// Logs, durably, what `batch` will read.
    ///
    /// # Errors
    /// `CONCURRENT_STREAM_LOG_UPDATE` when the batch is logged already;
    /// `STREAMING_CHECKPOINT_LOG_WRITE_FAILURE.OFFSET_LOG` when it cannot be written.
    pub fn add(&self, batch: BatchId, offsets: &OffsetSeq) -> Result<()> {
        self.log.add(batch, &encode(offsets)?, || {
            SparkError::new("STREAMING_CHECKPOINT_LOG_WRITE_FAILURE.OFFSET_LOG")
                .with("batchId", batch.to_string())
                .with("checkpointLocation", self.log.checkpoint_location())
        })
    }

    /// What `batch` reads; `None` when it is not logged (or purged).
    ///
    /// # Errors
    /// The file is damaged or of a later version: the checkpoint is unusable as it is.
    pub fn get(&self, batch: BatchId) -> Result<Option<OffsetSeq>> {
        let Some(lines) = self.log.read(batch)? else { return Ok(None) };
        decode(&lines).map(Some).map_err(|what| damaged(&self.log.path(batch), what))
    }

    /// The greatest logged batch.
    ///
    /// # Errors
    /// As [`OffsetLog::get`].
    pub fn latest(&self) -> Result<Option<(BatchId, OffsetSeq)>> {
        let Some(batch) = self.log.latest()? else { return Ok(None) };
        Ok(self.get(batch)?.map(|offsets| (batch, offsets)))
    }

    /// Batches on disk, ascending.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn batches(&self) -> Result<Vec<BatchId>> {
        self.log.batches()
    }

    /// Takes back the plan of `batch`, durably.
    ///
    /// # Errors
    /// `TASK_WRITE_FAILED`.
    pub(super) fn remove(&self, batch: BatchId) -> Result<()> {
        self.log.remove(batch)
    }

    /// Removes batches before `oldest`.
    ///
    /// # Errors
    /// A file cannot be removed; harmless.
    pub fn purge(&self, oldest: BatchId) -> Result<()> {
        self.log.purge(oldest)
    }

    pub(super) fn log(&self) -> &MetadataLog {
        &self.log
    }
}

fn encode(seq: &OffsetSeq) -> Result<String> {
    let metadata = serde_json::to_string(&seq.metadata)
        .map_err(|e| SparkError::internal("offset metadata is no JSON").caused_by(e))?;
    let mut text = format!("v1\n{metadata}");
    for offset in &seq.offsets {
        text.push('\n');
        text.push_str(offset.as_ref().map_or("-", Offset::json));
    }
    Ok(text)
}

fn decode(lines: &[String]) -> Result<OffsetSeq, String> {
    let (metadata, offsets) = lines.split_first().ok_or("Incomplete log file")?;
    // Spark's first versions wrote an empty line here.
    let metadata = match metadata.as_str() {
        "" => OffsetSeqMetadata::default(),
        json => serde_json::from_str(json).map_err(|e| format!("offset metadata: {e}"))?,
    };
    let offsets = offsets.iter().map(|line| (line != "-").then(|| Offset::new(line))).collect();
    Ok(OffsetSeq { metadata, offsets })
}
