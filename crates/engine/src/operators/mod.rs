//! Physical operators of the engine, one file each.

pub mod aggregate;
mod collect_metrics;
mod deduplicate;
mod event_time_watermark;
mod expand;
mod extension;
mod global_limit;
mod nondeterministic;
mod ordered_coalesce;
mod piece_by_piece;
mod probe_side;
mod rowwise;
mod scan_pieces;
mod session_window;
mod stateful;
mod stateful_aggregate;
mod stream_join;
mod stream_scan;
mod time_window;
mod updating_sessions;
mod xor_shift_random;

pub use collect_metrics::{CollectMetricsExec, observed};
pub use event_time_watermark::{EventTimeWatermarkExec, watermark_ordinals};
pub use extension::{plan_extension, stateful_operators};
pub(crate) use ordered_coalesce::OrderPartitions;
pub use ordered_coalesce::OrderedCoalesceExec;
pub use piece_by_piece::PieceByPiece;
pub use probe_side::ProbeSideExec;
pub(crate) use stateful::event_times;
pub use stateful::{StateChanges, StateOperatorMetrics, StatefulExec, StatefulOperator};
pub(crate) use stateful_aggregate::PaneGrid;
pub use stream_scan::StreamScanExec;
pub use updating_sessions::UpdatingSessionsExec;
pub use xor_shift_random::XorShiftRandom;
