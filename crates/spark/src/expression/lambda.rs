//! Higher-order functions: `transform`, `filter`, `exists`, `forall`, `aggregate`.
//!
//! A lambda's body is an expression over its variables and the columns it uses from
//! outside. It is evaluated once over all elements of a batch, the outside columns
//! repeated beside them.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Int32Array, ListArray, RecordBatch,
            UInt64Array,
        },
        buffer::OffsetBuffer,
        compute::{concat, take},
        datatypes::{DataType, Field, FieldRef, Schema},
    },
    common::{Column, DFSchema, Result as DataFusionResult},
    execution::context::ExecutionProps,
    logical_expr::{
        ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility, expr::ScalarFunction, physical_planning_context::PhysicalPlanningContext,
    },
    physical_expr::create_physical_expr,
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{self as proto, expression::ExprType};

use super::{TypedExpr, cast::implicit_cast, coercion, comparison, resolver::Resolver};
use crate::{functions::unexpected_input, types};

/// The functions that take lambdas.
const HIGHER_ORDER: &[&str] = &["aggregate", "exists", "filter", "forall", "reduce", "transform"];

/// The variables of one lambda, and the lambdas around it.
pub(crate) struct Variables<'a> {
    bound: Vec<(String, TypedExpr)>,
    outer: Option<&'a Variables<'a>>,
}

impl Variables<'_> {
    fn find(&self, name: &str) -> Option<&TypedExpr> {
        let own = self.bound.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, e)| e);
        own.or_else(|| self.outer?.find(name))
    }

    fn depth(&self) -> usize {
        1 + self.outer.map_or(0, Variables::depth)
    }
}

/// The variable `parts` names, if it is one; further parts are struct fields.
pub(super) fn lookup(resolver: &Resolver, parts: &[String]) -> Result<Option<TypedExpr>> {
    let (Some(variables), Some((first, fields))) = (resolver.variables, parts.split_first()) else {
        return Ok(None);
    };
    let Some(found) = variables.find(first) else { return Ok(None) };
    let mut out = found.clone();
    for name in fields {
        out = super::extract::extract(out, super::literal::string(name), resolver.conf)?;
    }
    Ok(Some(out))
}

/// An explicit lambda variable.
pub(super) fn variable(resolver: &Resolver, parts: &[String]) -> Result<TypedExpr> {
    lookup(resolver, parts)?.ok_or_else(|| {
        SparkError::new("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION")
            .with("objectName", format!("`{}`", parts.join("`.`")))
    })
}

/// A resolved lambda: its body over columns named like its variables.
struct Lambda {
    body: TypedExpr,
    variables: Vec<FieldRef>,
    sql: String,
}

/// Resolves a lambda whose variables have the given types; it may name fewer.
fn lambda(resolver: &Resolver, expression: &proto::Expression, given: &[(DataType, bool)]) -> Result<Lambda> {
    let Some(ExprType::LambdaFunction(function)) = &expression.expr_type else {
        return Err(SparkError::unsupported("a higher-order function without a lambda"));
    };
    if function.arguments.len() > given.len() || function.arguments.is_empty() {
        return Err(SparkError::new("INVALID_LAMBDA_FUNCTION_CALL.NUM_ARGS_MISMATCH")
            .with("expectedNumArgs", function.arguments.len().to_string())
            .with("actualNumArgs", given.len().to_string()));
    }
    let depth = resolver.variables.map_or(0, Variables::depth);
    let mut bound = Vec::new();
    let mut fields = Vec::new();
    for (i, (argument, (t, nullable))) in function.arguments.iter().zip(given).enumerate() {
        let name = argument.name_parts.join(".");
        // Unique among the lambdas around it.
        let field = Arc::new(Field::new(format!("lambda.{depth}.{i}"), t.clone(), *nullable));
        let column = Expr::Column(Column::new_unqualified(field.name().clone()));
        let mut variable = TypedExpr::attribute(column, Arc::clone(&field), name.clone());
        variable.sql = "namedlambdavariable()".to_string();
        bound.push((name, variable));
        fields.push(field);
    }
    let marks = vec!["namedlambdavariable()"; fields.len()].join(", ");
    let variables = Variables { bound, outer: resolver.variables };
    let inner = Resolver { variables: Some(&variables), ..*resolver };
    let body = inner.child(function.function.as_deref())?;
    let sql = format!("lambdafunction({}, {marks})", body.sql);
    Ok(Lambda { body, variables: fields, sql })
}

