//! Spark's `RemoveRedundantAggregates`: an aggregate that only groups what another groups again
//! goes. Its state, its late rows and what it refuses in an output mode go with it.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    common::{
        Column, Result,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{Aggregate, Expr, LogicalPlan, Projection},
};

use super::is_streaming;

/// Aggregates whose result does not change when rows come twice: Spark's
/// `EliminateDistinct.isDuplicateAgnostic`, by all names of those functions.
const DUPLICATE_AGNOSTIC: &[&str] = &[
    "any",
    "any_value",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "collect_set",
    "every",
    "first",
    "first_value",
    "last",
    "last_value",
    "max",
    "min",
    "some",
];

/// Removes the aggregates over streams whose groups are all that one above them reads.
///
/// # Errors
/// DataFusion's, for a plan that does not fit together.
pub(super) fn remove(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up(|node| match node {
        LogicalPlan::Aggregate(upper) if is_streaming(&upper.input) && is_duplicate_agnostic(&upper) => {
            let read = upper.group_expr.iter().chain(&upper.aggr_expr).flat_map(Expr::column_refs);
            let read: BTreeSet<Column> = read.into_iter().cloned().collect();
            match without_lower(&upper.input, &read)? {
                Some(input) => {
                    let input = Arc::new(input);
                    let upper = Aggregate::try_new_with_schema(
                        input,
                        upper.group_expr,
                        upper.aggr_expr,
                        upper.schema,
                    )?;
                    Ok(Transformed::yes(LogicalPlan::Aggregate(upper)))
                }
                None => Ok(Transformed::no(LogicalPlan::Aggregate(upper))),
            }
        }
        node => Ok(Transformed::no(node)),
    })
}

fn is_duplicate_agnostic(upper: &Aggregate) -> bool {
    !upper.group_expr.iter().any(|key| matches!(key, Expr::GroupingSet(_)))
        && upper.aggr_expr.iter().all(|call| match call.clone().unalias() {
            Expr::AggregateFunction(call) => DUPLICATE_AGNOSTIC.contains(&call.func.name()),
            _ => false,
        })
}

/// `input` without the aggregate below its projections, if `read` are groups of it.
fn without_lower(input: &LogicalPlan, read: &BTreeSet<Column>) -> Result<Option<LogicalPlan>> {
    let (exprs, below) = match input {
        LogicalPlan::Projection(projection) => (&projection.expr, None),
        LogicalPlan::Aggregate(lower) => (&lower.group_expr, Some(&lower.input)),
        _ => return Ok(None),
    };
    let mut kept = Vec::with_capacity(read.len());
    for column in read {
        // Places beyond the groups are aggregates.
        match input.schema().index_of_column(column).ok().and_then(|place| exprs.get(place)) {
            Some(expr) if !expr.is_volatile() && !matches!(expr, Expr::GroupingSet(_)) => {
                kept.push(expr.clone())
            }
            _ => return Ok(None),
        }
    }
    // What reads nothing needs a column of the rows that are there.
    if kept.is_empty() {
        return Ok(None);
    }
    let below = match (below, input) {
        (Some(rows), _) => Some(rows.as_ref().clone()),
        (None, LogicalPlan::Projection(projection)) => {
            let read = kept.iter().flat_map(Expr::column_refs).cloned().collect();
            without_lower(&projection.input, &read)?
        }
        _ => None,
    };
    below.map(|below| Projection::try_new(kept, Arc::new(below)).map(LogicalPlan::Projection)).transpose()
}
