//! Spark's `EliminateLimits` and `CombineLimits` over streams: a limit that its input never
//! exceeds is none, and one right above another is one. A limit that stays keeps state.

use std::sync::Arc;

use datafusion::{
    common::{
        JoinType, Result,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    logical_expr::{Expr, FetchType, Limit, LogicalPlan},
};

use super::is_streaming;
use crate::plan::{Deduplicate, Expand, NoRows, SessionWindow, TimeWindow};

/// Leaves the limits of a plan that Spark leaves.
pub(super) fn simplify(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up(|node| {
        let LogicalPlan::Limit(limit) = &node else { return Ok(Transformed::no(node)) };
        let Some(rows) = fetched(limit)?.filter(|_| is_streaming(&limit.input)) else {
            return Ok(Transformed::no(node));
        };
        if most_rows(&limit.input)?.is_some_and(|most| most <= rows) {
            return Ok(Transformed::yes(limit.input.as_ref().clone()));
        }
        Ok(match lowered(&limit.input, limit)? {
            Some(plan) => Transformed::yes(plan),
            None => Transformed::no(node),
        })
    })
    .data()
}

/// How many rows a limit fetches, if that is a number.
fn fetched(limit: &Limit) -> Result<Option<usize>> {
    Ok(match limit.get_fetch_type()? {
        FetchType::Literal(rows) if limit.skip.is_none() => rows,
        _ => None,
    })
}

/// `plan` with the limit that stands in it below projections made the lower one, `limit`.
fn lowered(plan: &LogicalPlan, limit: &Limit) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Limit(other) if fetched(other)?.is_some() => {
            let limit = Limit { input: Arc::clone(&other.input), ..limit.clone() };
            Ok(Some(LogicalPlan::Limit(limit)))
        }
        LogicalPlan::Projection(projection) if !projection.expr.iter().any(Expr::is_volatile) => {
            let Some(below) = lowered(&projection.input, limit)? else { return Ok(None) };
            Ok(Some(plan.with_new_exprs(plan.expressions(), vec![below])?))
        }
        _ => Ok(None),
    }
}

/// Spark's `maxRows`: how many rows `plan` has at most; `None` where Spark does not know.
fn most_rows(plan: &LogicalPlan) -> Result<Option<usize>> {
    Ok(match plan {
        LogicalPlan::EmptyRelation(relation) => Some(usize::from(relation.produce_one_row)),
        LogicalPlan::Values(values) => Some(values.values.len()),
        LogicalPlan::Limit(limit) => match (fetched(limit)?, most_rows(&limit.input)?) {
            (Some(rows), Some(most)) => Some(rows.min(most)),
            (one, other) => one.or(other),
        },
        LogicalPlan::Filter(_)
        | LogicalPlan::Projection(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(_) => input(plan)?,
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => Some(1),
        LogicalPlan::Aggregate(_) => input(plan)?,
        LogicalPlan::Union(union) => {
            let inputs = union.inputs.iter().map(|input| most_rows(input));
            let inputs: Option<Vec<usize>> = inputs.collect::<Result<_>>()?;
            inputs.map(|rows| rows.into_iter().fold(0, usize::saturating_add))
        }
        LogicalPlan::Join(join) => {
            let (left, right) = (most_rows(&join.left)?, most_rows(&join.right)?);
            match join.join_type {
                JoinType::LeftSemi | JoinType::LeftAnti => left,
                kind => left.zip(right).map(|(left, right)| {
                    let least = match kind {
                        JoinType::Left => left,
                        JoinType::Right => right,
                        JoinType::Full => left.saturating_add(right),
                        _ => 0,
                    };
                    left.saturating_mul(right).max(least)
                }),
            }
        }
        LogicalPlan::Extension(extension) => {
            let any = extension.node.as_any();
            if any.is::<NoRows>() {
                return Ok(Some(0));
            }
            let windows = match any.downcast_ref::<TimeWindow>() {
                Some(window) => window.spec().most_windows(),
                None => any.downcast_ref::<Expand>().map_or(1, |expand| expand.sets().len()),
            };
            let knows = any.is::<TimeWindow>()
                || any.is::<Expand>()
                || any.is::<SessionWindow>()
                || any
                    .downcast_ref::<Deduplicate>()
                    .is_some_and(|deduplicate| !deduplicate.within_watermark());
            if knows { input(plan)?.map(|rows| rows.saturating_mul(windows)) } else { None }
        }
        _ => None,
    })
}

fn input(plan: &LogicalPlan) -> Result<Option<usize>> {
    match plan.inputs()[..] {
        [input] => most_rows(input),
        _ => Ok(None),
    }
}
