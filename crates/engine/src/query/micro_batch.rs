//! One micro-batch: planned, logged, executed, made visible, committed.
//!
//! ```text
//! latestOffset   each source: how far this batch may reach
//! walCommit      offsets/N           ┐ side by side: what is staged is
//! addBatch       execute, stage      ┘ invisible until both are durable
//!                                    (foreach and foreachBatch: after walCommit)
//!                publish             from here on readers see the batch
//!                state commits       version N+1 of each stateful operator
//! commitOffsets  commits/N           durable before offsets/N+1
//! ```
//! A crash between any two steps leads to the same output: what was logged is run again
//! with the same offsets, watermarks and timestamp; staging and publishing twice has the
//! effect of once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use datafusion::{
    error::DataFusionError,
    execution::SendableRecordBatchStream,
    physical_plan::{ExecutionPlanProperties, stream::RecordBatchStreamAdapter},
};
use futures::{StreamExt, stream};
use tokio::{sync::Mutex, task::JoinHandle};
use tracing::warn;

use super::{
    BatchContext, BatchId, BatchInput, EventTimeStats, OperatorWatermarks, Unread, Watermarks,
    execution::{Execution, Step},
    streaming_query::Run,
};
use crate::{
    Result, SparkError,
    checkpoint::{CommitMetadata, OffsetSeq, OffsetSeqMetadata, storage::blocking},
    operators::StatefulOperator,
    query::Trigger,
    source::{Offset, ReadLimit},
    time::Millis,
};

/// What is known of the batch at hand; Spark's execution context.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub id: BatchId,
    /// By source: where it starts.
    pub start: Vec<Option<Offset>>,
    /// By source: where it ends; equal to `start` where there is nothing new.
    pub end: Vec<Option<Offset>>,
    /// By source: the newest offset known.
    pub latest: Vec<Option<Offset>>,
    /// The watermark in force, of `offsets/N`.
    pub watermark: Millis,
    /// The watermark of `offsets/N-1`, 0 for batch 0.
    pub late_watermark: Millis,
    /// Trigger time.
    pub timestamp: Millis,
    /// Whether offsets, watermark and timestamp are final.
    pub constructed: bool,
    /// Whether `offsets/N` exists already: the batch is run again.
    pub logged: bool,
}

impl Batch {
    pub fn first(sources: usize) -> Self {
        let none = vec![None; sources];
        Self {
            id: BatchId(0),
            start: none.clone(),
            end: none.clone(),
            latest: none,
            watermark: Millis::ZERO,
            late_watermark: Millis::ZERO,
            timestamp: Millis::ZERO,
            constructed: false,
            logged: false,
        }
    }

    pub fn has_new_data(&self) -> bool {
        self.start.iter().zip(&self.end).any(|(start, end)| end.is_some() && start != end)
    }

    /// The batch after this one, nothing known of it yet.
    pub fn advance(&mut self) {
        self.id = self.id.next();
        self.start.clone_from(&self.end);
        self.late_watermark = self.watermark;
        self.constructed = false;
        self.logged = false;
    }
}

/// What an executed batch leaves for its progress report.
pub(crate) struct Outcome {
    pub context: Arc<BatchContext>,
    /// Rows written, where the sink counts.
    pub rows_out: Option<i64>,
}

impl Execution {
    /// Decides whether there is a batch to run, and where it ends.
    pub(super) async fn construct_next_batch(&mut self) -> Step<bool> {
        let limit = if self.trigger == Trigger::Once { ReadLimit::All } else { ReadLimit::Admission };
        for (ordinal, source) in self.sources.iter().enumerate() {
            self.run.message(format!("Getting offsets from {}", source.description()));
            let began = self.run.clock.monotonic();
            let start = self.batch.start.get(ordinal).and_then(Option::as_ref);
            let next = Self::with_grace(&self.run, source.latest_offset(start, limit)).await??;
            self.stopped()?;
            self.reporter.took("latestOffset", self.run.clock.monotonic().saturating_sub(began));
            if let (Some(next), Some(end)) = (next, self.batch.end.get_mut(ordinal)) {
                *end = Some(next);
            }
            if let (Some(known), Some(latest)) =
                (source.reported_latest(), self.batch.latest.get_mut(ordinal))
            {
                *latest = Some(known);
            }
        }
        self.batch.watermark = self.tracker.current();
        self.batch.timestamp = self.run.now();
        let wanted_by_state = || {
            let Some(previous) = self.last_executed.filter(|_| self.conf.no_data_batches()) else {
                return false;
            };
            let previous = self.template.watermarks.inputs(previous);
            let next = self.template.watermarks.inputs(self.batch.watermark);
            let at = |inputs: &BTreeMap<usize, Millis>, operator: &Arc<dyn StatefulOperator>| {
                inputs.get(&operator.operator_id()).copied().unwrap_or_default()
            };
            let mut operators = self.template.stateful.iter();
            operators.any(|operator| operator.wants_batch(at(&previous, operator), at(&next, operator)))
        };
        Ok(self.batch.has_new_data() || wanted_by_state())
    }

