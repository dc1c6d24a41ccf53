//! Expressions: Connect's unresolved trees into typed DataFusion expressions.
//!
//! [`resolve`] walks a message ([`resolver`]), asks the [`Scope`] for columns, inserts
//! Spark's implicit casts ([`coercion`]) and hands function calls to `crate::functions`.

pub(crate) mod arithmetic;
mod attribute;
pub(crate) mod cast;
pub(crate) mod coercion;
pub(crate) mod comparison;
pub(crate) mod datetime_arithmetic;
pub(crate) mod extract;
mod higher_order;
mod lambda;
pub(crate) mod literal;
mod resolver;
mod scope;
mod typed;
mod update_fields;
mod window;

use datafusion::{arrow::datatypes::DataType, logical_expr::expr::Sort};
use millstream_engine::Result;
use spark_connect_proto as proto;

pub use attribute::parse_name;
pub use extract::{extract, field};
pub(crate) use higher_order::calls_lambda;
pub use scope::Scope;
pub use typed::TypedExpr;

pub(crate) use coercion::Input;
pub(crate) use extract::masked;
pub(crate) use resolver::Resolver;
pub(crate) use window::without_over;

use crate::SessionConf;

/// The typed expression `expression` means on `scope`.
///
/// # Errors
/// Spark's analysis errors; a star or regex that stands for several columns is one too,
/// see [`resolve_all`].
pub fn resolve(expression: &proto::Expression, scope: &dyn Scope, conf: &SessionConf) -> Result<TypedExpr> {
    Resolver::new(scope, conf).resolve(expression)
}

/// The typed expressions a select-list item stands for: one, or several for `*`, `t.*`
/// and quoted regular expressions.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_all(
    expression: &proto::Expression,
    scope: &dyn Scope,
    conf: &SessionConf,
) -> Result<Vec<TypedExpr>> {
    Resolver::new(scope, conf).resolve_all(expression)
}

/// A sort key with direction and null order. Its expression is only good for ordering:
/// floats are normalised so that zeros tie and NaN is greatest.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_sort(
    order: &proto::expression::SortOrder,
    scope: &dyn Scope,
    conf: &SessionConf,
) -> Result<Sort> {
    Resolver::new(scope, conf).sort_order(order)
}

/// A condition: `expression` as boolean (null and, under ANSI, strings are cast).
///
/// # Errors
/// As [`resolve`], and `DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN`.
pub fn resolve_condition(
    expression: &proto::Expression,
    scope: &dyn Scope,
    conf: &SessionConf,
) -> Result<TypedExpr> {
    let condition = resolve(expression, scope, conf)?;
    match condition.data_type() {
        DataType::Boolean => Ok(condition),
        DataType::Null | DataType::Utf8 => cast::implicit_cast(condition, &DataType::Boolean, conf),
        other => Err(millstream_engine::SparkError::new("DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN")
            .with("sqlExpr", format!("\"{}\"", condition.sql))
            .with("filter", format!("\"{}\"", condition.sql))
            .with("type", format!("\"{}\"", crate::types::sql_name(other)))),
    }
}

/// `child` cast to `to` as Spark casts implicitly (UNION, INSERT, `na.fill`): the name stays.
///
/// # Errors
/// `DATATYPE_MISMATCH.CAST_*`.
pub fn implicit_cast(child: TypedExpr, to: &DataType, conf: &SessionConf) -> Result<TypedExpr> {
    cast::implicit_cast(child, to, conf)
}

/// `CAST(child AS to)` in the session's mode.
///
/// # Errors
/// `DATATYPE_MISMATCH.CAST_*`.
pub fn explicit_cast(child: TypedExpr, to: &DataType, conf: &SessionConf) -> Result<TypedExpr> {
    cast::explicit_cast(child, to, cast::session_mode(conf), conf)
}

/// `left = right`, as joins and USING compare.
///
/// # Errors
/// `DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES`.
pub fn equal(left: TypedExpr, right: TypedExpr, conf: &SessionConf) -> Result<TypedExpr> {
    comparison::compare(datafusion::logical_expr::Operator::Eq, "=", left, right, conf)
}

/// The type UNION, CASE and COALESCE give two types, `None` where Spark refuses.
pub fn common_type(a: &DataType, b: &DataType, conf: &SessionConf) -> Option<DataType> {
    coercion::wider(a, b, conf.ansi)
}

/// A grouping or deduplication key: floats have one zero and one NaN, as Spark groups them.
pub fn normalized_key(key: &TypedExpr, conf: &SessionConf) -> TypedExpr {
    let expr = comparison::normalized(key, conf);
    TypedExpr { expr, ..key.clone() }
}
