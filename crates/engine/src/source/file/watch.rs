//! Watching directories for files that are complete.
//!
//! A wake-up means "list again": events are hints only. Listing happens after each closed
//! write or move into place, after an overflow of the event queue, and once a second in any
//! case. Where watching is refused (limits, file systems without events) the directories
//! are polled every 10 ms, with one warning.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind, RenameMode},
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::listing::is_hidden;
use crate::time::{Clock, Millis};

/// A file this young may still be written, unless it was seen closed; and the news that a
/// file is closed may come this long after the news that it was opened.
const SETTLING_MS: i64 = 100;
/// A file seen opened for writing and never closed counts as written after this long
/// (a hard link gives no close event).
const ABANDONED_MS: i64 = 3000;
/// A file being written for longer than this is not about to be complete.
const SLOW_WRITE_MS: i64 = 1000;
const RELIST: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);
const MAX_TRACKED: usize = 100_000;

/// Watches some directories and knows which files were closed.
#[derive(Debug)]
pub(crate) struct DirectoryWatch {
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    inner: Mutex<Inner>,
    recursive: bool,
}

#[derive(Debug, Default)]
struct Inner {
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
    refused: bool,
    /// Set when a listing held back young files: look again soon.
    soon: bool,
}

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    wake: Notify,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    closed: HashSet<PathBuf>,
    /// And since when that is known.
    open: HashMap<PathBuf, Millis>,
}

/// How far a listed file is, as far as can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// Nobody writes it any more.
    Complete,
    /// Written a moment ago: it will turn out in a moment whether it is complete.
    Settling,
    /// Somebody is writing it, for as long as that may take.
    BeingWritten,
}

impl DirectoryWatch {
    /// A watch that stands nowhere yet.
    pub(crate) fn new(clock: Arc<dyn Clock>, recursive: bool) -> Self {
        let shared = Shared { clock: Arc::clone(&clock), wake: Notify::default(), files: Mutex::default() };
        Self { clock, shared: Arc::new(shared), inner: Mutex::default(), recursive }
    }

    /// Watches `dirs` from now on. Call it before listing: what appears in between is then
    /// seen twice rather than never. A directory that does not exist is tried again at the
    /// next call.
    pub(crate) fn watch(&self, dirs: &[PathBuf]) {
        let mut inner = self.inner.lock();
        // A directory that was removed takes its watch with it.
        let kept: Vec<PathBuf> =
            inner.watched.iter().filter(|d| dirs.contains(d) && d.exists()).cloned().collect();
        if kept.len() == dirs.len() && !dirs.is_empty() || inner.refused {
            return;
        }
        if kept.len() < inner.watched.len() {
            inner.watcher = None;
            inner.watched.clear();
        }
        if inner.watcher.is_none() {
            let shared = Arc::clone(&self.shared);
            match notify::recommended_watcher(move |event| shared.handle(event)) {
                Ok(watcher) => inner.watcher = Some(watcher),
                Err(error) => return refuse(&mut inner, dirs, &error),
            }
        }
        let mode = if self.recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        for dir in dirs {
            if inner.watched.contains(dir) || !dir.exists() {
                continue;
            }
            let result = inner.watcher.as_mut().map(|w| w.watch(dir, mode));
            match result {
                Some(Ok(())) => inner.watched.push(dir.clone()),
                // Vanished just now: the next listing tries again.
                Some(Err(_)) if !dir.exists() => {}
                Some(Err(error)) => return refuse(&mut inner, dirs, &error),
                None => {}
            }
        }
    }

    /// How far the file at `path` is, last written at `modified`.
    pub(crate) fn completeness(&self, path: &Path, modified: Millis) -> Completeness {
        let files = self.shared.files.lock();
        // One reading of the clock: with two, a file could be too young to be complete by the
        // one and too old to wait for by the other.
        let now = self.clock.now();
        files.completeness(path, modified, now)
    }

    /// Forgets a file that has been taken.
    pub(crate) fn forget(&self, path: &Path) {
        let mut files = self.shared.files.lock();
        files.closed.remove(path);
        files.open.remove(path);
    }

    /// Asks for a listing as soon as a young file may have settled.
    pub(crate) fn look_again_soon(&self) {
        self.inner.lock().soon = true;
    }

    /// Completes when it is time to list again.
    ///
    /// # Cancel safety
    /// A wake-up is kept for the next call.
    pub(crate) async fn changed(&self) {
        let wait = {
            let mut inner = self.inner.lock();
            let soon = std::mem::take(&mut inner.soon);
            if inner.refused || soon { POLL } else { RELIST }
        };
        tokio::select! {
            () = self.shared.wake.notified() => {}
            () = self.clock.sleep(wait) => {}
        }
    }
}

