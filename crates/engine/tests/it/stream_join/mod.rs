//! Joins of two streams against a row-at-a-time model of Spark's rules.

mod oracle;
mod reference;
