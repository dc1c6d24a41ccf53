//! Streams that a batch reads to their end, whoever stops before.
//!
//! DataFusion's operators stop reading where the result is known: a limit that is reached, a
//! join with an empty table. State and watermarks need every row all the same.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use datafusion::{
    arrow::array::RecordBatch, common::Result, execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;

type Slot = Arc<Mutex<Option<SendableRecordBatchStream>>>;

/// The streams of a batch. An operator executes its inputs before it shares its own rows, so
/// those nearest the sink stand last, and are read first.
#[derive(Default)]
pub struct Unread(Mutex<Vec<Slot>>);

impl std::fmt::Debug for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Unread").field(&self.0.lock().len()).finish()
    }
}

impl Unread {
    /// `rows`, of which [`Unread::drain`] reads what the caller does not.
    pub fn share(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = rows.schema();
        let slot = Arc::new(Mutex::new(Some(rows)));
        self.0.lock().push(Arc::clone(&slot));
        Box::pin(RecordBatchStreamAdapter::new(schema, Shared(slot)))
    }

    /// Reads every stream to its end.
    ///
    /// # Errors
    /// The streams'.
    pub(crate) async fn drain(&self) -> Result<()> {
        let slots = std::mem::take(&mut *self.0.lock());
        for slot in slots.into_iter().rev() {
            let rows = slot.lock().take();
            if let Some(mut rows) = rows {
                while let Some(batch) = rows.next().await {
                    batch?;
                }
            }
        }
        Ok(())
    }

    /// Lets go of the streams: they hold the batch that holds them.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}

struct Shared(Slot);

impl Stream for Shared {
    type Item = Result<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut slot = self.0.lock();
        let Some(rows) = slot.as_mut() else { return Poll::Ready(None) };
        let next = rows.poll_next_unpin(context);
        if let Poll::Ready(None | Some(Err(_))) = next {
            *slot = None;
        }
        next
    }
}
