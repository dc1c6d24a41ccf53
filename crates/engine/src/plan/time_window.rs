//! `window(time, duration, slide, start)`: one output row for each window that holds a row.

use std::{collections::HashMap, fmt, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field, Fields},
    common::{DFSchema, DFSchemaRef, Result, internal_datafusion_err},
    logical_expr::{Expr, ExprSchemable, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};

use super::watermark::WATERMARK_DELAY_KEY;
use crate::time::WindowSpec;

/// Expands each row into its windows, latest window first as Spark does; rows whose time
/// is null vanish.
///
/// Output: the input's columns and one struct column `{start, end}` of the time's own
/// type, not nullable inside. An event-time mark on the time column carries over to the
/// window. An aggregate right above a stream's `TimeWindow` is fused with it into the
/// pane-sharing operator, so the expansion never happens there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TimeWindow {
    input: Arc<LogicalPlan>,
    time: Expr,
    spec: WindowSpec,
    output: String,
    schema: DFSchemaRef,
}

impl PartialOrd for TimeWindow {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (&self.input, &self.time, self.spec, &self.output).partial_cmp(&(
            &other.input,
            &other.time,
            other.spec,
            &other.output,
        ))
    }
}

impl TimeWindow {
    /// `input` with the window of the timestamp `time` added as column `output`.
    ///
    /// # Errors
    /// When `time` is no timestamp in microseconds, which translation has to ensure.
    pub fn plan(input: LogicalPlan, time: Expr, spec: WindowSpec, output: &str) -> Result<LogicalPlan> {
        let node = Self::try_new(Arc::new(input), time, spec, output.to_string())?;
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }

    fn try_new(input: Arc<LogicalPlan>, time: Expr, spec: WindowSpec, output: String) -> Result<Self> {
        let (_, time_field) = time.to_field(input.schema())?;
        if !matches!(time_field.data_type(), DataType::Timestamp(_, _)) {
            return Err(internal_datafusion_err!("window over {}", time_field.data_type()));
        }
        let mut metadata = HashMap::from([("spark.timeWindow".to_string(), "true".to_string())]);
        if let Some(delay) = time_field.metadata().get(WATERMARK_DELAY_KEY) {
            metadata.insert(WATERMARK_DELAY_KEY.to_string(), delay.clone());
        }
        let edge = |name: &str| Field::new(name, time_field.data_type().clone(), true);
        let window =
            Field::new(&output, DataType::Struct(Fields::from(vec![edge("start"), edge("end")])), false)
                .with_metadata(metadata);
        let mut fields: Vec<_> =
            input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        fields.push((None, Arc::new(window)));
        let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
        Ok(Self { input, time, spec, output, schema })
    }

    /// The plan below.
    pub fn input(&self) -> &Arc<LogicalPlan> {
        &self.input
    }

    /// The time expression.
    pub fn time(&self) -> &Expr {
        &self.time
    }

    /// The window definition.
    pub fn spec(&self) -> WindowSpec {
        self.spec
    }

    /// Name of the added column.
    pub fn output(&self) -> &str {
        &self.output
    }
}

impl UserDefinedLogicalNodeCore for TimeWindow {
    fn name(&self) -> &str {
        "TimeWindow"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![self.time.clone()]
    }

    fn prevent_predicate_push_down_columns(&self) -> std::collections::HashSet<String> {
        std::collections::HashSet::from([self.output.clone()])
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "TimeWindow {} = window({}, {} us, {} us, {} us)",
            self.output,
            self.time,
            self.spec.duration(),
            self.spec.slide(),
            self.spec.start_time()
        )
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let time = exprs.into_iter().next().unwrap_or_else(|| self.time.clone());
        let input =
            inputs.into_iter().next().ok_or_else(|| internal_datafusion_err!("window without input"))?;
        Self::try_new(Arc::new(input), time, self.spec, self.output.clone())
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let schema = self.input.schema();
        // The window comes last.
        let mut needed: Vec<usize> =
            output_columns.iter().copied().filter(|i| *i < schema.fields().len()).collect();
        for column in self.time.column_refs() {
            needed.push(schema.index_of_column(column).ok()?);
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
