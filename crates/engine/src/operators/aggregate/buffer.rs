//! The buffers of one aggregate call, one per slot.

use std::fmt;

use datafusion::arrow::array::ArrayRef;

use crate::Result;

/// When rows arrived: order-dependent functions (`first`, `collect_list`, ...) keep Spark's
/// arrival order even when buffers are merged in another order.
///
/// Row `i` of an update has arrived at `(batch, row + i)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrival {
    /// Number of the micro-batch (or of the merged partial result).
    pub batch: i64,
    /// Ordinal of the update's first row within the batch.
    pub row: i64,
}

/// Buffers of one aggregate call.
///
/// # Invariants
/// - Slots start empty and are empty again after [`AggregateBuffer::clear`].
/// - Merging a buffer into an empty one copies it exactly, and so does
///   `merge_columns(export(..))` into an empty one: results do not depend on restarts.
/// - `update` never depends on how rows are split into calls.
pub trait AggregateBuffer: fmt::Debug + Send + Sync {
    /// Makes slots `0..slots` exist; never shrinks.
    fn grow(&mut self, slots: usize);

    /// Adds row `i` of the argument columns to `slots[i]`, in order.
    ///
    /// The columns have the types of [`super::AggregateCall::inputs`].
    ///
    /// # Errors
    /// Overflow under ANSI rules; the buffers are then unusable.
    fn update(&mut self, slots: &[u32], args: &[ArrayRef], arrival: Arrival) -> Result<()>;

    /// Merges slot `from` into slot `to` for every `(from, to)`, one after the other; later
    /// steps see the results of earlier ones.
    ///
    /// # Errors
    /// As for [`AggregateBuffer::update`].
    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()>;

    /// As [`AggregateBuffer::merge_slots`], but all of `from` counts as arrived after all of
    /// `to`, whatever their arrivals say: sessions merge in the order of their starts.
    ///
    /// # Errors
    /// As for [`AggregateBuffer::update`].
    fn append_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        self.merge_slots(steps)
    }

    /// Merges row `i` of exported buffer columns into `slots[i]`, in order.
    ///
    /// # Errors
    /// Columns of another shape; overflow under ANSI rules.
    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()>;

    /// As [`AggregateBuffer::merge_columns`] for partial results of a batch query, which count
    /// as arrived in `batch`, whatever they say themselves.
    ///
    /// # Errors
    /// As for [`AggregateBuffer::merge_columns`].
    fn merge_arrived(&mut self, slots: &[u32], columns: &[ArrayRef], _batch: i64) -> Result<()> {
        self.merge_columns(slots, columns)
    }

    /// The function's value for each of `slots`; changes nothing.
    ///
    /// # Errors
    /// Overflow of the result under ANSI rules.
    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef>;

    /// The buffers of `slots` as columns of [`super::AggregateCall::buffer_fields`].
    ///
    /// # Errors
    /// Only when Arrow cannot build the columns (more than 2 GiB of text in one).
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>>;

    /// Empties `slots`.
    fn clear(&mut self, slots: &[u32]);

    /// Bytes held, estimated.
    fn memory(&self) -> usize;
}
