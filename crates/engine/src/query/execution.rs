//! The life of one run: triggers, one after the other, until it is stopped or fails.
//!
//! Steps of a trigger and their order are Spark's; see [`super::micro_batch`] for a batch.
//! Where Spark polls for data every 10 ms the run sleeps until a source has something.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use datafusion::arrow::datatypes::SchemaRef;
use futures::{FutureExt, future::select_all};
use tracing::warn;

use super::{
    QueryConf, QueryEnvironment, Trigger, commit::Committing, look_ahead::Next, micro_batch::Batch,
    planner::Template, recovery, reporter::Reporter, streaming_query::Run,
};
use crate::{
    Result, SparkError,
    checkpoint::{Checkpoint, storage::blocking},
    sink::{OutputMode, Sink},
    source::{self, Source},
    time::{Millis, WatermarkPolicy, WatermarkTracker},
};

/// How long a step that writes may go on after a stop.
const GRACE: Duration = Duration::from_secs(10);

/// Everything a run starts from.
pub(crate) struct Setup {
    pub run: Arc<Run>,
    pub environment: Arc<QueryEnvironment>,
    pub checkpoint: Arc<Checkpoint>,
    pub template: Template,
    pub sink: Arc<dyn Sink>,
    pub output: SchemaRef,
    pub output_mode: OutputMode,
    pub trigger: Trigger,
    pub conf: QueryConf,
    pub session_zone: String,
}

/// Why a run leaves its loop early.
#[derive(Debug)]
pub(crate) enum Interrupt {
    /// Somebody asked.
    Stopped,
    /// Something went wrong.
    Failed(SparkError),
}

impl From<SparkError> for Interrupt {
    fn from(error: SparkError) -> Self {
        Self::Failed(error)
    }
}

/// Result of something that a stop may interrupt.
pub(crate) type Step<T> = Result<T, Interrupt>;

/// A run on its way.
pub(crate) struct Execution {
    pub run: Arc<Run>,
    pub environment: Arc<QueryEnvironment>,
    pub checkpoint: Arc<Checkpoint>,
    pub template: Template,
    pub sink: Arc<dyn Sink>,
    pub output: SchemaRef,
    pub output_mode: OutputMode,
    pub trigger: Trigger,
    pub conf: QueryConf,
    pub sources: Vec<Arc<dyn Source>>,
    pub tracker: WatermarkTracker,
    pub batch: Batch,
    /// The commit of the batch before, while it is on its way.
    pub committing: Option<Committing>,
    /// Eviction watermark of the last batch executed in this run.
    pub last_executed: Option<Millis>,
    /// By source: what is known of the next batch.
    pub next: Vec<Option<Next>>,
    pub reporter: Reporter,
}

impl Execution {
    /// Makes the sources and finds out where to continue.
    pub async fn start(setup: Setup) -> Result<Self> {
        let Setup {
            run,
            environment,
            checkpoint,
            template,
            sink,
            output,
            output_mode,
            trigger,
            mut conf,
            session_zone,
        } = setup;
        run.message("Initializing sources");
        run.set_plans(template.plans.clone());
        let mut sources = Vec::with_capacity(template.scans.len());
        for (ordinal, spec) in template.scans.iter().enumerate() {
            let (spec, dir, zone) = (spec.clone(), checkpoint.source_dir(ordinal), session_zone.clone());
            let (storage, clock) = (environment.storage.clone(), Arc::clone(&environment.clock));
            let retention = checkpoint.retention().source_log;
            let create = move || source::create(&spec, &dir, storage, clock, &zone, retention);
            sources.push(blocking(create).await?);
        }
        let recovered = {
            let (checkpoint, sources) = (Arc::clone(&checkpoint), sources.clone());
            blocking(move || recovery::restart(&checkpoint, &sources)).await?
        };
        let (batch, watermark) = recovery::resume(recovered, sources.len(), &mut conf)?;
        let policy = WatermarkPolicy::parse(conf.watermark_policy())?;
        let mut tracker = WatermarkTracker::new(policy, template.watermark_delays_ms.clone());
        tracker.restore(watermark);
        for operator in &template.stateful {
            operator.load(batch.id).await?;
        }
        if trigger == Trigger::AvailableNow {
            for source in &sources {
                source.prepare_available_now().await?;
            }
        }
        let reporter = Reporter::new(Arc::clone(&run), conf.idle_interval_ms());
        Ok(Self {
            next: sources.iter().map(|_| None).collect(),
            run,
            environment,
            checkpoint,
            template,
            sink,
            output,
            output_mode,
            trigger,
            conf,
            sources,
            tracker,
            batch,
            committing: None,
            last_executed: None,
            reporter,
        })
    }

