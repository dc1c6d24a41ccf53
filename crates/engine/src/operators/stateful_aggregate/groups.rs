//! What the operator asks of a store of groups.

use super::{
    batch::{Counts, Emission, Frame, Rows},
    piece_groups::PieceGroups,
};
use crate::{Result, operators::stateful::OperatorState};

/// Groups of one operator, in memory. A batch is `begin`, `update` for each chunk of rows,
/// `finish`; then `changes` may be asked for until the next `begin`. Rows of the store are
/// those of [`super::spec::Spec::stored_schema`], sorted.
pub(super) trait Groups: OperatorState {
    /// Takes rows in order of arrival.
    fn update(&mut self, rows: &Rows, frame: &Frame) -> Result<()>;

    /// Takes groups that rows have made among themselves, in order of arrival; of no use to groups
    /// that [`PieceGrouping`](super::piece_groups::PieceGrouping) are not made for.
    fn merge(&mut self, piece: &PieceGroups, frame: &Frame) -> Result<()>;

    /// Emits what the output mode wants and evicts what is final.
    fn finish(&mut self, frame: &Frame) -> Result<(Emission, Counts)>;
}
