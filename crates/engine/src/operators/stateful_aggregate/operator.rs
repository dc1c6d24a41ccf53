//! The state of one stateful aggregate, over the life of a run.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use parking_lot::Mutex;

use super::{
    batch::{Counts, Emission, Frame, Rows},
    groups::Groups,
    spec::Spec,
};
use crate::{
    Result, SparkError,
    checkpoint::storage::blocking,
    operators::{StateOperatorMetrics, StatefulOperator},
    query::{BatchContext, BatchId},
    sink::OutputMode,
    state::{FileKind, Header, OperatorMetadata, StateFile, StateLocation, StateLog},
    time::{Clock, Millis},
};

/// A snapshot is due after this many changes, once they hold as many rows as the state...
const CHANGES_BEFORE_SNAPSHOT: i64 = 10;
/// ...and after this many in any case.
const MOST_CHANGES: i64 = 100;

/// Groups in memory and their files.
///
/// # Invariants
/// A batch is `load` (or the commit of the batch before), `begin`, `update`.., `finish`,
/// `commit`; out of order is an error, so that no batch is applied twice.
#[derive(Debug)]
pub struct StatefulAggregateOperator {
    spec: Spec,
    operator_id: usize,
    partitions: usize,
    log: StateLog,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    groups: Box<dyn Groups>,
    phase: Phase,
    /// The last watermark that evicted, in microseconds.
    evicted: Option<i64>,
    /// Rows in changes since the last snapshot, and their number.
    changed_rows: usize,
    changes: i64,
    metadata_written: bool,
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
    /// The batch is done and waits for its commit.
    Finished(BatchId),
}

