//! Choosing between values: CASE, IF, COALESCE and their relatives, GREATEST, LEAST.

use datafusion::{
    arrow::datatypes::DataType,
    logical_expr::{Case, Expr, Operator},
};
use millstream_engine::{Result, SparkError};

use super::{Call, Function, MANY, custom, ordinal};
use crate::{
    SessionConf,
    expression::{TypedExpr, coercion, comparison, implicit_cast, literal},
    types,
};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["when"], 2, MANY, when),
    custom(&["if"], 3, 3, if_),
    custom(&["coalesce"], 1, MANY, coalesce),
    custom(&["ifnull", "nvl"], 2, 2, coalesce),
    custom(&["nvl2"], 3, 3, nvl2),
    custom(&["nullif"], 2, 2, null_if),
    custom(&["nanvl"], 2, 2, nanvl),
    custom(&["zeroifnull"], 1, 1, zero_if_null),
    custom(&["nullifzero"], 1, 1, null_if_zero),
    custom(&["isnan"], 1, 1, is_nan),
    custom(&["greatest"], 2, MANY, greatest),
    custom(&["least"], 2, MANY, least),
];

/// The branches in their common type.
fn common(branches: Vec<TypedExpr>, function: &str, sql: &str, conf: &SessionConf) -> Result<Vec<TypedExpr>> {
    let all: Vec<DataType> = branches.iter().map(|b| b.data_type().clone()).collect();
    let same = all.windows(2).all(|pair| pair[0] == pair[1]);
    let to = if same { all.first().cloned() } else { coercion::wider_of_all(&all, conf.ansi) };
    let Some(to) = to else { return Err(different(&all, function, sql)) };
    branches.into_iter().map(|b| implicit_cast(b, &to, conf)).collect()
}

fn different(all: &[DataType], function: &str, sql: &str) -> SparkError {
    let shown: Vec<String> = all.iter().map(|t| format!("\"{}\"", types::sql_name(t))).collect();
    SparkError::new("DATATYPE_MISMATCH.DATA_DIFF_TYPES")
        .with("sqlExpr", format!("\"{sql}\""))
        .with("functionName", format!("`{function}`"))
        .with("dataType", format!("[{}]", shown.join(", ")))
}

fn case(branches: Vec<(Expr, Expr)>, otherwise: Option<Expr>) -> Expr {
    let branches = branches.into_iter().map(|(when, then)| (Box::new(when), Box::new(then))).collect();
    Expr::Case(Case::new(None, branches, otherwise.map(Box::new)))
}

/// `when(condition, value, condition, value, ..., [else])`.
fn when(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    let mut otherwise = None;
    let mut args = call.args.into_iter();
    while let Some(first) = args.next() {
        match args.next() {
            Some(value) => {
                conditions.push(first);
                values.push(value);
            }
            None => otherwise = Some(first),
        }
    }
    let mut sql = String::from("CASE");
    for (condition, value) in conditions.iter().zip(&values) {
        sql.push_str(&format!(" WHEN {} THEN {}", condition.sql, value.sql));
    }
    if let Some(value) = &otherwise {
        sql.push_str(&format!(" ELSE {}", value.sql));
    }
    sql.push_str(" END");
    let conditions = conditions
        .into_iter()
        .enumerate()
        .map(|(i, c)| comparison::boolean(c, &sql, &ordinal(2 * i), conf))
        .collect::<Result<Vec<_>>>()?;
    let has_else = otherwise.is_some();
    values.extend(otherwise);
    let mut values = common(values, "casewhen", &sql, conf)?;
    let data_type = values.first().map_or(DataType::Null, |v| v.data_type().clone());
    let nullable = !has_else || values.iter().any(TypedExpr::nullable);
    let otherwise = if has_else { values.pop() } else { None };
    let branches = conditions.into_iter().zip(values).map(|(c, v)| (c.expr, v.expr)).collect();
    Ok(TypedExpr::new(case(branches, otherwise.map(|e| e.expr)), data_type, nullable, sql))
}

fn if_(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let sql = format!("({})", call.sql_as("IF"));
    let mut args = call.args.into_iter();
    let (Some(condition), Some(yes), Some(no)) = (args.next(), args.next(), args.next()) else {
        return Err(SparkError::internal("if without its arguments"));
    };
    choose(condition, yes, no, sql, conf)
}

/// `IF(condition, yes, no)`, shown as `sql`.
fn choose(
    condition: TypedExpr,
    yes: TypedExpr,
    no: TypedExpr,
    sql: String,
    conf: &SessionConf,
) -> Result<TypedExpr> {
    let condition = comparison::boolean(condition, &sql, "first", conf)?;
    let mut both = common(vec![yes, no], "if", &sql, conf)?;
    let (Some(no), Some(yes)) = (both.pop(), both.pop()) else { return Err(SparkError::internal("if")) };
    let nullable = yes.nullable() || no.nullable();
    let data_type = yes.data_type().clone();
    Ok(TypedExpr::new(case(vec![(condition.expr, yes.expr)], Some(no.expr)), data_type, nullable, sql))
}

fn coalesce(call: Call) -> Result<TypedExpr> {
    let sql = call.sql_as(call.name);
    first_of(call.args, "coalesce", sql, call.resolver.conf)
}

