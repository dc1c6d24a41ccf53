//! Streams that a batch reads to their end, whoever stops before.
//!
//! DataFusion's operators stop reading where the result is known: a limit that is reached, a
//! join with an empty table. State needs every row all the same, and so do watermarks, but for
//! those of a stream that is joined with nothing: Spark does not read it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use datafusion::{
    arrow::array::RecordBatch, common::Result, execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;

type Slot = Arc<Mutex<Option<SendableRecordBatchStream>>>;
type Asked = Arc<AtomicBool>;

/// The streams of a batch. An operator executes its inputs before it shares its own rows, so
/// those nearest the sink stand last, and are read first.
#[derive(Default)]
pub struct Unread(Mutex<Shares>);

#[derive(Default)]
struct Shares {
    /// Each with what has to be asked for rows, too.
    slots: Vec<(Slot, Vec<Asked>)>,
    /// The sides of joins that are being executed.
    sides: Vec<Asked>,
}

impl std::fmt::Debug for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Unread").field(&self.0.lock().slots.len()).finish()
    }
}

impl Unread {
    /// `rows`, of which [`Unread::drain`] reads what the caller does not.
    pub fn share(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        self.keep(rows, vec![])
    }

    /// [`Unread::share`], unless a join above with static data asks for no row at all.
    pub fn share_if_asked(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let sides = self.0.lock().sides.clone();
        self.keep(rows, sides)
    }

    fn keep(&self, rows: SendableRecordBatchStream, asked: Vec<Asked>) -> SendableRecordBatchStream {
        let schema = rows.schema();
        let slot = Arc::new(Mutex::new(Some(rows)));
        self.0.lock().slots.push((Arc::clone(&slot), asked));
        Box::pin(RecordBatchStreamAdapter::new(schema, Shared(slot)))
    }

    /// The stream's side of a join: what `execute` shares below counts once a row is asked for.
    ///
    /// # Errors
    /// Those of `execute`.
    pub fn when_asked(
        &self,
        execute: impl FnOnce() -> Result<SendableRecordBatchStream>,
    ) -> Result<SendableRecordBatchStream> {
        let asked = Asked::default();
        self.0.lock().sides.push(Arc::clone(&asked));
        let rows = execute();
        self.0.lock().sides.pop();
        let mut rows = rows?;
        let schema = rows.schema();
        let polled = futures::stream::poll_fn(move |context| {
            asked.store(true, Ordering::Relaxed);
            rows.poll_next_unpin(context)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, polled)))
    }

    /// Reads every stream to its end.
    ///
    /// # Errors
    /// The streams'.
    pub(crate) async fn drain(&self) -> Result<()> {
        let slots = std::mem::take(&mut self.0.lock().slots);
        for (slot, asked) in slots.into_iter().rev() {
            let rows = slot.lock().take();
            if !asked.iter().all(|asked| asked.load(Ordering::Relaxed)) {
                continue;
            }
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
        self.0.lock().slots.clear();
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
