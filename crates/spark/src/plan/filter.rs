//! `Filter`: `where`, and `HAVING` over an aggregation.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    logical_expr::{Expr, Filter, LogicalPlan},
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{self as proto, expression::ExprType};

use super::{
    aggregate::contains_aggregate,
    project::missing,
    scope::RelationScope,
    translator::{Frame, Translator},
    window_function::contains_window,
};
use crate::{expression::TypedExpr, types::sql_name};

impl Translator<'_> {
    pub(super) fn filter(&self, filter: &proto::Filter) -> Result<Frame> {
        let input = self.input(filter.input.as_deref())?;
        let condition = filter.condition.as_ref().ok_or_else(|| missing("condition"))?;
        let scope = RelationScope::with_hidden(self, &input);
        let resolved = match scope.resolve_one(condition) {
            Ok(resolved) if contains_window(&resolved.expr) => {
                return Err(
                    SparkError::new("WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE").with("clauseName", "WHERE")
                );
            }
            Ok(resolved) if !contains_aggregate(&resolved.expr) => resolved,
            outcome => {
                let extended = match self.over_aggregation(&input, std::slice::from_ref(condition)) {
                    Err(_) if outcome.is_err() => None,
                    extended => extended?,
                };
                let Some(extended) = extended else {
                    let resolved = outcome?;
                    return Err(SparkError::new("INVALID_WHERE_CONDITION")
                        .with("condition", format!("\"{}\"", resolved.sql))
                        .with("expressionList", aggregates_in(&scope, condition).join(", ")));
                };
                let (frame, items) = extended;
                let [item] = items.as_slice() else { return Err(missing("condition")) };
                let filtered = Frame::through(&frame, filter_plan(&frame, item)?);
                return filtered.trimmed();
            }
        };
        let revealed = scope.revealed(&input)?;
        let filtered = Frame::through(&revealed, filter_plan(&revealed, &resolved)?);
        filtered.trimmed()
    }
}

fn filter_plan(input: &Frame, condition: &TypedExpr) -> Result<LogicalPlan> {
    let predicate = match condition.data_type() {
        DataType::Boolean => condition.expr.clone(),
        DataType::Null => Expr::Literal(datafusion::common::ScalarValue::Boolean(None), None),
        other => {
            return Err(SparkError::new("DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN")
                .with("sqlExpr", format!("\"{}\"", condition.sql))
                .with("filter", format!("\"{}\"", condition.sql))
                .with("type", format!("\"{}\"", sql_name(other))));
        }
    };
    Ok(LogicalPlan::Filter(Filter::try_new(predicate, Arc::clone(&input.plan))?))
}

/// The aggregate calls of a condition, as Spark prints them.
fn aggregates_in(scope: &RelationScope<'_, '_>, expression: &proto::Expression) -> Vec<String> {
    let Some(ExprType::UnresolvedFunction(call)) = &expression.expr_type else { return Vec::new() };
    match scope.resolve_one(expression) {
        Ok(TypedExpr { expr: Expr::AggregateFunction(_), sql, .. }) => vec![sql],
        _ => call.arguments.iter().flat_map(|argument| aggregates_in(scope, argument)).collect(),
    }
}
