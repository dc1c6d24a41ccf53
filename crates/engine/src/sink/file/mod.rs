//! The file sink: csv, json, parquet and text folders, each row exactly once.
//!
//! A batch's files have names that depend only on query, batch and split. They are
//! written under a dot-name, the list of them is made durable in the checkpoint, they are
//! renamed, and `_spark_metadata` gets the batch. Whatever step a crash comes after, the
//! retry ends with the same files: it removes what the earlier attempt made visible unless
//! it will write the same bytes again, and it skips a batch that the log already has.
//! So neither a reader of the log nor a glob over `part-*` sees a row twice or a partial
//! file, and two queries may write into one folder.

mod attempt;
mod metadata_log;
mod partition_path;
mod split_writer;

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use datafusion::{arrow::datatypes::SchemaRef, execution::SendableRecordBatchStream};
use futures::StreamExt;
use parking_lot::Mutex;
use uuid::Uuid;

pub use metadata_log::{FileSinkLog, METADATA_DIR, SinkFileStatus, read_sink_log};
pub use partition_path::{DEFAULT_PARTITION_NAME, push_partition};
pub use split_writer::{EncodedFile, SplitWriter, WriteLayout};

use super::{OutputMode, Sink, StagedBatch, rows};
use crate::{
    Result, SparkError,
    checkpoint::{
        Checkpoint, StorageRef,
        storage::{blocking, read_failed, write_failed},
    },
    format::{Options, WriteFormatRef, value_text::ZoneOffsets},
    query::BatchId,
    time::Clock,
};
use attempt::{AttemptLog, staged_path};

/// Files written at the same time.
const PARALLEL_WRITES: usize = 8;

/// From this size on a split is written as soon as it is complete.
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
    attempts: AttemptLog,
    progress: Mutex<Option<Progress>>,
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
        let attempts = AttemptLog::new(storage.clone(), checkpoint.sink_dir());
        let (query, adopted) = (checkpoint.id(), checkpoint.adopted());
        let resumed = !checkpoint.is_new();
        let progress = Mutex::new(None);
        let run = Uuid::new_v4().simple().to_string();
        let inner = Inner { spec, storage, clock, query, adopted, resumed, run, log, attempts, progress };
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
            return Ok(Box::new(StagedFiles { sink: self.inner.clone(), batch, names: None }));
        }

        let layout = self.inner.spec.layout(&schema)?;
        let job = job_id(self.inner.query, batch);
        let mut rows = rows;
        if rows.is_empty() {
            // A batch without partitions still writes its empty file.
            rows.push(Box::pin(datafusion::physical_plan::EmptyRecordBatchStream::new(schema)));
        }
        let sink = self.inner.clone();
        let splits = rows::each_partition(rows, move |split, mut stream| {
            let (mut writer, sink) = (layout.split(job, split), sink.clone());
            async move {
                while let Some(batch) = stream.next().await {
                    writer.write(&batch?)?;
                }
                let files = writer.finish()?.into_iter().map(OutputFile::Encoded).collect::<Vec<_>>();
                // Small files are written beside the list below; large ones leave memory now.
                if files.iter().map(OutputFile::size).sum::<usize>() < LARGE_SPLIT_BYTES {
                    return Ok(files);
                }
                blocking(move || {
                    files.into_iter().map(|file| sink.write(&file).map(|()| file.written())).collect()
                })
                .await
            }
        });
        let files: Vec<Arc<OutputFile>> = splits.await?.into_iter().flatten().map(Arc::new).collect();
        let names = files.iter().map(|f| f.name().to_string()).collect();
        let staged = StagedFiles { sink: self.inner.clone(), batch, names: Some(names) };

        // The list and the files become durable side by side; neither is visible.
        let (inner, listed) = (self.inner.clone(), files.clone());
        let announce = blocking(move || inner.announce(batch, &listed));
        let write = futures::stream::iter(files.into_iter().map(|file| {
            let inner = self.inner.clone();
            blocking(move || inner.write(&file))
        }));
        // Every call has ended when this returns, also with an error.
        let (announced, written) =
            futures::join!(announce, write.buffer_unordered(PARALLEL_WRITES).collect::<Vec<Result<()>>>());
        announced?;
        written.into_iter().collect::<Result<()>>()?;
        Ok(Box::new(staged))
    }
}

/// A file of a batch on its way to its staged place.
enum OutputFile {
    Encoded(EncodedFile),
    /// Already there; the name.
    Written(String),
}

impl OutputFile {
    fn name(&self) -> &str {
        match self {
            OutputFile::Encoded(file) => &file.name,
            OutputFile::Written(name) => name,
        }
    }

    fn size(&self) -> usize {
        match self {
            OutputFile::Encoded(file) => file.bytes.len(),
            OutputFile::Written(_) => 0,
        }
    }

    fn written(self) -> Self {
        match self {
            OutputFile::Encoded(file) => OutputFile::Written(file.name),
            written => written,
        }
    }
}

/// A batch whose files wait under dot-names; without names it is already published.
struct StagedFiles {
    sink: Arc<Inner>,
    batch: BatchId,
    names: Option<Vec<String>>,
}