    /// Runs the constructed batch to its commit.
    pub(super) async fn run_batch(&mut self) -> Step<Outcome> {
        let mut log = self.log_offsets();
        if self.sink.acts_at_once() {
            self.logged(log.take()).await?;
        }
        let staged = self.stage().await;
        // The log write holds the checkpoint: it has to end before the run may.
        self.logged(log).await?;
        let (staged, context) = staged?;

        let began = self.run.clock.monotonic();
        let rows_out = Self::with_grace(&self.run, staged.publish()).await??;
        for operator in &self.template.stateful {
            operator.commit(self.batch.id).await?;
        }
        self.reporter.took("addBatch", self.run.clock.monotonic().saturating_sub(began));

        let greatest: Vec<Option<Millis>> =
            context.event_times.iter().map(|t| t.range().map(|r| r.max)).collect();
        self.tracker.update(&greatest);
        self.last_executed = Some(self.batch.watermark);
        let began = self.run.clock.monotonic();
        let commit = CommitMetadata { next_batch_watermark_ms: self.tracker.current().0 };
        let (checkpoint, id) = (Arc::clone(&self.checkpoint), self.batch.id);
        blocking(move || checkpoint.commits.add(id, &commit)).await?;
        self.reporter.took("commitOffsets", self.run.clock.monotonic().saturating_sub(began));
        self.clean_up().await;
        Ok(Outcome { context, rows_out })
    }

    /// Starts writing `offsets/N`, unless it is there.
    fn log_offsets(&self) -> Option<JoinHandle<Result<()>>> {
        if self.batch.logged {
            return None;
        }
        let offsets = OffsetSeq {
            metadata: OffsetSeqMetadata {
                batch_watermark_ms: self.batch.watermark.0,
                batch_timestamp_ms: self.batch.timestamp.0,
                conf: OffsetSeqMetadata::freeze(|key| self.conf.get(key).map(str::to_string)),
            },
            offsets: self.batch.end.clone(),
        };
        let (checkpoint, id) = (Arc::clone(&self.checkpoint), self.batch.id);
        Some(tokio::task::spawn_blocking(move || checkpoint.offsets.add(id, &offsets)))
    }

    /// Waits until `offsets/N` is durable.
    async fn logged(&mut self, log: Option<JoinHandle<Result<()>>>) -> Result<()> {
        let began = self.run.clock.monotonic();
        if let Some(log) = log {
            join(log).await?;
        }
        self.reporter.took("walCommit", self.run.clock.monotonic().saturating_sub(began));
        Ok(())
    }

    /// The watermarks of the batch, operator by operator.
    fn watermarks(&self) -> Watermarks {
        let query = OperatorWatermarks { late: self.batch.late_watermark, eviction: self.batch.watermark };
        let late = self.template.watermarks.inputs(query.late);
        let eviction = self.template.watermarks.inputs(query.eviction);
        let operators = eviction.into_iter().map(|(operator, eviction)| {
            let late = late.get(&operator).copied().unwrap_or_default();
            (operator, OperatorWatermarks { late, eviction })
        });
        Watermarks { query, operators: operators.collect() }
    }

    /// Executes the plan over the batch and lets the sink stage its rows.
    async fn stage(&mut self) -> Step<(Box<dyn crate::sink::StagedBatch>, Arc<BatchContext>)> {
        let began = self.run.clock.monotonic();
        let mut inputs = Vec::with_capacity(self.sources.len());
        for (ordinal, source) in self.sources.iter().enumerate() {
            let start = self.batch.start.get(ordinal).and_then(Option::as_ref);
            let end = self.batch.end.get(ordinal).and_then(Option::as_ref);
            let splits = match end {
                Some(end) if start != Some(end) => source.plan_batch(start, end).await?,
                _ => Vec::new(),
            };
            inputs.push(BatchInput { splits, ..BatchInput::default() });
        }
        self.reporter.took("getBatch", self.run.clock.monotonic().saturating_sub(began));

        let began = self.run.clock.monotonic();
        let context = Arc::new(BatchContext {
            batch_id: self.batch.id,
            timestamp: self.batch.timestamp,
            output_mode: self.output_mode,
            watermarks: self.watermarks(),
            inputs,
            event_times: self
                .template
                .watermark_delays_ms
                .iter()
                .map(|_| EventTimeStats::default())
                .collect(),
            unread: Unread::default(),
        });
        let staged = self.execute(&context, began).await;
        context.unread.clear();
        Ok((staged?, context))
    }

