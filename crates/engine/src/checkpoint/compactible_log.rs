//! A metadata log that folds its past into one file every few batches, as Spark's
//! `CompactibleFileStreamLog`: the file source's log and the file sink's log.
//!
//! Layout: `<dir>/<N>` holds `v1` and one line of JSON an entry of batch `N`. Every
//! `interval` batches (numbers 9, 19, 29 ... for 10) the file is `<N>.compact` instead and
//! holds every entry so far, in order, plus those of `N`; there is no plain `<N>` beside it.
//!
//! Compaction copies lines as they are, so fields that Spark knows nothing of survive.

use std::{
    io,
    marker::PhantomData,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    LogRetention,
    metadata_log::{batch_number, concurrent_update, damaged, versioned_lines},
    storage::{PreparedFile, StorageRef, read_failed, write_failed},
};
use crate::{Result, SparkError, query::BatchId, time::Millis};

/// A log of entries `E`, one JSON line each.
#[derive(Debug)]
pub struct CompactibleLog<E> {
    storage: StorageRef,
    dir: PathBuf,
    retention: LogRetention,
    interval: Mutex<Option<i64>>,
    entry: PhantomData<fn() -> E>,
}

/// What the directory holds.
#[derive(Debug, Default)]
struct Listing {
    /// Numbers of plain files, ascending.
    plain: Vec<i64>,
    /// Numbers of `.compact` files, ascending.
    compact: Vec<i64>,
}

impl Listing {
    fn latest(&self) -> Option<i64> {
        self.plain.last().copied().max(self.compact.last().copied())
    }
}

