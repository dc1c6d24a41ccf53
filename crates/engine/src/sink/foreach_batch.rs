//! The `foreachBatch` sink: a function is called with each batch.

use std::{error::Error, fmt, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    execution::SendableRecordBatchStream,
};

use super::{Done, OutputMode, Sink, StagedBatch, rows, user_error};
use crate::{Result, query::BatchId};

/// The rows of one batch, to be read as often as the function likes.
#[derive(Debug, Clone)]
pub struct BatchRows {
    /// Columns under the user's names, which may repeat.
    pub schema: SchemaRef,
    /// In the order of the output's partitions; none of them is empty.
    pub batches: Vec<RecordBatch>,
}

/// What is done with each batch.
///
/// A batch comes at least once: after a crash or a failure the same batch number comes
/// again, with the same rows, so a function that remembers the last number it finished
/// (where it writes, in one transaction) has exactly-once.
#[async_trait]
pub trait BatchFunction: Send + Sync {
    /// Does it; the batch is committed when this returns.
    ///
    /// # Errors
    /// Any error fails the query: a [`SparkError`](crate::SparkError) as it is, another as
    /// `FOREACH_BATCH_USER_FUNCTION_ERROR` with its text as the reason.
    async fn call(&self, rows: BatchRows, batch: BatchId) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Hands each batch to a [`BatchFunction`].
#[derive(Clone)]
pub struct ForeachBatchSink {
    function: Arc<dyn BatchFunction>,
}

impl ForeachBatchSink {
    /// A sink that calls `function`.
    pub fn new(function: Arc<dyn BatchFunction>) -> Self {
        Self { function }
    }
}

impl fmt::Debug for ForeachBatchSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForeachBatchSink")
    }
}

#[async_trait]
impl Sink for ForeachBatchSink {
    fn description(&self) -> String {
        "ForeachBatchSink".to_string()
    }

    fn supports(&self, _mode: OutputMode) -> bool {
        true
    }

    fn acts_at_once(&self) -> bool {
        true
    }

    async fn stage(
        &self,
        batch: BatchId,
        schema: SchemaRef,
        rows: Vec<SendableRecordBatchStream>,
    ) -> Result<Box<dyn StagedBatch>> {
        let batches = rows::collect(&schema, rows).await?;
        let called = self.function.call(BatchRows { schema, batches }, batch).await;
        called.map_err(|error| user_error("FOREACH_BATCH_USER_FUNCTION_ERROR", error))?;
        Ok(Box::new(Done { rows: None }))
    }
}
