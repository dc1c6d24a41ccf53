//! Aggregate functions: names and arguments; the aggregates themselves are the engine's.

use datafusion::{
    arrow::datatypes::DataType,
    common::ScalarValue,
    logical_expr::{Expr, expr::AggregateFunction},
};
use millstream_engine::{
    Result, SparkError,
    operators::aggregate::{AggregateOptions, argument_types, names, return_type, udaf},
};

use super::{Call, Function, MANY, custom, exprs};
use crate::{
    SessionConf,
    expression::{TypedExpr, implicit_cast, literal},
    types,
};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(
        &[
            "any",
            "any_value",
            "approx_count_distinct",
            "approx_percentile",
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
            "percentile",
            "percentile_approx",
            "regr_avgx",
            "regr_avgy",
            "regr_count",
            "regr_intercept",
            "regr_r2",
            "regr_slope",
            "regr_sxx",
            "regr_sxy",
            "regr_syy",
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
    custom(&["histogram_numeric"], 2, 2, aggregate),
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
    let mut named: Option<String> = None;
    // A parameter that is shown and handed to nobody.
    let mut trailing: Option<String> = None;
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
        "mode" if call.args.len() == 2 => {
            let flag = call.args.pop();
            match flag.as_ref().and_then(TypedExpr::literal) {
                Some(ScalarValue::Boolean(Some(false))) => {}
                // The least of several is what we take in any case.
                Some(ScalarValue::Boolean(Some(true))) => {
                    named =
                        call.args.first().map(|v| format!("mode() WITHIN GROUP (ORDER BY {} DESC)", v.sql));
                }
                _ => return Err(SparkError::unsupported("`mode` with a flag that is no literal")),
            }
        }
        "percentile" | "percentile_approx" | "approx_percentile" => {
            let (last, parameter) = match shown {
                "percentile" => (1, "frequency"),
                _ => (10_000, "accuracy"),
            };
            let given = if call.args.len() == 3 { call.args.pop() } else { None };
            let given = given.unwrap_or_else(|| literal::int(last));
            let fits = match given.literal() {
                Some(ScalarValue::Int32(Some(n))) => shown != "percentile" && *n > 0 || *n == last,
                Some(ScalarValue::Int64(Some(n))) => shown != "percentile" && *n > 0,
                _ => false,
            };
            if !fits {
                return Err(SparkError::unsupported(format!("`{shown}` with the {parameter} {}", given.sql)));
            }
            trailing = Some(given.sql);
            check_percentage(shown, &call.args)?;
        }
        "histogram_numeric" => {
            let Some(given) = call.args.pop() else { return Err(SparkError::internal("no number of bins")) };
            let shown = call.args.iter().map(|value| value.sql.as_str()).chain([given.sql.as_str()]);
            let sql = format!("histogram_numeric({})", shown.collect::<Vec<_>>().join(", "));
            options.bins = Some(bins(&given, &sql, conf)?);
            trailing = Some(given.sql);
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
    let args: Vec<&str> = call.args.iter().map(|arg| arg.sql.as_str()).chain(trailing.as_deref()).collect();
    let distinct = if call.distinct { "DISTINCT " } else { "" };
    let sql = named.unwrap_or_else(|| format!("{shown}({distinct}{})", args.join(", ")));
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

/// The number of bins that the argument `given` asks for in the call shown as `sql`.
fn bins(given: &TypedExpr, sql: &str, conf: &SessionConf) -> Result<u32> {
    let mismatch = |kind: &str| {
        SparkError::new(&format!("DATATYPE_MISMATCH.{kind}")).with("sqlExpr", format!("\"{sql}\""))
    };
    match implicit_cast(given.clone(), &DataType::Int32, conf)?.literal() {
        Some(ScalarValue::Int32(Some(bins))) if *bins >= 2 => Ok(bins.unsigned_abs()),
        Some(ScalarValue::Int32(Some(bins))) => Err(mismatch("VALUE_OUT_OF_RANGE")
            .with("exprName", "nb")
            .with("valueRange", format!("[2, {}]", i32::MAX))
            .with("currentValue", bins.to_string())),
        Some(_) => Err(mismatch("UNEXPECTED_NULL").with("exprName", "nb")),
        None if given.expr.column_refs().is_empty() => {
            Err(SparkError::unsupported("`histogram_numeric` with a number of bins that is no literal"))
        }
        None => Err(mismatch("NON_FOLDABLE_INPUT")
            .with("inputName", "`nb`")
            .with("inputType", "\"INT\"")
            .with("inputExpr", format!("\"{}\"", given.sql))),
    }
}

/// Refuses a literal percentage outside of 0 to 1.
fn check_percentage(name: &str, args: &[TypedExpr]) -> Result<()> {
    let [value, percentage] = args else { return Ok(()) };
    let number = match percentage.literal() {
        Some(ScalarValue::Float64(Some(v))) => *v,
        Some(ScalarValue::Decimal128(Some(v), _, s)) => *v as f64 / 10f64.powi(i32::from(*s)),
        _ => return Ok(()),
    };
    if (0.0..=1.0).contains(&number) {
        return Ok(());
    }
    let last = if name == "percentile" { "1" } else { "10000" };
    Err(SparkError::new("DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE")
        .with("sqlExpr", format!("\"{name}({}, {}, {last})\"", value.sql, percentage.sql))
        .with("exprName", "percentage")
        .with("valueRange", "[0.0, 1.0]")
        .with("currentValue", format!("{number:?}D")))
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
