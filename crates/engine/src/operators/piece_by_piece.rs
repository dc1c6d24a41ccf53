//! Plans that make their rows of one input's rows one by one, run for several pieces of a large batch
//! at once.
//!
//! Nothing of such a plan needs the rows before: so what it does need not wait until the pieces are
//! put in order again, and all cores take part in it. Its rows are the same, in the same order.

use std::sync::Arc;

use datafusion::{
    common::{Result, internal_datafusion_err},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_plan::{
        ExecutionPlan, filter::FilterExec, projection::ProjectionExec, stream::RecordBatchStreamAdapter,
    },
};
use futures::{
    StreamExt,
    stream::{BoxStream, Stream},
};
use parking_lot::Mutex;

use super::{
    event_time_watermark::EventTimeWatermarkExec,
    rowwise::RowwiseExec,
    scan_pieces::{Pieces, side_by_side},
    stream_scan::StreamScanExec,
};
use crate::{batch::run_ahead, query::BatchContext};

/// The rows of one piece, for the scan of a plan that is executed for it alone.
pub(super) struct PieceRows(Mutex<Option<SendableRecordBatchStream>>);

impl PieceRows {
    /// The piece a plan is executed for, if it is not for a whole batch.
    pub(super) fn of(task: &TaskContext) -> Option<Arc<Self>> {
        task.session_config().get_extension::<Self>()
    }

    /// The rows; to be had once.
    ///
    /// # Errors
    /// Internal: the plan has more than one scan.
    pub(super) fn take(&self) -> Result<SendableRecordBatchStream> {
        self.0.lock().take().ok_or_else(|| internal_datafusion_err!("a piece is read twice"))
    }
}

/// A plan and the pieces of a batch it can be run for.
pub struct PieceByPiece {
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    context: Arc<BatchContext>,
    ordinal: usize,
    pieces: Pieces,
}

impl PieceByPiece {
    /// The pieces of this batch for `plan`; `None` where the batch is small, or `plan` does more
    /// than go through the rows of one scan.
    ///
    /// # Errors
    /// Internal: the task belongs to no batch, or the batch has no such input.
    pub fn of(plan: &Arc<dyn ExecutionPlan>, task: &Arc<TaskContext>) -> Result<Option<Self>> {
        let Some(scan) = scan_below(plan).filter(|_| PieceRows::of(task).is_none()) else { return Ok(None) };
        let context = BatchContext::of(task)?;
        if !side_by_side(scan.input(&context)?) {
            return Ok(None);
        }
        let (ordinal, pieces) = (scan.ordinal(), scan.pieces(&context)?);
        Ok(Some(Self { plan: Arc::clone(plan), task: Arc::clone(task), context, ordinal, pieces }))
    }

    /// The rows of the plan, in the order of its input's.
    pub fn rows(self) -> SendableRecordBatchStream {
        let schema = self.plan.schema();
        Box::pin(RecordBatchStreamAdapter::new(schema, self.each(|rows| Ok(rows.boxed()))))
    }

    /// What `make` makes of the plan's rows of each piece, one piece after the other. It runs ahead,
    /// for several pieces at once.
    pub fn each<T: Send + 'static>(
        self,
        make: impl Fn(SendableRecordBatchStream) -> Result<BoxStream<'static, Result<T>>> + Send + 'static,
    ) -> impl Stream<Item = Result<T>> + Send {
        let Self { plan, task, context, ordinal, pieces } = self;
        pieces.each(context, ordinal, move |rows, _| {
            let piece = Arc::new(PieceRows(Mutex::new(Some(rows))));
            let config = task.session_config().clone().with_extension(piece);
            let own = TaskContext::default().with_session_config(config).with_runtime(task.runtime_env());
            Ok(run_ahead(make(plan.execute(0, Arc::new(own))?)?))
        })
    }
}

/// The only scan of a plan all whose nodes look at each row on its own.
fn scan_below(plan: &Arc<dyn ExecutionPlan>) -> Option<&StreamScanExec> {
    if let Some(scan) = plan.downcast_ref::<StreamScanExec>() {
        return Some(scan);
    }
    let looks_at_one_row = plan.is::<ProjectionExec>()
        || plan.is::<EventTimeWatermarkExec>()
        || plan.downcast_ref::<FilterExec>().is_some_and(|filter| filter.fetch().is_none())
        || plan.downcast_ref::<RowwiseExec>().is_some_and(|rowwise| !rowwise.counts_rows());
    match plan.children()[..] {
        [input] if looks_at_one_row => scan_below(input),
        _ => None,
    }
}
