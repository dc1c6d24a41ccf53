//! The `foreach` sink: a writer of the user's is opened for each partition of each batch.

use std::{error::Error, fmt, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    execution::SendableRecordBatchStream,
};
use futures::StreamExt;

use super::{Done, OutputMode, Sink, StagedBatch, rows, user_error};
use crate::{Result, SparkError, query::BatchId};

/// What a user's code may fail with.
type UserResult<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Opens the writers of a query; Spark's `ForeachWriter`.
pub trait ForeachWriter: Send + Sync {
    /// A writer for one partition of one batch.
    ///
    /// After a failure the batch comes again with the same number and the same rows;
    /// how they lie in partitions may differ where the number of cores does.
    ///
    /// # Errors
    /// The query fails, see [`PartitionWriter::process`].
    fn open(&self, partition: usize, batch: BatchId) -> UserResult<Box<dyn PartitionWriter>>;
}

/// A writer at work; called from one task.
pub trait PartitionWriter: Send {
    /// Whether it wants rows. If not, it is closed without having seen any; Spark's
    /// `open` returning false.
    fn wants_rows(&self) -> bool {
        true
    }

    /// Takes some rows of the partition, in order, under the user's names. It may block only
    /// shortly.
    ///
    /// # Errors
    /// The query fails: with a [`SparkError`] as it is, with another error as
    /// `FOREACH_USER_FUNCTION_ERROR` with its text as the reason.
    fn process(&mut self, rows: &RecordBatch) -> UserResult<()>;

    /// The last call, exactly one for each writer that was opened. `error` is what ended the
    /// partition early: this writer's own error, one of the query, or that it was stopped.
    ///
    /// # Errors
    /// As for [`process`](Self::process).
    fn close(self: Box<Self>, error: Option<&SparkError>) -> UserResult<()>;
}

/// Hands rows to writers.
#[derive(Clone)]
pub struct ForeachSink {
    writer: Arc<dyn ForeachWriter>,
}

impl ForeachSink {
    /// A sink that writes through `writer`.
    pub fn new(writer: Arc<dyn ForeachWriter>) -> Self {
        Self { writer }
    }
}

impl fmt::Debug for ForeachSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForeachSink")
    }
}

#[async_trait]
impl Sink for ForeachSink {
    /// `Spark differs:` its text ends with addresses of objects of the JVM.
    fn description(&self) -> String {
        "ForeachWriterTable".to_string()
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
        let written = rows::each_partition(rows, |partition, stream| {
            write(Arc::clone(&self.writer), partition, batch, Arc::clone(&schema), stream)
        });
        let rows: usize = written.await?.into_iter().sum();
        Ok(Box::new(Done { rows: i64::try_from(rows).ok() }))
    }
}

/// A writer that is closed whatever happens, also when its task is aborted.
struct Open(Option<Box<dyn PartitionWriter>>);

impl Open {
    fn close(&mut self, error: Option<&SparkError>) -> Result<()> {
        self.0.take().map_or(Ok(()), |writer| writer.close(error)).map_err(user)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.is_some()
            && let Err(error) = self.close(Some(&SparkError::internal("the query was stopped")))
        {
            tracing::warn!(%error, "a foreach writer could not be closed");
        }
    }
}

/// The number of rows of the partition.
async fn write(
    writer: Arc<dyn ForeachWriter>,
    partition: usize,
    batch: BatchId,
    schema: SchemaRef,
    mut stream: SendableRecordBatchStream,
) -> Result<usize> {
    let mut open = Open(Some(writer.open(partition, batch).map_err(user)?));
    let mut count = 0;
    while let Some(rows) = stream.next().await {
        let processed = rows.map_err(SparkError::from).and_then(|rows| {
            count += rows.num_rows();
            match &mut open.0 {
                Some(writer) if writer.wants_rows() && rows.num_rows() > 0 => {
                    writer.process(&rows::relabel(&schema, &rows)?).map_err(user)
                }
                _ => Ok(()),
            }
        });
        if let Err(error) = processed {
            if let Err(second) = open.close(Some(&error)) {
                tracing::warn!(%second, "a foreach writer failed again when it was closed");
            }
            return Err(error);
        }
    }
    open.close(None)?;
    Ok(count)
}

fn user(error: Box<dyn Error + Send + Sync>) -> SparkError {
    user_error("FOREACH_USER_FUNCTION_ERROR", error)
}
