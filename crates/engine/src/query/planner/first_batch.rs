//! What Spark refuses when it plans the first batch, not before.

use datafusion::{
    common::tree_node::TreeNode,
    logical_expr::{Aggregate, BinaryExpr, Expr, LogicalPlan, Operator},
};

use super::{
    is_streaming,
    stream_join::is_stream_join,
    unsupported::{illegal, session_key},
};
use crate::{Result, SparkError, plan::JoinCondition};

/// Refuses what Spark finds when it plans the first batch, from the sink downwards, in a plan
/// whose filters are where they belong.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    match plan {
        LogicalPlan::Aggregate(aggregate)
            if is_streaming(&aggregate.input)
                && session_key(aggregate)
                && aggregate.group_expr.iter().filter(|key| !is_dropped(key, aggregate)).count() == 1 =>
        {
            return Err(illegal(
                "Global aggregation with session window in streaming query is not supported.",
            ));
        }
        LogicalPlan::Join(join) if is_stream_join(join) && JoinCondition::of(join).keys.is_empty() => {
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_1181"));
        }
        _ => {}
    }
    plan.inputs().into_iter().try_for_each(check)
}

/// Whether Spark's optimiser drops a key beside others: a constant, unless keys have become
/// columns of a projection below, as they do when something shares an argument between its uses.
fn is_dropped(key: &Expr, aggregate: &Aggregate) -> bool {
    let mut exprs = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
    key.column_refs().is_empty()
        && !key.is_volatile()
        && !exprs.any(|expr| expr.exists(|e| Ok(shares_argument(e))).unwrap_or(false))
}

/// Whether this is what Spark writes with a common expression (`With`): `nullif`, and `count_if` by
/// way of it, `between` and `regexp_substr`.
///
/// Spark differs: `CASE` and `AND` written out like the first and the third share nothing, and a
/// session without another key is refused.
fn shares_argument(expr: &Expr) -> bool {
    match expr {
        Expr::AggregateFunction(call) => call.func.name() == "count_if",
        Expr::ScalarFunction(call) => call.name() == "regexp_substr",
        Expr::Case(case) => match &case.when_then_expr[..] {
            [(when, then)] => {
                matches!(when.as_ref(), Expr::BinaryExpr(when) if when.op == Operator::Eq)
                    && matches!(then.as_ref(), Expr::Literal(value, _) if value.is_null())
            }
            _ => false,
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (left.as_ref(), right.as_ref()) {
                (Expr::BinaryExpr(low), Expr::BinaryExpr(high)) => {
                    low.op == Operator::GtEq && high.op == Operator::LtEq && low.left == high.left
                }
                _ => false,
            }
        }
        _ => false,
    }
}
