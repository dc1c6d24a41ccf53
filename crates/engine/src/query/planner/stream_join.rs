//! What the optimiser of Spark does around a join of streams and ours would not: which rows
//! and columns reach the join decides what it keeps, and which rows move the watermark.
//!
//! - An outer join below a filter that no padded row passes becomes a narrower join.
//! - A null that a condition cannot meet is filtered out below the join, and with it the row
//!   for a watermark further down; so is what an equality tells of the other side.
//! - A window above wants rows with a time, and so narrows an outer join, too.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    common::{
        Column, ExprSchema,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    execution::SessionState,
    logical_expr::{Expr, Filter, Join, LogicalPlan, utils::conjunction},
    optimizer::{
        Optimizer, OptimizerRule, eliminate_outer_join::EliminateOuterJoin, push_down_filter::PushDownFilter,
    },
};

use super::{
    constant_filters, has_subqueries, infer_filters, is_streaming, join_order, never_joined, outer_join,
    semi_join, window_filters,
};
use crate::{
    Result,
    plan::{SessionWindow, TimeWindow},
};

/// Whether `join` joins two streams.
pub(super) fn is_stream_join(join: &Join) -> bool {
    is_streaming(&join.left) && is_streaming(&join.right)
}

/// Optimises as Spark does around filters, windows and joins over streams.
pub(super) fn prepare(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    if has_subqueries(&plan)? {
        return Ok(plan);
    }
    let joined = has_join_over_stream(&plan);
    let plan = plan.transform_up(|node| timed_rows(node, joined, Windows::Exact)).data()?;
    let run = |plan, rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>| {
        Optimizer::with_rules(rules).optimize(plan, session, |_, _| {})
    };
    let plan = semi_join::push_below_groups(plan)?;
    let narrow = || {
        let mut rules = outer(session);
        rules.push(Arc::new(PushDownFilter::new()));
        rules
    };
    let narrowed = run(plan, outer(session))?;
    let plan = never_joined::settle(narrowed, session)?;
    // What is never met says nothing of the other side.
    let plan = constant_filters::settle_before_inference(run(plan, narrow())?, session)?;
    let inferred = infer_filters::infer(plan)?;
    let inferred = inferred.transform_up(|node| timed_rows(node, joined, Windows::Inexact)).data()?;
    let ordered = join_order::reorder(run(inferred, narrow())?)?;
    if ordered.transformed { Ok(run(ordered.data, narrow())?) } else { Ok(ordered.data) }
}

/// The rules that narrow outer joins.
fn outer(session: &SessionState) -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![Arc::new(outer_join::Refused::new(session.clone())), Arc::new(EliminateOuterJoin::new())]
}

/// Which windows ask for rows with a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Windows {
    /// Those a row is in a fixed number of: Spark filters by the time itself, from the start.
    Exact,
    /// The others: Spark compares the time with the edges, and infers from that what it needs.
    Inexact,
}

/// Spells out that rows without a time are in no window, and totals of windows in no other.
///
/// Without state below, rows without a time are left to the window, which counts them.
fn timed_rows(
    node: LogicalPlan,
    joined: bool,
    which: Windows,
) -> datafusion::common::Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Extension(extension) = &node else { return Ok(Transformed::no(node)) };
    let any = extension.node.as_any();
    let (time, windows) = if let Some(window) = any.downcast_ref::<TimeWindow>() {
        let exact = window.spec().is_multiple();
        (window.time(), if exact { Windows::Exact } else { Windows::Inexact })
    } else if let Some(session) = any.downcast_ref::<SessionWindow>() {
        (session.time(), Windows::Exact)
    } else {
        return Ok(Transformed::no(node));
    };
    if windows != which {
        return Ok(Transformed::no(node));
    }
    let [input] = node.inputs()[..] else { return Ok(Transformed::no(node)) };
    let schema = input.schema();
    let stateful = window_filters::keeps_state(input);
    let mut columns = BTreeSet::new();
    infer_filters::null_intolerant(time, &mut columns);
    let missing = |column: &&Column| {
        let field = schema.field_from_column(column);
        field.is_ok_and(|field| field.is_nullable() && (joined || stateful || field.data_type().is_nested()))
    };
    let timed = columns.iter().filter(missing).map(|column| Expr::Column(column.clone()).is_not_null());
    let Some(timed) = conjunction(timed) else { return Ok(Transformed::no(node)) };
    let input = LogicalPlan::Filter(Filter::try_new(timed, Arc::new(input.clone()))?);
    node.with_new_exprs(node.expressions(), vec![input]).map(Transformed::yes)
}

/// Whether `join` reads a stream.
pub(super) fn is_over_stream(join: &Join) -> bool {
    is_streaming(&join.left) || is_streaming(&join.right)
}

fn has_join_over_stream(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Join(join) if is_over_stream(join))
        || plan.inputs().into_iter().any(has_join_over_stream)
}
