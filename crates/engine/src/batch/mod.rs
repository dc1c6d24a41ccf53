//! Batch queries: a translated plan run once, and its rows.

mod cached;
mod collect;
mod write;

pub use cached::CachedTable;
pub use collect::{BatchResult, execute};
pub(crate) use collect::{in_order, read_ahead};
pub use write::{BatchWrite, SaveMode};
