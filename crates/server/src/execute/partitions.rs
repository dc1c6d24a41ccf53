//! The rows of a batch plan in the partitions the user asked for: they become the files of
//! a write.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, UInt64Array},
        compute::take_record_batch,
        datatypes::SchemaRef,
    },
    common::{DFSchema, hash_utils::create_hashes},
    error::DataFusionError,
    execution::SendableRecordBatchStream,
    logical_expr::{LogicalPlan, LogicalPlanBuilder},
    physical_plan::{PhysicalExpr, stream::RecordBatchStreamAdapter},
};
use futures::{StreamExt, stream};
use millstream_engine::{Result, batch};
use millstream_spark::plan::{Partitioning, Translated};
use tokio::sync::mpsc;

use super::relation;
use crate::server::Server;

/// Batches a partition may be ahead of its reader.
const READ_AHEAD: usize = 4;
/// Equal keys must meet whatever the process.
const HASH_SEED: u64 = 42;

/// Runs `translated`; each stream is one partition, in order.
///
/// # Errors
/// As [`relation::rows`].
pub async fn partitions(server: &Server, translated: Translated) -> Result<Vec<SendableRecordBatchStream>> {
    let wish = if translated.tail.is_some() { None } else { translated.partitioning.clone() };
    match wish {
        None if translated.tail.is_some() => Ok(vec![relation::rows(server, translated).await?]),
        None => execute(server, translated).await,
        Some(Partitioning::Coalesce(count)) => Ok(coalesce(execute(server, translated).await?, count)),
        Some(Partitioning::RoundRobin(count)) => {
            Ok(round_robin(relation::rows(server, translated).await?, count))
        }
        Some(Partitioning::Hash(count, keys)) => {
            let state = server.session_state()?;
            let schema: &DFSchema = translated.plan.schema();
            let keys = keys.into_iter().map(|key| state.create_physical_expr(key, schema));
            let keys = keys.collect::<std::result::Result<Vec<Arc<dyn PhysicalExpr>>, _>>()?;
            let rows = relation::rows(server, translated).await?;
            Ok(deal(rows, count, move |batch, count| by_hash(batch, &keys, count)))
        }
        Some(Partitioning::Range(count, keys)) => {
            let sorts = keys.into_iter().map(|key| key.sort(true, true)).collect::<Vec<_>>();
            let plan: LogicalPlan = LogicalPlanBuilder::from(translated.plan.clone()).sort(sorts)?.build()?;
            let sorted = Translated { plan, ..translated };
            slices(relation::rows(server, sorted).await?, count).await
        }
    }
}

async fn execute(server: &Server, translated: Translated) -> Result<Vec<SendableRecordBatchStream>> {
    relation::refuse_stream(&translated)?;
    let state = server.session_state()?;
    let now = server.clock().now().as_micros();
    Ok(batch::execute(&state, translated.plan, now).await?.partitions)
}

/// At most `count` partitions, each of neighbours, as Spark's coalesce keeps order.
pub(super) fn coalesce(
    partitions: Vec<SendableRecordBatchStream>,
    count: usize,
) -> Vec<SendableRecordBatchStream> {
    let count = count.max(1);
    if partitions.len() <= count {
        return partitions;
    }
    let total = partitions.len();
    let mut groups: Vec<Vec<SendableRecordBatchStream>> = (0..count).map(|_| Vec::new()).collect();
    for (i, partition) in partitions.into_iter().enumerate() {
        if let Some(group) = groups.get_mut(i * count / total) {
            group.push(partition);
        }
    }
    let chain = |group: Vec<SendableRecordBatchStream>| {
        let schema = group.first().map(|p| p.schema())?;
        let rows = RecordBatchStreamAdapter::new(schema, stream::iter(group).flatten());
        Some(Box::pin(rows) as SendableRecordBatchStream)
    };
    groups.into_iter().filter_map(chain).collect()
}

/// Deals rows to `count` partitions in turn.
pub(super) fn round_robin(rows: SendableRecordBatchStream, count: usize) -> Vec<SendableRecordBatchStream> {
    let mut next = 0;
    deal(rows, count, move |batch, count| {
        let start = next;
        next = (next + batch.num_rows()) % count;
        Ok((0..batch.num_rows()).map(|row| (start + row) % count).collect())
    })
}

