//! The change files and snapshots of one operator, `state/<operator>/`.
//!
//! # Invariants
//! - `<N>.change` leads from version `N - 1` to `N`; `<N>.snapshot` is all of version `N`.
//!   The change of a version is always written, before its snapshot.
//! - A batch that runs again writes the same files again.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use super::{FileKind, StateFile, StateSchema};
use crate::{
    Result, SparkError,
    checkpoint::storage::{StorageRef, read_failed, write_failed},
};

/// Names and reads the files of an operator's state. Calls block.
#[derive(Debug, Clone)]
pub struct StateLog {
    storage: StorageRef,
    dir: PathBuf,
}

impl StateLog {
    /// The log in `dir` (`<checkpoint>/state/<operator>`).
    pub fn new(storage: StorageRef, dir: PathBuf) -> Self {
        Self { storage, dir }
    }

    /// The operator's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The storage below.
    pub fn storage(&self) -> &StorageRef {
        &self.storage
    }

    /// Path of a file.
    pub fn path(&self, version: i64, kind: FileKind) -> PathBuf {
        self.dir.join(format!("{version}.{}", kind.extension()))
    }

    /// Writes a file, durably, replacing one that exists.
    ///
    /// # Errors
    /// The storage's, as a Spark error.
    pub fn write(&self, version: i64, kind: FileKind, bytes: &[u8]) -> Result<()> {
        let path = self.path(version, kind);
        self.storage.write_atomic(&path, bytes).map_err(|e| write_failed(&path, e))
    }

    /// The files that lead to `version`, in the order to apply them: a snapshot or nothing,
    /// then changes. Every file is checked, and refused if its schema is not `schema`.
    ///
    /// # Errors
    /// A missing file (`CANNOT_LOAD_STATE_STORE.CANNOT_READ_STREAMING_STATE_FILE`), a
    /// damaged one, or state of another query (see [`StateSchema::check`]).
    pub fn load(&self, version: i64, schema: &StateSchema) -> Result<Vec<(PathBuf, StateFile)>> {
        let base = self.versions(FileKind::Snapshot)?.range(..=version).next_back().copied();
        let mut files = Vec::new();
        if let Some(base) = base {
            files.push((base, FileKind::Snapshot));
        }
        files.extend((base.unwrap_or(0) + 1..=version).map(|v| (v, FileKind::Change)));
        let mut loaded = Vec::with_capacity(files.len());
        for (version, kind) in files {
            let path = self.path(version, kind);
            let bytes = self.storage.read(&path).map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => {
                    SparkError::new("CANNOT_LOAD_STATE_STORE.CANNOT_READ_STREAMING_STATE_FILE")
                        .with("fileToRead", path.display().to_string())
                        .caused_by(e)
                }
                _ => read_failed(&path, e),
            })?;
            let file = StateFile::decode(&path, &bytes)?;
            schema.check(&file.header.schema)?;
            if (file.header.version, file.header.kind) != (version, kind) {
                return Err(SparkError::new("CANNOT_LOAD_STATE_STORE.MILLSTREAM_DAMAGED_FILE")
                    .with("fileToRead", path.display().to_string())
                    .with(
                        "reason",
                        format!(
                            "it holds the {} of version {}",
                            file.header.kind.extension(),
                            file.header.version
                        ),
                    ));
            }
            loaded.push((path, file));
        }
        Ok(loaded)
    }

    /// Removes the files that no version from `oldest` on needs.
    ///
    /// # Errors
    /// The storage's, as a Spark error.
    pub fn purge(&self, oldest: i64) -> Result<()> {
        let snapshots = self.versions(FileKind::Snapshot)?;
        // Without a snapshot at or below it, the oldest version needs every change.
        let Some(base) = snapshots.range(..=oldest).next_back().copied() else { return Ok(()) };
        let changes = self.versions(FileKind::Change)?;
        let old = changes.range(..=base).map(|v| (*v, FileKind::Change));
        for (version, kind) in old.chain(snapshots.range(..base).map(|v| (*v, FileKind::Snapshot))) {
            let path = self.path(version, kind);
            self.storage.delete(&path).map_err(|e| write_failed(&path, e))?;
        }
        Ok(())
    }

    /// Changes since the newest snapshot at or below `version`.
    ///
    /// # Errors
    /// The storage's, as a Spark error.
    pub fn changes_since_snapshot(&self, version: i64) -> Result<i64> {
        Ok(version - self.versions(FileKind::Snapshot)?.range(..=version).next_back().copied().unwrap_or(0))
    }

    fn versions(&self, kind: FileKind) -> Result<BTreeSet<i64>> {
        let entries = self.storage.list(&self.dir).map_err(|e| read_failed(&self.dir, e))?;
        let version = |name: &str| {
            let (version, extension) = name.split_once('.')?;
            if extension != kind.extension() { None } else { version.parse().ok() }
        };
        Ok(entries.iter().filter(|e| !e.is_dir).filter_map(|e| version(&e.name)).collect())
    }
}
