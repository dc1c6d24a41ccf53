//! Streaming sinks: where a batch's rows go, exactly once.

mod console;
pub mod file;
mod memory;
mod noop;
mod rows;

use std::fmt;

use async_trait::async_trait;
use datafusion::{arrow::datatypes::SchemaRef, execution::SendableRecordBatchStream};

use crate::{Result, query::BatchId};
pub use console::{ConsoleSink, ConsoleWriter};
pub use memory::MemorySink;
pub use noop::NoopSink;
pub(crate) use rows::each_partition;

/// Which rows of the result a batch hands to its sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputMode {
    /// Rows that will never change again.
    Append,
    /// Rows that changed in this batch.
    Update,
    /// The whole result table.
    Complete,
}

impl fmt::Display for OutputMode {
    /// Spark's spelling in messages: `Append`, `Update`, `Complete`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A destination for batches.
///
/// A batch is first *staged* (encoded and durable, seen by nobody), then *published*.
/// The same batch may be staged and published again after a crash: publishing twice has
/// the effect of publishing once.
#[async_trait]
pub trait Sink: fmt::Debug + Send + Sync {
    /// As in Spark's progress JSON, for example `MemorySink` or `FileSink[file:/out]`.
    fn description(&self) -> String;

    /// Output modes this sink accepts.
    fn supports(&self, mode: OutputMode) -> bool;

    /// Consumes the batch's rows and makes them ready.
    ///
    /// `schema` holds the user's column names, which may repeat; the columns of `rows`
    /// match it by position. Several streams are partitions: their order is the order of
    /// output splits.
    ///
    /// # Errors
    /// The batch failed; nothing of it is visible.
    async fn stage(
        &self,
        batch: BatchId,
        schema: SchemaRef,
        rows: Vec<SendableRecordBatchStream>,
    ) -> Result<Box<dyn StagedBatch>>;
}

/// A batch that is ready to become visible.
#[async_trait]
pub trait StagedBatch: Send {
    /// Makes the batch visible, as a whole; idempotent by batch id.
    ///
    /// Returns the number of rows written, where the sink counts them (Spark's
    /// `sink.numOutputRows`; `None` prints as -1).
    async fn publish(self: Box<Self>) -> Result<Option<i64>>;
}
