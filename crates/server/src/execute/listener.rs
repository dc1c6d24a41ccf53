//! `StreamingQueryListenerBusCommand`: opens and closes a session's listener bus.

use millstream_engine::{Result, SparkError};
use spark_connect_proto::{StreamingQueryListenerBusCommand, streaming_query_listener_bus_command::Command};

use crate::{operation::Responses, session::Session};

/// Opening runs until the bus is closed; closing returns at once.
///
/// # Errors
/// When the client fell too far behind.
pub async fn bus_command(
    session: &Session,
    responses: &Responses,
    command: &StreamingQueryListenerBusCommand,
) -> Result<()> {
    match command.command {
        Some(Command::AddListenerBusListener(true)) => session.listeners.run(responses).await,
        Some(Command::RemoveListenerBusListener(true)) => {
            session.listeners.close();
            Ok(())
        }
        _ => Err(SparkError::unsupported("this command of the listener bus")),
    }
}
