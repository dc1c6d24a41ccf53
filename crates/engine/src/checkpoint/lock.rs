//! One run per checkpoint at a time, across processes.
//!
//! An advisory lock on `_millstream/lock`, held while the [`CheckpointLock`] lives. The
//! system releases it when the process dies, however it dies, so a killed run never bars
//! its successor. Spark differs: it notices a second run only when both write one batch.

use std::path::Path;

use super::storage::{LockGuard, StorageRef, write_failed};
use crate::{Result, SparkError};

/// The right to run on a checkpoint; dropping it gives the right back.
pub struct CheckpointLock {
    _guard: LockGuard,
}

impl std::fmt::Debug for CheckpointLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CheckpointLock")
    }
}

impl CheckpointLock {
    /// Takes the lock file `path`.
    ///
    /// # Errors
    /// `CONCURRENT_QUERY` while another run, of this process or another, holds it.
    pub fn acquire(storage: &StorageRef, path: &Path) -> Result<Self> {
        match storage.try_lock(path).map_err(|e| write_failed(path, e))? {
            Some(guard) => Ok(Self { _guard: guard }),
            None => Err(SparkError::new("CONCURRENT_QUERY")),
        }
    }
}
