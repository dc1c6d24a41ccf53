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
        BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, lit,
        utils::{conjunction, split_conjunction},
    },
    optimizer::{Optimizer, OptimizerRule, simplify_expressions::SimplifyExpressions},
};

use super::{
    is_streaming,
    never_met::{is_never, is_null},
    null_intolerant::is_null_intolerant,
    self_comparison,
};
use crate::plan::{EventTimeWatermark, Expand, NoRows, SessionWindow, TimeWindow};

/// Puts the conditions of a plan that read no column in their places.
///
/// One that reads columns and turns out to be constant goes down with them first.
pub(super) fn settle_written(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    plan.transform_up(|node| match node {
        LogicalPlan::Filter(mut filter) => {
            filter.predicate = conjunction(worth(&filter, session)?).unwrap_or_else(|| lit(true));
            settled(filter, |condition, schema| is_literal(condition) && is_never(condition, schema))
        }
        node => Ok(Transformed::no(node)),
    })
    .data()
}

/// Whether a conjunct of `filter` reads no column in the end, and is never met.
pub(super) fn is_never_met(filter: &Filter, session: &SessionState) -> Result<bool> {
    let schema = filter.input.schema();
    Ok(worth(filter, session)?.iter().any(|conjunct| is_literal(conjunct) && is_never(conjunct, schema)))
}

/// The conjuncts of `filter`, those that read no column in the end as literals.
fn worth(filter: &Filter, session: &SessionState) -> Result<Vec<Expr>> {
    let conjuncts = split_conjunction(&filter.predicate).into_iter().map(|conjunct| {
        let meant = meaning(conjunct.clone(), &filter.input)?;
        match meant.column_refs().is_empty() && !meant.is_volatile() {
            true => constant(&meant, session),
            false => Ok(conjunct.clone()),
        }
    });
    conjuncts.collect()
}

fn is_literal(condition: &Expr) -> bool {
    matches!(condition, Expr::Literal(_, _))
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
    settle_where(plan, session, false, |condition, schema| {
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
    settle_where(plan, session, true, is_never)
}

fn settle_where(
    plan: LogicalPlan,
    session: &SessionState,
    inferred: bool,
    is_never: impl Fn(&Expr, &DFSchema) -> bool,
) -> Result<LogicalPlan> {
    let plan = simplified(plan, session)?;
    let simpler = plan.transform_up(|node| match node {
        LogicalPlan::Filter(mut filter) => {
            let schema = Arc::clone(filter.input.schema());
            let answered = self_comparison::answer(&filter, inferred)?;
            let simpler = answered.data.transform_up(|e| null_propagated(same_in_all_cases(e), &schema))?;
            filter.predicate = simpler.data;
            let transformed = answered.transformed || simpler.transformed;
            Ok(Transformed::new_transformed(LogicalPlan::Filter(filter), transformed))
        }
        node => Ok(Transformed::no(node)),
    })?;
    let plan = if simpler.transformed { simplified(simpler.data, session)? } else { simpler.data };
    plan.transform_up(|node| match node {
        // Spark has made one filter of the two, of which nothing is left but `false`.
        LogicalPlan::Filter(filter) if is_no_rows(&filter.input) && !filter.predicate.is_volatile() => {
            Ok(Transformed::yes(Arc::unwrap_or_clone(filter.input)))
        }
        LogicalPlan::Filter(filter) => settled(filter, &is_never),
        node => Ok(Transformed::no(node)),
    })
    .data()
}

fn is_no_rows(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Extension(extension) if extension.node.as_any().is::<NoRows>())
}

/// Spark's `SimplifyConditionals`, as far as DataFusion does not do it: a value that is the same in
/// all cases.
fn same_in_all_cases(expr: Expr) -> Expr {
    match expr {
        Expr::Case(case)
            if !case
                .when_then_expr
                .iter()
                .any(|(when, _)| when.is_volatile() || compares_for_extreme(when)) =>
        {
            match &case.else_expr {
                Some(other) if case.when_then_expr.iter().all(|(_, then)| then == other) => {
                    other.as_ref().clone()
                }
                _ => Expr::Case(case),
            }
        }
        other => other,
    }
}

/// Whether this is how `greatest` and `least` choose: to Spark those are no cases.
fn compares_for_extreme(when: &Expr) -> bool {
    let Expr::IsTrue(wins) = when else { return false };
    matches!(wins.as_ref(), Expr::BinaryExpr(wins) if wins.op == Operator::Or && matches!(wins.left.as_ref(), Expr::IsNull(_)))
}

/// Spark's `NullPropagation`: what gives null for a null is null where it is given one, and what
/// is compared with null safely is asked whether it is null.
fn null_propagated(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::IsNotDistinctFrom, right }) = &expr {
        let asked = if is_null(right) { left } else { right };
        return Ok(match (is_null(left), is_null(right)) {
            (false, false) => Transformed::no(expr),
            _ if asked.nullable(schema)? => Transformed::yes(asked.as_ref().clone().is_null()),
            _ => Transformed::yes(lit(false)),
        });
    }
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
    let is_never = |c: &Expr| !compares_computed(c, &filter.input) && is_never(c, filter.input.schema());
    if conjuncts.iter().any(is_never) {
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

/// Whether a condition compares a window with itself where it is made, see
/// [`self_comparison::is_computed`].
fn compares_computed(condition: &Expr, input: &LogicalPlan) -> bool {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) if left == right => {
            self_comparison::is_computed(left, input)
        }
        _ => false,
    }
}

fn is_always(condition: &Expr) -> bool {
    matches!(condition, Expr::Literal(ScalarValue::Boolean(Some(true)), _))
}

/// `plan` under a condition that is never met.
pub(super) fn without_rows(plan: LogicalPlan) -> Result<LogicalPlan> {
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
