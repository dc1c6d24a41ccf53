//! `StatefulExec`: a stateful operator in the physical plan.
//!
//! Reads the partitions of each input one after the other, so that rows always arrive in the
//! same order; gives one partition. The plan is executed again for every batch: nothing of
//! a batch stays here.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    catalog::Session,
    common::{Result, internal_datafusion_err, internal_err, tree_node::TreeNodeRecursion},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr,
        PlanProperties, ReplaceChildrenOptions,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::StatefulOperator;
use crate::{operators::PieceByPiece, query::BatchContext, state::StateLocation};

/// Rows of one input, or of the output; inputs give no empty batch.
pub type InputRows = BoxStream<'static, Result<RecordBatch>>;

/// What a kind of stateful operator does with the rows of a batch.
pub trait StatefulNode: fmt::Debug + Send + Sync + 'static {
    /// Name of the physical node, for `explain`: `StatefulAggregateExec`.
    fn name(&self) -> &'static str;

    /// The operator whose state the node changes.
    fn operator(&self) -> Arc<dyn StatefulOperator>;

    /// Every expression over an input.
    fn expressions(&self) -> Vec<&Arc<dyn PhysicalExpr>>;

    /// What follows the name in `explain`.
    ///
    /// # Errors
    /// The formatter's.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Runs one batch over the rows of each input: reads all of them, whoever reads on.
    /// Batches of any size may come out; `schema` is the output's.
    fn run(self: Arc<Self>, inputs: Vec<InputRows>, batch: Arc<BatchContext>, schema: SchemaRef)
    -> InputRows;

    /// As [`StatefulNode::run`], where the only input can be had piece by piece: what is done with
    /// each on its own may be done side by side.
    fn run_pieces(
        self: Arc<Self>,
        pieces: PieceByPiece,
        batch: Arc<BatchContext>,
        schema: SchemaRef,
    ) -> InputRows {
        self.run(vec![not_empty(pieces.rows())], batch, schema)
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct StatefulExec {
    node: Arc<dyn StatefulNode>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl StatefulExec {
    /// `node` over planned inputs; its output has the columns `schema`.
    pub fn new(node: Arc<dyn StatefulNode>, inputs: Vec<Arc<dyn ExecutionPlan>>, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { node, inputs, properties: Arc::new(properties) }
    }

    /// The operator whose state this node changes.
    pub fn operator(&self) -> Arc<dyn StatefulOperator> {
        self.node.operator()
    }

    /// Where the operators of the query that `session` plans keep their state.
    ///
    /// # Errors
    /// Internal: the session is not that of a streaming query.
    pub fn location(session: &dyn Session) -> Result<Arc<StateLocation>> {
        session.config().get_extension::<StateLocation>().ok_or_else(|| {
            internal_datafusion_err!("a stateful operator was planned without a state location")
        })
    }
}

/// The output of a node that gives everything at the end.
pub fn once(rows: impl Future<Output = Result<RecordBatch>> + Send + 'static) -> InputRows {
    stream::once(rows).boxed()
}

/// All partitions of `input`, one after the other.
fn in_order(input: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Result<InputRows> {
    let partitions = input.properties().partitioning.partition_count();
    let parts = (0..partitions).map(|i| input.execute(i, Arc::clone(context))).collect::<Result<Vec<_>>>()?;
    Ok(not_empty(stream::iter(parts).flatten()))
}

fn not_empty(rows: impl Stream<Item = Result<RecordBatch>> + Send + 'static) -> InputRows {
    rows.try_filter(|batch| std::future::ready(batch.num_rows() > 0)).boxed()
}

impl DisplayAs for StatefulExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.node.name())?;
        self.node.describe(f)
    }
}

impl ExecutionPlan for StatefulExec {
    fn name(&self) -> &str {
        self.node.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in self.node.expressions() {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.len() != self.inputs.len() {
            return internal_err!("{} given {} inputs", self.node.name(), children.len());
        }
        Ok(Arc::new(Self { inputs: children, ..self.as_ref().clone() }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("{} has one partition", self.node.name());
        }
        let batch = BatchContext::of(&context)?;
        let most = context.session_config().batch_size().max(1);
        let (node, shared) = (Arc::clone(&self.node), Arc::clone(&batch));
        let rows = match &self.inputs[..] {
            [input] => match PieceByPiece::of(input, &context)? {
                Some(pieces) => node.run_pieces(pieces, batch, self.schema()),
                None => node.run(vec![in_order(input, &context)?], batch, self.schema()),
            },
            inputs => {
                let inputs = inputs.iter().map(|input| match PieceByPiece::of(input, &context)? {
                    Some(pieces) => Ok(not_empty(pieces.rows())),
                    None => in_order(input, &context),
                });
                node.run(inputs.collect::<Result<_>>()?, batch, self.schema())
            }
        };
        let rows = rows.map_ok(move |all| {
            let slices = (0..all.num_rows()).step_by(most);
            let slices: Vec<Result<RecordBatch>> =
                slices.map(|from| Ok(all.slice(from, most.min(all.num_rows() - from)))).collect();
            stream::iter(slices)
        });
        let rows = RecordBatchStreamAdapter::new(self.schema(), rows.try_flatten());
        Ok(shared.unread.share(Box::pin(rows)))
    }
}
