//! Tests of translation against answers recorded from real Spark.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod functions;
