//! Comparisons, IN, and the logical operators: DataFusion's own expressions over operands
//! of one type.
//!
//! Arrow orders floats totally, so `-0.0 < 0.0` and NaNs differ by their bits. Spark has
//! one zero and one NaN, the greatest value. Float operands are therefore normalised
//! first; everything else compares as it is.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray},
        datatypes::{DataType, Float32Type, Float64Type},
    },
    common::ScalarValue,
    logical_expr::{BinaryExpr, Expr, Operator, expr::InList},
};
use millstream_engine::{Result, SparkError};

use super::{TypedExpr, cast::implicit_cast, coercion};
use crate::{
    SessionConf,
    functions::{Args, Evaluation, Mode, kernel_call},
    types,
};

/// `left op right` for `= < <= > >= <=>`; `symbol` is how Spark writes it.
///
/// # Errors
/// `DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES`, `DATATYPE_MISMATCH.INVALID_ORDERING_TYPE`.
pub(crate) fn compare(
    op: Operator,
    symbol: &str,
    left: TypedExpr,
    right: TypedExpr,
    conf: &SessionConf,
) -> Result<TypedExpr> {
    let sql = format!("({} {symbol} {})", left.sql, right.sql);
    let (left, right) = boolean_equality(op, left, right, conf)?;
    let (left, right) = common_operands(left, right, &sql, symbol, conf)?;
    let nullable = op != Operator::IsNotDistinctFrom && (left.nullable() || right.nullable());
    let expr = binary(op, normalized(&left, conf), normalized(&right, conf));
    Ok(TypedExpr::new(expr, DataType::Boolean, nullable, sql))
}

/// Outside ANSI mode a boolean equals a number as 0 or 1.
fn boolean_equality(
    op: Operator,
    left: TypedExpr,
    right: TypedExpr,
    conf: &SessionConf,
) -> Result<(TypedExpr, TypedExpr)> {
    if conf.ansi || !matches!(op, Operator::Eq | Operator::IsNotDistinctFrom) {
        return Ok((left, right));
    }
    match (left.data_type().clone(), right.data_type().clone()) {
        (DataType::Boolean, t) if coercion::is_numeric(&t) => Ok((implicit_cast(left, &t, conf)?, right)),
        (t, DataType::Boolean) if coercion::is_numeric(&t) => {
            let right = implicit_cast(right, &t, conf)?;
            Ok((left, right))
        }
        _ => Ok((left, right)),
    }
}

