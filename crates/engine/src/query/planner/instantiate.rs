//! One batch's executable tree out of a template.

use std::sync::Arc;

use datafusion::{
    common::tree_node::{Transformed, TreeNode},
    execution::TaskContext,
    physical_plan::{
        ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions,
        execution_plan::reset_plan_states,
        joins::{HashJoinExec, PartitionMode},
    },
};

use super::Template;
use crate::{
    Result,
    operators::{ProbeSideExec, StreamScanExec},
    query::{BatchContext, QueryEnvironment},
    session::session_config,
};

impl Template {
    /// The tree for one execution, and the context to execute it in.
    ///
    /// # Errors
    /// Internal ones only.
    pub(crate) fn instantiate(
        &self,
        batch: Arc<BatchContext>,
        environment: &QueryEnvironment,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        self.timestamp.set(batch.timestamp);
        // Always: joins, sorts with a limit and repartitions keep what they saw, and the
        // metrics of every node grow with each execution that is not preceded by a reset.
        let plan = reset_plan_states(Arc::clone(&self.plan))?;
        let task = TaskContext::default()
            .with_session_config(session_config(1).with_extension(batch))
            .with_runtime(Arc::clone(&environment.runtime));
        Ok((plan, Arc::new(task)))
    }
}

/// Makes the stream the probe side of its joins with static data, so that rows keep the
/// stream's order and the static side is read as a whole each batch.
pub(super) fn stream_as_probe_side(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let swapped = plan.transform_up(|node| {
        let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(Transformed::no(node)) };
        let probe: fn(Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> =
            |input| Arc::new(ProbeSideExec::new(input));
        match (reads_stream(join.left()), reads_stream(join.right())) {
            (true, false) => {
                let children = vec![probe(Arc::clone(join.left())), Arc::clone(join.right())];
                let node = with_children(Arc::clone(&node), children)?;
                let Some(join) = node.downcast_ref::<HashJoinExec>() else {
                    return Ok(Transformed::no(node));
                };
                let mode = match join.partition_mode() {
                    PartitionMode::Auto => PartitionMode::CollectLeft,
                    mode => *mode,
                };
                join.swap_inputs(mode).map(Transformed::yes)
            }
            (false, true) => {
                let children = vec![Arc::clone(join.left()), probe(Arc::clone(join.right()))];
                with_children(node, children).map(Transformed::yes)
            }
            _ => Ok(Transformed::no(node)),
        }
    })?;
    Ok(swapped.data)
}

fn with_children(
    node: Arc<dyn ExecutionPlan>,
    children: Vec<Arc<dyn ExecutionPlan>>,
) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
    node.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

fn reads_stream(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<StreamScanExec>() || plan.children().into_iter().any(reads_stream)
}
