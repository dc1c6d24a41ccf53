//! Deduplications whose event time nobody reads.
//!
//! Spark prunes the column below a `dropDuplicates` that neither compares it nor is asked for
//! it, and then no row is late there. Here the column stays, for the watermark below needs
//! it, and the node is told.

use std::collections::BTreeSet;

use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{Expr, Extension, LogicalPlan},
};

use crate::plan::{Deduplicate, watermark_delay};

/// Places in a schema; `None` for all.
type Places = Option<BTreeSet<usize>>;

/// Tells the deduplications of an optimised plan.
pub(super) fn tell(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(visit(plan, &None)?.data)
}

/// `read` is what is read of the plan's columns.
fn visit(plan: LogicalPlan, read: &Places) -> Result<Transformed<LogicalPlan>> {
    let below = read_below(&plan, read);
    let plan = match &plan {
        LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref::<Deduplicate>() {
            Some(node) if !reads_time(node, &below) => {
                LogicalPlan::Extension(Extension { node: std::sync::Arc::new(node.without_event_time()) })
            }
            _ => plan,
        },
        _ => plan,
    };
    plan.map_children(|child| visit(child, &below))
}

/// Whether an event time is among what is read below a deduplication.
fn reads_time(node: &Deduplicate, read: &Places) -> bool {
    let fields = node.input().schema().fields();
    let mut times = fields.iter().enumerate().filter(|(_, field)| watermark_delay(field).is_some());
    times.any(|(i, _)| read.as_ref().is_none_or(|read| read.contains(&i)))
}

/// What a node reads of its input; all, where that is not known for sure.
fn read_below(plan: &LogicalPlan, read: &Places) -> Places {
    let inputs = plan.inputs();
    let [input] = inputs.as_slice() else { return None };
    let referred = || -> Places {
        let expressions = plan.expressions();
        let columns = expressions.iter().flat_map(Expr::column_refs);
        columns.map(|column| input.schema().index_of_column(column).ok()).collect()
    };
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => referred(),
        LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => {
            Some(read.as_ref()?.union(&referred()?).copied().collect())
        }
        LogicalPlan::Extension(extension) => {
            let output: Vec<usize> = match read {
                Some(read) => read.iter().copied().collect(),
                None => (0..plan.schema().fields().len()).collect(),
            };
            let needed = extension.node.necessary_children_exprs(&output)?;
            Some(needed.into_iter().next()?.into_iter().collect())
        }
        _ => None,
    }
}
