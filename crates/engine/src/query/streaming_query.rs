//! The handle of a running or ended query, and the state its task shares with it.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, watch};
use uuid::Uuid;

use super::{StreamingQueryEvent, StreamingQueryProgress, StreamingQueryStatus, exception::stream_failed};
use crate::{
    Result, SparkError,
    time::{Clock, Millis},
};

/// A query that was started; it stays answerable after it has ended.
#[derive(Clone)]
pub struct StreamingQuery {
    run: Arc<Run>,
}

impl fmt::Debug for StreamingQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingQuery")
            .field("id", &self.run.id)
            .field("run_id", &self.run.run_id)
            .field("name", &self.run.name)
            .finish_non_exhaustive()
    }
}

impl StreamingQuery {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self { run }
    }

    /// The same in every run on one checkpoint.
    pub fn id(&self) -> Uuid {
        self.run.id
    }

    /// New in every run.
    pub fn run_id(&self) -> Uuid {
        self.run.run_id
    }

    /// `queryName`.
    pub fn name(&self) -> Option<&str> {
        self.run.name.as_deref()
    }

    /// Whether the run has not ended.
    pub fn is_active(&self) -> bool {
        !*self.run.terminated.borrow()
    }

    /// What the run is doing.
    pub fn status(&self) -> StreamingQueryStatus {
        self.run.inner.lock().status.clone()
    }

    /// Progress of the most recent triggers, oldest first.
    pub fn recent_progress(&self) -> Vec<Arc<StreamingQueryProgress>> {
        self.run.inner.lock().recent.iter().cloned().collect()
    }

    /// Progress of the most recent trigger.
    pub fn last_progress(&self) -> Option<Arc<StreamingQueryProgress>> {
        self.run.inner.lock().recent.back().cloned()
    }

    /// `STREAM_FAILED` with its cause when the run failed.
    pub fn exception(&self) -> Option<SparkError> {
        self.run.exception()
    }

    /// Waits until everything that was available when this was called is in the sink.
    ///
    /// # Errors
    /// The run's exception.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect on the query.
    pub async fn process_all_available(&self) -> Result<()> {
        let mut checks = self.run.checks.subscribe();
        let mut terminated = self.run.terminated.subscribe();
        // A look that starts from now on has to find nothing.
        let wanted = self.run.request_check();
        self.run.wake.notify_one();
        loop {
            if let Some(failed) = self.run.exception() {
                return Err(failed);
            }
            if *terminated.borrow_and_update() || *checks.borrow_and_update() >= wanted {
                return Ok(());
            }
            tokio::select! {
                changed = checks.changed() => { if changed.is_err() { return Ok(()) } }
                changed = terminated.changed() => { if changed.is_err() { return Ok(()) } }
            }
        }
    }

    /// Waits for the end of the run, at most `timeout`; tells whether it has ended.
    ///
    /// # Errors
    /// The run's exception.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect on the query.
    pub async fn await_termination(&self, timeout: Option<Duration>) -> Result<bool> {
        let mut terminated = self.run.terminated.subscribe();
        let ended = async { terminated.wait_for(|ended| *ended).await.is_ok() };
        match timeout {
            None => {
                ended.await;
            }
            Some(timeout) => {
                let late = self.run.clock.sleep(timeout);
                tokio::select! { _ = ended => {}, () = late => {} }
            }
        }
        match self.run.exception() {
            Some(failed) => Err(failed),
            None => Ok(!self.is_active()),
        }
    }

    /// Stops the run and waits until it has let go of its checkpoint.
    ///
    /// What is being made visible is finished first; a batch before that point is dropped
    /// and runs again at the next start.
    pub async fn stop(&self) {
        self.run.stop.send_replace(true);
        let mut terminated = self.run.terminated.subscribe();
        // The sender lives in `self.run`, so this ends only with the run.
        let _ = terminated.wait_for(|ended| *ended).await;
    }

    /// The plans of the query; `extended` shows all of them.
    pub fn explain(&self, extended: bool) -> String {
        let inner = self.run.inner.lock();
        match &inner.plans {
            None => "No physical plan. Waiting for data.".to_string(),
            Some(plans) if extended => plans.extended.clone(),
            Some(plans) => plans.simple.clone(),
        }
    }
}

