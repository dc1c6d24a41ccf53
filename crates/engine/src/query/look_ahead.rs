//! What the next batch is going to read, known while a batch still runs.
//!
//! The end of a batch (groups put out, state sealed, its commit) keeps one core busy at most.
//! With `availableNow` the files of the next batch are known, so the cores without work start to
//! decode them. Nothing else of the next batch begins early: its offsets are logged, its watermark
//! and its timestamp are chosen when its turn comes. What was opened for a batch that is never run
//! is dropped.

use std::{collections::VecDeque, fmt, sync::Arc};

use datafusion::execution::SendableRecordBatchStream;
use parking_lot::Mutex;
use tracing::debug;

use super::{BatchInput, Trigger, execution::Execution};
use crate::source::{Offset, ReadLimit, Split};

/// Pieces of an input that are being read, in order.
#[derive(Default)]
pub struct OpenPieces(Mutex<VecDeque<SendableRecordBatchStream>>);

impl fmt::Debug for OpenPieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenPieces").field(&self.0.lock().len()).finish()
    }
}

impl OpenPieces {
    /// Takes them out; none are left.
    pub fn take(&self) -> VecDeque<SendableRecordBatchStream> {
        std::mem::take(&mut *self.0.lock())
    }

    /// Leaves `pieces` for whoever takes them.
    pub fn leave(&self, pieces: VecDeque<SendableRecordBatchStream>) {
        *self.0.lock() = pieces;
    }
}

/// What one source has for the batch after the one at hand.
#[derive(Debug)]
pub(super) struct Next {
    /// Where that batch ends, as `latestOffset` said.
    end: Option<Offset>,
    /// Its pieces, unless planning them failed: then it is done again, and fails, in its turn.
    splits: Option<Vec<Arc<dyn Split>>>,
    /// The first of them.
    open: OpenPieces,
}

impl Execution {
    /// Asks the sources that can tell for what the next batch reads.
    ///
    /// A source has moved on then: where the next batch ends is known from here only.
    pub(super) async fn look_ahead(&mut self) {
        if self.trigger != Trigger::AvailableNow || self.batch.logged {
            return;
        }
        for (ordinal, source) in self.sources.iter().enumerate() {
            let Some(next) = self.next.get_mut(ordinal).filter(|_| source.can_look_ahead()) else { continue };
            let start = self.batch.end.get(ordinal).and_then(Option::as_ref);
            let end = match source.latest_offset(start, ReadLimit::Admission).await {
                Ok(end) => end,
                // Asked again in its turn, the source says so again.
                Err(error) => {
                    debug!(%error, "the next batch is not known yet");
                    continue;
                }
            };
            let splits = match &end {
                Some(end) if start != Some(end) => source.plan_batch(start, end).await.ok(),
                _ => None,
            };
            *next = Some(Next { end, splits, open: OpenPieces::default() });
        }
    }

    /// Where the batch at hand ends at one source, if that is known from the batch before.
    pub(super) fn known_end(&self, ordinal: usize) -> Option<Option<Offset>> {
        self.next.get(ordinal)?.as_ref().map(|next| next.end.clone())
    }

    /// What the batch at hand reads from one source, if the batch before has looked.
    pub(super) fn known_input(&mut self, ordinal: usize) -> Option<BatchInput> {
        let next = self.next.get_mut(ordinal)?.take()?;
        Some(BatchInput { splits: next.splits?, open: next.open, ..BatchInput::default() })
    }

    /// What an input may open of the next batch.
    pub(super) fn upcoming(&self, ordinal: usize) -> Vec<Arc<dyn Split>> {
        let next = self.next.get(ordinal).and_then(Option::as_ref);
        next.and_then(|next| next.splits.clone()).unwrap_or_default()
    }

    /// Keeps what the inputs of a batch have opened of the next one.
    pub(super) fn keep_open(&self, inputs: &[BatchInput]) {
        for (next, input) in self.next.iter().zip(inputs) {
            if let Some(next) = next {
                next.open.leave(input.next_open.take());
            }
        }
    }
}
