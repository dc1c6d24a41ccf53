//! Batch queries: a translated plan run once, and its rows.

mod collect;

pub use collect::{BatchResult, execute};
