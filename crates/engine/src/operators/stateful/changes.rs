//! What a batch changed in one operator's state.

use datafusion::arrow::array::RecordBatch;

use crate::{
    Result,
    checkpoint::storage::blocking,
    state::{Header, OperatorMetadata, StateCodec, StateFile, StateFileName, StateLog},
};

/// The files of one version of an operator's state, on their way to the storage.
#[derive(Debug, Default)]
#[must_use = "state that is not written is lost"]
pub struct StateChanges {
    /// The operator's directory and its metadata, in the first batch of a run.
    pub(super) metadata: Option<(StateLog, OperatorMetadata)>,
    /// By store: its files in the order to write them.
    pub(super) stores: Vec<Vec<StateRows>>,
}

/// One file to be. Rows are taken out of the state while nothing changes it, and encoded and
/// compressed beside the next batch (a fifth of a running aggregate's work).
#[derive(Debug)]
pub(super) struct StateRows {
    pub(super) log: StateLog,
    pub(super) name: StateFileName,
    pub(super) header: Header,
    pub(super) rows: RecordBatch,
    pub(super) at_once: bool,
    pub(super) codec: StateCodec,
}

impl StateRows {
    fn write(self) -> Result<()> {
        let bytes = StateFile::encode(self.header, &self.rows, self.at_once, self.codec)?;
        self.log.write(&self.name, &bytes)
    }
}

impl StateChanges {
    /// Makes the state durable: stores side by side, a change before the part of a snapshot
    /// that rests on it. Every call has ended when this returns, also with an error.
    ///
    /// # Errors
    /// The storage's, as a Spark error.
    pub async fn write(self) -> Result<()> {
        if let Some((log, metadata)) = self.metadata {
            blocking(move || metadata.write_once(log.storage().as_ref(), log.dir())).await?;
        }
        let stores = self.stores.into_iter();
        let stores = stores.map(|files| blocking(move || files.into_iter().try_for_each(StateRows::write)));
        futures::future::join_all(stores).await.into_iter().collect()
    }
}
