//! Window functions (`OVER`) in a select list: computed by a node of their own.

use std::sync::Arc;

use datafusion::{
    common::{
        Column,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
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
    let exprs = items.iter().map(|item| item.expr.clone()).collect();
    let Some((plan, exprs)) = pull(translator, input, exprs)? else {
        return Ok((input.clone(), items.to_vec()));
    };
    let items = items.iter().zip(exprs).map(|(item, expr)| TypedExpr { expr, ..item.clone() });
    Ok((input.with_plan(plan), items.collect()))
}

/// `input`'s plan with the window functions of `exprs` as columns, and `exprs` over those; `None`
/// where there are none.
pub(super) fn pull(
    translator: &Translator<'_>,
    input: &Frame,
    exprs: Vec<Expr>,
) -> Result<Option<(LogicalPlan, Vec<Expr>)>> {
    let mut functions: Vec<(Expr, String)> = Vec::new();
    let mut rewritten = Vec::with_capacity(exprs.len());
    for expr in exprs {
        let expr = expr.transform_down(|e| {
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
            let column = Expr::Column(Column::new_unqualified(id));
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })?;
        rewritten.push(expr.data);
    }
    if functions.is_empty() {
        return Ok(None);
    }
    if input.is_streaming {
        return Err(SparkError::new("NON_TIME_WINDOW_NOT_SUPPORTED_IN_STREAMING")
            .with("windowFunc", functions.iter().map(|(f, _)| f.to_string()).collect::<Vec<_>>().join(", "))
            .with("columnName", "")
            .with("windowSpec", ""));
    }
    Ok(Some((computed(input, functions)?, rewritten)))
}

/// Whether `expr` calls a window function.
pub(super) fn contains_window(expr: &Expr) -> bool {
    expr.exists(|e| Ok(matches!(e, Expr::WindowFunction(_)))).unwrap_or_default()
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
