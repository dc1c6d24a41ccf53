//! The change files and snapshots of one operator's store, `state/<operator>/`.
//!
//! A snapshot is written in parts, a few rows with each of many batches, so that no batch
//! pays for the whole state. `<N>.change` leads from version `N - 1` to `N`. A part
//! `<N>.<first>-<token>-<number>[-last].part` holds some of the rows version `N` has; all
//! parts of a snapshot together hold every row of version `first - 1` that no change from
//! `first` on has replaced or removed.
//!
//! # Invariants
//! - The change of a version is always written, before a part of that version.
//! - A batch that runs again writes the same change again; parts of another run have
//!   another token and never mix with its own.
//! - A version is restored from the newest snapshot whose parts are all there and not of
//!   later versions, and the changes from its `first` on; without one, from all changes.

use std::{
    collections::BTreeMap,
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

/// A file of a [`StateLog`]; in the order in which files are applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateFileName {
    /// The version the file belongs to.
    pub version: i64,
    /// The place in a snapshot; `None` for changes.
    pub part: Option<SnapshotPart>,
}

/// Which part of which snapshot a file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotPart {
    /// The first version whose change is needed beside the snapshot.
    pub first: i64,
    /// Tells snapshots of different runs apart.
    pub token: String,
    /// From 0.
    pub number: usize,
    /// Whether no part follows.
    pub is_last: bool,
}

/// A snapshot of which every part is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// See [`SnapshotPart::first`].
    pub first: i64,
    /// Version of the last part: versions before it cannot use the snapshot.
    pub end: i64,
    /// In order.
    pub parts: Vec<StateFileName>,
}

impl StateFileName {
    /// The change that leads to `version`.
    pub fn change(version: i64) -> Self {
        Self { version, part: None }
    }

    /// What the file's header says it is.
    pub fn kind(&self) -> FileKind {
        if self.part.is_some() { FileKind::Part } else { FileKind::Change }
    }

    fn parse(name: &str) -> Option<Self> {
        let (version, rest) = name.split_once('.')?;
        let version = version.parse().ok()?;
        if rest == "change" {
            return Some(Self::change(version));
        }
        let mut fields = rest.strip_suffix(".part")?.split('-');
        let part = SnapshotPart {
            first: fields.next()?.parse().ok()?,
            token: fields.next()?.to_string(),
            number: fields.next()?.parse().ok()?,
            is_last: fields.next().is_some(),
        };
        Some(Self { version, part: Some(part) })
    }
}

impl std::fmt::Display for StateFileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.part {
            None => write!(f, "{}.change", self.version),
            Some(SnapshotPart { first, token, number, is_last }) => {
                let last = if *is_last { "-last" } else { "" };
                write!(f, "{}.{first}-{token}-{number}{last}.part", self.version)
            }
        }
    }
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
    pub fn path(&self, name: &StateFileName) -> PathBuf {
        self.dir.join(name.to_string())
    }

    /// Writes a file, durably, replacing one that exists.
    ///
    /// # Errors
    /// The storage's, as a Spark error.
    pub fn write(&self, name: &StateFileName, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        self.storage.write_atomic(&path, bytes).map_err(|e| write_failed(&path, e))
    }

    /// The files that lead to `version`, in the order to apply them, and the snapshot they
    /// start from.
    ///
    /// # Errors
    /// The storage's, as a Spark error.
    pub fn files_of(&self, version: i64) -> Result<(Vec<StateFileName>, Option<Snapshot>)> {
        let usable = self.snapshots()?.into_iter().filter(|s| s.end <= version);
        let snapshot = usable.max_by_key(|s| s.first);
        Ok((files_from(snapshot.as_ref(), version), snapshot))
    }

    /// The files that lead to `version` from the snapshot of version `base`, in the order to
    /// apply them; `None` without such a snapshot, or where it became whole after `version`.
    ///
    /// # Errors
    /// The storage's, as a Spark error.
    pub fn files_since(&self, base: i64, version: i64) -> Result<Option<Vec<StateFileName>>> {
        let of_base = |s: &Snapshot| s.first == base + 1 && s.end <= version;
        let snapshot = self.snapshots()?.into_iter().find(of_base);
        Ok(snapshot.map(|snapshot| files_from(Some(&snapshot), version)))
    }

    /// Reads a file and checks it; refused if its schema is not `schema`.
    ///
    /// # Errors
    /// A missing file (`CANNOT_LOAD_STATE_STORE.CANNOT_READ_STREAMING_STATE_FILE`), a
    /// damaged one, or state of another query (see [`StateSchema::check`]).
    pub fn read(&self, name: &StateFileName, schema: &StateSchema) -> Result<StateFile> {
        let file = self.read_any(name)?;
        schema.check(&file.header.schema)?;
        Ok(file)
    }

    /// Reads a file, whatever its schema.
    ///
    /// # Errors
    /// As [`StateLog::read`].
    pub fn read_any(&self, name: &StateFileName) -> Result<StateFile> {
        let path = self.path(name);
        let bytes = self.storage.read(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                SparkError::new("CANNOT_LOAD_STATE_STORE.CANNOT_READ_STREAMING_STATE_FILE")
                    .with("fileToRead", path.display().to_string())
                    .caused_by(e)
            }
            _ => read_failed(&path, e),
        })?;
        let file = StateFile::decode(&path, bytes)?;
        let (version, kind) = (file.header.version, file.header.kind);
        if (version, kind) != (name.version, name.kind()) {
            return Err(SparkError::new("CANNOT_LOAD_STATE_STORE.MILLSTREAM_DAMAGED_FILE")
                .with("fileToRead", path.display().to_string())
                .with("reason", format!("it holds a {kind} of version {version}")));
        }
        Ok(file)
    }

    /// Removes the files that no version from `oldest` on needs; the first version that
    /// stays restorable.
    ///
    /// # Errors
    /// The storage's, as a Spark error.
    pub fn purge(&self, oldest: i64) -> Result<()> {
        // Without a snapshot at or below it, the oldest version needs every change.
        let snapshots = self.snapshots()?;
        let Some(base) = snapshots.iter().filter(|s| s.end <= oldest).map(|s| s.first).max() else {
            return Ok(());
        };
        for name in self.names()? {
            let is_old = match &name.part {
                None => name.version < base,
                Some(part) => part.first < base,
            };
            if is_old {
                let path = self.path(&name);
                self.storage.delete(&path).map_err(|e| write_failed(&path, e))?;
            }
        }
        Ok(())
    }

    /// Every snapshot that is whole, in no particular order.
    ///
    /// # Errors
    /// The storage's, as a Spark error.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let mut parts: BTreeMap<(i64, String), Vec<StateFileName>> = BTreeMap::new();
        for name in self.names()? {
            if let Some(part) = &name.part {
                parts.entry((part.first, part.token.clone())).or_default().push(name);
            }
        }
        let whole = parts.into_iter().filter_map(|((first, _), mut parts)| {
            let number = |name: &StateFileName| name.part.as_ref().map_or(0, |p| p.number);
            parts.sort_unstable_by_key(number);
            let numbered = parts.iter().enumerate().all(|(i, name)| number(name) == i);
            let last = parts.last().filter(|name| name.part.as_ref().is_some_and(|p| p.is_last))?;
            numbered.then_some(Snapshot { first, end: last.version, parts })
        });
        Ok(whole.collect())
    }

    /// The files there are, in no particular order.
    ///
    /// # Errors
    /// The storage's, as a Spark error.
    pub fn names(&self) -> Result<Vec<StateFileName>> {
        let entries = self.storage.list(&self.dir).map_err(|e| read_failed(&self.dir, e))?;
        Ok(entries.iter().filter(|e| !e.is_dir).filter_map(|e| StateFileName::parse(&e.name)).collect())
    }
}

