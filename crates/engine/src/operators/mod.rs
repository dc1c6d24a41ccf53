//! Physical operators of the engine, one file each.

pub mod aggregate;
mod event_time_watermark;
mod stateful;
mod stream_scan;

pub use event_time_watermark::EventTimeWatermarkExec;
pub use stateful::{StateOperatorMetrics, StatefulOperator};
pub use stream_scan::StreamScanExec;
