//! `StreamingQueryManager`: starts queries and knows the active ones of a session.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};
use tracing::{error, info, warn};
use uuid::Uuid;

use super::{
    QueryEnvironment, QuerySpec, SinkContext, SinkFactory, StreamingQuery, StreamingQueryEvent, Trigger,
    exception::panicked,
    execution::{Execution, Setup},
    planner,
    streaming_query::Run,
};
use crate::{
    Result, SparkError,
    checkpoint::{Checkpoint, from_uri, storage::blocking},
    sink::{OutputMode, Sink},
    state::{SnapshotPace, StateLocation},
};

/// Events kept for a subscriber that has not read them yet; older ones are lost to it.
const EVENT_BACKLOG: usize = 8192;

/// The queries of one session.
#[derive(Clone)]
pub struct StreamingQueryManager {
    shared: Arc<Shared>,
}

struct Shared {
    environment: Arc<QueryEnvironment>,
    events: broadcast::Sender<StreamingQueryEvent>,
    active: Mutex<Vec<StreamingQuery>>,
    /// How the last termination since the last reset ended; failures win.
    last_terminated: watch::Sender<Option<Result<()>>>,
}

impl fmt::Debug for StreamingQueryManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingQueryManager").field("active", &self.active()).finish_non_exhaustive()
    }
}

impl StreamingQueryManager {
    /// A manager without queries.
    pub fn new(environment: Arc<QueryEnvironment>) -> Self {
        Self {
            shared: Arc::new(Shared {
                environment,
                events: broadcast::Sender::new(EVENT_BACKLOG),
                active: Mutex::default(),
                last_terminated: watch::Sender::new(None),
            }),
        }
    }

    /// Starts a query: checks and plans it, opens its checkpoint, and lets it run.
    ///
    /// # Errors
    /// Illegal plans, names in use, checkpoints in use or unusable. Nothing is written
    /// before the plan was accepted. What goes wrong later is the query's exception.
    pub async fn start(&self, spec: QuerySpec) -> Result<StreamingQuery> {
        let environment = &self.shared.environment;
        if let Trigger::Continuous(_) = spec.trigger {
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_3102")
                .with("msg", "Continuous processing does not support StreamingRelation operations."));
        }
        if let Some(name) = &spec.name
            && self.active().iter().any(|q| q.name() == Some(name))
        {
            return Err(name_in_use(name));
        }

        let (path, temporary) = checkpoint_path(&spec, environment)?;
        let state = StateLocation {
            storage: environment.storage.clone(),
            root: path.join("state"),
            partitions: spec.conf.shuffle_partitions(),
            clock: Arc::clone(&environment.clock),
            pace: SnapshotPace::default(),
            codec: spec.conf.state_codec().map(str::to_string),
            column_names: Arc::clone(&spec.column_names),
        };
        let template = planner::plan(&spec, environment, state).await?;
        if !spec.recover_from_checkpoint {
            let offsets = path.join("offsets");
            let storage = environment.storage.clone();
            if blocking(move || Ok(storage.info(&offsets).is_ok_and(|info| info.is_some()))).await? {
                return Err(SparkError::new("_LEGACY_ERROR_TEMP_1299")
                    .with("location", path.join("offsets").display().to_string()));
            }
        }
        if let Some(old) = environment.active_on(&path) {
            if !spec.conf.stop_active_run_on_restart() {
                return Err(SparkError::new("CONCURRENT_QUERY"));
            }
            warn!(id = %old.id(), run_id = %old.run_id(), "stopping the active run: a new one starts on its checkpoint");
            old.stop().await;
        }
        let storage = environment.storage.clone();
        let location = path.clone();
        let checkpoint = blocking(move || Checkpoint::open(storage, location)).await?;
        let checkpoint = Arc::new(checkpoint.with_retention(spec.conf.retention()));

