//! The DataFusion session every plan of the engine is optimised, planned and run with.
//!
//! One configuration for batch and stream, chosen so that a plan gives the same rows in
//! the same order each time it runs: nothing is stolen between partitions, nothing is
//! dealt out round-robin, aggregates never give up half-way, and no filter changes while
//! a plan runs (a re-executed plan would keep the old one).

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    catalog::Session,
    error::Result as DataFusionResult,
    execution::{
        SessionState, SessionStateBuilder,
        context::QueryPlanner,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    logical_expr::{LogicalPlan, UserDefinedLogicalNode, physical_planning_context::PhysicalPlanningContext},
    optimizer::Optimizer,
    physical_expr::expressions::lit as physical_lit,
    physical_plan::{ExecutionPlan, filter::FilterExec},
    physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner},
    prelude::SessionConfig,
};

use crate::{Result, operators};

/// Memory, disk and object stores shared by all queries of a process.
///
/// # Errors
/// When the temporary directory for spilling cannot be made.
pub fn runtime_env() -> Result<Arc<RuntimeEnv>> {
    Ok(RuntimeEnvBuilder::new().build_arc()?)
}

/// The configuration of [`session_state`] for `target_partitions` parallel partitions.
pub fn session_config(target_partitions: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false)
        .with_target_partitions(target_partitions.max(1))
        .with_round_robin_repartition(false)
        .with_collect_statistics(false);
    let options = config.options_mut();
    options.execution.enable_file_stream_work_stealing = false;
    // Above 1.0 partial aggregation never stops grouping: a ratio cannot exceed one.
    options.execution.skip_partial_aggregation_probe_ratio_threshold = 1.1;
    options.execution.parquet.schema_force_view_types = false;
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    // Fields are not read apart from their struct, and the rule fails where two keys are one column.
    options.optimizer.enable_leaf_expression_pushdown = false;
    options.optimizer.expand_views_at_output = false;
    // Whatever a rule cannot do is an error, never a plan that was half rewritten.
    options.optimizer.skip_failed_rules = false;
    config
}

/// A session whose plans run on `target_partitions` partitions.
///
/// Batch queries use the number of cores; streams use one and read ahead in their leaves
/// instead, so that a small batch costs no task switch.
pub fn session_state(target_partitions: usize, runtime: Arc<RuntimeEnv>) -> SessionState {
    SessionStateBuilder::new()
        .with_config(session_config(target_partitions))
        .with_runtime_env(runtime)
        .with_default_features()
        .with_query_planner(Arc::new(EnginePlanner))
        .with_physical_optimizer_rule(Arc::new(operators::OrderPartitions))
        .build()
}

/// Rules that take away what gives no rows: above a stream it is read all the same, for its
/// rows are counted, move the watermark and stay in state.
const NOT_OVER_STREAMS: [&str; 3] = ["eliminate_filter", "eliminate_join", "propagate_empty_relation"];

/// A session for the plans of streams: [`session_state`] on one partition, and like Spark's
/// optimiser it keeps every branch that reads a stream.
pub fn streaming_session_state(runtime: Arc<RuntimeEnv>) -> SessionState {
    let mut rules = Optimizer::new().rules;
    rules.retain(|rule| !NOT_OVER_STREAMS.contains(&rule.name()));
    SessionStateBuilder::new_from_existing(session_state(1, runtime)).with_optimizer_rules(rules).build()
}

/// DataFusion's planner plus the engine's own nodes.
struct EnginePlanner;

impl fmt::Debug for EnginePlanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnginePlanner")
    }
}

#[async_trait]
impl QueryPlanner for EnginePlanner {
    async fn create_physical_plan(
        &self,
        logical_plan: &LogicalPlan,
        session: &dyn Session,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(EngineNodes)])
            .create_physical_plan(logical_plan, session)
            .await
    }
}

/// Plans the nodes of [`crate::plan`].
struct EngineNodes;

#[async_trait]
impl ExtensionPlanner for EngineNodes {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _planning: &PhysicalPlanningContext,
    ) -> DataFusionResult<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(watermark) = node.as_any().downcast_ref::<crate::plan::EventTimeWatermark>() {
            return operators::EventTimeWatermarkExec::plan(watermark, physical_inputs).map(Some);
        }
        if let ([input], true) = (physical_inputs, node.as_any().is::<crate::plan::NoRows>()) {
            return Ok(Some(Arc::new(FilterExec::try_new(physical_lit(false), Arc::clone(input))?)));
        }
        operators::plan_extension(node, logical_inputs, physical_inputs, session)
    }
}
