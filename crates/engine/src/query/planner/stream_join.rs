//! What the optimiser of Spark does around a join of streams and ours would not: which rows
//! and columns reach the join decides what it keeps, and which rows move the watermark.
//!
//! - An outer join below a filter that no padded row passes becomes a narrower join.
//! - A null that a condition cannot meet is filtered out below the join, and with it the row
//!   for a watermark further down; so is what an equality tells of the other side.
//! - A window above wants rows with a time, and so narrows an outer join, too.
//! - A side loses the columns nobody reads, its event time among them: nothing is late then.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    common::{
        Column, DFSchema, ExprSchema, JoinType,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    execution::SessionState,
    logical_expr::{
        BinaryExpr, Expr, Filter, Join, LogicalPlan, Operator,
        utils::{conjunction, split_conjunction},
    },
    optimizer::{
        Optimizer, OptimizerRule, eliminate_outer_join::EliminateOuterJoin,
        optimize_projections::OptimizeProjections, push_down_filter::PushDownFilter,
    },
};

use super::{has_subqueries, is_streaming, semi_join};
use crate::{
    Result,
    plan::{EventTimeWatermark, JoinCondition, SessionWindow, TimeWindow},
};

/// Whether `join` joins two streams.
pub(super) fn is_stream_join(join: &Join) -> bool {
    is_streaming(&join.left) && is_streaming(&join.right)
}

/// Whether a plan joins two streams anywhere.
pub(super) fn has_stream_join(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Join(join) if is_stream_join(join))
        || plan.inputs().into_iter().any(has_stream_join)
}

/// Optimises as Spark does around joins of streams with streams or with static data; a plan
/// without one stays as it is.
pub(super) fn prepare(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    if has_subqueries(&plan)? {
        return Ok(plan);
    }
    let joined = has_join_over_stream(&plan);
    let plan = plan.transform_up(|node| timed_rows(node, joined)).data()?;
    if !joined {
        return Ok(plan);
    }
    let run = |plan, rules: Vec<Arc<dyn OptimizerRule + Send + Sync>>| {
        Optimizer::with_rules(rules).optimize(plan, session, |_, _| {})
    };
    let plan = semi_join::push_below_groups(plan)?;
    let narrow = || -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
        vec![Arc::new(EliminateOuterJoin::new()), Arc::new(PushDownFilter::new())]
    };
    let plan = run(plan, narrow())?;
    let plan = plan.transform_up(|node| match node {
        LogicalPlan::Join(join) if is_over_stream(&join) => infer_filters(join).map(Transformed::yes),
        node => Ok(Transformed::no(node)),
    });
    let plan = run(plan.data()?, narrow())?;
    if !has_stream_join(&plan) {
        return Ok(plan);
    }
    Ok(run(plan, vec![Arc::new(OptimizeProjections::new())])?)
}

/// Spells out that rows without a time are in no window, and totals of windows in no other.
///
/// Without a join below, rows without a time are left to the window, which counts them.
fn timed_rows(node: LogicalPlan, joined: bool) -> datafusion::common::Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Extension(extension) = &node else { return Ok(Transformed::no(node)) };
    let any = extension.node.as_any();
    let time = any.downcast_ref::<TimeWindow>().map(TimeWindow::time);
    let Some(time) = time.or(any.downcast_ref::<SessionWindow>().map(SessionWindow::time)) else {
        return Ok(Transformed::no(node));
    };
    let [input] = node.inputs()[..] else { return Ok(Transformed::no(node)) };
    let schema = input.schema();
    let mut columns = BTreeSet::new();
    null_intolerant(time, &mut columns);
    let missing = |column: &&Column| {
        let field = schema.field_from_column(column);
        field.is_ok_and(|field| field.is_nullable() && (joined || field.data_type().is_nested()))
    };
    let timed = columns.iter().filter(missing).map(|column| Expr::Column(column.clone()).is_not_null());
    let Some(timed) = conjunction(timed) else { return Ok(Transformed::no(node)) };
    let input = LogicalPlan::Filter(Filter::try_new(timed, Arc::new(input.clone()))?);
    node.with_new_exprs(node.expressions(), vec![input]).map(Transformed::yes)
}

fn is_over_stream(join: &Join) -> bool {
    is_streaming(&join.left) || is_streaming(&join.right)
}

fn has_join_over_stream(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Join(join) if is_over_stream(join))
        || plan.inputs().into_iter().any(has_join_over_stream)
}

