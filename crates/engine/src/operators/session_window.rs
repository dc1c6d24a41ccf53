//! `SessionWindowExec`: gives each row the session it makes on its own.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch},
        compute::{filter, filter_record_batch},
        datatypes::{DataType, SchemaRef, TimestampMicrosecondType},
    },
    catalog::Session,
    common::{DFSchema, Result, internal_datafusion_err, tree_node::TreeNodeRecursion},
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::UserDefinedLogicalNodeCore,
    physical_expr::EquivalenceProperties,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr,
        PlanProperties, ReplaceChildrenOptions, stream::RecordBatchStreamAdapter,
    },
};
use futures::StreamExt;

use super::time_window::window_column;
use crate::plan::SessionWindow;

/// Appends the session column; rows without a session vanish (see [`SessionWindow`]).
#[derive(Debug, Clone)]
pub struct SessionWindowExec {
    input: Arc<dyn ExecutionPlan>,
    time: Arc<dyn PhysicalExpr>,
    end: Arc<dyn PhysicalExpr>,
    properties: Arc<PlanProperties>,
}

impl SessionWindowExec {
    /// Plans the logical node over its planned input.
    ///
    /// # Errors
    /// When an expression cannot be planned.
    pub fn plan(
        node: &SessionWindow,
        schema: &DFSchema,
        input: Arc<dyn ExecutionPlan>,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let time = session.create_physical_expr(node.time().clone(), schema)?;
        let end = session.create_physical_expr(node.end().clone(), schema)?;
        let output = UserDefinedLogicalNodeCore::schema(node).inner();
        let properties = properties(&input, Arc::clone(output));
        Ok(Arc::new(Self { input, time, end, properties }))
    }
}

fn properties(input: &Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Arc<PlanProperties> {
    let below = input.properties();
    let partitions = Partitioning::UnknownPartitioning(below.partitioning.partition_count());
    let equivalence = EquivalenceProperties::new(schema);
    Arc::new(PlanProperties::new(equivalence, partitions, below.emission_type, below.boundedness))
}

/// Adds the sessions of one batch.
fn add(batch: &RecordBatch, time: &ArrayRef, end: &ArrayRef, schema: &SchemaRef) -> Result<RecordBatch> {
    let instants = |array: &ArrayRef| {
        array
            .as_primitive_opt::<TimestampMicrosecondType>()
            .cloned()
            .ok_or_else(|| internal_datafusion_err!("session window over {}", array.data_type()))
    };
    let (starts, ends) = (instants(time)?, instants(end)?);
    let Some(DataType::Struct(fields)) = schema.fields().last().map(|f| f.data_type().clone()) else {
        return Err(internal_datafusion_err!("the session column is no struct"));
    };
    let is_session = |i: usize| starts.is_valid(i) && ends.is_valid(i) && ends.value(i) > starts.value(i);
    let mask: BooleanArray = (0..batch.num_rows()).map(|i| Some(is_session(i))).collect();
    let kept = filter_record_batch(batch, &mask)?;
    let values = |array| {
        Ok::<_, datafusion::error::DataFusionError>(
            filter(array, &mask)?.as_primitive::<TimestampMicrosecondType>().values().to_vec(),
        )
    };
    let mut columns = kept.columns().to_vec();
    columns.push(window_column(&fields, values(&starts)?, values(&ends)?)?);
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

impl DisplayAs for SessionWindowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionWindowExec: start={}, end={}", self.time, self.end)
    }
}

impl ExecutionPlan for SessionWindowExec {
    fn name(&self) -> &str {
        "SessionWindowExec"
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
        if f(&self.time)? == TreeNodeRecursion::Stop {
            return Ok(TreeNodeRecursion::Stop);
        }
        f(&self.end)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| internal_datafusion_err!("session without input"))?;
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
        let (schema, time, end) = (self.schema(), Arc::clone(&self.time), Arc::clone(&self.end));
        let output = Arc::clone(&schema);
        let added = rows.map(move |batch| {
            let batch = batch?;
            let column = |e: &Arc<dyn PhysicalExpr>| e.evaluate(&batch)?.into_array(batch.num_rows());
            add(&batch, &column(&time)?, &column(&end)?, &schema)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(output, added)))
    }
}
