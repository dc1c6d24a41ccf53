//! `Interrupt`: cancels executions of a session. Streaming queries are not executions.

use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    InterruptRequest,
    interrupt_request::{Interrupt, InterruptType},
};

use crate::session::Session;

/// Cancels what the request names; returns the ids of what was running.
///
/// # Errors
/// A request that does not say what to interrupt.
pub fn interrupt(session: &Session, request: &InterruptRequest) -> Result<Vec<String>> {
    let invalid = || {
        SparkError::new("CONNECT_INVALID_PLAN.ASSERTION_FAILURE")
            .with("message", "an Interrupt request must say what to interrupt")
    };
    let operations = session.operations.live();
    let chosen: Vec<_> = match (request.interrupt_type(), &request.interrupt) {
        (InterruptType::All, _) => operations,
        (InterruptType::Tag, Some(Interrupt::OperationTag(tag))) if !tag.is_empty() => {
            operations.into_iter().filter(|operation| operation.tags.contains(tag)).collect()
        }
        (InterruptType::OperationId, Some(Interrupt::OperationId(id))) if !id.is_empty() => {
            operations.into_iter().filter(|operation| operation.id == *id).collect()
        }
        _ => return Err(invalid()),
    };
    Ok(chosen
        .into_iter()
        .filter(|operation| operation.interrupt())
        .map(|operation| operation.id.clone())
        .collect())
}
