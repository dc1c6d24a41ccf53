//! `sources/<i>/<logOffset>`: the files a file source has taken, as Spark's
//! `FileStreamSourceLog`. It is also the set of files already seen, by path.
//!
//! One line a file: `{"path":"file:///dir/f.csv","timestamp":<mtime ms>,"batchId":<logOffset>}`.
//! Numbers are log offsets: they advance only when there are new files, and may differ
//! from the query's batch ids. A source's offset `{"logOffset":k}` means everything up to `k`.

use serde::{Deserialize, Serialize};

use super::{LogRetention, compactible_log::CompactibleLog, storage::StorageRef};
use crate::{Result, SparkError, query::BatchId, time::Millis};

/// One file taken by the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// URL-encoded absolute URI, see [`super::to_uri`].
    pub path: String,
    /// Modification time in milliseconds.
    pub timestamp: i64,
    /// The log offset under which it was taken.
    #[serde(rename = "batchId")]
    pub batch_id: i64,
}

/// The log of one file source.
#[derive(Debug)]
pub struct FileSourceLog {
    log: CompactibleLog<FileEntry>,
}

impl FileSourceLog {
    /// The log in `dir` (`sources/<i>`).
    pub fn new(storage: StorageRef, dir: std::path::PathBuf, retention: LogRetention) -> Self {
        Self { log: CompactibleLog::new(storage, dir, retention) }
    }

    /// The last log offset, `None` before any file was taken.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn latest(&self) -> Result<Option<i64>> {
        Ok(self.log.latest()?.map(|b| b.0))
    }

    /// Path of the file of `offset`, unless it is a compaction.
    pub fn path(&self, offset: i64) -> std::path::PathBuf {
        self.log.dir().join(offset.to_string())
    }

    /// Logs, durably, the files taken under `offset`; every entry's `batch_id` is `offset`.
    ///
    /// # Errors
    /// `CONCURRENT_STREAM_LOG_UPDATE` when the offset is logged already.
    pub fn add(&self, offset: i64, files: &[FileEntry]) -> Result<()> {
        self.log.add(BatchId(offset), files)
    }

    /// The files taken in `(start, end]` in log order; `start` is -1 for "from the beginning".
    ///
    /// # Errors
    /// `BATCH_METADATA_NOT_FOUND` when an offset in the range is missing.
    pub fn range(&self, start: i64, end: i64) -> Result<Vec<FileEntry>> {
        let mut files = Vec::new();
        for offset in start + 1..=end {
            let entries = self.log.get(BatchId(offset))?.ok_or_else(|| {
                let path = super::to_uri(&self.path(offset));
                SparkError::new("BATCH_METADATA_NOT_FOUND").with("batchMetadataFile", path)
            })?;
            files.extend(entries.into_iter().filter(|e| e.batch_id == offset));
        }
        Ok(files)
    }

    /// Every file ever taken, in log order.
    ///
    /// # Errors
    /// A file of the log is missing or damaged: the checkpoint is unusable.
    pub fn all(&self) -> Result<Vec<FileEntry>> {
        self.log.all()
    }

    /// Removes files of the log that a compaction covers and that are old enough.
    ///
    /// # Errors
    /// A file cannot be removed; harmless.
    pub fn expire(&self, now: Millis) -> Result<()> {
        match self.log.latest()? {
            Some(current) => self.log.expire(current, now),
            None => Ok(()),
        }
    }
}
