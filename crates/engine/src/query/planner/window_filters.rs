//! Conditions on windows that do not overlap: Spark computes such a window in a projection, so a
//! condition on it becomes one on the time it is made of, and goes on down, into the operators
//! with state below.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, StructArray, TimestampMicrosecondArray},
        datatypes::{DataType, Fields, TimestampMicrosecondType},
    },
    common::{
        Column, Result, internal_datafusion_err,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    logical_expr::{
        ColumnarValue, Expr, ExprSchemable, Extension, Filter, LogicalPlan, ScalarFunctionArgs, ScalarUDF,
        ScalarUDFImpl, Signature, Volatility,
        utils::{conjunction, split_conjunction},
    },
};

use super::is_streaming;
use crate::{plan::TimeWindow, time::WindowSpec};

/// Moves filters right above windows that do not overlap below them, where state is below.
pub(super) fn push_below_windows(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_down(|node| {
        let LogicalPlan::Filter(filter) = &node else { return Ok(Transformed::no(node)) };
        let Some(window) = tumbling_over_state(&filter.input) else { return Ok(Transformed::no(node)) };
        let output = Column::new_unqualified(window.output());
        let (moving, staying): (Vec<&Expr>, Vec<&Expr>) = split_conjunction(&filter.predicate)
            .into_iter()
            .partition(|conjunct| !conjunct.is_volatile() && conjunct.column_refs().contains(&output));
        let below = window.input();
        let own = WindowOf::new(window.spec(), window.time().get_type(below.schema())?);
        let made = ScalarUDF::from(own).call(vec![window.time().clone()]);
        let moved = moving.into_iter().map(|conjunct| {
            let spell = |e: Expr| match &e {
                Expr::Column(column) if *column == output => Ok(Transformed::yes(made.clone())),
                _ => Ok(Transformed::no(e)),
            };
            conjunct.clone().transform_up(spell).data()
        });
        let Some(moved) = conjunction(moved.collect::<Result<Vec<_>>>()?) else {
            return Ok(Transformed::no(node));
        };
        let input = Arc::new(LogicalPlan::Filter(Filter::try_new(moved, Arc::clone(below))?));
        let windowed = TimeWindow::plan(
            Arc::unwrap_or_clone(input),
            window.time().clone(),
            window.spec(),
            window.output(),
        )?;
        Ok(Transformed::yes(match conjunction(staying.into_iter().cloned()) {
            Some(rest) => LogicalPlan::Filter(Filter::try_new(rest, Arc::new(windowed))?),
            None => windowed,
        }))
    })
    .data()
}

/// The window that `plan` computes, if a condition on it says something below.
fn tumbling_over_state(plan: &LogicalPlan) -> Option<&TimeWindow> {
    let LogicalPlan::Extension(Extension { node }) = plan else { return None };
    let window = node.as_any().downcast_ref::<TimeWindow>()?;
    (window.spec().is_tumbling() && keeps_state(window.input())).then_some(window)
}

/// Whether groups or partners are kept below.
pub(super) fn keeps_state(plan: &LogicalPlan) -> bool {
    let own = matches!(plan, LogicalPlan::Aggregate(_) | LogicalPlan::Join(_)) && is_streaming(plan);
    own || plan.inputs().into_iter().any(keeps_state)
}

/// The window that holds a time; null where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct WindowOf {
    spec: WindowSpec,
    fields: Fields,
    signature: Signature,
}

impl WindowOf {
    fn new(spec: WindowSpec, time: DataType) -> Self {
        let edge = |name: &str| datafusion::arrow::datatypes::Field::new(name, time.clone(), true);
        let fields = Fields::from(vec![edge("start"), edge("end")]);
        Self { spec, fields, signature: Signature::exact(vec![time.clone()], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for WindowOf {
    fn name(&self) -> &str {
        "window_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(self.fields.clone()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [time] = args.args.as_slice() else {
            return Err(internal_datafusion_err!("the window of {} times", args.args.len()));
        };
        let time = time.to_array(args.number_rows)?;
        let Some(times) = time.as_primitive_opt::<TimestampMicrosecondType>() else {
            return Err(internal_datafusion_err!("a window of {}", time.data_type()));
        };
        let starts: TimestampMicrosecondArray = times.unary(|at| self.spec.last_start(at));
        let ends: TimestampMicrosecondArray =
            times.unary(|at| self.spec.last_start(at).wrapping_add(self.spec.duration()));
        let edge = |edges: TimestampMicrosecondArray| -> ArrayRef {
            Arc::new(edges.with_data_type(times_type(&self.fields)))
        };
        let nulls = datafusion::arrow::array::Array::nulls(times).cloned();
        let window = StructArray::try_new(self.fields.clone(), vec![edge(starts), edge(ends)], nulls)?;
        Ok(ColumnarValue::Array(Arc::new(window)))
    }
}

fn times_type(fields: &Fields) -> DataType {
    fields.first().map_or(DataType::Null, |field| field.data_type().clone())
}
