//! The one seam through which every durable byte goes.
//!
//! Checkpoint logs, state files and sink output are written through [`Storage`], so that
//! a test can count, fail or stop operations, and so that other stores can stand in for
//! the local file system. Calls block; [`blocking`] runs them off the async threads, and
//! several may run in parallel.
//!
//! A durable write has three steps: the content under a name nobody looks for
//! ([`Storage::write_staged`], one sync), the final name ([`Storage::rename`] or
//! [`Storage::rename_new`]), the directory ([`Storage::sync_dir`], another sync). Where
//! steps of several files may overlap, they are called one by one; else
//! [`Storage::write_atomic`] and [`Storage::create_exclusive`] do all three.
//!
//! # Invariants
//! A reader of a final name sees the whole content or nothing, whatever stops the writer:
//! content is synced before it gets its name. A name survives a power cut once its
//! directory is synced.

#[cfg(test)]
pub(crate) mod failing;
#[cfg(test)]
pub(crate) mod power_cut;
mod prepared;

use std::{
    any::Any,
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use uuid::Uuid;

use crate::{Result, SparkError, time::Millis};
pub use prepared::PreparedFile;

/// Shared handle of a [`Storage`].
pub type StorageRef = Arc<dyn Storage>;

/// What is known of a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Last component of the path.
    pub name: String,
    /// Length in bytes; meaningless for directories.
    pub size: u64,
    /// Last modification.
    pub modified: Millis,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Held as long as a lock is wanted; dropping it, or the death of the process, releases.
pub type LockGuard = Box<dyn Any + Send + Sync>;

/// Durable bytes under paths. Errors carry the path in their text and keep their kind.
pub trait Storage: fmt::Debug + Send + Sync {
    /// The whole content.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Entries of a directory in no particular order; none when it does not exist.
    fn list(&self, dir: &Path) -> io::Result<Vec<FileInfo>>;

    /// One entry, `None` when it does not exist.
    fn info(&self, path: &Path) -> io::Result<Option<FileInfo>>;

    /// Writes a file that nobody looks at yet (a staged one), replacing an older one.
    /// Content is synced, the directory entry is not: [`Storage::sync_dir`] follows.
    /// Not atomic: after a crash the file may be torn.
    fn write_staged(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// As [`Storage::write_staged`], of content in pieces one after the other.
    fn write_staged_pieces(&self, path: &Path, pieces: &[Vec<u8>]) -> io::Result<()> {
        match pieces {
            [whole] => self.write_staged(path, whole),
            pieces => self.write_staged(path, &pieces.concat()),
        }
    }

    /// Moves a file, replacing `to`; both in one file system. Not synced:
    /// [`Storage::sync_dir`] follows, once for many renames.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Moves a file to a name that nobody has; both in one directory. Not synced.
    ///
    /// # Errors
    /// `AlreadyExists` when another writer was first; both files are untouched.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the entries of a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Removes a file; one that does not exist is no error. Not synced.
    fn delete(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with everything in it; one that does not exist is no error.
    fn delete_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Removes a directory if it is empty; otherwise, or when it does not exist, nothing.
    fn delete_empty_dir(&self, dir: &Path) -> io::Result<()>;

    /// Creates a directory and its parents, durably.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Takes the advisory lock of `path` (created if missing), `None` when it is held.
    fn try_lock(&self, path: &Path) -> io::Result<Option<LockGuard>>;

    /// Writes `path` as a whole, durably, replacing a file that exists; parents are created.
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temp = temporary_name(path);
        let named = self.write_staged(&temp, bytes).and_then(|()| self.rename(&temp, path));
        named.inspect_err(|_| discard(self, &temp))?;
        self.sync_dir(parent_of(path))
    }

    /// Writes `path` as a whole, durably, if no such file exists; parents are created.
    ///
    /// # Errors
    /// `AlreadyExists` when another writer was first; its file is untouched.
    fn create_exclusive(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.info(path)?.is_some() {
            return at(path, Err(io::ErrorKind::AlreadyExists.into()));
        }
        let temp = temporary_name(path);
        let named = self.write_staged(&temp, bytes).and_then(|()| self.rename_new(&temp, path));
        named.inspect_err(|_| discard(self, &temp))?;
        self.sync_dir(parent_of(path))
    }
}

/// Runs blocking storage calls off the async threads.
///
/// # Cancel safety
/// A dropped future does not stop the call: its effect may still appear.
pub async fn blocking<T, F>(call: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(join) => Err(SparkError::internal("a storage call did not finish").caused_by(join)),
    }
}

/// The error of a read that failed: `FAILED_READ_FILE.NO_HINT` with its cause.
pub fn read_failed(path: &Path, cause: io::Error) -> SparkError {
    SparkError::new("FAILED_READ_FILE.NO_HINT").with("path", super::to_uri(path)).caused_by(cause)
}

/// The error of a write that failed: `TASK_WRITE_FAILED` with its cause.
pub fn write_failed(path: &Path, cause: io::Error) -> SparkError {
    SparkError::new("TASK_WRITE_FAILED").with("path", super::to_uri(path)).caused_by(cause)
}

/// The local file system.
///
/// Hadoop's checksum files (`.<name>.crc`) are never written; one that stands beside a
/// file we replace or delete is removed first, for a stale one would contradict it.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalStorage;

impl LocalStorage {
    /// A shared handle.
    pub fn shared() -> StorageRef {
        Arc::new(Self)
    }
}

impl Storage for LocalStorage {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        at(path, fs::read(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<FileInfo>> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return at(dir, Err(e)),
        };
        let mut out = Vec::new();
        for entry in entries {
            let entry = at(dir, entry)?;
            // Gone between listing and looking: as if it had been gone before.
            match fs::metadata(entry.path()) {
                Ok(meta) => out.push(file_info(&entry.path(), &meta)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return at(&entry.path(), Err(e)),
            }
        }
        Ok(out)
    }

    fn info(&self, path: &Path) -> io::Result<Option<FileInfo>> {
        match fs::metadata(path) {
            Ok(meta) => Ok(Some(file_info(path, &meta))),
            // `NotADirectory`: a part of the path is a plain file.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) => at(path, Err(e)),
        }
    }

    fn write_staged(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        write_synced(path, &[bytes])
    }

    fn write_staged_pieces(&self, path: &Path, pieces: &[Vec<u8>]) -> io::Result<()> {
        write_synced(path, pieces)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        remove_checksum(to);
        rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        remove_checksum(to);
        // A hard link never replaces: of two writers one wins, in one step.
        match fs::hard_link(from, to) {
            Ok(()) => at(from, fs::remove_file(from)),
            Err(e) if matches!(e.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
                // A file system without hard links: look, then rename, as Spark does.
                if to.exists() { at(to, Err(io::ErrorKind::AlreadyExists.into())) } else { rename(from, to) }
            }
            Err(e) => at(to, Err(e)),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        at(dir, File::open(dir).and_then(|d| d.sync_all()))
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        remove_checksum(path);
        gone(path, fs::remove_file(path))
    }

    fn delete_dir_all(&self, dir: &Path) -> io::Result<()> {
        gone(dir, fs::remove_dir_all(dir))
    }

    fn delete_empty_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::remove_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => gone(dir, other),
        }
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        if let Some(parent) = dir.parent() {
            self.create_dir_all(parent)?;
        }
        match fs::create_dir(dir) {
            Ok(()) => self.sync_dir(parent_of(dir)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            Err(e) => at(dir, Err(e)),
        }
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        if let Some(parent) = path.parent() {
            self.create_dir_all(parent)?;
        }
        let mut options = OpenOptions::new();
        let file = at(path, options.read(true).write(true).create(true).truncate(false).open(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => at(path, Err(e)),
        }
    }
}

/// Puts the path into the error's text; its kind stays.
fn at<T>(path: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

fn gone(path: &Path, result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => at(path, other),
    }
}

fn file_info(path: &Path, meta: &fs::Metadata) -> FileInfo {
    let since_epoch = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    FileInfo {
        name: path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
        size: meta.len(),
        modified: Millis(since_epoch.and_then(|d| i64::try_from(d.as_millis()).ok()).unwrap_or(0)),
        is_dir: meta.is_dir(),
    }
}

/// `.<name>.<uuid>.tmp` beside `path`, as Spark names it: no log takes it for an entry.
fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}.tmp", Uuid::new_v4()))
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes what nobody will look at; a failure leaves litter and nothing worse.
fn discard<S: Storage + ?Sized>(storage: &S, path: &Path) {
    if let Err(e) = storage.delete(path) {
        tracing::debug!(path = %path.display(), error = %e, "a temporary file could not be removed");
    }
}

fn write_synced(path: &Path, pieces: &[impl AsRef<[u8]>]) -> io::Result<()> {
    remove_checksum(path);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let file = match options.open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                LocalStorage.create_dir_all(parent)?;
            }
            options.open(path)
        }
        other => other,
    };
    let mut file = at(path, file)?;
    at(path, pieces.iter().try_for_each(|piece| file.write_all(piece.as_ref())))?;
    at(path, file.sync_data())
}

