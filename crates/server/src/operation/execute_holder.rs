//! One execution: its task, its responses, and who is reading them.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use futures::FutureExt;
use millstream_engine::{Result, SparkError, time::Millis};
use parking_lot::Mutex;
use spark_connect_proto::{
    ExecutePlanRequest, ExecutePlanResponse,
    execute_plan_response::{ResponseType, ResultComplete},
};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::ResponseBuffer;

/// As `GetStatus` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationState {
    /// Still producing responses.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Interrupted.
    Cancelled,
}

/// One `ExecutePlan`.
#[derive(Debug)]
pub struct Operation {
    /// UUID given by the client, or made here.
    pub id: String,
    /// Tags for `Interrupt`.
    pub tags: Vec<String>,
    /// Whether the client may come back for responses.
    pub reattachable: bool,
    /// The request, to recognise a repeated one.
    pub request: Arc<ExecutePlanRequest>,
    /// What it has produced.
    pub responses: ResponseBuffer,
    server_side_session_id: String,
    state: Mutex<OperationState>,
    task: Mutex<Option<AbortHandle>>,
    /// Number of the stream that may read; a newer stream disconnects the older.
    pub(super) reader: AtomicU64,
    /// Since when nobody reads, in milliseconds; -1 while somebody does.
    pub(super) detached_since: AtomicI64,
}

/// The producing side of an operation: stamps responses with its ids.
#[derive(Debug, Clone)]
pub struct Responses {
    operation: Arc<Operation>,
}

impl Operation {
    /// An operation for `request` that has not been started.
    pub fn new(
        id: String,
        request: Arc<ExecutePlanRequest>,
        reattachable: bool,
        server_side_session_id: String,
        now: Millis,
    ) -> Self {
        Self {
            id,
            tags: request.tags.clone(),
            reattachable,
            request,
            responses: ResponseBuffer::default(),
            server_side_session_id,
            state: Mutex::new(OperationState::Running),
            task: Mutex::new(None),
            reader: AtomicU64::new(0),
            detached_since: AtomicI64::new(now.0),
        }
    }

    /// Runs `work` on `runtime` and ends the operation with its result. A panic ends this
    /// operation alone.
    pub fn start<F>(self: &Arc<Self>, runtime: &tokio::runtime::Handle, work: impl FnOnce(Responses) -> F)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let responses = Responses::of(Arc::clone(self));
        let operation = Arc::clone(self);
        let work = work(responses.clone());
        let task = runtime.spawn(async move {
            let result = std::panic::AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
                let text = panic_text(panic.as_ref());
                tracing::error!(operation = %operation.id, "panic: {text}");
                Err(SparkError::internal(format!("the operation panicked: {text}")))
            });
            match result {
                Ok(()) => {
                    if operation.reattachable {
                        responses.send(ResponseType::ResultComplete(ResultComplete {})).await;
                    }
                    operation.finish(OperationState::Succeeded, Ok(()));
                }
                Err(error) => {
                    operation.finish(OperationState::Failed, Err(error));
                }
            }
        });
        *self.task.lock() = Some(task.abort_handle());
        // The task may have been cancelled before its handle was stored.
        if self.state() == OperationState::Cancelled {
            task.abort();
        }
    }

    /// How it stands.
    pub fn state(&self) -> OperationState {
        *self.state.lock()
    }

    /// Cancels it; its readers get `OPERATION_CANCELED`. Returns whether it was running.
    pub fn interrupt(&self) -> bool {
        let interrupted = self.finish(OperationState::Cancelled, Err(SparkError::new("OPERATION_CANCELED")));
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
        interrupted
    }

    /// Since when no stream has been attached; `None` while one is.
    pub fn detached_since(&self) -> Option<Millis> {
        let since = self.detached_since.load(Ordering::Acquire);
        (since >= 0).then_some(Millis(since))
    }

    fn finish(&self, end: OperationState, result: Result<()>) -> bool {
        let mut state = self.state.lock();
        if *state != OperationState::Running {
            return false;
        }
        *state = end;
        self.responses.end(result);
        true
    }
}

impl Responses {
    /// The producing side of `operation`.
    pub fn of(operation: Arc<Operation>) -> Self {
        Self { operation }
    }

    /// The operation that produces.
    pub fn operation(&self) -> &Arc<Operation> {
        &self.operation
    }

    /// Appends a response, after waiting for room.
    pub async fn send(&self, response: ResponseType) {
        self.operation.responses.push(self.stamp(Some(response))).await;
    }

    /// Appends a response without a type: schema, metrics.
    pub async fn send_fields(&self, fields: ExecutePlanResponse) {
        let stamp = self.stamp(None);
        self.operation
            .responses
            .push(ExecutePlanResponse {
                session_id: stamp.session_id,
                server_side_session_id: stamp.server_side_session_id,
                operation_id: stamp.operation_id,
                response_id: stamp.response_id,
                ..fields
            })
            .await;
    }

    /// Appends a response without waiting; returns the bytes that are unsent.
    pub fn send_now(&self, response: ResponseType) -> usize {
        self.operation.responses.push_now(self.stamp(Some(response)))
    }

    fn stamp(&self, response_type: Option<ResponseType>) -> ExecutePlanResponse {
        ExecutePlanResponse {
            session_id: self.operation.request.session_id.clone(),
            server_side_session_id: self.operation.server_side_session_id.clone(),
            operation_id: self.operation.id.clone(),
            response_id: Uuid::new_v4().to_string(),
            response_type,
            ..Default::default()
        }
    }
}

/// The text of a panic, as far as it has one.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown cause")
}
