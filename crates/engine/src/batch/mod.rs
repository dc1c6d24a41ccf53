//! Batch queries: a translated plan run once, and its rows.

mod collect;
mod write;

pub(crate) use collect::read_ahead;
pub use collect::{BatchResult, execute};
pub use write::{BatchWrite, SaveMode};
