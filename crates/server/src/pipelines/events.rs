//! Events of a run, which the client prints: Spark's `FlowProgressEventLogger`.

use std::{error::Error, sync::Arc};

use millstream_engine::{SparkError, time::Clock};
use spark_connect_proto::{PipelineEvent, PipelineEventResult, execute_plan_response::ResponseType};

use super::identifier::Identifier;
use crate::operation::Responses;

/// Sends the events of one run.
#[derive(Debug, Clone)]
pub struct Events {
    responses: Responses,
    clock: Arc<dyn Clock>,
}

/// What a flow came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowStatus {
    /// It waits for what it reads.
    Queued,
    /// It is not part of the refresh.
    Excluded,
    /// A batch flow is about to start.
    Planning,
    /// It starts.
    Starting,
    /// It runs.
    Running,
    /// It is done.
    Completed,
    /// What it reads was not brought up to date.
    Skipped,
    /// It failed.
    Failed,
}

impl Events {
    /// Events that are sent to `responses`.
    pub fn new(responses: Responses, clock: Arc<dyn Clock>) -> Self {
        Self { responses, clock }
    }

    /// A flow's status.
    pub async fn flow(&self, flow: &Identifier, status: FlowStatus) {
        self.send(text(flow, status)).await;
    }

    /// A flow's failure.
    pub async fn failed(&self, flow: &Identifier, error: &SparkError) {
        self.failure(text(flow, FlowStatus::Failed), error).await;
    }

    /// A failure under a message of its own.
    pub async fn failure(&self, message: String, error: &SparkError) {
        self.send(format!("{message}\nError: {}", messages(error))).await;
    }

    /// The good end of the run.
    pub async fn completed(&self) {
        self.send("Run is COMPLETED.".to_string()).await;
    }

    async fn send(&self, message: String) {
        let now = self.clock.now().0;
        let timestamp = prost_types::Timestamp {
            seconds: now.div_euclid(1000),
            nanos: i32::try_from(now.rem_euclid(1000)).unwrap_or(0) * 1_000_000,
        };
        let event = PipelineEvent { timestamp: Some(timestamp), message: Some(message) };
        self.responses
            .send(ResponseType::PipelineEventResult(PipelineEventResult { event: Some(event) }))
            .await;
    }
}

fn text(flow: &Identifier, status: FlowStatus) -> String {
    let name = flow.unquoted();
    match status {
        FlowStatus::Queued => format!("Flow {name} is QUEUED."),
        FlowStatus::Excluded => format!("Flow '{name}' is EXCLUDED."),
        FlowStatus::Planning => format!("Flow {name} is PLANNING."),
        FlowStatus::Starting => format!("Flow {name} is STARTING."),
        FlowStatus::Running => format!("Flow {name} is RUNNING."),
        FlowStatus::Completed => format!("Flow {name} has COMPLETED."),
        FlowStatus::Skipped => format!("Flow '{name}' SKIPPED due to upstream failure(s)."),
        FlowStatus::Failed => format!("Flow '{name}' has FAILED."),
    }
}

/// The texts of an error and its causes.
fn messages(error: &SparkError) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause: Option<&(dyn Error + 'static)> = error.cause().map(|c| c as _);
    while let Some(current) = cause {
        texts.push(current.to_string());
        cause = current.source();
    }
    texts.join("\n")
}
