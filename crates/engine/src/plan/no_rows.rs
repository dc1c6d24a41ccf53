//! A condition that is never met, above what is read all the same.

use std::{fmt, sync::Arc};

use datafusion::{
    common::{DFSchemaRef, Result, internal_datafusion_err},
    logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};

/// Reads its input and gives no row.
///
/// A filter on nothing: DataFusion would move one through stateful operators, or drop the
/// input; this one stays where it was put.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub struct NoRows {
    input: Arc<LogicalPlan>,
}

impl NoRows {
    /// `input` without its rows.
    pub fn plan(input: LogicalPlan) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(Self { input: Arc::new(input) }) })
    }
}

impl UserDefinedLogicalNodeCore for NoRows {
    fn name(&self) -> &str {
        "NoRows"
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
        f.write_str("NoRows")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input = inputs.into_iter().next();
        let input = input.ok_or_else(|| internal_datafusion_err!("a condition without input"))?;
        Ok(Self { input: Arc::new(input) })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}
