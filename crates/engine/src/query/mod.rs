//! Streaming queries: the micro-batch loop, triggers, progress and life cycle.

mod batch_context;
mod batch_id;
mod commit;
mod conf;
mod environment;
mod exception;
mod execution;
mod listener;
mod look_ahead;
mod manager;
mod micro_batch;
mod observed_metrics;
pub mod planner;
mod progress;
mod recovery;
mod reporter;
mod spec;
mod status;
mod streaming_query;
mod trigger;
mod unread;

pub use batch_context::{
    BatchContext, BatchInput, EventTimeRange, EventTimeStats, OperatorWatermarks, Watermarks,
};
pub use batch_id::BatchId;
pub use conf::QueryConf;
pub use environment::QueryEnvironment;
pub use listener::StreamingQueryEvent;
pub use look_ahead::OpenPieces;
pub use manager::StreamingQueryManager;
pub use observed_metrics::ObservedRow;
pub use progress::{SinkProgress, SourceProgress, StateOperatorProgress, StreamingQueryProgress};
pub use spec::{QuerySpec, SinkContext, SinkFactory};
pub use status::StreamingQueryStatus;
pub use streaming_query::StreamingQuery;
pub use trigger::Trigger;
pub use unread::Unread;
