//! Finds the window below an aggregate and takes the row expansion out.

use std::sync::Arc;

use datafusion::{
    common::{Column, Result},
    logical_expr::{Expr, Filter, LogicalPlan, Projection},
};

use super::{TimeWindow, stateful_aggregate::refers_to};
use crate::time::WindowSpec;

/// A plan without its window node, and what the window was.
pub(super) struct Fused {
    /// Gives the rows once each instead of once a window.
    pub(super) plan: LogicalPlan,
    /// The time over `plan`.
    pub(super) time: Expr,
    /// The windows.
    pub(super) spec: WindowSpec,
}

/// Fuses the window that arrives as `column` of `plan`; `None` when there is none or when
/// something between looks at the window or is not deterministic (it would then run once
/// for a row instead of once for each of its windows).
pub(super) fn fuse(plan: &LogicalPlan, column: &Column) -> Result<Option<Fused>> {
    match plan {
        LogicalPlan::Extension(extension) => {
            let Some(window) = extension.node.as_any().downcast_ref::<TimeWindow>() else { return Ok(None) };
            let ours = column.relation.is_none() && column.name == window.output();
            Ok(ours.then(|| Fused {
                plan: window.input().as_ref().clone(),
                time: window.time().clone(),
                spec: window.spec(),
            }))
        }
        LogicalPlan::Filter(filter) => {
            if refers_to(&filter.predicate, column) || filter.predicate.is_volatile() {
                return Ok(None);
            }
            let Some(fused) = fuse(&filter.input, column)? else { return Ok(None) };
            let below = Filter::try_new(filter.predicate.clone(), Arc::new(fused.plan))?;
            Ok(Some(Fused { plan: LogicalPlan::Filter(below), ..fused }))
        }
        LogicalPlan::Projection(projection) => fuse_projection(projection, column),
        _ => Ok(None),
    }
}

fn fuse_projection(projection: &Projection, column: &Column) -> Result<Option<Fused>> {
    let Ok(position) = projection.schema.index_of_column(column) else { return Ok(None) };
    let Some(Expr::Column(inner)) = projection.expr.get(position).map(|e| e.clone().unalias_nested().data)
    else {
        return Ok(None);
    };
    let mut others: Vec<Expr> = Vec::with_capacity(projection.expr.len());
    for (i, expr) in projection.expr.iter().enumerate() {
        if i == position {
            continue;
        }
        if refers_to(expr, &inner) || expr.is_volatile() {
            return Ok(None);
        }
        others.push(expr.clone());
    }
    let Some(fused) = fuse(&projection.input, &inner)? else { return Ok(None) };
    let time = format!("{}.time", column.name);
    others.push(fused.time.alias(&time));
    let plan = LogicalPlan::Projection(Projection::try_new(others, Arc::new(fused.plan))?);
    Ok(Some(Fused { plan, time: Expr::Column(Column::new_unqualified(time)), spec: fused.spec }))
}
