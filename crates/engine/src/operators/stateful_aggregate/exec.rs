//! `StatefulAggregateExec`: evaluates keys and arguments, feeds the groups, emits.
//!
//! Reads its input's partitions one after the other, so that rows always arrive in the same
//! order; gives one partition. The plan is executed again for every batch: nothing of a
//! batch stays here.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions},
        compute::cast,
        datatypes::{DataType, TimestampMicrosecondType},
    },
    catalog::Session,
    common::{DFSchema, Result, internal_datafusion_err, tree_node::TreeNodeRecursion},
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::{Expr, UserDefinedLogicalNodeCore, expr::NullTreatment},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr,
        PlanProperties, ReplaceChildrenOptions,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{StreamExt, TryStreamExt};

use super::{
    StatefulAggregateOperator,
    batch::{Emission, Rows},
    buffer_set::Arguments,
    spec::Spec,
};
use crate::{
    SparkError,
    operators::{
        StatefulOperator,
        aggregate::{AggregateCall, SparkAggregate},
        time_window::window_column,
    },
    plan::StatefulAggregate,
    query::BatchContext,
    state::StateLocation,
};

/// See the module.
#[derive(Debug, Clone)]
pub struct StatefulAggregateExec {
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    time: Option<Arc<dyn PhysicalExpr>>,
    /// Place of the fused window in the output.
    window_position: Option<usize>,
    aggregates: Vec<Aggregate>,
    operator: Arc<StatefulAggregateOperator>,
    properties: Arc<PlanProperties>,
}

/// One aggregate call over physical expressions.
#[derive(Debug, Clone)]
struct Aggregate {
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
}

impl StatefulAggregateExec {
    /// Plans the logical node over its planned input.
    ///
    /// # Errors
    /// Expressions that cannot be planned, types that cannot be kept, aggregate functions
    /// that are not ours, and a session without a [`StateLocation`].
    pub fn plan(
        node: &StatefulAggregate,
        schema: &DFSchema,
        input: Arc<dyn ExecutionPlan>,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let location = session.config().get_extension::<StateLocation>().ok_or_else(|| {
            internal_datafusion_err!("a stateful aggregate was planned without a state location")
        })?;
        let physical = |expr: &Expr| session.create_physical_expr(expr.clone(), schema);
        let keys = node.keys().iter().map(|(e, _)| physical(e)).collect::<Result<Vec<_>>>()?;
        let key_types =
            keys.iter().map(|k| k.data_type(input.schema().as_ref())).collect::<Result<Vec<_>>>()?;
        let time = node.window().map(|w| physical(&w.time)).transpose()?;
        let (mut calls, mut aggregates) = (Vec::new(), Vec::new());
        for (expr, _) in node.aggregates() {
            let (call, aggregate) = plan_call(expr, &physical, input.schema().as_ref())?;
            calls.push(call);
            aggregates.push(aggregate);
        }
        let spec = Spec {
            key_types,
            key_names: node.keys().iter().map(|(_, name)| name.clone()).collect(),
            calls,
            window: node.window().map(|w| w.spec),
            event_time: node.event_time(),
            mode: node.output_mode(),
        };
        let operator = StatefulAggregateOperator::new(spec, node.operator_id(), &location)?;
        let output = Arc::clone(UserDefinedLogicalNodeCore::schema(node).inner());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(output),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Arc::new(Self {
            input,
            keys,
            time,
            window_position: node.window().map(|w| w.position),
            aggregates,
            operator: Arc::new(operator),
            properties: Arc::new(properties),
        }))
    }

    /// The operator whose state this node changes.
    pub fn operator(&self) -> Arc<dyn StatefulOperator> {
        Arc::clone(&self.operator) as Arc<dyn StatefulOperator>
    }

    /// Evaluates every expression over a batch of input.
    fn rows(&self, batch: &RecordBatch) -> Result<Rows> {
        let len = batch.num_rows();
        let column = |e: &Arc<dyn PhysicalExpr>| e.evaluate(batch)?.into_array(len);
        let time = match &self.time {
            None => None,
            Some(time) => Some(
                column(time)?
                    .as_primitive_opt::<TimestampMicrosecondType>()
                    .ok_or_else(|| internal_datafusion_err!("the window's time is no timestamp"))?
                    .clone(),
            ),
        };
        let calls = &self.operator.spec().calls;
        let arguments = self.aggregates.iter().zip(calls).map(|(aggregate, call)| {
            let columns = aggregate.arguments.iter().map(column).collect::<Result<Vec<_>>>()?;
            let filter = match &aggregate.filter {
                None => None,
                Some(filter) => {
                    let mask = column(filter)?;
                    let mask = if mask.data_type() == &DataType::Null {
                        cast(&mask, &DataType::Boolean)?
                    } else {
                        mask
                    };
                    let mask = mask.as_boolean_opt().cloned();
                    Some(
                        mask.ok_or_else(|| internal_datafusion_err!("an aggregate's filter is not boolean"))?,
                    )
                }
            };
            Ok(Arguments { columns: call.cast_arguments(columns)?, filter })
        });
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let keys = self.keys.iter().map(column).collect::<Result<Vec<_>>>()?;
        Ok(Rows { len, keys, time, arguments })
    }

    /// Lays emitted groups out as the node's output.
    fn output(&self, emission: Emission) -> Result<RecordBatch> {
        let schema = self.schema();
        let mut columns: Vec<ArrayRef> = emission.keys;
        if let (Some(position), Some((starts, ends))) = (self.window_position, emission.windows) {
            let DataType::Struct(fields) = schema.field(position).data_type() else {
                return Err(internal_datafusion_err!("the window column is no struct"));
            };
            columns.insert(position, window_column(fields, starts, ends)?);
        }
        columns.extend(emission.results);
        let options = RecordBatchOptions::new().with_row_count(Some(emission.len));
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }

    /// Runs a batch: all input, then the emission.
    async fn run(
        self,
        inputs: Vec<SendableRecordBatchStream>,
        context: Arc<BatchContext>,
    ) -> Result<RecordBatch> {
        let frame = self.operator.begin(&context)?;
        for mut input in inputs {
            while let Some(batch) = input.next().await {
                let batch = batch?;
                if batch.num_rows() > 0 {
                    self.operator.update(&self.rows(&batch)?, &frame)?;
                }
            }
        }
        let emission = self.operator.finish(&frame)?;
        self.output(emission)
    }
}

