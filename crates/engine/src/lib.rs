//! The millstream engine: micro-batch execution with Spark's streaming semantics.
//!
//! Each trigger turns a planned query into one execution over exactly the new
//! rows plus the kept state, and commits its output exactly once.
//!
//! The engine knows Spark's *streaming* semantics, file layouts and log formats.
//! It knows nothing of Connect messages, SQL text, session configuration, gRPC,
//! HTTP, Python processes or environment variables.

pub mod batch;
pub mod checkpoint;
pub mod error;
pub mod format;
pub mod operators;
pub mod plan;
pub mod query;
pub mod session;
pub mod sink;
pub mod source;
pub mod state;
pub mod time;

pub use error::{Result, SparkError};