/// Rendered plans.
#[derive(Debug, Clone)]
pub(crate) struct Plans {
    pub simple: String,
    pub extended: String,
}

/// What the query's task and its handles share.
pub(crate) struct Run {
    pub id: Uuid,
    pub run_id: Uuid,
    pub name: Option<String>,
    pub clock: Arc<dyn Clock>,
    /// Set once, to ask the task to end.
    pub stop: watch::Sender<bool>,
    /// Set once, when the task has ended and let go of everything.
    pub terminated: watch::Sender<bool>,
    /// Wakes the task from waiting for data.
    pub wake: Notify,
    /// Number of the last requested check that found no new data.
    pub checks: watch::Sender<u64>,
    pub events: broadcast::Sender<StreamingQueryEvent>,
    retention: usize,
    inner: Mutex<Inner>,
}

struct Inner {
    status: StreamingQueryStatus,
    recent: VecDeque<Arc<StreamingQueryProgress>>,
    exception: Option<SparkError>,
    plans: Option<Plans>,
    requested: u64,
}

impl Run {
    pub fn new(
        id: Uuid,
        run_id: Uuid,
        name: Option<String>,
        clock: Arc<dyn Clock>,
        events: broadcast::Sender<StreamingQueryEvent>,
        retention: usize,
    ) -> Self {
        Self {
            id,
            run_id,
            name,
            clock,
            stop: watch::Sender::new(false),
            terminated: watch::Sender::new(false),
            wake: Notify::new(),
            checks: watch::Sender::new(0),
            events,
            retention,
            inner: Mutex::new(Inner {
                status: StreamingQueryStatus::initial(),
                recent: VecDeque::new(),
                exception: None,
                plans: None,
                requested: 0,
            }),
        }
    }

    pub fn exception(&self) -> Option<SparkError> {
        self.inner.lock().exception.clone()
    }

    pub fn message(&self, message: impl Into<String>) {
        self.inner.lock().status.message = message.into();
    }

    pub fn set_data_available(&self, available: bool) {
        self.inner.lock().status.is_data_available = available;
    }

    pub fn set_trigger_active(&self, active: bool) {
        self.inner.lock().status.is_trigger_active = active;
    }

    pub fn set_plans(&self, plans: Plans) {
        self.inner.lock().plans = Some(plans);
    }

    /// Registers a wish to know that there is no new data; answered by [`Run::checked`].
    fn request_check(&self) -> u64 {
        let mut inner = self.inner.lock();
        inner.requested += 1;
        inner.requested
    }

    /// The wishes so far; to be read before looking for data.
    pub fn requested_checks(&self) -> u64 {
        self.inner.lock().requested
    }

    /// A look that began after `requested` wishes found nothing to do.
    pub fn checked(&self, requested: u64) {
        self.checks.send_replace(requested);
    }

    pub fn post(&self, event: StreamingQueryEvent) {
        // Nobody listening is fine.
        let _ = self.events.send(event);
    }

    /// Keeps a progress update; Spark keeps one less than the setting says.
    pub fn add_progress(&self, progress: Arc<StreamingQueryProgress>) {
        let mut inner = self.inner.lock();
        inner.recent.push_back(progress);
        while inner.recent.len() >= self.retention.max(2) {
            inner.recent.pop_front();
        }
    }

    /// The run is over; nothing of it is held any more.
    pub fn end(&self, failure: Option<SparkError>) {
        {
            let mut inner = self.inner.lock();
            inner.status.is_trigger_active = false;
            inner.status.is_data_available = false;
            match &failure {
                None => inner.status.message = "Stopped".to_string(),
                Some(cause) => {
                    inner.status.message = format!("Terminated with exception: {cause}");
                    inner.exception = Some(stream_failed(self.id, self.run_id, cause.clone()));
                }
            }
        }
        self.terminated.send_replace(true);
        self.post(StreamingQueryEvent::Terminated { id: self.id, run_id: self.run_id, cause: failure });
    }

    pub fn now(&self) -> Millis {
        self.clock.now()
    }
}
