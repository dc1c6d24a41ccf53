//! `TimeWindowExec`: one output row for each window that holds a row.
//!
//! Used in batch queries, and in streams where the window is not fused with an aggregate.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch, StructArray, TimestampMicrosecondArray, UInt32Array},
        compute::take,
        datatypes::{DataType, Fields, SchemaRef, TimestampMicrosecondType},
    },
    catalog::Session,
    common::{DFSchema, Result, internal_datafusion_err, tree_node::TreeNodeRecursion},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr,
        PlanProperties, ReplaceChildrenOptions, stream::RecordBatchStreamAdapter,
    },
};
use futures::StreamExt;

use crate::{plan::TimeWindow, time::WindowSpec};

/// Appends the window column, latest window first; rows whose time is null vanish.
#[derive(Debug, Clone)]
pub struct TimeWindowExec {
    input: Arc<dyn ExecutionPlan>,
    time: Arc<dyn PhysicalExpr>,
    spec: WindowSpec,
    properties: Arc<PlanProperties>,
}

impl TimeWindowExec {
    /// Plans the logical node over its planned input.
    ///
    /// # Errors
    /// When the time expression cannot be planned.
    pub fn plan(
        node: &TimeWindow,
        schema: &DFSchema,
        input: Arc<dyn ExecutionPlan>,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let time = session.create_physical_expr(node.time().clone(), schema)?;
        let output = datafusion::logical_expr::UserDefinedLogicalNodeCore::schema(node).inner();
        let properties = properties(&input, Arc::clone(output));
        Ok(Arc::new(Self { input, time, spec: node.spec(), properties }))
    }
}

fn properties(input: &Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Arc<PlanProperties> {
    let below = input.properties();
    let partitions = Partitioning::UnknownPartitioning(below.partitioning.partition_count());
    let equivalence = EquivalenceProperties::new(schema);
    Arc::new(PlanProperties::new(equivalence, partitions, below.emission_type, below.boundedness))
}

/// Expands one batch.
fn expand(batch: &RecordBatch, time: &ArrayRef, spec: WindowSpec, schema: &SchemaRef) -> Result<RecordBatch> {
    let Some(time) = time.as_primitive_opt::<TimestampMicrosecondType>() else {
        return Err(internal_datafusion_err!("window over {}", time.data_type()));
    };
    let window = schema.fields().last().map(|f| f.data_type().clone());
    let Some(DataType::Struct(fields)) = window else {
        return Err(internal_datafusion_err!("the window column is no struct"));
    };
    let capacity = batch.num_rows();
    let (mut rows, mut starts) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
    for row in 0..batch.num_rows() {
        if time.is_valid(row) {
            for start in spec.starts(time.value(row)) {
                rows.push(row as u32);
                starts.push(start);
            }
        }
    }
    let ends = starts.iter().map(|start| start + spec.duration()).collect();
    let rows = UInt32Array::from(rows);
    let mut columns = batch.columns().iter().map(|c| take(c, &rows, None)).collect::<Result<Vec<_>, _>>()?;
    columns.push(window_column(&fields, starts, ends)?);
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// The struct column of windows; `fields` are `start` and `end` of a timestamp type.
pub(super) fn window_column(fields: &Fields, starts: Vec<i64>, ends: Vec<i64>) -> Result<ArrayRef> {
    let [start, _] = fields.as_ref() else {
        return Err(internal_datafusion_err!("a window has {} fields", fields.len()));
    };
    let edge = |micros: Vec<i64>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(micros).with_data_type(start.data_type().clone()))
    };
    Ok(Arc::new(StructArray::try_new(fields.clone(), vec![edge(starts), edge(ends)], None)?))
}

impl DisplayAs for TimeWindowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (duration, slide, start) = (self.spec.duration(), self.spec.slide(), self.spec.start_time());
        write!(
            f,
            "TimeWindowExec: time={}, duration={duration} us, slide={slide} us, start={start} us",
            self.time
        )
    }
}

impl ExecutionPlan for TimeWindowExec {
    fn name(&self) -> &str {
        "TimeWindowExec"
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

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        f(&self.time)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| internal_datafusion_err!("window without input"))?;
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
        let rows = self.input.execute(partition, context)?;
        let (schema, time, spec) = (self.schema(), Arc::clone(&self.time), self.spec);
        let output = Arc::clone(&schema);
        let expanded = rows.map(move |batch| {
            let batch = batch?;
            let time = time.evaluate(&batch)?.into_array(batch.num_rows())?;
            expand(&batch, &time, spec, &schema)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(output, expanded)))
    }
}
