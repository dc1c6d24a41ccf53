//! The file sink: csv, json, parquet and text folders, each row exactly once.
//!
//! A batch's files have names that depend only on query, batch and split. They are written
//! under a dot-name, beside the query's own logs; once those are durable they are renamed,
//! and `_spark_metadata` gets the batch. Whatever step a crash comes after, the retry ends
//! with the same files: it finds by their names what the earlier attempt made visible and
//! removes that unless it will write the same bytes again, and it skips a batch that the
//! log already has. So neither a reader of the log nor a glob over `part-*` sees a row
//! twice or a partial file, and two queries may write into one folder.

mod metadata_log;
mod partition_path;
mod split_writer;

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use datafusion::{arrow::datatypes::SchemaRef, execution::SendableRecordBatchStream};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use metadata_log::{FileSinkLog, METADATA_DIR, SinkFileStatus, read_sink_log};
pub use partition_path::{DEFAULT_PARTITION_NAME, push_partition};
pub use split_writer::{EncodedFile, SplitWriter, WriteLayout};

use super::{OutputMode, Sink, StagedBatch, rows};
use crate::{
    Result, SparkError,
    checkpoint::{
        Checkpoint, StorageRef,
        storage::{PreparedFile, blocking, read_failed, write_failed},
    },
    format::{Options, WriteFormatRef, value_text::ZoneOffsets},
    query::BatchId,
    time::Clock,
};

/// Files written at the same time.
const PARALLEL_WRITES: usize = 8;

/// From this size on a split is written as soon as it is complete, while others go on.
const LARGE_SPLIT_BYTES: usize = if cfg!(test) { 24 } else { 8 << 20 };

/// What a file sink is made of.
#[derive(Clone)]
pub struct FileSinkSpec {
    /// Output folder, absolute.
    pub path: PathBuf,
    /// Format of the files, options applied.
    pub format: WriteFormatRef,
    /// Partition columns, outermost first.
    pub partition_by: Vec<String>,
    /// Options of the write; `maxRecordsPerFile` is read here.
    pub options: Options,
    /// Zone in which timestamps name directories.
    pub zone: Arc<dyn ZoneOffsets>,
}

impl FileSinkSpec {
    /// How rows of `schema` (user's names) become files.
    ///
    /// # Errors
    /// `_LEGACY_ERROR_TEMP_1196` (no such partition column); else as [`WriteLayout::new`]:
    /// what Spark refuses when the query starts.
    pub fn layout(&self, schema: &SchemaRef) -> Result<WriteLayout> {
        for column in &self.partition_by {
            if !schema.fields().iter().any(|f| f.name().eq_ignore_ascii_case(column)) {
                let known: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
                return Err(SparkError::new("_LEGACY_ERROR_TEMP_1196")
                    .with("columnType", "Partition")
                    .with("columnName", column)
                    .with("validColumnNames", known.join(", ")));
            }
        }
        WriteLayout::new(self.format.clone(), schema, &self.partition_by, &self.options, self.zone.clone())
    }
}

/// Writes batches into a folder.
#[derive(Debug, Clone)]
pub struct FileSink {
    inner: Arc<Inner>,
}

struct Inner {
    spec: FileSinkSpec,
    storage: StorageRef,
    clock: Arc<dyn Clock>,
    query: Uuid,
    adopted: Option<BatchId>,
    resumed: bool,
    /// Marks this run's staged files.
    run: String,
    log: FileSinkLog,
    progress: Mutex<Option<Progress>>,
    /// What an attempt of an earlier run at this run's first batch made visible.
    leftovers: Mutex<Vec<PathBuf>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSink")
            .field("path", &self.spec.path)
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}

/// What the sink knows of the log, read at its first batch.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// This query's last published batch.
    last: Option<BatchId>,
    /// The number the log takes next, unless another query takes it first.
    number: BatchId,
}

impl FileSink {
    /// The sink of the query that owns `checkpoint`. Touches nothing yet.
    pub fn new(spec: FileSinkSpec, checkpoint: &Checkpoint, clock: Arc<dyn Clock>) -> Self {
        let storage = checkpoint.storage().clone();
        let log = FileSinkLog::new(storage.clone(), &spec.path, checkpoint.retention().sink_log);
        let (query, adopted) = (checkpoint.id(), checkpoint.adopted());
        let resumed = !checkpoint.is_new();
        let (progress, leftovers) = (Mutex::default(), Mutex::default());
        let run = Uuid::new_v4().simple().to_string();
        let inner = Inner { spec, storage, clock, query, adopted, resumed, run, log, progress, leftovers };
        Self { inner: Arc::new(inner) }
    }
}

