//! Aggregate functions over columnar, slot-indexed buffers.
//!
//! One implementation serves both worlds: streaming state keeps these buffers between
//! batches, and [`udaf`] wraps them as DataFusion aggregate functions for batch queries.
//! Typing, null handling, overflow and rounding are Spark's.
//!
//! A *slot* is one group's buffer. Buffers of a function are columns indexed by slot, so a
//! batch of rows is one call. Exported buffer columns are shaped like Spark's own
//! (`avg` = sum and count, variance = n, avg, m2, ...) and are the durable format: their
//! order and types are stable.

mod average;
mod bitwise;
mod buffer;
mod central_moments;
mod collect;
mod columns;
mod count;
mod covariance;
mod distinct;
mod extremum;
mod extremum_by;
mod function;
mod histogram;
mod hyperloglog;
mod percentile;
mod positional;
mod sliding;
mod sum;
mod typing;
mod udaf;

pub use buffer::{AggregateBuffer, Arrival};
pub use function::{AggregateCall, AggregateOptions};
pub use typing::{argument_types, names, return_type};
pub use udaf::{SparkAggregate, udaf};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
