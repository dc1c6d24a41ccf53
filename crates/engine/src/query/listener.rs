//! Events of queries, as Spark's `StreamingQueryListener` sees them.

use serde_json::{Value, json};
use uuid::Uuid;

use super::StreamingQueryProgress;
use crate::{SparkError, time::Millis};

/// Something that happened to a query of a manager.
#[derive(Debug, Clone)]
pub enum StreamingQueryEvent {
    /// A run began. It is published before [`StreamingQueryManager::start`] returns.
    ///
    /// [`StreamingQueryManager::start`]: super::StreamingQueryManager::start
    Started {
        /// Query id.
        id: Uuid,
        /// Run id.
        run_id: Uuid,
        /// Name, if it has one.
        name: Option<String>,
        /// When.
        timestamp: Millis,
    },
    /// A batch is done.
    Progress(Box<StreamingQueryProgress>),
    /// There has been nothing to do for a while.
    Idle {
        /// Query id.
        id: Uuid,
        /// Run id.
        run_id: Uuid,
        /// Start of the latest trigger.
        timestamp: Millis,
    },
    /// A run ended.
    Terminated {
        /// Query id.
        id: Uuid,
        /// Run id.
        run_id: Uuid,
        /// Why, if it failed: the cause, not `STREAM_FAILED`.
        cause: Option<SparkError>,
    },
}

impl StreamingQueryEvent {
    /// The run it is about.
    pub fn run_id(&self) -> Uuid {
        match self {
            Self::Started { run_id, .. } | Self::Idle { run_id, .. } | Self::Terminated { run_id, .. } => {
                *run_id
            }
            Self::Progress(progress) => progress.run_id,
        }
    }

    /// Spark's JSON, as PySpark's `StreamingQueryListener` classes parse it.
    pub fn json(&self) -> Value {
        match self {
            Self::Started { id, run_id, name, timestamp } => json!({
                "id": id.to_string(),
                "runId": run_id.to_string(),
                "name": name,
                "timestamp": timestamp.to_string(),
                "jobTags": [],
            }),
            Self::Progress(progress) => json!({ "progress": progress.json() }),
            Self::Idle { id, run_id, timestamp } => json!({
                "id": id.to_string(),
                "runId": run_id.to_string(),
                "timestamp": timestamp.to_string(),
            }),
            Self::Terminated { id, run_id, cause } => json!({
                "id": id.to_string(),
                "runId": run_id.to_string(),
                "exception": cause.as_ref().map(ToString::to_string),
                "errorClassOnException": cause.as_ref().map(SparkError::class),
            }),
        }
    }
}
