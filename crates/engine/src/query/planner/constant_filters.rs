//! Filters whose condition reads no column, where Spark's optimiser leaves them.
//!
//! Spark keeps what is below a condition that is never met when that is a stream, and moves
//! the condition down as far as it does others, but not below aggregations, deduplications
//! and limits, and of a join to the left side alone: which rows a watermark and an operator
//! with state see depends on it.

use std::sync::Arc;

use datafusion::{
    common::{
        DFSchema, JoinType, Result, ScalarValue,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    execution::SessionState,
    logical_expr::{
        BinaryExpr, Expr, ExprSchemable, Filter, Join, LogicalPlan, LogicalPlanBuilder, Operator, lit,
        utils::{conjunction, split_conjunction},
    },
    optimizer::{Optimizer, OptimizerRule, simplify_expressions::SimplifyExpressions},
};

use super::{is_streaming, null_intolerant::is_null_intolerant, stream_join::is_stream_join};
use crate::plan::{EventTimeWatermark, Expand, NoRows, SessionWindow, TimeWindow};

/// Puts the conditions of a plan that read no column in their places.
///
/// One that reads columns and turns out to be constant goes down with them first.
pub(super) fn settle_written(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    plan.transform_up(|node| match node {
        LogicalPlan::Filter(mut filter) => {
            let mut conjuncts = Vec::new();
            for conjunct in split_conjunction(&filter.predicate) {
                let meant = meaning(conjunct.clone(), &filter.input)?;
                conjuncts.push(match meant.column_refs().is_empty() && !meant.is_volatile() {
                    true => constant(&meant, session)?,
                    false => conjunct.clone(),
                });
            }
            filter.predicate = conjunction(conjuncts).unwrap_or_else(|| lit(true));
            filter.input = Arc::new(never_joined_below(Arc::unwrap_or_clone(filter.input), session)?.data);
            let literal = |e: &Expr| matches!(e, Expr::Literal(_, _));
            settled(filter, |condition, schema| literal(condition) && is_never(condition, schema))
        }
        LogicalPlan::Join(join) if matches!(join.join_type, JoinType::Left | JoinType::Full) => {
            never_joined(join, session)
        }
        node => Ok(Transformed::no(node)),
    })
    .data()
}

/// The join that a filter comes down to, see [`never_joined`].
fn never_joined_below(plan: LogicalPlan, session: &SessionState) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Join(join) if matches!(join.join_type, JoinType::Inner | JoinType::LeftSemi) => {
            never_joined(join, session)
        }
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.map_children(|child| never_joined_below(child, session))
        }
        plan => Ok(Transformed::no(plan)),
    }
}

/// `join`, whose condition is nothing but `false` where one of its conjuncts is never met.
///
/// Spark moves such a conjunct to the left side before it finds out, and keeps the others: not
/// where the join is outer on that side, nor where a filter comes down to it in the same step.
fn never_joined(mut join: Join, session: &SessionState) -> Result<Transformed<LogicalPlan>> {
    let mut never = false;
    if !is_stream_join(&join) {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    for conjunct in join.filter.iter().flat_map(split_conjunction) {
        let constant_one = conjunct.column_refs().is_empty() && !conjunct.is_volatile();
        never |= constant_one && is_never(&constant(conjunct, session)?, &join.schema);
    }
    if never {
        (join.on, join.filter) = (vec![], Some(lit(false)));
    }
    Ok(Transformed::new_transformed(LogicalPlan::Join(join), never))
}

/// A condition over `plan` in terms of what its columns are made of, as far as a condition on no
/// column would go down.
fn meaning(condition: Expr, plan: &LogicalPlan) -> Result<Expr> {
    if condition.column_refs().is_empty() {
        return Ok(condition);
    }
    let below = match plan.inputs()[..] {
        [below] if matches!(plan, LogicalPlan::Filter(_)) || passes(plan) => below,
        _ => return Ok(condition),
    };
    let condition = match plan {
        LogicalPlan::Projection(projection) => {
            let columns = projection.schema.columns();
            let spell = |e: Expr| {
                let place = match &e {
                    Expr::Column(column) => columns.iter().position(|c| c == column),
                    _ => None,
                };
                Ok(match place.and_then(|place| projection.expr.get(place)) {
                    Some(made) => Transformed::yes(made.clone().unalias_nested().data),
                    None => Transformed::no(e),
                })
            };
            condition.transform_up(spell).data()?
        }
        LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Extension(_) => condition,
        _ => return Ok(condition),
    };
    meaning(condition, below)
}

/// Puts the constant conditions of a plan in their places, before anything is inferred.
///
/// That a column is not more than itself Spark sees later, where the column may be null: once it
/// has inferred that it is not.
pub(super) fn settle_before_inference(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    settle_where(plan, session, |condition, schema| {
        let may_be_null = match condition {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::Gt | Operator::Lt | Operator::NotEq,
                right,
            }) => left == right && left.nullable(schema).unwrap_or(true),
            _ => false,
        };
        !may_be_null && is_never(condition, schema)
    })
}

/// Puts all constant conditions of a plan in their places, once filters are in theirs.
pub(super) fn settle(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    settle_where(plan, session, is_never)
}

fn settle_where(
    plan: LogicalPlan,
    session: &SessionState,
    is_never: impl Fn(&Expr, &DFSchema) -> bool,
) -> Result<LogicalPlan> {
    let plan = simplified(plan, session)?;
    plan.transform_up(|node| match node {
        LogicalPlan::Filter(mut filter) => {
            let schema = Arc::clone(filter.input.schema());
            let nulls = filter.predicate.transform_up(|e| null_propagated(e, &schema))?;
            filter.predicate = nulls.data;
            settled(filter, &is_never)
        }
        node => Ok(Transformed::no(node)),
    })
    .data()
}

