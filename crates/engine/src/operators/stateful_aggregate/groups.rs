//! What the operator asks of a store of groups.

use std::fmt;

use datafusion::arrow::array::ArrayRef;

use super::batch::{Counts, Emission, Frame, Rows};
use crate::Result;

/// Groups of one operator, in memory. A batch is `begin`, `update` for each chunk of rows,
/// `finish`; then `changes` may be asked for until the next `begin`.
pub(super) trait Groups: fmt::Debug + Send {
    /// Starts a batch.
    fn begin(&mut self);

    /// Takes rows in order of arrival.
    fn update(&mut self, rows: &Rows, frame: &Frame) -> Result<()>;

    /// Emits what the output mode wants and evicts what is final.
    fn finish(&mut self, frame: &Frame) -> Result<(Emission, Counts)>;

    /// The rows of the store that the batch changed and that still exist, sorted: columns
    /// as [`super::spec::Spec::stored_schema`] says.
    fn changes(&self) -> Result<Vec<ArrayRef>>;

    /// All rows of the store, sorted.
    fn snapshot(&self) -> Result<Vec<ArrayRef>>;

    /// Number of rows of [`Groups::snapshot`].
    fn stored_rows(&self) -> usize;

    /// Loading: adds or replaces rows.
    fn restore(&mut self, columns: &[ArrayRef]) -> Result<()>;

    /// Loading: removes what a watermark of `micros` has evicted.
    fn evict(&mut self, micros: i64) -> Result<()>;

    /// Loading is done; `evicted` is the last watermark that evicted.
    fn loaded(&mut self, evicted: Option<i64>);

    /// Bytes held, estimated.
    fn memory(&self) -> usize;
}
