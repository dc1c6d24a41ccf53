//! Functions of no other family.

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, NullArray},
        datatypes::DataType,
    },
    logical_expr::Expr,
};
use millstream_engine::{Result, SparkError};

use super::{Args, Call, Function, custom, kernel_call, volatile_call};
use crate::{
    expression::{Input, TypedExpr, literal},
    types,
};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["typeof"], 1, 1, type_of),
    custom(&["version"], 0, 0, version),
    custom(&["raise_error"], 1, 2, raise_error),
    custom(&["assert_true"], 1, 2, assert_true),
];

fn constant(text: &str, sql: String) -> TypedExpr {
    TypedExpr::new(literal::string(text).expr, DataType::Utf8, false, sql)
}

fn type_of(call: Call) -> Result<TypedExpr> {
    let sql = call.sql_as("typeof");
    let child = call.one()?;
    Ok(constant(&types::catalog_string(child.data_type()), sql))
}

/// Spark's version this build follows; the revision is ours.
fn version(call: Call) -> Result<TypedExpr> {
    let sql = call.sql_as("version");
    Ok(constant(concat!("4.3.0 millstream-", env!("CARGO_PKG_VERSION")), sql))
}

fn raise(args: &Args) -> Result<ArrayRef> {
    raise_at(args, 0)
}

/// Fails with the message of `row`, if there is such a row.
fn raise_at(args: &Args, row: usize) -> Result<ArrayRef> {
    if row >= args.rows {
        return Ok(std::sync::Arc::new(NullArray::new(args.rows)));
    }
    let messages = args.strings(args.len() - 1)?;
    let message = if messages.is_null(row) { "null" } else { messages.value(row) };
    Err(SparkError::new("USER_RAISED_EXCEPTION").with("errorMessage", message))
}

fn raise_error(call: Call) -> Result<TypedExpr> {
    if call.args.len() != 1 {
        return Err(SparkError::unsupported("`raise_error` with an error class"));
    }
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let child = call.one()?;
    let sql = format!("raise_error(USER_RAISED_EXCEPTION, map(errorMessage, {}))", child.sql);
    let Some(child) = Input::String.coerce(child.clone(), conf) else {
        return Err(super::unexpected_input(&sql, 0, "\"STRING\"", &child));
    };
    // Volatile, so that it fails when the query runs and not when it is planned.
    let expr = volatile_call("raise_error", raise, vec![child.expr], DataType::Null, evaluation);
    Ok(TypedExpr::new(expr, DataType::Null, true, sql))
}

fn assert_true(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let mut args = call.args.into_iter();
    let Some(condition) = args.next() else { return Err(SparkError::internal("assert_true")) };
    let default = format!("'{}' is not true!", condition.sql);
    let message = args.next().unwrap_or_else(|| literal::string(&default));
    let sql = format!("assert_true({}, {})", condition.sql, message.sql);
    let message = Input::String
        .coerce(message.clone(), conf)
        .ok_or_else(|| super::unexpected_input(&sql, 1, "\"STRING\"", &message))?;
    let condition = crate::expression::comparison::boolean(condition, &sql, "first", conf)?;
    let f = |args: &Args| -> Result<ArrayRef> {
        let held = args.booleans(0)?;
        let failing = held.iter().position(|v| v != Some(true));
        raise_at(args, failing.unwrap_or(args.rows))
    };
    let expr: Expr =
        kernel_call("assert_true", f, vec![condition.expr, message.expr], DataType::Null, true, evaluation);
    Ok(TypedExpr::new(expr, DataType::Null, true, sql))
}
