//! What a batch changed in one operator's state, encoded.

use crate::{
    Result,
    checkpoint::storage::blocking,
    state::{OperatorMetadata, StateFileName, StateLog},
};

/// The files of one version of an operator's state, on their way to the storage.
#[derive(Debug, Default)]
#[must_use = "state that is not written is lost"]
pub struct StateChanges {
    /// The operator's directory and its metadata, in the first batch of a run.
    pub(super) metadata: Option<(StateLog, OperatorMetadata)>,
    /// By store: its files in the order to write them.
    pub(super) stores: Vec<Vec<(StateLog, StateFileName, Vec<u8>)>>,
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
        let stores = self.stores.into_iter().map(|files| {
            blocking(move || files.iter().try_for_each(|(log, name, bytes)| log.write(name, bytes)))
        });
        futures::future::join_all(stores).await.into_iter().collect()
    }
}
