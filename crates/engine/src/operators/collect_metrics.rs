//! `CollectMetricsExec`: aggregates rows as they pass by.
//!
//! Each partition aggregates on its own; when its rows end (or nobody wants more of them)
//! its buffers are merged, and the last one to end evaluates the metrics.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    catalog::Session,
    common::{DFSchema, Result, internal_datafusion_err, tree_node::TreeNodeRecursion},
    execution::{SendableRecordBatchStream, TaskContext, context::ExecutionProps},
    logical_expr::{Accumulator, physical_planning_context::PhysicalPlanningContext},
    physical_expr::aggregate::{AggregateFunctionExpr, LoweredAggregateBuilder},
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
        PhysicalExpr, PlanProperties, ReplaceChildrenOptions, execution_plan::CardinalityEffect,
        stream::RecordBatchStreamAdapter,
    },
};
use futures::StreamExt;
use parking_lot::Mutex;
use tracing::warn;

use crate::plan::{CollectMetrics, Observed};

/// Passes rows on and keeps aggregates of them in an [`Observed`].
#[derive(Clone)]
pub struct CollectMetricsExec {
    input: Arc<dyn ExecutionPlan>,
    metrics: Arc<Metrics>,
    properties: Arc<PlanProperties>,
}

struct Metrics {
    calls: Vec<Arc<AggregateFunctionExpr>>,
    /// Columns that hold the results of the calls.
    call_schema: SchemaRef,
    results: Vec<Arc<dyn PhysicalExpr>>,
    observed: Arc<Observed>,
    run: Mutex<Run>,
}

/// The execution under way.
#[derive(Default)]
struct Run {
    merged: Vec<Box<dyn Accumulator>>,
    ended: usize,
}

impl fmt::Debug for CollectMetricsExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectMetricsExec")
            .field("name", &self.metrics.observed.name)
            .finish_non_exhaustive()
    }
}

impl CollectMetricsExec {
    /// Plans the logical node over its planned input.
    ///
    /// # Errors
    /// Expressions that cannot be planned.
    pub fn plan(
        node: &CollectMetrics,
        schema: &DFSchema,
        input: Arc<dyn ExecutionPlan>,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let props: &ExecutionProps = session.execution_props();
        let physical = input.schema();
        let mut calls = Vec::with_capacity(node.calls().len());
        for call in node.calls() {
            let planning = PhysicalPlanningContext::default();
            let lowered = LoweredAggregateBuilder::new(call, schema, &physical, props, &planning).build()?;
            if lowered.filter.is_some() || !lowered.order_bys.is_empty() {
                return Err(internal_datafusion_err!("an observed aggregate with a filter or an order"));
            }
            calls.push(lowered.aggregate);
        }
        let call_schema = node.call_schema()?;
        let results = node
            .results()
            .iter()
            .map(|result| session.create_physical_expr(result.clone(), &call_schema))
            .collect::<Result<_>>()?;
        let metrics = Metrics {
            calls,
            call_schema: Arc::clone(call_schema.inner()),
            results,
            observed: Arc::clone(node.observed()),
            run: Mutex::default(),
        };
        let properties = Arc::clone(input.properties());
        Ok(Arc::new(Self { input, metrics: Arc::new(metrics), properties }))
    }

    /// Where the metrics go.
    pub fn observed(&self) -> &Arc<Observed> {
        &self.metrics.observed
    }
}

/// What a physical plan observes, root first.
pub fn observed(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<Observed>> {
    let own = plan.downcast_ref::<CollectMetricsExec>().map(|exec| Arc::clone(exec.observed()));
    own.into_iter().chain(plan.children().into_iter().flat_map(observed)).collect()
}

impl Metrics {
    fn accumulators(&self) -> Result<Vec<Box<dyn Accumulator>>> {
        self.calls.iter().map(|call| call.create_accumulator()).collect()
    }

    /// Merges a partition that has ended; the last of `partitions` evaluates.
    fn end(&self, own: &mut [Box<dyn Accumulator>], partitions: usize) -> Result<()> {
        let mut run = self.run.lock();
        if run.merged.is_empty() {
            run.merged = self.accumulators()?;
        }
        for (merged, own) in run.merged.iter_mut().zip(own) {
            let state = own.state()?.iter().map(|value| value.to_array()).collect::<Result<Vec<_>>>()?;
            merged.merge_batch(&state)?;
        }
        run.ended += 1;
        if run.ended < partitions {
            return Ok(());
        }
        let Run { mut merged, .. } = std::mem::take(&mut *run);
        drop(run);
        let values = merged.iter_mut().map(|m| m.evaluate()?.to_array()).collect::<Result<Vec<_>>>()?;
        let calls = RecordBatch::try_new(Arc::clone(&self.call_schema), values)?;
        let values = self
            .results
            .iter()
            .map(|result| result.evaluate(&calls)?.into_array(1))
            .collect::<Result<Vec<_>>>()?;
        self.observed.set(RecordBatch::try_new(Arc::clone(&self.observed.schema), values)?);
        Ok(())
    }
}

/// One partition; ends when it is dropped, whether its rows were read to the end or not.
struct Partition {
    metrics: Arc<Metrics>,
    own: Vec<Box<dyn Accumulator>>,
    partitions: usize,
}

impl Partition {
    fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        for (call, own) in self.metrics.calls.iter().zip(&mut self.own) {
            let arguments = call
                .expressions()
                .iter()
                .map(|argument| argument.evaluate(batch)?.into_array(batch.num_rows()))
                .collect::<Result<Vec<_>>>()?;
            own.update_batch(&arguments)?;
        }
        Ok(())
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        if let Err(error) = self.metrics.end(&mut self.own, self.partitions) {
            warn!(%error, name = self.metrics.observed.name, "observed metrics are lost");
        }
    }
}

