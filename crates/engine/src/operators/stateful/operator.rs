//! What the query loop asks of an operator that keeps state between batches.

use std::fmt;

use async_trait::async_trait;

use super::StateChanges;
use crate::{Result, query::BatchId, time::Millis};

/// The life of a stateful operator's state across batches.
///
/// State version `N` is what batch `N` reads; batch `N` writes version `N + 1`. Version 0
/// is empty. While a plan executes, the operator mutates its state in memory; the loop
/// then calls [`StatefulOperator::seal`] and writes what it gives, beside the next batch.
/// After any error the query stops, and the next run starts with [`StatefulOperator::load`].
#[async_trait]
pub trait StatefulOperator: fmt::Debug + Send + Sync {
    /// Spark's operator name: `stateStoreSave`, `dedupe`, ...
    fn name(&self) -> &'static str;

    /// Makes memory hold the state that `batch` reads.
    ///
    /// # Errors
    /// State files are missing or damaged, or were written by an incompatible query
    /// (`STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE` and its kin).
    async fn load(&self, batch: BatchId) -> Result<()>;

    /// Ends `batch`: what has to be written to make the state after it durable. The
    /// operator is ready for the next batch.
    ///
    /// # Errors
    /// The batch was not executed to its end.
    fn seal(&self, batch: BatchId) -> Result<StateChanges>;

    /// Seals `batch` and makes the state after it durable.
    ///
    /// # Errors
    /// As [`StatefulOperator::seal`], and the storage's.
    async fn commit(&self, batch: BatchId) -> Result<()> {
        self.seal(batch)?.write().await
    }

    /// Whether a batch without data would emit or evict something under `watermark`
    /// (Spark's `shouldRunAnotherBatch`). Both are the operator's own eviction watermarks:
    /// that of the last batch executed, and that of the batch to be.
    fn wants_batch(&self, previous: Millis, watermark: Millis) -> bool;

    /// Number of the operator in its query: `state/<operator_id>`.
    fn operator_id(&self) -> usize;

    /// How old rows that leave the operator can be when its input is at `input` (Spark's
    /// `produceOutputWatermark`): the watermark of what is above. `None`: it says nothing.
    fn output_watermark(&self, input: Millis) -> Option<Millis>;

    /// Figures of the batch just executed, for the progress JSON.
    fn metrics(&self) -> StateOperatorMetrics;

    /// Files of versions that no retained batch needs may go; `oldest` is still needed.
    async fn purge(&self, oldest: BatchId) -> Result<()>;
}

/// `stateOperators[i]` of the progress JSON; counts are (window, key) groups, never panes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateOperatorMetrics {
    /// Groups in state after the batch.
    pub num_rows_total: i64,
    /// Groups touched in the batch.
    pub num_rows_updated: i64,
    /// Groups removed by the watermark.
    pub num_rows_removed: i64,
    /// Groups dropped as late, after partial aggregation.
    pub num_rows_dropped_by_watermark: i64,
    /// Bytes held in memory.
    pub memory_used_bytes: i64,
    /// Milliseconds spent updating, removing and committing.
    pub all_updates_time_ms: i64,
    /// See `all_updates_time_ms`.
    pub all_removals_time_ms: i64,
    /// See `all_updates_time_ms`.
    pub commit_time_ms: i64,
    /// Further figures by name, sorted by the printer.
    pub custom_metrics: Vec<(String, i64)>,
}
