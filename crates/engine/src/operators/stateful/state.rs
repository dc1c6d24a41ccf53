//! What the keeper of an operator's state asks of the state.

use std::fmt;

use datafusion::arrow::{array::ArrayRef, datatypes::SchemaRef};

use crate::{
    Result,
    query::BatchId,
    state::{StateLayout, StateSchema},
    time::Millis,
};

/// One table of an operator's state, with files of its own.
#[derive(Debug, Clone)]
pub struct StateStore {
    /// Its directory under the operator's, empty for the operator's own.
    pub directory: &'static str,
    /// Columns of the stored rows.
    pub rows: SchemaRef,
    /// What has to stay the same from run to run.
    pub schema: StateSchema,
    /// What the rows mean to a reader.
    pub layout: StateLayout,
    /// Whether rows of a file are restored at once, and not batch by batch: where several
    /// rows together replace others.
    pub at_once: bool,
}

/// What does not change over the life of an operator.
pub trait StateDefinition: fmt::Debug + Send + Sync + 'static {
    /// The state in memory.
    type State: OperatorState;

    /// Spark's operator name: `stateStoreSave`, `dedupe`, ...
    fn name(&self) -> &'static str;

    /// The tables, numbered from 0; one for most operators.
    ///
    /// # Errors
    /// Types that cannot be kept.
    fn stores(&self) -> Result<Vec<StateStore>>;

    /// Names and prefix columns of the stores Spark would have, for its metadata file.
    fn spark_stores(&self) -> Vec<(&'static str, usize)> {
        vec![("default", 0)]
    }

    /// The time up to which rows of a store have aged when a watermark of `micros` evicts, if
    /// that is another.
    fn aged(&self, _store: usize, _micros: i64) -> Option<i64> {
        None
    }

    /// State of nothing.
    ///
    /// # Errors
    /// `UNSUPPORTED_FEATURE` for types that cannot be kept.
    fn create(&self) -> Result<Self::State>;

    /// See [`super::StatefulOperator::wants_batch`].
    fn wants_batch(&self, previous: Millis, watermark: Millis) -> bool;

    /// See [`super::StatefulOperator::output_watermark`].
    fn output_watermark(&self, input: Millis) -> Option<Millis> {
        Some(input)
    }
}

/// State in memory, as its files need it.
///
/// A batch is [`OperatorState::begin`], whatever the operator does with rows, and then
/// `changes`. Between batches a walk over all rows may go on a few steps. Loading is, for
/// each file in order: `evict` with the watermark the file names, `restore` with its rows;
/// at the end `loaded`.
///
/// # Invariants
/// `changes` does not depend on anything but the batches so far: sort it. No call but
/// `restore` and `loaded` may cost time by the size of the state.
pub trait OperatorState: fmt::Debug + Send + 'static {
    /// Starts a batch: `changes` are counted from here.
    fn begin(&mut self);

    /// The rows of a store that the batch changed and that still exist.
    ///
    /// What a watermark evicts needs no row: its file names the watermark. What is removed
    /// otherwise does; rows may then mean what the state likes, for example all of a key.
    ///
    /// # Errors
    /// Only when Arrow cannot build a column.
    fn changes(&self, store: usize) -> Result<Vec<ArrayRef>>;

    /// Starts a walk over the rows a store has now.
    fn start_walk(&mut self, store: usize);

    /// About `rows` more rows of the walk, as they are now, and whether it is over. Rows that
    /// have changed since it started may be left out: `changes` has had them.
    ///
    /// # Errors
    /// As [`OperatorState::changes`].
    fn walk(&mut self, store: usize, rows: usize) -> Result<(Vec<ArrayRef>, bool)>;

    /// Number of rows of a store.
    fn stored_rows(&self, store: usize) -> usize;

    /// Loading: adds or replaces rows that `changes` or `walk` gave. `walk` may give rows
    /// again that are there already.
    ///
    /// # Errors
    /// Columns that are not the store's.
    fn restore(&mut self, store: usize, columns: &[ArrayRef], from: Restored) -> Result<()>;

    /// Loading: removes from a store what a watermark of `micros` has evicted.
    ///
    /// # Errors
    /// The state's own.
    fn evict(&mut self, store: usize, micros: i64) -> Result<()>;

    /// Loading is done; `evicted` is the last watermark that evicted, in microseconds.
    fn loaded(&mut self, _evicted: Option<i64>) {}

    /// Bytes held, estimated.
    fn memory(&self) -> usize;
}

/// Where restored rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// The changes of a batch.
    Change(BatchId),
    /// A walk over the state.
    Walk,
}

/// A walk over ids below a bound, for states whose rows have ids that stay.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdWalk {
    next: u32,
    end: u32,
}

impl IdWalk {
    /// A walk over the ids below `capacity`.
    pub fn new(capacity: usize) -> Self {
        Self { next: 0, end: u32::try_from(capacity).unwrap_or(u32::MAX) }
    }

    /// The next ids with about `rows` rows; `rows_of` says how many an id has, none if it is
    /// not in use. Over when fewer come.
    pub fn take(&mut self, rows: usize, rows_of: impl Fn(u32) -> usize) -> (Vec<u32>, bool) {
        let (mut ids, mut found) = (vec![], 0);
        // Ids without rows cost time too.
        let last = self.next.saturating_add(u32::try_from(rows.saturating_mul(64)).unwrap_or(u32::MAX));
        while self.next < self.end.min(last) && found < rows {
            let own = rows_of(self.next);
            if own > 0 {
                ids.push(self.next);
                found += own;
            }
            self.next += 1;
        }
        (ids, self.next >= self.end)
    }
}

impl<S: OperatorState + ?Sized> OperatorState for Box<S> {
    fn begin(&mut self) {
        (**self).begin();
    }
    fn changes(&self, store: usize) -> Result<Vec<ArrayRef>> {
        (**self).changes(store)
    }
    fn start_walk(&mut self, store: usize) {
        (**self).start_walk(store);
    }
    fn walk(&mut self, store: usize, rows: usize) -> Result<(Vec<ArrayRef>, bool)> {
        (**self).walk(store, rows)
    }
    fn stored_rows(&self, store: usize) -> usize {
        (**self).stored_rows(store)
    }
    fn restore(&mut self, store: usize, columns: &[ArrayRef], from: Restored) -> Result<()> {
        (**self).restore(store, columns, from)
    }
    fn evict(&mut self, store: usize, micros: i64) -> Result<()> {
        (**self).evict(store, micros)
    }
    fn loaded(&mut self, evicted: Option<i64>) {
        (**self).loaded(evicted);
    }
    fn memory(&self) -> usize {
        (**self).memory()
    }
}
