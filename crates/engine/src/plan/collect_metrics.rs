//! `observe(name, metrics)`: rows pass unchanged, aggregates of them are kept aside.

use std::{collections::HashMap, fmt, hash::Hash, sync::Arc};

use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    common::{DFSchema, DFSchemaRef, Result, internal_datafusion_err},
    logical_expr::{Expr, ExprSchemable, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};
use parking_lot::Mutex;

/// What one observation saw in the last execution of its plan.
#[derive(Debug)]
pub struct Observed {
    /// The observation's name.
    pub name: String,
    /// The metrics by the user's names.
    pub schema: SchemaRef,
    /// The same as Spark's JSON, for the progress.
    pub schema_json: String,
    row: Mutex<Option<RecordBatch>>,
}

impl Observed {
    /// An observation that has seen nothing yet.
    pub fn new(name: impl Into<String>, schema: SchemaRef, schema_json: impl Into<String>) -> Self {
        Self { name: name.into(), schema, schema_json: schema_json.into(), row: Mutex::new(None) }
    }

    /// The metrics as one row, once an execution has ended; `None` before and when taken.
    pub fn take(&self) -> Option<RecordBatch> {
        self.row.lock().take()
    }

    /// Keeps the metrics of an execution.
    pub(crate) fn set(&self, row: RecordBatch) {
        *self.row.lock() = Some(row);
    }
}

/// Passes rows on and aggregates them beside.
///
/// # Invariants
/// `results` are expressions over columns named by the ids of `calls`; filters stay above,
/// for they would change what is seen.
#[derive(Debug, Clone)]
pub struct CollectMetrics {
    input: Arc<LogicalPlan>,
    calls: Vec<Expr>,
    ids: Vec<String>,
    results: Vec<Expr>,
    observed: Arc<Observed>,
}

impl CollectMetrics {
    /// `input` observed: each of `calls` is an aggregate function call over it with an id,
    /// each of `results` a metric over those ids.
    pub fn plan(
        input: LogicalPlan,
        calls: Vec<(Expr, String)>,
        results: Vec<Expr>,
        observed: Arc<Observed>,
    ) -> LogicalPlan {
        let (calls, ids) = calls.into_iter().unzip();
        let node = Self { input: Arc::new(input), calls, ids, results, observed };
        LogicalPlan::Extension(Extension { node: Arc::new(node) })
    }

    /// The aggregate calls over the input.
    pub fn calls(&self) -> &[Expr] {
        &self.calls
    }

    /// The metrics over the calls' ids.
    pub fn results(&self) -> &[Expr] {
        &self.results
    }

    /// Where the metrics go.
    pub fn observed(&self) -> &Arc<Observed> {
        &self.observed
    }

    /// The columns that hold the results of the calls.
    ///
    /// # Errors
    /// When a call has no type.
    pub fn call_schema(&self) -> Result<DFSchema> {
        let fields = self.calls.iter().zip(&self.ids).map(|(call, id)| {
            let (_, field) = call.to_field(self.input.schema())?;
            Ok((None, Arc::new(field.as_ref().clone().with_name(id))))
        });
        DFSchema::new_with_metadata(fields.collect::<Result<_>>()?, HashMap::new())
    }
}

/// What `plan` observes, root first.
pub fn observations(plan: &LogicalPlan) -> Vec<Arc<Observed>> {
    let own = match plan {
        LogicalPlan::Extension(extension) => {
            extension.node.as_any().downcast_ref::<CollectMetrics>().map(|node| Arc::clone(&node.observed))
        }
        _ => None,
    };
    own.into_iter().chain(plan.inputs().into_iter().flat_map(observations)).collect()
}

type Parts<'a> = (&'a Arc<LogicalPlan>, &'a [Expr], &'a [String], &'a [Expr], &'a str);

impl CollectMetrics {
    fn parts(&self) -> Parts<'_> {
        (&self.input, &self.calls, &self.ids, &self.results, &self.observed.name)
    }
}

impl PartialEq for CollectMetrics {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for CollectMetrics {}

impl Hash for CollectMetrics {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl PartialOrd for CollectMetrics {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.parts().partial_cmp(&other.parts())
    }
}

impl UserDefinedLogicalNodeCore for CollectMetrics {
    fn name(&self) -> &str {
        "CollectMetrics"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        self.calls.clone()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls: Vec<String> = self.calls.iter().map(ToString::to_string).collect();
        write!(f, "CollectMetrics {}, [{}]", self.observed.name, calls.join(", "))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input =
            inputs.into_iter().next().ok_or_else(|| internal_datafusion_err!("observe without input"))?;
        Ok(Self { input: Arc::new(input), calls: exprs, ..self.clone() })
    }
}
