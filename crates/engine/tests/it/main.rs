//! Integration tests of the engine, one binary.

mod stateful_aggregate;
