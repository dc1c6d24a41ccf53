//! The streaming file source: each new file once, in Spark's order.
//!
//! Offsets are `{"logOffset":k}`; `sources/<i>/<k>` names the files taken under `k`. The log
//! is durable before a row of those files is seen outside, so an offset that anything rests
//! on always means the same files. The log is also the set of files already seen (by path).

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use parking_lot::Mutex;

use super::{
    glob::fixed_prefix,
    listing::{FileListing, ListedFile, list_files, partitions_between},
    split::splits,
    stream_options::{CleanSource, FileStreamOptions},
    watch::{Completeness, DirectoryWatch},
};
use crate::{
    Result, SparkError,
    checkpoint::{FileEntry, FileSourceLog, LogRetention, StorageRef, from_uri, storage::blocking, to_uri},
    format::{FileRef, ReadFormatRef, reader},
    source::{Offset, ReadLimit, Source, SourceSpec, Split},
    time::{Clock, Millis, Zone},
};

/// A directory (or glob) of files as an endless source of rows.
#[derive(Debug)]
pub struct FileSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    spec: SourceSpec,
    format: ReadFormatRef,
    options: FileStreamOptions,
    listing: FileListing,
    zone: Zone,
    storage: StorageRef,
    clock: Arc<dyn Clock>,
    log: FileSourceLog,
    watch: DirectoryWatch,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Last log offset given, -1 before any.
    offset: i64,
    /// Last log offset written.
    logged: i64,
    /// Paths (or names, with `fileNameOnly`) taken so far.
    seen: HashMap<String, i64>,
    /// Files older than this are ignored (`maxFileAge`).
    purged_before: i64,
    newest: i64,
    /// Files of the last offsets, so that planning does not read the log back.
    recent: VecDeque<(i64, Vec<FileEntry>)>,
    /// `availableNow`: the files there were at the start, not yet taken.
    fixed: Option<Vec<ListedFile>>,
    /// Last offset whose files were cleaned.
    cleaned: Option<i64>,
}

/// Offsets kept in memory.
const RECENT: usize = 4;
/// Pause before looking again at a file that is about to settle.
const SETTLE_STEP: Duration = Duration::from_millis(5);
/// How long to do so. Files that are written on and on are left to a later batch.
const SETTLE_AT_MOST: Duration = Duration::from_secs(3);