    /// Runs triggers until the trigger says that is all, or somebody stops the run. Nothing
    /// of the run is on its way when this returns.
    pub async fn run(mut self) -> Result<()> {
        let outcome = AssertUnwindSafe(self.triggers()).catch_unwind().await;
        let settled = self.settle().await;
        match (outcome, settled) {
            (Err(payload), _) => std::panic::resume_unwind(payload),
            (Ok(Err(Interrupt::Failed(error))), settled) => {
                if let Err(Interrupt::Failed(other)) = settled {
                    warn!(id = %self.run.id, error = %other, "the commit of the batch before failed, too");
                }
                Err(error)
            }
            (Ok(_), Err(Interrupt::Failed(error))) => Err(error),
            (Ok(_), _) => Ok(()),
        }
    }

    async fn triggers(&mut self) -> Step<()> {
        loop {
            let began = self.run.now();
            let ran = self.trigger().await?;
            match self.trigger {
                Trigger::Once => return Ok(()),
                Trigger::AvailableNow if !ran => return Ok(()),
                Trigger::ProcessingTime(0) if !ran => self.wait_for_data().await?,
                Trigger::ProcessingTime(interval) if interval > 0 => {
                    self.settle().await?;
                    self.run.set_trigger_active(false);
                    self.wait_for_trigger(began).await?;
                }
                _ => self.stopped()?,
            }
        }
    }

    /// One trigger: builds the next batch if there is anything to do, and runs it.
    async fn trigger(&mut self) -> Step<bool> {
        self.stopped()?;
        let asked = self.run.requested_checks();
        self.reporter.start_trigger();
        let began = self.run.clock.monotonic();
        if !self.batch.constructed {
            self.batch.constructed = self.construct_next_batch().await?;
        }
        let has_new_data = self.batch.has_new_data();
        self.run.set_data_available(has_new_data);
        let constructed = self.batch.constructed;
        if constructed {
            self.run.message(if has_new_data {
                "Processing new data"
            } else {
                "No new data but cleaning up state"
            });
            self.run_batch(has_new_data).await?;
            self.batch.advance();
        } else {
            self.settle().await?;
            self.run.message("Waiting for data to arrive");
            self.reporter.took("triggerExecution", self.run.clock.monotonic().saturating_sub(began));
            self.report_nothing();
            self.run.checked(asked);
        }
        Ok(constructed)
    }

    /// Fails when a stop was asked for.
    pub fn stopped(&self) -> Step<()> {
        if *self.run.stop.borrow() { Err(Interrupt::Stopped) } else { Ok(()) }
    }

    /// Completes when a stop is asked for.
    pub async fn until_stopped(run: &Run) {
        let mut stop = run.stop.subscribe();
        // The sender lives in `run`: this ends only with a stop.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// Lets `work` come to its end; after a stop it gets [`GRACE`] more. For work that writes:
    /// dropped half-way it could still have its effect when the next run has begun.
    pub async fn with_grace<T>(run: &Run, work: impl Future<Output = T>) -> Step<T> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            done = &mut work => return Ok(done),
            () = Self::until_stopped(run) => {}
        }
        tokio::select! {
            done = work => Ok(done),
            () = run.clock.sleep(GRACE) => {
                warn!(id = %run.id, run_id = %run.run_id, "a step did not end after a stop and is dropped");
                Err(Interrupt::Stopped)
            }
        }
    }

    /// Sleeps until a source has news, somebody wants a look, or an idle event is due.
    async fn wait_for_data(&self) -> Step<()> {
        let idle = self.run.clock.sleep(self.reporter.until_idle());
        let news = async {
            if self.sources.is_empty() {
                futures::future::pending::<()>().await;
            }
            select_all(self.sources.iter().map(|s| s.changed().boxed())).await;
        };
        tokio::select! {
            () = Self::until_stopped(&self.run) => Err(Interrupt::Stopped),
            () = self.run.wake.notified() => Ok(()),
            () = news => Ok(()),
            () = idle => Ok(()),
        }
    }

    /// Sleeps until the trigger after the one that began at `began` is due.
    async fn wait_for_trigger(&self, began: Millis) -> Step<()> {
        self.run.message("Waiting for next trigger");
        let due = self.trigger.next(began);
        loop {
            let left = u64::try_from(due.0.saturating_sub(self.run.now().0)).unwrap_or(0);
            if left == 0 {
                return self.stopped();
            }
            tokio::select! {
                () = Self::until_stopped(&self.run) => return Err(Interrupt::Stopped),
                () = self.run.clock.sleep(Duration::from_millis(left)) => {}
            }
        }
    }
}
