//! Joins of streams with a conjunct in their ON that reads no column and is never met.
//!
//! Spark moves such a conjunct to the left side of the join, keeps the others, and runs; but its
//! first pass over the plan, the last one before it finds out what the conjunct is worth, looks at
//! each place once, from the root down, and does one thing there: it merges two filters, moves a
//! filter down, or takes a join apart. A join that a filter has just been moved into is left alone;
//! then the whole condition turns out to be `false`, and a join of streams without an equality is
//! refused. So what matters is whether the filters above are an odd number.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    common::{
        Column, JoinType, Result,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    execution::SessionState,
    logical_expr::{
        Aggregate, Expr, Join, LogicalPlan, lit,
        utils::{conjunction, split_conjunction},
    },
};

use super::{
    constant_filters::{constant, without_rows},
    never_met::is_never,
    outer_join::Refused,
    stream_join::{is_over_stream, is_stream_join},
};
use crate::plan::{EventTimeWatermark, Expand, SessionWindow, TimeWindow};

/// The columns that each conjunct of a filter reads.
type Conjuncts = Vec<BTreeSet<Column>>;

/// Makes the condition of joins of streams `false` where Spark's first pass leaves a conjunct in it
/// that is never met.
pub(super) fn settle_written(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    let concerned = plan.exists(|node| match node {
        LogicalPlan::Join(join) => Ok(is_stream_join(join) && is_never_joined(join, session)?),
        _ => Ok(false),
    })?;
    if concerned { FirstPass { session }.over(plan, None) } else { Ok(plan) }
}

/// Moves what is never met in the ON of a join over streams to the join's left side, as Spark does
/// once outer joins are narrowed.
pub(super) fn settle(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    plan.transform_up(|node| match node {
        // Below right joins it goes with other filters, which it then makes say nothing.
        LogicalPlan::Join(mut join)
            if is_over_stream(&join) && matches!(join.join_type, JoinType::Inner | JoinType::LeftSemi) =>
        {
            let conjuncts: Vec<Expr> = join.filter.iter().flat_map(split_conjunction).cloned().collect();
            let mut left = Vec::new();
            for conjunct in &conjuncts {
                if !is_never_constant(conjunct, &join, session)? {
                    left.push(conjunct.clone());
                }
            }
            if left.len() == conjuncts.len() {
                return Ok(Transformed::no(LogicalPlan::Join(join)));
            }
            let conditional = join.join_type != JoinType::Inner && join.on.is_empty();
            join.filter = conjunction(left).or_else(|| conditional.then(|| lit(true)));
            join.left = Arc::new(without_rows(Arc::unwrap_or_clone(join.left))?);
            Ok(Transformed::yes(LogicalPlan::Join(join)))
        }
        node => Ok(Transformed::no(node)),
    })
    .data()
}

/// Whether a condition of the join that the left side does not meet leaves no row to join.
fn keeps_left(kind: JoinType) -> bool {
    matches!(kind, JoinType::Inner | JoinType::LeftSemi | JoinType::Right)
}

fn is_never_joined(join: &Join, session: &SessionState) -> Result<bool> {
    for conjunct in join.filter.iter().flat_map(split_conjunction) {
        if is_never_constant(conjunct, join, session)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a condition reads no column and is never met.
fn is_never_constant(condition: &Expr, join: &Join, session: &SessionState) -> Result<bool> {
    let reads_none = condition.column_refs().is_empty() && !condition.is_volatile();
    Ok(reads_none && is_never(&constant(condition, session)?, &join.schema))
}

/// Spark's first pass of `PushDownPredicates`, as far as it decides which joins are left alone.
struct FirstPass<'a> {
    session: &'a SessionState,
}

impl FirstPass<'_> {
    /// `plan` and what is below it; `above` is what a filter moved to right above it asks.
    fn over(&self, plan: LogicalPlan, above: Option<Conjuncts>) -> Result<LogicalPlan> {
        match plan {
            LogicalPlan::Filter(mut filter) => {
                // Spark narrows outer joins first, where the filter stands right above.
                let kind = match filter.input.as_ref() {
                    LogicalPlan::Join(join) => Some(Refused::new(self.session.clone()).kind(&filter, join)?),
                    _ => None,
                };
                // The two become one filter, which stays.
                let down = above.is_none().then(|| conjuncts(split_conjunction(&filter.predicate)));
                filter.input = Arc::new(match (Arc::unwrap_or_clone(filter.input), kind) {
                    (LogicalPlan::Join(join), Some(kind)) => self.over_join(join, kind, down)?,
                    (input, _) => self.over(input, down)?,
                });
                Ok(LogicalPlan::Filter(filter))
            }
            LogicalPlan::Join(join) => {
                let kind = join.join_type;
                self.over_join(join, kind, above)
            }
            plan => {
                let below = match above {
                    Some(above) => moved(&plan, above),
                    None => own(&plan),
                };
                plan.map_children(|child| {
                    let columns = child.schema().columns();
                    let here = below.as_ref().map(|(of, conjuncts)| renamed(conjuncts, of, &columns));
                    self.over(child, here).map(Transformed::yes)
                })
                .data()
            }
        }
    }

    /// The same for a join that counts as one of `kind`.
    fn over_join(&self, mut join: Join, kind: JoinType, above: Option<Conjuncts>) -> Result<LogicalPlan> {
        use JoinType::{Full, Inner, Left, LeftAnti, LeftSemi, Right};
        let (mut left, mut right) = (Conjuncts::new(), Conjuncts::new());
        let mut stays = |columns: BTreeSet<Column>, to_left: bool, to_right: bool| {
            let of = |side: &LogicalPlan| columns.iter().all(|column| side.schema().has_column(column));
            match (to_left && of(&join.left), to_right && !columns.is_empty() && of(&join.right)) {
                (true, _) => left.push(columns),
                (_, true) => right.push(columns),
                _ => return true,
            }
            false
        };
        let mut left_alone = above.is_some();
        for columns in above.into_iter().flatten() {
            let stays = stays(columns, kind != Right && kind != Full, matches!(kind, Inner | Right));
            // What an outer join keeps above itself has not taken its turn.
            left_alone &= !(stays && matches!(kind, Left | Right | Full));
        }
        if !left_alone {
            for columns in conjuncts(join.filter.iter().flat_map(split_conjunction)) {
                stays(columns, keeps_left(kind), matches!(kind, Inner | Left | LeftSemi | LeftAnti));
            }
        }
        let some = |conjuncts: Conjuncts| (!conjuncts.is_empty()).then_some(conjuncts);
        join.left = Arc::new(self.over(Arc::unwrap_or_clone(join.left), some(left))?);
        join.right = Arc::new(self.over(Arc::unwrap_or_clone(join.right), some(right))?);
        if (left_alone || !keeps_left(kind)) && is_stream_join(&join) && is_never_joined(&join, self.session)?
        {
            (join.on, join.filter) = (vec![], Some(lit(false)));
        }
        Ok(LogicalPlan::Join(join))
    }
}

