//! The dataflow graphs of a session.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use millstream_engine::{Result, SparkError};
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use super::graph::DataflowGraph;

/// Graphs by id.
#[derive(Debug, Default)]
pub struct DataflowGraphs {
    by_id: Mutex<HashMap<String, Arc<Registered>>>,
}

/// A graph that clients add to, and its run.
#[derive(Debug)]
pub struct Registered {
    /// The graph as far as it has been defined.
    pub graph: Mutex<DataflowGraph>,
    running: AtomicBool,
    dropped: Notify,
}

/// The one run a graph has at a time.
#[derive(Debug)]
pub struct RunGuard {
    registered: Arc<Registered>,
}

impl DataflowGraphs {
    /// Adds a graph; returns its id.
    pub fn create(&self, graph: DataflowGraph) -> String {
        let id = Uuid::new_v4().to_string();
        let registered =
            Registered { graph: Mutex::new(graph), running: AtomicBool::new(false), dropped: Notify::new() };
        self.by_id.lock().insert(id.clone(), Arc::new(registered));
        id
    }

    /// The graph of that id.
    ///
    /// # Errors
    /// `DATAFLOW_GRAPH_NOT_FOUND`.
    pub fn find(&self, id: &str) -> Result<Arc<Registered>> {
        self.by_id
            .lock()
            .get(id)
            .cloned()
            .ok_or_else(|| SparkError::new("DATAFLOW_GRAPH_NOT_FOUND").with("graphId", id))
    }

    /// Forgets a graph, if it is there, and stops its run.
    pub fn drop_graph(&self, id: &str) {
        let dropped = self.by_id.lock().remove(id);
        if let Some(registered) = dropped {
            registered.dropped.notify_waiters();
        }
    }
}

impl Registered {
    /// Begins the run of the graph.
    ///
    /// # Errors
    /// It runs already.
    pub fn begin(self: &Arc<Self>, id: &str) -> Result<RunGuard> {
        if self.running.swap(true, Ordering::AcqRel) {
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_3102").with(
                "msg",
                format!(
                    "Pipeline execution for graph ID {id} already exists. Stop the existing execution before starting \
                     a new one."
                ),
            ));
        }
        Ok(RunGuard { registered: Arc::clone(self) })
    }
}

impl RunGuard {
    /// Waits until the graph is dropped.
    pub async fn dropped(&self) {
        self.registered.dropped.notified().await;
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        self.registered.running.store(false, Ordering::Release);
    }
}
