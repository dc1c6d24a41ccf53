//! Spark's `UnsupportedOperationChecker`: which plans a stream can run, by output mode.
//!
//! Texts are Spark 4.3's, recorded in `tests/golden/streaming`.

use datafusion::{
    common::{Column, ExprSchema, JoinType},
    logical_expr::{Aggregate, Expr, Join, LogicalPlan, SkipType},
};

use super::is_streaming;
use crate::{
    Result, SparkError,
    operators::aggregate::SparkAggregate,
    plan::{Deduplicate, JoinCondition, ValueBound, is_session_window, watermark_delay},
    query::QueryConf,
    sink::OutputMode,
};

/// Refuses a batch query that reads a stream.
///
/// # Errors
/// Spark's, telling to use `writeStream.start()`.
pub fn check_batch(plan: &LogicalPlan) -> Result<()> {
    if is_streaming(plan) { Err(without_start()) } else { Ok(()) }
}

/// The error of a batch query that reads a stream.
pub(crate) fn without_start() -> SparkError {
    illegal(
        "Queries with streaming sources must be executed with writeStream.start(), or from a streaming table or \
         flow definition within a Spark Declarative Pipeline.",
    )
}

/// Refuses what Spark refuses, and what this build cannot run.
pub(super) fn check(plan: &LogicalPlan, mode: OutputMode, conf: &QueryConf) -> Result<()> {
    if !is_streaming(plan) {
        return Err(illegal("Queries without streaming sources cannot be executed with writeStream.start()"));
    }
    let mut aggregates = Vec::new();
    streaming_aggregates(plan, &mut aggregates);
    if conf.unsupported_operation_check() {
        check_mode(&aggregates, mode)?;
        check_node(plan, mode)?;
        if conf.correctness_check() {
            check_correctness(plan, mode)?;
        } else if let Err(refused) = check_correctness(plan, mode) {
            tracing::warn!(%refused, "the check of several stateful operators is off");
        }
    }
    if let Some(setting) = conf.without_effect() {
        return Err(SparkError::unsupported(format!("the setting `{setting}`")));
    }
    check_supported(plan)
}

fn streaming_aggregates<'a>(plan: &'a LogicalPlan, found: &mut Vec<&'a Aggregate>) {
    if let LogicalPlan::Aggregate(aggregate) = plan
        && is_streaming(&aggregate.input)
    {
        found.push(aggregate);
    }
    for input in plan.inputs() {
        streaming_aggregates(input, found);
    }
}

/// Whether a streaming aggregation stands in `plan`.
fn aggregates_below(plan: &LogicalPlan) -> bool {
    let mut found = Vec::new();
    streaming_aggregates(plan, &mut found);
    !found.is_empty()
}

fn check_mode(aggregates: &[&Aggregate], mode: OutputMode) -> Result<()> {
    let unsupported = |operation: &str| {
        Err(SparkError::new("STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION")
            .with("outputMode", mode.to_string().to_lowercase())
            .with("operation", operation))
    };
    match mode {
        OutputMode::Append => {
            // As in Spark the one nearest the sink counts.
            if let Some(aggregate) = aggregates.first() {
                let keys = aggregate.schema.fields().iter().take(aggregate.group_expr.len());
                if !keys.into_iter().any(|key| watermark_delay(key).is_some()) {
                    return unsupported("streaming aggregations without watermark");
                }
            }
            Ok(())
        }
        OutputMode::Update if aggregates.first().is_some_and(|a| session_key(a)) => {
            unsupported("session window streaming aggregations")
        }
        OutputMode::Complete if aggregates.is_empty() => unsupported("no streaming aggregations"),
        _ => Ok(()),
    }
}

/// Whether an aggregate groups by a session window.
pub(super) fn session_key(aggregate: &Aggregate) -> bool {
    aggregate.schema.fields().iter().take(aggregate.group_expr.len()).any(|key| is_session_window(key))
}

const GLOBAL_WATERMARK: &str = "Detected pattern of possible 'correctness' issue due to global watermark. The \
    query contains stateful operation which can emit rows older than the current watermark plus allowed late record \
    delay, which are \"late rows\" in downstream stateful operations and these rows can be discarded. Please refer \
    the programming guide doc for more details. If you understand the possible risk of correctness issue and still \
    need to run the query, you can disable this check by setting the config \
    `spark.sql.streaming.statefulOperator.checkCorrectness.enabled` to false.";

