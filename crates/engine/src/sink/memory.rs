//! The memory sink: the result as a table in this process, `format("memory")`.
//!
//! Append and update add each batch's rows, complete replaces the table. A batch id that
//! was written is not written again. Readers take a snapshot; columns are shared.
//!
//! Only a complete query may resume a checkpoint here: the table of an earlier run is gone,
//! and only complete output rebuilds it whole. The query loop refuses others, see
//! [`MemorySink::recovers`].

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{
        array::RecordBatch,
        datatypes::{Field, Schema, SchemaRef},
    },
    catalog::{Session, TableProvider},
    datasource::{TableType, memory::MemorySourceConfig},
    execution::SendableRecordBatchStream,
    logical_expr::Expr,
    physical_plan::ExecutionPlan,
};
use parking_lot::RwLock;

use super::{OutputMode, Sink, StagedBatch, rows};
use crate::{Result, query::BatchId};

/// A table in memory that a query writes and others read.
#[derive(Debug, Clone)]
pub struct MemorySink {
    schema: SchemaRef,
    mode: OutputMode,
    table: Arc<RwLock<Table>>,
}

#[derive(Default)]
struct Table {
    latest: Option<BatchId>,
    batches: Vec<RecordBatch>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("latest", &self.latest).field("batches", &self.batches.len()).finish()
    }
}

impl MemorySink {
    /// An empty table with the columns of `schema` (user's names), filled as `mode` says.
    pub fn new(schema: SchemaRef, mode: OutputMode) -> Self {
        Self { schema, mode, table: Arc::default() }
    }

    /// The columns, under the user's names, which may repeat.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Whether a query may go on from a checkpoint that has offsets.
    pub fn recovers(mode: OutputMode) -> bool {
        mode == OutputMode::Complete
    }

    /// The last batch written.
    pub fn latest_batch(&self) -> Option<BatchId> {
        self.table.read().latest
    }

    /// The rows as they are now, in the order they were written.
    pub fn batches(&self) -> Vec<RecordBatch> {
        self.table.read().batches.clone()
    }

    /// The table for plans; it follows the sink. Columns are called `names` by position:
    /// plans need unique names, the user's need not be.
    pub fn table(&self, names: &[String]) -> Arc<dyn TableProvider> {
        let rename = |(field, name): (&Arc<Field>, &String)| field.as_ref().clone().with_name(name);
        let fields: Vec<_> = self.schema.fields().iter().zip(names).map(rename).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, self.schema.metadata().clone()));
        Arc::new(MemoryTable { sink: self.clone(), schema })
    }

    fn write(&self, batch: BatchId, rows: Vec<RecordBatch>) {
        let mut table = self.table.write();
        if table.latest.is_some_and(|latest| batch <= latest) {
            tracing::info!(%batch, "skipping a batch that the memory sink already has");
            return;
        }
        if self.mode == OutputMode::Complete {
            table.batches.clear();
        }
        table.batches.extend(rows);
        table.latest = Some(batch);
    }
}

#[async_trait]
impl Sink for MemorySink {
    fn description(&self) -> String {
        "MemorySink".to_string()
    }

    fn supports(&self, _mode: OutputMode) -> bool {
        true
    }

    async fn stage(
        &self,
        batch: BatchId,
        _schema: SchemaRef,
        rows: Vec<SendableRecordBatchStream>,
    ) -> Result<Box<dyn StagedBatch>> {
        let rows = rows::collect(&self.schema, rows).await?;
        Ok(Box::new(StagedRows { sink: self.clone(), batch, rows }))
    }
}

struct StagedRows {
    sink: MemorySink,
    batch: BatchId,
    rows: Vec<RecordBatch>,
}

#[async_trait]
impl StagedBatch for StagedRows {
    async fn publish(self: Box<Self>) -> Result<Option<i64>> {
        let count: usize = self.rows.iter().map(RecordBatch::num_rows).sum();
        self.sink.write(self.batch, self.rows);
        Ok(i64::try_from(count).ok())
    }
}

/// The sink's rows under unique names.
#[derive(Debug)]
struct MemoryTable {
    sink: MemorySink,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for MemoryTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let batches = self.sink.batches();
        let batches = batches.iter().map(|b| rows::relabel(&self.schema, b)).collect::<Result<Vec<_>>>()?;
        let source = MemorySourceConfig::try_new_exec(&[batches], self.schema.clone(), projection.cloned())?;
        Ok(source)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::{
            array::{AsArray, Int64Array},
            datatypes::{DataType, Int64Type},
        },
        physical_plan::stream::RecordBatchStreamAdapter,
        prelude::SessionContext,
    };

    use super::*;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("x", DataType::Int64, true),
            Field::new("x", DataType::Int64, true),
        ]))
    }

    fn stream(values: &[i64]) -> SendableRecordBatchStream {
        let column = Arc::new(Int64Array::from(values.to_vec()));
        let batch = RecordBatch::try_new(schema(), vec![column.clone(), column]).unwrap();
        Box::pin(RecordBatchStreamAdapter::new(schema(), futures::stream::iter([Ok(batch)])))
    }

    async fn write(sink: &MemorySink, batch: i64, partitions: &[&[i64]]) -> Option<i64> {
        let rows = partitions.iter().map(|values| stream(values)).collect();
        sink.stage(BatchId(batch), schema(), rows).await.unwrap().publish().await.unwrap()
    }

    fn values(sink: &MemorySink) -> Vec<i64> {
        let batches = sink.batches();
        batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
    }

    #[tokio::test]
    async fn append_adds_each_batch_once_and_complete_replaces() {
        let append = MemorySink::new(schema(), OutputMode::Append);
        assert_eq!(write(&append, 0, &[&[1, 2], &[], &[3]]).await, Some(3));
        assert_eq!(write(&append, 1, &[&[4]]).await, Some(1));
        assert_eq!(write(&append, 1, &[&[4]]).await, Some(1));
        assert_eq!(write(&append, 2, &[]).await, Some(0));
        assert_eq!(values(&append), [1, 2, 3, 4]);
        assert_eq!(append.latest_batch(), Some(BatchId(2)));

        let complete = MemorySink::new(schema(), OutputMode::Complete);
        write(&complete, 0, &[&[1, 2]]).await;
        write(&complete, 1, &[&[5]]).await;
        assert_eq!(values(&complete), [5]);
    }

    #[tokio::test]
    async fn a_staged_batch_is_invisible() {
        let sink = MemorySink::new(schema(), OutputMode::Append);
        let staged = sink.stage(BatchId(0), schema(), vec![stream(&[1])]).await.unwrap();
        assert_eq!(values(&sink), Vec::<i64>::new());
        staged.publish().await.unwrap();
        assert_eq!(values(&sink), [1]);
    }

    #[tokio::test]
    async fn plans_read_the_table_under_unique_names() {
        let sink = MemorySink::new(schema(), OutputMode::Append);
        let table = sink.table(&["#1".to_string(), "#2".to_string()]);
        let context = SessionContext::new();
        context.register_table("t", table).unwrap();
        for (batch, expected) in [(0, 10), (1, 20)] {
            write(&sink, batch, &[&[10]]).await;
            let frame = context.sql("select sum(\"#2\") from t").await.unwrap();
            let result = frame.collect().await.unwrap();
            assert_eq!(result[0].column(0).as_primitive::<Int64Type>().value(0), expected);
        }
    }
}
