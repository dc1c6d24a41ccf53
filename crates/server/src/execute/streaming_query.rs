//! Commands of a streaming query and of their manager.

use std::{sync::Arc, time::Duration};

use millstream_engine::{Result, SparkError, query::StreamingQuery};
use spark_connect_proto::{
    StreamingQueryCommand, StreamingQueryCommandResult, StreamingQueryInstanceId,
    StreamingQueryManagerCommand, StreamingQueryManagerCommandResult,
    execute_plan_response::ResponseType,
    streaming_query_command::Command,
    streaming_query_command_result::{
        AwaitTerminationResult, ExceptionResult, ExplainResult, RecentProgressResult, ResultType,
        StatusResult,
    },
    streaming_query_manager_command::Command as ManagerCommand,
    streaming_query_manager_command_result::{
        ActiveResult, AwaitAnyTerminationResult, ListStreamingQueryListenerResult,
        ResultType as ManagerResult, StreamingQueryInstance,
    },
};

use crate::{connect::status::full_message, operation::Responses, server::Server, session::Session};

/// Name of the exception in front of its message; clients cut it off at the first `: `.
const EXCEPTION: &str = "org.apache.spark.sql.streaming.StreamingQueryException";

/// A method of one query.
///
/// # Errors
/// Unknown queries; the query's exception where the method raises it.
pub async fn query_command(
    server: &Server,
    session: &Arc<Session>,
    responses: &Responses,
    command: &StreamingQueryCommand,
) -> Result<()> {
    let ids = command.query_id.clone().unwrap_or_default();
    let query = server.queries(session)?.find(&ids.id, &ids.run_id)?;
    let result_type = match &command.command {
        Some(Command::Status(_)) => Some(ResultType::Status(status(&query))),
        Some(Command::LastProgress(_)) => {
            let last = query.last_progress();
            Some(progress(last.iter().map(|p| p.connect_json().to_string())))
        }
        Some(Command::RecentProgress(_)) => {
            Some(progress(query.recent_progress().iter().map(|p| p.connect_json().to_string())))
        }
        Some(Command::Stop(_)) => {
            let ends = query.is_active();
            query.stop().await;
            if ends {
                session.listeners.told_of_end(query.run_id(), server.clock().as_ref()).await;
            }
            None
        }
        Some(Command::ProcessAllAvailable(_)) => {
            query.process_all_available().await?;
            None
        }
        Some(Command::Explain(explain)) => {
            Some(ResultType::Explain(ExplainResult { result: query.explain(explain.extended) }))
        }
        Some(Command::Exception(_)) => Some(ResultType::Exception(exception(&query))),
        Some(Command::AwaitTermination(wait)) => {
            let terminated = query.await_termination(timeout(wait.timeout_ms)).await?;
            Some(ResultType::AwaitTermination(AwaitTerminationResult { terminated }))
        }
        None => return Err(SparkError::unsupported("this command of a streaming query")),
    };
    let result = StreamingQueryCommandResult { query_id: Some(ids), result_type };
    responses.send(ResponseType::StreamingQueryCommandResult(result)).await;
    Ok(())
}

/// A method of the session's `StreamingQueryManager`.
///
/// # Errors
/// The exception of a query that `awaitAnyTermination` finds failed.
pub async fn manager_command(
    server: &Server,
    session: &Arc<Session>,
    responses: &Responses,
    command: &StreamingQueryManagerCommand,
) -> Result<()> {
    let queries = server.queries(session)?;
    let result_type = match &command.command {
        Some(ManagerCommand::Active(_)) => {
            let active_queries = queries.manager().active().iter().map(instance).collect();
            Some(ManagerResult::Active(ActiveResult { active_queries }))
        }
        Some(ManagerCommand::GetQuery(id)) => {
            queries.active(id).map(|query| ManagerResult::Query(instance(&query)))
        }
        Some(ManagerCommand::AwaitAnyTermination(wait)) => {
            let terminated = queries.manager().await_any_termination(timeout(wait.timeout_ms)).await?;
            Some(ManagerResult::AwaitAnyTermination(AwaitAnyTerminationResult { terminated }))
        }
        Some(ManagerCommand::ResetTerminated(_)) => {
            queries.manager().reset_terminated();
            Some(ManagerResult::ResetTerminated(true))
        }
        Some(ManagerCommand::ListListeners(_)) => {
            Some(ManagerResult::ListListeners(ListStreamingQueryListenerResult::default()))
        }
        Some(ManagerCommand::AddListener(_) | ManagerCommand::RemoveListener(_)) => {
            return Err(SparkError::unsupported("a listener that runs in the server"));
        }
        None => return Err(SparkError::unsupported("this command of the streaming query manager")),
    };
    let result = StreamingQueryManagerCommandResult { result_type };
    responses.send(ResponseType::StreamingQueryManagerCommandResult(result)).await;
    Ok(())
}

fn status(query: &StreamingQuery) -> StatusResult {
    let status = query.status();
    StatusResult {
        status_message: status.message,
        is_data_available: status.is_data_available,
        is_trigger_active: status.is_trigger_active,
        is_active: query.is_active(),
    }
}

fn progress(json: impl Iterator<Item = String>) -> ResultType {
    ResultType::RecentProgress(RecentProgressResult { recent_progress_json: json.collect() })
}

fn exception(query: &StreamingQuery) -> ExceptionResult {
    match query.exception() {
        None => ExceptionResult::default(),
        Some(error) => ExceptionResult {
            exception_message: Some(format!("{EXCEPTION}: {}", full_message(&error))),
            error_class: Some(error.class().to_string()),
            stack_trace: None,
        },
    }
}

fn instance(query: &StreamingQuery) -> StreamingQueryInstance {
    StreamingQueryInstance {
        id: Some(StreamingQueryInstanceId { id: query.id().to_string(), run_id: query.run_id().to_string() }),
        name: query.name().map(str::to_string),
    }
}

fn timeout(ms: Option<i64>) -> Option<Duration> {
    ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}