/// A call of a higher-order function.
pub(super) fn call(resolver: &Resolver, name: &str, arguments: &[proto::Expression]) -> Result<TypedExpr> {
    if !HIGHER_ORDER.contains(&name) {
        return Err(SparkError::unsupported(format!("the higher-order function `{name}`")));
    }
    let Some((first, rest)) = arguments.split_first() else {
        return Err(SparkError::internal("a lambda alone"));
    };
    let list = resolver.resolve(first)?;
    let DataType::List(element) = list.data_type().clone() else {
        return Err(unexpected_input(&format!("{name}({})", list.sql), 0, "\"ARRAY\"", &list));
    };
    let item = (element.data_type().clone(), element.is_nullable());
    if matches!(name, "aggregate" | "reduce") {
        return aggregate(resolver, name, list, item, rest);
    }
    let [function] = rest else {
        return Err(SparkError::unsupported(format!("these arguments of `{name}`")));
    };
    let index = (DataType::Int32, false);
    let single = matches!(name, "exists" | "forall");
    let given = if single { vec![item.clone()] } else { vec![item.clone(), index] };
    let lambda = lambda(resolver, function, &given)?;
    let sql = format!("{name}({}, {})", list.sql, lambda.sql);
    let (kind, body, t, nullable) = match name {
        "transform" => {
            let t = types::list_of(lambda.body.data_type().clone(), lambda.body.nullable());
            (Kind::Transform, lambda.body, t, list.nullable())
        }
        "filter" => {
            let body = comparison::boolean(lambda.body, &sql, "second", resolver.conf)?;
            (Kind::Filter, body, list.data_type().clone(), list.nullable())
        }
        name => {
            let body = comparison::boolean(lambda.body, &sql, "second", resolver.conf)?;
            let nullable = list.nullable() || body.nullable();
            (if name == "exists" { Kind::Exists } else { Kind::ForAll }, body, DataType::Boolean, nullable)
        }
    };
    let expr = higher_order(kind, vec![list.expr], vec![(body.expr, lambda.variables)], t.clone(), nullable);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// `aggregate(array, start, merge, [finish])`.
fn aggregate(
    resolver: &Resolver,
    name: &str,
    list: TypedExpr,
    item: (DataType, bool),
    rest: &[proto::Expression],
) -> Result<TypedExpr> {
    let (start, merge, finish) = match rest {
        [start, merge] => (start, merge, None),
        [start, merge, finish] => (start, merge, Some(finish)),
        _ => return Err(SparkError::unsupported(format!("these arguments of `{name}`"))),
    };
    let start = resolver.resolve(start)?;
    let state = (start.data_type().clone(), true);
    let merge = lambda(resolver, merge, &[state.clone(), item])?;
    if !coercion::same_type(merge.body.data_type(), start.data_type()) {
        let sql = format!("{name}({}, {}, {})", list.sql, start.sql, merge.sql);
        return Err(unexpected_input(
            &sql,
            2,
            &format!("\"{}\"", types::sql_name(start.data_type())),
            &merge.body,
        ));
    }
    let merged = implicit_cast(merge.body, start.data_type(), resolver.conf)?;
    let mut bodies = vec![(merged.expr, merge.variables)];
    let (t, finish_sql) = match finish {
        Some(finish) => {
            let finish = lambda(resolver, finish, &[state])?;
            let t = finish.body.data_type().clone();
            bodies.push((finish.body.expr, finish.variables));
            (t, finish.sql)
        }
        None => (
            start.data_type().clone(),
            "lambdafunction(namedlambdavariable(), namedlambdavariable())".to_string(),
        ),
    };
    let sql = format!("{name}({}, {}, {}, {finish_sql})", list.sql, start.sql, merge.sql);
    let expr = higher_order(Kind::Aggregate, vec![list.expr, start.expr], bodies, t.clone(), true);
    Ok(TypedExpr::new(expr, t, true, sql))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Transform,
    Filter,
    Exists,
    ForAll,
    Aggregate,
}

/// The DataFusion function: its arguments are the array (and start), then every column the
/// bodies use from outside, so that planning sees them.
fn higher_order(
    kind: Kind,
    mut args: Vec<Expr>,
    bodies: Vec<(Expr, Vec<FieldRef>)>,
    t: DataType,
    nullable: bool,
) -> Expr {
    let own: BTreeSet<&str> =
        bodies.iter().flat_map(|(_, vs)| vs.iter().map(|v| v.name().as_str())).collect();
    let used: BTreeSet<String> = bodies
        .iter()
        .flat_map(|(body, _)| body.column_refs().into_iter().map(|c| c.name.clone()).collect::<Vec<_>>())
        .filter(|name| !own.contains(name.as_str()))
        .collect();
    let captured: Vec<String> = used.into_iter().collect();
    args.extend(captured.iter().map(|name| Expr::Column(Column::new_unqualified(name.clone()))));
    let function = HigherOrder {
        kind,
        bodies,
        captured,
        field: Arc::new(Field::new("", t, nullable)),
        signature: Signature::user_defined(Volatility::Immutable),
    };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), args))
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
        match self.kind {
            Kind::Transform => "transform",
            Kind::Filter => "filter",
            Kind::Exists => "exists",
            Kind::ForAll => "forall",
            Kind::Aggregate => "aggregate",
        }
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
        Ok(ColumnarValue::Array(self.evaluate(&columns)?))
    }
}

