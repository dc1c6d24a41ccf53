//! `StateKeeper`: the state of one operator over the life of a run.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use datafusion::arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions},
    datatypes::SchemaRef,
};
use parking_lot::Mutex;

use super::{OperatorState, StateDefinition, StateOperatorMetrics, StateStore, StatefulOperator};
use crate::{
    Result, SparkError,
    checkpoint::storage::blocking,
    query::{BatchContext, BatchId, OperatorWatermarks},
    state::{FileKind, Header, OperatorMetadata, StateFile, StateLocation, StateLog},
    time::{Clock, Millis},
};

/// A snapshot is due after this many changes, once they hold as many rows as the state...
const CHANGES_BEFORE_SNAPSHOT: i64 = 10;
/// ...and after this many in any case.
const MOST_CHANGES: i64 = 100;

/// State in memory and its files.
///
/// # Invariants
/// A batch is `load` (or the commit of the batch before), `begin`, `update`.., `finish`,
/// `commit`; out of order is an error, so that no batch is applied twice.
pub struct StateKeeper<D: StateDefinition> {
    definition: Arc<D>,
    operator_id: usize,
    partitions: usize,
    /// The operator's directory, for its metadata.
    log: StateLog,
    stores: Vec<(StateStore, StateLog)>,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner<D::State>>,
}

#[derive(Debug)]
struct Inner<S> {
    state: S,
    phase: Phase,
    /// The last watermark that evicted, in microseconds.
    evicted: Option<i64>,
    /// By store: what was written since its last snapshot.
    written: Vec<Written>,
    metadata_written: bool,
    metrics: StateOperatorMetrics,
}

/// Changes since the last snapshot: their rows and their number.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    rows: usize,
    changes: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Memory holds nothing usable.
    Unloaded,
    /// Memory holds the state this batch reads.
    Ready(BatchId),
    /// The batch is taking rows.
    Running(BatchId),
    /// The batch is done and waits for its commit.
    Finished(BatchId),
}

/// The files of one commit, and what is true once they are written.
struct Commit {
    files: Vec<(StateLog, FileKind, Vec<u8>)>,
    written: Vec<Written>,
}

impl<D: StateDefinition> fmt::Debug for StateKeeper<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateKeeper")
            .field("definition", &self.definition)
            .field("operator_id", &self.operator_id)
            .finish_non_exhaustive()
    }
}

impl<D: StateDefinition> StateKeeper<D> {
    /// The keeper of operator number `operator_id`; nothing is read yet.
    ///
    /// # Errors
    /// Types that cannot be kept.
    pub fn new(definition: D, operator_id: usize, location: &StateLocation) -> Result<Self> {
        let log = location.log(operator_id);
        let stores = definition.stores()?.into_iter().map(|store| {
            let own = match store.directory {
                "" => log.clone(),
                name => StateLog::new(Arc::clone(log.storage()), log.dir().join(name)),
            };
            (store, own)
        });
        let stores: Vec<_> = stores.collect();
        let inner = Inner::new(definition.create()?, stores.len());
        Ok(Self {
            log,
            stores,
            partitions: location.partitions,
            clock: Arc::clone(&location.clock),
            inner: Mutex::new(inner),
            definition: Arc::new(definition),
            operator_id,
        })
    }

    /// What does not change from batch to batch.
    pub fn definition(&self) -> &D {
        &self.definition
    }

    /// Starts a batch: the watermarks it has for this operator.
    ///
    /// # Errors
    /// The state is not the one the batch reads.
    pub fn begin(&self, context: &BatchContext) -> Result<OperatorWatermarks> {
        let mut inner = self.inner.lock();
        if inner.phase != Phase::Ready(context.batch_id) {
            return Err(self.out_of_order("begin", context.batch_id, inner.phase));
        }
        inner.phase = Phase::Running(context.batch_id);
        inner.metrics = StateOperatorMetrics::default();
        inner.state.begin();
        Ok(context.watermarks(self.operator_id))
    }

    /// Changes the state by rows of the batch; counts as time for updates.
    ///
    /// # Errors
    /// `work`'s, and a batch that has not begun.
    pub fn update<T>(&self, batch: BatchId, work: impl FnOnce(&mut D::State) -> Result<T>) -> Result<T> {
        let started = self.clock.monotonic();
        let mut inner = self.inner.lock();
        if inner.phase != Phase::Running(batch) {
            return Err(self.out_of_order("update", batch, inner.phase));
        }
        let done = work(&mut inner.state)?;
        inner.metrics.all_updates_time_ms += self.since(started);
        Ok(done)
    }

    /// Ends the batch's input; counts as time for removals. `evicted` is the watermark, in
    /// microseconds, up to which `work` removes; `work` fills in the counts.
    ///
    /// # Errors
    /// `work`'s, and a batch that has not begun.
    pub fn finish<T>(
        &self,
        batch: BatchId,
        evicted: Option<i64>,
        work: impl FnOnce(&mut D::State, &mut StateOperatorMetrics) -> Result<T>,
    ) -> Result<T> {
        let started = self.clock.monotonic();
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        if inner.phase != Phase::Running(batch) {
            return Err(self.out_of_order("finish", batch, inner.phase));
        }
        let done = work(&mut inner.state, &mut inner.metrics)?;
        inner.phase = Phase::Finished(batch);
        inner.evicted = inner.evicted.max(evicted);
        inner.metrics.memory_used_bytes = i64::try_from(inner.state.memory()).unwrap_or(i64::MAX);
        inner.metrics.all_removals_time_ms += self.since(started);
        Ok(done)
    }

    fn since(&self, started: Duration) -> i64 {
        i64::try_from(self.clock.monotonic().saturating_sub(started).as_millis()).unwrap_or(i64::MAX)
    }

