//! From a translated plan to what a run executes batch after batch.
//!
//! A query is checked, rewritten, optimised and physically planned once per run into a
//! [`Template`]; each batch gets its own executable tree from [`Template::instantiate`].
//! Sources, watermarks and stateful operators are numbered left to right in the plan as
//! translated: their directories in the checkpoint go by these numbers.

mod coalesced;
mod constant_filters;
mod constant_keys;
mod deduplicated_columns;
mod expensive;
mod filter_passes;
mod first_batch;
mod global_groups;
mod grouping_sets;
mod infer_filters;
mod instantiate;
mod join_order;
mod limits;
mod never_joined;
mod never_met;
mod null_intolerant;
mod outer_join;
mod redundant_aggregates;
mod reexecution;
mod replace;
mod rewrite;
mod self_comparison;
mod semi_join;
mod stream_join;
mod unsupported;
mod watermark_propagation;
mod window_filters;

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    common::{
        DFSchema,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    datasource::source_as_provider,
    execution::SessionState,
    logical_expr::{Aggregate, Distinct, Expr, LogicalPlan},
    optimizer::{
        Optimizer, OptimizerRule, optimize_projections::OptimizeProjections, push_down_filter::PushDownFilter,
    },
    physical_plan::{ExecutionPlan, displayable},
};

use super::{QueryEnvironment, QuerySpec, streaming_query::Plans};
use crate::{
    Result, SparkError,
    operators::{StatefulOperator, stateful_operators, watermark_ordinals},
    plan::{BatchTimestampCell, StreamScan, WATERMARK_DELAY_KEY},
    session::streaming_session_state,
    source::SourceSpec,
    state::StateLocation,
};

pub use reexecution::REEXECUTABLE;
pub use unsupported::check_batch;
pub(crate) use unsupported::without_start;
pub(crate) use watermark_propagation::WatermarkPropagation;

/// A planned query.
#[derive(Debug)]
pub(crate) struct Template {
    plan: Arc<dyn ExecutionPlan>,
    /// By scan ordinal.
    pub scans: Vec<SourceSpec>,
    /// Delays in milliseconds by watermark ordinal.
    pub watermark_delays_ms: Vec<i64>,
    /// Watermark ordinals, root first.
    pub watermarks_from_root: Vec<usize>,
    /// Stateful operators, root first, as progress lists them.
    pub stateful: Vec<Arc<dyn StatefulOperator>>,
    /// The watermark of each of them.
    pub watermarks: WatermarkPropagation,
    /// What `observe` sees, root first.
    pub observed: Vec<Arc<crate::plan::Observed>>,
    /// `batchTimestampMs` as expressions see it.
    pub timestamp: BatchTimestampCell,
    /// Rendered plans for `explain`.
    pub plans: Plans,
}

/// Checks and plans a query whose checkpoint is going to be in `checkpoint`.
///
/// # Errors
/// Spark's analysis errors for illegal plans; `UNSUPPORTED_FEATURE.MILLSTREAM` for what
/// this build cannot run yet. Nothing has been written.
pub(crate) async fn plan(
    spec: &QuerySpec,
    environment: &QueryEnvironment,
    state: StateLocation,
) -> Result<Template> {
    plan_ids(spec, environment, state).await.map_err(|error| with_names(error, &spec.column_names))
}

/// Puts the user's names before the ids of columns: `t#12`.
fn with_names(error: SparkError, names: &HashMap<String, String>) -> SparkError {
    const PARAMETER: &str = "eventTimeCols";
    let Some(shown) = error.params().get(PARAMETER) else { return error };
    let columns = shown.trim_start_matches('(').split(',').map(|column| {
        let id = column.trim_end_matches(')').split('-').next().unwrap_or_default();
        format!("{}{column}", names.get(id).map_or("", String::as_str))
    });
    let named = format!("({}", columns.collect::<Vec<_>>().join(","));
    error.with(PARAMETER, named)
}

/// [`plan`], whose errors know columns by their ids only.
async fn plan_ids(
    spec: &QuerySpec,
    environment: &QueryEnvironment,
    state: StateLocation,
) -> Result<Template> {
    let aggregated = distinct_as_aggregate(keep_watermarks_of_unions(spec.plan.clone())?)?;
    let marked = grouping_sets::expand(aggregated)?;
    unsupported::check(&marked, spec.output_mode, &spec.conf)?;
    let timestamp = BatchTimestampCell::default();
    let bound = timestamp.bind(marked)?;
    let mut session = streaming_session_state(Arc::clone(&environment.runtime));
    session.config_mut().set_extension(Arc::new(state));
    let held = coalesced::hold(expensive::put_up(bound)?)?;
    let passed = filter_passes::run(constant_keys::sink(held)?, &session)?;
    let settled = constant_filters::settle_written(passed, &session)?;
    let prepared = stream_join::prepare(limits::simplify(settled)?, &session)?;
    let prepared = keep_watermarks_of_unions(constant_filters::settle(prepared, &session)?)?;
    let pushed = keep_watermarks_of_unions(push_filters(prepared, &session)?)?;
    let prune = |plan| -> Result<LogicalPlan> {
        let pruned = deduplicated_columns::narrow(prune_columns(plan, &session)?)?;
        keep_watermarks_of_unions(pruned)
    };
    let fewer = redundant_aggregates::remove(prune(pushed)?)?;
    let pruned = if fewer.transformed { prune(fewer.data)? } else { fewer.data };
    let pruned = limits::simplify(pruned)?;
    first_batch::check(&pruned)?;
    let rewritten = rewrite::rewrite(coalesced::release(pruned)?, spec.output_mode, &spec.conf)?;

    // Pruning the columns of a union loses its marks once more.
    let optimized = keep_watermarks_of_unions(session.optimize(&expensive::hold(rewritten.plan.clone())?)?)?;
    let optimized = expensive::release(optimized)?;
    let physical = session.query_planner().create_physical_plan(&optimized, &session).await?;
    let physical = instantiate::stream_as_probe_side(physical)?;
    reexecution::check(&physical)?;

    let shown = displayable(physical.as_ref()).indent(false).to_string();
    let plans = Plans {
        simple: format!("== Physical Plan ==\n{shown}"),
        extended: format!(
            "== Parsed Logical Plan ==\n{parsed}\n\n== Analyzed Logical Plan ==\n{analyzed}\n\n\
             == Optimized Logical Plan ==\n{optimized}\n\n== Physical Plan ==\n{shown}",
            parsed = spec.plan.display_indent(),
            analyzed = expensive::release(rewritten.plan)?.display_indent(),
            optimized = optimized.display_indent(),
        ),
    };
    Ok(Template {
        stateful: stateful_operators(&physical),
        watermarks_from_root: watermark_ordinals(&physical),
        watermarks: WatermarkPropagation::new(&physical)?,
        observed: crate::operators::observed(&physical),
        plan: physical,
        scans: rewritten.scans,
        watermark_delays_ms: rewritten.watermark_delays_ms,
        timestamp,
        plans,
    })
}

