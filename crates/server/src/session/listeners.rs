//! The listener bus of a session: one long execution through which a client hears of its
//! streaming queries.
//!
//! The client keeps its own list of listeners and opens the bus with the first, closes it
//! with the last. Events never wait for the client: a bus that falls too far behind is
//! closed with an error.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use millstream_engine::{Result, SparkError, time::Clock};
use parking_lot::Mutex;
use spark_connect_proto::{
    StreamingQueryEventType, StreamingQueryListenerEvent, StreamingQueryListenerEventsResult,
    execute_plan_response::ResponseType,
};
use tokio::sync::watch;
use uuid::Uuid;

use crate::operation::Responses;

/// Unsent bytes after which the bus is closed.
const MAX_UNSENT_BYTES: usize = 16 << 20;
/// How many ends of runs are remembered.
const REMEMBERED_ENDS: usize = 64;
/// How long a stop waits until the client has been told of it.
const PATIENCE: Duration = Duration::from_millis(100);
/// How much earlier than of the stop's success the client is told of the end.
const LEAD: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug, Default)]
pub struct ListenerBus {
    open: Mutex<Option<Open>>,
    /// Runs of whose end the client was told last, oldest first.
    ended: watch::Sender<VecDeque<Uuid>>,
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

    /// Sends the last event of a run.
    pub fn send_end(&self, run_id: Uuid, event_json: String) {
        self.send(StreamingQueryEventType::QueryTerminatedEvent, event_json);
        self.ended.send_modify(|ended| {
            ended.push_back(run_id);
            if ended.len() > REMEMBERED_ENDS {
                ended.pop_front();
            }
        });
    }

    /// Waits until a client that listens was told of the end of a run, which is near, and has had
    /// a moment to take it in.
    ///
    /// PySpark's client waits for ever when an event comes while it removes its last listener. Of
    /// scripts that do so right after `stop()` one in twenty hung, and as many when told of both in
    /// one moment; with this none of 150 did.
    pub async fn told_of_end(&self, run_id: Uuid, clock: &dyn Clock) {
        if self.is_open() {
            let mut ended = self.ended.subscribe();
            let told = ended.wait_for(|ended| ended.contains(&run_id));
            // Not to be told in time is no failure of the stop.
            tokio::select! { _ = told => {}, () = clock.sleep(PATIENCE) => {} }
            clock.sleep(LEAD).await;
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
    use millstream_engine::time::{Millis, SystemClock};
    use spark_connect_proto::ExecutePlanRequest;

    use super::*;
    use crate::operation::{Next, Operation};

    fn operation() -> Arc<Operation> {
        let request = Arc::new(ExecutePlanRequest::default());
        Arc::new(Operation::new("o".into(), request, true, "s".into(), Millis(0)))
    }

    #[tokio::test]
    async fn a_client_is_told_of_an_end_before_its_stop_returns() {
        let (bus, operation, run) = (ListenerBus::default(), operation(), Uuid::new_v4());
        let responses = Responses::of(Arc::clone(&operation));
        let clock = SystemClock::new();
        bus.told_of_end(run, &clock).await; // nobody listens
        let mut open = std::pin::pin!(bus.run(&responses));
        assert!(futures::poll!(&mut open).is_pending());
        let mut told = std::pin::pin!(bus.told_of_end(run, &clock));
        assert!(futures::poll!(&mut told).is_pending());
        bus.send_end(run, "{}".to_string());
        told.await;
        operation.responses.next(1).await.unwrap();
        let Next::Response(end) = operation.responses.next(2).await.unwrap() else { panic!("an end") };
        assert!(format!("{end:?}").contains("QueryTerminatedEvent"), "{end:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_bus_can_be_closed_as_soon_as_it_is_said_to_be_open() {
        let clock = SystemClock::new();
        for _ in 0..2000 {
            let operation = operation();
            let bus = Arc::new(ListenerBus::default());
            let (opening, responses) = (Arc::clone(&bus), Responses::of(Arc::clone(&operation)));
            let open = tokio::spawn(async move { opening.run(&responses).await });
            operation.responses.next(1).await.unwrap();
            bus.close();
            tokio::select! {
                ended = open => ended.unwrap().unwrap(),
                () = clock.sleep(Duration::from_secs(10)) => panic!("the bus was not closed"),
            }
        }
    }
}
