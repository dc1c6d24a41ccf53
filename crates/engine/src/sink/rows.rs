//! Draining a batch's partitions.

use datafusion::{
    arrow::array::RecordBatch, arrow::datatypes::SchemaRef, execution::SendableRecordBatchStream,
};
use futures::{StreamExt, TryStreamExt};
use tokio::task::JoinSet;

use crate::{Result, SparkError};

/// Runs `consume` over every stream, concurrently, and answers in the streams' order.
///
/// One stream runs in place; several run as tasks of their own. The first error ends all.
pub(crate) async fn each_partition<T, F, Fut>(
    rows: Vec<SendableRecordBatchStream>,
    consume: F,
) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Fn(usize, SendableRecordBatchStream) -> Fut,
    Fut: Future<Output = Result<T>> + Send + 'static,
{
    if rows.len() <= 1 {
        let mut out = Vec::with_capacity(1);
        for (split, stream) in rows.into_iter().enumerate() {
            out.push(consume(split, stream).await?);
        }
        return Ok(out);
    }
    let mut tasks = JoinSet::new();
    for (split, stream) in rows.into_iter().enumerate() {
        let task = consume(split, stream);
        tasks.spawn(async move { task.await.map(|value| (split, value)) });
    }
    let mut done = Vec::with_capacity(tasks.len());
    while let Some(joined) = tasks.join_next().await {
        done.push(joined.map_err(|e| SparkError::internal("an output task ended early").caused_by(e))??);
    }
    done.sort_by_key(|(split, _)| *split);
    Ok(done.into_iter().map(|(_, value)| value).collect())
}

/// Every batch of every partition, in order, under the columns of `schema`.
pub(crate) async fn collect(
    schema: &SchemaRef,
    rows: Vec<SendableRecordBatchStream>,
) -> Result<Vec<RecordBatch>> {
    let partitions =
        each_partition(rows, |_, stream| async { Ok(stream.try_collect::<Vec<_>>().await?) }).await?;
    let batches = partitions.into_iter().flatten().filter(|b| b.num_rows() > 0);
    batches.map(|batch| relabel(schema, &batch)).collect()
}

/// Reads every row and keeps none: what a batch that is already published needs, because
/// its execution still has to bring operator state forward.
pub(crate) async fn drain(rows: Vec<SendableRecordBatchStream>) -> Result<usize> {
    let counts = each_partition(rows, |_, mut stream| async move {
        let mut count = 0;
        while let Some(batch) = stream.next().await {
            count += batch?.num_rows();
        }
        Ok(count)
    });
    Ok(counts.await?.into_iter().sum())
}

/// The same columns under the names and nullability of `schema`.
pub(crate) fn relabel(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options)?)
}
