//! Integration tests of the engine, one binary.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod chains;
mod deduplicate;
mod query;
mod state_growth;
mod stateful_aggregate;
mod stream_join;
mod support;