impl StatefulAggregateOperator {
    pub(super) fn new(spec: Spec, operator_id: usize, location: &StateLocation) -> Result<Self> {
        let inner = Inner {
            groups: spec.groups()?,
            phase: Phase::Unloaded,
            evicted: None,
            changed_rows: 0,
            changes: 0,
            metadata_written: false,
            metrics: StateOperatorMetrics::default(),
        };
        Ok(Self {
            log: location.log(operator_id),
            partitions: location.partitions,
            clock: Arc::clone(&location.clock),
            inner: Mutex::new(inner),
            spec,
            operator_id,
        })
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What the groups need to know of a batch.
    fn frame(&self, context: &BatchContext) -> Frame {
        let watermarked = self.spec.event_time.is_some() && self.spec.mode != OutputMode::Complete;
        Frame {
            batch: context.batch_id.0,
            mode: self.spec.mode,
            late: watermarked.then(|| context.late_watermark.as_micros()),
            evict: watermarked.then(|| context.eviction_watermark.as_micros()),
        }
    }

    /// Starts a batch.
    pub(super) fn begin(&self, context: &BatchContext) -> Result<Frame> {
        let mut inner = self.inner.lock();
        if inner.phase != Phase::Ready(context.batch_id) {
            return Err(out_of_order("begin", context.batch_id, inner.phase));
        }
        inner.phase = Phase::Running(context.batch_id);
        inner.metrics = StateOperatorMetrics::default();
        inner.groups.begin();
        Ok(self.frame(context))
    }

    /// Takes rows of the batch.
    pub(super) fn update(&self, rows: &Rows, frame: &Frame) -> Result<()> {
        let started = self.clock.monotonic();
        let mut inner = self.inner.lock();
        if inner.phase != Phase::Running(BatchId(frame.batch)) {
            return Err(out_of_order("update", BatchId(frame.batch), inner.phase));
        }
        inner.groups.update(rows, frame)?;
        inner.metrics.all_updates_time_ms += millis(self.clock.monotonic().saturating_sub(started));
        Ok(())
    }

    /// Ends the batch's input: what is to be emitted.
    pub(super) fn finish(&self, frame: &Frame) -> Result<Emission> {
        let started = self.clock.monotonic();
        let mut inner = self.inner.lock();
        let batch = BatchId(frame.batch);
        if inner.phase != Phase::Running(batch) {
            return Err(out_of_order("finish", batch, inner.phase));
        }
        let (emission, counts) = inner.groups.finish(frame)?;
        inner.phase = Phase::Finished(batch);
        inner.evicted = inner.evicted.max(frame.evict);
        let memory = inner.groups.memory();
        let metrics = &mut inner.metrics;
        let Counts { total, updated, removed, dropped, offered, applied, late, null_time } = counts;
        metrics.num_rows_total = total;
        metrics.num_rows_updated = updated;
        metrics.num_rows_removed = removed;
        metrics.num_rows_dropped_by_watermark = dropped;
        metrics.memory_used_bytes = i64::try_from(memory).unwrap_or(i64::MAX);
        metrics.custom_metrics = vec![
            ("rowWindowsOffered".to_string(), offered),
            ("rowWindowsApplied".to_string(), applied),
            ("rowWindowsLate".to_string(), late),
            ("rowWindowsNullTime".to_string(), null_time),
        ];
        metrics.all_removals_time_ms += millis(self.clock.monotonic().saturating_sub(started));
        Ok(emission)
    }

    fn metadata(&self) -> OperatorMetadata {
        OperatorMetadata::new(self.operator_id, self.name(), self.partitions)
    }

    fn header(&self, kind: FileKind, version: i64, evicted: Option<i64>) -> Result<Header> {
        let schema = self.spec.state_schema()?;
        Ok(Header { kind, version, evicted, rows: 0, codec: String::new(), schema })
    }

    /// The files batch `batch` has to write, encoded; empty when it is committed already.
    fn encode(&self, batch: BatchId) -> Result<Vec<(FileKind, Vec<u8>)>> {
        let inner = self.inner.lock();
        if inner.phase == Phase::Ready(batch.next()) {
            return Ok(vec![]);
        }
        if inner.phase != Phase::Finished(batch) {
            return Err(out_of_order("commit", batch, inner.phase));
        }
        let schema = self.spec.stored_schema()?;
        let version = batch.next().0;
        let rows = record_batch(&schema, inner.groups.changes()?)?;
        let (changed, changes) = (inner.changed_rows + rows.num_rows(), inner.changes + 1);
        let header = self.header(FileKind::Change, version, inner.evicted)?;
        let mut files = vec![(FileKind::Change, StateFile::encode(header, &rows)?)];
        let worth = changes >= CHANGES_BEFORE_SNAPSHOT && changed >= inner.groups.stored_rows();
        if worth || changes >= MOST_CHANGES {
            let rows = record_batch(&schema, inner.groups.snapshot()?)?;
            let header = self.header(FileKind::Snapshot, version, inner.evicted)?;
            files.push((FileKind::Snapshot, StateFile::encode(header, &rows)?));
        }
        Ok(files)
    }

    /// Reads the state of `version` into fresh groups.
    fn read(spec: &Spec, log: &StateLog, version: i64) -> Result<Inner> {
        let mut groups = spec.groups()?;
        let (mut evicted, mut changed_rows, mut changes) = (None, 0, 0);
        let schema = spec.stored_schema()?;
        for (path, file) in log.load(version, &spec.state_schema()?)? {
            if file.header.kind == FileKind::Change {
                changes += 1;
                changed_rows += file.header.rows;
            }
            if let Some(micros) = file.header.evicted {
                groups.evict(micros)?;
                evicted = evicted.max(Some(micros));
            }
            for rows in file.rows(&path, &schema)? {
                groups.restore(rows.columns())?;
            }
        }
        groups.loaded(evicted);
        Ok(Inner {
            groups,
            phase: Phase::Unloaded,
            evicted,
            changed_rows,
            changes,
            metadata_written: false,
            metrics: StateOperatorMetrics::default(),
        })
    }
}

/// A batch of `schema`'s columns; `columns` may be none when there is no column at all.
fn record_batch(
    schema: &datafusion::arrow::datatypes::SchemaRef,
    columns: Vec<datafusion::arrow::array::ArrayRef>,
) -> Result<RecordBatch> {
    let rows = columns.first().map_or(0, |c| c.len());
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

fn out_of_order(step: &str, batch: BatchId, phase: Phase) -> SparkError {
    SparkError::internal(format!("stateful aggregate: {step} of batch {batch} while {phase:?}"))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[async_trait]
impl StatefulOperator for StatefulAggregateOperator {
    fn name(&self) -> &'static str {
        "stateStoreSave"
    }

    async fn load(&self, batch: BatchId) -> Result<()> {
        if self.inner.lock().phase == Phase::Ready(batch) {
            return Ok(());
        }
        let (spec, log, metadata) = (self.spec.clone(), self.log.clone(), self.metadata());
        let mut inner = blocking(move || {
            metadata.check(log.storage().as_ref(), log.dir())?;
            Self::read(&spec, &log, batch.0)
        })
        .await?;
        inner.phase = Phase::Ready(batch);
        *self.inner.lock() = inner;
        Ok(())
    }

    async fn commit(&self, batch: BatchId) -> Result<()> {
        let started = self.clock.monotonic();
        let files = self.encode(batch)?;
        if files.is_empty() {
            return Ok(());
        }
        let log = self.log.clone();
        let metadata = (!self.inner.lock().metadata_written).then(|| self.metadata());
        let snapshot = files.len() > 1;
        blocking(move || {
            if let Some(metadata) = metadata {
                metadata.write_once(log.storage().as_ref(), log.dir())?;
            }
            files.iter().try_for_each(|(kind, bytes)| log.write(batch.next().0, *kind, bytes))
        })
        .await?;
        let mut inner = self.inner.lock();
        let changed =
            if snapshot { None } else { Some(inner.groups.changes()?.first().map_or(0, |c| c.len())) };
        inner.changed_rows = changed.map_or(0, |rows| inner.changed_rows + rows);
        inner.changes = if snapshot { 0 } else { inner.changes + 1 };
        inner.metadata_written = true;
        inner.phase = Phase::Ready(batch.next());
        inner.metrics.commit_time_ms = millis(self.clock.monotonic().saturating_sub(started));
        Ok(())
    }

    fn wants_batch(&self, previous: Millis, watermark: Millis) -> bool {
        self.spec.event_time.is_some() && self.spec.mode != OutputMode::Complete && watermark > previous
    }

    fn metrics(&self) -> StateOperatorMetrics {
        self.inner.lock().metrics.clone()
    }

    async fn purge(&self, oldest: BatchId) -> Result<()> {
        let log = self.log.clone();
        blocking(move || log.purge(oldest.0)).await
    }
}
