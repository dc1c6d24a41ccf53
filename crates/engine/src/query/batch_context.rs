//! What one execution of a query's plan needs to know about its batch.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use datafusion::execution::TaskContext;
use parking_lot::Mutex;

use super::{BatchId, OpenPieces, Unread};
use crate::{Result, SparkError, sink::OutputMode, source::Split, time::Millis};

/// The batch being executed, handed to every operator through the task context.
///
/// The plan of a query is made once; whatever differs from batch to batch is read from
/// here at `execute()`. It travels as a `SessionConfig` extension.
#[derive(Debug)]
pub struct BatchContext {
    /// Number of the batch; operators read state version `batch_id` and write the next one.
    pub batch_id: BatchId,
    /// Trigger time: `current_timestamp()` of the batch, also when it is run again.
    pub timestamp: Millis,
    /// Output mode of the query.
    pub output_mode: OutputMode,
    /// What the query's watermarks are for each stateful operator.
    pub watermarks: Watermarks,
    /// By scan ordinal: the pieces to read, in order.
    pub inputs: Vec<BatchInput>,
    /// By watermark ordinal (order in the plan, left to right).
    pub event_times: Vec<EventTimeStats>,
    /// What has to be read to its end.
    pub unread: Unread,
}

/// The watermarks of a batch, by operator.
#[derive(Debug, Clone, Default)]
pub struct Watermarks {
    /// For operators that `operators` does not name: the query's own.
    pub query: OperatorWatermarks,
    /// By operator id, where it differs.
    pub operators: BTreeMap<usize, OperatorWatermarks>,
}

/// What is late and what is final at one operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OperatorWatermarks {
    /// Rows at or below this are late: what the batch before knew, 0 before any.
    pub late: Millis,
    /// State at or below this is final: what this batch knows, 0 before any.
    pub eviction: Millis,
}

/// What one scan reads in this batch, and how much it has read.
#[derive(Debug, Default)]
pub struct BatchInput {
    /// Pieces in the source's fixed order; empty when the source has nothing new.
    pub splits: Vec<Arc<dyn Split>>,
    /// The first of these, where the batch before has opened them.
    pub open: OpenPieces,
    /// Pieces of the next batch that may be opened once all of this one's are.
    pub upcoming: Vec<Arc<dyn Split>>,
    /// The first of those, opened.
    pub next_open: OpenPieces,
    /// Rows read so far (Spark's `numInputRows`).
    pub rows: AtomicI64,
}

/// Event times seen by one watermark node in this batch, in milliseconds.
#[derive(Debug, Default)]
pub struct EventTimeStats {
    inner: Mutex<Option<EventTimeRange>>,
}

/// Least, greatest, sum and count of event times, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventTimeRange {
    /// Least.
    pub min: Millis,
    /// Greatest.
    pub max: Millis,
    /// Sum, for the average of the progress JSON; exact, so that the order of rows is of no matter.
    pub sum: i128,
    /// Number of rows; those without an event time count as the epoch, as in Spark.
    pub count: u64,
}

impl BatchContext {
    /// The batch a task runs for.
    ///
    /// # Errors
    /// An internal error when the plan is executed outside a streaming query.
    pub fn of(task: &TaskContext) -> Result<Arc<Self>> {
        task.session_config().get_extension::<Self>().ok_or_else(|| {
            SparkError::internal("a streaming operator was executed outside a streaming query")
        })
    }

    /// The watermarks of one stateful operator.
    pub fn watermarks(&self, operator_id: usize) -> OperatorWatermarks {
        self.watermarks.operators.get(&operator_id).copied().unwrap_or(self.watermarks.query)
    }
}

impl BatchInput {
    /// Rows read so far.
    pub fn rows(&self) -> i64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Counts rows as read.
    pub fn add_rows(&self, rows: usize) {
        self.rows.fetch_add(i64::try_from(rows).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

impl EventTimeStats {
    /// Adds the event times of some rows.
    pub fn merge(&self, other: EventTimeRange) {
        let mut inner = self.inner.lock();
        *inner = Some(match *inner {
            None => other,
            Some(own) => EventTimeRange {
                min: own.min.min(other.min),
                max: own.max.max(other.max),
                sum: own.sum + other.sum,
                count: own.count + other.count,
            },
        });
    }

    /// What was seen, `None` when no row had an event time.
    pub fn range(&self) -> Option<EventTimeRange> {
        *self.inner.lock()
    }
}
