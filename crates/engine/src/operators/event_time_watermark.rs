//! `EventTimeWatermarkExec`: observes event times as rows pass by.
//!
//! Rows, their order and their partitions stay as they are. In a batch query there is no
//! [`BatchContext`] and the node does nothing, as in Spark, where it is optimised away.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray, cast::AsArray},
        datatypes::{DataType, SchemaRef, TimestampMicrosecondType},
    },
    common::{Result, exec_err, internal_datafusion_err, tree_node::TreeNodeRecursion},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
        ReplaceChildrenOptions, execution_plan::CardinalityEffect, stream::RecordBatchStreamAdapter,
    },
};
use futures::StreamExt;

use super::piece_by_piece::PieceRows;
use crate::{
    plan::EventTimeWatermark,
    query::{BatchContext, EventTimeRange},
    time::Millis,
};

/// Collects least, greatest, sum and count of one column into the batch's
/// [`EventTimeStats`](crate::query::EventTimeStats).
#[derive(Debug, Clone)]
pub struct EventTimeWatermarkExec {
    input: Arc<dyn ExecutionPlan>,
    column: usize,
    delay_ms: i64,
    /// Which entry of `BatchContext::event_times` is ours; none in a batch query.
    ordinal: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl EventTimeWatermarkExec {
    /// Plans the logical node over its planned input.
    ///
    /// # Errors
    /// Internal ones: a missing input or column.
    pub fn plan(
        node: &EventTimeWatermark,
        inputs: &[Arc<dyn ExecutionPlan>],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = inputs else {
            return Err(internal_datafusion_err!("watermark with {} inputs", inputs.len()));
        };
        let column = node.column_index()?;
        // Positions agree with the logical input; the mark on the column is logical only.
        let schema: SchemaRef = Arc::new(node.output_schema());
        Ok(Arc::new(Self {
            properties: properties(input, schema),
            input: Arc::clone(input),
            column,
            delay_ms: node.delay_ms(),
            ordinal: node.ordinal(),
        }))
    }

    /// Whether the node belongs to a stream; in a batch it does nothing.
    pub fn observes(&self) -> bool {
        self.ordinal.is_some()
    }

    /// Position of the event-time column.
    pub fn column(&self) -> usize {
        self.column
    }
}

fn properties(input: &Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Arc<PlanProperties> {
    let below = input.properties();
    Arc::new(
        PlanProperties::new(
            EquivalenceProperties::new(schema),
            below.partitioning.clone(),
            below.emission_type,
            below.boundedness,
        )
        .with_scheduling_type(below.scheduling_type),
    )
}

impl DisplayAs for EventTimeWatermarkExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventTimeWatermarkExec: column={}, delay={} ms", self.column, self.delay_ms)
    }
}

impl ExecutionPlan for EventTimeWatermarkExec {
    fn name(&self) -> &str {
        "EventTimeWatermarkExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| internal_datafusion_err!("watermark without input"))?;
        let properties = match options.children_properties {
            ChildrenPropertiesMode::Keep => Arc::clone(&self.properties),
            ChildrenPropertiesMode::Recompute => properties(&input, self.schema()),
        };
        Ok(Arc::new(Self { input, properties, ..self.as_ref().clone() }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, Arc::clone(&context))?;
        let schema = self.schema();
        let column = self.column;
        let observed = match self.ordinal {
            Some(ordinal) => Some((BatchContext::of(&context)?, ordinal)),
            None => None,
        };
        let marked = Arc::clone(&schema);
        let shared = observed.as_ref().map(|(batch, _)| Arc::clone(batch));
        let rows = rows.map(move |batch| {
            let batch = batch?;
            if let Some((context, ordinal)) = &observed {
                let Some(stats) = context.event_times.get(*ordinal) else {
                    return Err(internal_datafusion_err!("no watermark {ordinal} in this batch"));
                };
                if let Some(range) = observe(batch.column(column))? {
                    stats.merge(range);
                }
            }
            RecordBatch::try_new_with_options(
                Arc::clone(&marked),
                batch.columns().to_vec(),
                &datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
            )
            .map_err(Into::into)
        });
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema, rows));
        Ok(match shared {
            // Who reads pieces reads all of them.
            Some(batch) if PieceRows::of(&context).is_none() => batch.unread.share_if_asked(rows),
            _ => rows,
        })
    }
}

/// The ordinals of the watermarks of a physical plan, root first: the order in which Spark looks for
/// one that saw rows, whose event times progress shows.
pub fn watermark_ordinals(plan: &Arc<dyn ExecutionPlan>) -> Vec<usize> {
    let own = plan.downcast_ref::<EventTimeWatermarkExec>().and_then(|exec| exec.ordinal);
    own.into_iter().chain(plan.children().into_iter().flat_map(watermark_ordinals)).collect()
}

/// The event times of a column: a timestamp, or the end of a window.
fn observe(column: &ArrayRef) -> Result<Option<EventTimeRange>> {
    let times: &TimestampMicrosecondArray = match column.data_type() {
        DataType::Timestamp(_, _) => column.as_primitive::<TimestampMicrosecondType>(),
        DataType::Struct(_) => match column.as_struct().column_by_name("end") {
            Some(end) => end.as_primitive::<TimestampMicrosecondType>(),
            None => return exec_err!("an event-time struct has no field `end`"),
        },
        other => return exec_err!("event time of type {other}"),
    };
    let mut range: Option<EventTimeRange> = None;
    let mut add = |micros: i64| {
        let at = Millis::from_micros(micros);
        match &mut range {
            None => range = Some(EventTimeRange { min: at, max: at, sum: i128::from(at.0), count: 1 }),
            Some(r) => {
                r.min = r.min.min(at);
                r.max = r.max.max(at);
                r.sum += i128::from(at.0);
                r.count += 1;
            }
        }
    };
    if times.null_count() == 0 && column.null_count() == 0 {
        times.values().iter().copied().for_each(&mut add);
    } else {
        for row in 0..times.len() {
            // As in Spark, a row without a time counts as one of the epoch here (and nowhere else).
            add(if times.is_valid(row) && column.is_valid(row) { times.value(row) } else { 0 });
        }
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observes_in_milliseconds_rounded_down_and_takes_nulls_for_the_epoch() {
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(1_999), None, Some(-1)]));
        let range = observe(&times).unwrap().unwrap();
        assert_eq!(range, EventTimeRange { min: Millis(-1), max: Millis(1), sum: 0, count: 3 });
        let none: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![None, None]));
        let epoch = EventTimeRange { min: Millis(0), max: Millis(0), sum: 0, count: 2 };
        assert_eq!(observe(&none).unwrap(), Some(epoch));
        assert_eq!(observe(&none.slice(0, 0)).unwrap(), None);
    }
}
