//! Spark's passes of `PushDownPredicates` over a plan with a condition that reads no column and is
//! never met, which Spark finds out after the first.
//!
//! A pass looks at each place once, from the root down, and does one thing there: it merges two
//! filters, moves a filter down, or takes the condition of a join apart. So a filter meets another
//! one below and stays there, and a join that a filter has just been moved into is left alone.
//! Where a filter has come to rest together with the condition that is never met, it is forgotten
//! with it; one that has got away, below an aggregation or to another input, is not.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    common::{
        Column, JoinType, Result,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    execution::SessionState,
    logical_expr::{
        Expr, Filter, Join, LogicalPlan, lit,
        utils::{conjunction, split_conjunction},
    },
};

use super::{constant_filters, is_streaming, never_joined, outer_join::Refused};
use crate::plan::{EventTimeWatermark, Expand, SessionWindow, TimeWindow};

/// Conjuncts of a filter on its way down.
type Conditions = Vec<Expr>;

/// After so many passes nothing moves any more, but in plans nobody writes.
const MOST_PASSES: usize = 10;

/// `plan` as the passes leave it, if a condition over a stream of it is never met.
pub(super) fn run(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    let concerned = plan.exists(|node| match node {
        LogicalPlan::Join(join) => never_joined::concerns(join, session),
        LogicalPlan::Filter(filter) if is_streaming(&filter.input) => {
            constant_filters::is_never_met(filter, session)
        }
        _ => Ok(false),
    })?;
    let mut plan = plan;
    for pass in 0..if concerned { MOST_PASSES } else { 0 } {
        let passed = forgotten(Pass { session, first: pass == 0 }.over(plan.clone(), vec![])?, session)?;
        if std::mem::replace(&mut plan, passed.clone()) == passed {
            break;
        }
    }
    Ok(plan)
}

/// `plan` with no more than `false` where a condition is never met.
fn forgotten(plan: LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    plan.transform_up(|node| match node {
        LogicalPlan::Filter(filter)
            if is_streaming(&filter.input) && constant_filters::is_never_met(&filter, session)? =>
        {
            Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(lit(false), filter.input)?)))
        }
        node => Ok(Transformed::no(node)),
    })
    .data()
}

/// See the module.
struct Pass<'a> {
    session: &'a SessionState,
    /// Only then have windows their filters still.
    first: bool,
}

impl Pass<'_> {
    /// `plan` and what is below it, under a filter of `above` that was moved to right above it.
    fn over(&self, plan: LogicalPlan, above: Conditions) -> Result<LogicalPlan> {
        match plan {
            LogicalPlan::Filter(filter) => self.over_filter(filter, above),
            LogicalPlan::Join(join) => {
                let kind = join.join_type;
                self.over_join(join, kind, above)
            }
            plan => {
                let (down, stays) = match above.is_empty() {
                    true if self.first => (own(&plan), vec![]),
                    true => (vec![], vec![]),
                    false => parted(&plan, above),
                };
                let made_of = columns_below(&plan);
                let plan = plan.map_children(|child| {
                    let here = renamed(&down, &made_of, &child.schema().columns())?;
                    self.over(child, here).map(Transformed::yes)
                });
                rest(stays, plan.data()?)
            }
        }
    }

    fn over_filter(&self, filter: Filter, above: Conditions) -> Result<LogicalPlan> {
        let own: Conditions = split_conjunction(&filter.predicate).into_iter().cloned().collect();
        // Two filters become one, which stays; what gives another answer each time stays, too.
        let moves = above.is_empty() && !filter.predicate.is_volatile();
        let (down, stays) = if moves { (own, vec![]) } else { (vec![], [above, own].concat()) };
        // Spark narrows outer joins first, where the filter stands right above.
        let kind = match filter.input.as_ref() {
            LogicalPlan::Join(join) => Some(Refused::new(self.session.clone()).kind(&filter, join)?),
            _ => None,
        };
        let input = match (Arc::unwrap_or_clone(filter.input), kind) {
            (LogicalPlan::Join(join), Some(kind)) => self.over_join(join, kind, down)?,
            (input, _) => self.over(input, down)?,
        };
        rest(stays, input)
    }

    /// The same for a join that is narrowed to one of `kind`.
    fn over_join(&self, join: Join, kind: JoinType, above: Conditions) -> Result<LogicalPlan> {
        use JoinType::{Full, Inner, Left, LeftAnti, LeftSemi, Right};
        let (mut left, mut right) = (Conditions::new(), Conditions::new());
        let mut goes = |condition: Expr, to_left: bool, to_right: bool| {
            let columns = condition.column_refs();
            let of = |side: &LogicalPlan| columns.iter().all(|column| side.schema().has_column(column));
            match (to_left && of(&join.left), to_right && !columns.is_empty() && of(&join.right)) {
                (true, _) => left.push(condition),
                (_, true) => right.push(condition),
                _ => return Some(condition),
            }
            None
        };
        let mut left_alone = !above.is_empty();
        let above = above.into_iter();
        let stays =
            above.filter_map(|c| goes(c, kind != Right && kind != Full, matches!(kind, Inner | Right)));
        let stays: Conditions = stays.collect();
        // What an outer join keeps above itself has not taken its turn.
        left_alone &= stays.is_empty() || !matches!(kind, Left | Right | Full);
        let mut on: Vec<Expr> = join.filter.iter().flat_map(split_conjunction).cloned().collect();
        if !left_alone {
            let to_right = matches!(kind, Inner | Left | LeftSemi | LeftAnti);
            on = on.into_iter().filter_map(|c| goes(c, never_joined::keeps_left(kind), to_right)).collect();
        }
        let conditional = kind != Inner && join.on.is_empty() && join.filter.is_some();
        let filter = conjunction(on).or_else(|| conditional.then(|| lit(true)));
        let (below_left, below_right) = (Arc::unwrap_or_clone(join.left), Arc::unwrap_or_clone(join.right));
        let mut join = Join::try_new(
            Arc::new(self.over(below_left, left)?),
            Arc::new(self.over(below_right, right)?),
            join.on,
            filter,
            kind,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        if left_alone || !never_joined::keeps_left(kind) {
            never_joined::refuse(&mut join, self.session)?;
        }
        rest(stays, LogicalPlan::Join(join))
    }
}

