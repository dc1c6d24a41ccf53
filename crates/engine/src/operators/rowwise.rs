//! `RowwiseExec`: the plan node of every operator that looks at each batch of rows on its own.
//!
//! Such an operator keeps the order and the partitions of its input; what it does with a
//! batch is a [`Rowwise`].

use std::{
    fmt::{self, Debug},
    sync::Arc,
};

use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    common::{Result, internal_datafusion_err, tree_node::TreeNodeRecursion},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr,
        PlanProperties, ReplaceChildrenOptions, execution_plan::CardinalityEffect,
        stream::RecordBatchStreamAdapter,
    },
};
use futures::StreamExt;

/// What is done with each batch of one partition, in order.
pub(super) type Change = Box<dyn FnMut(RecordBatch) -> Result<RecordBatch> + Send>;

/// An operator without state beyond one partition of one execution.
pub(super) trait Rowwise: Debug + Send + Sync {
    /// The name in plans; a query's list of re-executed operators goes by it.
    fn name(&self) -> &'static str;

    /// The expressions over the input's columns.
    fn expressions(&self) -> Vec<&Arc<dyn PhysicalExpr>>;

    /// What an explained plan says after the name.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Whether each row becomes exactly one; more partitions are then of no use to it.
    fn keeps_rows(&self) -> bool {
        false
    }

    /// Whether a row's place among the others matters.
    fn counts_rows(&self) -> bool {
        false
    }

    /// Starts a partition. `schema` is that of the batches to return.
    ///
    /// # Errors
    /// When the schema is not one the operator can have been planned with.
    fn begin(&self, partition: usize, schema: &SchemaRef) -> Result<Change>;
}

/// Runs a [`Rowwise`] over each partition of its input.
#[derive(Debug, Clone)]
pub(super) struct RowwiseExec {
    operator: Arc<dyn Rowwise>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl RowwiseExec {
    /// `schema` is that of the rows `operator` returns.
    pub(super) fn plan(
        operator: impl Rowwise + 'static,
        input: Arc<dyn ExecutionPlan>,
        schema: &SchemaRef,
    ) -> Arc<dyn ExecutionPlan> {
        let properties = properties(&input, Arc::clone(schema));
        Arc::new(Self { operator: Arc::new(operator), input, properties })
    }

    /// See [`Rowwise::counts_rows`].
    pub(super) fn counts_rows(&self) -> bool {
        self.operator.counts_rows()
    }
}

fn properties(input: &Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Arc<PlanProperties> {
    let below = input.properties();
    let partitions = Partitioning::UnknownPartitioning(below.partitioning.partition_count());
    let equivalence = EquivalenceProperties::new(schema);
    Arc::new(PlanProperties::new(equivalence, partitions, below.emission_type, below.boundedness))
}

impl DisplayAs for RowwiseExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operator.name())?;
        self.operator.describe(f)
    }
}

impl ExecutionPlan for RowwiseExec {
    fn name(&self) -> &str {
        self.operator.name()
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
        vec![!self.operator.keeps_rows()]
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        match self.operator.keeps_rows() {
            true => CardinalityEffect::Equal,
            false => CardinalityEffect::Unknown,
        }
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expression in self.operator.expressions() {
            if f(expression)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children
            .pop()
            .ok_or_else(|| internal_datafusion_err!("{} without input", self.operator.name()))?;
        let properties = match options.children_properties {
            ChildrenPropertiesMode::Keep => Arc::clone(&self.properties),
            ChildrenPropertiesMode::Recompute => properties(&input, self.schema()),
        };
        Ok(Arc::new(Self { input, properties, operator: Arc::clone(&self.operator) }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut change = self.operator.begin(partition, &self.schema())?;
        let rows = self.input.execute(partition, context)?.map(move |batch| change(batch?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