impl FileSource {
    /// The source for `spec`, with its log in `log_dir` (`<checkpoint>/sources/<i>`).
    ///
    /// `zone` is the session time zone, in which timestamps without one are read.
    ///
    /// # Errors
    /// `PATH_NOT_FOUND`, options Spark refuses, an unreadable log.
    pub fn new(
        spec: &SourceSpec,
        log_dir: impl Into<PathBuf>,
        storage: StorageRef,
        clock: Arc<dyn Clock>,
        zone: Zone,
        retention: LogRetention,
    ) -> Result<Self> {
        let format = reader(&spec.format, &spec.options, zone)?;
        format.check_schema(&spec.schema)?;
        let options = FileStreamOptions::new(&spec.options)?;
        let listing = FileListing::new(&spec.paths, &spec.options, zone)?;
        // A glob may begin to match later, a plain path must exist.
        listing.roots(false)?;
        let log = FileSourceLog::new(Arc::clone(&storage), log_dir.into(), retention);
        let latest = log.latest()?.unwrap_or(-1);
        let mut state = State { offset: latest, logged: latest, ..State::default() };
        for entry in log.all()? {
            state.newest = state.newest.max(entry.timestamp);
            state.seen.insert(seen_key(&options, &entry.path), entry.timestamp);
        }
        state.purge(&options);
        let watch = DirectoryWatch::new(Arc::clone(&clock), true);
        let inner = Inner {
            spec: spec.clone(),
            format,
            options,
            listing,
            zone,
            storage,
            clock,
            log,
            watch,
            state: Mutex::new(state),
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// By what a file is known: its URI, or its name with `fileNameOnly`.
fn seen_key(options: &FileStreamOptions, uri: &str) -> String {
    if options.file_name_only { uri.rsplit('/').next().unwrap_or(uri).to_string() } else { uri.to_string() }
}

impl State {
    fn is_new(&self, key: &str) -> bool {
        !self.seen.contains_key(key)
    }

    /// Forgets files that are too old to be taken again.
    fn purge(&mut self, options: &FileStreamOptions) {
        self.purged_before = self.newest.saturating_sub(options.max_age_ms);
        let before = self.purged_before;
        self.seen.retain(|_, timestamp| *timestamp >= before);
    }
}

impl Inner {
    /// New complete files, oldest first, then by path (`latestFirst`: newest first), and
    /// whether a file was held back that will settle in a moment.
    fn list_new(&self) -> Result<(Vec<ListedFile>, bool)> {
        let mut watched: Vec<PathBuf> = Vec::new();
        for path in &self.listing.paths {
            let dir = if self.listing.is_glob(path) { fixed_prefix(path) } else { PathBuf::from(path) };
            // A glob near the root (`/*/in`) would mean watching the whole machine: it is
            // listed once a second instead.
            if self.listing.is_glob(path) && dir.components().count() < 3 {
                continue;
            }
            watched.push(if dir.is_file() {
                dir.parent().map_or(dir.clone(), Path::to_path_buf)
            } else {
                dir
            });
        }
        self.watch.watch(&watched);
        // A directory that vanished has no files, as in Spark.
        let roots = match self.listing.roots(false) {
            Ok(roots) => roots,
            Err(e) if e.class() == "PATH_NOT_FOUND" => return Ok((Vec::new(), false)),
            Err(e) => return Err(e),
        };
        let state = self.state.lock();
        let known = |path: &Path| !state.is_new(&seen_key(&self.options, &to_uri(path)));
        let mut files = list_files(&self.listing, &roots, &known)?;
        let purged_before = state.purged_before;
        drop(state);
        let (mut held_back, mut settling) = (false, false);
        files.retain(|f| {
            if f.file.modified.0 < purged_before {
                return false;
            }
            let completeness = self.watch.completeness(&f.file.path, f.file.modified);
            held_back |= completeness != Completeness::Complete;
            settling |= completeness == Completeness::Settling;
            completeness == Completeness::Complete
        });
        if held_back {
            self.watch.look_again_soon();
        }
        files.sort_by(|a, b| {
            let by_time = a.file.modified.cmp(&b.file.modified);
            let by_time = if self.options.latest_first { by_time.reverse() } else { by_time };
            by_time.then_with(|| a.file.path.cmp(&b.file.path))
        });
        Ok((files, settling))
    }

    /// Whether files that settle may still be waited for by who began at `began`.
    fn may_settle(&self, began: Duration) -> bool {
        self.clock.monotonic().saturating_sub(began) < SETTLE_AT_MOST
    }

    /// Takes files under the limit; returns the newest offset, and whether to `wait` and ask
    /// again: there were none to take but one is about to settle.
    fn advance(&self, limit: ReadLimit, wait: bool) -> Result<(i64, bool)> {
        let fixed = self.state.lock().fixed.take();
        let is_fixed = fixed.is_some();
        let (mut files, settling) = match fixed {
            Some(files) => (files, false),
            None => self.list_new()?,
        };
        let settling = settling && wait;
        if settling && limit == ReadLimit::All {
            // There is no next batch that would take the files held back.
            return Ok((self.state.lock().offset, true));
        }
        let take = match limit {
            ReadLimit::All => files.len(),
            ReadLimit::Admission => admitted(&files, &self.options),
        };
        let rest = files.split_off(take.min(files.len()));
        let mut state = self.state.lock();
        if is_fixed {
            state.fixed = Some(rest);
        }
        if files.is_empty() {
            return Ok((state.offset, settling));
        }
        let offset = state.offset + 1;
        let mut entries = Vec::with_capacity(files.len());
        for f in &files {
            let uri = to_uri(&f.file.path);
            let key = seen_key(&self.options, &uri);
            // With `fileNameOnly` two files of one listing may share a name: the first counts.
            if state.seen.insert(key, f.file.modified.0).is_none() {
                state.newest = state.newest.max(f.file.modified.0);
                entries.push(FileEntry { path: uri, timestamp: f.file.modified.0, batch_id: offset });
            }
            self.watch.forget(&f.file.path);
        }
        state.offset = offset;
        state.recent.push_back((offset, entries));
        while state.recent.len() > RECENT {
            state.recent.pop_front();
        }
        state.purge(&self.options);
        Ok((offset, false))
    }

    /// Writes the offsets up to `end` that are not in the log yet.
    fn write_log(&self, end: i64) -> Result<()> {
        loop {
            let next = self.state.lock().logged + 1;
            if next > end {
                return Ok(());
            }
            let found = self.state.lock().recent.iter().find(|(offset, _)| *offset == next).cloned();
            let Some((_, entries)) = found else {
                return Err(SparkError::internal(format!("file source: nothing is known of offset {next}")));
            };
            self.log.add(next, &entries)?;
            self.state.lock().logged = next;
        }
    }

    /// Files of the offsets in `(start, end]`.
    fn entries(&self, start: i64, end: i64) -> Result<Vec<FileEntry>> {
        let mut recent: HashMap<i64, Vec<FileEntry>> = {
            let state = self.state.lock();
            let wanted = state.recent.iter().filter(|(offset, _)| (start + 1..=end).contains(offset));
            wanted.cloned().collect()
        };
        let mut found = Vec::new();
        for offset in start + 1..=end {
            // The newest may not be in the log yet.
            found.extend(match recent.remove(&offset) {
                Some(entries) => entries,
                None => self.log.range(offset - 1, offset)?,
            });
        }
        Ok(found)
    }

    fn plan(&self, start: i64, end: i64) -> Result<Vec<Arc<dyn Split>>> {
        let mut files = Vec::new();
        for entry in self.entries(start, end)? {
            let path = from_uri(&entry.path)
                .ok_or_else(|| SparkError::unsupported(format!("the file system of {}", entry.path)))?;
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.len() == 0 => {}
                Ok(metadata) => {
                    let partitions = self.partitions_of(&path);
                    files.push(ListedFile {
                        file: FileRef::whole(path, metadata.len(), Millis(entry.timestamp)),
                        partitions,
                    });
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && self.options.ignore_missing => {
                    tracing::warn!("{} has vanished and is skipped (ignoreMissingFiles)", entry.path);
                }
                // Spark differs: it passes over a vanished file of a batch in silence.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    return Err(SparkError::new("FAILED_READ_FILE.FILE_NOT_EXIST")
                        .with("path", entry.path.clone())
                        .caused_by(e));
                }
                Err(e) => return Err(crate::checkpoint::storage::read_failed(&path, e)),
            }
        }
        let splits = splits(&self.format, &self.spec.schema, &files, self.zone, self.options.tolerance)?;
        Ok(splits.into_iter().map(|s| s as Arc<dyn Split>).collect())
    }

    /// Partition directories between a plain source path and the file.
    fn partitions_of(&self, path: &Path) -> Vec<(String, Option<String>)> {
        if self.listing.recursive {
            return Vec::new();
        }
        let parent = path.parent().unwrap_or(path);
        let plain = self.listing.paths.iter().filter(|p| !self.listing.is_glob(p)).map(PathBuf::from);
        let base = self.listing.base.clone().into_iter().chain(plain).find(|b| path.starts_with(b));
        base.map(|b| partitions_between(&b, parent)).unwrap_or_default()
    }

    /// `cleanSource`: removes or moves the files of committed offsets. A failure is logged
    /// and changes nothing else, as in Spark.
    fn clean(&self, end: i64) -> Result<()> {
        if self.options.clean == CleanSource::Off {
            return Ok(());
        }
        let start = {
            let mut state = self.state.lock();
            let start = state.cleaned.unwrap_or(end - 1).min(end);
            state.cleaned = Some(end);
            start
        };
        for entry in self.entries(start, end)? {
            let Some(path) = from_uri(&entry.path) else { continue };
            let result = match &self.options.clean {
                CleanSource::Off => Ok(()),
                CleanSource::Delete => self.storage.delete(&path),
                CleanSource::Archive(dir) => {
                    let target = dir.join(path.strip_prefix("/").unwrap_or(&path));
                    let made = target.parent().map_or(Ok(()), |p| self.storage.create_dir_all(p));
                    made.and_then(|()| self.storage.rename(&path, &target))
                }
            };
            if let Err(e) = result {
                tracing::warn!("cannot clean the source file {}: {e}", entry.path);
            }
        }
        Ok(())
    }
}

/// How many of `files` one batch may take; at least one when there are any.
fn admitted(files: &[ListedFile], options: &FileStreamOptions) -> usize {
    if let Some(max) = options.max_files {
        return max;
    }
    let Some(max) = options.max_bytes else { return files.len() };
    let mut total = 0u64;
    let mut count = 0;
    for f in files {
        total = total.saturating_add(f.file.size);
        if total > max && count > 0 {
            break;
        }
        count += 1;
    }
    count
}

fn offset_json(offset: i64) -> Offset {
    Offset::new(format!("{{\"logOffset\":{offset}}}"))
}

/// Reads `{"logOffset":k}`, or a bare number as old Spark versions wrote it.
fn log_offset(offset: Option<&Offset>) -> Result<i64> {
    let Some(offset) = offset else { return Ok(-1) };
    let bad = || SparkError::internal(format!("not an offset of a file source: {offset}"));
    let value: serde_json::Value = serde_json::from_str(offset.json()).map_err(|_| bad())?;
    value.as_i64().or_else(|| value.get("logOffset")?.as_i64()).ok_or_else(bad)
}

#[async_trait]
impl Source for FileSource {
    fn description(&self) -> String {
        let paths: Vec<String> = self.inner.listing.paths.iter().map(|p| format!("file:{p}")).collect();
        format!("FileStreamSource[{}]", paths.join(","))
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.inner.spec.schema)
    }

