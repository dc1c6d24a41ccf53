//! A log of small text files named by batch, as Spark's `HDFSMetadataLog`.
//!
//! Layout: `<dir>/<N>`, UTF-8 lines joined by `\n`, no newline at the end; line 1 is `v1`.
//! Names that are no decimal numbers (temporary files, checksums) are ignored. A file is
//! created once and never replaced: one that exists means another query runs here.

use std::{
    io,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use super::storage::{PreparedFile, StorageRef, read_failed};
use crate::{Result, SparkError, query::BatchId};

/// The files of one log.
#[derive(Debug)]
pub struct MetadataLog {
    storage: StorageRef,
    dir: PathBuf,
    /// Everything below was purged by this run.
    purged: Mutex<Option<i64>>,
}

impl MetadataLog {
    /// The log in `dir`, which need not exist yet.
    pub fn new(storage: StorageRef, dir: PathBuf) -> Self {
        Self { storage, dir, purged: Mutex::new(None) }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The checkpoint the log is part of, as Spark's messages show it.
    pub fn checkpoint_location(&self) -> String {
        format!("file:{}", self.dir.parent().unwrap_or(&self.dir).display())
    }

    /// Path of a batch's file.
    pub fn path(&self, batch: BatchId) -> PathBuf {
        self.dir.join(batch.to_string())
    }

    /// Batches on disk, ascending.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn batches(&self) -> Result<Vec<BatchId>> {
        let entries = self.storage.list(&self.dir).map_err(|e| read_failed(&self.dir, e))?;
        let mut batches: Vec<_> =
            entries.iter().filter(|e| !e.is_dir).filter_map(|e| batch_number(&e.name)).map(BatchId).collect();
        batches.sort_unstable();
        Ok(batches)
    }

    /// The greatest batch on disk.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn latest(&self) -> Result<Option<BatchId>> {
        Ok(self.batches()?.pop())
    }

    /// The lines after the version line, `None` when the batch has no file.
    ///
    /// # Errors
    /// `MALFORMED_LOG_FILE` or `INVALID_LOG_VERSION.*` for a first line that is not `v1`.
    pub fn read(&self, batch: BatchId) -> Result<Option<Vec<String>>> {
        let path = self.path(batch);
        match self.storage.read(&path) {
            Ok(bytes) => Ok(Some(versioned_lines(&path, bytes)?)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(read_failed(&path, e)),
        }
    }

    /// Creates the file of `batch`.
    ///
    /// # Errors
    /// `CONCURRENT_STREAM_LOG_UPDATE` when it exists; otherwise what `failed` makes of it.
    pub fn add(&self, batch: BatchId, text: &str, failed: impl FnOnce() -> SparkError) -> Result<()> {
        self.storage
            .create_exclusive(&self.path(batch), text.as_bytes())
            .map_err(|e| refused(batch, e, failed))
    }

    /// Writes the file of `batch` without giving it its name yet.
    ///
    /// # Errors
    /// What `failed` makes of the storage's.
    pub fn prepare(
        &self,
        batch: BatchId,
        text: &str,
        failed: impl FnOnce() -> SparkError,
    ) -> Result<PreparedFile> {
        PreparedFile::write(self.storage.clone(), self.path(batch), text.as_bytes())
            .map_err(|e| failed().caused_by(e))
    }

    /// Removes the file of `batch`, durably.
    ///
    /// # Errors
    /// `TASK_WRITE_FAILED`.
    pub fn remove(&self, batch: BatchId) -> Result<()> {
        let path = self.path(batch);
        let removed = self.storage.delete(&path).and_then(|()| self.storage.sync_dir(&self.dir));
        removed.map_err(|e| super::storage::write_failed(&path, e))
    }

    /// Removes the files of batches before `oldest`. Lists the directory once a run.
    ///
    /// # Errors
    /// A file cannot be removed; nothing depends on it being gone.
    pub fn purge(&self, oldest: BatchId) -> Result<()> {
        let mut purged = self.purged.lock();
        let expired: Vec<_> = match *purged {
            Some(from) => (from..oldest.0).map(BatchId).collect(),
            None => self.batches()?.into_iter().filter(|b| *b < oldest).collect(),
        };
        for batch in expired {
            let path = self.path(batch);
            self.storage.delete(&path).map_err(|e| super::storage::write_failed(&path, e))?;
        }
        *purged = Some(oldest.0.max(purged.unwrap_or(i64::MIN)));
        Ok(())
    }
}

/// The error of a file that could not get its name.
pub(super) fn refused(batch: BatchId, cause: io::Error, failed: impl FnOnce() -> SparkError) -> SparkError {
    if cause.kind() == io::ErrorKind::AlreadyExists {
        concurrent_update(batch)
    } else {
        failed().caused_by(cause)
    }
}

/// Two runs write the same batch.
pub fn concurrent_update(batch: BatchId) -> SparkError {
    SparkError::new("CONCURRENT_STREAM_LOG_UPDATE").with("batchId", batch.to_string())
}

/// The number a file name spells, as Java's `toLong` reads plain digits.
pub(super) fn batch_number(name: &str) -> Option<i64> {
    if name.starts_with('+') { None } else { name.parse().ok().filter(|n| *n >= 0) }
}

/// Splits off and checks the `v1` line.
pub(super) fn versioned_lines(path: &Path, bytes: Vec<u8>) -> Result<Vec<String>> {
    let text = String::from_utf8(bytes)
        .map_err(|e| read_failed(path, io::Error::new(io::ErrorKind::InvalidData, e)))?;
    let mut lines = text.split('\n').map(str::to_string);
    let version = lines.next().unwrap_or_default();
    check_version(&version)?;
    Ok(lines.collect())
}

fn check_version(line: &str) -> Result<()> {
    match line.strip_prefix('v').and_then(|v| v.parse::<u32>().ok()) {
        Some(1) => Ok(()),
        Some(version) if version > 1 => Err(SparkError::new("INVALID_LOG_VERSION.MAX_SUPPORTED_VERSION")
            .with("maxSupportedVersion", "1")
            .with("version", version.to_string())),
        _ => Err(SparkError::new("MALFORMED_LOG_FILE").with("text", line)),
    }
}

/// A line that is not the JSON it should be: the checkpoint is damaged.
pub(super) fn damaged(path: &Path, what: impl std::fmt::Display) -> SparkError {
    read_failed(path, io::Error::new(io::ErrorKind::InvalidData, what.to_string()))
}
