//! What the group stores are told of a batch, and what they give back.

use datafusion::arrow::array::{ArrayRef, StructArray, TimestampMicrosecondArray};

use super::buffer_set::Arguments;
use crate::sink::OutputMode;

/// The batch as the group stores see it; instants in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) batch: i64,
    pub(super) mode: OutputMode,
    /// Groups up to here are late: nothing of them is taken. `None`: nothing is ever late.
    pub(super) late: Option<i64>,
    /// Groups up to here are final after the batch. `None`: nothing is ever evicted.
    pub(super) evict: Option<i64>,
}

/// Rows with every expression evaluated.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) len: usize,
    /// Key columns without the fused window or the session.
    pub(super) keys: Vec<ArrayRef>,
    /// The time of the fused window.
    pub(super) time: Option<TimestampMicrosecondArray>,
    /// The rows' own sessions.
    pub(super) session: Option<StructArray>,
    pub(super) arguments: Vec<Arguments>,
}

impl Rows {
    /// `len` rows from `from` on.
    pub(super) fn slice(&self, from: usize, len: usize) -> Self {
        let cut = |arguments: &Arguments| Arguments {
            columns: arguments.columns.iter().map(|c| c.slice(from, len)).collect(),
            filter: arguments.filter.as_ref().map(|f| f.slice(from, len)),
        };
        Self {
            len,
            keys: self.keys.iter().map(|c| c.slice(from, len)).collect(),
            time: self.time.as_ref().map(|t| t.slice(from, len)),
            session: self.session.as_ref().map(|s| s.slice(from, len)),
            arguments: self.arguments.iter().map(cut).collect(),
        }
    }
}

/// Rows of the result, sorted by window start, then key.
#[derive(Debug, Default)]
pub(super) struct Emission {
    /// `(start, end)` of the fused window or the session, row by row.
    pub(super) windows: Option<(Vec<i64>, Vec<i64>)>,
    pub(super) keys: Vec<ArrayRef>,
    pub(super) results: Vec<ArrayRef>,
    pub(super) len: usize,
}

/// What happened in a batch. Groups are (window, key) pairs as Spark counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Groups in state after the batch.
    pub(super) total: i64,
    pub(super) updated: i64,
    pub(super) removed: i64,
    pub(super) dropped: i64,
    /// (row, window) pairs: offered = applied + late + null time.
    pub(super) offered: i64,
    pub(super) applied: i64,
    pub(super) late: i64,
    pub(super) null_time: i64,
}