/// Plans one aggregate expression.
fn plan_call(
    expr: &Expr,
    physical: &impl Fn(&Expr) -> Result<Arc<dyn PhysicalExpr>>,
    input: &datafusion::arrow::datatypes::Schema,
) -> Result<(AggregateCall, Aggregate)> {
    let Expr::AggregateFunction(function) = expr.clone().unalias_nested().data else {
        return Err(internal_datafusion_err!("{expr} is no aggregate function"));
    };
    let params = function.params;
    let Some(ours) = SparkAggregate::of(&function.func) else {
        let feature = format!("the aggregate function `{}` over a stream", function.func.name());
        return Err(SparkError::unsupported(feature).into());
    };
    if !params.order_by.is_empty() {
        return Err(SparkError::unsupported("ORDER BY inside an aggregate function over a stream").into());
    }
    let arguments = params.args.iter().map(physical).collect::<Result<Vec<_>>>()?;
    let types = arguments.iter().map(|a| a.data_type(input)).collect::<Result<Vec<_>>>()?;
    let ignore_nulls = params.null_treatment == Some(NullTreatment::IgnoreNulls);
    let call = ours.call(&types, params.distinct, ignore_nulls)?;
    let filter = params.filter.as_deref().map(physical).transpose()?;
    Ok((call, Aggregate { arguments, filter }))
}

impl DisplayAs for StatefulAggregateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.operator.spec();
        let keys: Vec<_> = self.keys.iter().map(ToString::to_string).collect();
        let calls: Vec<_> = spec.calls.iter().map(AggregateCall::name).collect();
        write!(f, "StatefulAggregateExec: keys=[{}]", keys.join(", "))?;
        if let (Some(window), Some(time)) = (spec.window, &self.time) {
            write!(f, ", window=[{time}, {} us, {} us]", window.duration(), window.slide())?;
        }
        write!(f, ", aggregates=[{}], {}", calls.join(", "), spec.mode)
    }
}

impl ExecutionPlan for StatefulAggregateExec {
    fn name(&self) -> &str {
        "StatefulAggregateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let arguments = self.aggregates.iter().flat_map(|a| a.arguments.iter().chain(&a.filter));
        for expr in self.keys.iter().chain(&self.time).chain(arguments) {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| internal_datafusion_err!("aggregate without input"))?;
        Ok(Arc::new(Self { input, ..self.as_ref().clone() }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(internal_datafusion_err!("a stateful aggregate has one partition"));
        }
        let batch = BatchContext::of(&context)?;
        let partitions = self.input.properties().partitioning.partition_count();
        let inputs = (0..partitions)
            .map(|i| self.input.execute(i, Arc::clone(&context)))
            .collect::<Result<Vec<_>>>()?;
        let rows_at_once = context.session_config().batch_size();
        let emitted = futures::stream::once(self.clone().run(inputs, batch)).map_ok(move |all| {
            let slices = (0..all.num_rows()).step_by(rows_at_once.max(1));
            let slices: Vec<Result<RecordBatch>> =
                slices.map(|from| Ok(all.slice(from, rows_at_once.min(all.num_rows() - from)))).collect();
            futures::stream::iter(slices)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), emitted.try_flatten())))
    }
}
