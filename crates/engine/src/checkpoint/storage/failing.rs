//! A storage for tests that stops at a chosen operation, as a killed process does.

use std::{
    io,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{FileInfo, LocalStorage, LockGuard, Storage};

/// Counts changing operations; the one with number `stop_at` and all after it fail.
///
/// A staged write that is stopped leaves half of its bytes, for nothing promises more.
pub(crate) struct FailingStorage {
    inner: LocalStorage,
    stop_at: usize,
    done: AtomicUsize,
    after: Box<dyn Fn(&str) + Send + Sync>,
}

impl std::fmt::Debug for FailingStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FailingStorage({})", self.stop_at)
    }
}

impl FailingStorage {
    /// Stops at operation `stop_at`, counted from 0.
    pub(crate) fn new(stop_at: usize) -> Self {
        Self { inner: LocalStorage, stop_at, done: AtomicUsize::new(0), after: Box::new(|_| {}) }
    }

    /// Calls `look` after each operation, with its name.
    pub(crate) fn observed(mut self, look: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.after = Box::new(look);
        self
    }

    /// Whether an operation was stopped.
    pub(crate) fn stopped(&self) -> bool {
        self.done.load(Ordering::SeqCst) > self.stop_at
    }

    fn run<T>(&self, name: &str, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.done.fetch_add(1, Ordering::SeqCst) >= self.stop_at {
            return Err(io::Error::other(format!("stopped before {name}")));
        }
        let result = operation();
        (self.after)(name);
        result
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
        self.run("write_staged", || self.inner.write_staged(path, bytes)).inspect_err(|_| {
            let _ = self.inner.write_staged(path, &bytes[..bytes.len() / 2]);
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run("rename", || self.inner.rename(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run("rename_new", || self.inner.rename_new(from, to))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.run("sync_dir", || self.inner.sync_dir(dir))
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        self.run("delete", || self.inner.delete(path))
    }

    fn delete_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.run("delete_dir_all", || self.inner.delete_dir_all(dir))
    }

    fn delete_empty_dir(&self, dir: &Path) -> io::Result<()> {
        self.run("delete_empty_dir", || self.inner.delete_empty_dir(dir))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.run("create_dir_all", || self.inner.create_dir_all(dir))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        self.inner.try_lock(path)
    }
}