fn first_of(args: Vec<TypedExpr>, function: &str, sql: String, conf: &SessionConf) -> Result<TypedExpr> {
    let mut args = common(args, function, &sql, conf)?;
    let nullable = args.iter().all(TypedExpr::nullable);
    let Some(last) = args.pop() else { return Err(SparkError::internal("coalesce of nothing")) };
    let data_type = last.data_type().clone();
    if args.is_empty() {
        return Ok(TypedExpr::new(last.expr, data_type, nullable, sql));
    }
    let branches =
        args.into_iter().map(|arg| (Expr::IsNotNull(Box::new(arg.expr.clone())), arg.expr)).collect();
    Ok(TypedExpr::new(case(branches, Some(last.expr)), data_type, nullable, sql))
}

fn nvl2(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let sql = call.sql_as("nvl2");
    let mut args = call.args.into_iter();
    let (Some(value), Some(yes), Some(no)) = (args.next(), args.next(), args.next()) else {
        return Err(SparkError::internal("nvl2 without its arguments"));
    };
    let condition =
        TypedExpr::new(Expr::IsNotNull(Box::new(value.expr)), DataType::Boolean, false, value.sql);
    choose(condition, yes, no, sql, conf)
}

fn null_if(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let sql = call.sql_as("nullif");
    let (value, other) = call.two()?;
    null_when_equal(value, other, sql, conf)
}

fn null_when_equal(value: TypedExpr, other: TypedExpr, sql: String, conf: &SessionConf) -> Result<TypedExpr> {
    let condition = comparison::compare(Operator::Eq, "=", value.clone(), other, conf)?;
    let null = literal::null(value.data_type())?;
    choose(condition, null, value, sql, conf)
}

fn zero_if_null(call: Call) -> Result<TypedExpr> {
    let sql = call.sql_as("zeroifnull");
    let conf = call.resolver.conf;
    let child = call.one()?;
    first_of(vec![child, literal::int(0)], "coalesce", sql, conf)
}

fn null_if_zero(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let sql = call.sql_as("nullifzero");
    null_when_equal(call.one()?, literal::int(0), sql, conf)
}

/// A float argument as float, any other number as double.
fn floating(arg: TypedExpr, sql: &str, index: usize, conf: &SessionConf) -> Result<TypedExpr> {
    match arg.data_type() {
        DataType::Float32 | DataType::Float64 => Ok(arg),
        t if coercion::is_numeric(t) || matches!(t, DataType::Utf8 | DataType::Null) => {
            implicit_cast(arg, &DataType::Float64, conf)
        }
        _ => Err(super::unexpected_input(sql, index, "(\"DOUBLE\" or \"FLOAT\")", &arg)),
    }
}

fn nanvl(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let sql = call.sql_as("nanvl");
    let (value, other) = call.two()?;
    let (value, other) = (floating(value, &sql, 0, conf)?, floating(other, &sql, 1, conf)?);
    let mut both = common(vec![value, other], "nanvl", &sql, conf)?;
    let (Some(other), Some(value)) = (both.pop(), both.pop()) else {
        return Err(SparkError::internal("nanvl"));
    };
    let nullable = value.nullable() || other.nullable();
    let data_type = value.data_type().clone();
    let test = Expr::IsTrue(Box::new(is_nan_of(value.expr.clone())));
    Ok(TypedExpr::new(case(vec![(test, other.expr)], Some(value.expr)), data_type, nullable, sql))
}

fn is_nan_of(child: Expr) -> Expr {
    datafusion::functions::math::expr_fn::isnan(child)
}

fn is_nan(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let sql = call.sql_as("isnan");
    let child = floating(call.one()?, &sql, 0, conf)?;
    // Null is no NaN.
    let expr = Expr::IsTrue(Box::new(is_nan_of(child.expr)));
    Ok(TypedExpr::new(expr, DataType::Boolean, false, sql))
}

fn greatest(call: Call) -> Result<TypedExpr> {
    extreme(call, "greatest", Operator::Gt)
}

fn least(call: Call) -> Result<TypedExpr> {
    extreme(call, "least", Operator::Lt)
}

/// The extreme value; nulls do not count, the first of equals wins.
fn extreme(call: Call, name: &str, beats: Operator) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let sql = call.sql_as(name);
    let all: Vec<DataType> = call.args.iter().map(|b| b.data_type().clone()).collect();
    let to = all.iter().try_fold(DataType::Null, |a, b| coercion::wider_without_strings(&a, b, conf.ansi));
    let Some(to) = to else { return Err(different(&all, name, &sql)) };
    let args = call.args.into_iter().map(|b| implicit_cast(b, &to, conf)).collect::<Result<Vec<_>>>()?;
    let nullable = args.iter().all(TypedExpr::nullable);
    let best = args.into_iter().reduce(|best, next| {
        let (a, b) = (comparison::normalized(&next, conf), comparison::normalized(&best, conf));
        let wins = comparison::binary(
            Operator::Or,
            Expr::IsNull(Box::new(best.expr.clone())),
            comparison::binary(beats, a, b),
        );
        let nullable = best.nullable() && next.nullable();
        let expr = case(vec![(Expr::IsTrue(Box::new(wins)), next.expr.clone())], Some(best.expr.clone()));
        TypedExpr::new(expr, to.clone(), nullable, "")
    });
    match best {
        Some(best) => Ok(TypedExpr::new(best.expr, to, nullable, sql)),
        None => Err(SparkError::internal("greatest of nothing")),
    }
}
