//! Tests of translation against answers recorded from real Spark.

mod functions;