/// Marks the columns of a union as event time where those of its first input are.
///
/// DataFusion drops marks that differ in their delay; Spark's union has the columns of its
/// first input, marks included.
fn keep_watermarks_of_unions(plan: LogicalPlan) -> Result<LogicalPlan> {
    let marked = plan.transform_up(|node| match node {
        LogicalPlan::Union(mut union) => {
            let first = union.inputs.first().map(|input| Arc::clone(input.schema()));
            let fields = union.schema.iter().enumerate().map(|(i, (qualifier, field))| {
                let mark = first
                    .as_ref()
                    .and_then(|f| f.fields().get(i))
                    .and_then(|f| f.metadata().get(WATERMARK_DELAY_KEY));
                let mut metadata = field.metadata().clone();
                match mark {
                    Some(delay) => metadata.insert(WATERMARK_DELAY_KEY.to_string(), delay.clone()),
                    None => metadata.remove(WATERMARK_DELAY_KEY),
                };
                (qualifier.cloned(), Arc::new(field.as_ref().clone().with_metadata(metadata)))
            });
            union.schema =
                Arc::new(DFSchema::new_with_metadata(fields.collect(), union.schema.metadata().clone())?);
            Ok(Transformed::yes(LogicalPlan::Union(union)))
        }
        // Schemas above follow; leaves have nothing below them to follow.
        node if node.inputs().is_empty() || !has_union(&node) => Ok(Transformed::no(node)),
        node => node.recompute_schema().map(Transformed::yes),
    })?;
    Ok(marked.data)
}

/// Makes `SELECT DISTINCT` over a stream the aggregate it is in Spark: without a function, so
/// that each output mode does with its rows what it does with groups.
fn distinct_as_aggregate(plan: LogicalPlan) -> Result<LogicalPlan> {
    let aggregated = plan.transform_up(|node| match node {
        LogicalPlan::Distinct(Distinct::All(input)) if is_streaming(&input) => {
            let keys = input.schema().columns().into_iter().map(Expr::Column).collect();
            let aggregate = Aggregate::try_new(input, keys, vec![])?;
            Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
        }
        node => Ok(Transformed::no(node)),
    })?;
    Ok(aggregated.data)
}

fn has_union(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Union(_)) || plan.inputs().into_iter().any(has_union)
}

/// Moves filters down while aggregates are still the optimiser's own.
///
/// Spark moves a filter on a grouping key below the aggregate and on below the watermark,
/// where it decides which rows move it. A plan with subqueries is left as it is: this rule
/// expects them to be gone.
fn push_filters(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    if has_subqueries(&plan)? {
        return Ok(plan);
    }
    let push = |plan| {
        let rule: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(PushDownFilter::new());
        Optimizer::with_rules(vec![rule]).optimize(plan, session, |_, _| {})
    };
    Ok(push(window_filters::push_below_windows(push(plan)?)?)?)
}

/// Drops columns and aggregates nobody reads while aggregates are still the optimiser's own.
///
/// What Spark's `ColumnPruning` drops is not computed (an overflow in it is no error), not kept
/// in state, and no event time.
fn prune_columns(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    if has_subqueries(&plan)? {
        return Ok(plan);
    }
    let rule: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(OptimizeProjections::new());
    let guarded = global_groups::guard(plan)?;
    Ok(global_groups::release(Optimizer::with_rules(vec![rule]).optimize(guarded, session, |_, _| {})?)?)
}

/// Whether any expression of a plan has a subquery, which rules for filters expect to be gone.
fn has_subqueries(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        found |= node.expressions().iter().any(has_subquery);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|e| Ok(matches!(e, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_))))
        .unwrap_or(true)
}

/// The streaming read behind a leaf, if it is one.
fn stream_scan(plan: &LogicalPlan) -> Option<SourceSpec> {
    let LogicalPlan::TableScan(scan) = plan else { return None };
    let provider = source_as_provider(&scan.source).ok()?;
    provider.downcast_ref::<StreamScan>().map(|s| s.spec().clone())
}

/// Whether a plan reads a stream.
pub(crate) fn is_streaming(plan: &LogicalPlan) -> bool {
    stream_scan(plan).is_some() || plan.inputs().into_iter().any(is_streaming)
}
