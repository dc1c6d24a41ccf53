//! `current_timestamp()`: one instant for a whole batch query or micro-batch.
//!
//! DataFusion's `now()` is folded to a literal when a plan is made, which would freeze a
//! streaming query at its start. Translation therefore uses the marker [`batch_timestamp`]
//! (and derives `current_date()` and the rest from it). Before a plan runs the marker is
//! bound: to one literal for a batch query, to a cell that the query loop sets to
//! `batchTimestampMs` for a stream.

use std::{
    any::Any,
    fmt,
    hash::{Hash, Hasher},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
};

use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::{
        Result, ScalarValue, internal_err,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility, expr::ScalarFunction,
    },
};

use crate::time::Millis;

static MARKER: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(BatchTimestamp::new(None))));

/// The instant of the query or micro-batch: timestamp with time zone, never null.
///
/// It must be bound before execution; see [`bind_literal`] and [`BatchTimestampCell`].
pub fn batch_timestamp() -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&MARKER), vec![]))
}

/// Replaces each [`batch_timestamp`] of `plan`, subqueries included, by a literal.
///
/// # Errors
/// Internal ones of plan rewriting only.
pub fn bind_literal(plan: LogicalPlan, micros: i64) -> Result<LogicalPlan> {
    bind(plan, &Expr::Literal(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())), None))
}

/// Where a running query keeps `batchTimestampMs` of its current batch.
#[derive(Debug, Clone, Default)]
pub struct BatchTimestampCell(Arc<AtomicI64>);

impl BatchTimestampCell {
    /// Sets the instant; executions that start afterwards see it.
    pub fn set(&self, now: Millis) {
        self.0.store(now.as_micros(), Ordering::Release);
    }

    /// Makes each [`batch_timestamp`] of `plan` read this cell.
    ///
    /// # Errors
    /// Internal ones of plan rewriting only.
    pub fn bind(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let udf = Arc::new(ScalarUDF::new_from_impl(BatchTimestamp::new(Some(self.clone()))));
        bind(plan, &Expr::ScalarFunction(ScalarFunction::new_udf(udf, vec![])))
    }
}

fn bind(plan: LogicalPlan, value: &Expr) -> Result<LogicalPlan> {
    let bound = plan.transform_down_with_subqueries(|node| {
        let mut changed = false;
        let rewritten = node.map_expressions(|expr| {
            let rewritten = expr.transform_down(|e| {
                Ok(if is_unbound(&e) { Transformed::yes(value.clone()) } else { Transformed::no(e) })
            })?;
            changed |= rewritten.transformed;
            Ok(rewritten)
        })?;
        Ok(if changed { rewritten } else { Transformed::no(rewritten.data) })
    })?;
    // Column names of a projection may have changed with its expressions: the marker and
    // its values carry one name, so schemas stay as they were.
    Ok(bound.data)
}

fn is_unbound(expr: &Expr) -> bool {
    let Expr::ScalarFunction(call) = expr else { return false };
    (call.func.inner().as_ref() as &dyn Any)
        .downcast_ref::<BatchTimestamp>()
        .is_some_and(|t| t.cell.is_none())
}

/// The function behind the marker; volatile, so that no rule folds it.
struct BatchTimestamp {
    signature: Signature,
    cell: Option<BatchTimestampCell>,
}

impl BatchTimestamp {
    fn new(cell: Option<BatchTimestampCell>) -> Self {
        Self { signature: Signature::nullary(Volatility::Volatile), cell }
    }

    fn identity(&self) -> Option<usize> {
        self.cell.as_ref().map(|c| Arc::as_ptr(&c.0) as usize)
    }
}

impl fmt::Debug for BatchTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchTimestamp").field("bound", &self.cell.is_some()).finish()
    }
}

impl PartialEq for BatchTimestamp {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for BatchTimestamp {}

impl Hash for BatchTimestamp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl ScalarUDFImpl for BatchTimestamp {
    fn name(&self) -> &str {
        "current_timestamp"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
    }

    fn return_field_from_args(
        &self,
        _args: datafusion::logical_expr::ReturnFieldArgs,
    ) -> Result<datafusion::arrow::datatypes::FieldRef> {
        let data_type = self.return_type(&[])?;
        Ok(Arc::new(datafusion::arrow::datatypes::Field::new(self.name(), data_type, false)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(cell) = &self.cell else {
            return internal_err!("current_timestamp was executed before it was bound to a batch");
        };
        let micros = cell.0.load(Ordering::Acquire);
        Ok(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{logical_expr::LogicalPlanBuilder, prelude::lit};

    use super::*;

    fn plan() -> LogicalPlan {
        LogicalPlanBuilder::empty(true)
            .project([batch_timestamp().alias("#1"), lit(1).alias("#2")])
            .and_then(|p| p.filter(batch_timestamp().is_not_null()))
            .and_then(LogicalPlanBuilder::build)
            .unwrap()
    }

    #[test]
    fn a_literal_replaces_every_marker_and_keeps_the_schema() {
        let bound = bind_literal(plan(), 5_000_000).unwrap();
        assert_eq!(bound.schema(), plan().schema());
        assert!(
            !bound.display_indent().to_string().contains("current_timestamp"),
            "{}",
            bound.display_indent()
        );
    }

    #[test]
    fn binding_a_cell_leaves_no_marker_and_cells_differ() {
        let (one, two) = (BatchTimestampCell::default(), BatchTimestampCell::default());
        assert_eq!(one.bind(plan()).unwrap(), one.bind(plan()).unwrap());
        assert_ne!(one.bind(plan()).unwrap(), two.bind(plan()).unwrap());
        assert_ne!(one.bind(plan()).unwrap(), plan());
    }
}
