//! The checkpoint directory: logs in Spark's formats, all durable bytes through one seam.
//!
//! ```text
//! metadata                query id, written once
//! offsets/<N>             what batch N will read, written before it runs
//! commits/<N>             batch N finished
//! sources/<i>/...         logs of the sources themselves
//! state/<op>/...          operator state, our own format
//! _millstream/lock        one run at a time
//! _millstream/origin      how far Spark had come when the checkpoint came to us
//! ```
//!
//! Names and contents of the first four are Spark 4.3's, so that Spark can resume them.

mod commit_log;
mod compactible_log;
mod file_source_log;
mod file_uri;
mod lock;
mod metadata;
mod metadata_log;
mod offset_log;
mod retention;
pub mod storage;

use std::path::{Path, PathBuf};

use uuid::Uuid;

pub use commit_log::{CommitLog, CommitMetadata};
pub use compactible_log::CompactibleLog;
pub use file_source_log::{FileEntry, FileSourceLog};
pub use file_uri::{from_uri, to_uri};
pub use lock::CheckpointLock;
pub use offset_log::{FROZEN_CONF, FrozenConf, OffsetLog, OffsetSeq, OffsetSeqMetadata};
pub use retention::{LogRetention, Retention};
pub use storage::{FileInfo, LocalStorage, Storage, StorageRef};

use crate::{Result, SparkError, query::BatchId};
use metadata::StreamMetadata;
use metadata_log::MetadataLog;
use storage::read_failed;

/// An open checkpoint: its identity, its logs, and the lock that keeps others out.
///
/// Dropping it releases the lock: a successor in the same process must wait for that.
#[derive(Debug)]
pub struct Checkpoint {
    storage: StorageRef,
    root: PathBuf,
    id: Uuid,
    is_new: bool,
    adopted: Option<BatchId>,
    retention: Retention,
    _lock: CheckpointLock,
    /// `offsets/`.
    pub offsets: OffsetLog,
    /// `commits/`.
    pub commits: CommitLog,
}

/// The logs of a checkpoint, for those who only look: nothing is locked or created.
pub fn logs_of(storage: &StorageRef, root: &Path) -> (OffsetLog, CommitLog) {
    let log = |name| MetadataLog::new(storage.clone(), root.join(name));
    (OffsetLog::new(log("offsets")), CommitLog::new(log("commits")))
}

/// Where a restart continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restart {
    /// Nothing was ever planned: start with batch 0.
    Fresh,
    /// `batch` was planned and not finished: run it again as it was planned.
    Rerun {
        /// The batch to run again.
        batch: BatchId,
        /// Where it ends, with its watermark, timestamp and settings.
        offsets: OffsetSeq,
        /// The batch before it, where it starts; `None` for batch 0.
        previous: Option<OffsetSeq>,
    },
    /// `batch` is finished: plan the next one.
    After {
        /// The finished batch.
        batch: BatchId,
        /// Where it ended; the watermark is the greater of this and the commit's.
        offsets: OffsetSeq,
        /// What it left to the next batch.
        commit: CommitMetadata,
    },
}

impl Checkpoint {
    /// Opens the checkpoint in `path`, creating what is missing, and locks it.
    ///
    /// # Errors
    /// - `CONCURRENT_QUERY`: another run holds it; stop that one.
    /// - `STREAMING_CHECKPOINT_MISSING_METADATA_FILE`: offsets or commits without an id.
    /// - `FAILED_READ_FILE`, `TASK_WRITE_FAILED`: not accessible or damaged.
    pub fn open(storage: StorageRef, path: impl Into<PathBuf>) -> Result<Self> {
        let root = path.into();
        let lock = CheckpointLock::acquire(&storage, &root.join("_millstream/lock"))?;
        let log = |name| MetadataLog::new(storage.clone(), root.join(name));
        let (offsets, commits) = (OffsetLog::new(log("offsets")), CommitLog::new(log("commits")));

        let metadata = root.join("metadata");
        let known = StreamMetadata::read(&storage, &metadata)?;
        let id = match known {
            Some(id) => id,
            None => {
                if offsets.log().latest()?.is_some() || commits.log().latest()?.is_some() {
                    return Err(SparkError::new("STREAMING_CHECKPOINT_MISSING_METADATA_FILE")
                        .with("checkpointLocation", format!("file:{}", root.display())));
                }
                let id = Uuid::new_v4();
                StreamMetadata::write(&storage, &metadata, id)?;
                id
            }
        };
        let adopted = adopted(&storage, &root.join("_millstream/origin"), &offsets)?;
        let checkpoint = Self {
            storage,
            root,
            id,
            is_new: known.is_none(),
            adopted,
            retention: Retention::default(),
            _lock: lock,
            offsets,
            commits,
        };
        for dir in [checkpoint.offsets.log().dir(), checkpoint.commits.log().dir()] {
            checkpoint.remove_litter(dir)?;
        }
        Ok(checkpoint)
    }

