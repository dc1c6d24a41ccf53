//! Where a query's operators keep their state.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

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
    /// How snapshots are spread over batches.
    pub pace: SnapshotPace,
    /// The codec of state files the session names, checked by the operators there are.
    pub codec: Option<String>,
    /// The user's names of the plan's columns, for those who read state.
    pub column_names: Arc<HashMap<String, String>>,
}

/// When snapshots are due, and how much of one goes with each batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPace {
    /// A snapshot is due after this many changes, once they hold as many rows as the state...
    pub changes_before: i64,
    /// ...and after this many in any case.
    pub most_changes: i64,
    /// A part is due after this many changes...
    pub changes_a_part: i64,
    /// ...or after changes of this many rows.
    pub rows_a_part: usize,
    /// Rows of a part for each row changed.
    pub rows_for_a_change: usize,
    /// A part is at least about this large.
    pub least_bytes: usize,
}

impl Default for SnapshotPace {
    fn default() -> Self {
        Self {
            changes_before: 10,
            most_changes: 100,
            changes_a_part: 10,
            rows_a_part: 1 << 16,
            rows_for_a_change: 2,
            least_bytes: 1 << 18,
        }
    }
}

impl StateLocation {
    /// The user's name of a column of the plan; what Spark calls an expression that has none.
    pub fn shown_name(&self, column: &str) -> String {
        match self.column_names.get(column) {
            Some(name) => name.clone(),
            None if column.starts_with('#') => "_groupingexpression".to_string(),
            None => column.to_string(),
        }
    }

    /// The log of one operator.
    pub fn log(&self, operator_id: usize) -> StateLog {
        StateLog::new(Arc::clone(&self.storage), self.root.join(operator_id.to_string()))
    }
}
