//! The responses of an operation between their making and their release.
//!
//! A client may lose its stream at any moment and come back for what it has not seen, so a
//! response stays here until the client releases it. Two limits bound the memory: makers
//! wait while too much is unsent, and the oldest sent responses are forgotten when a client
//! never releases any.
//!
//! # Invariants
//! Indexes count from 1 in order of making, without gaps; `responses[0]` has index `first`;
//! everything before `first` was sent. Nothing follows the end.

use std::collections::VecDeque;

use millstream_engine::{Result, SparkError};
use parking_lot::Mutex;
use prost::Message;
use spark_connect_proto::ExecutePlanResponse;
use tokio::sync::watch;

/// Makers wait while more bytes than this are unsent.
const MAX_UNSENT_BYTES: usize = 32 << 20;
/// Sent, unreleased responses beyond this many bytes are forgotten, oldest first. Spark's
/// `spark.connect.execute.reattachable.observerRetryBufferSize` has the same value.
const MAX_SENT_BYTES: usize = 10 << 20;

/// See the module.
#[derive(Debug)]
pub struct ResponseBuffer {
    inner: Mutex<Inner>,
    /// Bumped after every change, so that waiters look again.
    version: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner {
    responses: VecDeque<Cached>,
    first: u64,
    /// Highest index handed to a stream, 0 before any.
    sent: u64,
    unsent_bytes: usize,
    sent_bytes: usize,
    end: Option<Result<()>>,
}

#[derive(Debug)]
struct Cached {
    response: ExecutePlanResponse,
    bytes: usize,
}

/// What comes at an index.
#[derive(Debug)]
pub enum Next {
    /// A response.
    Response(Box<ExecutePlanResponse>),
    /// Nothing: the operation ended there, well or with an error.
    End(Result<()>),
}

impl Default for ResponseBuffer {
    fn default() -> Self {
        let inner = Inner {
            responses: VecDeque::new(),
            first: 1,
            sent: 0,
            unsent_bytes: 0,
            sent_bytes: 0,
            end: None,
        };
        Self { inner: Mutex::new(inner), version: watch::Sender::new(0) }
    }
}

impl ResponseBuffer {
    /// Appends a response, after waiting for room. Responses after the end are dropped.
    ///
    /// # Cancel safety
    /// A dropped call has appended nothing.
    pub async fn push(&self, response: ExecutePlanResponse) {
        let mut changes = self.version.subscribe();
        loop {
            {
                let inner = self.inner.lock();
                if inner.end.is_some() {
                    return;
                }
                if inner.unsent_bytes < MAX_UNSENT_BYTES {
                    break;
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
        self.push_now(response);
    }

    /// Appends a response without waiting; returns how many bytes are unsent now.
    pub fn push_now(&self, response: ExecutePlanResponse) -> usize {
        let bytes = response.encoded_len();
        let unsent = {
            let mut inner = self.inner.lock();
            if inner.end.is_none() {
                inner.unsent_bytes += bytes;
                inner.responses.push_back(Cached { response, bytes });
            }
            inner.unsent_bytes
        };
        self.bump();
        unsent
    }

    /// Ends the operation; the first end holds.
    pub fn end(&self, result: Result<()>) {
        {
            let mut inner = self.inner.lock();
            if inner.end.is_some() {
                return;
            }
            inner.end = Some(result);
        }
        self.bump();
    }

    /// Waits for what comes at `index`, and counts it as sent.
    ///
    /// # Errors
    /// `INVALID_CURSOR.POSITION_NOT_AVAILABLE` when it was released or forgotten.
    pub async fn next(&self, index: u64) -> Result<Next> {
        let mut changes = self.version.subscribe();
        loop {
            if let Some(next) = self.try_next(index)? {
                self.bump();
                return Ok(next);
            }
            if changes.changed().await.is_err() {
                return Err(SparkError::internal("the operation has gone"));
            }
        }
    }

    fn try_next(&self, index: u64) -> Result<Option<Next>> {
        let mut inner = self.inner.lock();
        if index < inner.first {
            return Err(SparkError::new("INVALID_CURSOR.POSITION_NOT_AVAILABLE")
                .with("responseId", "")
                .with("index", index.to_string()));
        }
        let position = usize::try_from(index - inner.first).unwrap_or(usize::MAX);
        if let Some(cached) = inner.responses.get(position) {
            let (response, bytes) = (cached.response.clone(), cached.bytes);
            if index > inner.sent {
                inner.sent = index;
                inner.unsent_bytes -= bytes;
                inner.sent_bytes += bytes;
                inner.forget_old();
            }
            return Ok(Some(Next::Response(Box::new(response))));
        }
        Ok(inner.end.clone().map(Next::End))
    }

    /// Index of the response after the one with `response_id`.
    ///
    /// # Errors
    /// `INVALID_CURSOR.POSITION_NOT_FOUND` when it is unknown or was released.
    pub fn index_after(&self, response_id: &str) -> Result<u64> {
        let inner = self.inner.lock();
        inner.position(response_id).map(|position| inner.first + position + 1).ok_or_else(|| {
            SparkError::new("INVALID_CURSOR.POSITION_NOT_FOUND").with("responseId", response_id)
        })
    }

    /// Forgets everything up to and with `response_id`; an unknown id changes nothing.
    pub fn release_until(&self, response_id: &str) {
        {
            let mut inner = self.inner.lock();
            if let Some(position) = inner.position(response_id) {
                for _ in 0..=position {
                    inner.drop_first();
                }
            }
        }
        self.bump();
    }

    fn bump(&self) {
        self.version.send_modify(|version| *version += 1);
    }
}

impl Inner {
    fn position(&self, response_id: &str) -> Option<u64> {
        self.responses.iter().position(|c| c.response.response_id == response_id).map(|p| p as u64)
    }

    fn drop_first(&mut self) {
        if let Some(cached) = self.responses.pop_front() {
            if self.first <= self.sent {
                self.sent_bytes -= cached.bytes;
            } else {
                self.unsent_bytes -= cached.bytes;
                self.sent = self.first;
            }
            self.first += 1;
        }
    }

    /// Keeps at least the response that was sent last.
    fn forget_old(&mut self) {
        while self.sent_bytes > MAX_SENT_BYTES && self.first < self.sent {
            self.drop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(id: &str) -> ExecutePlanResponse {
        ExecutePlanResponse { response_id: id.to_string(), ..Default::default() }
    }

    fn large(id: &str, bytes: usize) -> ExecutePlanResponse {
        ExecutePlanResponse { session_id: "x".repeat(bytes), ..response(id) }
    }

    async fn id_at(buffer: &ResponseBuffer, index: u64) -> String {
        match buffer.next(index).await.unwrap() {
            Next::Response(r) => r.response_id,
            Next::End(_) => "end".to_string(),
        }
    }

    #[tokio::test]
    async fn responses_can_be_read_again_until_released() {
        let buffer = ResponseBuffer::default();
        for id in ["a", "b", "c"] {
            buffer.push(response(id)).await;
        }
        buffer.end(Ok(()));
        assert_eq!(id_at(&buffer, 1).await, "a");
        assert_eq!(id_at(&buffer, 1).await, "a");
        assert_eq!(buffer.index_after("b").unwrap(), 3);
        buffer.release_until("b");
        assert_eq!(id_at(&buffer, 3).await, "c");
        assert_eq!(id_at(&buffer, 4).await, "end");
        assert_eq!(buffer.next(1).await.unwrap_err().class(), "INVALID_CURSOR.POSITION_NOT_AVAILABLE");
        assert_eq!(buffer.index_after("a").unwrap_err().class(), "INVALID_CURSOR.POSITION_NOT_FOUND");
    }

    #[tokio::test]
    async fn a_reader_wakes_up_for_a_late_response_and_for_the_end() {
        let buffer = std::sync::Arc::new(ResponseBuffer::default());
        let reader = std::sync::Arc::clone(&buffer);
        let task = tokio::spawn(async move { (id_at(&reader, 1).await, id_at(&reader, 2).await) });
        tokio::task::yield_now().await;
        buffer.push(response("late")).await;
        tokio::task::yield_now().await;
        buffer.end(Err(SparkError::new("OPERATION_CANCELED")));
        assert_eq!(task.await.unwrap(), ("late".to_string(), "end".to_string()));
    }

    #[tokio::test]
    async fn makers_wait_for_room() {
        let buffer = ResponseBuffer::default();
        buffer.push(large("a", MAX_UNSENT_BYTES)).await;
        let mut waiting = std::pin::pin!(buffer.push(response("b")));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        assert_eq!(id_at(&buffer, 1).await, "a");
        assert!(futures::poll!(waiting.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn sent_responses_are_forgotten_when_never_released() {
        let buffer = ResponseBuffer::default();
        for id in ["a", "b", "c"] {
            buffer.push(large(id, MAX_SENT_BYTES / 2)).await;
        }
        for index in 1..=3 {
            id_at(&buffer, index).await;
        }
        assert!(buffer.next(1).await.is_err());
        assert_eq!(id_at(&buffer, 3).await, "c");
    }
}
