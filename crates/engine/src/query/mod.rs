//! Streaming queries: the micro-batch loop, triggers, progress and life cycle.

mod batch_context;
mod batch_id;

pub use batch_context::{BatchContext, BatchInput, EventTimeRange, EventTimeStats};
pub use batch_id::BatchId;