fn refuse(inner: &mut Inner, dirs: &[PathBuf], error: &notify::Error) {
    tracing::warn!("cannot watch {dirs:?} for new files ({error}); listing every 10 ms instead");
    inner.refused = true;
    inner.watcher = None;
    inner.watched.clear();
}

impl Files {
    fn completeness(&self, path: &Path, modified: Millis, now: Millis) -> Completeness {
        if self.closed.contains(path) {
            return Completeness::Complete;
        }
        let age = now.0.saturating_sub(modified.0);
        // A time far ahead comes from another clock and says nothing.
        let young = (-SETTLING_MS..SETTLING_MS).contains(&age);
        match self.open.get(path).map(|since| now.0.saturating_sub(since.0)) {
            None if young => Completeness::Settling,
            None => Completeness::Complete,
            Some(_) if age >= ABANDONED_MS => Completeness::Complete,
            Some(known) if known < if young { SLOW_WRITE_MS } else { SETTLING_MS } => Completeness::Settling,
            Some(_) => Completeness::BeingWritten,
        }
    }
}

impl Shared {
    fn handle(&self, event: notify::Result<Event>) {
        let Ok(event) = event else {
            self.wake.notify_one();
            return;
        };
        if event.need_rescan() {
            self.wake.notify_one();
            return;
        }
        // A file written under a hidden name to be moved into place is nothing yet: listing
        // for it could let one of two sources over the folder see the move and the other not.
        let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| is_hidden(&name.to_string_lossy()));
        if !event.paths.is_empty() && event.paths.iter().all(hidden) {
            return;
        }
        let mut files = self.files.lock();
        if files.closed.len() + files.open.len() > MAX_TRACKED {
            *files = Files::default();
        }
        let wakes = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                for path in event.paths {
                    files.open.remove(&path);
                    files.closed.insert(path);
                }
                true
            }
            // The pair of a move inside; its second path is the new name.
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => {
                if let [from, to] = event.paths.as_slice() {
                    files.open.remove(from);
                    files.closed.remove(from);
                    files.closed.insert(to.clone());
                }
                true
            }
            EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_)) => {
                let directory = event.paths.iter().any(|p| p.is_dir());
                let now = self.clock.now();
                for path in event.paths {
                    files.closed.remove(&path);
                    files.open.entry(path).or_insert(now);
                }
                // A new directory may hold files already; a system without close events
                // has nothing else to tell.
                directory || !cfg!(target_os = "linux")
            }
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                for path in event.paths {
                    files.open.remove(&path);
                    files.closed.remove(&path);
                }
                false
            }
            _ => false,
        };
        drop(files);
        if wakes {
            self.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::time::SystemClock;

    #[test]
    fn a_file_moved_into_place_wakes_once_it_is_there() {
        let clock = Arc::new(SystemClock::new());
        let shared = Shared { clock, wake: Notify::default(), files: Mutex::default() };
        let (aside, place) = (PathBuf::from("/in/.1.csv"), PathBuf::from("/in/1.csv"));
        for kind in [
            EventKind::Create(notify::event::CreateKind::File),
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)),
        ] {
            shared.handle(Ok(Event::new(kind).add_path(aside.clone())));
            assert!(shared.wake.notified().now_or_never().is_none(), "{kind:?}");
        }
        let both = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        shared.handle(Ok(Event::new(both).add_path(aside).add_path(place.clone())));
        assert!(shared.wake.notified().now_or_never().is_some());
        assert!(shared.files.lock().closed.contains(&place));
    }

    #[test]
    fn a_file_that_is_not_complete_yet_is_waited_for_until_it_is() {
        let path = Path::new("/in/1.csv");
        let mut files = Files::default();
        let at = |files: &Files, now: i64| files.completeness(path, Millis(10_000), Millis(now));
        // Nothing is known of it but its time; up to a moment ahead of ours, too.
        for now in [9_950, 10_000, 10_099] {
            assert_eq!(at(&files, now), Completeness::Settling, "{now}");
        }
        assert_eq!(at(&files, 10_100), Completeness::Complete);
        assert_eq!(at(&files, 5_000), Completeness::Complete, "a time far ahead says nothing");
        // Opened: the news that it is closed may be on its way, whatever time the file bears.
        files.open.insert(path.to_path_buf(), Millis(10_150));
        assert_eq!(at(&files, 10_249), Completeness::Settling);
        assert_eq!(at(&files, 10_250), Completeness::BeingWritten);
        assert_eq!(at(&files, 13_000), Completeness::Complete, "a hard link is never closed");
        // Written on and on.
        let at = |now: i64| files.completeness(path, Millis(now - 10), Millis(now));
        assert_eq!(at(11_149), Completeness::Settling);
        assert_eq!(at(11_150), Completeness::BeingWritten);
        let at = |files: &Files, now: i64| files.completeness(path, Millis(10_000), Millis(now));
        files.closed.insert(path.to_path_buf());
        assert_eq!(at(&files, 10_000), Completeness::Complete);
    }
}
