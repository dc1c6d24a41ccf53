//! The noop sink: reads every row and keeps none, `format("noop")`.

use async_trait::async_trait;
use datafusion::{arrow::datatypes::SchemaRef, execution::SendableRecordBatchStream};

use super::{OutputMode, Sink, StagedBatch, rows};
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
        Ok(Box::new(Counted(rows::drain(rows).await?)))
    }
}

struct Counted(usize);

#[async_trait]
impl StagedBatch for Counted {
    async fn publish(self: Box<Self>) -> Result<Option<i64>> {
        Ok(i64::try_from(self.0).ok())
    }
}
