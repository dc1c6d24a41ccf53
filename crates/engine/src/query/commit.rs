//! The durable half of a micro-batch: from executed rows to `commits/N`.
//!
//! It runs beside the execution of the next batch; the commits of a run follow one another.
//!
//! ```text
//!  sources/i/k   ┐
//!  offsets/N     ├ side by side       nobody sees anything of the batch yet
//!  staged files  ┘
//!       |
//!    renames, one sync a directory    ┐ beside   state version N+1,
//!    sink log                         ┘          content of commits/N
//!       |
//!  commits/N
//! ```
//!
//! What rests on what, and the death that would break the promise if the order were another:
//!
//! 1. `commits/N-1` before `offsets/N`: a batch starts where a finished one ended.
//! 2. The source's log and the offsets before anything is seen or kept (renames, a user's
//!    code, state files): a retry must find the same rows under the same number. Between
//!    the two there is no order: offsets without the log they point into survive only
//!    where nothing was seen, so that a restart takes the plan back ([`super::recovery`]).
//! 3. The content of a file before its final name, the final names of a batch before its
//!    entry in the sink's log: who sees a name finds all of it.
//! 4. The state and the sink's log before `commits/N`: a finished batch never runs again,
//!    so nothing of it may be missing. Between the two there is no order, a retry writes
//!    both again with the same effect.
//!
//! Removing what no restart needs comes after `commits/N`.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tracing::warn;

use super::{
    BatchId,
    execution::{Execution, Interrupt, Step},
    reporter::Report,
    streaming_query::Run,
};
use crate::{
    Result, SparkError,
    checkpoint::{Checkpoint, CommitMetadata, OffsetSeq, storage::blocking},
    operators::{StateChanges, StatefulOperator},
    sink::StagedBatch,
    source::{Offset, Source},
    time::Millis,
};

/// A batch that was executed and is not committed.
pub(super) struct Commit {
    pub run: Arc<Run>,
    pub checkpoint: Arc<Checkpoint>,
    pub sources: Vec<Arc<dyn Source>>,
    pub stateful: Vec<Arc<dyn StatefulOperator>>,
    pub batch: BatchId,
    /// By source: where the batch ends.
    pub ends: Vec<Option<Offset>>,
    pub next_watermark: Millis,
    pub logged: Logging,
    pub staged: Box<dyn StagedBatch>,
    /// Comes while the batch is being made durable.
    pub sealed: oneshot::Receiver<Sealed>,
}

/// What the loop knows of a batch once its state is sealed.
pub(super) struct Sealed {
    /// By operator.
    pub changes: Vec<StateChanges>,
    pub report: Report,
}

/// What a committed batch tells the loop.
pub(super) struct Committed {
    /// Rows written, where the sink counts.
    pub rows_out: Option<i64>,
    /// When its progress was posted.
    pub at: Millis,
}

/// A commit under way.
pub(super) struct Committing {
    task: JoinHandle<Step<Committed>>,
    done: watch::Receiver<bool>,
}

impl Committing {
    pub fn start(commit: Commit) -> Self {
        let (sender, done) = watch::channel(false);
        Self { task: tokio::spawn(commit.run(sender)), done }
    }

    /// Turns true when `commits/N` is durable; closes when the commit failed.
    pub fn done(&self) -> watch::Receiver<bool> {
        self.done.clone()
    }

    pub async fn end(self) -> Step<Committed> {
        match self.task.await {
            Ok(step) => step,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Err(SparkError::internal("a commit was cut off").caused_by(error).into()),
        }
    }
}