fn common_operands(
    left: TypedExpr,
    right: TypedExpr,
    sql: &str,
    symbol: &str,
    conf: &SessionConf,
) -> Result<(TypedExpr, TypedExpr)> {
    let quoted = |e: &TypedExpr| format!("\"{}\"", types::sql_name(e.data_type()));
    let Some(to) = coercion::comparison(left.data_type(), right.data_type(), conf.ansi) else {
        return Err(SparkError::new("DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("left", quoted(&left))
            .with("right", quoted(&right)));
    };
    if contains_map(&to) {
        return Err(SparkError::new("DATATYPE_MISMATCH.INVALID_ORDERING_TYPE")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("functionName", format!("`{symbol}`"))
            .with("dataType", quoted(&left)));
    }
    Ok((implicit_cast(left, &to, conf)?, implicit_cast(right, &to, conf)?))
}

fn contains_map(t: &DataType) -> bool {
    match t {
        DataType::Map(..) => true,
        DataType::List(f) => contains_map(f.data_type()),
        DataType::Struct(fs) => fs.iter().any(|f| contains_map(f.data_type())),
        _ => false,
    }
}

/// `(NOT child)`.
///
/// # Errors
/// `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE`.
pub(crate) fn not(child: TypedExpr, conf: &SessionConf) -> Result<TypedExpr> {
    let sql = format!("(NOT {})", child.sql);
    let child = boolean(child, &sql, "first", conf)?;
    let nullable = child.nullable();
    Ok(TypedExpr::new(Expr::Not(Box::new(child.expr)), DataType::Boolean, nullable, sql))
}

/// `(left AND right)` or `(left OR right)`.
///
/// # Errors
/// `DATATYPE_MISMATCH.BINARY_OP_*`.
pub(crate) fn logical(
    op: Operator,
    left: TypedExpr,
    right: TypedExpr,
    conf: &SessionConf,
) -> Result<TypedExpr> {
    let symbol = if op == Operator::And { "AND" } else { "OR" };
    let sql = format!("({} {symbol} {})", left.sql, right.sql);
    let fits = |e: &TypedExpr| {
        matches!(e.data_type(), DataType::Boolean | DataType::Null)
            || (*e.data_type() == DataType::Utf8 && conf.ansi)
    };
    if !fits(&left)
        || !fits(&right)
        || (*left.data_type() == DataType::Utf8 && *right.data_type() == DataType::Utf8)
    {
        let quoted = |e: &TypedExpr| format!("\"{}\"", types::sql_name(e.data_type()));
        let same = coercion::same_type(left.data_type(), right.data_type());
        let class = if same {
            "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE"
        } else {
            "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES"
        };
        return Err(SparkError::new(class)
            .with("sqlExpr", format!("\"{sql}\""))
            .with("left", quoted(&left))
            .with("right", quoted(&right))
            .with("inputType", "\"BOOLEAN\"")
            .with("actualDataType", quoted(&left)));
    }
    let left = implicit_cast(left, &DataType::Boolean, conf)?;
    let right = implicit_cast(right, &DataType::Boolean, conf)?;
    let nullable = left.nullable() || right.nullable();
    Ok(TypedExpr::new(binary(op, left.expr, right.expr), DataType::Boolean, nullable, sql))
}

/// A condition: boolean, or a string under ANSI, or null.
///
/// # Errors
/// `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE` naming parameter `index` of `sql`.
pub(crate) fn boolean(child: TypedExpr, sql: &str, index: &str, conf: &SessionConf) -> Result<TypedExpr> {
    match child.data_type() {
        DataType::Boolean => Ok(child),
        DataType::Null => implicit_cast(child, &DataType::Boolean, conf),
        DataType::Utf8 if conf.ansi => implicit_cast(child, &DataType::Boolean, conf),
        other => Err(SparkError::new("DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("paramIndex", index)
            .with("requiredType", "\"BOOLEAN\"")
            .with("inputSql", format!("\"{}\"", child.sql))
            .with("inputType", format!("\"{}\"", types::sql_name(other)))),
    }
}

/// `(value IN (list))`.
///
/// # Errors
/// `DATATYPE_MISMATCH.DATA_DIFF_TYPES`.
pub(crate) fn in_list(value: TypedExpr, list: Vec<TypedExpr>, conf: &SessionConf) -> Result<TypedExpr> {
    let shown: Vec<&str> = list.iter().map(|e| e.sql.as_str()).collect();
    let sql = format!("({} IN ({}))", value.sql, shown.join(", "));
    let all: Vec<&DataType> = std::iter::once(&value).chain(&list).map(TypedExpr::data_type).collect();
    let common = if all.windows(2).all(|pair| pair[0] == pair[1]) {
        all.first().map(|t| (*t).clone())
    } else {
        coercion::wider_of_all(all.iter().copied(), conf.ansi)
    };
    let Some(to) = common else {
        let types: Vec<String> = all.iter().map(|t| format!("\"{}\"", types::sql_name(t))).collect();
        return Err(SparkError::new("DATATYPE_MISMATCH.DATA_DIFF_TYPES")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("functionName", "`in`")
            .with("dataType", format!("[{}]", types.join(", "))));
    };
    let value = implicit_cast(value, &to, conf)?;
    let list = list.into_iter().map(|e| implicit_cast(e, &to, conf)).collect::<Result<Vec<_>>>()?;
    let nullable = value.nullable() || list.iter().any(TypedExpr::nullable);
    if list.is_empty() {
        // `IN ()` is false; outside ANSI mode null stays null.
        if conf.ansi {
            let expr = Expr::Literal(ScalarValue::Boolean(Some(false)), None);
            return Ok(TypedExpr::new(expr, DataType::Boolean, nullable, sql));
        }
        let expr = binary(
            Operator::And,
            Expr::IsNull(Box::new(value.expr)),
            Expr::Literal(ScalarValue::Boolean(None), None),
        );
        return Ok(TypedExpr::new(expr, DataType::Boolean, nullable, sql));
    }
    let list = list.iter().map(|e| normalized(e, conf)).collect();
    let expr = Expr::InList(InList::new(Box::new(normalized(&value, conf)), list, false));
    Ok(TypedExpr::new(expr, DataType::Boolean, nullable, sql))
}

/// A DataFusion operator over two expressions.
pub(crate) fn binary(op: Operator, left: Expr, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// `child` with one zero and one NaN, so that Arrow's total order is Spark's.
pub(crate) fn normalized(child: &TypedExpr, conf: &SessionConf) -> Expr {
    let t = child.data_type();
    if !coercion::is_float(t) {
        return child.expr.clone();
    }
    match child.literal() {
        Some(ScalarValue::Float64(Some(v))) => {
            let v = if v.is_nan() { f64::NAN } else { v + 0.0 };
            Expr::Literal(ScalarValue::Float64(Some(v)), None)
        }
        Some(ScalarValue::Float32(Some(v))) => {
            let v = if v.is_nan() { f32::NAN } else { v + 0.0 };
            Expr::Literal(ScalarValue::Float32(Some(v)), None)
        }
        Some(_) => child.expr.clone(),
        None => {
            // One function whatever the session's mode, so that equal keys stay equal.
            let evaluation = Evaluation::of(conf).with_mode(Mode::Ansi);
            kernel_call(
                "normalize_float",
                normalize,
                vec![child.expr.clone()],
                t.clone(),
                child.nullable(),
                evaluation,
            )
        }
    }
}

fn normalize(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    Ok(match array.data_type() {
        DataType::Float32 => Arc::new(
            array
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v + 0.0 }),
        ),
        DataType::Float64 => Arc::new(
            array
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v + 0.0 }),
        ),
        _ => array,
    })
}