impl HigherOrder {
    fn evaluate(&self, columns: &[ArrayRef]) -> Result<ArrayRef> {
        let Some(first) = columns.first() else { return Err(SparkError::internal("a lambda without array")) };
        let list = first.as_list::<i32>();
        if self.kind == Kind::Aggregate {
            return self.fold(list, columns);
        }
        // All elements of valid rows, with their row and position.
        let (mut picks, mut rows, mut positions, mut lengths) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in 0..list.len() {
            let range = if list.is_valid(row) { span(list, row) } else { 0..0 };
            lengths.push(range.len());
            for (position, i) in range.enumerate() {
                picks.push(i as u64);
                rows.push(row as u64);
                positions.push(i32::try_from(position).unwrap_or(i32::MAX));
            }
        }
        let items = take(list.values(), &UInt64Array::from(picks), None)?;
        let result = self.run(
            0,
            &[items.clone(), Arc::new(Int32Array::from(positions))],
            columns.get(1..),
            &rows.into(),
        )?;
        match self.kind {
            Kind::Transform => {
                let DataType::List(field) = self.field.data_type() else {
                    return Err(SparkError::internal("transform"));
                };
                let offsets = OffsetBuffer::from_lengths(lengths);
                Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, result, list.nulls().cloned())?))
            }
            Kind::Filter => {
                let keep = result.as_boolean();
                let DataType::List(field) = self.field.data_type() else {
                    return Err(SparkError::internal("filter"));
                };
                let mut start = 0;
                let kept = lengths.iter().map(|length| {
                    let count =
                        (start..start + length).filter(|i| keep.is_valid(*i) && keep.value(*i)).count();
                    start += length;
                    count
                });
                let offsets = OffsetBuffer::from_lengths(kept.collect::<Vec<_>>());
                let values = datafusion::arrow::compute::filter(&items, keep)?;
                Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, list.nulls().cloned())?))
            }
            kind => Ok(Arc::new(quantify(kind == Kind::Exists, list, &lengths, result.as_boolean()))),
        }
    }

    /// Evaluates body `which` over its variables and the captured columns at `rows`.
    fn run(
        &self,
        which: usize,
        variables: &[ArrayRef],
        captured: Option<&[ArrayRef]>,
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
        for (name, column) in self.captured.iter().zip(captured.unwrap_or_default()) {
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

    /// Folds element by element, all rows at once.
    fn fold(&self, list: &ListArray, columns: &[ArrayRef]) -> Result<ArrayRef> {
        let Some(start) = columns.get(1) else {
            return Err(SparkError::internal("an aggregate without start"));
        };
        let captured = columns.get(2..);
        let mut state = Arc::clone(start);
        let longest =
            (0..list.len()).filter(|row| list.is_valid(*row)).map(|row| span(list, row).len()).max();
        for k in 0..longest.unwrap_or(0) {
            let rows: Vec<usize> =
                (0..list.len()).filter(|row| list.is_valid(*row) && span(list, *row).len() > k).collect();
            let picks: UInt64Array = rows.iter().map(|row| (span(list, *row).start + k) as u64).collect();
            let at: UInt64Array = rows.iter().map(|row| *row as u64).collect();
            let merged =
                self.run(0, &[take(&state, &at, None)?, take(list.values(), &picks, None)?], captured, &at)?;
            // The merged states in place of the old ones.
            let both = concat(&[state.as_ref(), merged.as_ref()])?;
            let mut order: Vec<u64> = (0..list.len() as u64).collect();
            for (i, row) in rows.iter().enumerate() {
                if let Some(slot) = order.get_mut(*row) {
                    *slot = (list.len() + i) as u64;
                }
            }
            state = take(&both, &UInt64Array::from(order), None)?;
        }
        if self.bodies.len() > 1 {
            state = self.run(1, &[state], captured, &(0..list.len() as u64).collect())?;
        }
        // A null array gives null.
        let order: UInt64Array =
            (0..list.len()).map(|row| list.is_valid(row).then_some(row as u64)).collect();
        Ok(take(&state, &order, None)?)
    }
}

fn span(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = list.value_offsets();
    usize::try_from(offsets[row]).unwrap_or(0)..usize::try_from(offsets[row + 1]).unwrap_or(0)
}

/// `exists` and `forall` with three values: decided by one element, else null if any is.
fn quantify(exists: bool, list: &ListArray, lengths: &[usize], results: &BooleanArray) -> BooleanArray {
    let mut out = BooleanBuilder::with_capacity(lengths.len());
    let mut start = 0;
    for (row, length) in lengths.iter().enumerate() {
        let mut range = start..start + length;
        start += length;
        let unknown = range.clone().any(|i| results.is_null(i));
        let decided = range.any(|i| results.is_valid(i) && results.value(i) == exists);
        if list.is_null(row) || (!decided && unknown) {
            out.append_null();
        } else {
            out.append_value(decided == exists);
        }
    }
    out.finish()
}
