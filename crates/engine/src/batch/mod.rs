//! Batch queries: a translated plan run once, and its rows.

mod collect;

pub(crate) use collect::read_ahead;
pub use collect::{BatchResult, execute};
