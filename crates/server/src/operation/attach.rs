//! A client's stream over an operation's responses.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use futures::{Stream, StreamExt, stream};
use millstream_engine::{Result, SparkError, time::Clock};
use spark_connect_proto::ExecutePlanResponse;
use tonic::Status;

use super::{Next, Operation};
use crate::session::Session;

/// What `ExecutePlan` and `ReattachExecute` answer with.
pub type ResponseStream = Pin<Box<dyn Stream<Item = Result<ExecutePlanResponse, Status>> + Send>>;

/// Streams the responses of `operation` from `index` on, until its end or until another
/// stream attaches.
///
/// Dropping the stream cancels nothing if the operation is reattachable; otherwise nobody
/// can read it any more, and it is removed.
pub fn attach(
    operation: Arc<Operation>,
    session: Arc<Session>,
    clock: Arc<dyn Clock>,
    index: u64,
) -> ResponseStream {
    let number = operation.reader.fetch_add(1, Ordering::AcqRel) + 1;
    operation.detached_since.store(-1, Ordering::Release);
    session.stream_opened();
    let attached = Attached { operation, session, clock, number };
    stream::unfold(Some((attached, index)), |state| async move {
        let (attached, index) = state?;
        match attached.next(index).await {
            Ok(Next::Response(response)) => Some((Ok(*response), Some((attached, index + 1)))),
            Ok(Next::End(Ok(()))) => None,
            Ok(Next::End(Err(error))) | Err(error) => {
                let status = attached.session.status(&error);
                Some((Err(status), None))
            }
        }
    })
    .boxed()
}

struct Attached {
    operation: Arc<Operation>,
    session: Arc<Session>,
    clock: Arc<dyn Clock>,
    number: u64,
}

impl Attached {
    async fn next(&self, index: u64) -> Result<Next> {
        let next = self.operation.responses.next(index).await?;
        if self.is_current() { Ok(next) } else { Err(SparkError::new("INVALID_CURSOR.DISCONNECTED")) }
    }

    fn is_current(&self) -> bool {
        self.operation.reader.load(Ordering::Acquire) == self.number
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let now = self.clock.now();
        self.session.stream_closed(now);
        if !self.is_current() {
            return;
        }
        let since: &AtomicI64 = &self.operation.detached_since;
        since.store(now.0, Ordering::Release);
        if !self.operation.reattachable {
            self.session.operations.remove(&self.operation.id);
        }
    }
}
