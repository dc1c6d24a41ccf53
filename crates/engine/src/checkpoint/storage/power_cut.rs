//! A disk for tests that loses what was not synced, as a power cut does.
//!
//! Everything is in memory. Running programs see every operation at once; what a power cut
//! leaves is another matter: an entry of a directory that was made, replaced or removed
//! since the directory was synced is there in its old or its new form, each by itself and
//! by chance. So no order between operations on different names is taken for granted,
//! whether they were called one after the other or side by side.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{FileInfo, LockGuard, Storage};
use crate::time::Millis;

/// What stands under a name: a file's bytes, or a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File(Arc<[u8]>),
    Dir,
}

type Names = BTreeMap<PathBuf, Entry>;

/// The disk and the power supply.
#[derive(Debug)]
pub(crate) struct PowerCut {
    state: Mutex<State>,
    stop_at: usize,
}

#[derive(Debug)]
struct State {
    /// As programs see it.
    seen: Names,
    /// As it is on the disk for certain; differs from `seen` in names not synced.
    durable: Names,
    done: usize,
    chance: u64,
}

impl PowerCut {
    /// An empty disk whose power fails at changing operation `stop_at`, counted from 0;
    /// `seed` decides what the cut leaves.
    pub(crate) fn new(stop_at: usize, seed: u64) -> Self {
        Self::over(Names::new(), stop_at, seed)
    }

    fn over(names: Names, stop_at: usize, seed: u64) -> Self {
        let chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { state: Mutex::new(State { seen: names.clone(), durable: names, done: 0, chance }), stop_at }
    }

    /// The disk after the cut, under power again until operation `stop_at`.
    pub(crate) fn restart(&self, stop_at: usize, seed: u64) -> Self {
        let mut state = self.state.lock();
        let names: Vec<PathBuf> = state.seen.keys().chain(state.durable.keys()).cloned().collect();
        let mut left = Names::new();
        for name in names {
            let (new, old) = (state.seen.get(&name).cloned(), state.durable.get(&name).cloned());
            let survivor = if new == old || state.toss() { new } else { old };
            match survivor {
                Some(entry) => left.insert(name, entry),
                None => left.remove(&name),
            };
        }
        Self::over(left, stop_at, seed)
    }

    /// Whether the power failed.
    pub(crate) fn stopped(&self) -> bool {
        self.state.lock().done > self.stop_at
    }

    fn run<T>(&self, operation: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        // Calls from several threads come in any order.
        let pauses = self.state.lock().random() % 4;
        (0..pauses).for_each(|_| std::thread::yield_now());
        let mut state = self.state.lock();
        state.done += 1;
        if state.done > self.stop_at {
            return Err(io::Error::other("no power"));
        }
        operation(&mut state)
    }
}

impl State {
    fn random(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance
    }

    fn toss(&mut self) -> bool {
        self.random().is_multiple_of(2)
    }

    fn file(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        match self.seen.get(path) {
            Some(Entry::File(bytes)) => Ok(bytes.clone()),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, path.display().to_string())),
        }
    }

    fn make_dirs(&mut self, dir: &Path) {
        for dir in dir.ancestors() {
            self.seen.insert(dir.to_path_buf(), Entry::Dir);
            self.durable.insert(dir.to_path_buf(), Entry::Dir);
        }
    }
}

fn info(path: &Path, entry: &Entry) -> FileInfo {
    let size = if let Entry::File(bytes) = entry { bytes.len() as u64 } else { 0 };
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    FileInfo { name, size, modified: Millis(0), is_dir: *entry == Entry::Dir }
}

impl Storage for PowerCut {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.state.lock().file(path).map(|bytes| bytes.to_vec())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<FileInfo>> {
        let state = self.state.lock();
        let inside = state.seen.iter().filter(|(path, _)| path.parent() == Some(dir));
        Ok(inside.map(|(path, entry)| info(path, entry)).collect())
    }

    fn info(&self, path: &Path) -> io::Result<Option<FileInfo>> {
        Ok(self.state.lock().seen.get(path).map(|entry| info(path, entry)))
    }

    /// The power may fail half-way: some bytes then stand under the name, synced or not.
    fn write_staged(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let whole = self.run(|state| {
            state.make_dirs(path.parent().unwrap_or(path));
            state.seen.insert(path.to_path_buf(), Entry::File(bytes.into()));
            Ok(())
        });
        whole.inspect_err(|_| {
            let torn = Entry::File(bytes[..bytes.len() / 2].into());
            self.state.lock().seen.insert(path.to_path_buf(), torn);
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(|state| {
            let bytes = state.file(from)?;
            state.seen.remove(from);
            state.seen.insert(to.to_path_buf(), Entry::File(bytes));
            Ok(())
        })
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(|state| {
            if state.seen.contains_key(to) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let bytes = state.file(from)?;
            state.seen.remove(from);
            state.seen.insert(to.to_path_buf(), Entry::File(bytes));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.run(|state| {
            let State { seen, durable, .. } = state;
            durable.retain(|path, _| path.parent() != Some(dir) || seen.contains_key(path));
            let inside = seen.iter().filter(|(path, _)| path.parent() == Some(dir));
            durable.extend(inside.map(|(path, entry)| (path.clone(), entry.clone())));
            Ok(())
        })
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        self.run(|state| {
            state.seen.remove(path);
            Ok(())
        })
    }

    fn delete_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.run(|state| {
            state.seen.retain(|path, _| !path.starts_with(dir));
            Ok(())
        })
    }

    fn delete_empty_dir(&self, dir: &Path) -> io::Result<()> {
        self.run(|state| {
            if !state.seen.keys().any(|path| path.parent() == Some(dir)) {
                state.seen.remove(dir);
            }
            Ok(())
        })
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.run(|state| {
            state.make_dirs(dir);
            Ok(())
        })
    }

    fn try_lock(&self, _path: &Path) -> io::Result<Option<LockGuard>> {
        Ok(Some(Box::new(())))
    }
}

#[test]
fn what_is_synced_stays_and_the_rest_is_left_to_chance() {
    let name = |text: &str| PathBuf::from(text);
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..40 {
        let disk = PowerCut::new(6, seed);
        disk.write_atomic(&name("/d/a"), b"old").unwrap();
        disk.write_staged(&name("/d/b"), b"new").unwrap();
        disk.rename(&name("/d/b"), &name("/d/a")).unwrap();
        disk.write_staged(&name("/d/c"), b"c").unwrap();
        assert!(disk.rename(&name("/d/c"), &name("/d/e")).is_err() && disk.stopped());
        let after = disk.restart(usize::MAX, seed);
        let read = |path: &str| after.read(&name(path)).ok();
        match read("/d/a").unwrap().as_slice() {
            b"new" => kept += 1,
            b"old" => lost += 1,
            other => panic!("{other:?}"),
        }
        assert!(read("/d/c").is_none_or(|bytes| bytes == b"c"));
        assert_eq!(read("/d/e"), None);
    }
    assert!(kept > 5 && lost > 5, "{kept} {lost}");
}
