//! Higher-order functions as DataFusion functions: the bodies of their lambdas are evaluated once
//! over all elements of a batch, the columns they use from outside repeated beside them.

mod array;
mod map;
mod sort;

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, RecordBatch, UInt64Array},
        compute::take,
        datatypes::{DataType, Field, FieldRef, Schema},
    },
    common::{
        Column, DFSchema, Result as DataFusionResult,
        tree_node::{Transformed, TreeNode},
    },
    execution::context::ExecutionProps,
    logical_expr::{
        ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility, expr::ScalarFunction, physical_planning_context::PhysicalPlanningContext,
    },
    physical_expr::create_physical_expr,
};
use millstream_engine::{Result, SparkError, plan::batch_timestamp};

/// Which function; names as Spark's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Aggregate,
    ArraySort,
    Exists,
    Filter,
    ForAll,
    MapFilter,
    MapZipWith,
    Transform,
    TransformKeys,
    TransformValues,
    ZipWith,
}

impl Kind {
    /// Its name, and how many arguments stand before the captured columns.
    fn shape(self) -> (&'static str, usize) {
        match self {
            Kind::Aggregate => ("aggregate", 2),
            Kind::ArraySort => ("array_sort", 1),
            Kind::Exists => ("exists", 1),
            Kind::Filter => ("filter", 1),
            Kind::ForAll => ("forall", 1),
            Kind::MapFilter => ("map_filter", 1),
            Kind::MapZipWith => ("map_zip_with", 2),
            Kind::Transform => ("transform", 1),
            Kind::TransformKeys => ("transform_keys", 1),
            Kind::TransformValues => ("transform_values", 1),
            Kind::ZipWith => ("zip_with", 2),
        }
    }
}

/// The name of the batch's instant inside of a body.
const NOW: &str = "lambda.now";

/// A call: its arguments are the array or map (and what else the function takes), then every
/// column the bodies use from outside, so that planning sees them. The instant of the batch is one
/// of those: planning binds it in arguments, not in bodies.
pub(super) fn higher_order(
    kind: Kind,
    mut args: Vec<Expr>,
    bodies: Vec<(Expr, Vec<FieldRef>)>,
    t: DataType,
    nullable: bool,
) -> Result<Expr> {
    let now = batch_timestamp();
    let mut captured: BTreeMap<String, Expr> = BTreeMap::new();
    let mut own = Vec::with_capacity(bodies.len());
    for (body, variables) in bodies {
        let body = body.transform(|e| {
            if e != now {
                return Ok(Transformed::no(e));
            }
            captured.insert(NOW.to_string(), e);
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(NOW))))
        })?;
        for column in body.data.column_refs() {
            if column.name != NOW && !variables.iter().any(|v| *v.name() == column.name) {
                captured.insert(column.name.clone(), Expr::Column(column.clone()));
            }
        }
        own.push((body.data, variables));
    }
    let (names, columns): (Vec<String>, Vec<Expr>) = captured.into_iter().unzip();
    args.extend(columns);
    let function = HigherOrder {
        kind,
        bodies: own,
        captured: names,
        field: Arc::new(Field::new("", t, nullable)),
        signature: Signature::user_defined(Volatility::Immutable),
    };
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), args)))
}

/// Whether `expr` calls a function with a lambda.
pub(crate) fn calls_lambda(expr: &Expr) -> bool {
    let called = |e: &Expr| Ok(matches!(e, Expr::ScalarFunction(f) if f.func.inner().is::<HigherOrder>()));
    expr.exists(called).unwrap_or(false)
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct HigherOrder {
    kind: Kind,
    bodies: Vec<(Expr, Vec<FieldRef>)>,
    captured: Vec<String>,
    field: FieldRef,
    signature: Signature,
}

impl ScalarUDFImpl for HigherOrder {
    fn name(&self) -> &str {
        self.kind.shape().0
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> DataFusionResult<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn coerce_types(&self, types: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let columns = args
            .args
            .iter()
            .map(|arg| arg.to_array(args.number_rows))
            .collect::<DataFusionResult<Vec<_>>>()?;
        let (own, captured) = columns
            .split_at_checked(self.kind.shape().1)
            .ok_or_else(|| SparkError::internal("a higher-order function without its arguments"))?;
        Ok(ColumnarValue::Array(self.evaluate(own, captured)?))
    }
}

impl HigherOrder {
    fn evaluate(&self, own: &[ArrayRef], captured: &[ArrayRef]) -> Result<ArrayRef> {
        match (self.kind, own) {
            (Kind::Aggregate, [list, start]) => self.fold(list.as_list(), start, captured),
            (Kind::ArraySort, [list]) => self.sort(list.as_list(), captured),
            (Kind::ZipWith, [left, right]) => self.zip(left.as_list(), right.as_list(), captured),
            (Kind::MapZipWith, [left, right]) => self.zip_maps(left.as_map(), right.as_map(), captured),
            (Kind::MapFilter | Kind::TransformKeys | Kind::TransformValues, [map]) => {
                self.over_map(map.as_map(), captured)
            }
            (_, [list]) => self.over_array(list.as_list(), captured),
            _ => Err(SparkError::internal("a higher-order function without its arguments")),
        }
    }

    /// Evaluates body `which` over its variables and the captured columns at `rows`.
    fn run(
        &self,
        which: usize,
        variables: &[ArrayRef],
        captured: &[ArrayRef],
        rows: &UInt64Array,
    ) -> Result<ArrayRef> {
        let Some((body, fields)) = self.bodies.get(which) else {
            return Err(SparkError::internal("a lambda's body"));
        };
        let mut schema: Vec<FieldRef> = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (field, column) in fields.iter().zip(variables) {
            schema.push(Arc::new(field.as_ref().clone().with_nullable(true)));
            columns.push(Arc::clone(column));
        }
        for (name, column) in self.captured.iter().zip(captured) {
            schema.push(Arc::new(Field::new(name, column.data_type().clone(), true)));
            columns.push(take(column, rows, None)?);
        }
        let schema = Arc::new(Schema::new(schema));
        let physical = create_physical_expr(
            body,
            &DFSchema::try_from(Arc::clone(&schema))?,
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        )?;
        let batch = RecordBatch::try_new(schema, columns)?;
        Ok(physical.evaluate(&batch)?.into_array(batch.num_rows())?)
    }

    /// The type of a list's elements in the result.
    fn element(&self) -> Result<&FieldRef> {
        match self.field.data_type() {
            DataType::List(field) => Ok(field),
            _ => Err(SparkError::internal("a list type")),
        }
    }
}

/// The elements of a row, by the offsets of its list or map.
fn span(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |i: usize| offsets.get(i).and_then(|o| usize::try_from(*o).ok()).unwrap_or_default();
    at(row)..at(row + 1)
}
