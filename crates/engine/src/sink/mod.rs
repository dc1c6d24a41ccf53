//! Streaming sinks: where a batch's rows go, exactly once.

mod console;
pub mod file;
mod foreach;
mod foreach_batch;
mod memory;
mod noop;
mod rows;

use std::{error::Error, fmt};

use async_trait::async_trait;
use datafusion::{arrow::datatypes::SchemaRef, execution::SendableRecordBatchStream};

use crate::{Result, SparkError, query::BatchId};
pub use console::{ConsoleSink, ConsoleWriter};
pub use foreach::{ForeachSink, ForeachWriter, PartitionWriter};
pub use foreach_batch::{BatchFunction, BatchRows, ForeachBatchSink};
pub use memory::MemorySink;
pub use noop::NoopSink;
pub(crate) use rows::{each_partition, relabel};

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
/// A batch is first *staged* (its rows are consumed), then *secured* (durable, seen by
/// nobody), then *published*. The same batch may be staged and published again after a
/// crash: publishing twice has the effect of publishing once. The next batch may be staged
/// while this one is secured and published.
#[async_trait]
pub trait Sink: fmt::Debug + Send + Sync {
    /// As in Spark's progress JSON, for example `MemorySink` or `FileSink[file:/out]`.
    fn description(&self) -> String;

    /// Output modes this sink accepts.
    fn supports(&self, mode: OutputMode) -> bool;

    /// Whether staging itself is seen outside, because a user's code runs in it. It then
    /// begins only when the batch's offsets are durable: the same number comes with the same
    /// rows again.
    fn acts_at_once(&self) -> bool {
        false
    }

    /// Consumes the batch's rows.
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

/// A batch on its way to be visible.
#[async_trait]
pub trait StagedBatch: Send {
    /// Makes the batch durable where that takes time; still nobody sees it. Batches are
    /// secured and published one after the other.
    ///
    /// # Errors
    /// The batch failed; nothing of it is visible.
    async fn secure(&mut self) -> Result<()> {
        Ok(())
    }

    /// Makes the batch visible, as a whole; idempotent by batch id.
    ///
    /// Returns the number of rows written, where the sink counts them (Spark's
    /// `sink.numOutputRows`; `None` prints as -1).
    async fn publish(self: Box<Self>) -> Result<Option<i64>>;
}

/// A batch that is visible since it was staged.
struct Done {
    rows: Option<i64>,
}

#[async_trait]
impl StagedBatch for Done {
    async fn publish(self: Box<Self>) -> Result<Option<i64>> {
        Ok(self.rows)
    }
}

/// An error of a user's code: Spark's own as it is, others under `class` with their text.
fn user_error(class: &str, error: Box<dyn Error + Send + Sync>) -> SparkError {
    match error.downcast::<SparkError>() {
        Ok(own) => *own,
        Err(other) => SparkError::new(class).with("reason", other.to_string()).caused_by(other),
    }
}
