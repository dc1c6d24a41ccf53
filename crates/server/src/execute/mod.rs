//! What an `ExecutePlan` request runs.

mod listener;
mod plan;

use std::sync::Arc;

use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    Command, MlCommandResult, command::CommandType, execute_plan_response::ResponseType, ml_command,
};

use crate::{operation::Responses, server::Server, session::Session};

/// Runs the plan of an operation and sends its responses.
///
/// # Errors
/// The error of the execution, for the client.
pub async fn run(server: Arc<Server>, session: Arc<Session>, responses: Responses) -> Result<()> {
    let request = Arc::clone(&responses.operation().request);
    match plan::unpack(request.plan.as_ref())? {
        plan::Root::Relation(_relation) => {
            let _ = server;
            Err(SparkError::unsupported("this relation"))
        }
        plan::Root::Command(command) => run_command(&server, &session, &responses, &command).await,
    }
}

async fn run_command(
    _server: &Arc<Server>,
    session: &Arc<Session>,
    responses: &Responses,
    command: &Command,
) -> Result<()> {
    match &command.command_type {
        Some(CommandType::MlCommand(ml))
            if matches!(ml.command, Some(ml_command::Command::CleanCache(_))) =>
        {
            // Clients clean the cache of models when they exit; there is none.
            responses.send(ResponseType::MlCommandResult(MlCommandResult::default())).await;
            Ok(())
        }
        Some(CommandType::StreamingQueryListenerBusCommand(command)) => {
            listener::bus_command(session, responses, command).await
        }
        _ => Err(SparkError::unsupported("this command")),
    }
}
