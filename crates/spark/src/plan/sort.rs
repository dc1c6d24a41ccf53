//! `Sort`: global order; nulls first when ascending, last when descending, unless said.

use std::sync::Arc;

use datafusion::logical_expr::{LogicalPlan, Sort, SortExpr};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    self as proto,
    expression::{
        ExprType, SortOrder,
        sort_order::{NullOrdering, SortDirection},
    },
};

use super::{
    aggregate::contains_aggregate,
    project::missing,
    scope::RelationScope,
    translator::{Frame, Translator},
};
use crate::expression::TypedExpr;

impl Translator<'_> {
    pub(super) fn sort(&self, sort: &proto::Sort) -> Result<Frame> {
        let input = self.input(sort.input.as_deref())?;
        if let [all] = sort.order.as_slice()
            && let Some(ExprType::UnresolvedStar(_)) =
                all.child.as_ref().and_then(|child| child.expr_type.as_ref())
        {
            // `ORDER BY ALL`: by every column shown, in order.
            let keys = input.columns.iter().map(|column| sort_expr(&column.typed(), all)).collect();
            let plan = LogicalPlan::Sort(Sort { expr: keys, input: Arc::clone(&input.plan), fetch: None });
            return Ok(Frame { partitioning: None, ..Frame::through(&input, plan).trimmed()? });
        }
        let children: Vec<proto::Expression> = sort
            .order
            .iter()
            .map(|order| order.child.as_deref().cloned().ok_or_else(|| missing("sort expression")))
            .collect::<Result<_>>()?;
        let scope = RelationScope::with_hidden(self, &input);
        let resolved: Result<Vec<TypedExpr>> = children
            .iter()
            .map(|child| match ordinal(child) {
                Some(position) => by_position(&input, position),
                None => scope.resolve_one(child),
            })
            .collect();
        let (frame, keys) = match resolved {
            Ok(keys) if !keys.iter().any(|key| contains_aggregate(&key.expr)) => {
                (scope.revealed(&input)?, keys)
            }
            outcome => match self.over_aggregation(&input, &children) {
                Ok(Some(found)) => found,
                Err(error) if outcome.is_ok() => return Err(error),
                Ok(None) | Err(_) => {
                    let keys = outcome?;
                    let sql = keys.first().map(|key| key.sql.clone()).unwrap_or_default();
                    return Err(SparkError::unsupported(format!("the aggregate function in ORDER BY {sql}")));
                }
            },
        };
        let expr = keys.iter().zip(&sort.order).map(|(key, order)| sort_expr(key, order)).collect();
        let plan = LogicalPlan::Sort(Sort { expr, input: Arc::clone(&frame.plan), fetch: None });
        let mut sorted = Frame::through(&frame, plan).trimmed()?;
        if sort.is_global.unwrap_or(true) {
            sorted.partitioning = None;
        }
        Ok(sorted)
    }
}

/// A sort key with Spark's default places for nulls.
pub(super) fn sort_expr(key: &TypedExpr, order: &SortOrder) -> SortExpr {
    let ascending = order.direction() != SortDirection::Descending;
    let nulls_first = match order.null_ordering() {
        NullOrdering::SortNullsFirst => true,
        NullOrdering::SortNullsLast => false,
        NullOrdering::SortNullsUnspecified => ascending,
    };
    SortExpr::new(key.expr.clone(), ascending, nulls_first)
}

/// `ORDER BY 2`: an integer literal is a position in the select list.
pub(super) fn ordinal(expression: &proto::Expression) -> Option<i32> {
    match &expression.expr_type {
        Some(ExprType::Literal(literal)) => match literal.literal_type {
            Some(proto::expression::literal::LiteralType::Integer(position)) => Some(position),
            _ => None,
        },
        _ => None,
    }
}

/// The column at a position, counted from 1.
pub(super) fn by_position(input: &Frame, position: i32) -> Result<TypedExpr> {
    usize::try_from(position)
        .ok()
        .and_then(|position| input.columns.get(position.checked_sub(1)?))
        .map(|column| column.typed())
        .ok_or_else(|| {
            SparkError::new("ORDER_BY_POS_OUT_OF_RANGE")
                .with("index", position.to_string())
                .with("size", input.columns.len().to_string())
        })
}
