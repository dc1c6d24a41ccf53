//! The stateful aggregate against a row-at-a-time reference of Spark's semantics.

mod damaged_state;
mod harness;
mod oracle;
mod reference;
mod sessions;
