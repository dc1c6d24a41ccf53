//! Deduplications get no column that nobody reads, as after Spark's `ColumnPruning`.
//!
//! DataFusion leaves to a node what the one below has for reasons of its own: the event time
//! of a watermark, the times a join compares. An event time that is not there makes no row
//! late, and of two that are there one is too many.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    common::{
        Column, Result,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{Expr, LogicalPlan, Projection},
};

use crate::plan::Deduplicate;

/// Places in a schema; `None` for all.
type Places = Option<BTreeSet<usize>>;

/// Narrows the inputs of the deduplications of a plan whose columns are pruned.
pub(super) fn narrow(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(visit(plan, &None)?.data)
}

/// `read` is what is read of the plan's columns.
fn visit(plan: LogicalPlan, read: &Places) -> Result<Transformed<LogicalPlan>> {
    let below = read_below(&plan, read);
    let narrower = match (deduplicated(&plan), &below) {
        (Some(input), Some(read)) if read.len() < input.schema().fields().len() => Some(only(input, read)?),
        _ => None,
    };
    match narrower {
        // All of a projection is read: it has nothing else.
        Some(input) => {
            plan.with_new_exprs(plan.expressions(), vec![visit(input, &None)?.data]).map(Transformed::yes)
        }
        None => plan.map_children(|child| visit(child, &below)),
    }
}

/// What `plan` deduplicates, if it does.
fn deduplicated(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    let LogicalPlan::Extension(extension) = plan else { return None };
    extension.node.as_any().downcast_ref::<Deduplicate>().map(|node| node.input().as_ref())
}

/// `input` with these of its columns.
fn only(input: &LogicalPlan, places: &BTreeSet<usize>) -> Result<LogicalPlan> {
    let columns = places.iter().map(|i| Expr::Column(Column::from(input.schema().qualified_field(*i))));
    Projection::try_new(columns.collect(), Arc::new(input.clone())).map(LogicalPlan::Projection)
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
