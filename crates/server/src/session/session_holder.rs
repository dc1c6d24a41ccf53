//! One session.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use millstream_engine::{SparkError, batch::CachedTable, time::Millis};
use millstream_spark::plan::ResolvedTable;
use parking_lot::{Mutex, RwLock};
use spark_connect_proto::StorageLevel;
use tonic::Status;
use uuid::Uuid;

use super::{artifacts::Artifacts, conf::Conf, listeners::ListenerBus, queries::Queries, views::Views};
use crate::{connect::status::status, operation::Operations, pipelines::DataflowGraphs};

/// How many errors are kept for `FetchErrorDetails`, as in Spark.
const KEPT_ERRORS: usize = 20;

/// What tells sessions apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    /// `user_context.user_id`.
    pub user: String,
    /// The client's UUID.
    pub session_id: String,
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of user {:?}", self.session_id, self.user)
    }
}

/// The server's side of a `SparkSession`.
#[derive(Debug)]
pub struct Session {
    /// Its key.
    pub key: SessionKey,
    /// Made here; tells the client when the session is no longer the one it knew.
    pub server_side_id: String,
    /// `spark.conf`.
    pub conf: RwLock<Conf>,
    /// Temporary views.
    pub views: RwLock<Views>,
    /// Uploaded artifacts and cached local relations.
    pub artifacts: Artifacts,
    /// Executions.
    pub operations: Operations,
    /// The client's listener of streaming queries.
    pub listeners: ListenerBus,
    /// Streaming queries, once there was one.
    pub queries: OnceLock<Arc<Queries>>,
    /// Relations kept for the client, by id.
    pub cached_remote: Mutex<HashMap<String, ResolvedTable>>,
    /// Persisted relations by meaning: the level asked for (all are kept in memory), and the rows,
    /// which are computed when they are first read.
    pub persisted: Mutex<HashMap<String, (StorageLevel, CachedTable)>>,
    /// Dataflow graphs of declarative pipelines.
    pub graphs: DataflowGraphs,
    /// Warnings that were given, so that each is given once.
    pub warned: Mutex<HashSet<String>>,
    errors: Mutex<VecDeque<(String, SparkError)>>,
    last_access: AtomicI64,
    open_streams: AtomicUsize,
}

impl Session {
    /// A session that starts with these settings and views.
    pub fn new(key: SessionKey, conf: Conf, views: Views, artifacts: Artifacts, now: Millis) -> Self {
        Self {
            key,
            server_side_id: Uuid::new_v4().to_string(),
            conf: RwLock::new(conf),
            views: RwLock::new(views),
            artifacts,
            operations: Operations::default(),
            listeners: ListenerBus::default(),
            queries: OnceLock::new(),
            cached_remote: Mutex::default(),
            persisted: Mutex::default(),
            graphs: DataflowGraphs::default(),
            warned: Mutex::default(),
            errors: Mutex::default(),
            last_access: AtomicI64::new(now.0),
            open_streams: AtomicUsize::new(0),
        }
    }

    /// The gRPC status of `error`, which is kept for `FetchErrorDetails`.
    pub fn status(&self, error: &SparkError) -> Status {
        let id = Uuid::new_v4().to_string();
        let status = status(error, Some(&id));
        let mut errors = self.errors.lock();
        errors.push_back((id, error.clone()));
        if errors.len() > KEPT_ERRORS {
            errors.pop_front();
        }
        status
    }

    /// Hands out a kept error, once.
    pub fn take_error(&self, id: &str) -> Option<SparkError> {
        let mut errors = self.errors.lock();
        let position = errors.iter().position(|(kept, _)| kept == id)?;
        errors.remove(position).map(|(_, error)| error)
    }

    /// Notes that a client used the session.
    pub fn touch(&self, now: Millis) {
        self.last_access.fetch_max(now.0, Ordering::AcqRel);
    }

    /// Since when nobody has used it; `None` while a stream is open.
    pub fn idle_since(&self) -> Option<Millis> {
        (self.open_streams.load(Ordering::Acquire) == 0)
            .then(|| Millis(self.last_access.load(Ordering::Acquire)))
    }

    /// Notes an open response stream, which keeps the session alive.
    pub fn stream_opened(&self) {
        self.open_streams.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes the end of a response stream.
    pub fn stream_closed(&self, now: Millis) {
        self.touch(now);
        self.open_streams.fetch_sub(1, Ordering::AcqRel);
    }
}
