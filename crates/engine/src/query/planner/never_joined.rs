//! Joins of streams with a conjunct in their ON that reads no column and is never met.
//!
//! Spark moves such a conjunct to the left side of the join, keeps the others, and runs; but a join
//! that a filter has just been moved into is left alone by the pass ([`filter_passes`]) before it
//! finds out what the conjunct is worth. Then the whole condition turns out to be `false`, and a
//! join of streams without an equality is refused. So what matters is whether the filters above
//! are an odd number.
//!
//! [`filter_passes`]: super::filter_passes

use std::sync::Arc;

use datafusion::{
    common::{
        JoinType, Result,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    execution::SessionState,
    logical_expr::{
        Expr, Join, LogicalPlan, lit,
        utils::{conjunction, split_conjunction},
    },
};

use super::{
    constant_filters::{constant, without_rows},
    never_met::is_never,
    stream_join::{is_over_stream, is_stream_join},
};
/// Whether `join` is one of streams, and a conjunct of its condition is never met.
pub(super) fn concerns(join: &Join, session: &SessionState) -> Result<bool> {
    Ok(is_stream_join(join) && is_never_joined(join, session)?)
}

/// Makes the condition of a join of streams `false` if a conjunct of it is never met.
pub(super) fn refuse(join: &mut Join, session: &SessionState) -> Result<()> {
    if concerns(join, session)? {
        (join.on, join.filter) = (vec![], Some(lit(false)));
    }
    Ok(())
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
pub(super) fn keeps_left(kind: JoinType) -> bool {
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
