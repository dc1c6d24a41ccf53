//! Conditions on constant keys of an aggregation go below it before they are computed, as under
//! Spark's `PushPredicateThroughNonJoin`: what is below keeps its state, the aggregation gets no row.

use std::sync::Arc;

use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    logical_expr::{
        Aggregate, Expr, Filter, LogicalPlan, Projection,
        utils::{conjunction, split_conjunction},
    },
};

use super::{
    is_streaming,
    semi_join::{meanings, spelled_out},
};

/// Moves such conditions of a plan below their aggregations.
pub(super) fn sink(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_down(|node| {
        let LogicalPlan::Filter(filter) = &node else { return Ok(Transformed::no(node)) };
        if !is_streaming(&filter.input) {
            return Ok(Transformed::no(node));
        }
        let (mut below, mut staying) = (filter.input.as_ref().clone(), Vec::new());
        let mut moved = false;
        for conjunct in split_conjunction(&filter.predicate) {
            match sunk(conjunct, &below)? {
                Some(plan) => (below, moved) = (plan, true),
                None => staying.push(conjunct.clone()),
            }
        }
        if !moved {
            return Ok(Transformed::no(node));
        }
        Ok(Transformed::yes(match conjunction(staying) {
            None => below,
            Some(rest) => LogicalPlan::Filter(Filter::try_new(rest, Arc::new(below))?),
        }))
    })
    .data()
}

/// `plan` with `condition` below its aggregation, if it reads nothing but constant keys.
fn sunk(condition: &Expr, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    if condition.column_refs().is_empty() || condition.is_volatile() {
        return Ok(None);
    }
    match plan {
        LogicalPlan::Projection(projection) => {
            let meanings = meanings(projection.schema.columns(), &projection.expr);
            let spelled = spelled_out(vec![condition.clone()], &meanings)?;
            let Some(below) =
                conjunction(spelled).map(|c| sunk(&c, &projection.input)).transpose()?.flatten()
            else {
                return Ok(None);
            };
            let (exprs, schema) = (projection.expr.clone(), Arc::clone(&projection.schema));
            let moved = Projection::try_new_with_schema(exprs, Arc::new(below), schema)?;
            Ok(Some(LogicalPlan::Projection(moved)))
        }
        LogicalPlan::Aggregate(aggregate) => {
            let mut keys = meanings(aggregate.schema.columns(), &aggregate.group_expr);
            keys.retain(|_, meaning| matches!(meaning, Expr::Literal(..)));
            let spelled = spelled_out(vec![condition.clone()], &keys)?;
            let Some(constant) = conjunction(spelled).filter(|c| c.column_refs().is_empty()) else {
                return Ok(None);
            };
            let input = LogicalPlan::Filter(Filter::try_new(constant, Arc::clone(&aggregate.input))?);
            let moved = Aggregate::try_new_with_schema(
                Arc::new(input),
                aggregate.group_expr.clone(),
                aggregate.aggr_expr.clone(),
                Arc::clone(&aggregate.schema),
            )?;
            Ok(Some(LogicalPlan::Aggregate(moved)))
        }
        _ => Ok(None),
    }
}