    async fn latest_offset(&self, start: Option<&Offset>, limit: ReadLimit) -> Result<Option<Offset>> {
        let start = log_offset(start)?;
        if start > self.inner.state.lock().offset {
            // Spark fails an assertion here. Going on would take old files for new ones.
            let path = self.inner.log.path(start);
            return Err(SparkError::new("BATCH_METADATA_NOT_FOUND").with("batchMetadataFile", to_uri(&path)));
        }
        let began = self.inner.clock.monotonic();
        loop {
            let inner = Arc::clone(&self.inner);
            let wait = self.inner.may_settle(began);
            let (offset, settling) = blocking(move || inner.advance(limit, wait)).await?;
            if !settling {
                return Ok((offset >= 0).then(|| offset_json(offset)));
            }
            // Written a moment ago and not seen closed: "everything there is" includes it.
            self.inner.clock.sleep(SETTLE_STEP).await;
        }
    }

    async fn log(&self, end: &Offset) -> Result<()> {
        let (end, inner) = (log_offset(Some(end))?, Arc::clone(&self.inner));
        blocking(move || inner.write_log(end)).await
    }

    fn has_logged(&self, end: &Offset) -> Result<bool> {
        Ok(log_offset(Some(end))? <= self.inner.state.lock().logged)
    }

