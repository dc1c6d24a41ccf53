//! Merges sessions in a batch, so that a plain aggregate can group by them.

use std::{collections::HashSet, fmt, sync::Arc};

use datafusion::{
    common::{Column, DFSchemaRef, Result, internal_datafusion_err},
    logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};

/// Replaces each row's own session by the merged session it belongs to, among the rows with
/// equal keys. Sessions merge when one starts at or before the end of the one before.
///
/// Rows come out sorted by key and start of their own session, so that functions that
/// depend on order see them as in Spark.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub struct UpdatingSessions {
    input: Arc<LogicalPlan>,
    keys: Vec<Expr>,
    session: Column,
}

impl UpdatingSessions {
    /// `input` with the session column `session` merged by `keys`.
    pub fn plan(input: LogicalPlan, keys: Vec<Column>, session: Column) -> LogicalPlan {
        let keys = keys.into_iter().map(Expr::Column).collect();
        let node = Self { input: Arc::new(input), keys, session };
        LogicalPlan::Extension(Extension { node: Arc::new(node) })
    }

    /// The other grouping columns.
    pub fn keys(&self) -> &[Expr] {
        &self.keys
    }

    /// The column of sessions.
    pub fn session(&self) -> &Column {
        &self.session
    }
}

impl UserDefinedLogicalNodeCore for UpdatingSessions {
    fn name(&self) -> &str {
        "UpdatingSessions"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    /// The session column, then the keys.
    fn expressions(&self) -> Vec<Expr> {
        std::iter::once(Expr::Column(self.session.clone())).chain(self.keys.iter().cloned()).collect()
    }

    /// A row that goes missing may have held two sessions together: only filters on keys
    /// move below.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let keys: HashSet<_> = self.keys.iter().flat_map(Expr::column_refs).map(|c| &c.name).collect();
        let columns = self.input.schema().columns().into_iter().map(|column| column.name);
        columns.filter(|name| !keys.contains(name)).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.keys.iter().map(ToString::to_string).collect();
        write!(f, "UpdatingSessions {} by [{}]", self.session, keys.join(", "))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut exprs = exprs.into_iter();
        let session = match exprs.next() {
            Some(Expr::Column(column)) => column,
            _ => self.session.clone(),
        };
        let keys = if exprs.len() == self.keys.len() { exprs.collect() } else { self.keys.clone() };
        let input =
            inputs.into_iter().next().ok_or_else(|| internal_datafusion_err!("sessions without input"))?;
        Ok(Self { input: Arc::new(input), keys, session })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let schema = self.input.schema();
        let mut needed = output_columns.to_vec();
        for column in self.expressions().iter().flat_map(Expr::column_refs) {
            needed.push(schema.index_of_column(column).ok()?);
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
