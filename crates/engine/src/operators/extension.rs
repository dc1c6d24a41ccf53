//! Plans the engine's logical nodes.

use std::sync::Arc;

use datafusion::{
    catalog::Session,
    common::{Result, internal_datafusion_err},
    logical_expr::{LogicalPlan, UserDefinedLogicalNode},
    physical_plan::ExecutionPlan,
};

use super::{
    CollectMetricsExec, StatefulExec, StatefulOperator, UpdatingSessionsExec, deduplicate::DeduplicateNode,
    expand::ExpandNode, global_limit::GlobalLimitNode, nondeterministic::NondeterministicNode,
    session_window::SessionWindowNode, stateful_aggregate::AggregateNode, stream_join::JoinNode,
    time_window::TimeWindowNode,
};
use crate::plan::{
    CollectMetrics, Deduplicate, Expand, GlobalLimit, Nondeterministic, SessionWindow, StatefulAggregate,
    StreamJoin, TimeWindow, UpdatingSessions,
};

/// The physical node for `node`, `None` when it is not one of ours.
///
/// Stateful nodes need a [`crate::state::StateLocation`] as an extension of the session's
/// configuration; nothing is read or written yet.
///
/// # Errors
/// Expressions that cannot be planned; types that cannot be kept as state.
pub fn plan_extension(
    node: &dyn UserDefinedLogicalNode,
    logical_inputs: &[&LogicalPlan],
    physical_inputs: &[Arc<dyn ExecutionPlan>],
    session: &dyn Session,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let input = || match (logical_inputs, physical_inputs) {
        ([logical], [physical]) => Ok((logical.schema(), Arc::clone(physical))),
        _ => Err(internal_datafusion_err!("{} takes one input", node.name())),
    };
    if let Some(window) = node.as_any().downcast_ref::<TimeWindow>() {
        let (schema, input) = input()?;
        return TimeWindowNode::plan(window, schema, input, session).map(Some);
    }
    if let Some(window) = node.as_any().downcast_ref::<SessionWindow>() {
        let (schema, input) = input()?;
        return SessionWindowNode::plan(window, schema, input, session).map(Some);
    }
    if let Some(sessions) = node.as_any().downcast_ref::<UpdatingSessions>() {
        let (schema, input) = input()?;
        return UpdatingSessionsExec::plan(sessions, schema, input, session).map(Some);
    }
    if let Some(node) = node.as_any().downcast_ref::<Expand>() {
        let (_, input) = input()?;
        return ExpandNode::plan(node, input).map(Some);
    }
    if let Some(node) = node.as_any().downcast_ref::<Nondeterministic>() {
        let (_, input) = input()?;
        return Ok(Some(NondeterministicNode::plan(node, input)));
    }
    if let Some(observe) = node.as_any().downcast_ref::<CollectMetrics>() {
        let (schema, input) = input()?;
        return CollectMetricsExec::plan(observe, schema, input, session).map(Some);
    }
    if let Some(aggregate) = node.as_any().downcast_ref::<StatefulAggregate>() {
        let (schema, input) = input()?;
        return AggregateNode::plan(aggregate, schema, input, session).map(Some);
    }
    if let Some(join) = node.as_any().downcast_ref::<StreamJoin>() {
        let [left, right] = physical_inputs else {
            return Err(internal_datafusion_err!("{} takes two inputs", node.name()));
        };
        let inputs = [Arc::clone(left), Arc::clone(right)];
        return JoinNode::plan(join, inputs, session).map(Some);
    }
    if let Some(deduplicate) = node.as_any().downcast_ref::<Deduplicate>() {
        let (schema, input) = input()?;
        return DeduplicateNode::plan(deduplicate, schema, input, session).map(Some);
    }
    if let Some(limit) = node.as_any().downcast_ref::<GlobalLimit>() {
        let (_, input) = input()?;
        return GlobalLimitNode::plan(limit, input, session).map(Some);
    }
    Ok(None)
}

/// The stateful operators of a physical plan, root first.
pub fn stateful_operators(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<dyn StatefulOperator>> {
    let own = plan.downcast_ref::<StatefulExec>().map(StatefulExec::operator);
    own.into_iter().chain(plan.children().into_iter().flat_map(stateful_operators)).collect()
}