fn files_from(snapshot: Option<&Snapshot>, version: i64) -> Vec<StateFileName> {
    let first = snapshot.map_or(1, |s| s.first);
    let mut files: Vec<_> = (first..=version).map(StateFileName::change).collect();
    files.extend(snapshot.iter().flat_map(|s| s.parts.iter().cloned()));
    files.sort_unstable();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::storage::LocalStorage;

    #[test]
    fn a_version_is_restored_from_the_newest_whole_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let log = StateLog::new(LocalStorage::shared(), dir.path().to_path_buf());
        let part = |version, first, token: &str, number, is_last| StateFileName {
            version,
            part: Some(SnapshotPart { first, token: token.to_string(), number, is_last }),
        };
        let mut names: Vec<_> = (1..=9).map(StateFileName::change).collect();
        names.extend([part(2, 3, "a", 0, false), part(4, 3, "a", 1, true)]);
        // One begun and never ended, one with a part missing, and a newer one.
        names.extend([part(4, 5, "b", 0, false), part(5, 6, "b", 1, true)]);
        names.extend([part(6, 7, "c", 0, false), part(8, 7, "c", 1, true)]);
        for name in &names {
            assert_eq!(StateFileName::parse(&name.to_string()).as_ref(), Some(name));
            log.write(name, b"").unwrap();
        }
        let shown = |version| {
            let (files, _) = log.files_of(version).unwrap();
            files.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(0), "");
        assert_eq!(shown(3), "1.change 2.change 3.change");
        assert_eq!(shown(5), "2.3-a-0.part 3.change 4.change 4.3-a-1-last.part 5.change");
        assert_eq!(shown(9), "6.7-c-0.part 7.change 8.change 8.7-c-1-last.part 9.change");
        let since = |base, version| {
            let files = log.files_since(base, version).unwrap()?;
            Some(files.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(since(2, 5).as_deref(), Some("2.3-a-0.part 3.change 4.change 4.3-a-1-last.part 5.change"));
        assert_eq!((since(2, 3), since(3, 9), since(4, 9)), (None, None, None));
        log.purge(3).unwrap();
        assert_eq!(log.names().unwrap().len(), names.len());
        log.purge(7).unwrap();
        assert_eq!(shown(7), "2.3-a-0.part 3.change 4.change 4.3-a-1-last.part 5.change 6.change 7.change");
        assert_eq!(log.names().unwrap().len(), names.len() - 2);
        log.purge(8).unwrap();
        let mut left: Vec<_> = log.names().unwrap().iter().map(ToString::to_string).collect();
        left.sort_unstable();
        assert_eq!(left, ["6.7-c-0.part", "7.change", "8.7-c-1-last.part", "8.change", "9.change"]);
    }
}
