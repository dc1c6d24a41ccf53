//! The listener bus of a session: one long execution through which a client hears of its
//! streaming queries.
//!
//! The client keeps its own list of listeners and opens the bus with the first, closes it
//! with the last. Events never wait for the client: a bus that falls too far behind is
//! closed with an error.

use std::sync::Arc;

use millstream_engine::{Result, SparkError};
use parking_lot::Mutex;
use spark_connect_proto::{
    StreamingQueryEventType, StreamingQueryListenerEvent, StreamingQueryListenerEventsResult,
    execute_plan_response::ResponseType,
};
use tokio::sync::watch;

use crate::operation::Responses;

/// Unsent bytes after which the bus is closed.
const MAX_UNSENT_BYTES: usize = 16 << 20;

/// See the module.
#[derive(Debug, Default)]
pub struct ListenerBus {
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    responses: Responses,
    end: watch::Sender<Option<Result<()>>>,
}

impl ListenerBus {
    /// Opens the bus on `responses` and keeps it until it is closed; an older one ends.
    ///
    /// # Errors
    /// When the client fell too far behind.
    pub async fn run(&self, responses: &Responses) -> Result<()> {
        let (end, mut ended) = watch::channel(None);
        let added = StreamingQueryListenerEventsResult {
            events: Vec::new(),
            listener_bus_listener_added: Some(true),
        };
        self.close();
        {
            // Told under the lock: a client that closes at once finds the bus, and hears no event before.
            let mut open = self.open.lock();
            responses.send_now(ResponseType::StreamingQueryListenerEventsResult(added));
            *open = Some(Open { responses: responses.clone(), end });
        }
        let _closed_with_this_call = CloseOnDrop { bus: self, responses };
        match ended.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Ok(())),
            // Replaced by a newer bus.
            Err(_) => Ok(()),
        }
    }

    /// Whether a client listens: the answer to a start then carries the started event.
    pub fn is_open(&self) -> bool {
        self.open.lock().is_some()
    }

    /// Sends an event, if a client listens.
    pub fn send(&self, event_type: StreamingQueryEventType, event_json: String) {
        let mut open = self.open.lock();
        let Some(bus) = &*open else { return };
        let event = StreamingQueryListenerEvent { event_json, event_type: event_type as i32 };
        let result =
            StreamingQueryListenerEventsResult { events: vec![event], listener_bus_listener_added: None };
        let unsent = bus.responses.send_now(ResponseType::StreamingQueryListenerEventsResult(result));
        if unsent > MAX_UNSENT_BYTES {
            let behind = "the streaming query listener fell too far behind and was closed";
            bus.end.send_replace(Some(Err(SparkError::internal(behind))));
            *open = None;
        }
    }

    /// Ends the bus after what was sent.
    pub fn close(&self) {
        if let Some(bus) = self.open.lock().take() {
            bus.end.send_replace(Some(Ok(())));
        }
    }
}

/// Forgets an open bus when its execution is cancelled.
struct CloseOnDrop<'a> {
    bus: &'a ListenerBus,
    responses: &'a Responses,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        let mut open = self.bus.open.lock();
        let own = |bus: &Open| Arc::ptr_eq(bus.responses.operation(), self.responses.operation());
        if open.as_ref().is_some_and(own) {
            *open = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use millstream_engine::time::Millis;
    use spark_connect_proto::ExecutePlanRequest;

    use super::*;
    use crate::operation::Operation;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_bus_can_be_closed_as_soon_as_it_is_said_to_be_open() {
        for _ in 0..2000 {
            let request = Arc::new(ExecutePlanRequest::default());
            let operation = Arc::new(Operation::new("o".into(), request, true, "s".into(), Millis(0)));
            let bus = Arc::new(ListenerBus::default());
            let (opening, responses) = (Arc::clone(&bus), Responses::of(Arc::clone(&operation)));
            let open = tokio::spawn(async move { opening.run(&responses).await });
            operation.responses.next(1).await.unwrap();
            bus.close();
            tokio::time::timeout(Duration::from_secs(10), open).await.unwrap().unwrap().unwrap();
        }
    }
}