impl Commit {
    async fn run(self, done: watch::Sender<bool>) -> Step<Committed> {
        let Self {
            run,
            checkpoint,
            sources,
            stateful,
            batch,
            ends,
            next_watermark,
            logged,
            mut staged,
            sealed,
        } = self;
        // Whatever fails, every write has ended when this returns: the next run may begin.
        let (logged, secured) = tokio::join!(logged.end(), Execution::with_grace(&run, staged.secure()));
        let wal_commit = logged?;
        secured??;
        if *run.stop.borrow() {
            return Err(Interrupt::Stopped);
        }

        let began = run.clock.monotonic();
        let log = Arc::clone(&checkpoint);
        let commit = CommitMetadata { next_batch_watermark_ms: next_watermark.0 };
        let prepare = blocking(move || log.commits.prepare(batch, &commit));
        let publish = Execution::with_grace(&run, staged.publish());
        let (published, state, prepared) = tokio::join!(publish, write_state(&run, sealed), prepare);
        let rows_out = published??;
        let (mut report, prepared) = (state?, prepared?);
        report.took("walCommit", wal_commit);
        report.took("addBatch", run.clock.monotonic().saturating_sub(began));

        let began = run.clock.monotonic();
        let log = Arc::clone(&checkpoint);
        blocking(move || log.commits.finish(batch, prepared)).await?;
        done.send_replace(true);
        report.took("commitOffsets", run.clock.monotonic().saturating_sub(began));
        let at = report.publish(rows_out);
        clean_up(&checkpoint, &sources, &stateful, batch, &ends).await;
        Ok(Committed { rows_out, at })
    }
}

/// Writes the state once it is there.
async fn write_state(run: &Run, sealed: oneshot::Receiver<Sealed>) -> Result<Report> {
    let Ok(Sealed { changes, mut report }) = sealed.await else {
        return Err(SparkError::internal("the state of the batch was not sealed"));
    };
    let began = run.clock.monotonic();
    let writes = changes
        .into_iter()
        .map(|changes| async { changes.write().await.map(|()| run.clock.monotonic().saturating_sub(began)) });
    for (operator, written) in join_all(writes).await.into_iter().enumerate() {
        report.state_written(operator, written?);
    }
    Ok(report)
}

/// The plan of a batch on its way into the logs.
pub(super) struct Logging(Option<JoinHandle<Result<Duration>>>);

impl Logging {
    /// The batch is in the logs already.
    pub fn done() -> Self {
        Self(None)
    }

    /// Writes `offsets/N` and the sources' own logs side by side, after the commit of the
    /// batch before.
    pub fn start(
        run: Arc<Run>,
        checkpoint: Arc<Checkpoint>,
        sources: Vec<Arc<dyn Source>>,
        batch: BatchId,
        offsets: OffsetSeq,
        previous: Option<watch::Receiver<bool>>,
    ) -> Self {
        Self(Some(tokio::spawn(async move {
            if let Some(mut previous) = previous
                && previous.wait_for(|done| *done).await.is_err()
            {
                return Err(SparkError::internal("the batch before was not committed"));
            }
            let began = run.clock.monotonic();
            let ends = offsets.offsets.clone();
            let own = sources.iter().zip(&ends).filter_map(|(source, end)| Some(source.log(end.as_ref()?)));
            let offsets = blocking(move || checkpoint.offsets.add(batch, &offsets));
            let (offsets, own) = tokio::join!(offsets, join_all(own));
            own.into_iter().collect::<Result<()>>()?;
            offsets?;
            Ok(run.clock.monotonic().saturating_sub(began))
        })))
    }

    /// Waits until the plan is durable; the time it took.
    pub async fn end(self) -> Result<Duration> {
        let Some(task) = self.0 else { return Ok(Duration::ZERO) };
        match task.await {
            Ok(result) => result,
            Err(error) => Err(SparkError::internal("the offset log was not written").caused_by(error)),
        }
    }
}

/// What may go once a batch is committed; failures only leave files behind.
async fn clean_up(
    checkpoint: &Arc<Checkpoint>,
    sources: &[Arc<dyn Source>],
    stateful: &[Arc<dyn StatefulOperator>],
    batch: BatchId,
    ends: &[Option<Offset>],
) {
    for (source, end) in sources.iter().zip(ends) {
        if let Some(end) = end
            && let Err(error) = source.commit(end).await
        {
            warn!(%error, source = source.description(), "a source could not clean up");
        }
    }
    let log = Arc::clone(checkpoint);
    let purged = blocking(move || log.purge(batch)).await;
    let oldest = BatchId((batch.0 - checkpoint.retention().min_batches).max(0));
    let mut outcomes = vec![purged];
    if oldest.0 > 0 {
        for operator in stateful {
            outcomes.push(operator.purge(oldest).await);
        }
    }
    for error in outcomes.into_iter().filter_map(Result::err) {
        warn!(%error, "old files of the checkpoint could not be removed");
    }
}