impl<E: Serialize + DeserializeOwned> CompactibleLog<E> {
    /// The log in `dir`, which need not exist yet; it compacts as `retention` says unless
    /// the files there show another interval.
    pub fn new(storage: StorageRef, dir: PathBuf, retention: LogRetention) -> Self {
        Self { storage, dir, retention, interval: Mutex::new(None), entry: PhantomData }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The greatest number in the log.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn latest(&self) -> Result<Option<BatchId>> {
        Ok(self.list()?.latest().map(BatchId))
    }

    /// Writes the entries of `batch`, durably; numbers must be added in order.
    ///
    /// # Errors
    /// `CONCURRENT_STREAM_LOG_UPDATE` when the number exists.
    pub fn add(&self, batch: BatchId, entries: &[E]) -> Result<()> {
        let (path, text) = self.file_of(batch, entries)?;
        let created = self.storage.create_exclusive(&path, text.as_bytes());
        created.map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => concurrent_update(batch),
            _ => write_failed(&path, e),
        })
    }

    /// Writes the entries of `batch` in advance, every number before it being there: they
    /// belong to the log once the file has its name.
    ///
    /// # Errors
    /// The storage's, as a Spark error.
    pub fn prepare(&self, batch: BatchId, entries: &[E]) -> Result<PreparedFile> {
        let (path, text) = self.file_of(batch, entries)?;
        PreparedFile::write(self.storage.clone(), path.clone(), text.as_bytes())
            .map_err(|e| write_failed(&path, e))
    }

    /// Path and content of the file of `batch`.
    fn file_of(&self, batch: BatchId, entries: &[E]) -> Result<(PathBuf, String)> {
        let mut text = String::from("v1");
        let compact = self.is_compaction(batch)?;
        if compact {
            for line in self.lines_before(batch)? {
                text.push('\n');
                text.push_str(&line);
            }
        }
        for entry in entries {
            let json = serde_json::to_string(entry)
                .map_err(|e| SparkError::internal("a log entry is no JSON").caused_by(e))?;
            text.push('\n');
            text.push_str(&json);
        }
        Ok((self.file(batch.0, compact), text))
    }

    /// The lines of one number's file: its own entries, or everything so far when it is a
    /// compaction; `None` when there is no such file.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn get(&self, batch: BatchId) -> Result<Option<Vec<E>>> {
        for compact in [false, true] {
            let path = self.file(batch.0, compact);
            if let Some(lines) = self.read(&path)? {
                return parse(&path, &lines).map(Some);
            }
        }
        Ok(None)
    }

    /// Every entry in the log, in the order they were added.
    ///
    /// Safe beside a writer: a file that is folded away while we read starts us again.
    ///
    /// # Errors
    /// `BATCH_METADATA_NOT_FOUND` when a number between the last compaction and the latest
    /// is missing; a damaged file.
    pub fn all(&self) -> Result<Vec<E>> {
        let Some(mut latest) = self.list()?.latest() else { return Ok(Vec::new()) };
        loop {
            match self.lines_upto(latest) {
                Ok(lines) => return parse(&self.dir, &lines),
                Err(error) => match self.list()?.latest() {
                    Some(now) if now > latest => latest = now,
                    _ => return Err(error),
                },
            }
        }
    }

    /// Removes files that a compaction covers, as far as the retention allows at `now`.
    ///
    /// # Errors
    /// A file cannot be removed; harmless.
    pub fn expire(&self, current: BatchId, now: Millis) -> Result<()> {
        let LogRetention { min_batches, cleanup_delay_ms, deletion, .. } = self.retention;
        if !deletion {
            return Ok(());
        }
        let interval = self.interval()?;
        if interval > current.0 + 1 - min_batches {
            return Ok(());
        }
        let min_batch = current.0 + 1 - min_batches;
        // Readers need the last compaction before the oldest batch we keep.
        let oldest = min_batch - min_batch.rem_euclid(interval) - 1;
        for file in self.storage.list(&self.dir).map_err(|e| read_failed(&self.dir, e))? {
            let number = batch_number(file.name.strip_suffix(".compact").unwrap_or(&file.name));
            if number.is_some_and(|n| n < oldest) && file.modified.0 <= now.0 - cleanup_delay_ms {
                let path = self.dir.join(&file.name);
                self.storage.delete(&path).map_err(|e| write_failed(&path, e))?;
            }
        }
        Ok(())
    }

    /// Whether `batch` is written as a compaction.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn is_compaction(&self, batch: BatchId) -> Result<bool> {
        Ok((batch.0 + 1) % self.interval()? == 0)
    }

    fn interval(&self) -> Result<i64> {
        let mut interval = self.interval.lock();
        match *interval {
            Some(known) => Ok(known),
            None => {
                let derived = derive_interval(self.retention.compact_interval.max(1), &self.list()?.compact);
                *interval = Some(derived);
                Ok(derived)
            }
        }
    }

    fn lines_before(&self, batch: BatchId) -> Result<Vec<String>> {
        match batch.previous() {
            None => Ok(Vec::new()),
            Some(previous) => self.lines_upto(previous.0),
        }
    }

    /// The last compaction at or before `last`, then the plain files after it.
    fn lines_upto(&self, last: i64) -> Result<Vec<String>> {
        let interval = self.interval()?;
        let mut compaction = (last + 1) / interval * interval - 1;
        let mut lines = Vec::new();
        if compaction >= 0 {
            match self.read(&self.file(compaction, true))? {
                Some(all) => lines = all,
                // An interval that was derived wrongly: fall back to what is there.
                None => match self.list()?.compact.into_iter().rfind(|c| *c <= last) {
                    Some(found) => {
                        compaction = found;
                        lines = self.need(found, true)?;
                    }
                    None => compaction = -1,
                },
            }
        }
        for number in compaction + 1..=last {
            lines.extend(self.need(number, false)?);
        }
        Ok(lines)
    }

    fn need(&self, number: i64, compact: bool) -> Result<Vec<String>> {
        let path = self.file(number, compact);
        self.read(&path)?.ok_or_else(|| {
            SparkError::new("BATCH_METADATA_NOT_FOUND").with("batchMetadataFile", super::to_uri(&path))
        })
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<String>>> {
        match self.storage.read(path) {
            Ok(bytes) => Ok(Some(versioned_lines(path, bytes)?)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(read_failed(path, e)),
        }
    }

    fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        for file in self.storage.list(&self.dir).map_err(|e| read_failed(&self.dir, e))? {
            if file.is_dir {
                continue;
            }
            match file.name.strip_suffix(".compact") {
                Some(number) => listing.compact.extend(batch_number(number)),
                None => listing.plain.extend(batch_number(&file.name)),
            }
        }
        listing.plain.sort_unstable();
        listing.compact.sort_unstable();
        Ok(listing)
    }

    fn file(&self, number: i64, compact: bool) -> PathBuf {
        self.dir.join(if compact { format!("{number}.compact") } else { number.to_string() })
    }
}

fn parse<E: DeserializeOwned>(path: &Path, lines: &[String]) -> Result<Vec<E>> {
    let entries = lines.iter().filter(|line| !line.is_empty());
    entries.map(|line| serde_json::from_str(line).map_err(|e| damaged(path, e))).collect()
}

/// The interval that explains the `.compact` files there are, as Spark derives it: two
/// files, their distance; one file `c`, the default if it fits, else a divisor of `c + 1`.
fn derive_interval(default: i64, compact: &[i64]) -> i64 {
    match compact {
        [.., before, last] => last - before,
        [only] => {
            let latest = only + 1;
            if latest <= default {
                latest
            } else if default < latest / 2 {
                (default..=latest).find(|d| latest % d == 0).unwrap_or(latest)
            } else {
                latest
            }
        }
        [] => default,
    }
}

#[cfg(test)]
mod tests;
