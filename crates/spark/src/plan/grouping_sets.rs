//! Totals: `ROLLUP`, `CUBE`, `GROUPING SETS`, and what `grouping` says of them.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::{Column, ScalarValue},
    logical_expr::{Aggregate, Cast, Expr, GroupingSet, LogicalPlan, Operator, Projection, binary_expr},
};
use millstream_engine::{Result, SparkError};

use super::aggregate::Key;

/// Which groups an aggregation makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// One for each combination of keys.
    Plain,
    /// For each set (of positions among the keys) one for each combination of its keys; the others
    /// are null there.
    Sets(Vec<Vec<usize>>),
}

impl Shape {
    /// Totals over the last of `keys`, the last two, ...
    pub fn rollup(keys: usize) -> Self {
        Self::Sets((0..=keys).rev().map(|n| (0..n).collect()).collect())
    }

    /// Totals over every subset of `keys`.
    ///
    /// # Errors
    /// `GROUPING_SIZE_LIMIT_EXCEEDED` for more than can be listed.
    pub fn cube(keys: usize) -> Result<Self> {
        if keys > 12 {
            return Err(SparkError::new("GROUPING_SIZE_LIMIT_EXCEEDED").with("maxSize", "12"));
        }
        let set = |choice: usize| (0..keys).filter(|i| choice >> (keys - 1 - i) & 1 == 1).collect();
        Ok(Self::Sets((0..1_usize << keys).rev().map(set).collect()))
    }

    /// The keys some set has, in the order in which DataFusion shows them.
    fn order(sets: &[Vec<usize>]) -> Vec<usize> {
        let mut order = Vec::new();
        for key in sets.iter().flatten() {
            if !order.contains(key) {
                order.push(*key);
            }
        }
        order
    }
}

fn column(id: &str) -> Expr {
    Expr::Column(Column::new_unqualified(id))
}

fn long(value: i64) -> Expr {
    Expr::Literal(ScalarValue::Int64(Some(value)), None)
}

/// 1 where the key at `position` is left out, else 0, as a bigint over the aggregate's columns.
fn left_out(sets: &[Vec<usize>], position: usize) -> Expr {
    let order = Shape::order(sets);
    let Some(place) = order.iter().position(|key| *key == position) else { return long(1) };
    let id = Cast::new(Box::new(column(Aggregate::INTERNAL_GROUPING_ID)), DataType::Int64);
    let shift = i64::try_from(order.len() - 1 - place).unwrap_or_default();
    let shifted = binary_expr(Expr::Cast(id), Operator::BitwiseShiftRight, long(shift));
    binary_expr(shifted, Operator::BitwiseAnd, long(1))
}

/// What `grouping(key)` (`single`) or `grouping_id(keys..)` means; `arguments` are over the input.
///
/// # Errors
/// `UNSUPPORTED_GROUPING_EXPRESSION` without totals, `GROUPING_COLUMN_MISMATCH`,
/// `GROUPING_ID_COLUMN_MISMATCH`.
pub(super) fn grouping(shape: &Shape, keys: &[Key], arguments: &[Expr], single: bool) -> Result<Expr> {
    let Shape::Sets(sets) = shape else { return Err(SparkError::new("UNSUPPORTED_GROUPING_EXPRESSION")) };
    let shown = || keys.iter().map(|key| key.item.sql.clone()).collect::<Vec<_>>().join(", ");
    if single {
        let position = keys.iter().position(|key| arguments.first() == Some(&key.item.expr));
        let position = position.ok_or_else(|| {
            SparkError::new("GROUPING_COLUMN_MISMATCH")
                .with("grouping", arguments.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
                .with("groupingColumns", shown())
        })?;
        return Ok(Expr::Cast(Cast::new(Box::new(left_out(sets, position)), DataType::Int8)));
    }
    if !arguments.is_empty() && !arguments.iter().eq(keys.iter().map(|key| &key.item.expr)) {
        return Err(SparkError::new("GROUPING_ID_COLUMN_MISMATCH")
            .with(
                "groupingIdColumn",
                arguments.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            )
            .with("groupByColumns", shown()));
    }
    let bits = (0..keys.len()).map(|position| {
        let shift = i64::try_from(keys.len() - 1 - position).unwrap_or_default();
        binary_expr(left_out(sets, position), Operator::BitwiseShiftLeft, long(shift))
    });
    Ok(bits.reduce(|a, b| binary_expr(a, Operator::BitwiseOr, b)).unwrap_or_else(|| long(0)))
}

/// The aggregate node over `input` for `sets` of `keys`.
pub(super) fn plan(
    input: &Arc<LogicalPlan>,
    keys: &[Key],
    sets: &[Vec<usize>],
    calls: Vec<Expr>,
) -> Result<LogicalPlan> {
    // The keys become columns first: grouping sets keep the names of plain columns.
    let mut below: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    below.extend(keys.iter().map(|key| key.item.expr.clone().alias(&key.id)));
    let below = LogicalPlan::Projection(Projection::try_new(below, Arc::clone(input))?);
    let set = |set: &Vec<usize>| set.iter().filter_map(|i| keys.get(*i)).map(|key| column(&key.id)).collect();
    let sets_of_columns = GroupingSet::GroupingSets(sets.iter().map(set).collect());
    let plan = LogicalPlan::Aggregate(Aggregate::try_new(
        Arc::new(below),
        vec![Expr::GroupingSet(sets_of_columns)],
        calls,
    )?);
    let order = Shape::order(sets);
    let absent: Vec<&Key> =
        keys.iter().enumerate().filter(|(i, _)| !order.contains(i)).map(|(_, key)| key).collect();
    if absent.is_empty() {
        return Ok(plan);
    }
    let mut exprs: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    for key in absent {
        exprs.push(Expr::Literal(ScalarValue::try_from(key.item.data_type())?, None).alias(&key.id));
    }
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}