#[expect(clippy::disallowed_methods, reason = "this is the seam")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    at(to, fs::rename(from, to))
}

fn remove_checksum(path: &Path) {
    if let Some(name) = path.file_name() {
        let checksum = path.with_file_name(format!(".{}.crc", name.to_string_lossy()));
        if let Err(e) = gone(&checksum, fs::remove_file(&checksum)) {
            tracing::debug!(error = %e, "a stale checksum file could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = LocalStorage.list(dir).unwrap().into_iter().map(|f| f.name).collect();
        names.sort();
        names
    }

    #[test]
    fn writes_are_whole_replace_and_leave_no_temporary_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/7");
        LocalStorage.write_atomic(&path, b"one").unwrap();
        LocalStorage.write_atomic(&path, b"two").unwrap();
        assert_eq!(LocalStorage.read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["7"]);
    }

    #[test]
    fn exclusive_creation_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("7");
        LocalStorage.create_exclusive(&path, b"first").unwrap();
        let error = LocalStorage.create_exclusive(&path, b"second").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(LocalStorage.read(&path).unwrap(), b"first");
        assert_eq!(names(dir.path()), ["7"]);
    }

    #[test]
    fn stale_checksum_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let (path, crc) = (dir.path().join("7"), dir.path().join(".7.crc"));
        for write in [LocalStorage::write_atomic, LocalStorage::write_staged] {
            File::create(&crc).unwrap();
            write(&LocalStorage, &path, b"x").unwrap();
            assert_eq!(names(dir.path()), ["7"]);
        }
        File::create(&crc).unwrap();
        LocalStorage.delete(&path).unwrap();
        LocalStorage.delete(&path).unwrap();
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn a_lock_is_held_once_until_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x/lock");
        let guard = LocalStorage.try_lock(&path).unwrap();
        assert!(guard.is_some());
        assert!(LocalStorage.try_lock(&path).unwrap().is_none());
        drop(guard);
        assert!(LocalStorage.try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn missing_things_are_empty_or_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none");
        assert_eq!(LocalStorage.list(&path).unwrap(), []);
        assert_eq!(LocalStorage.info(&path).unwrap(), None);
        assert_eq!(LocalStorage.read(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        LocalStorage.delete_dir_all(&path).unwrap();
        LocalStorage.delete_empty_dir(&path).unwrap();
        File::create(dir.path().join("file")).unwrap();
        LocalStorage.delete_empty_dir(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["file"]);
        assert_eq!(LocalStorage.info(&dir.path().join("file/below")).unwrap(), None);
    }
}
