//! Spark's `PushDownLeftSemiAntiJoin`: a left semi join of streams that compares keys of an
//! aggregation goes below it. Rows are then late, kept and matched one by one, not as groups.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    common::{
        Column, JoinType, NullEquality,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    logical_expr::{
        Aggregate, BinaryExpr, Expr, Join, LogicalPlan, LogicalPlanBuilder, Operator, Projection,
        utils::split_conjunction,
    },
};

use super::stream_join::is_stream_join;

/// Moves the semi joins of a plan as far down as they go.
pub(super) fn push_below_groups(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    plan.transform_down(|node| match &node {
        LogicalPlan::Join(join) if join.join_type == JoinType::LeftSemi && is_stream_join(join) => {
            Ok(match pushed(join)? {
                Some(pushed) => Transformed::yes(pushed),
                None => Transformed::no(node),
            })
        }
        _ => Ok(Transformed::no(node)),
    })
    .data()
}

/// `join` below the aggregation on its left, if it compares nothing but keys.
fn pushed(join: &Join) -> datafusion::common::Result<Option<LogicalPlan>> {
    if join.null_equality != NullEquality::NullEqualsNothing {
        return Ok(None);
    }
    let mut projections: Vec<&Projection> = Vec::new();
    let mut left = join.left.as_ref();
    while let LogicalPlan::Projection(projection) = left {
        projections.push(projection);
        left = &projection.input;
    }
    let LogicalPlan::Aggregate(aggregate) = left else { return Ok(None) };
    if aggregate.group_expr.is_empty() || aggregate.group_expr.iter().any(Expr::is_volatile) {
        return Ok(None);
    }
    let equal = |(l, r): &(Expr, Expr)| {
        Expr::BinaryExpr(BinaryExpr::new(l.clone().into(), Operator::Eq, r.clone().into()))
    };
    let mut condition: Vec<Expr> = join.on.iter().map(equal).collect();
    condition.extend(join.filter.iter().flat_map(split_conjunction).cloned());
    for projection in &projections {
        let meanings = meanings(projection.schema.columns(), &projection.expr);
        condition = spelled_out(condition, &meanings)?;
    }
    let keys = meanings(aggregate.schema.columns(), &aggregate.group_expr);
    let (below, beside) = (aggregate.input.schema(), join.right.schema());
    condition = spelled_out(condition, &keys)?;
    let known = |column: &&Column| below.has_column(column) || beside.has_column(column);
    if !condition.iter().all(|e| e.column_refs().iter().all(known)) {
        return Ok(None);
    }

    let joined = LogicalPlanBuilder::from(aggregate.input.as_ref().clone()).join_on(
        join.right.as_ref().clone(),
        JoinType::LeftSemi,
        condition,
    )?;
    let moved = Aggregate::try_new_with_schema(
        Arc::new(joined.build()?),
        aggregate.group_expr.clone(),
        aggregate.aggr_expr.clone(),
        Arc::clone(&aggregate.schema),
    )?;
    let mut plan = LogicalPlan::Aggregate(moved);
    for above in projections.into_iter().rev() {
        let (exprs, schema) = (above.expr.clone(), Arc::clone(&above.schema));
        plan = LogicalPlan::Projection(Projection::try_new_with_schema(exprs, Arc::new(plan), schema)?);
    }
    Ok(Some(plan))
}

/// What the first columns of a node mean over its input.
fn meanings(columns: Vec<Column>, exprs: &[Expr]) -> BTreeMap<Column, Expr> {
    columns
        .into_iter()
        .zip(exprs)
        .map(|(column, expr)| (column, expr.clone().unalias_nested().data))
        .collect()
}

fn spelled_out(
    condition: Vec<Expr>,
    meanings: &BTreeMap<Column, Expr>,
) -> datafusion::common::Result<Vec<Expr>> {
    let spell = |expr: Expr| {
        let spelled = expr.transform_up(|e| match &e {
            Expr::Column(column) => Ok(match meanings.get(column) {
                Some(meaning) => Transformed::yes(meaning.clone()),
                None => Transformed::no(e),
            }),
            _ => Ok(Transformed::no(e)),
        });
        spelled.data()
    };
    condition.into_iter().map(spell).collect()
}
