//! One micro-batch: planned, executed, and handed over to its commit.
//!
//! ```text
//! latestOffset   each source: how far this batch may reach
//! walCommit      offsets/N           ┐ side by side: what is staged is
//! addBatch       execute, stage      ┘ invisible until both are durable
//!                                    (foreach and foreachBatch: after walCommit)
//! commit         durable, visible, finished: see [`super::commit`]
//! ```
//! While one batch is committed the next is planned and executed, unless its sink acts at
//! once. A crash between any two steps leads to the same output: what was logged is run
//! again with the same offsets, watermarks and timestamp; staging and publishing twice has
//! the effect of once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use datafusion::{
    error::DataFusionError,
    execution::SendableRecordBatchStream,
    physical_plan::{ExecutionPlanProperties, stream::RecordBatchStreamAdapter},
};
use futures::{StreamExt, stream};
use tokio::sync::{Mutex, oneshot};
use tracing::debug;

use super::{
    BatchContext, BatchId, BatchInput, EventTimeStats, OperatorWatermarks, Unread, Watermarks,
    commit::{Commit, Committing, Logging, Sealed},
    execution::{Execution, Step},
    streaming_query::Run,
};
use crate::{
    Result, SparkError,
    checkpoint::{OffsetSeq, OffsetSeqMetadata},
    operators::{PieceByPiece, StatefulOperator},
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

impl Execution {
    /// Decides whether there is a batch to run, and where it ends.
    pub(super) async fn construct_next_batch(&mut self) -> Step<bool> {
        let limit = if self.trigger == Trigger::Once { ReadLimit::All } else { ReadLimit::Admission };
        for (ordinal, source) in self.sources.iter().enumerate() {
            self.run.message(format!("Getting offsets from {}", source.description()));
            let began = self.run.clock.monotonic();
            let start = self.batch.start.get(ordinal).and_then(Option::as_ref);
            let next = match self.known_end(ordinal) {
                Some(known) => known,
                None => Self::with_grace(&self.run, source.latest_offset(start, limit)).await??,
            };
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

    /// Executes the constructed batch and starts its commit.
    pub(super) async fn run_batch(&mut self, has_new_data: bool) -> Step<()> {
        let mut logged = Logging::done();
        if self.sink.acts_at_once() {
            self.settle().await?;
            let took = self.log_plan().end().await?;
            self.reporter.took("walCommit", took);
        } else {
            logged = self.log_plan();
        }
        let staged = self.stage().await;
        let settled = self.settle().await;
        let (staged, context) = match (staged, settled) {
            (Ok(staged), Ok(())) => staged,
            // The log write holds the checkpoint: it has to end before the run may.
            (Err(failed), _) | (_, Err(failed)) => {
                if let Err(error) = logged.end().await {
                    debug!(%error, "the offsets of a batch that failed were not logged");
                }
                return Err(failed);
            }
        };

        let greatest: Vec<Option<Millis>> =
            context.event_times.iter().map(|t| t.range().map(|r| r.max)).collect();
        self.tracker.update(&greatest);
        self.last_executed = Some(self.batch.watermark);
        let (sender, sealed) = oneshot::channel();
        self.committing = Some(Committing::start(Commit {
            run: Arc::clone(&self.run),
            checkpoint: Arc::clone(&self.checkpoint),
            sources: self.sources.clone(),
            stateful: self.template.stateful.clone(),
            batch: self.batch.id,
            ends: self.batch.end.clone(),
            next_watermark: self.tracker.current(),
            logged,
            staged,
            sealed,
        }));
        // The changed state is taken out while the disk works; its commit encodes it.
        let operators = self.template.stateful.iter();
        let changes = operators.map(|o| o.seal(self.batch.id)).collect::<Result<Vec<_>>>()?;
        let report = self.measure(&context, has_new_data);
        // A commit that has failed says so itself.
        let _ = sender.send(Sealed { changes, report });
        Ok(())
    }

    /// Waits for the commit of the batch before.
    pub(super) async fn settle(&mut self) -> Step<()> {
        if let Some(committing) = self.committing.take() {
            let committed = committing.end().await?;
            self.reporter.committed(&committed);
        }
        Ok(())
    }

    /// Starts writing the batch's plan into the logs, unless it is there.
    fn log_plan(&self) -> Logging {
        if self.batch.logged {
            return Logging::done();
        }
        let offsets = OffsetSeq {
            metadata: OffsetSeqMetadata {
                batch_watermark_ms: self.batch.watermark.0,
                batch_timestamp_ms: self.batch.timestamp.0,
                conf: OffsetSeqMetadata::freeze(|key| self.conf.get(key).map(str::to_string)),
            },
            offsets: self.batch.end.clone(),
        };
        let (run, checkpoint) = (Arc::clone(&self.run), Arc::clone(&self.checkpoint));
        let previous = self.committing.as_ref().map(Committing::done);
        Logging::start(run, checkpoint, self.sources.clone(), self.batch.id, offsets, previous)
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
        for ordinal in 0..self.sources.len() {
            if let Some(known) = self.known_input(ordinal) {
                inputs.push(known);
                continue;
            }
            let Some(source) = self.sources.get(ordinal) else { continue };
            let start = self.batch.start.get(ordinal).and_then(Option::as_ref);
            let end = self.batch.end.get(ordinal).and_then(Option::as_ref);
            let splits = match end {
                Some(end) if start != Some(end) => source.plan_batch(start, end).await?,
                _ => Vec::new(),
            };
            inputs.push(BatchInput { splits, ..BatchInput::default() });
        }
        self.look_ahead().await;
        for (ordinal, input) in inputs.iter_mut().enumerate() {
            input.upcoming = self.upcoming(ordinal);
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
        self.keep_open(&context.inputs);
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
            let own = match PieceByPiece::of(&plan, &task).map_err(SparkError::from)? {
                Some(pieces) => pieces.rows(),
                None => plan.execute(partition, Arc::clone(&task)).map_err(SparkError::from)?,
            };
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
