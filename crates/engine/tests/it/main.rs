//! Integration tests of the engine, one binary.

mod query;
mod stateful_aggregate;
mod support;
