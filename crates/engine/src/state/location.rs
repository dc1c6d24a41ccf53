//! Where a query's operators keep their state.

use std::{path::PathBuf, sync::Arc};

use super::StateLog;
use crate::{checkpoint::StorageRef, time::Clock};

/// Handed to the planner of stateful operators as a `SessionConfig` extension.
#[derive(Debug, Clone)]
pub struct StateLocation {
    /// Where the bytes go.
    pub storage: StorageRef,
    /// `<checkpoint>/state`; operator `i` owns the directory `i` below it.
    pub root: PathBuf,
    /// Spark's shuffle partition count of the checkpoint, for the operator metadata file.
    pub partitions: usize,
    /// For durations in the metrics.
    pub clock: Arc<dyn Clock>,
}

impl StateLocation {
    /// The log of one operator.
    pub fn log(&self, operator_id: usize) -> StateLog {
        StateLog::new(Arc::clone(&self.storage), self.root.join(operator_id.to_string()))
    }
}