#[async_trait]
impl StagedBatch for StagedFiles {
    /// Spark counts no rows here, so the answer is always `None`.
    async fn publish(mut self: Box<Self>) -> Result<Option<i64>> {
        if let Some(names) = self.names.take() {
            let (sink, batch) = (self.sink.clone(), self.batch);
            blocking(move || sink.publish(batch, &names)).await?;
        }
        Ok(None)
    }
}

impl Drop for StagedFiles {
    /// A batch that is given up takes its staged files along; a killed run's go at restart.
    fn drop(&mut self) {
        for name in self.names.take().unwrap_or_default() {
            let path = staged_path(&self.sink.spec.path, &name, &self.sink.run);
            if let Err(e) = self.sink.storage.delete(&path) {
                tracing::debug!(path = %path.display(), error = %e, "a staged file could not be removed");
            }
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
        if self.resumed {
            self.remove_staged(&self.spec.path, &job_id(self.query, batch).to_string())?;
        }
        Ok(*progress.insert(known))
    }

    /// Removes staged files of an earlier attempt, wherever its partitions put them.
    fn remove_staged(&self, dir: &Path, job: &str) -> Result<()> {
        for entry in self.storage.list(dir).map_err(|e| read_failed(dir, e))? {
            let path = dir.join(&entry.name);
            if entry.is_dir && entry.name.contains('=') {
                self.remove_staged(&path, job)?;
            } else if entry.name.starts_with('.')
                && entry.name.ends_with(".staged")
                && entry.name.contains(job)
            {
                self.storage.delete(&path).map_err(|e| write_failed(&path, e))?;
            }
        }
        Ok(())
    }

    /// Takes back what an earlier attempt made visible, then lists this attempt's files.
    ///
    /// A visible file stays if this attempt writes the very same bytes again. Any other
    /// goes: its rows may now belong to another file, and would for a moment be in both.
    fn announce(&self, batch: BatchId, files: &[Arc<OutputFile>]) -> Result<()> {
        let again: HashMap<&str, &OutputFile> = files.iter().map(|f| (f.name(), f.as_ref())).collect();
        let mut touched = BTreeSet::new();
        for name in self.attempts.read(batch)? {
            let path = self.spec.path.join(&name);
            let same = match again.get(name.as_str()) {
                Some(OutputFile::Encoded(file)) => self.holds(&path, &file.bytes)?,
                _ => false,
            };
            if !same {
                self.storage.delete(&path).map_err(|e| write_failed(&path, e))?;
                touched.extend(path.parent().map(Path::to_path_buf));
            }
        }
        // The old list may only be replaced once what it lists is durably gone.
        for dir in touched {
            if self.storage.info(&dir).map_err(|e| read_failed(&dir, e))?.is_some() {
                self.storage.sync_dir(&dir).map_err(|e| write_failed(&dir, e))?;
            }
        }
        let names: Vec<&str> = files.iter().map(|f| f.name()).collect();
        self.attempts.write(batch, &names)
    }

    fn holds(&self, path: &Path, bytes: &[u8]) -> Result<bool> {
        match self.storage.read(path) {
            Ok(found) => Ok(found == bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(read_failed(path, e)),
        }
    }

    fn write(&self, file: &OutputFile) -> Result<()> {
        let OutputFile::Encoded(file) = file else { return Ok(()) };
        let path = staged_path(&self.spec.path, &file.name, &self.run);
        self.storage.write_staged(&path, &file.bytes).map_err(|e| write_failed(&path, e))
    }

    /// Renames the files into place and logs them.
    fn publish(&self, batch: BatchId, names: &[String]) -> Result<()> {
        let mut progress = self.progress.lock();
        let number = progress.map_or(BatchId(0), |p| p.number);
        let mut dirs = BTreeSet::new();
        for name in names {
            let path = self.spec.path.join(name);
            let staged = staged_path(&self.spec.path, name, &self.run);
            self.storage.rename(&staged, &path).map_err(|e| write_failed(&path, e))?;
            dirs.extend(path.parent().map(Path::to_path_buf));
        }
        for dir in dirs {
            self.storage.sync_dir(&dir).map_err(|e| write_failed(&dir, e))?;
        }
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            let path = self.spec.path.join(name);
            let info = self.storage.info(&path).map_err(|e| read_failed(&path, e))?;
            let info = info.ok_or_else(|| write_failed(&path, std::io::ErrorKind::NotFound.into()))?;
            files.push(SinkFileStatus::added(&path, &info, self.query, batch));
        }
        // A batch without files (partitioned, no rows) leaves no trace to know it by: its
        // retry would log it again and push the numbers away from the batch ids.
        let next = if files.is_empty() && number > batch { number } else { self.log.add(number, &files)? };
        *progress = Some(Progress { last: Some(batch), number: next });
        drop(progress);
        self.tidy(batch, next);
        Ok(())
    }

    /// Forgets attempts and log files nobody needs; failing at it is harmless.
    fn tidy(&self, batch: BatchId, next: BatchId) {
        let expired = match next.previous() {
            Some(last) if self.log.compacts(last) => self.log.expire(last, self.clock.now()),
            _ => Ok(()),
        };
        if let Err(e) = self.attempts.forget_before(batch).and(expired) {
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
