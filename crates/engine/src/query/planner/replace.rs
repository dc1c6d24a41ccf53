//! Puts other expressions in the places of those of a plan.

use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    logical_expr::{Expr, LogicalPlan},
};

/// Makes each expression of the nodes that `within` picks, and each part of one, what `new` makes
/// of it, if anything. Nodes without such an expression stay as they are.
pub(super) fn replace(
    plan: LogicalPlan,
    within: impl Fn(&LogicalPlan) -> bool,
    new: impl Fn(&Expr) -> Option<Expr>,
) -> Result<LogicalPlan> {
    plan.transform_up(|node| {
        let mut found = false;
        if within(&node) {
            for expr in node.expressions() {
                found |= expr.exists(|e| Ok(new(e).is_some()))?;
            }
        }
        if !found {
            return Ok(Transformed::no(node));
        }
        let mend = |e: Expr| {
            Ok(match new(&e) {
                Some(new) => Transformed::yes(new),
                None => Transformed::no(e),
            })
        };
        node.map_expressions(|expr| expr.transform_up(mend))
    })
    .data()
}
