//! How a failed query presents its failure.

use std::any::Any;

use uuid::Uuid;

use crate::SparkError;

/// `STREAM_FAILED` around `cause`: what `awaitTermination` and its kin raise.
pub(crate) fn stream_failed(id: Uuid, run_id: Uuid, cause: SparkError) -> SparkError {
    SparkError::new("STREAM_FAILED")
        .with("id", id.to_string())
        .with("runId", run_id.to_string())
        .with("message", cause.to_string())
        .caused_by(cause)
}

/// The error of a query task that panicked; a defect of ours that costs one query.
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> SparkError {
    let text = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_string());
    SparkError::internal(format!("the query panicked: {text}"))
}