/// Deals rows to `count` partitions as `assign` says for each batch. The partitions must be
/// read side by side.
pub(super) fn deal(
    mut rows: SendableRecordBatchStream,
    count: usize,
    mut assign: impl FnMut(&RecordBatch, usize) -> Result<Vec<usize>, DataFusionError> + Send + 'static,
) -> Vec<SendableRecordBatchStream> {
    let schema = rows.schema();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..count.max(1)).map(|_| mpsc::channel(READ_AHEAD)).unzip();
    tokio::spawn(async move {
        while let Some(batch) = rows.next().await {
            let parts = batch.and_then(|batch| split(&batch, &assign(&batch, senders.len())?, senders.len()));
            match parts {
                Ok(parts) => {
                    for (sender, part) in senders.iter().zip(parts) {
                        if part.num_rows() > 0 && sender.send(Ok(part)).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => {
                    let error = Arc::new(error);
                    for sender in &senders {
                        let _ = sender.send(Err(DataFusionError::Shared(Arc::clone(&error)))).await;
                    }
                    return;
                }
            }
        }
    });
    receivers.into_iter().map(|receiver| received(Arc::clone(&schema), receiver)).collect()
}

fn received(
    schema: SchemaRef,
    receiver: mpsc::Receiver<Result<RecordBatch, DataFusionError>>,
) -> SendableRecordBatchStream {
    let rows = stream::unfold(receiver, |mut receiver| async move {
        let batch = receiver.recv().await?;
        Some((batch, receiver))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

fn split(batch: &RecordBatch, parts: &[usize], count: usize) -> Result<Vec<RecordBatch>, DataFusionError> {
    let mut rows: Vec<Vec<u64>> = vec![Vec::new(); count];
    for (row, part) in parts.iter().enumerate() {
        if let Some(part) = rows.get_mut(*part) {
            part.push(row as u64);
        }
    }
    rows.into_iter().map(|rows| Ok(take_record_batch(batch, &UInt64Array::from(rows))?)).collect()
}

/// The partition of each row by its keys.
pub(super) fn by_hash(
    batch: &RecordBatch,
    keys: &[Arc<dyn PhysicalExpr>],
    count: usize,
) -> Result<Vec<usize>, DataFusionError> {
    let columns: Vec<ArrayRef> =
        keys.iter().map(|key| key.evaluate(batch)?.into_array(batch.num_rows())).collect::<Result<_, _>>()?;
    let mut hashes = vec![0; batch.num_rows()];
    let state = datafusion::common::hash_utils::RandomState::with_seed(HASH_SEED);
    create_hashes(&columns, &state, &mut hashes)?;
    Ok(hashes.into_iter().map(|hash| usize::try_from(hash % count as u64).unwrap_or(0)).collect())
}

/// Sorted rows in `count` contiguous pieces of about the same length.
async fn slices(mut rows: SendableRecordBatchStream, count: usize) -> Result<Vec<SendableRecordBatchStream>> {
    let schema = rows.schema();
    let mut batches = Vec::new();
    while let Some(batch) = rows.next().await {
        batches.push(batch?);
    }
    let all = datafusion::arrow::compute::concat_batches(&schema, &batches)?;
    let count = count.max(1);
    let bound = |i: usize| all.num_rows() * i / count;
    let piece = |i: usize| {
        let piece = all.slice(bound(i), bound(i + 1) - bound(i));
        let rows = RecordBatchStreamAdapter::new(Arc::clone(&schema), stream::iter([Ok(piece)]));
        Box::pin(rows) as SendableRecordBatchStream
    };
    Ok((0..count).map(piece).collect())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{AsArray, Int64Array},
        datatypes::{DataType, Field, Int64Type, Schema},
    };
    use futures::TryStreamExt;

    use super::*;

    fn numbers(from: i64, to: i64) -> SendableRecordBatchStream {
        let schema = Arc::new(Schema::new(vec![Field::new("#1", DataType::Int64, false)]));
        let column = Arc::new(Int64Array::from_iter_values(from..to));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
        Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter([Ok(batch)])))
    }

    async fn values(partitions: Vec<SendableRecordBatchStream>) -> Vec<Vec<i64>> {
        let all = partitions.into_iter().map(|p| async move {
            let batches: Vec<RecordBatch> = p.try_collect().await.unwrap();
            batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
        });
        futures::future::join_all(all).await
    }

    #[tokio::test]
    async fn neighbours_are_put_together() {
        let three = vec![numbers(0, 2), numbers(2, 4), numbers(4, 6)];
        assert_eq!(values(coalesce(three, 2)).await, [vec![0, 1, 2, 3], vec![4, 5]]);
        assert_eq!(values(coalesce(vec![numbers(0, 1)], 2)).await, [vec![0]]);
    }

    #[tokio::test]
    async fn rows_are_dealt_and_ranges_are_contiguous() {
        let dealt =
            deal(numbers(0, 5), 2, |batch, count| Ok((0..batch.num_rows()).map(|r| r % count).collect()));
        assert_eq!(values(dealt).await, [vec![0, 2, 4], vec![1, 3]]);
        let ranges = slices(numbers(0, 5), 2).await.unwrap();
        assert_eq!(values(ranges).await, [vec![0, 1], vec![2, 3, 4]]);
    }
}
