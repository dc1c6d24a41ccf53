//! Spark's `ReorderJoin`: inner joins go in an order in which each has a condition, if there is one.
//!
//! Which sides meet first decides what is kept in state, and whether the join can run at all.

use std::sync::Arc;

use datafusion::{
    common::{
        JoinType, NullEquality, Result,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Expr, Filter, Join, LogicalPlan, Projection,
        utils::{conjunction, split_conjunction},
    },
};

use super::stream_join::is_over_stream;

/// Reorders the inner joins over streams of a plan where Spark would.
pub(super) fn reorder(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down(|node| {
        let LogicalPlan::Join(join) = &node else { return Ok(Transformed::no(node)) };
        if !is_over_stream(join) {
            return Ok(Transformed::no(node));
        }
        let mut conditions = Vec::new();
        let mut inputs = Vec::new();
        flatten(&node, &mut inputs, &mut conditions);
        if inputs.len() < 3 || conditions.iter().any(Expr::is_volatile) {
            return Ok(Transformed::no(node));
        }
        let order = order(&inputs, &conditions);
        if order.iter().enumerate().all(|(place, input)| place == *input) {
            return Ok(Transformed::no(node));
        }
        let columns = node.schema().columns().into_iter().map(Expr::Column).collect();
        let joined = joined(order.into_iter().filter_map(|i| inputs.get(i)).copied(), conditions)?;
        Projection::try_new(columns, Arc::new(joined)).map(|p| Transformed::yes(LogicalPlan::Projection(p)))
    })
}

/// The inputs of inner joins that are nested on their left sides, and all their conditions.
fn flatten<'a>(plan: &'a LogicalPlan, inputs: &mut Vec<&'a LogicalPlan>, conditions: &mut Vec<Expr>) {
    match plan {
        LogicalPlan::Join(join) if is_plain(join) => {
            flatten(&join.left, inputs, conditions);
            inputs.push(&join.right);
            conditions.extend(join.on.iter().map(|(l, r)| l.clone().eq(r.clone())));
            conditions.extend(join.filter.iter().flat_map(split_conjunction).cloned());
        }
        LogicalPlan::Filter(filter) if matches!(filter.input.as_ref(), LogicalPlan::Join(j) if is_plain(j)) =>
        {
            flatten(&filter.input, inputs, conditions);
            conditions.extend(split_conjunction(&filter.predicate).into_iter().cloned());
        }
        _ => inputs.push(plan),
    }
}

fn is_plain(join: &Join) -> bool {
    join.join_type == JoinType::Inner
        && (join.on.is_empty() || join.null_equality == NullEquality::NullEqualsNothing)
}

/// The places of the inputs in the order in which Spark joins them.
fn order(inputs: &[&LogicalPlan], conditions: &[Expr]) -> Vec<usize> {
    let reads = |condition: &Expr, within: &[usize]| {
        condition
            .column_refs()
            .into_iter()
            .all(|c| within.iter().any(|i| inputs.get(*i).is_some_and(|input| input.schema().has_column(c))))
    };
    let mut order = vec![0];
    let mut rest: Vec<usize> = (1..inputs.len()).collect();
    while !rest.is_empty() {
        let meets = |other: &usize| {
            let both: Vec<usize> = order.iter().chain([other]).copied().collect();
            let joins = |c: &&Expr| {
                c.column_refs().is_empty() || (!reads(c, &order) && !reads(c, std::slice::from_ref(other)))
            };
            conditions.iter().filter(joins).any(|c| reads(c, &both))
        };
        // Of the last two there is no choice.
        let place = if rest.len() > 1 { rest.iter().position(meets).unwrap_or(0) } else { 0 };
        order.push(rest.remove(place));
    }
    order
}

/// Inner joins of `inputs`, each with the conditions that can be told there.
fn joined<'a>(
    inputs: impl Iterator<Item = &'a LogicalPlan>,
    mut conditions: Vec<Expr>,
) -> Result<LogicalPlan> {
    let mut all: Option<LogicalPlan> = None;
    for input in inputs {
        all = Some(match all {
            None => input.clone(),
            Some(left) => {
                let both = left.schema().join(input.schema())?;
                let (own, later): (Vec<Expr>, Vec<Expr>) =
                    conditions.into_iter().partition(|c| c.column_refs().iter().all(|c| both.has_column(c)));
                conditions = later;
                LogicalPlan::Join(Join::try_new(
                    Arc::new(left),
                    Arc::new(input.clone()),
                    vec![],
                    conjunction(own),
                    JoinType::Inner,
                    datafusion::common::JoinConstraint::On,
                    NullEquality::NullEqualsNothing,
                    false,
                )?)
            }
        });
    }
    let all = all.ok_or_else(|| datafusion::common::internal_datafusion_err!("a join of nothing"))?;
    match conjunction(conditions) {
        None => Ok(all),
        Some(rest) => Filter::try_new(rest, Arc::new(all)).map(LogicalPlan::Filter),
    }
}
