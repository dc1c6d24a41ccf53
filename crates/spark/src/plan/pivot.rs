//! `groupBy(..).pivot(column, values).agg(..)`: a column for each value and aggregate.
//!
//! Each is the aggregate over the rows with that value.

use datafusion::{
    arrow::datatypes::DataType,
    common::tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    logical_expr::{Expr, expr::NullTreatment, lit, when},
};
use millstream_engine::{
    Result, SparkError,
    format::value_text::{TextStyle, to_text},
    operators::aggregate::{AggregateOptions, udaf},
};
use spark_connect_proto::{self as proto, aggregate::Pivot, expression::ExprType};

use super::{
    aggregate::{Key, contains_aggregate},
    project::missing,
    scope::RelationScope,
    translator::{Frame, Translator},
};
use crate::{
    expression::{TypedExpr, explicit_cast},
    functions::{Evaluation, SessionZone},
    sql::message,
};

impl Translator<'_> {
    /// The items of a pivoted aggregation: the keys, then a column a value and aggregate.
    pub(super) fn pivoted(
        &self,
        scope: &RelationScope<'_, '_>,
        input: &Frame,
        keys: &[Key],
        pivot: &Pivot,
        aggregates: &[proto::Expression],
    ) -> Result<Vec<TypedExpr>> {
        let column = scope.resolve_one(pivot.col.as_ref().ok_or_else(|| missing("pivot column"))?)?;
        if pivot.values.is_empty() {
            return Err(SparkError::unsupported("`pivot` without the list of values"));
        }
        let mut items: Vec<TypedExpr> = keys.iter().map(|key| key.item.clone()).collect();
        let mut shown = Vec::with_capacity(aggregates.len());
        for aggregate in aggregates {
            if is_star_call(aggregate) {
                return Err(SparkError::new("INVALID_USAGE_OF_STAR_OR_REGEX")
                    .with("elem", "'*'")
                    .with("prettyName", "Pivot"));
            }
            let item = scope.resolve_one(aggregate)?;
            if !contains_aggregate(&item.expr) {
                return Err(SparkError::unsupported(format!(
                    "{} in a pivot, which is no aggregate",
                    item.sql
                )));
            }
            shown.push(item);
        }
        for literal in &pivot.values {
            let expression = message::expression(ExprType::Literal(literal.clone()));
            let value = explicit_cast(scope.resolve_one(&expression)?, column.data_type(), self.conf)?;
            let label = self.label(&scope.resolve_one(&expression)?)?;
            let here = self.call(input, "<=>", vec![column.clone(), value])?.expr;
            for item in &shown {
                let name = match shown.as_slice() {
                    [_] => label.clone(),
                    _ => format!("{label}_{}", item.name),
                };
                items.push(TypedExpr { name, named: true, ..among(item, &here)? });
            }
        }
        Ok(items)
    }

    /// A value as the name of its column.
    fn label(&self, value: &TypedExpr) -> Result<String> {
        let scalar =
            value.literal().ok_or_else(|| SparkError::unsupported("a pivot value that is no literal"))?;
        if scalar.is_null() {
            return Ok("null".to_string());
        }
        let zone = SessionZone(Evaluation::of(self.conf).zone);
        Ok(to_text(&scalar.to_array()?, &zone, TextStyle::Cast { ansi: self.conf.ansi })?
            .value(0)
            .to_string())
    }
}

/// `item` over the rows where `here` holds.
///
/// Spark groups by the value too and then picks, where the result is a number or a boolean: no row
/// gives null there, also for a count. For other types it empties the arguments of other rows.
fn among(item: &TypedExpr, here: &Expr) -> Result<TypedExpr> {
    let picks = item.data_type().is_numeric() || *item.data_type() == DataType::Boolean;
    let filtered = item.expr.clone().transform_down(|e| {
        let Expr::AggregateFunction(mut call) = e else { return Ok(Transformed::no(e)) };
        if !picks {
            call.params.null_treatment = Some(NullTreatment::IgnoreNulls);
        }
        call.params.filter = Some(Box::new(match call.params.filter.take() {
            None => here.clone(),
            Some(before) => before.and(here.clone()),
        }));
        Ok(Transformed::new(Expr::AggregateFunction(call), true, TreeNodeRecursion::Jump))
    })?;
    let mut expr = filtered.data;
    let mut field = item.field.as_ref().clone();
    if picks {
        let mut rows = udaf("count", AggregateOptions::default())?.call(vec![lit(1_i32)]);
        if let Expr::AggregateFunction(call) = &mut rows {
            call.params.filter = Some(Box::new(here.clone()));
        }
        expr = when(rows.gt(lit(0_i64)), expr).end()?;
        field = field.with_nullable(true);
    }
    Ok(TypedExpr { expr, field: field.into(), ..item.clone() })
}

fn is_star_call(expression: &proto::Expression) -> bool {
    match &expression.expr_type {
        Some(ExprType::Alias(alias)) => alias.expr.as_deref().is_some_and(is_star_call),
        Some(ExprType::UnresolvedFunction(call)) => {
            call.arguments.iter().any(|a| matches!(a.expr_type, Some(ExprType::UnresolvedStar(_))))
        }
        _ => false,
    }
}
