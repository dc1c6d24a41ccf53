//! `OrderedCoalesceExec`: partitions become one, the rows of the first before those of the second.
//!
//! DataFusion's own node hands rows on as they arrive, so that the same plan gives the same
//! rows in another order each time: `limit` would pick others, `first` another value, and a
//! batch that runs again after a crash would write its rows in another order.

use std::{fmt, sync::Arc};

use datafusion::{
    common::{
        Result,
        config::ConfigOptions,
        internal_datafusion_err,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::EquivalenceProperties,
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
        Partitioning, PhysicalExpr, PlanProperties, ReplaceChildrenOptions,
        coalesce_partitions::CoalescePartitionsExec, limit::GlobalLimitExec,
    },
};

use crate::batch::in_order;

/// One partition out of many, in their order. All run side by side, each at most a few
/// batches ahead of the reader.
#[derive(Debug, Clone)]
pub struct OrderedCoalesceExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl OrderedCoalesceExec {
    /// Coalesces the partitions of `input`, of which there may be any number.
    pub fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Self { input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for OrderedCoalesceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderedCoalesceExec")
    }
}

impl ExecutionPlan for OrderedCoalesceExec {
    fn name(&self) -> &'static str {
        "OrderedCoalesceExec"
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
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| internal_datafusion_err!("nothing to coalesce"))?;
        Ok(Arc::new(Self::new(input)))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(internal_datafusion_err!("coalesced partitions are one, not {partition}"));
        }
        let partitions = self.input.output_partitioning().partition_count();
        if partitions == 1 {
            return self.input.execute(0, context);
        }
        let partitions = (0..partitions)
            .map(|i| self.input.execute(i, Arc::clone(&context)))
            .collect::<Result<Vec<_>>>()?;
        Ok(in_order(self.schema(), partitions))
    }
}

/// Puts [`OrderedCoalesceExec`] wherever DataFusion planned its own coalescing. The last rule: others know
/// only DataFusion's.
#[derive(Debug)]
pub(crate) struct OrderPartitions;

impl PhysicalOptimizerRule for OrderPartitions {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let ordered = plan.transform_up(|node| {
            let Some(coalesce) = node.downcast_ref::<CoalescePartitionsExec>() else {
                return Ok(Transformed::no(node));
            };
            let ordered: Arc<dyn ExecutionPlan> =
                Arc::new(OrderedCoalesceExec::new(Arc::clone(coalesce.input())));
            Ok(Transformed::yes(match coalesce.fetch() {
                Some(rows) => Arc::new(GlobalLimitExec::new(ordered, 0, Some(rows))),
                None => ordered,
            }))
        })?;
        Ok(ordered.data)
    }

    fn name(&self) -> &'static str {
        "OrderPartitions"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::{
            array::{AsArray, Int64Array, RecordBatch},
            datatypes::{DataType, Field, Int64Type, Schema, SchemaRef},
        },
        physical_plan::{
            collect,
            stream::RecordBatchStreamAdapter,
            streaming::{PartitionStream, StreamingTableExec},
        },
    };
    use futures::{StreamExt, stream};

    use super::*;

    /// A partition that comes the later the lower its number.
    #[derive(Debug)]
    struct Late {
        schema: SchemaRef,
        number: i64,
    }

    impl PartitionStream for Late {
        fn schema(&self) -> &SchemaRef {
            &self.schema
        }

        fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
            let (schema, number) = (Arc::clone(&self.schema), self.number);
            let rows = stream::iter(0..10).then(move |i| {
                let schema = Arc::clone(&schema);
                async move {
                    for _ in 0..(4 - number) * 200 {
                        tokio::task::yield_now().await;
                    }
                    let column = Arc::new(Int64Array::from(vec![number * 10 + i]));
                    RecordBatch::try_new(schema, vec![column]).map_err(Into::into)
                }
            });
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_come_in_the_order_of_partitions_with_and_without_a_limit() {
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, false)]));
        let partitions = (0..4)
            .map(|number| Arc::new(Late { schema: Arc::clone(&schema), number }) as Arc<dyn PartitionStream>)
            .collect();
        let scan = StreamingTableExec::try_new(schema, partitions, None, [], false, None).unwrap();
        for fetch in [None, Some(15)] {
            let theirs = CoalescePartitionsExec::new(Arc::new(scan.clone())).with_fetch(fetch);
            let ours = OrderPartitions.optimize(Arc::new(theirs), &ConfigOptions::new()).unwrap();
            let batches = collect(ours, Arc::new(TaskContext::default())).await.unwrap();
            let seen: Vec<i64> = batches
                .iter()
                .flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec())
                .collect();
            assert_eq!(seen, (0..fetch.map_or(40, |rows| rows as i64)).collect::<Vec<_>>());
        }
    }
}
