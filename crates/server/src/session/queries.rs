//! The streaming queries of a session.

use std::sync::{Arc, Weak};

use millstream_engine::{
    Result, SparkError,
    query::{QueryEnvironment, QuerySpec, StreamingQuery, StreamingQueryEvent, StreamingQueryManager},
};
use parking_lot::Mutex;
use spark_connect_proto::StreamingQueryEventType;
use tokio::{runtime::Handle, sync::broadcast::error::RecvError};
use uuid::Uuid;

use super::Session;
use crate::operation::Operation;

/// How many runs are remembered; ended ones are forgotten first, oldest first.
const REMEMBERED: usize = 256;

/// Runs that are active, and ended ones that clients may still ask about.
#[derive(Debug)]
pub struct Queries {
    manager: StreamingQueryManager,
    known: Mutex<Vec<Started>>,
}

/// A run, and the execution that started it.
#[derive(Debug)]
struct Started {
    query: StreamingQuery,
    operation_id: String,
    tags: Vec<String>,
}

impl Queries {
    /// No queries yet; they run in `environment`.
    pub fn new(environment: Arc<QueryEnvironment>) -> Self {
        Self { manager: StreamingQueryManager::new(environment), known: Mutex::default() }
    }

    /// The active queries and their events.
    pub fn manager(&self) -> &StreamingQueryManager {
        &self.manager
    }

    /// Starts a query and remembers it.
    ///
    /// # Errors
    /// As [`StreamingQueryManager::start`].
    pub async fn start(&self, spec: QuerySpec, operation: &Operation) -> Result<StreamingQuery> {
        let query = self.manager.start(spec).await?;
        let mut known = self.known.lock();
        known.push(Started {
            query: query.clone(),
            operation_id: operation.id.clone(),
            tags: operation.tags.clone(),
        });
        if known.len() > REMEMBERED
            && let Some(ended) = known.iter().position(|q| !q.query.is_active())
        {
            known.remove(ended);
        }
        Ok(query)
    }

    /// The run a client asks about, active or ended.
    ///
    /// # Errors
    /// `CONNECT_INVALID_PLAN.STREAMING_QUERY_*` when it is unknown or was restarted.
    pub fn find(&self, id: &str, run_id: &str) -> Result<StreamingQuery> {
        let known = self.known.lock();
        let mut runs = known.iter().rev().map(|started| &started.query).filter(|q| q.id().to_string() == id);
        let Some(latest) = runs.next() else {
            return Err(SparkError::new("CONNECT_INVALID_PLAN.STREAMING_QUERY_NOT_FOUND").with("id", id));
        };
        if latest.run_id().to_string() == run_id {
            return Ok(latest.clone());
        }
        runs.find(|q| q.run_id().to_string() == run_id).cloned().ok_or_else(|| {
            SparkError::new("CONNECT_INVALID_PLAN.STREAMING_QUERY_RUN_ID_MISMATCH")
                .with("id", id)
                .with("runId", run_id)
                .with("serverRunId", latest.run_id().to_string())
        })
    }

    /// An active query by its id.
    pub fn active(&self, id: &str) -> Option<StreamingQuery> {
        self.manager.get(Uuid::try_parse(id).ok()?)
    }

    /// The active queries whose starting executions had `tag`, all without one; with the ids of
    /// those executions.
    pub fn started_by(&self, tag: Option<&str>) -> Vec<(String, StreamingQuery)> {
        let tagged = |started: &&Started| tag.is_none_or(|t| started.tags.iter().any(|o| o == t));
        self.known
            .lock()
            .iter()
            .filter(|started| started.query.is_active())
            .filter(tagged)
            .map(|started| (started.operation_id.clone(), started.query.clone()))
            .collect()
    }

    /// Stops everything; returns the ids of what was active.
    pub async fn stop_all(&self) -> Vec<Uuid> {
        let ids = self.manager.active().iter().map(StreamingQuery::id).collect();
        self.manager.stop_all().await;
        ids
    }
}

/// Carries the events of the session's queries to its listener bus, until the session goes.
///
/// The started event is not among them: it comes with the answer to the start.
pub fn forward_events(session: &Arc<Session>, queries: &Queries, runtime: &Handle) {
    let mut events = queries.manager.subscribe();
    let session: Weak<Session> = Arc::downgrade(session);
    runtime.spawn(async move {
        loop {
            let event = match events.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!("{missed} events of streaming queries were lost to the listeners");
                    continue;
                }
                Err(RecvError::Closed) => return,
            };
            let Some(session) = session.upgrade() else { return };
            let event_type = match &event {
                StreamingQueryEvent::Started { .. } => continue,
                StreamingQueryEvent::Progress(_) => StreamingQueryEventType::QueryProgressEvent,
                StreamingQueryEvent::Idle { .. } => StreamingQueryEventType::QueryIdleEvent,
                StreamingQueryEvent::Terminated { run_id, .. } => {
                    session.listeners.send_end(*run_id, event.json().to_string());
                    continue;
                }
            };
            session.listeners.send(event_type, event.json().to_string());
        }
    });
}