/// Refuses stateful operators over ones that give rows behind the watermark.
fn check_correctness(plan: &LogicalPlan, mode: OutputMode) -> Result<()> {
    if mode != OutputMode::Append && is_stateful(plan) && plan.inputs().into_iter().any(aggregates_below) {
        return Err(illegal(GLOBAL_WATERMARK));
    }
    plan.inputs().into_iter().try_for_each(|input| check_correctness(input, mode))
}

/// What Spark counts as stateful here: a deduplication only with an event time among its keys.
fn is_stateful(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => is_streaming(&aggregate.input),
        LogicalPlan::Join(join) => is_streaming(&join.left) && is_streaming(&join.right),
        _ => deduplicate(plan).is_some_and(|node| {
            let marked = |key: &Column| {
                node.input().schema().field_from_column(key).is_ok_and(|f| watermark_delay(f).is_some())
            };
            node.within_watermark() || node.keys().iter().any(marked)
        }),
    }
}

/// The deduplication of a stream that `plan` is.
fn deduplicate(plan: &LogicalPlan) -> Option<&Deduplicate> {
    let LogicalPlan::Extension(extension) = plan else { return None };
    extension.node.as_any().downcast_ref::<Deduplicate>().filter(|node| is_streaming(node.input()))
}

/// Walks bottom-up, so that the lowest offence is named, as in Spark.
fn check_node(plan: &LogicalPlan, mode: OutputMode) -> Result<()> {
    for input in plan.inputs() {
        check_node(input, mode)?;
    }
    match plan {
        LogicalPlan::Aggregate(aggregate)
            if is_streaming(&aggregate.input) && aggregate.aggr_expr.iter().any(is_distinct) =>
        {
            return Err(illegal(
                "Distinct aggregations are not supported on streaming DataFrames/Datasets. Consider using \
                 approx_count_distinct() instead.",
            ));
        }
        LogicalPlan::Sort(sort)
            if is_streaming(&sort.input)
                && !(mode == OutputMode::Complete && aggregates_below(&sort.input)) =>
        {
            return Err(illegal(
                "Sorting is not supported on streaming DataFrames/Datasets, unless it is on aggregated \
                 DataFrame/Dataset in Complete output mode",
            ));
        }
        LogicalPlan::Limit(limit)
            if is_streaming(&limit.input)
                && (limit.fetch.is_none() || !matches!(limit.get_skip_type()?, SkipType::Literal(0))) =>
        {
            return Err(illegal("Offset is not supported on streaming DataFrames/Datasets"));
        }
        LogicalPlan::Limit(limit) if is_streaming(&limit.input) && mode == OutputMode::Update => {
            return Err(illegal(
                "Limits are not supported on streaming DataFrames/Datasets in Update output mode",
            ));
        }
        LogicalPlan::Union(union) => {
            let streaming = union.inputs.iter().filter(|input| is_streaming(input)).count();
            if streaming != 0 && streaming != union.inputs.len() {
                return Err(illegal(
                    "Union between streaming and batch DataFrames/Datasets is not supported",
                ));
            }
        }
        LogicalPlan::Window(window) if is_streaming(&window.input) => {
            let names: Vec<String> = window.window_expr.iter().map(ToString::to_string).collect();
            return Err(SparkError::new("NON_TIME_WINDOW_NOT_SUPPORTED_IN_STREAMING")
                .with("windowFunc", names.join(","))
                .with("columnName", String::new())
                .with("windowSpec", String::new()));
        }
        LogicalPlan::Join(join) => check_join(join, mode)?,
        plan => {
            if let Some(node) = deduplicate(plan).filter(|node| node.within_watermark())
                && !node.input().schema().fields().iter().any(|f| watermark_delay(f).is_some())
            {
                return Err(illegal(
                    "dropDuplicatesWithinWatermark is not supported on streaming DataFrames/DataSets without watermark",
                ));
            }
        }
    }
    Ok(())
}

fn is_distinct(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_distinct(&alias.expr),
        Expr::AggregateFunction(call) => {
            call.params.distinct || SparkAggregate::of(&call.func).is_some_and(SparkAggregate::is_distinct)
        }
        _ => false,
    }
}