    fn out_of_order(&self, step: &str, batch: BatchId, phase: Phase) -> SparkError {
        let name = self.definition.name();
        SparkError::internal(format!("state of {name}: {step} of batch {batch} while {phase:?}"))
    }

    fn metadata(&self) -> OperatorMetadata {
        let stores = self.definition.spark_stores();
        OperatorMetadata::new(self.operator_id, self.definition.name(), self.partitions).with_stores(&stores)
    }

    /// What batch `batch` has to write, encoded; `None` when it is committed already.
    fn encode(&self, batch: BatchId) -> Result<Option<Commit>> {
        let inner = self.inner.lock();
        if inner.phase == Phase::Ready(batch.next()) {
            return Ok(None);
        }
        if inner.phase != Phase::Finished(batch) {
            return Err(self.out_of_order("commit", batch, inner.phase));
        }
        let version = batch.next().0;
        let header = |store: &StateStore, kind| Header {
            kind,
            version,
            evicted: inner.evicted,
            rows: 0,
            codec: String::new(),
            schema: store.schema.clone(),
        };
        let mut commit = Commit { files: vec![], written: vec![] };
        for (i, ((store, log), before)) in self.stores.iter().zip(&inner.written).enumerate() {
            let rows = record_batch(&store.rows, inner.state.changes(i)?)?;
            let bytes = StateFile::encode(header(store, FileKind::Change), &rows)?;
            commit.files.push((log.clone(), FileKind::Change, bytes));
            let written = Written { rows: before.rows + rows.num_rows(), changes: before.changes + 1 };
            let worth =
                written.changes >= CHANGES_BEFORE_SNAPSHOT && written.rows >= inner.state.stored_rows(i);
            if worth || written.changes >= MOST_CHANGES {
                let rows = record_batch(&store.rows, inner.state.snapshot(i)?)?;
                let bytes = StateFile::encode(header(store, FileKind::Snapshot), &rows)?;
                commit.files.push((log.clone(), FileKind::Snapshot, bytes));
                commit.written.push(Written::default());
            } else {
                commit.written.push(written);
            }
        }
        Ok(Some(commit))
    }
}

impl<S: OperatorState> Inner<S> {
    fn new(state: S, stores: usize) -> Self {
        Self {
            state,
            phase: Phase::Unloaded,
            evicted: None,
            written: vec![Written::default(); stores],
            metadata_written: false,
            metrics: StateOperatorMetrics::default(),
        }
    }

    /// Reads version `version` into fresh state.
    fn read(state: S, stores: &[(StateStore, StateLog)], version: i64) -> Result<Self> {
        let mut inner = Self::new(state, stores.len());
        for (i, (store, log)) in stores.iter().enumerate() {
            for (path, file) in log.load(version, &store.schema)? {
                if file.header.kind == FileKind::Change
                    && let Some(written) = inner.written.get_mut(i)
                {
                    written.changes += 1;
                    written.rows += file.header.rows;
                }
                if let Some(micros) = file.header.evicted {
                    inner.state.evict(i, micros)?;
                    inner.evicted = inner.evicted.max(Some(micros));
                }
                for rows in file.rows(&path, &store.rows)? {
                    inner.state.restore(i, rows.columns())?;
                }
            }
        }
        inner.state.loaded(inner.evicted);
        Ok(inner)
    }
}

/// A batch of `schema`'s columns; `columns` may be none when there is no column at all.
fn record_batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let rows = columns.first().map_or(0, |c| c.len());
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

#[async_trait]
impl<D: StateDefinition> StatefulOperator for StateKeeper<D> {
    fn name(&self) -> &'static str {
        self.definition.name()
    }

    async fn load(&self, batch: BatchId) -> Result<()> {
        if self.inner.lock().phase == Phase::Ready(batch) {
            return Ok(());
        }
        let (definition, stores) = (Arc::clone(&self.definition), self.stores.clone());
        let (log, metadata) = (self.log.clone(), self.metadata());
        let mut inner = blocking(move || {
            metadata.check(log.storage().as_ref(), log.dir())?;
            Inner::read(definition.create()?, &stores, batch.0)
        })
        .await?;
        inner.phase = Phase::Ready(batch);
        *self.inner.lock() = inner;
        Ok(())
    }

    async fn commit(&self, batch: BatchId) -> Result<()> {
        let started = self.clock.monotonic();
        let Some(Commit { files, written }) = self.encode(batch)? else { return Ok(()) };
        let log = self.log.clone();
        let metadata = (!self.inner.lock().metadata_written).then(|| self.metadata());
        blocking(move || {
            if let Some(metadata) = metadata {
                metadata.write_once(log.storage().as_ref(), log.dir())?;
            }
            files.iter().try_for_each(|(log, kind, bytes)| log.write(batch.next().0, *kind, bytes))
        })
        .await?;
        let mut inner = self.inner.lock();
        inner.written = written;
        inner.metadata_written = true;
        inner.phase = Phase::Ready(batch.next());
        inner.metrics.commit_time_ms = self.since(started);
        Ok(())
    }

    fn wants_batch(&self, previous: Millis, watermark: Millis) -> bool {
        self.definition.wants_batch(previous, watermark)
    }

    fn operator_id(&self) -> usize {
        self.operator_id
    }

    fn output_watermark(&self, input: Millis) -> Option<Millis> {
        self.definition.output_watermark(input)
    }

    fn metrics(&self) -> StateOperatorMetrics {
        self.inner.lock().metrics.clone()
    }

    async fn purge(&self, oldest: BatchId) -> Result<()> {
        let logs: Vec<StateLog> = self.stores.iter().map(|(_, log)| log.clone()).collect();
        blocking(move || logs.iter().try_for_each(|log| log.purge(oldest.0))).await
    }
}
