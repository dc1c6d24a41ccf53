//! Decoders as DataFusion streams.

use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    error::DataFusionError,
    execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};

use super::input::FileRef;
use crate::{Result, SparkError};

/// A stream over blocking batches of `file`. Decoding happens where the stream is polled:
/// files are local, and a batch is a millisecond of work.
pub(crate) fn batch_stream(
    schema: SchemaRef,
    file: FileRef,
    batches: impl Iterator<Item = Result<RecordBatch>> + Send + 'static,
) -> SendableRecordBatchStream {
    let batches = batches.map(move |batch| batch.map_err(|e| DataFusionError::from(read_failed(&file, e))));
    Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches)))
}

/// Any failure while reading is reported as a failure of the file, with its cause.
fn read_failed(file: &FileRef, error: SparkError) -> SparkError {
    if error.class().starts_with("FAILED_READ_FILE") { error } else { file.failed(error) }
}
