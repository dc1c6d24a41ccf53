//! Runs a translated plan once and hands out its rows, partition by partition.
//!
//! Cancelling is dropping: when the streams go, the tasks behind them are aborted.

use datafusion::{
    arrow::datatypes::SchemaRef,
    execution::{SendableRecordBatchStream, SessionState},
    logical_expr::LogicalPlan,
    physical_plan::{
        EmptyRecordBatchStream, ExecutionPlanProperties, execute_stream_partitioned,
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{StreamExt, stream};

use super::read_ahead;
use crate::{Result, plan::bind_literal};

/// The rows of a batch query.
pub struct BatchResult {
    /// Internal column names; the user's are kept beside the plan by translation.
    pub schema: SchemaRef,
    /// Partitions in order: the rows of the first come before those of the second.
    pub partitions: Vec<SendableRecordBatchStream>,
}

/// Optimises, plans and starts `plan`.
///
/// `timestamp_micros` is what `current_timestamp()` says everywhere in the plan.
///
/// # Errors
/// Whatever planning finds wrong, as Spark's error. Errors of the data come out of the
/// streams.
pub async fn execute(state: &SessionState, plan: LogicalPlan, timestamp_micros: i64) -> Result<BatchResult> {
    let plan = bind_literal(plan, timestamp_micros)?;
    let plan = state.create_physical_plan(&plan).await?;
    let schema = plan.schema();
    let partitions = match plan.output_partitioning().partition_count() {
        0 => vec![Box::pin(EmptyRecordBatchStream::new(plan.schema())) as SendableRecordBatchStream],
        _ => execute_stream_partitioned(plan, state.task_ctx())?,
    };
    Ok(BatchResult { schema, partitions })
}

impl BatchResult {
    /// All rows as one stream in partition order; the partitions run side by side, each at
    /// most a few batches ahead of the reader.
    pub fn into_stream(mut self) -> SendableRecordBatchStream {
        if self.partitions.len() == 1
            && let Some(only) = self.partitions.pop()
        {
            return only;
        }
        in_order(self.schema, self.partitions)
    }
}

/// The rows of `partitions` in their order; all run side by side, each at most a few batches
/// ahead of the reader.
pub(crate) fn in_order(
    schema: SchemaRef,
    partitions: Vec<SendableRecordBatchStream>,
) -> SendableRecordBatchStream {
    let ahead: Vec<SendableRecordBatchStream> = partitions.into_iter().map(read_ahead).collect();
    Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(ahead).flatten()))
}

#[cfg(test)]
mod tests;