fn check_join(join: &Join, mode: OutputMode) -> Result<()> {
    use JoinType::{Full, Inner, Left, LeftAnti, LeftSemi, Right, RightAnti, RightSemi};
    let crossed = join.on.is_empty() && join.filter.is_none();
    let name = match join.join_type {
        Inner if crossed => "Cross",
        Left => "LeftOuter",
        Right => "RightOuter",
        Full => "FullOuter",
        LeftSemi => "LeftSemi",
        LeftAnti => "LeftAnti",
        RightSemi => "RightSemi",
        RightAnti => "RightAnti",
        _ => "Inner",
    };
    let (left, right) = (is_streaming(&join.left), is_streaming(&join.right));
    if left && right && join.join_type != LeftAnti {
        check_join_mode(join.join_type, name, mode)?;
    }
    match (join.join_type, left, right) {
        (LeftAnti, _, true) => Err(illegal(&format!(
            "{name} joins with a streaming DataFrame/Dataset on the right are not supported"
        ))),
        (Left | LeftSemi, false, true) => Err(illegal(&format!(
            "{name} join with a streaming DataFrame/Dataset on the right and a static DataFrame/Dataset on the left \
             is not supported"
        ))),
        // Spark's own words, down to "DataSet".
        (Right | RightSemi | RightAnti, true, false) => Err(illegal(&format!(
            "{name} join with a streaming DataFrame/Dataset on the left and a static DataFrame/DataSet on the right \
             not supported"
        ))),
        (Full, true, false) => Err(illegal(&format!(
            "{name} joins with streaming DataFrames/Datasets on the left and a static DataFrame/Dataset on the right \
             is not supported"
        ))),
        (Full, false, true) => Err(illegal(&format!(
            "{name} joins with streaming DataFrames/Datasets on the right and a static DataFrame/Dataset on the left \
             is not supported"
        ))),
        (Inner, _, _) | (_, true, false) | (_, false, true) | (_, false, false) => Ok(()),
        (_, true, true) if bounds_what_it_pads(join) => Ok(()),
        (_, true, true) => Err(illegal(&format!(
            "Stream-stream {name} join between two streaming DataFrame/Datasets is not supported without a watermark \
             in the join keys, or a watermark on the nullable side and an appropriate range condition"
        ))),
    }
}

fn check_join_mode(join_type: JoinType, name: &str, mode: OutputMode) -> Result<()> {
    let narrow = matches!(join_type, JoinType::Inner | JoinType::LeftSemi);
    let allowed = match mode {
        OutputMode::Append => return Ok(()),
        OutputMode::Update if narrow => return Ok(()),
        _ if narrow => "Append and Update output modes",
        _ => "Append output mode",
    };
    Err(illegal(&format!(
        "{name} join between two streaming DataFrames/Datasets is not supported in {mode} output mode, only in {allowed}"
    )))
}

/// Whether the rows that wait for a partner before they come out alone ever leave (Spark's
/// `checkForStreamStreamJoinWatermark`).
fn bounds_what_it_pads(join: &Join) -> bool {
    let condition = JoinCondition::of(join);
    let (left, right) = (join.left.schema(), join.right.schema());
    let on_left = || ValueBound::of(condition.others(), left, right).is_some();
    let on_right = || ValueBound::of(condition.others(), right, left).is_some();
    condition.event_time_key(left, right).is_some()
        || match join.join_type {
            JoinType::Right => on_right(),
            JoinType::Full => on_left() || on_right(),
            _ => on_left(),
        }
}

/// What Spark runs and we do not yet.
fn check_supported(plan: &LogicalPlan) -> Result<()> {
    let unsupported = |what: &str| Err(SparkError::unsupported(what));
    for expr in plan.expressions() {
        let mut found = false;
        let _ = datafusion::common::tree_node::TreeNode::apply(&expr, |e| {
            found |= match e {
                Expr::ScalarSubquery(q) => is_streaming(&q.subquery),
                Expr::Exists(q) => is_streaming(&q.subquery.subquery),
                Expr::InSubquery(q) => is_streaming(&q.subquery.subquery),
                _ => false,
            };
            Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
        });
        if found {
            return unsupported("a subquery over a stream");
        }
    }
    if matches!(plan, LogicalPlan::RecursiveQuery(_)) && is_streaming(plan) {
        return unsupported("a recursive query over a stream");
    }
    plan.inputs().into_iter().try_for_each(check_supported)
}

pub(super) fn illegal(message: &str) -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_3102").with("msg", message)
}
