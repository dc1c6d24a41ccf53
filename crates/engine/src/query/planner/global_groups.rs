//! An aggregation without keys stays when nobody reads what it computes: it has one row, and in
//! a stream keeps it. DataFusion's pruning would make it a constant and drop the stream below.

use std::{fmt, sync::Arc};

use datafusion::{
    common::{
        DFSchemaRef, Result, internal_datafusion_err,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};

use super::is_streaming;

/// Asks for one column of its input where nobody asks for any.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
struct Asked {
    input: Arc<LogicalPlan>,
}

/// Guards the aggregations without keys over streams of a plan.
pub(super) fn guard(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up(|node| match &node {
        LogicalPlan::Aggregate(aggregate)
            if aggregate.group_expr.is_empty() && is_streaming(&aggregate.input) =>
        {
            let node = Arc::new(Asked { input: Arc::new(node) });
            Ok(Transformed::yes(LogicalPlan::Extension(Extension { node })))
        }
        _ => Ok(Transformed::no(node)),
    })
    .data()
}

/// Takes the guards off.
pub(super) fn release(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up(|node| match &node {
        LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref::<Asked>() {
            Some(asked) => Ok(Transformed::yes(asked.input.as_ref().clone())),
            None => Ok(Transformed::no(node)),
        },
        _ => Ok(Transformed::no(node)),
    })
    .data()
}

impl UserDefinedLogicalNodeCore for Asked {
    fn name(&self) -> &str {
        "Asked"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input = inputs.into_iter().next();
        let input = input.ok_or_else(|| internal_datafusion_err!("a guard without input"))?;
        Ok(Self { input: Arc::new(input) })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![if output_columns.is_empty() { vec![0] } else { output_columns.to_vec() }])
    }
}
