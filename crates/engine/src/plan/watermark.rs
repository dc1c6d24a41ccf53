//! `withWatermark`: marks a column as event time.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use datafusion::{
    arrow::datatypes::{Field, Schema},
    common::{Column, DFSchema, DFSchemaRef, Result, internal_datafusion_err},
    logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};

use crate::SparkError;

/// Field metadata key under which Spark keeps the delay, in milliseconds.
pub const WATERMARK_DELAY_KEY: &str = "spark.watermarkDelayMs";

/// The delay in milliseconds if `field` is an event-time column.
pub fn watermark_delay(field: &Field) -> Option<i64> {
    field.metadata().get(WATERMARK_DELAY_KEY)?.parse().ok()
}

/// The error of several event times, each as Spark shows it (`t#12-T10000ms`); the planner puts
/// the user's names before their ids.
pub(crate) fn multiple_event_times<'a>(marked: impl IntoIterator<Item = &'a Field>) -> SparkError {
    let shown = |field: &Field| {
        let delay = watermark_delay(field).map(|ms| format!("-T{ms}ms")).unwrap_or_default();
        format!("{}{delay}", field.name())
    };
    let shown: Vec<String> = marked.into_iter().map(shown).collect();
    SparkError::new("MULTIPLE_EVENT_TIME_COLUMNS").with("eventTimeCols", format!("({})", shown.join(",")))
}

/// Observes the greatest event time of its rows and marks the column in the schema.
///
/// Passes every row on, in order. Filters on other columns move below it, as in Spark,
/// and then decide which rows advance the watermark.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventTimeWatermark {
    input: Arc<LogicalPlan>,
    column: Column,
    delay_ms: i64,
    ordinal: Option<usize>,
    repeats: bool,
    schema: DFSchemaRef,
}

impl PartialOrd for EventTimeWatermark {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (&self.input, &self.column, self.delay_ms, self.ordinal).partial_cmp(&(
            &other.input,
            &other.column,
            other.delay_ms,
            other.ordinal,
        ))
    }
}

impl EventTimeWatermark {
    /// `input` with the timestamp column `column` marked; rows up to `delay_ms` behind
    /// the greatest event time seen still count.
    ///
    /// A mark on another column of the input is removed: the last one holds, as in Spark.
    pub fn plan(input: LogicalPlan, column: Column, delay_ms: i64) -> Result<LogicalPlan> {
        let node = Self::try_new(Arc::new(input), column, delay_ms, None)?;
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }

    fn try_new(
        input: Arc<LogicalPlan>,
        column: Column,
        delay_ms: i64,
        ordinal: Option<usize>,
    ) -> Result<Self> {
        let index = input.schema().index_of_column(&column)?;
        let fields = input.schema().iter().enumerate().map(|(i, (qualifier, field))| {
            let mut metadata = field.metadata().clone();
            metadata.remove(WATERMARK_DELAY_KEY);
            if i == index {
                metadata.insert(WATERMARK_DELAY_KEY.to_string(), delay_ms.to_string());
            }
            (qualifier.cloned(), Arc::new(field.as_ref().clone().with_metadata(metadata)))
        });
        let schema = DFSchema::new_with_metadata(fields.collect(), HashMap::new())?;
        Ok(Self { input, column, delay_ms, ordinal, repeats: false, schema: Arc::new(schema) })
    }

    /// The event-time column.
    pub fn column(&self) -> &Column {
        &self.column
    }

    /// Allowed lateness in milliseconds.
    pub fn delay_ms(&self) -> i64 {
        self.delay_ms
    }

    /// The plan below.
    pub fn input(&self) -> &Arc<LogicalPlan> {
        &self.input
    }

    /// The same node as watermark number `ordinal` of a query (left to right).
    #[must_use]
    pub fn with_ordinal(&self, ordinal: usize) -> Self {
        Self { ordinal: Some(ordinal), ..self.clone() }
    }

    /// The same watermark once more, over the same stream: the rows of both move it.
    #[must_use]
    pub fn repeated(&self) -> Self {
        Self { repeats: true, ..self.clone() }
    }

    /// Whether it is one of those.
    pub fn repeats(&self) -> bool {
        self.repeats
    }

    /// The number given by the streaming planner; none in a batch query.
    pub fn ordinal(&self) -> Option<usize> {
        self.ordinal
    }

    /// Position of the event-time column in the schema.
    ///
    /// # Errors
    /// Internal: the column is not there.
    pub fn column_index(&self) -> Result<usize> {
        self.schema.index_of_column(&self.column)
    }

    /// The columns with the mark, as Arrow sees them.
    pub fn output_schema(&self) -> Schema {
        self.schema.as_arrow().clone()
    }
}

impl UserDefinedLogicalNodeCore for EventTimeWatermark {
    fn name(&self) -> &str {
        "EventTimeWatermark"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![Expr::Column(self.column.clone())]
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::from([self.column.name.clone()])
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventTimeWatermark {}, {} ms", self.column, self.delay_ms)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let column = match exprs.into_iter().next() {
            Some(Expr::Column(column)) => column,
            _ => self.column.clone(),
        };
        let input =
            inputs.into_iter().next().ok_or_else(|| internal_datafusion_err!("watermark without input"))?;
        let node = Self::try_new(Arc::new(input), column, self.delay_ms, self.ordinal)?;
        Ok(Self { repeats: self.repeats, ..node })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let own = self.input.schema().index_of_column(&self.column).ok()?;
        let mut needed = output_columns.to_vec();
        if !needed.contains(&own) {
            needed.push(own);
            needed.sort_unstable();
        }
        Some(vec![needed])
    }
}