impl DisplayAs for CollectMetricsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CollectMetricsExec: {}", self.metrics.observed.name)
    }
}

impl ExecutionPlan for CollectMetricsExec {
    fn name(&self) -> &str {
        "CollectMetricsExec"
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
        let input = children.pop().ok_or_else(|| internal_datafusion_err!("observe without input"))?;
        let properties = match options.children_properties {
            ChildrenPropertiesMode::Keep => Arc::clone(&self.properties),
            ChildrenPropertiesMode::Recompute => Arc::clone(input.properties()),
        };
        Ok(Arc::new(Self { input, properties, ..self.as_ref().clone() }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    /// A new execution starts from nothing, also after one that was cut short.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        *self.metrics.run.lock() = Run::default();
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let schema = self.schema();
        let mut own = Partition {
            metrics: Arc::clone(&self.metrics),
            own: self.metrics.accumulators()?,
            partitions: self.input.output_partitioning().partition_count(),
        };
        let rows = rows.map(move |batch| {
            let batch = batch?;
            own.update(&batch)?;
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::{
            array::{AsArray, Int64Array},
            datatypes::{DataType, Field, Int64Type, Schema},
        },
        common::Column,
        datasource::{MemTable, provider_as_source},
        functions_aggregate::expr_fn::{count, sum},
        logical_expr::{Expr, LogicalPlanBuilder, lit},
        physical_plan::{collect, execution_plan::reset_plan_states},
    };

    use super::*;
    use crate::session::{runtime_env, session_state};

    fn column(name: &str) -> Expr {
        Expr::Column(Column::new_unqualified(name))
    }

    #[tokio::test]
    async fn partitions_are_added_up_in_each_execution() {
        let schema = Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, true)]));
        let batch = |values: Vec<i64>| {
            vec![RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(values))]).unwrap()]
        };
        let table =
            MemTable::try_new(Arc::clone(&schema), vec![batch(vec![1, 2]), batch(vec![3]), vec![]]).unwrap();
        let scan = LogicalPlanBuilder::scan("t", provider_as_source(Arc::new(table)), None).unwrap();
        let scan = scan
            .project(vec![Expr::Column(Column::new(Some("t"), "v")).alias("v")])
            .unwrap()
            .build()
            .unwrap();
        let fields = vec![Field::new("n", DataType::Int64, true), Field::new("s", DataType::Int64, true)];
        let observed = Arc::new(Observed::new("o", Arc::new(Schema::new(fields)), "{}"));
        let plan = CollectMetrics::plan(
            scan,
            vec![(count(column("v")), "#1".to_string()), (sum(column("v")), "#2".to_string())],
            vec![column("#1"), column("#2") + lit(1_i64)],
            Arc::clone(&observed),
        );
        let state = session_state(2, runtime_env().unwrap());
        let plan = state.create_physical_plan(&plan).await.unwrap();
        assert_eq!(super::observed(&plan).len(), 1);
        for _ in 0..2 {
            let plan = reset_plan_states(Arc::clone(&plan)).unwrap();
            let rows = collect(plan, state.task_ctx()).await.unwrap();
            assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
            let seen = observed.take().unwrap();
            assert_eq!(seen.column(0).as_primitive::<Int64Type>().value(0), 3);
            assert_eq!(seen.column(1).as_primitive::<Int64Type>().value(0), 7);
            assert!(observed.take().is_none());
        }
    }
}
