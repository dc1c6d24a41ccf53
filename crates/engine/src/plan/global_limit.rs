//! `limit` of a stream: so many rows over all batches.

use std::{fmt, sync::Arc};

use datafusion::{
    common::{DFSchemaRef, Result, internal_datafusion_err},
    logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};

/// Passes the first rows of a stream on and drops all others, in whatever batch they come.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub struct GlobalLimit {
    input: Arc<LogicalPlan>,
    rows: usize,
    operator_id: usize,
}

impl GlobalLimit {
    /// The first `rows` rows of `input`.
    pub fn plan(input: Arc<LogicalPlan>, rows: usize) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(Self { input, rows, operator_id: 0 }) })
    }

    /// How many rows pass.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of the stateful operator in its query: `state/<operator_id>`.
    pub fn operator_id(&self) -> usize {
        self.operator_id
    }

    /// The same node as stateful operator number `operator_id`.
    #[must_use]
    pub fn with_operator_id(&self, operator_id: usize) -> Self {
        Self { operator_id, ..self.clone() }
    }
}

impl UserDefinedLogicalNodeCore for GlobalLimit {
    fn name(&self) -> &str {
        "GlobalLimit"
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

    /// Filters stay above: they would change which rows come first.
    fn prevent_predicate_push_down_columns(&self) -> std::collections::HashSet<String> {
        self.schema().fields().iter().map(|f| f.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GlobalLimit {}: {}", self.operator_id, self.rows)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input = inputs.into_iter().next();
        let input = input.ok_or_else(|| internal_datafusion_err!("limit without input"))?;
        Ok(Self { input: Arc::new(input), ..self.clone() })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}
