//! `session_window(time, gap)`: each row's own session, before sessions are merged.

use std::{collections::HashMap, fmt, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field, Fields},
    common::{DFSchema, DFSchemaRef, Result, internal_datafusion_err},
    logical_expr::{Expr, ExprSchemable, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};

use super::watermark::WATERMARK_DELAY_KEY;

/// Field metadata key by which Spark knows a session window: aggregates that group by such
/// a column merge sessions that touch.
pub const SESSION_WINDOW_KEY: &str = "spark.sessionWindow";

/// Whether `field` is a session window column.
pub fn is_session_window(field: &Field) -> bool {
    field.metadata().contains_key(SESSION_WINDOW_KEY)
}

/// Gives each row the session `[time, end)` it makes on its own; rows whose time is null,
/// or whose end is null or not after the time, vanish.
///
/// Output: the input's columns and one struct column `{start, end}` of the time's own type,
/// marked by [`SESSION_WINDOW_KEY`]. An event-time mark on the time column carries over.
/// Sessions are merged by the aggregate above: [`super::UpdatingSessions`] in a batch, the
/// stateful operator in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionWindow {
    input: Arc<LogicalPlan>,
    time: Expr,
    end: Expr,
    output: String,
    schema: DFSchemaRef,
}

impl PartialOrd for SessionWindow {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (&self.input, &self.time, &self.end, &self.output).partial_cmp(&(
            &other.input,
            &other.time,
            &other.end,
            &other.output,
        ))
    }
}

impl SessionWindow {
    /// `input` with the sessions from `time` to `end` added as column `output`.
    ///
    /// # Errors
    /// When `time` and `end` are not timestamps of one type, which translation has to ensure.
    pub fn plan(input: LogicalPlan, time: Expr, end: Expr, output: &str) -> Result<LogicalPlan> {
        let node = Self::try_new(Arc::new(input), time, end, output.to_string())?;
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }

    fn try_new(input: Arc<LogicalPlan>, time: Expr, end: Expr, output: String) -> Result<Self> {
        let (_, time_field) = time.to_field(input.schema())?;
        let data_type = time_field.data_type();
        let end_type = end.get_type(input.schema())?;
        if !matches!(data_type, DataType::Timestamp(_, _)) || *data_type != end_type {
            return Err(internal_datafusion_err!("session window from {data_type} to {end_type}"));
        }
        let mut metadata = HashMap::from([(SESSION_WINDOW_KEY.to_string(), "true".to_string())]);
        if let Some(delay) = time_field.metadata().get(WATERMARK_DELAY_KEY) {
            metadata.insert(WATERMARK_DELAY_KEY.to_string(), delay.clone());
        }
        let edge = |name: &str| Field::new(name, data_type.clone(), true);
        let edges = Fields::from(vec![edge("start"), edge("end")]);
        let window = Field::new(&output, DataType::Struct(edges), false).with_metadata(metadata);
        let mut fields: Vec<_> =
            input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        fields.push((None, Arc::new(window)));
        let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
        Ok(Self { input, time, end, output, schema })
    }

    /// The plan below.
    pub fn input(&self) -> &Arc<LogicalPlan> {
        &self.input
    }

    /// Where a row's session starts.
    pub fn time(&self) -> &Expr {
        &self.time
    }

    /// Where a row's session ends: time and gap.
    pub fn end(&self) -> &Expr {
        &self.end
    }
}

impl UserDefinedLogicalNodeCore for SessionWindow {
    fn name(&self) -> &str {
        "SessionWindow"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![self.time.clone(), self.end.clone()]
    }

    fn prevent_predicate_push_down_columns(&self) -> std::collections::HashSet<String> {
        std::collections::HashSet::from([self.output.clone()])
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionWindow {} = [{}, {})", self.output, self.time, self.end)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut exprs = exprs.into_iter();
        let time = exprs.next().unwrap_or_else(|| self.time.clone());
        let end = exprs.next().unwrap_or_else(|| self.end.clone());
        let input =
            inputs.into_iter().next().ok_or_else(|| internal_datafusion_err!("session without input"))?;
        Self::try_new(Arc::new(input), time, end, self.output.clone())
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let schema = self.input.schema();
        // The window comes last.
        let mut needed: Vec<usize> =
            output_columns.iter().copied().filter(|i| *i < schema.fields().len()).collect();
        for column in self.time.column_refs().into_iter().chain(self.end.column_refs()) {
            needed.push(schema.index_of_column(column).ok()?);
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
