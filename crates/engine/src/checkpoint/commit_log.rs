//! `commits/<N>`: batch `N` is finished.
//!
//! Layout (v1): `v1`, then `{"nextBatchWatermarkMs":<ms>}`, the watermark after the events
//! of batch `N` were seen.

use serde::{Deserialize, Serialize};

use super::{
    metadata_log::{MetadataLog, damaged, refused},
    storage::PreparedFile,
};
use crate::{Result, SparkError, query::BatchId};

/// What a finished batch leaves to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CommitMetadata {
    /// Global watermark for the next batch, in milliseconds.
    #[serde(rename = "nextBatchWatermarkMs", default)]
    pub next_batch_watermark_ms: i64,
}

/// The files `commits/<N>`.
#[derive(Debug)]
pub struct CommitLog {
    log: MetadataLog,
}

impl CommitLog {
    pub(super) fn new(log: MetadataLog) -> Self {
        Self { log }
    }

    /// Marks `batch` as finished, durably.
    ///
    /// # Errors
    /// `CONCURRENT_STREAM_LOG_UPDATE` when it is finished already;
    /// `STREAMING_CHECKPOINT_LOG_WRITE_FAILURE.COMMIT_LOG` when it cannot be written.
    pub fn add(&self, batch: BatchId, metadata: &CommitMetadata) -> Result<()> {
        self.finish(batch, self.prepare(batch, metadata)?)
    }

    /// Writes the mark of `batch` in advance: it means nothing before
    /// [`CommitLog::finish`].
    ///
    /// # Errors
    /// `STREAMING_CHECKPOINT_LOG_WRITE_FAILURE.COMMIT_LOG`.
    pub fn prepare(&self, batch: BatchId, metadata: &CommitMetadata) -> Result<PreparedFile> {
        let json = serde_json::to_string(metadata)
            .map_err(|e| SparkError::internal("commit metadata is no JSON").caused_by(e))?;
        self.log.prepare(batch, &format!("v1\n{json}"), || self.failed(batch))
    }

    /// Marks `batch` as finished, durably, by what was prepared for it.
    ///
    /// # Errors
    /// As [`CommitLog::add`].
    pub fn finish(&self, batch: BatchId, prepared: PreparedFile) -> Result<()> {
        prepared.create().map_err(|e| refused(batch, e, || self.failed(batch)))
    }

    fn failed(&self, batch: BatchId) -> SparkError {
        SparkError::new("STREAMING_CHECKPOINT_LOG_WRITE_FAILURE.COMMIT_LOG")
            .with("batchId", batch.to_string())
            .with("checkpointLocation", self.log.checkpoint_location())
    }

    /// What `batch` left, `None` when it is not finished.
    ///
    /// # Errors
    /// The file is damaged or of a later version.
    pub fn get(&self, batch: BatchId) -> Result<Option<CommitMetadata>> {
        let Some(lines) = self.log.read(batch)? else { return Ok(None) };
        match lines.first().map(String::as_str) {
            // Spark's first versions wrote `{}` or nothing.
            None | Some("") => Ok(Some(CommitMetadata::default())),
            Some(json) => serde_json::from_str(json).map(Some).map_err(|e| damaged(&self.log.path(batch), e)),
        }
    }

    /// The last finished batch.
    ///
    /// # Errors
    /// As [`CommitLog::get`].
    pub fn latest(&self) -> Result<Option<(BatchId, CommitMetadata)>> {
        let Some(batch) = self.log.latest()? else { return Ok(None) };
        Ok(self.get(batch)?.map(|metadata| (batch, metadata)))
    }

    /// Batches on disk, ascending.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn batches(&self) -> Result<Vec<BatchId>> {
        self.log.batches()
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
