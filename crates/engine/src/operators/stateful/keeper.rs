//! `StateKeeper`: the state of one operator over the life of a run.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use datafusion::arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions},
    datatypes::SchemaRef,
};
use parking_lot::Mutex;

use super::{
    OperatorState, Restored, StateChanges, StateDefinition, StateOperatorMetrics, StateStore,
    StatefulOperator, changes::StateRows, snapshot_plan::SnapshotPlan,
};
use crate::{
    Result, SparkError,
    checkpoint::storage::blocking,
    query::{BatchContext, BatchId, OperatorWatermarks},
    state::{
        FileKind, Header, OperatorMetadata, SnapshotPace, StateCodec, StateFileName, StateLocation, StateLog,
    },
    time::{Clock, Millis},
};

/// State in memory and its files.
///
/// # Invariants
/// A batch is `load` (or the seal of the batch before), `begin`, `update`.., `finish`,
/// `seal`; out of order is an error, so that no batch is applied twice.
pub struct StateKeeper<D: StateDefinition> {
    definition: Arc<D>,
    operator_id: usize,
    partitions: usize,
    /// The operator's directory, for its metadata.
    log: StateLog,
    stores: Vec<(StateStore, StateLog)>,
    clock: Arc<dyn Clock>,
    pace: SnapshotPace,
    codec: StateCodec,
    inner: Mutex<Inner<D::State>>,
}

#[derive(Debug)]
struct Inner<S> {
    state: S,
    phase: Phase,
    /// The last watermark that evicted, in microseconds.
    evicted: Option<i64>,
    /// By store.
    snapshots: Vec<SnapshotPlan>,
    /// Whether a batch of this run writes, or wrote, the operator's metadata.
    metadata_given: bool,
    metrics: StateOperatorMetrics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Memory holds nothing usable.
    Unloaded,
    /// Memory holds the state this batch reads.
    Ready(BatchId),
    /// The batch is taking rows.
    Running(BatchId),
    /// The batch is done and waits to be sealed.
    Finished(BatchId),
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
    /// Types that cannot be kept, a codec that is not there.
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
        let inner = Inner::new(definition.create()?, stores.len(), location.pace);
        Ok(Self {
            log,
            stores,
            partitions: location.partitions,
            clock: Arc::clone(&location.clock),
            pace: location.pace,
            codec: StateCodec::named(location.codec.as_deref())?,
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

    /// What batch `batch` has to write; nothing when it was sealed already.
    fn collect(&self, batch: BatchId) -> Result<StateChanges> {
        let started = self.clock.monotonic();
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let mut changes = StateChanges::default();
        if inner.phase == Phase::Ready(batch.next()) {
            return Ok(changes);
        }
        if inner.phase != Phase::Finished(batch) {
            return Err(self.out_of_order("seal", batch, inner.phase));
        }
        // An error on the way leaves a walk without its part.
        inner.phase = Phase::Unloaded;
        let (version, evicted) = (batch.next().0, inner.evicted);
        let header = |i: usize, store: &StateStore, kind| Header {
            kind,
            version,
            evicted,
            rows: 0,
            codec: String::new(),
            schema: store.schema.clone(),
            layout: Some(store.layout.clone()),
            aged: evicted.and_then(|micros| self.definition.aged(i, micros)),
        };
        for (i, ((store, log), plan)) in self.stores.iter().zip(&mut inner.snapshots).enumerate() {
            let file = |name, kind, rows| -> Result<StateRows> {
                let (header, rows) = (header(i, store, kind), record_batch(&store.rows, rows)?);
                Ok(StateRows {
                    log: log.clone(),
                    name,
                    header,
                    rows,
                    at_once: store.at_once,
                    codec: self.codec,
                })
            };
            let change = file(StateFileName::change(version), FileKind::Change, inner.state.changes(i)?)?;
            plan.changed(change.rows.num_rows());
            let mut files = vec![change];
            if let Some(due) = plan.due(version, inner.state.stored_rows(i), inner.state.memory()) {
                if due.starts {
                    inner.state.start_walk(i);
                }
                let (rows, is_last) = inner.state.walk(i, due.rows)?;
                if let Some(name) = plan.part(version, is_last) {
                    files.push(file(name, FileKind::Part, rows)?);
                }
            }
            changes.stores.push(files);
        }
        if !std::mem::replace(&mut inner.metadata_given, true) {
            changes.metadata = Some((self.log.clone(), self.metadata()));
        }
        inner.phase = Phase::Ready(batch.next());
        inner.metrics.commit_time_ms = self.since(started);
        Ok(changes)
    }
}

impl<S: OperatorState> Inner<S> {
    fn new(state: S, stores: usize, pace: SnapshotPace) -> Self {
        Self {
            state,
            phase: Phase::Unloaded,
            evicted: None,
            snapshots: vec![SnapshotPlan::new(pace, None); stores],
            metadata_given: false,
            metrics: StateOperatorMetrics::default(),
        }
    }

    /// Reads version `version` into fresh state.
    fn read(state: S, stores: &[(StateStore, StateLog)], version: i64, pace: SnapshotPace) -> Result<Self> {
        let mut inner = Self::new(state, stores.len(), pace);
        for (i, (store, log)) in stores.iter().enumerate() {
            let (files, snapshot) = log.files_of(version)?;
            let mut plan = SnapshotPlan::new(pace, snapshot.as_ref());
            for name in files {
                let file = log.read(&name, &store.schema)?;
                let from = match file.header.kind {
                    FileKind::Part => Restored::Walk,
                    FileKind::Change => {
                        plan.changed(file.header.rows);
                        Restored::Change(BatchId(name.version - 1))
                    }
                };
                if let Some(micros) = file.header.evicted {
                    inner.state.evict(i, micros)?;
                    inner.evicted = inner.evicted.max(Some(micros));
                }
                let restore = |rows: RecordBatch| inner.state.restore(i, rows.columns(), from);
                file.rows(&log.path(&name), &store.rows, restore)?;
            }
            if let Some(own) = inner.snapshots.get_mut(i) {
                *own = plan;
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
        let (log, metadata, pace) = (self.log.clone(), self.metadata(), self.pace);
        let mut inner = blocking(move || {
            metadata.check(log.storage().as_ref(), log.dir())?;
            Inner::read(definition.create()?, &stores, batch.0, pace)
        })
        .await?;
        inner.phase = Phase::Ready(batch);
        *self.inner.lock() = inner;
        Ok(())
    }

    fn seal(&self, batch: BatchId) -> Result<StateChanges> {
        self.collect(batch)
    }

    async fn commit(&self, batch: BatchId) -> Result<()> {
        self.collect(batch)?.write().await.inspect_err(|_| self.inner.lock().phase = Phase::Unloaded)
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
        let logs: Vec<StateLog> = {
            let mut inner = self.inner.lock();
            let stores = self.stores.iter().zip(&mut inner.snapshots);
            stores.filter_map(|((_, log), plan)| plan.purges(oldest.0).then(|| log.clone())).collect()
        };
        if logs.is_empty() {
            return Ok(());
        }
        blocking(move || logs.iter().try_for_each(|log| log.purge(oldest.0))).await
    }
}
