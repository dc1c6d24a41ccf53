//! `NondeterministicExec`: appends columns that depend on a row's place.
//!
//! Each partition of each execution starts anew, so that a batch run again draws the same
//! numbers, as in Spark.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch},
        datatypes::SchemaRef,
    },
    common::{Result, internal_datafusion_err, tree_node::TreeNodeRecursion},
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::UserDefinedLogicalNodeCore,
    physical_expr::EquivalenceProperties,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr,
        PlanProperties, ReplaceChildrenOptions, execution_plan::CardinalityEffect,
        stream::RecordBatchStreamAdapter,
    },
};
use futures::StreamExt;

use super::XorShiftRandom;
use crate::plan::{Nondeterministic, RowFunction};

/// The input's columns and those of the functions.
#[derive(Debug, Clone)]
pub struct NondeterministicExec {
    input: Arc<dyn ExecutionPlan>,
    functions: Vec<RowFunction>,
    properties: Arc<PlanProperties>,
}

impl NondeterministicExec {
    /// Plans the logical node over its planned input.
    pub fn plan(node: &Nondeterministic, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let properties = properties(&input, Arc::clone(node.schema().inner()));
        Arc::new(Self { input, functions: node.functions().collect(), properties })
    }
}

fn properties(input: &Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Arc<PlanProperties> {
    let below = input.properties();
    let partitions = Partitioning::UnknownPartitioning(below.partitioning.partition_count());
    let equivalence = EquivalenceProperties::new(schema);
    Arc::new(PlanProperties::new(equivalence, partitions, below.emission_type, below.boundedness))
}

/// One function on the rows of one partition.
enum Drawer {
    Rand(XorShiftRandom),
    Randn(XorShiftRandom),
    NextId(i64),
    Constant(i32),
}

impl Drawer {
    fn new(function: RowFunction, partition: usize) -> Self {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let random = |seed: i64| XorShiftRandom::new(seed.wrapping_add(i64::from(partition)));
        match function {
            RowFunction::Rand(seed) => Self::Rand(random(seed)),
            RowFunction::Randn(seed) => Self::Randn(random(seed)),
            RowFunction::MonotonicallyIncreasingId => Self::NextId(i64::from(partition) << 33),
            RowFunction::SparkPartitionId => Self::Constant(partition),
        }
    }

    fn draw(&mut self, rows: usize) -> ArrayRef {
        match self {
            Self::Rand(random) => {
                Arc::new((0..rows).map(|_| Some(random.next_double())).collect::<Float64Array>())
            }
            Self::Randn(random) => {
                Arc::new((0..rows).map(|_| Some(random.next_gaussian())).collect::<Float64Array>())
            }
            Self::NextId(next) => {
                let first = *next;
                *next += i64::try_from(rows).unwrap_or(i64::MAX);
                Arc::new(Int64Array::from_iter_values(first..*next))
            }
            Self::Constant(value) => Arc::new(Int32Array::from_value(*value, rows)),
        }
    }
}

impl DisplayAs for NondeterministicExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NondeterministicExec: {:?}", self.functions)
    }
}

impl ExecutionPlan for NondeterministicExec {
    fn name(&self) -> &str {
        "NondeterministicExec"
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
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children
            .pop()
            .ok_or_else(|| internal_datafusion_err!("a nondeterministic node without input"))?;
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
        let schema = self.schema();
        let output = Arc::clone(&schema);
        let mut drawers: Vec<Drawer> = self.functions.iter().map(|f| Drawer::new(*f, partition)).collect();
        let rows = rows.map(move |batch| {
            let batch = batch?;
            let mut columns = batch.columns().to_vec();
            columns.extend(drawers.iter_mut().map(|drawer| drawer.draw(batch.num_rows())));
            Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(output, rows)))
    }
}
