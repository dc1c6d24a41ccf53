//! `metadata`: the identity of a query, `{"id":"<uuid>"}`, written once.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    metadata_log::damaged,
    storage::{StorageRef, read_failed, write_failed},
};
use crate::{Result, SparkError};

/// What identifies a query over all its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamMetadata {
    /// The query id; a run id is new with each run.
    pub id: String,
}

impl StreamMetadata {
    /// The metadata in `path`, `None` when there is none.
    ///
    /// # Errors
    /// The file is unreadable or holds no query id.
    pub fn read(storage: &StorageRef, path: &Path) -> Result<Option<Uuid>> {
        let bytes = match storage.read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(read_failed(path, e)),
        };
        let metadata: Self = serde_json::from_slice(&bytes).map_err(|e| damaged(path, e))?;
        Uuid::parse_str(&metadata.id).map(Some).map_err(|e| damaged(path, e))
    }

    /// Writes the metadata of a new query.
    ///
    /// # Errors
    /// `TASK_WRITE_FAILED`.
    pub fn write(storage: &StorageRef, path: &Path, id: Uuid) -> Result<()> {
        let json = serde_json::to_vec(&Self { id: id.to_string() })
            .map_err(|e| SparkError::internal("query metadata is no JSON").caused_by(e))?;
        storage.create_exclusive(path, &json).map_err(|e| write_failed(path, e))
    }
}