#[async_trait]
impl Sink for FileSink {
    fn description(&self) -> String {
        format!("FileSink[file:{}]", self.inner.spec.path.display())
    }

    fn supports(&self, mode: OutputMode) -> bool {
        mode == OutputMode::Append
    }

    async fn stage(
        &self,
        batch: BatchId,
        schema: SchemaRef,
        rows: Vec<SendableRecordBatchStream>,
    ) -> Result<Box<dyn StagedBatch>> {
        let inner = self.inner.clone();
        let progress = blocking(move || inner.prepare(batch)).await?;
        if progress.last.is_some_and(|last| batch <= last) {
            tracing::info!(%batch, path = %self.inner.spec.path.display(), "skipping a batch that is already written");
            rows::drain(rows).await?;
            return Ok(Box::new(StagedFiles::new(self.inner.clone(), batch)));
        }

        let layout = self.inner.spec.layout(&schema)?;
        let job = job_id(self.inner.query, batch);
        let mut rows = rows;
        if rows.is_empty() {
            // A batch without partitions still writes its empty file.
            rows.push(Box::pin(datafusion::physical_plan::EmptyRecordBatchStream::new(schema)));
        }
        let mut staged = StagedFiles::new(self.inner.clone(), batch);
        let (sink, abandoned) = (self.inner.clone(), staged.abandoned.clone());
        let splits = rows::each_partition(rows, move |split, stream| {
            let (mut writer, sink, abandoned) = (layout.split(job, split), sink.clone(), abandoned.clone());
            async move {
                writer.write_all(stream).await?;
                Ok(SplitFiles::new(writer.finish()?, &sink, abandoned))
            }
        });
        let splits = splits.await?;
        staged.names = Some(splits.iter().flat_map(|split| split.names.iter().cloned()).collect());
        for split in splits {
            staged.encoded.extend(split.encoded.into_iter().map(Arc::new));
            staged.writing.extend(split.writing);
        }
        Ok(Box::new(staged))
    }
}

/// The files of one split.
struct SplitFiles {
    names: Vec<String>,
    /// Small ones, written together with those of other splits.
    encoded: Vec<EncodedFile>,
    /// The write of large ones, on its way.
    writing: Option<JoinHandle<Result<()>>>,
}

impl SplitFiles {
    fn new(files: Vec<EncodedFile>, sink: &Arc<Inner>, abandoned: Arc<AtomicBool>) -> Self {
        let names = files.iter().map(|f| f.name.clone()).collect();
        if files.iter().map(EncodedFile::size).sum::<usize>() < LARGE_SPLIT_BYTES {
            return Self { names, encoded: files, writing: None };
        }
        let sink = sink.clone();
        let write = move || {
            for file in files {
                sink.write(&file)?;
                if abandoned.load(Ordering::SeqCst) {
                    sink.unstage(&file.name);
                }
            }
            Ok(())
        };
        Self { names, encoded: vec![], writing: Some(tokio::task::spawn_blocking(write)) }
    }
}

/// A batch whose files are, or will be, under dot-names.
struct StagedFiles {
    sink: Arc<Inner>,
    batch: BatchId,
    /// All files; `None` when the batch is published already.
    names: Option<Vec<String>>,
    /// Those still to be written.
    encoded: Vec<Arc<EncodedFile>>,
    /// Writes under way.
    writing: Vec<JoinHandle<Result<()>>>,
    /// Tells them that the batch was given up.
    abandoned: Arc<AtomicBool>,
    secured: bool,
    entry: Option<LogEntry>,
}

/// The batch's entry in the log, durable and without its name.
struct LogEntry {
    number: BatchId,
    files: Vec<SinkFileStatus>,
    prepared: PreparedFile,
}

impl StagedFiles {
    fn new(sink: Arc<Inner>, batch: BatchId) -> Self {
        Self {
            sink,
            batch,
            names: None,
            encoded: vec![],
            writing: vec![],
            abandoned: Arc::default(),
            secured: false,
            entry: None,
        }
    }

