//! What all queries of a process share.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use datafusion::execution::runtime_env::RuntimeEnv;
use parking_lot::Mutex;

use super::StreamingQuery;
use crate::{checkpoint::StorageRef, time::Clock};

/// Clock, storage, memory, and who runs on which checkpoint.
pub struct QueryEnvironment {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where checkpoints live.
    pub storage: StorageRef,
    /// Memory and spill space of executions.
    pub runtime: Arc<RuntimeEnv>,
    /// Parent of temporary checkpoints.
    pub temporary_root: PathBuf,
    active: Mutex<HashMap<PathBuf, StreamingQuery>>,
}

impl fmt::Debug for QueryEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryEnvironment")
            .field("temporary_root", &self.temporary_root)
            .finish_non_exhaustive()
    }
}

impl QueryEnvironment {
    /// An environment without queries; temporary checkpoints go under `temporary_root`
    /// (the system's directory for temporary files).
    pub fn new(
        clock: Arc<dyn Clock>,
        storage: StorageRef,
        runtime: Arc<RuntimeEnv>,
        temporary_root: impl Into<PathBuf>,
    ) -> Self {
        Self { clock, storage, runtime, temporary_root: temporary_root.into(), active: Mutex::default() }
    }

    /// The active run on a checkpoint.
    pub(crate) fn active_on(&self, checkpoint: &Path) -> Option<StreamingQuery> {
        self.active.lock().get(checkpoint).filter(|q| q.is_active()).cloned()
    }

    pub(crate) fn activate(&self, checkpoint: PathBuf, query: StreamingQuery) {
        self.active.lock().insert(checkpoint, query);
    }

    pub(crate) fn deactivate(&self, checkpoint: &Path, query: &StreamingQuery) {
        let mut active = self.active.lock();
        if active.get(checkpoint).is_some_and(|q| q.run_id() == query.run_id()) {
            active.remove(checkpoint);
        }
    }
}
