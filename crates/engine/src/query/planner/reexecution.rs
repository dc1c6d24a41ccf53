//! Which physical nodes may run again and again.
//!
//! DataFusion promises nothing about executing one plan twice. Each name here has a test
//! that runs it on two batches with a reset in between and compares with a fresh plan
//! (`tests/it/reexecution.rs`); any other node is refused when the query starts.

use std::sync::Arc;

use datafusion::{
    datasource::{memory::MemorySourceConfig, source::DataSourceExec},
    physical_plan::ExecutionPlan,
};

use crate::{Result, SparkError};

/// Names of nodes that are right when executed again after `reset_plan_states`.
pub const REEXECUTABLE: &[&str] = &[
    "AggregateExec",
    "CollectMetricsExec",
    "CooperativeExec",
    "CrossJoinExec",
    "DeduplicateExec",
    "EmptyExec",
    "EventTimeWatermarkExec",
    "ExpandExec",
    "FileScanExec",
    "FilterExec",
    "GlobalLimitExec",
    "HashJoinExec",
    "LazyMemoryExec",
    "NestedLoopJoinExec",
    "NondeterministicExec",
    "OrderedCoalesceExec",
    "PlaceholderRowExec",
    "ProbeSideExec",
    "ProjectionExec",
    "ScalarSubqueryExec",
    "SessionWindowExec",
    "SortExec",
    "StatefulAggregateExec",
    "StreamJoinExec",
    "StreamScanExec",
    "StreamingGlobalLimitExec",
    "TimeWindowExec",
    "UnionExec",
    "UnnestExec",
    "UpdatingSessionsExec",
];

/// Refuses a plan with a node that has no re-execution test.
pub(super) fn check(plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    // A node may add its mode to its name: `SortExec(TopK)`.
    let name = plan.name().split('(').next().unwrap_or_default();
    if !(REEXECUTABLE.contains(&name) || is_memory(plan)) {
        return Err(SparkError::unsupported(format!("the operator `{}` in a streaming query", plan.name())));
    }
    plan.children().into_iter().try_for_each(check)
}

/// DataFusion's file scans come back silently empty; tables in memory do not.
fn is_memory(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<DataSourceExec>()
        .is_some_and(|scan| (scan.data_source().as_ref() as &dyn std::any::Any).is::<MemorySourceConfig>())
}
