//! Functions of a row's place: `rand`, `randn`, `monotonically_increasing_id`, `spark_partition_id`.
//!
//! The relation computes them as columns of a node of their own (`engine::plan::Nondeterministic`),
//! so that no rewriting of expressions draws a number twice.

use datafusion::{arrow::datatypes::DataType, common::ScalarValue};
use millstream_engine::{Result, SparkError, plan::RowFunction};

use super::{Call, Function, custom, unexpected_input};
use crate::expression::TypedExpr;

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["rand", "random"], 0, 1, |call| random(call, RowFunction::Rand)).shown("rand"),
    custom(&["randn"], 0, 1, |call| random(call, RowFunction::Randn)),
    custom(&["monotonically_increasing_id"], 0, 0, |call| {
        if call.resolver.scope.is_streaming() {
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_3102").with(
                "msg",
                "Expression(s): monotonically_increasing_id() is not supported with streaming DataFrames/Datasets",
            ));
        }
        column(&call, RowFunction::MonotonicallyIncreasingId, "monotonically_increasing_id")
    }),
    custom(&["spark_partition_id"], 0, 0, |call| {
        column(&call, RowFunction::SparkPartitionId, "SPARK_PARTITION_ID")
    }),
];

fn column(call: &Call, function: RowFunction, name: &str) -> Result<TypedExpr> {
    let expr = call.resolver.scope.nondeterministic(function)?;
    Ok(TypedExpr::new(expr, function.data_type(), false, call.sql_as(name)))
}

/// A generator with the seed given, or one drawn now: once for a streaming query, as in Spark.
fn random(call: Call, function: fn(i64) -> RowFunction) -> Result<TypedExpr> {
    let name = call.name;
    let seed = match call.args.first() {
        None => call.resolver.scope.fresh_seed(),
        Some(arg) => seed(arg, &call.sql_as(name))?,
    };
    column(&call, function(seed), name)
}

fn seed(arg: &TypedExpr, sql: &str) -> Result<i64> {
    if !matches!(arg.data_type(), DataType::Int32 | DataType::Int64 | DataType::Null) {
        return Err(unexpected_input(sql, 0, "(\"INT\" or \"BIGINT\")", arg));
    }
    match arg.literal() {
        Some(ScalarValue::Int32(Some(seed))) => Ok(i64::from(*seed)),
        Some(ScalarValue::Int64(Some(seed))) => Ok(*seed),
        Some(_) => Ok(0),
        None => Err(SparkError::new("SEED_EXPRESSION_IS_UNFOLDABLE")
            .with("seedExpr", format!("\"{}\"", arg.sql))
            .with("exprWithSeed", format!("\"{sql}\""))),
    }
}
