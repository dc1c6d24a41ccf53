//! Batch queries: a translated plan run once, and its rows.

mod cached;
mod collect;
mod run_ahead;
mod write;

pub use cached::CachedTable;
pub(crate) use collect::in_order;
pub use collect::{BatchResult, execute};
pub(crate) use run_ahead::{read_ahead, run_ahead};
pub use write::{BatchWrite, SaveMode};