fn conjuncts<'a>(conjuncts: impl IntoIterator<Item = &'a Expr>) -> Conjuncts {
    conjuncts.into_iter().map(|conjunct| conjunct.column_refs().into_iter().cloned().collect()).collect()
}

/// What goes on below `plan` of a filter above it, in columns given beside, by position.
fn moved(plan: &LogicalPlan, mut above: Conjuncts) -> Option<(Vec<Column>, Conjuncts)> {
    let made_of = |above: &Conjuncts, columns: &[Column], made: &[Expr]| {
        let spelled =
            |column: &Column| match columns.iter().position(|c| c == column).and_then(|i| made.get(i)) {
                Some(made) => made.column_refs().into_iter().cloned().collect(),
                None => BTreeSet::from([column.clone()]),
            };
        above.iter().map(|columns| columns.iter().flat_map(spelled).collect()).collect::<Conjuncts>()
    };
    let input = |plan: &LogicalPlan| plan.inputs().first().map(|input| input.schema().columns());
    let asks_only_for = |above: &mut Conjuncts, columns: &[Column]| {
        above.retain(|asked| !asked.is_empty() && asked.iter().all(|column| columns.contains(column)));
    };
    match plan {
        LogicalPlan::Projection(projection) if !projection.expr.iter().any(Expr::is_volatile) => {
            above = made_of(&above, &projection.schema.columns(), &projection.expr);
            return Some((input(plan)?, above));
        }
        LogicalPlan::Aggregate(Aggregate { group_expr, schema, .. }) => {
            let groups = schema.columns().into_iter().take(group_expr.len()).collect::<Vec<_>>();
            asks_only_for(&mut above, &groups);
            above = made_of(&above, &groups, group_expr);
        }
        LogicalPlan::Unnest(unnest) => {
            let copied = unnest.input.schema().columns();
            let made = |column: &Column| unnest.exec_columns.contains(column);
            asks_only_for(&mut above, &copied.into_iter().filter(|c| !made(c)).collect::<Vec<_>>());
        }
        LogicalPlan::SubqueryAlias(_) | LogicalPlan::Union(_) | LogicalPlan::Sort(_) => {
            return Some((plan.schema().columns(), above));
        }
        LogicalPlan::Extension(extension) if extension.node.as_any().is::<EventTimeWatermark>() => {
            return Some((plan.schema().columns(), above));
        }
        LogicalPlan::Extension(extension) => {
            let expand = extension.node.as_any().downcast_ref::<Expand>()?;
            let keys = expand.key_places().ok()?;
            let copied = input(plan)?.into_iter().enumerate().filter(|(place, _)| !keys.contains(place));
            let copied = copied.map(|(_, column)| column);
            asks_only_for(&mut above, &copied.collect::<Vec<_>>());
        }
        // The filter of a window merges with the one above, and so does not go on.
        _ => return None,
    }
    let columns = input(plan)?;
    (!above.is_empty()).then_some((columns, above))
}

/// The filter that Spark makes part of a window: rows have a time. One on the edges stays above.
fn own(plan: &LogicalPlan) -> Option<(Vec<Column>, Conjuncts)> {
    let LogicalPlan::Extension(extension) = plan else { return None };
    let any = extension.node.as_any();
    let time = if let Some(window) = any.downcast_ref::<TimeWindow>() {
        (window.spec().is_multiple()).then(|| window.time())?
    } else {
        any.downcast_ref::<SessionWindow>()?.time()
    };
    Some((plan.inputs().first()?.schema().columns(), conjuncts([time])))
}

/// `conjuncts` on `columns` as they read the same places of `others`.
fn renamed(conjuncts: &Conjuncts, columns: &[Column], others: &[Column]) -> Conjuncts {
    let rename = |column: &Column| {
        let place = columns.iter().position(|c| c == column);
        place.and_then(|place| others.get(place)).unwrap_or(column).clone()
    };
    conjuncts.iter().map(|columns| columns.iter().map(rename).collect()).collect()
}
