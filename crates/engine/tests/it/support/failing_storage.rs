//! Storage that fails at a chosen operation, before or after its effect.

use std::{
    io,
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
};

use millstream_engine::checkpoint::{FileInfo, LocalStorage, Storage, StorageRef, storage::LockGuard};

/// Another storage (the local file system), until the chosen writing operation.
#[derive(Debug)]
pub struct FailingStorage {
    inner: StorageRef,
    left: AtomicI64,
    after: bool,
}

impl FailingStorage {
    /// Fails at writing operation number `at` (from 0) and at all that follow; with `after`
    /// that operation still takes effect, as when a process dies right behind it.
    pub fn new(at: i64, after: bool) -> Self {
        Self::over(LocalStorage::shared(), at, after)
    }

    /// As [`FailingStorage::new`], over `inner`.
    pub fn over(inner: StorageRef, at: i64, after: bool) -> Self {
        Self { inner, left: AtomicI64::new(at), after }
    }

    /// Whether the chosen operation was reached.
    pub fn has_failed(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }

    fn write<T>(&self, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        if left > 0 {
            return operation();
        }
        if left == 0 && self.after {
            operation()?;
        }
        Err(io::Error::other("the storage was told to fail"))
    }
}

impl Storage for FailingStorage {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.inner.read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<FileInfo>> {
        self.inner.list(dir)
    }

    fn info(&self, path: &Path) -> io::Result<Option<FileInfo>> {
        self.inner.info(path)
    }

    fn write_staged(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.write(|| self.inner.write_staged(path, bytes))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.write(|| self.inner.rename(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.write(|| self.inner.rename_new(from, to))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.write(|| self.inner.sync_dir(dir))
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        self.write(|| self.inner.delete(path))
    }

    fn delete_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.write(|| self.inner.delete_dir_all(dir))
    }

    fn delete_empty_dir(&self, dir: &Path) -> io::Result<()> {
        self.write(|| self.inner.delete_empty_dir(dir))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.write(|| self.inner.create_dir_all(dir))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        self.inner.try_lock(path)
    }
}
