//! Joins of two streams: Spark's symmetric hash join.

mod join_state;
mod kept_rows;
mod node;
mod spec;

pub(super) use node::JoinNode;