    /// Writes what is not written; every call has ended when this returns, also with an error.
    async fn write(&mut self) -> Result<()> {
        let small = futures::stream::iter(self.encoded.drain(..).map(|file| {
            let sink = self.sink.clone();
            blocking(move || sink.write(&file))
        }));
        let large = futures::future::join_all(self.writing.drain(..));
        let (small, large) =
            futures::join!(small.buffer_unordered(PARALLEL_WRITES).collect::<Vec<Result<()>>>(), large);
        for written in large {
            written.map_err(|e| SparkError::internal("a file was not written").caused_by(e))??;
        }
        small.into_iter().collect()
    }
}

#[async_trait]
impl StagedBatch for StagedFiles {
    async fn secure(&mut self) -> Result<()> {
        let Some(names) = self.names.clone() else { return Ok(()) };
        let (sink, files) = (self.sink.clone(), self.encoded.clone());
        if !sink.leftovers.lock().is_empty() {
            let taken_back = blocking(move || sink.take_back(&files)).await;
            if taken_back.is_err() {
                // No write goes on behind the back of the next run.
                futures::future::join_all(self.writing.drain(..)).await;
            }
            taken_back?;
        }
        self.write().await?;
        let (sink, batch) = (self.sink.clone(), self.batch);
        self.entry = blocking(move || sink.prepare_entry(batch, &names)).await?;
        self.secured = true;
        Ok(())
    }

    /// Spark counts no rows here, so the answer is always `None`.
    async fn publish(mut self: Box<Self>) -> Result<Option<i64>> {
        if self.names.is_some() && !self.secured {
            return Err(SparkError::internal("a batch has to be durable before it is published"));
        }
        if let Some(names) = self.names.take() {
            let (sink, batch, entry) = (self.sink.clone(), self.batch, self.entry.take());
            blocking(move || sink.publish(batch, &names, entry)).await?;
        }
        Ok(None)
    }
}

impl Drop for StagedFiles {
    /// A batch that is given up takes its staged files along; a killed run's go at restart.
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::SeqCst);
        for name in self.names.take().unwrap_or_default() {
            self.sink.unstage(&name);
        }
    }
}

impl Inner {
    /// Reads the log at the first batch, and clears what killed attempts left behind.
    fn prepare(&self, batch: BatchId) -> Result<Progress> {
        let mut progress = self.progress.lock();
        if let Some(known) = *progress {
            return Ok(known);
        }
        let log_dir = self.spec.path.join(METADATA_DIR);
        self.storage.create_dir_all(&log_dir).map_err(|e| write_failed(&log_dir, e))?;
        let known = Progress {
            last: self.log.last_batch(self.query, self.adopted)?,
            number: self.log.next_number()?,
        };
        // The files of a batch that is in the log are no leftovers.
        if self.resumed && known.last.is_none_or(|last| batch > last) {
            let mut leftovers = Vec::new();
            self.attempts(&self.spec.path, &job_id(self.query, batch).to_string(), &mut leftovers)?;
            *self.leftovers.lock() = leftovers;
        }
        Ok(*progress.insert(known))
    }

    /// Finds the visible files of an earlier attempt, wherever its partitions put them, and
    /// removes those that were never seen.
    fn attempts(&self, dir: &Path, job: &str, visible: &mut Vec<PathBuf>) -> Result<()> {
        for entry in self.storage.list(dir).map_err(|e| read_failed(dir, e))? {
            let path = dir.join(&entry.name);
            let own = !entry.is_dir && entry.name.contains(job);
            if entry.is_dir && entry.name.contains('=') {
                self.attempts(&path, job, visible)?;
            } else if own && entry.name.starts_with("part-") {
                visible.push(path);
            } else if own && entry.name.starts_with('.') && entry.name.ends_with(".staged") {
                self.storage.delete(&path).map_err(|e| write_failed(&path, e))?;
            }
        }
        Ok(())
    }

    /// Takes back what an earlier attempt made visible, before anything of this one is.
    ///
    /// A visible file stays if this attempt writes the very same bytes again. Any other
    /// goes: its rows may now belong to another file, and would for a moment be in both.
    fn take_back(&self, files: &[Arc<EncodedFile>]) -> Result<()> {
        let again: HashMap<PathBuf, &EncodedFile> =
            files.iter().map(|f| (self.spec.path.join(&f.name), f.as_ref())).collect();
        let mut touched = BTreeSet::new();
        for path in std::mem::take(&mut *self.leftovers.lock()) {
            let same = match again.get(&path) {
                Some(file) => self.holds(&path, file)?,
                None => false,
            };
            if !same {
                self.storage.delete(&path).map_err(|e| write_failed(&path, e))?;
                touched.extend(path.parent().map(Path::to_path_buf));
            }
        }
        for dir in touched {
            self.storage.sync_dir(&dir).map_err(|e| write_failed(&dir, e))?;
        }
        Ok(())
    }

