//! `dropDuplicates` and `dropDuplicatesWithinWatermark`.

use std::{fmt, sync::Arc};

use datafusion::{
    common::{Column, DFSchemaRef, Result, internal_datafusion_err},
    logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};

use super::watermark_delay;

/// The first row of each key, over all batches of a stream.
///
/// The columns are the input's. Rows behind the watermark are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub struct Deduplicate {
    input: Arc<LogicalPlan>,
    keys: Vec<Column>,
    within_watermark: bool,
    /// Given in streams alone.
    operator_id: Option<usize>,
}

impl Deduplicate {
    /// `input` without the rows whose `keys` were there before.
    pub fn plan(input: Arc<LogicalPlan>, keys: Vec<Column>, within_watermark: bool) -> LogicalPlan {
        let node = Self { input, keys, within_watermark, operator_id: None };
        LogicalPlan::Extension(Extension { node: Arc::new(node) })
    }

    /// The plan below.
    pub fn input(&self) -> &Arc<LogicalPlan> {
        &self.input
    }

    /// The columns that are compared.
    pub fn keys(&self) -> &[Column] {
        &self.keys
    }

    /// Whether a key is forgotten once the watermark has passed its first row's time plus the
    /// watermark's delay.
    pub fn within_watermark(&self) -> bool {
        self.within_watermark
    }

    /// Number of the stateful operator in its query: `state/<operator_id>`; `None` in a batch.
    pub fn operator_id(&self) -> Option<usize> {
        self.operator_id
    }

    /// The same node as stateful operator number `operator_id`.
    #[must_use]
    pub fn with_operator_id(&self, operator_id: usize) -> Self {
        Self { operator_id: Some(operator_id), ..self.clone() }
    }
}

impl UserDefinedLogicalNodeCore for Deduplicate {
    fn name(&self) -> &str {
        "Deduplicate"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        self.keys.iter().cloned().map(Expr::Column).collect()
    }

    /// Filters stay above: which row is the first of its key must not depend on them.
    fn prevent_predicate_push_down_columns(&self) -> std::collections::HashSet<String> {
        self.schema().fields().iter().map(|f| f.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.keys.iter().map(ToString::to_string).collect();
        let within = if self.within_watermark { ", within watermark" } else { "" };
        write!(f, "Deduplicate: keys=[{}]{within}", keys.join(", "))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let keys = exprs.into_iter().map(|e| match e {
            Expr::Column(column) => Ok(column),
            other => Err(internal_datafusion_err!("deduplication by {other}")),
        });
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let input = inputs.into_iter().next();
        let input = input.ok_or_else(|| internal_datafusion_err!("deduplication without input"))?;
        Ok(Self { input: Arc::new(input), keys, ..self.clone() })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let schema = self.input.schema();
        let mut needed = output_columns.to_vec();
        for key in &self.keys {
            needed.push(schema.index_of_column(key).ok()?);
        }
        if self.within_watermark {
            let times = schema.fields().iter().enumerate().filter(|(_, f)| watermark_delay(f).is_some());
            needed.extend(times.map(|(i, _)| i));
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
