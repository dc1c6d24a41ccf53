//! `ROLLUP`, `CUBE` and `GROUPING SETS` over a stream, as Spark plans them: rows are expanded,
//! one for each set, and the set's id is one more key of an ordinary aggregation.

use std::sync::Arc;

use datafusion::{
    common::{
        Column,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{Aggregate, Cast, Expr, GroupingSet, LogicalPlan, Projection},
};

use super::is_streaming;
use crate::{
    Result, SparkError,
    plan::{Expand, GroupingSetRow},
};

/// Rewrites the grouping sets over streams of a plan.
pub(super) fn expand(plan: LogicalPlan) -> Result<LogicalPlan> {
    let expanded = plan.transform_up(|node| match node {
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.as_slice() {
            [Expr::GroupingSet(sets)] if is_streaming(&aggregate.input) => {
                let plain = plain_aggregate(&aggregate, sets)?;
                Ok(Transformed::yes(plain))
            }
            _ => Ok(Transformed::no(LogicalPlan::Aggregate(aggregate))),
        },
        node => Ok(Transformed::no(node)),
    })?;
    Ok(expanded.data)
}

/// The aggregation with the sets' id among its keys, under the columns of `aggregate`.
fn plain_aggregate(aggregate: &Aggregate, sets: &GroupingSet) -> datafusion::common::Result<LogicalPlan> {
    let columns = |set: &[Expr]| set.iter().map(|key| key.try_as_col().cloned()).collect::<Option<Vec<_>>>();
    let (GroupingSet::GroupingSets(sets), Some(keys)) =
        (sets, columns(&sets.distinct_expr().into_iter().cloned().collect::<Vec<_>>()))
    else {
        return Err(SparkError::internal("the keys of grouping sets are no columns").into());
    };
    let rows = sets.iter().map(|set| columns(set)).collect::<Option<Vec<_>>>();
    let rows = rows.ok_or_else(|| SparkError::internal("the keys of a grouping set are no columns"))?;
    let rows = numbered(&keys, &rows);

    let schema = aggregate.input.schema();
    let mut id = Aggregate::INTERNAL_GROUPING_ID.to_string();
    while schema.has_column_with_unqualified_name(&id) {
        id.push('_');
    }
    let expanded = Expand::plan(Arc::clone(&aggregate.input), keys.clone(), rows, id.clone())?;
    let id = Column::new_unqualified(id);
    let group = keys.iter().chain([&id]).cloned().map(Expr::Column).collect();
    let plain = Aggregate::try_new(Arc::new(expanded), group, aggregate.aggr_expr.clone())?;

    // What is above knows the id by DataFusion's name and type.
    let own = plain.schema.columns().into_iter().zip(aggregate.schema.iter());
    let shown = own.map(|(column, (_, field))| match column == id {
        true => Expr::Cast(Cast::new(Box::new(Expr::Column(column)), field.data_type().clone()))
            .alias(field.name()),
        false => Expr::Column(column),
    });
    let shown = shown.collect();
    Ok(LogicalPlan::Projection(Projection::try_new(shown, Arc::new(LogicalPlan::Aggregate(plain)))?))
}

/// The sets with DataFusion's ids: a bit for each key, 1 where it is left out, the last key's
/// the lowest; above them how often the same set came before.
fn numbered(keys: &[Column], sets: &[Vec<Column>]) -> Vec<GroupingSetRow> {
    let mut rows: Vec<GroupingSetRow> = Vec::new();
    for set in sets {
        let kept: Vec<bool> = keys.iter().map(|key| set.contains(key)).collect();
        let mask = kept.iter().fold(0, |mask, kept| mask << 1 | i64::from(!kept));
        let before = rows.iter().filter(|row| row.kept == kept).count();
        let ordinal = i64::try_from(before).unwrap_or(i64::MAX);
        rows.push(GroupingSetRow { kept, id: mask | ordinal << keys.len() });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_sets_apart() {
        let key = |name: &str| Column::new_unqualified(name);
        let (a, b) = (key("a"), key("b"));
        let sets = [vec![a.clone(), b.clone()], vec![b.clone()], vec![a.clone()], vec![], vec![b.clone()]];
        let rows = numbered(&[a, b], &sets);
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [0, 2, 1, 3, 6]);
        assert_eq!(rows[1].kept, [false, true]);
    }
}
