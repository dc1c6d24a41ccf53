//! What an `ExecutePlan` request runs.

mod arrow_batches;
pub mod cache;
mod catalog;
mod catalog_statement;
pub mod explain;
mod file_sink;
mod known_options;
mod listener;
mod partitioned_sink;
mod partitions;
pub mod plan;
pub mod relation;
pub mod resolve;
mod sql;
mod streaming_query;
pub mod table_write;
pub mod tables;
mod view;
mod write;
pub mod write_stream;

use std::sync::Arc;

use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    CachedRemoteRelation, CheckpointCommandResult, Command, GetResourcesCommandResult, MlCommandResult,
    command::CommandType, execute_plan_response::ResponseType, ml_command,
};
use uuid::Uuid;

use crate::{operation::Responses, pipelines, server::Server, session::Session};

/// Runs the plan of an operation and sends its responses.
///
/// # Errors
/// The error of the execution, for the client.
pub async fn run(server: Arc<Server>, session: Arc<Session>, responses: Responses) -> Result<()> {
    let request = Arc::clone(&responses.operation().request);
    match plan::unpack(request.plan.as_ref())? {
        plan::Root::Relation(relation) => {
            pipelines::allow_analysis(request.user_context.as_ref())?;
            relation::answer(&server, &session, &responses, &relation).await
        }
        plan::Root::Command(command) => run_command(&server, &session, &responses, &command).await,
    }
}

async fn run_command(
    server: &Arc<Server>,
    session: &Arc<Session>,
    responses: &Responses,
    command: &Command,
) -> Result<()> {
    let Some(command) = &command.command_type else {
        return Err(
            SparkError::new("CONNECT_INVALID_PLAN.ASSERTION_FAILURE").with("message", "an empty command")
        );
    };
    match command {
        CommandType::SqlCommand(command) => sql::sql_command(server, session, responses, command).await,
        CommandType::CreateDataframeView(command) => view::create_view(server, session, command).await,
        CommandType::WriteOperation(command) => write::write(server, session, responses, command).await,
        CommandType::WriteStreamOperationStart(command) => {
            write_stream::start(server, session, responses, command).await
        }
        CommandType::StreamingQueryCommand(command) => {
            streaming_query::query_command(server, session, responses, command).await
        }
        CommandType::StreamingQueryManagerCommand(command) => {
            streaming_query::manager_command(server, session, responses, command).await
        }
        CommandType::StreamingQueryListenerBusCommand(command) => {
            listener::bus_command(session, responses, command).await
        }
        CommandType::GetResourcesCommand(_) => {
            responses
                .send(ResponseType::GetResourcesCommandResult(GetResourcesCommandResult::default()))
                .await;
            Ok(())
        }
        CommandType::CheckpointCommand(command) => {
            let input = command
                .relation
                .clone()
                .ok_or_else(|| SparkError::internal("a checkpoint without a plan"))?;
            let table = relation::materialize(server, session, input).await?;
            let relation_id = Uuid::new_v4().to_string();
            session.cached_remote.lock().insert(relation_id.clone(), table);
            let relation = Some(CachedRemoteRelation { relation_id });
            responses.send(ResponseType::CheckpointCommandResult(CheckpointCommandResult { relation })).await;
            Ok(())
        }
        CommandType::RemoveCachedRemoteRelationCommand(command) => {
            if let Some(relation) = &command.relation {
                session.cached_remote.lock().remove(&relation.relation_id);
            }
            Ok(())
        }
        CommandType::PipelineCommand(command) => {
            pipelines::command(server, session, responses, command).await
        }
        // Clients clean the cache of models when they exit; there is none.
        CommandType::MlCommand(ml) if matches!(ml.command, Some(ml_command::Command::CleanCache(_))) => {
            responses.send(ResponseType::MlCommandResult(MlCommandResult::default())).await;
            Ok(())
        }
        other => Err(SparkError::unsupported(name(other))),
    }
}

/// What a command that cannot be run is called.
fn name(command: &CommandType) -> String {
    match command {
        CommandType::RegisterFunction(f) => format!("the user-defined function `{}`", f.function_name),
        CommandType::RegisterTableFunction(f) => {
            format!("the user-defined table function `{}`", f.function_name)
        }
        CommandType::RegisterDataSource(s) => format!("the Python data source `{}`", s.name),
        CommandType::WriteOperationV2(w) => format!("`writeTo` (table {})", w.table_name),
        CommandType::MergeIntoTableCommand(m) => format!("`mergeInto` (table {})", m.target_table_name),
        CommandType::CreateResourceProfileCommand(_) => "a resource profile".to_string(),
        CommandType::MlCommand(_) => "machine learning (pyspark.ml)".to_string(),
        CommandType::ExecuteExternalCommand(_) => "`executeCommand`".to_string(),
        _ => "this command".to_string(),
    }
}