    /// Executes the plan over `context`, to the end, and lets the sink stage its rows.
    async fn execute(
        &mut self,
        context: &Arc<BatchContext>,
        began: Duration,
    ) -> Step<Box<dyn crate::sink::StagedBatch>> {
        let (plan, task) = self.template.instantiate(Arc::clone(context), &self.environment)?;
        self.reporter.took("queryPlanning", self.run.clock.monotonic().saturating_sub(began));

        let began = self.run.clock.monotonic();
        let partitions = plan.output_partitioning().partition_count();
        let mut rests = Vec::with_capacity(partitions);
        let mut rows = Vec::with_capacity(partitions);
        for partition in 0..partitions {
            let own = plan.execute(partition, Arc::clone(&task)).map_err(SparkError::from)?;
            let (front, rest) = stoppable(own, Arc::clone(&self.run));
            rows.push(front);
            rests.push(rest);
        }
        let staging = self.sink.stage(self.batch.id, Arc::clone(&self.output), rows);
        let staged = Self::with_grace(&self.run, staging).await?;
        self.stopped()?;
        let staged = staged?;
        for rest in rests {
            rest.drain().await?;
        }
        context.unread.drain().await.map_err(SparkError::from)?;
        self.reporter.took("addBatch", self.run.clock.monotonic().saturating_sub(began));
        Ok(staged)
    }

    /// What may go once a batch is committed; failures only leave files behind.
    async fn clean_up(&self) {
        for (source, end) in self.sources.iter().zip(&self.batch.end) {
            if let Some(end) = end
                && let Err(error) = source.commit(end).await
            {
                warn!(%error, source = source.description(), "a source could not clean up");
            }
        }
        let (checkpoint, id) = (Arc::clone(&self.checkpoint), self.batch.id);
        let purged = blocking(move || checkpoint.purge(id)).await;
        let oldest = BatchId((id.0 - self.checkpoint.retention().min_batches).max(0));
        let mut outcomes = vec![purged];
        if oldest.0 > 0 {
            for operator in &self.template.stateful {
                outcomes.push(operator.purge(oldest).await);
            }
        }
        for error in outcomes.into_iter().filter_map(Result::err) {
            warn!(%error, "old files of the checkpoint could not be removed");
        }
    }
}

async fn join(log: JoinHandle<Result<()>>) -> Result<()> {
    match log.await {
        Ok(result) => result,
        Err(error) => Err(SparkError::internal("the offset log was not written").caused_by(error)),
    }
}

/// The part of a stream that the sink did not read.
struct Rest(Arc<Mutex<Option<SendableRecordBatchStream>>>);

impl Rest {
    /// Reads on to the end: state and watermark need every row, whatever the sink wants.
    async fn drain(self) -> Result<()> {
        if let Some(mut rows) = self.0.lock().await.take() {
            while let Some(batch) = rows.next().await {
                batch?;
            }
        }
        Ok(())
    }
}

/// `rows` as a stream that fails when the run is stopped, and what is left of it.
fn stoppable(rows: SendableRecordBatchStream, run: Arc<Run>) -> (SendableRecordBatchStream, Rest) {
    let schema = rows.schema();
    let shared = Arc::new(Mutex::new(Some(rows)));
    let own = Arc::clone(&shared);
    let front = stream::unfold((own, run), |(own, run)| async move {
        let mut guard = own.lock().await;
        let rows = guard.as_mut()?;
        let next = tokio::select! {
            biased;
            () = Execution::until_stopped(&run) => {
                Some(Err(DataFusionError::from(SparkError::internal("the query was stopped"))))
            }
            next = rows.next() => next,
        };
        if next.as_ref().is_none_or(Result::is_err) {
            *guard = None;
        }
        drop(guard);
        next.map(|batch| (batch, (own, run)))
    });
    (Box::pin(RecordBatchStreamAdapter::new(schema, front)), Rest(shared))
}
