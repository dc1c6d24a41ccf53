//! The noop sink: reads every row and keeps none, `format("noop")`.

use async_trait::async_trait;
use datafusion::{arrow::datatypes::SchemaRef, execution::SendableRecordBatchStream};

use super::{Done, OutputMode, Sink, StagedBatch, rows};
use crate::{Result, query::BatchId};

/// A sink that forgets.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopSink;

#[async_trait]
impl Sink for NoopSink {
    fn description(&self) -> String {
        "NoopTable".to_string()
    }

    fn supports(&self, _mode: OutputMode) -> bool {
        true
    }

    async fn stage(
        &self,
        _batch: BatchId,
        _schema: SchemaRef,
        rows: Vec<SendableRecordBatchStream>,
    ) -> Result<Box<dyn StagedBatch>> {
        let rows = rows::drain(rows).await?;
        Ok(Box::new(Done { rows: i64::try_from(rows).ok() }))
    }
}
