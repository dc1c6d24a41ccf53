//! What the keeper of an operator's state asks of the state.

use std::fmt;

use datafusion::arrow::{array::ArrayRef, datatypes::SchemaRef};

use crate::{Result, state::StateSchema, time::Millis};

/// One table of an operator's state, with change files and snapshots of its own.
#[derive(Debug, Clone)]
pub struct StateStore {
    /// Its directory under the operator's, empty for the operator's own.
    pub directory: &'static str,
    /// Columns of the stored rows.
    pub rows: SchemaRef,
    /// What has to stay the same from run to run.
    pub schema: StateSchema,
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
/// `changes` and perhaps `snapshot`. Loading is, for each file in order: `evict` with the
/// watermark the file names, `restore` with its rows; at the end `loaded`.
///
/// # Invariants
/// `changes` and `snapshot` do not depend on anything but the batches so far: sort them.
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

    /// All rows of a store.
    ///
    /// # Errors
    /// As [`OperatorState::changes`].
    fn snapshot(&self, store: usize) -> Result<Vec<ArrayRef>>;

    /// Number of rows of [`OperatorState::snapshot`].
    fn stored_rows(&self, store: usize) -> usize;

    /// Loading: adds or replaces rows that `changes` or `snapshot` gave.
    ///
    /// # Errors
    /// Columns that are not the store's.
    fn restore(&mut self, store: usize, columns: &[ArrayRef]) -> Result<()>;

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

impl<S: OperatorState + ?Sized> OperatorState for Box<S> {
    fn begin(&mut self) {
        (**self).begin();
    }
    fn changes(&self, store: usize) -> Result<Vec<ArrayRef>> {
        (**self).changes(store)
    }
    fn snapshot(&self, store: usize) -> Result<Vec<ArrayRef>> {
        (**self).snapshot(store)
    }
    fn stored_rows(&self, store: usize) -> usize {
        (**self).stored_rows(store)
    }
    fn restore(&mut self, store: usize, columns: &[ArrayRef]) -> Result<()> {
        (**self).restore(store, columns)
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