        let run_id = Uuid::new_v4();
        let context = SinkContext { checkpoint: Arc::clone(&checkpoint), query_id: checkpoint.id(), run_id };
        let sink = match make_sink(spec.sink, context, spec.output_mode) {
            Ok(sink) => sink,
            Err(refused) => {
                drop(checkpoint);
                if temporary {
                    delete_temporary(environment, &path).await;
                }
                return Err(refused);
            }
        };
        let run = Arc::new(Run::new(
            checkpoint.id(),
            run_id,
            spec.name,
            Arc::clone(&environment.clock),
            self.shared.events.clone(),
            spec.conf.progress_retention(),
        ));
        let force_delete = spec.conf.force_delete_temporary_checkpoint();
        let setup = Setup {
            run: Arc::clone(&run),
            environment: Arc::clone(environment),
            checkpoint,
            template,
            sink,
            output: spec.output,
            output_mode: spec.output_mode,
            trigger: spec.trigger,
            conf: spec.conf,
            session_zone: spec.session_zone,
        };
        let query = StreamingQuery::new(Arc::clone(&run));
        {
            // Names and checkpoints are taken under one lock: two starts cannot both win.
            let mut active = self.shared.active.lock();
            if let Some(name) = &run.name
                && active.iter().any(|q| q.name() == Some(name))
            {
                return Err(name_in_use(name));
            }
            active.push(query.clone());
        }
        environment.activate(path.clone(), query.clone());
        info!(id = %run.id, run_id = %run.run_id, name = ?run.name, checkpoint = %path.display(), "query started");
        run.post(StreamingQueryEvent::Started {
            id: run.id,
            run_id: run.run_id,
            name: run.name.clone(),
            timestamp: run.now(),
        });
        tokio::spawn(drive(
            Arc::clone(&self.shared),
            query.clone(),
            run,
            setup,
            path,
            temporary.then_some(force_delete),
        ));
        Ok(query)
    }

    /// The active queries, oldest first.
    pub fn active(&self) -> Vec<StreamingQuery> {
        self.shared.active.lock().clone()
    }

    /// An active query by id.
    pub fn get(&self, id: Uuid) -> Option<StreamingQuery> {
        self.shared.active.lock().iter().find(|q| q.id() == id).cloned()
    }

    /// Waits until any query ends, at most `timeout`; at once when one has ended since the
    /// last [`StreamingQueryManager::reset_terminated`]. Tells whether one has ended.
    ///
    /// # Errors
    /// The exception of a query that failed.
    pub async fn await_any_termination(&self, timeout: Option<Duration>) -> Result<bool> {
        let mut last = self.shared.last_terminated.subscribe();
        let ended = async {
            match last.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone(),
                Err(_) => None,
            }
        };
        let outcome = match timeout {
            None => ended.await,
            Some(timeout) => {
                let late = self.shared.environment.clock.sleep(timeout);
                tokio::select! { outcome = ended => outcome, () = late => None }
            }
        };
        match outcome {
            Some(Err(failed)) => Err(failed),
            outcome => Ok(outcome.is_some()),
        }
    }

    /// Forgets past terminations.
    pub fn reset_terminated(&self) {
        self.shared.last_terminated.send_replace(None);
    }

    /// Events of this manager's queries from now on. A subscriber that falls behind by
    /// thousands of events is told so by `Lagged`; queries never wait for it.
    pub fn subscribe(&self) -> broadcast::Receiver<StreamingQueryEvent> {
        self.shared.events.subscribe()
    }

    /// Stops every active query.
    pub async fn stop_all(&self) {
        futures::future::join_all(self.active().iter().map(StreamingQuery::stop)).await;
    }
}

/// Runs a query to its end and cleans up after it.
///
/// `temporary` is set for a temporary checkpoint, which goes when the query ended well, or
/// always if it holds `true`.
async fn drive(
    shared: Arc<Shared>,
    query: StreamingQuery,
    run: Arc<Run>,
    setup: Setup,
    path: PathBuf,
    temporary: Option<bool>,
) {
    let outcome = AssertUnwindSafe(async { Execution::start(setup).await?.run().await }).catch_unwind().await;
    // Everything the run held, the checkpoint's lock included, is gone by now.
    let failure = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(cause)) => Some(cause),
        Err(payload) => Some(panicked(payload.as_ref())),
    };
    if let Some(cause) = &failure {
        error!(id = %run.id, run_id = %run.run_id, name = ?run.name, %cause, "query terminated with an error");
    } else {
        info!(id = %run.id, run_id = %run.run_id, name = ?run.name, "query stopped");
    }
    if temporary.is_some_and(|always| always || failure.is_none()) {
        delete_temporary(&shared.environment, &path).await;
    }
    shared.environment.deactivate(&path, &query);
    shared.active.lock().retain(|q| q.run_id() != query.run_id());
    run.end(failure);
    let outcome = match run.exception() {
        Some(failed) => Err(failed),
        None => Ok(()),
    };
    shared.last_terminated.send_modify(|last| {
        if last.is_none() || outcome.is_err() {
            *last = Some(outcome);
        }
    });
}

async fn delete_temporary(environment: &QueryEnvironment, path: &Path) {
    let storage = environment.storage.clone();
    let gone = path.to_path_buf();
    let deleted = blocking(move || {
        storage.delete_dir_all(&gone).map_err(|e| SparkError::internal("cannot delete").caused_by(e))
    });
    if let Err(error) = deleted.await {
        warn!(path = %path.display(), %error, "a temporary checkpoint stays behind");
    }
}

/// Where the checkpoint goes, and whether it is a temporary one.
fn checkpoint_path(spec: &QuerySpec, environment: &QueryEnvironment) -> Result<(PathBuf, bool)> {
    let local = |location: &str| {
        from_uri(location)
            .ok_or_else(|| SparkError::unsupported(format!("the checkpoint location `{location}`")))
    };
    if let Some(location) = &spec.checkpoint_location {
        return Ok((local(location)?, false));
    }
    if let Some(root) = spec.conf.checkpoint_root() {
        let name = spec.name.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
        return Ok((local(root)?.join(name), false));
    }
    if spec.temporary_checkpoint {
        return Ok((environment.temporary_root.join(format!("temporary-{}", Uuid::new_v4())), true));
    }
    Err(SparkError::new("_LEGACY_ERROR_TEMP_1298"))
}

/// Makes the sink of a run and asks it about the output mode.
fn make_sink(factory: SinkFactory, context: SinkContext, mode: OutputMode) -> Result<Arc<dyn Sink>> {
    let sink = factory(&context)?;
    if !sink.supports(mode) {
        return Err(SparkError::new("STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE")
            .with("outputMode", mode.to_string().to_lowercase())
            .with("className", sink.description()));
    }
    Ok(sink)
}

fn name_in_use(name: &str) -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_3241").with(
        "msg",
        format!("Cannot start query with name {name} as a query with that name is already active in this SparkSession"),
    )
}