/// Spark's `NullPropagation`: what gives null for a null is null where it is given one.
fn null_propagated(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let null = match &expr {
        Expr::ScalarFunction(call) => is_null_intolerant(call.name()) && call.args.iter().any(is_null),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let logical = matches!(op, Operator::And | Operator::Or);
            let safe = matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom);
            !logical && !safe && (is_null(left) || is_null(right))
        }
        Expr::Not(inner) | Expr::Negative(inner) => is_null(inner),
        _ => false,
    };
    if !null {
        return Ok(Transformed::no(expr));
    }
    let value = ScalarValue::try_from(expr.get_type(schema)?)?;
    Ok(Transformed::yes(Expr::Literal(value, None)))
}

fn simplified(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    let rule: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(SimplifyExpressions::new());
    Optimizer::with_rules(vec![rule]).optimize(plan, session, |_, _| {})
}

/// The value of a condition on no column; the condition itself, where that is an error.
pub(super) fn constant(condition: &Expr, session: &SessionState) -> Result<Expr> {
    let row = LogicalPlanBuilder::empty(true).build()?;
    let filter = LogicalPlan::Filter(Filter::try_new(condition.clone(), Arc::new(row))?);
    Ok(match simplified(filter, session)? {
        LogicalPlan::Filter(filter) => filter.predicate,
        _ => condition.clone(),
    })
}

/// `filter`, or what is left of it and of what is below.
fn settled(filter: Filter, is_never: impl Fn(&Expr, &DFSchema) -> bool) -> Result<Transformed<LogicalPlan>> {
    let conjuncts: Vec<Expr> = split_conjunction(&filter.predicate).into_iter().cloned().collect();
    if conjuncts.iter().any(|c| is_never(c, filter.input.schema())) {
        return without_rows(Arc::unwrap_or_clone(filter.input)).map(Transformed::yes);
    }
    let all = conjuncts.len();
    let left: Vec<Expr> = conjuncts.into_iter().filter(|c| !is_always(c)).collect();
    if left.len() == all {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    Ok(Transformed::yes(match conjunction(left) {
        None => Arc::unwrap_or_clone(filter.input),
        Some(rest) => LogicalPlan::Filter(Filter::try_new(rest, filter.input)?),
    }))
}

fn is_always(condition: &Expr) -> bool {
    matches!(condition, Expr::Literal(ScalarValue::Boolean(Some(true)), _))
}

/// Whether `expr` is a column or a field of one.
fn is_column_or_field(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::ScalarFunction(call) if call.name() == "get_field" => {
            call.args.first().is_some_and(is_column_or_field)
        }
        _ => false,
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}

/// Whether no row meets a condition; a column is never more, less or other than itself, and
/// nothing is surely outside of a list with a null.
fn is_never(condition: &Expr, schema: &DFSchema) -> bool {
    let never_null = |e: &Expr| e.nullable(schema).is_ok_and(|nullable| !nullable);
    match condition {
        Expr::Literal(value, _) => value.is_null() || *value == ScalarValue::Boolean(Some(false)),
        Expr::IsNull(inner) => never_null(inner),
        Expr::InList(list) if list.negated => list.list.iter().any(is_null),
        Expr::Not(inner) => {
            matches!(inner.as_ref(), Expr::InList(list) if !list.negated && list.list.iter().any(is_null))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Gt | Operator::Lt | Operator::NotEq => left == right && is_column_or_field(left),
            Operator::IsNotDistinctFrom => match (left.as_ref(), right.as_ref()) {
                (e, Expr::Literal(value, _)) | (Expr::Literal(value, _), e) if value.is_null() => {
                    never_null(e)
                }
                _ => false,
            },
            _ => false,
        },
        _ => false,
    }
}

/// `plan` under a condition that is never met.
fn without_rows(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !is_streaming(&plan) {
        return Filter::try_new(lit(false), Arc::new(plan)).map(LogicalPlan::Filter);
    }
    match plan {
        LogicalPlan::Filter(filter) => without_rows(Arc::unwrap_or_clone(filter.input)),
        LogicalPlan::Join(mut join) => {
            use JoinType::{Full, Inner, Left, LeftAnti, LeftSemi, Right};
            match join.join_type {
                // Where a condition refuses padded rows there are none.
                Inner | Left | Right | Full => join.join_type = Inner,
                LeftSemi | LeftAnti => {}
                _ => return Ok(NoRows::plan(LogicalPlan::Join(join))),
            }
            join.left = Arc::new(without_rows(Arc::unwrap_or_clone(join.left))?);
            Ok(LogicalPlan::Join(join))
        }
        plan if passes(&plan) => plan.map_children(|child| without_rows(child).map(Transformed::yes)).data(),
        plan => Ok(NoRows::plan(plan)),
    }
}

/// Whether a condition on no column goes below a node, to each of its inputs.
fn passes(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => !projection.expr.iter().any(Expr::is_volatile),
        LogicalPlan::Sort(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::Unnest(_) => true,
        LogicalPlan::Extension(extension) => {
            let any = extension.node.as_any();
            any.is::<EventTimeWatermark>()
                || any.is::<NoRows>()
                || any.is::<TimeWindow>()
                || any.is::<SessionWindow>()
                || any.is::<Expand>()
        }
        _ => false,
    }
}
