//! Streams that run ahead of their reader, each on a task of its own.

use std::{future::poll_fn, task::Poll};

use datafusion::{
    common::{DataFusionError, Result, runtime::SpawnedTask},
    execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;

/// Items a stream may be ahead of its reader.
const AHEAD: usize = 4;

/// Polls `items` on a task of its own, up to the first error; dropping the returned stream aborts
/// the task. A panic of the task goes on in the reader.
pub(crate) fn run_ahead<T: Send + 'static>(
    mut items: BoxStream<'static, Result<T>>,
) -> BoxStream<'static, Result<T>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let task = SpawnedTask::spawn(async move {
        while let Some(item) = items.next().await {
            let failed = item.is_err();
            // The reader is gone, or will stop at this error.
            if sender.send(item).await.is_err() || failed {
                break;
            }
            go_on_elsewhere().await;
        }
    });
    let items = stream::unfold((receiver, Some(task)), |(mut receiver, task)| async move {
        if let Some(item) = receiver.recv().await {
            return Some((item, (receiver, task)));
        }
        let failed = task?.join_unwind().await.err()?;
        Some((Err(DataFusionError::External(Box::new(failed))), (receiver, None)))
    });
    items.boxed()
}

/// [`run_ahead`] for rows.
pub(crate) fn read_ahead(rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = rows.schema();
    Box::pin(RecordBatchStreamAdapter::new(schema, run_ahead(rows.boxed())))
}

/// Lets another thread go on with this task.
///
/// Whom a task wakes runs next on its own thread, and no other thread takes it from there: the
/// reader of rows waited until four batches were made, and nothing ran beside anything. A task that
/// wakes itself goes to the end of the queue, where a thread without work finds it.
async fn go_on_elsewhere() {
    let mut queued = false;
    poll_fn(|task| {
        if std::mem::replace(&mut queued, true) {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
