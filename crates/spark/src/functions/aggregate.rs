//! Aggregate functions: names and arguments; the aggregates themselves are the engine's.

use datafusion::{
    common::ScalarValue,
    logical_expr::{Expr, expr::AggregateFunction},
};
use millstream_engine::{
    Result, SparkError,
    operators::aggregate::{AggregateOptions, argument_types, names, return_type, udaf},
};

use super::{Call, Function, MANY, custom, exprs};
use crate::{
    expression::{TypedExpr, implicit_cast},
    types,
};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(
        &[
            "any",
            "any_value",
            "approx_count_distinct",
            "array_agg",
            "avg",
            "bit_and",
            "bit_or",
            "bit_xor",
            "bool_and",
            "bool_or",
            "collect_list",
            "collect_set",
            "corr",
            "count",
            "count_if",
            "covar_pop",
            "covar_samp",
            "every",
            "first",
            "first_value",
            "kurtosis",
            "last",
            "last_value",
            "max",
            "max_by",
            "mean",
            "median",
            "min",
            "min_by",
            "mode",
            "skewness",
            "some",
            "std",
            "stddev",
            "stddev_pop",
            "stddev_samp",
            "sum",
            "try_avg",
            "try_sum",
            "var_pop",
            "var_samp",
            "variance",
        ],
        0,
        MANY,
        aggregate,
    ),
    custom(&["product"], 1, 1, |_| Err(SparkError::unsupported("the function `product`"))),
];

fn aggregate(mut call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let mut options =
        AggregateOptions { ansi: conf.ansi, distinct: call.distinct, ..AggregateOptions::default() };
    let shown = match call.name {
        "mean" => "avg",
        "array_agg" => "collect_list",
        name => name,
    };
    // The last argument of these steers the function and is no input.
    match call.name {
        "first" | "first_value" | "last" | "last_value" | "any_value" if call.args.len() == 2 => {
            let flag = call.args.pop();
            options.ignore_nulls = match flag.as_ref().and_then(TypedExpr::literal) {
                Some(ScalarValue::Boolean(Some(flag))) => *flag,
                _ => {
                    return Err(SparkError::new("NON_FOLDABLE_ARGUMENT")
                        .with("funcName", format!("`{shown}`"))
                        .with("paramName", "`ignoreNulls`")
                        .with("paramType", "\"BOOLEAN\""));
                }
            };
        }
        "approx_count_distinct" if call.args.len() == 2 => {
            let deviation = call.args.pop();
            options.relative_sd = match deviation.as_ref().and_then(TypedExpr::literal) {
                Some(ScalarValue::Float64(Some(v))) => Some(*v),
                Some(ScalarValue::Decimal128(Some(v), _, s)) => Some(*v as f64 / 10f64.powi(i32::from(*s))),
                _ => {
                    return Err(SparkError::new("NON_FOLDABLE_ARGUMENT")
                        .with("funcName", "`approx_count_distinct`")
                        .with("paramName", "`relativeSD`")
                        .with("paramType", "\"DOUBLE\""));
                }
            };
        }
        _ => {}
    }
    if !names().any(|known| known == shown) {
        return Err(SparkError::unsupported(format!("the aggregate function `{shown}`")));
    }
    let args: Vec<&str> = call.args.iter().map(|arg| arg.sql.as_str()).collect();
    let distinct = if call.distinct { "DISTINCT " } else { "" };
    let sql = format!("{shown}({distinct}{})", args.join(", "));
    let given: Vec<_> = call.args.iter().map(|arg| arg.data_type().clone()).collect();
    let described = |error: SparkError| describe(error, &sql, &call.args);
    let inputs = argument_types(shown, &given).map_err(described)?;
    let (data_type, nullable) = return_type(shown, &given, conf.ansi).map_err(described)?;
    let function = udaf(shown, options)?;
    let args = call
        .args
        .into_iter()
        .zip(&inputs)
        .map(|(arg, to)| implicit_cast(arg, to, conf))
        .collect::<Result<Vec<_>>>()?;
    let expr = Expr::AggregateFunction(AggregateFunction::new_udf(
        function,
        exprs(&args),
        false,
        None,
        vec![],
        None,
    ));
    Ok(TypedExpr::new(expr, data_type, nullable, sql))
}

/// Adds what only translation knows to a typing error.
fn describe(error: SparkError, sql: &str, args: &[TypedExpr]) -> SparkError {
    if !error.class().starts_with("DATATYPE_MISMATCH") {
        return error;
    }
    let index = match error.params().get("paramIndex").map(String::as_str) {
        Some("second") => 1,
        _ => 0,
    };
    let error = error.with("sqlExpr", format!("\"{sql}\""));
    match args.get(index) {
        Some(arg) => error
            .with("inputSql", format!("\"{}\"", arg.sql))
            .with("inputType", format!("\"{}\"", types::sql_name(arg.data_type()))),
        None => error,
    }
}
