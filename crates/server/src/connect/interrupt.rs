//! `Interrupt`: cancels executions of a session, and stops the streaming queries that they started.

use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    InterruptRequest,
    command::CommandType,
    interrupt_request::{Interrupt, InterruptType},
    plan::OpType,
};

use crate::{operation::Operation, session::Session};

/// Cancels what the request names; returns the ids of what was running. Queries are asked to
/// stop and not waited for. The listener bus goes on: it tells of the queries' ends.
///
/// # Errors
/// A request that does not say what to interrupt.
pub fn interrupt(session: &Session, request: &InterruptRequest) -> Result<Vec<String>> {
    let invalid = || {
        SparkError::new("CONNECT_INVALID_PLAN.ASSERTION_FAILURE")
            .with("message", "an Interrupt request must say what to interrupt")
    };
    let operations = session.operations.live().into_iter().filter(|operation| !is_listener_bus(operation));
    let started = |tag| session.queries.get().map(|queries| queries.started_by(tag)).unwrap_or_default();
    let (chosen, queries): (Vec<_>, Vec<_>) = match (request.interrupt_type(), &request.interrupt) {
        (InterruptType::All, _) => (operations.collect(), started(None)),
        (InterruptType::Tag, Some(Interrupt::OperationTag(tag))) if !tag.is_empty() => {
            (operations.filter(|operation| operation.tags.contains(tag)).collect(), started(Some(tag)))
        }
        (InterruptType::OperationId, Some(Interrupt::OperationId(id))) if !id.is_empty() => {
            (operations.filter(|operation| operation.id == *id).collect(), Vec::new())
        }
        _ => return Err(invalid()),
    };
    let mut interrupted: Vec<String> = chosen
        .into_iter()
        .filter(|operation| operation.interrupt())
        .map(|operation| operation.id.clone())
        .collect();
    for (id, query) in queries {
        tokio::spawn(async move { query.stop().await });
        interrupted.push(id);
    }
    Ok(interrupted)
}

fn is_listener_bus(operation: &Operation) -> bool {
    let command = match operation.request.plan.as_ref().and_then(|plan| plan.op_type.as_ref()) {
        Some(OpType::Command(command)) => command.command_type.as_ref(),
        _ => None,
    };
    matches!(command, Some(CommandType::StreamingQueryListenerBusCommand(_)))
}
