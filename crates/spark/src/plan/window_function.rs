//! Window functions (`OVER`) in a select list: computed by a node of their own.

use std::sync::Arc;

use datafusion::{
    common::{
        Column,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection},
};
use millstream_engine::{Result, SparkError};

use super::translator::{Frame, Translator};
use crate::expression::TypedExpr;

/// `input` with the window functions of `items` as columns, and `items` over those.
pub(super) fn extract(
    translator: &Translator<'_>,
    input: &Frame,
    items: &[TypedExpr],
) -> Result<(Frame, Vec<TypedExpr>)> {
    let mut functions: Vec<(Expr, String)> = Vec::new();
    let mut rewritten = Vec::with_capacity(items.len());
    for item in items {
        let expr = item.expr.clone().transform_down(|e| {
            if !matches!(e, Expr::WindowFunction(_)) {
                return Ok(Transformed::no(e));
            }
            let id = match functions.iter().find(|(known, _)| *known == e) {
                Some((_, id)) => id.clone(),
                None => {
                    let id = translator.new_id();
                    functions.push((e, id.clone()));
                    id
                }
            };
            let column = datafusion::common::Column::new_unqualified(id);
            Ok(Transformed::new(
                Expr::Column(column),
                true,
                datafusion::common::tree_node::TreeNodeRecursion::Jump,
            ))
        })?;
        rewritten.push(TypedExpr { expr: expr.data, ..item.clone() });
    }
    if functions.is_empty() {
        return Ok((input.clone(), rewritten));
    }
    if input.is_streaming {
        return Err(SparkError::new("NON_TIME_WINDOW_NOT_SUPPORTED_IN_STREAMING")
            .with("windowFunc", functions.iter().map(|(f, _)| f.to_string()).collect::<Vec<_>>().join(", "))
            .with("columnName", "")
            .with("windowSpec", ""));
    }
    let plan = computed(input, functions)?;
    Ok((input.with_plan(plan), rewritten))
}

/// `input`'s plan with each window function as a column of the given id.
pub(super) fn computed(input: &Frame, functions: Vec<(Expr, String)>) -> Result<LogicalPlan> {
    let mut exprs: Vec<Expr> = input.plan.schema().columns().into_iter().map(Expr::Column).collect();
    for (function, id) in &functions {
        let column = Column::new_unqualified(function.schema_name().to_string());
        exprs.push(Expr::Column(column).alias(id));
    }
    let functions: Vec<Expr> = functions.into_iter().map(|(function, _)| function).collect();
    let plan = LogicalPlanBuilder::window_plan(input.plan.as_ref().clone(), functions)?;
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}
