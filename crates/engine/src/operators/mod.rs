//! Physical operators of the engine, one file each.

mod stateful;

pub use stateful::{StateOperatorMetrics, StatefulOperator};