    /// Spark's file source does not report one.
    fn reported_latest(&self) -> Option<Offset> {
        None
    }

    async fn plan_batch(&self, start: Option<&Offset>, end: &Offset) -> Result<Vec<Arc<dyn Split>>> {
        let (start, end) = (log_offset(start)?, log_offset(Some(end))?);
        self.inner.plan(start, end)
    }

    fn can_look_ahead(&self) -> bool {
        self.inner.state.lock().fixed.is_some()
    }

    async fn prepare_available_now(&self) -> Result<()> {
        let began = self.inner.clock.monotonic();
        loop {
            let inner = Arc::clone(&self.inner);
            let (files, settling) = blocking(move || inner.list_new()).await?;
            if !settling || !self.inner.may_settle(began) {
                self.inner.state.lock().fixed = Some(files);
                return Ok(());
            }
            self.inner.clock.sleep(SETTLE_STEP).await;
        }
    }

    async fn commit(&self, end: &Offset) -> Result<()> {
        let end = log_offset(Some(end))?;
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            inner.clean(end)?;
            // Old log files are a matter of tidiness only.
            if let Err(e) = inner.log.expire(inner.clock.now()) {
                tracing::warn!("cannot expire the file source log: {e}");
            }
            Ok(())
        })
        .await
    }

    async fn changed(&self) {
        self.inner.watch.changed().await;
    }
}

#[cfg(test)]
mod tests;