/// `plan` below a filter of `conditions`, if there are any.
fn rest(conditions: Conditions, plan: LogicalPlan) -> Result<LogicalPlan> {
    match conjunction(conditions) {
        Some(predicate) => Ok(LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?)),
        None => Ok(plan),
    }
}

/// What of a filter right above `plan` goes on below, in columns of `plan`, and what stays.
fn parted(plan: &LogicalPlan, above: Conditions) -> (Conditions, Conditions) {
    let input = || plan.inputs().first().map_or_else(Vec::new, |input| input.schema().columns());
    let may_read = |columns: &[Column], constants: bool| {
        let all = |asked: &BTreeSet<&Column>| asked.iter().all(|column| columns.contains(column));
        let goes = |asked: BTreeSet<&Column>| all(&asked) && (constants || !asked.is_empty());
        above.iter().cloned().partition(|condition| goes(condition.column_refs().into_iter().collect()))
    };
    match plan {
        LogicalPlan::Projection(projection) if projection.expr.iter().any(Expr::is_volatile) => {
            (vec![], above)
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::Sort(_) => (above, vec![]),
        LogicalPlan::Aggregate(aggregate) => {
            let columns = aggregate.schema.columns();
            may_read(columns.get(..aggregate.group_expr.len()).unwrap_or_default(), false)
        }
        LogicalPlan::Unnest(unnest) => {
            let made = |column: &Column| unnest.exec_columns.contains(column);
            may_read(&input().into_iter().filter(|c| !made(c)).collect::<Vec<_>>(), true)
        }
        LogicalPlan::Extension(extension) => {
            let any = extension.node.as_any();
            if let Some(watermark) = any.downcast_ref::<EventTimeWatermark>() {
                may_read(&input().into_iter().filter(|c| c != watermark.column()).collect::<Vec<_>>(), true)
            } else if let Some(expand) = any.downcast_ref::<Expand>() {
                let keys = expand.key_places().unwrap_or_default();
                let copied = input().into_iter().enumerate().filter(|(place, _)| !keys.contains(place));
                may_read(&copied.map(|(_, column)| column).collect::<Vec<_>>(), true)
            } else {
                // The filter of a window merges with the one above, and so does not go on.
                (vec![], above)
            }
        }
        _ => (vec![], above),
    }
}

/// What the columns of `plan` are made of below it, where they are not the same, or where they
/// change their names by position.
fn columns_below(plan: &LogicalPlan) -> Vec<(Column, Option<Expr>)> {
    let columns = plan.schema().columns().into_iter();
    match plan {
        LogicalPlan::Projection(projection) => {
            let made = projection.expr.iter().map(|e| Some(e.clone().unalias_nested().data));
            columns.zip(made).collect()
        }
        LogicalPlan::Aggregate(aggregate) => {
            let keys = aggregate.group_expr.iter().map(|e| Some(e.clone().unalias_nested().data));
            columns.zip(keys).collect()
        }
        LogicalPlan::Union(_) | LogicalPlan::SubqueryAlias(_) => columns.map(|c| (c, None)).collect(),
        _ => vec![],
    }
}

/// `conditions` on what `made_of` says, or on the same places of `others`.
fn renamed(
    conditions: &Conditions,
    made_of: &[(Column, Option<Expr>)],
    others: &[Column],
) -> Result<Conditions> {
    let below = |e: Expr| {
        let Expr::Column(column) = &e else { return Ok(Transformed::no(e)) };
        let Some(place) = made_of.iter().position(|(made, _)| made == column) else {
            return Ok(Transformed::no(e));
        };
        Ok(match (&made_of[place].1, others.get(place)) {
            (Some(made), _) => Transformed::yes(made.clone()),
            (None, Some(other)) => Transformed::yes(Expr::Column(other.clone())),
            (None, None) => Transformed::no(e),
        })
    };
    conditions.iter().map(|condition| condition.clone().transform_up(below).data()).collect()
}

/// The filter that Spark makes part of a window: rows have a time. One on the edges stays above.
fn own(plan: &LogicalPlan) -> Conditions {
    let LogicalPlan::Extension(extension) = plan else { return vec![] };
    let any = extension.node.as_any();
    let time = match any.downcast_ref::<TimeWindow>() {
        Some(window) => window.spec().is_multiple().then(|| window.time()),
        None => any.downcast_ref::<SessionWindow>().map(SessionWindow::time),
    };
    time.map(|time| time.clone().is_not_null()).into_iter().collect()
}
