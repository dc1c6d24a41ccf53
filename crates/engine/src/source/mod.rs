//! Streaming sources: where new rows come from, addressed by offsets.

pub mod file;
mod offset;
mod rate;
mod rate_micro_batch;
mod socket;

use std::{fmt, path::Path, sync::Arc};

use async_trait::async_trait;
use datafusion::{arrow::datatypes::SchemaRef, execution::SendableRecordBatchStream};

use crate::{
    Result, SparkError,
    checkpoint::{LogRetention, StorageRef},
    format::Options,
    time::{Clock, Zone},
};
pub use offset::Offset;
pub use rate::{RateSource, rate_schema};
pub use rate_micro_batch::RateMicroBatchSource;
pub use socket::{SocketSource, socket_schema};

/// What a streaming read asks for, before the query runs: Spark's
/// `readStream.format(..).schema(..).option(..).load(path)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourceSpec {
    /// Lower-case short name: `rate`, `csv`, ...
    pub format: String,
    /// Full schema of the rows, partition columns last (Spark's order).
    pub schema: SchemaRef,
    /// Options as given.
    pub options: Options,
    /// Paths as given (relative ones already made absolute, globs kept).
    pub paths: Vec<String>,
}

/// Makes the running source of a streaming read.
///
/// `log` is its directory in the checkpoint (`sources/<i>`); `zone` the session time zone.
///
/// # Errors
/// `DATA_SOURCE_NOT_FOUND` for a format nobody knows; whatever the source finds wrong with
/// its options, paths or log.
pub fn create(
    spec: &SourceSpec,
    log: &Path,
    storage: StorageRef,
    clock: Arc<dyn Clock>,
    zone: &str,
    retention: LogRetention,
) -> Result<Arc<dyn Source>> {
    match spec.format.as_str() {
        "rate" => Ok(Arc::new(RateSource::new(spec, log, storage, clock)?)),
        "rate-micro-batch" => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            Ok(Arc::new(RateMicroBatchSource::new(spec, i64::try_from(cores).unwrap_or(1))?))
        }
        "socket" => Ok(Arc::new(SocketSource::new(spec, clock)?)),
        "csv" | "json" | "parquet" | "text" => {
            let zone = Zone::parse(zone).unwrap_or(Zone::UTC);
            Ok(Arc::new(file::FileSource::new(spec, log, storage, clock, zone, retention)?))
        }
        other => Err(SparkError::new("DATA_SOURCE_NOT_FOUND").with("provider", other)),
    }
}

/// An option that Spark refuses with a plain `IllegalArgumentException`.
fn option_error(message: String) -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_3241").with("msg", message)
}

/// How much one batch may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadLimit {
    /// The source's own admission options (`maxFilesPerTrigger`, ...).
    Admission,
    /// Everything there is (`Trigger.Once`).
    All,
}

/// A streaming source: hands out offsets, and the rows between two of them.
///
/// The rows between two offsets, and their order, are the same at every call, also
/// after a restart: exactly-once rests on this.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync {
    /// As in Spark's progress JSON, for example `FileStreamSource[file:/data/in]`.
    fn description(&self) -> String;

    /// Schema of the rows.
    fn schema(&self) -> SchemaRef;

    /// The newest offset a batch starting at `start` may reach, `start` itself when
    /// there is nothing new, `None` when there has never been anything.
    ///
    /// # Errors
    /// The query stops with the error; a restart repeats the call.
    async fn latest_offset(&self, start: Option<&Offset>, limit: ReadLimit) -> Result<Option<Offset>>;

    /// Makes durable what `end` stands for, where the source keeps a log of its own.
    ///
    /// Runs beside the write of `offsets/N`; no row up to `end` is seen outside before both
    /// are done.
    ///
    /// # Errors
    /// The query stops with the error; a restart plans the batch anew.
    async fn log(&self, _end: &Offset) -> Result<()> {
        Ok(())
    }

    /// Whether [`Source::log`] of `end` came to its end, in this run or one before.
    fn has_logged(&self, _end: &Offset) -> Result<bool> {
        Ok(true)
    }

    /// The newest offset known, whatever the limits: `latestOffset` in the progress JSON.
    fn reported_latest(&self) -> Option<Offset>;

    /// The pieces holding the rows in `(start, end]`, in a fixed order.
    ///
    /// # Errors
    /// When the log of the source has lost an offset: the checkpoint is unusable.
    async fn plan_batch(&self, start: Option<&Offset>, end: &Offset) -> Result<Vec<Arc<dyn Split>>>;

    /// Whether, once `prepare_available_now` has fixed the end, the next offset may be asked for
    /// before the batch up to the last one has run.
    fn can_look_ahead(&self) -> bool {
        false
    }

    /// `availableNow`: fixes what is there now as the end of this run.
    async fn prepare_available_now(&self) -> Result<()>;

    /// Everything up to `end` is committed and will not be asked for again.
    async fn commit(&self, end: &Offset) -> Result<()>;

    /// Completes when new data may have arrived; spurious wake-ups are fine.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    async fn changed(&self);
}

/// A piece of a batch that is read by one task: a file, a byte range, or rows at hand.
#[async_trait]
pub trait Split: fmt::Debug + Send + Sync {
    /// Reads the rows of the columns `projection` (positions in the source's schema).
    ///
    /// # Errors
    /// Missing or unreadable data; malformed rows in `FAILFAST`.
    async fn open(&self, projection: &[usize]) -> Result<SendableRecordBatchStream>;

    /// Size in bytes where known, for balancing; 0 otherwise.
    fn size_hint(&self) -> u64 {
        0
    }
}
