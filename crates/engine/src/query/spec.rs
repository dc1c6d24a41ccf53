//! What a client asks for when it starts a query.

use std::{collections::HashMap, fmt, sync::Arc};

use datafusion::{arrow::datatypes::SchemaRef, logical_expr::LogicalPlan};
use uuid::Uuid;

use super::{QueryConf, Trigger};
use crate::{
    Result,
    checkpoint::Checkpoint,
    sink::{OutputMode, Sink},
};

/// A query to start: Spark's `writeStream ... start()`.
pub struct QuerySpec {
    /// `queryName`; unique among the active queries of a manager.
    pub name: Option<String>,
    /// Translated plan with [`StreamScan`](crate::plan::StreamScan) leaves.
    pub plan: LogicalPlan,
    /// The plan's columns under the user's names, which may repeat.
    pub output: SchemaRef,
    /// The user's names of the columns inside the plan, as far as they have any.
    pub column_names: Arc<HashMap<String, String>>,
    /// Makes the sink once the checkpoint of the run is open.
    pub sink: SinkFactory,
    /// Output mode.
    pub output_mode: OutputMode,
    /// Trigger.
    pub trigger: Trigger,
    /// Option `checkpointLocation` (any spelling), made absolute.
    pub checkpoint_location: Option<String>,
    /// Whether the query may run on a temporary checkpoint (memory, console, noop,
    /// foreach, foreachBatch), or must name one (files).
    pub temporary_checkpoint: bool,
    /// Whether the query may continue from a checkpoint with batches: false for the memory
    /// sink in append and update mode.
    pub recover_from_checkpoint: bool,
    /// Settings of the session.
    pub conf: QueryConf,
    /// `spark.sql.session.timeZone`.
    pub session_zone: String,
}

/// Makes the sink of a run.
pub type SinkFactory = Box<dyn FnOnce(&SinkContext) -> Result<Arc<dyn Sink>> + Send + Sync>;

/// What a sink may know of the run it works for.
#[derive(Debug, Clone)]
pub struct SinkContext {
    /// The open checkpoint; holding on to it keeps it locked.
    pub checkpoint: Arc<Checkpoint>,
    /// Query id, the same in every run on the checkpoint.
    pub query_id: Uuid,
    /// Run id, new in every run.
    pub run_id: Uuid,
}

impl fmt::Debug for QuerySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuerySpec")
            .field("name", &self.name)
            .field("output_mode", &self.output_mode)
            .field("trigger", &self.trigger)
            .field("checkpoint_location", &self.checkpoint_location)
            .finish_non_exhaustive()
    }
}
