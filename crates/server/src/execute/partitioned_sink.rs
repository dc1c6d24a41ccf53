//! `repartition` and `coalesce` of a stream: its batches come to the sink in so many partitions,
//! which become the files of a batch.
//!
//! A batch that runs again has the same rows in the same partitions.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::SchemaRef, execution::SendableRecordBatchStream, physical_plan::PhysicalExpr,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::{StreamExt, stream};
use millstream_engine::{
    Result, SparkError,
    query::{BatchId, SinkFactory},
    sink::{OutputMode, Sink, StagedBatch},
};
use millstream_spark::plan::{Partitioning, Translated};

use super::partitions::{by_hash, coalesce, deal, round_robin};
use crate::server::Server;

/// The partitions a plan asks for.
#[derive(Debug, Clone)]
enum Wish {
    Coalesce(usize),
    RoundRobin(usize),
    Hash(usize, Vec<Arc<dyn PhysicalExpr>>),
}

/// `sink` behind the partitioning that `translated` asks for, if it does.
///
/// # Errors
/// `repartitionByRange`, which would need all rows before the first.
pub fn factory(server: &Server, translated: &Translated, sink: SinkFactory) -> Result<SinkFactory> {
    let wish = match &translated.partitioning {
        None => return Ok(sink),
        Some(Partitioning::Coalesce(count)) => Wish::Coalesce(*count),
        Some(Partitioning::RoundRobin(count)) => Wish::RoundRobin(*count),
        Some(Partitioning::Hash(count, keys)) => {
            let state = server.session_state()?;
            let schema = translated.plan.schema();
            let keys = keys.iter().map(|key| state.create_physical_expr(key.clone(), schema));
            Wish::Hash(*count, keys.collect::<std::result::Result<_, _>>()?)
        }
        Some(Partitioning::Range(..)) => {
            return Err(SparkError::unsupported("`repartitionByRange` of a stream"));
        }
    };
    Ok(Box::new(move |context| Ok(Arc::new(PartitionedSink { sink: sink(context)?, wish }) as Arc<dyn Sink>)))
}

#[derive(Debug)]
struct PartitionedSink {
    sink: Arc<dyn Sink>,
    wish: Wish,
}

#[async_trait]
impl Sink for PartitionedSink {
    fn description(&self) -> String {
        self.sink.description()
    }

    fn supports(&self, mode: OutputMode) -> bool {
        self.sink.supports(mode)
    }

    async fn stage(
        &self,
        batch: BatchId,
        schema: SchemaRef,
        rows: Vec<SendableRecordBatchStream>,
    ) -> Result<Box<dyn StagedBatch>> {
        let rows = match (&self.wish, rows.first().map(|rows| rows.schema())) {
            (_, None) => rows,
            (Wish::Coalesce(count), _) => coalesce(rows, *count),
            (Wish::RoundRobin(count), Some(own)) => round_robin(in_order(own, rows), *count),
            (Wish::Hash(count, keys), Some(own)) => {
                let keys = keys.clone();
                deal(in_order(own, rows), *count, move |batch, count| by_hash(batch, &keys, count))
            }
        };
        self.sink.stage(batch, schema, rows).await
    }
}

/// All rows, partition by partition.
fn in_order(schema: SchemaRef, rows: Vec<SendableRecordBatchStream>) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(rows).flatten()))
}
