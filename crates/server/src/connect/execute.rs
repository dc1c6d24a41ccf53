//! `ExecutePlan`, `ReattachExecute`, `ReleaseExecute`.

use std::sync::Arc;

use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    ExecutePlanRequest,
    execute_plan_request::{RequestOption, request_option::RequestOption as RequestOptionKind},
    release_execute_request::Release,
};
use uuid::Uuid;

use crate::{
    execute,
    operation::{Operation, ResponseStream, attach},
    server::Server,
    session::{Session, manager::check_uuid},
};

/// Starts an execution and attaches to it.
///
/// A repeated request for a live operation, as a client sends when it lost the stream
/// before the first response, attaches to that operation.
///
/// # Errors
/// `INVALID_HANDLE.*`; what goes wrong in the execution itself comes through the stream.
pub fn execute(
    server: &Arc<Server>,
    session: &Arc<Session>,
    request: ExecutePlanRequest,
) -> Result<ResponseStream> {
    let id = match &request.operation_id {
        Some(id) => {
            check_uuid(id)?;
            id.clone()
        }
        None => Uuid::new_v4().to_string(),
    };
    let reattachable = request.request_options.iter().any(is_reattachable);
    let attach = |operation| attach(operation, Arc::clone(session), Arc::clone(server.clock()), 1);
    if let Some(live) = session.operations.get(&id)
        && live.reattachable
        && live.request.plan == request.plan
    {
        return Ok(attach(live));
    }
    let operation = Arc::new(Operation::new(
        id,
        Arc::new(request),
        reattachable,
        session.server_side_id.clone(),
        server.clock().now(),
    ));
    session.operations.insert(Arc::clone(&operation))?;
    // Attached before it runs, so that it cannot be abandoned in between.
    let stream = attach(Arc::clone(&operation));
    let (server_, session_) = (Arc::clone(server), Arc::clone(session));
    operation.start(server.engine(), |responses| execute::run(server_, session_, responses));
    Ok(stream)
}

/// Attaches to a running or ended operation after `last_response`, or at its start.
///
/// # Errors
/// `INVALID_HANDLE.OPERATION_*`, `INVALID_CURSOR.*`.
pub fn reattach(
    server: &Server,
    session: &Arc<Session>,
    id: &str,
    last_response: Option<&str>,
) -> Result<ResponseStream> {
    let operation = session.operations.find(id)?;
    require_reattachable(&operation)?;
    let index = match last_response {
        Some(response_id) => operation.responses.index_after(response_id)?,
        None => 1,
    };
    Ok(attach(operation, Arc::clone(session), Arc::clone(server.clock()), index))
}

/// Releases responses or the whole operation; returns its id if it was still there.
///
/// # Errors
/// `INVALID_CURSOR.NOT_REATTACHABLE`; a request that does not say what to release.
pub fn release(session: &Session, id: &str, release: Option<&Release>) -> Result<Option<String>> {
    let Some(operation) = session.operations.get(id) else {
        return Ok(None);
    };
    require_reattachable(&operation)?;
    match release {
        Some(Release::ReleaseUntil(until)) => operation.responses.release_until(&until.response_id),
        Some(Release::ReleaseAll(_)) => {
            session.operations.remove(id);
        }
        None => {
            return Err(SparkError::new("CONNECT_INVALID_PLAN.ASSERTION_FAILURE")
                .with("message", "a ReleaseExecute request must say what to release"));
        }
    }
    Ok(Some(id.to_string()))
}

fn require_reattachable(operation: &Operation) -> Result<()> {
    if operation.reattachable { Ok(()) } else { Err(SparkError::new("INVALID_CURSOR.NOT_REATTACHABLE")) }
}

fn is_reattachable(option: &RequestOption) -> bool {
    matches!(&option.request_option, Some(RequestOptionKind::ReattachOptions(o)) if o.reattachable)
}
