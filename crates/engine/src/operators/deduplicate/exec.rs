//! `DeduplicateExec`: drops late rows, then rows whose key was there before.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, BooleanArray, RecordBatch},
        compute::{filter_record_batch, not, prep_null_mask_filter},
        datatypes::SchemaRef,
    },
    catalog::Session,
    common::{DFSchema, DataFusionError, Result, internal_datafusion_err},
    logical_expr::{Expr, UserDefinedLogicalNodeCore},
    physical_plan::{ExecutionPlan, PhysicalExpr},
};
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;

use super::seen::{Definition, Forgets};
use crate::{
    SparkError,
    operators::stateful::{
        InputRows, StateKeeper, StatefulExec, StatefulNode, StatefulOperator, event_time_column, event_times,
    },
    plan::Deduplicate,
    query::{BatchContext, OperatorWatermarks},
};

/// A deduplication over planned expressions.
#[derive(Debug)]
pub(crate) struct DeduplicateNode {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    /// Place of the event time in the input: rows behind the watermark are dropped.
    event_time: Option<usize>,
    keeper: Arc<StateKeeper<Definition>>,
}

/// Rows dropped in a batch.
#[derive(Debug, Clone, Copy, Default)]
struct Dropped {
    late: i64,
    duplicate: i64,
}

impl DeduplicateNode {
    /// Plans the logical node over its planned input.
    ///
    /// # Errors
    /// Keys whose type cannot be kept, and several event-time columns.
    pub(crate) fn plan(
        node: &Deduplicate,
        schema: &DFSchema,
        input: Arc<dyn ExecutionPlan>,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(operator_id) = node.operator_id() else { return Err(without_stream().into()) };
        let location = StatefulExec::location(session)?;
        let columns = node.keys().iter().cloned().map(Expr::Column);
        let keys = columns.map(|c| session.create_physical_expr(c, schema)).collect::<Result<Vec<_>>>()?;
        let key_types =
            keys.iter().map(|k| k.data_type(input.schema().as_ref())).collect::<Result<Vec<_>>>()?;
        let output = Arc::clone(UserDefinedLogicalNodeCore::schema(node).inner());
        let event_time = event_time_column(&output)?;
        let forgets = match event_time {
            // Spark differs: of a window it takes the place of the struct in its row for the time, so that
            // every key is forgotten at the end of its batch; here it is the window's end.
            Some((_, delay_ms)) if node.within_watermark() => Forgets::After(delay_ms.saturating_mul(1000)),
            None if node.within_watermark() => {
                return Err(internal_datafusion_err!("deduplication within no watermark"));
            }
            Some((index, _)) => {
                let mut places = node.keys().iter().map(|key| schema.index_of_column(key).ok());
                places.position(|place| place == Some(index)).map_or(Forgets::Never, Forgets::Key)
            }
            None => Forgets::Never,
        };
        let key_names = node.keys().iter().map(|c| location.shown_name(&c.name)).collect();
        let definition = Definition { key_names, key_types, forgets };
        let keeper = Arc::new(StateKeeper::new(definition, operator_id, &location)?);
        let planned = Self { keys, event_time: event_time.map(|(index, _)| index), keeper };
        Ok(Arc::new(StatefulExec::new(Arc::new(planned), vec![input], output)))
    }

    /// The rows of `rows` that stay.
    fn first_rows(
        &self,
        rows: &RecordBatch,
        batch: &BatchContext,
        watermarks: OperatorWatermarks,
        dropped: &mut Dropped,
    ) -> Result<RecordBatch> {
        let mut rows = rows.clone();
        let mut times = self.event_time.map(|i| event_times(rows.column(i))).transpose()?;
        if let Some(own) = &times {
            let late = watermarks.late.as_micros();
            // A row without a time is never late.
            let mut is_late = BooleanArray::from_unary(own, |t| t <= late);
            if is_late.null_count() > 0 {
                is_late = prep_null_mask_filter(&is_late);
            }
            if is_late.true_count() > 0 {
                dropped.late += count(is_late.true_count());
                rows = filter_record_batch(&rows, &not(&is_late)?)?;
                times = self.event_time.map(|i| event_times(rows.column(i))).transpose()?;
            }
        }
        let len = rows.num_rows();
        let keys =
            self.keys.iter().map(|k| k.evaluate(&rows)?.into_array(len)).collect::<Result<Vec<_>>>()?;
        let first = self.keeper.update(batch.batch_id, |seen| seen.first_rows(&keys, times.as_ref(), len))?;
        dropped.duplicate += count(len - first.true_count());
        Ok(filter_record_batch(&rows, &first)?)
    }

    /// Ends the batch: forgets keys and counts.
    fn finish(&self, batch: &BatchContext, watermarks: OperatorWatermarks, dropped: Dropped) -> Result<()> {
        let evict = watermarks.eviction.as_micros();
        self.keeper.finish(batch.batch_id, Some(evict), |seen, metrics| {
            metrics.num_rows_updated = count(seen.added());
            metrics.num_rows_removed = count(seen.forget(evict));
            metrics.num_rows_total = count(seen.live());
            metrics.num_rows_dropped_by_watermark = dropped.late;
            metrics.custom_metrics = vec![("numDroppedDuplicateRows".to_string(), dropped.duplicate)];
            Ok(())
        })?;
        Ok(())
    }
}

/// The refusal of `dropDuplicatesWithinWatermark` in a batch query, in Spark's words.
fn without_stream() -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_3102")
        .with("msg", "dropDuplicatesWithinWatermark is not supported with batch DataFrames/DataSets")
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

impl StatefulNode for DeduplicateNode {
    fn name(&self) -> &'static str {
        "DeduplicateExec"
    }

    fn operator(&self) -> Arc<dyn StatefulOperator> {
        Arc::clone(&self.keeper) as Arc<dyn StatefulOperator>
    }

    fn expressions(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.keys.iter().collect()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.keys.iter().map(ToString::to_string).collect();
        write!(f, "keys=[{}]", keys.join(", "))?;
        match self.keeper.definition().forgets {
            Forgets::After(_) => write!(f, ", within watermark"),
            _ => Ok(()),
        }
    }

    fn run(
        self: Arc<Self>,
        inputs: Vec<InputRows>,
        batch: Arc<BatchContext>,
        _schema: SchemaRef,
    ) -> InputRows {
        let rows = async move {
            let watermarks = self.keeper.begin(&batch)?;
            let dropped = Arc::new(Mutex::new(Dropped::default()));
            let (node, context, counts) = (Arc::clone(&self), Arc::clone(&batch), Arc::clone(&dropped));
            let kept = stream::iter(inputs)
                .flatten()
                .map(move |rows| node.first_rows(&rows?, &context, watermarks, &mut counts.lock()).map(Some));
            let end = async move {
                let dropped = *dropped.lock();
                self.finish(&batch, watermarks, dropped).map(|()| None)
            };
            Ok::<_, DataFusionError>(
                kept.chain(stream::once(end)).try_filter_map(|rows| std::future::ready(Ok(rows))),
            )
        };
        stream::once(rows).try_flatten().boxed()
    }
}
