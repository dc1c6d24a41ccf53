//! Logical nodes the engine adds to DataFusion's, and what they mean in a batch.
//!
//! Translation builds plans from DataFusion's own nodes plus these; the streaming planner
//! (`query::planner`) turns aggregates above a stream into stateful operators.
//!
//! Column names inside a plan are unique ids made by translation; what the user sees is
//! kept beside the plan and applied at the edge.

use std::sync::Arc;

use datafusion::logical_expr::UserDefinedLogicalNode;

mod batch_timestamp;
mod collect_metrics;
mod deduplicate;
mod expand;
mod global_limit;
mod no_rows;
mod nondeterministic;
mod session_window;
mod stateful_aggregate;
mod stream_join;
mod stream_scan;
mod time_window;
mod updating_sessions;
mod watermark;
mod window_fusion;

pub use batch_timestamp::{BatchTimestampCell, batch_timestamp, bind_literal};
pub use collect_metrics::{CollectMetrics, Observed, observations};
pub use deduplicate::Deduplicate;
pub use expand::{Expand, GroupingSetRow};
pub use global_limit::GlobalLimit;
pub use no_rows::NoRows;
pub use nondeterministic::{Nondeterministic, RowFunction};
pub use session_window::{SESSION_WINDOW_KEY, SessionWindow, is_session_window};
pub use stateful_aggregate::{EventTimeKey, SessionKey, StatefulAggregate, WindowKey};
pub use stream_join::{JoinCondition, JoinKey, StreamJoin, ValueBound};
pub use stream_scan::StreamScan;
pub use time_window::TimeWindow;
pub use updating_sessions::UpdatingSessions;
pub(crate) use watermark::multiple_event_times;
pub use watermark::{EventTimeWatermark, WATERMARK_DELAY_KEY, watermark_delay};

/// `node` as stateful operator number `operator_id` of its query; `None` for nodes without
/// state.
pub(crate) fn with_operator_id(
    node: &dyn UserDefinedLogicalNode,
    operator_id: usize,
) -> Option<Arc<dyn UserDefinedLogicalNode>> {
    let any = node.as_any();
    if let Some(node) = any.downcast_ref::<StatefulAggregate>() {
        return Some(Arc::new(node.with_operator_id(operator_id)));
    }
    if let Some(node) = any.downcast_ref::<StreamJoin>() {
        return Some(Arc::new(node.with_operator_id(operator_id)));
    }
    if let Some(node) = any.downcast_ref::<Deduplicate>() {
        return Some(Arc::new(node.with_operator_id(operator_id)));
    }
    if let Some(node) = any.downcast_ref::<GlobalLimit>() {
        return Some(Arc::new(node.with_operator_id(operator_id)));
    }
    None
}