/// Spark's `InferFiltersFromConstraints` for a join.
fn infer_filters(mut join: Join) -> datafusion::common::Result<LogicalPlan> {
    let (on_left, on_right) = match join.join_type {
        JoinType::Inner | JoinType::LeftSemi => (true, true),
        JoinType::Left | JoinType::LeftAnti => (false, true),
        JoinType::Right => (true, false),
        _ => return Ok(LogicalPlan::Join(join)),
    };
    let condition = JoinCondition::of(&join);
    let equalities = condition.keys.iter().filter(|k| !k.null_safe);
    let pairs: Vec<(Expr, Expr)> = equalities.map(|k| (k.left.clone(), k.right.clone())).collect();
    let mut known: Vec<Expr> = condition.others().cloned().collect();
    known.extend(pairs.iter().map(|(l, r)| binary(l.clone(), Operator::Eq, r.clone())));
    known.extend(constraints(&join.left));
    known.extend(constraints(&join.right));

    // What holds for one side of an equality of columns holds for the other.
    let mut inferred = Vec::new();
    for (l, r) in &pairs {
        let (Expr::Column(l), Expr::Column(r)) = (l, r) else { continue };
        for constraint in known.iter().filter(|c| !matches!(c, Expr::IsNotNull(_)) && !c.is_volatile()) {
            for (from, to) in [(l, r), (r, l)] {
                if constraint.column_refs() == std::iter::once(from).collect() {
                    inferred.push(replace(constraint.clone(), from, to)?);
                }
            }
        }
    }
    let mut not_null = BTreeSet::new();
    for constraint in known.iter().chain(&inferred) {
        null_intolerant(constraint, &mut not_null);
    }
    let side = |input: &Arc<LogicalPlan>| -> datafusion::common::Result<Arc<LogicalPlan>> {
        let schema = input.schema();
        let had = constraints(input);
        let own = |e: &&Expr| e.column_refs().into_iter().all(|c| schema.has_column(c));
        let mut filters: Vec<Expr> = inferred.iter().filter(own).cloned().collect();
        filters.extend(
            not_null.iter().filter(|c| may_be_null(c, schema)).map(|c| Expr::Column(c.clone()).is_not_null()),
        );
        filters.retain(|f| !had.contains(f));
        filters.dedup();
        match conjunction(filters) {
            None => Ok(Arc::clone(input)),
            Some(filter) => Ok(Arc::new(LogicalPlan::Filter(Filter::try_new(filter, Arc::clone(input))?))),
        }
    };
    if on_left {
        join.left = side(&join.left)?;
    }
    if on_right {
        join.right = side(&join.right)?;
    }
    Ok(LogicalPlan::Join(join))
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn may_be_null(column: &Column, schema: &DFSchema) -> bool {
    schema.field_from_column(column).is_ok_and(|field| field.is_nullable())
}

fn replace(expr: Expr, from: &Column, to: &Column) -> datafusion::common::Result<Expr> {
    expr.transform(|e| match e {
        Expr::Column(c) if c == *from => Ok(Transformed::yes(Expr::Column(to.clone()))),
        e => Ok(Transformed::no(e)),
    })
    .data()
}

/// What filters below tell of a plan's output.
fn constraints(plan: &LogicalPlan) -> Vec<Expr> {
    match plan {
        LogicalPlan::Filter(filter) => {
            let mut known: Vec<Expr> = split_conjunction(&filter.predicate).into_iter().cloned().collect();
            known.extend(constraints(&filter.input));
            known
        }
        LogicalPlan::SubqueryAlias(_) => vec![],
        LogicalPlan::Extension(extension) => {
            match extension.node.as_any().downcast_ref::<EventTimeWatermark>() {
                Some(watermark) => constraints(watermark.input()),
                None => vec![],
            }
        }
        LogicalPlan::Projection(projection) => {
            // By the names the projection gives, as far as it passes columns on.
            let schema = &projection.schema;
            let mut renamed = Vec::new();
            for (expr, (qualifier, field)) in projection.expr.iter().zip(schema.iter()) {
                if let Expr::Column(column) = expr.clone().unalias_nested().data {
                    renamed.push((column, Column::new(qualifier.cloned(), field.name())));
                }
            }
            let below = constraints(&projection.input).into_iter();
            below
                .filter_map(|constraint| {
                    let columns: Vec<Column> = constraint.column_refs().into_iter().cloned().collect();
                    columns.into_iter().try_fold(constraint, |e, column| {
                        let (_, to) = renamed.iter().find(|(from, _)| *from == column)?;
                        replace(e, &column, to).ok()
                    })
                })
                .collect()
        }
        _ => vec![],
    }
}

/// Functions that give null for a null, as Spark's `NullIntolerant` expressions.
const NULL_INTOLERANT: &[&str] = &[
    "*",
    "+",
    "-",
    "/",
    "%",
    "abs",
    "cast",
    "date_add",
    "date_sub",
    "interval_add",
    "interval_sub",
    "length",
    "lower",
    "negative",
    "normalize_float",
    "pmod",
    "subtract_dates",
    "subtract_timestamps",
    "time_add",
    "time_sub",
    "trim",
    "upper",
    "window_time",
];

/// Columns that are not null where `expr` is true (or, inside, not null).
fn null_intolerant(expr: &Expr, found: &mut BTreeSet<Column>) {
    match expr {
        Expr::Column(column) => {
            found.insert(column.clone());
        }
        Expr::Alias(alias) => null_intolerant(&alias.expr, found),
        Expr::IsNotNull(inner) | Expr::Not(inner) | Expr::Negative(inner) => null_intolerant(inner, found),
        Expr::Cast(cast) => null_intolerant(&cast.expr, found),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => {}
            _ => {
                null_intolerant(left, found);
                null_intolerant(right, found);
            }
        },
        Expr::ScalarFunction(call) if NULL_INTOLERANT.contains(&call.name()) => {
            call.args.iter().for_each(|arg| null_intolerant(arg, found));
        }
        _ => {}
    }
}