    fn holds(&self, path: &Path, file: &EncodedFile) -> Result<bool> {
        match self.storage.read(path) {
            Ok(found) => Ok(file.holds(&found)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(read_failed(path, e)),
        }
    }

    fn write(&self, file: &EncodedFile) -> Result<()> {
        let path = self.staged_path(&file.name);
        self.storage.write_staged_pieces(&path, &file.pieces).map_err(|e| write_failed(&path, e))
    }

    fn unstage(&self, name: &str) {
        let path = self.staged_path(name);
        if let Err(e) = self.storage.delete(&path) {
            tracing::debug!(path = %path.display(), error = %e, "a staged file could not be removed");
        }
    }

    /// `.<name>.<run>.staged` beside the file's final place: no listing of Spark or Hadoop and
    /// no glob `part-*` sees it. `run` keeps a write that a cancelled run left behind from
    /// meddling with the file of the next one.
    fn staged_path(&self, name: &str) -> PathBuf {
        let path = self.spec.path.join(name);
        let base = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        path.with_file_name(format!(".{base}.{}.staged", self.run))
    }

    /// Writes the batch's entry for the log in advance; `None` where none is due.
    fn prepare_entry(&self, batch: BatchId, names: &[String]) -> Result<Option<LogEntry>> {
        let number = self.progress.lock().map_or(BatchId(0), |p| p.number);
        // A batch without files (partitioned, no rows) leaves no trace to know it by: its
        // retry would log it again and push the numbers away from the batch ids.
        if names.is_empty() && number > batch {
            return Ok(None);
        }
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            // Size and time of a file are the same under its final name.
            let staged = self.staged_path(name);
            let info = self.storage.info(&staged).map_err(|e| read_failed(&staged, e))?;
            let info = info.ok_or_else(|| write_failed(&staged, std::io::ErrorKind::NotFound.into()))?;
            files.push(SinkFileStatus::added(&self.spec.path.join(name), &info, self.query, batch));
        }
        let prepared = self.log.prepare(number, &files)?;
        Ok(Some(LogEntry { number, files, prepared }))
    }

    /// Renames the files into place and logs them.
    fn publish(&self, batch: BatchId, names: &[String], entry: Option<LogEntry>) -> Result<()> {
        let mut dirs = BTreeSet::new();
        for name in names {
            let path = self.spec.path.join(name);
            self.storage.rename(&self.staged_path(name), &path).map_err(|e| write_failed(&path, e))?;
            dirs.extend(path.parent().map(Path::to_path_buf));
        }
        for dir in dirs {
            self.storage.sync_dir(&dir).map_err(|e| write_failed(&dir, e))?;
        }
        let mut progress = self.progress.lock();
        let number = progress.map_or(BatchId(0), |p| p.number);
        let next = match entry {
            Some(LogEntry { number, files, prepared }) => self.log.add_prepared(prepared, number, &files)?,
            None => number,
        };
        *progress = Some(Progress { last: Some(batch), number: next });
        drop(progress);
        self.tidy(batch, next);
        Ok(())
    }

    /// Forgets log files nobody needs; failing at it is harmless.
    fn tidy(&self, batch: BatchId, next: BatchId) {
        let expired = match next.previous() {
            Some(last) if self.log.compacts(last) => self.log.expire(last, self.clock.now()),
            _ => Ok(()),
        };
        if let Err(e) = expired {
            tracing::debug!(%batch, error = %e, "old sink files could not be removed");
        }
    }
}

/// The uuid in the file names of a batch: the same for every attempt, different for every
/// query and batch. Durable: a retry by a later version must find the same names.
fn job_id(query: Uuid, batch: BatchId) -> Uuid {
    let mut seed = [0; 24];
    let (id, number) = seed.split_at_mut(16);
    id.copy_from_slice(query.as_bytes());
    number.copy_from_slice(&batch.0.to_be_bytes());
    let hash = twox_hash::XxHash3_128::oneshot(&seed);
    uuid::Builder::from_random_bytes(hash.to_be_bytes()).into_uuid()
}

#[cfg(test)]
mod tests;