    /// The same checkpoint, keeping as much of the past as `retention` says.
    #[must_use]
    pub fn with_retention(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// How much of the past stays.
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// The query id, the same in every run.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Whether this run created the checkpoint.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The last batch that Spark had planned when the checkpoint came to us; `None` for a
    /// checkpoint of our own.
    pub fn adopted(&self) -> Option<BatchId> {
        self.adopted
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Where the bytes go.
    pub fn storage(&self) -> &StorageRef {
        &self.storage
    }

    /// `state/<op>`, the directory of a stateful operator.
    pub fn state_dir(&self, operator: usize) -> PathBuf {
        self.root.join("state").join(operator.to_string())
    }

    /// `sources/<i>`, the directory of a source's own log.
    pub fn source_dir(&self, source: usize) -> PathBuf {
        self.root.join("sources").join(source.to_string())
    }

    /// Where this run continues, by Spark's restart rules.
    ///
    /// # Errors
    /// `BATCH_METADATA_NOT_FOUND` when the batch before the last planned one is missing;
    /// damaged logs.
    pub fn restart(&self) -> Result<Restart> {
        let Some((batch, offsets)) = self.offsets.latest()? else { return Ok(Restart::Fresh) };
        let previous = match batch.previous() {
            None => None,
            Some(before) => Some(self.offsets.get(before)?.ok_or_else(|| {
                let path = self.offsets.log().path(before);
                SparkError::new("BATCH_METADATA_NOT_FOUND").with("batchMetadataFile", to_uri(&path))
            })?),
        };
        match self.commits.get(batch)? {
            Some(commit) => Ok(Restart::After { batch, offsets, commit }),
            None => Ok(Restart::Rerun { batch, offsets, previous }),
        }
    }

    /// Takes back the plan of the last batch: its offsets were written beside a source's log
    /// that did not survive, so nothing of the batch was ever seen.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` for a batch that is finished; `TASK_WRITE_FAILED`.
    pub fn forget_plan(&self, batch: BatchId) -> Result<()> {
        if self.commits.get(batch)?.is_some() {
            return Err(SparkError::internal(format!("batch {batch} is finished and cannot be forgotten")));
        }
        self.offsets.remove(batch)
    }

    /// Removes the checkpoint with everything in it: what a temporary one is for.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn delete(self) -> Result<()> {
        self.storage.delete_dir_all(&self.root).map_err(|e| storage::write_failed(&self.root, e))
    }

    /// Removes log entries that are no longer needed once `batch` is committed.
    ///
    /// # Errors
    /// A file cannot be removed; harmless.
    pub fn purge(&self, batch: BatchId) -> Result<()> {
        let oldest = BatchId(batch.0 - self.retention.min_batches);
        if oldest.0 <= 0 {
            return Ok(());
        }
        self.offsets.purge(oldest)?;
        self.commits.purge(oldest)
    }

    /// Temporary files of a writer that was killed.
    fn remove_litter(&self, dir: &Path) -> Result<()> {
        for file in self.storage.list(dir).map_err(|e| read_failed(dir, e))? {
            if file.name.starts_with('.') && file.name.ends_with(".tmp") {
                let path = dir.join(&file.name);
                self.storage.delete(&path).map_err(|e| storage::write_failed(&path, e))?;
            }
        }
        Ok(())
    }
}

/// Reads `_millstream/origin` or, at our first sight of the checkpoint, writes it: the
/// last batch planned before, or nothing.
fn adopted(storage: &StorageRef, path: &Path, offsets: &OffsetLog) -> Result<Option<BatchId>> {
    match storage.read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            match text.strip_prefix("v1\n").map(str::trim) {
                Some("-") => Ok(None),
                Some(number) => {
                    let number = number.parse().map_err(|e| metadata_log::damaged(path, e))?;
                    Ok(Some(BatchId(number)))
                }
                None => Err(metadata_log::damaged(path, "no v1 line")),
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let adopted = offsets.log().latest()?;
            let number = adopted.map_or("-".to_string(), |batch| batch.to_string());
            let text = format!("v1\n{number}");
            storage.write_atomic(path, text.as_bytes()).map_err(|e| storage::write_failed(path, e))?;
            Ok(adopted)
        }
        Err(e) => Err(read_failed(path, e)),
    }
}

#[cfg(test)]
mod tests;
