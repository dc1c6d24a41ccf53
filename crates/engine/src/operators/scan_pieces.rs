//! The pieces of a batch's input, read in order and side by side.

use std::{collections::VecDeque, sync::Arc};

use datafusion::{arrow::array::RecordBatch, common::Result, execution::SendableRecordBatchStream};
use futures::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use crate::{
    batch::{read_ahead, run_ahead},
    query::{BatchContext, BatchInput},
    source::Split,
};

/// Below this many bytes a batch is read in place.
const SMALL_BATCH: u64 = if cfg!(test) { 1 } else { 512 * 1024 };

/// The pieces of an input: those to come, those already being read, and those of the next batch.
pub(super) struct Pieces {
    projection: Vec<usize>,
    /// How many are being read at any time. Above one, each by a task of its own; else in place.
    ahead: usize,
    waiting: VecDeque<Arc<dyn Split>>,
    taken_over: VecDeque<SendableRecordBatchStream>,
    upcoming: VecDeque<Arc<dyn Split>>,
    next_open: VecDeque<SendableRecordBatchStream>,
}

impl Pieces {
    /// The pieces of `input`, and of what follows it; reads `columns` of the source.
    pub(super) fn of(input: &BatchInput, columns: &[usize]) -> Self {
        let mut pieces = Self::again(input, columns);
        pieces.taken_over = input.open.take();
        pieces.waiting.drain(..pieces.taken_over.len().min(pieces.waiting.len()));
        if pieces.ahead > 1 {
            pieces.upcoming.extend(input.upcoming.iter().cloned());
        }
        pieces
    }

    /// The pieces of an input that another scan reads, too: what is open is for that one.
    pub(super) fn again(input: &BatchInput, columns: &[usize]) -> Self {
        Self {
            projection: columns.to_vec(),
            ahead: pieces_ahead(input),
            waiting: input.splits.iter().cloned().collect(),
            taken_over: VecDeque::new(),
            upcoming: VecDeque::new(),
            next_open: VecDeque::new(),
        }
    }

    /// The rows, one piece after the other.
    pub(super) fn in_order(
        self,
        context: Arc<BatchContext>,
        ordinal: usize,
    ) -> impl Stream<Item = Result<RecordBatch>> + Send {
        let beside = self.ahead > 1;
        self.each(context, ordinal, move |rows, runs| {
            Ok(if beside && !runs { run_ahead(rows.boxed()) } else { rows.boxed() })
        })
    }

    /// What `make` makes of each piece, one after the other. It is called once a piece is opened, and
    /// told whether a task reads the piece already. At the end what was opened of the next batch
    /// is left in the context.
    pub(super) fn each<T: Send + 'static>(
        self,
        context: Arc<BatchContext>,
        ordinal: usize,
        make: impl FnMut(SendableRecordBatchStream, bool) -> Result<BoxStream<'static, Result<T>>> + Send,
    ) -> impl Stream<Item = Result<T>> + Send {
        let state = (self, VecDeque::new(), make);
        stream::try_unfold(state, move |(mut pieces, mut open, mut make)| {
            let context = Arc::clone(&context);
            async move {
                loop {
                    pieces.open_more(&mut open, &mut make).await?;
                    let Some(first) = open.front_mut() else {
                        let input = context.inputs.get(ordinal).filter(|_| !pieces.next_open.is_empty());
                        if let Some(input) = input {
                            input.next_open.leave(pieces.next_open);
                        }
                        return Ok(None);
                    };
                    match first.try_next().await? {
                        Some(item) => return Ok(Some((item, (pieces, open, make)))),
                        None => open.pop_front(),
                    };
                }
            }
        })
    }

    /// Not left to `buffered`: that polls, and so starts, only what is next.
    async fn open_more<T>(
        &mut self,
        open: &mut VecDeque<BoxStream<'static, Result<T>>>,
        make: &mut impl FnMut(SendableRecordBatchStream, bool) -> Result<BoxStream<'static, Result<T>>>,
    ) -> Result<()> {
        while let Some(rows) = self.taken_over.pop_front() {
            open.push_back(make(rows, true)?);
        }
        while open.len() + self.next_open.len() < self.ahead {
            if let Some(split) = self.waiting.pop_front() {
                open.push_back(make(split.open(&self.projection).await?, false)?);
            } else if let Some(split) = self.upcoming.pop_front() {
                match split.open(&self.projection).await {
                    Ok(rows) => self.next_open.push_back(read_ahead(rows)),
                    // The next batch opens it again, and fails in its turn.
                    Err(_) => self.upcoming.clear(),
                }
            } else {
                break;
            }
        }
        Ok(())
    }
}

/// Whether an input is large enough for its pieces to be read side by side.
pub(super) fn side_by_side(input: &BatchInput) -> bool {
    pieces_ahead(input) > 1
}

/// How many pieces are open at once: one that is handed out, and one for each core to decode.
/// Above one, so for a single piece too, decoding runs beside what is done with the rows.
fn pieces_ahead(input: &BatchInput) -> usize {
    let bytes: u64 = input.splits.iter().map(|s| s.size_hint()).sum();
    if bytes < SMALL_BATCH {
        return 1;
    }
    std::thread::available_parallelism().map_or(2, usize::from).max(2) + 1
}

#[cfg(test)]
mod tests;
