//! Spark's casts: which exist, what they are named, and the column-wise conversion.
//!
//! Three modes: ANSI (bad values are errors), legacy (null, or wrapping between
//! integers), try (null).

pub(crate) mod datetime;
mod nested;
pub(crate) mod number;
mod rules;
pub(crate) mod text;

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, new_null_array},
        datatypes::DataType,
    },
    common::ScalarValue,
    logical_expr::Expr,
};
use millstream_engine::{
    Result, SparkError,
    format::value_text::{TextStyle, to_text},
};

pub(crate) use rules::force_nullable;

use super::{TypedExpr, coercion::same_type, literal};
use crate::{
    SessionConf,
    functions::{Args, Evaluation, Mode, SessionZone, kernel_call},
    types,
};

/// The mode of casts that do not name one.
pub(crate) fn session_mode(conf: &SessionConf) -> Mode {
    if conf.ansi { Mode::Ansi } else { Mode::Legacy }
}

/// A cast the user wrote: it shows in names of larger expressions.
///
/// # Errors
/// `DATATYPE_MISMATCH.CAST_*` when Spark has no such cast in this mode.
pub(crate) fn explicit_cast(
    child: TypedExpr,
    to: &DataType,
    mode: Mode,
    conf: &SessionConf,
) -> Result<TypedExpr> {
    let verb = if mode == Mode::Try { "TRY_CAST" } else { "CAST" };
    let nested = |t: &DataType| matches!(t, DataType::List(_) | DataType::Map(..) | DataType::Struct(_));
    // Spark forgets that the user wrote a cast between two nested types.
    let sql = if nested(child.data_type()) && nested(to) && !child.named {
        child.sql.clone()
    } else {
        format!("{verb}({} AS {})", child.sql, types::sql_name(to))
    };
    let name = if child.named { child.name.clone() } else { sql.clone() };
    let cast = convert(child, to, mode, conf, &sql)?;
    Ok(TypedExpr { sql, name, named: false, ..cast })
}

/// A cast Spark inserts: names do not show it.
///
/// # Errors
/// As [`explicit_cast`].
pub(crate) fn implicit_cast(child: TypedExpr, to: &DataType, conf: &SessionConf) -> Result<TypedExpr> {
    let sql = child.sql.clone();
    convert(child, to, session_mode(conf), conf, &sql)
}

fn convert(child: TypedExpr, to: &DataType, mode: Mode, conf: &SessionConf, sql: &str) -> Result<TypedExpr> {
    let from = child.data_type().clone();
    if from == *to {
        return Ok(child);
    }
    rules::check(&from, to, mode, sql)?;
    let nullable = child.nullable() || mode == Mode::Try || force_nullable(&from, to);
    if child.literal().is_some_and(ScalarValue::is_null) {
        return Ok(child.replaced(literal::null(to)?.expr, to.clone(), true));
    }
    let evaluation = Evaluation::of(conf).with_mode(mode);
    // A literal is converted at once, unless it fails: then the query does, when it runs.
    if let Some(value) = child.literal()
        && let Ok(array) = cast_array(&value.to_array()?, to, evaluation)
    {
        let value = ScalarValue::try_from_array(&array, 0)?;
        let nullable = nullable && (value.is_null() || mode == Mode::Try || force_nullable(&from, to));
        return Ok(child.replaced(Expr::Literal(value, None), to.clone(), nullable));
    }
    // Widening is DataFusion's own cast, which its optimiser understands.
    let expr = if rules::is_native(&from, to) {
        Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(child.expr.clone()), to.clone()))
    } else {
        kernel_call("cast", kernel, vec![child.expr.clone()], to.clone(), nullable, evaluation)
    };
    Ok(child.replaced(expr, to.clone(), nullable))
}

fn kernel(args: &Args) -> Result<ArrayRef> {
    cast_array(&args.array(0)?, args.return_type, args.evaluation)
}

/// Converts a column.
///
/// # Errors
/// In ANSI mode Spark's error for the first bad value.
pub(crate) fn cast_array(array: &ArrayRef, to: &DataType, evaluation: Evaluation) -> Result<ArrayRef> {
    let from = array.data_type();
    if from == to {
        return Ok(Arc::clone(array));
    }
    if same_type(from, to) {
        return nested::cast(array, to, evaluation);
    }
    match (from, to) {
        (DataType::Null, _) => Ok(new_null_array(to, array.len())),
        (_, DataType::Utf8) => {
            let style = TextStyle::Cast { ansi: evaluation.mode != Mode::Legacy };
            Ok(Arc::new(to_text(array, &SessionZone(evaluation.zone), style)?))
        }
        (DataType::Utf8, _) => text::cast(array, to, evaluation),
        (DataType::List(_) | DataType::Map(..) | DataType::Struct(_), _) => {
            nested::cast(array, to, evaluation)
        }
        (DataType::Date32 | DataType::Timestamp(..), _) | (_, DataType::Timestamp(..)) => {
            datetime::cast(array, to, evaluation)
        }
        _ => number::cast(array, to, evaluation),
    }
}

/// No kernel for a pair that [`rules::check`] let through: a defect.
fn missing(from: &DataType, to: &DataType) -> SparkError {
    SparkError::unsupported(format!("the cast from {} to {}", types::sql_name(from), types::sql_name(to)))
}

/// `CAST_OVERFLOW` of a value already written as SQL.
fn overflow(value: String, from: &DataType, to: &DataType) -> SparkError {
    SparkError::new("CAST_OVERFLOW")
        .with("value", value)
        .with("sourceType", format!("\"{}\"", types::sql_name(from)))
        .with("targetType", format!("\"{}\"", types::sql_name(to)))
}

/// `NUMERIC_VALUE_OUT_OF_RANGE` of a value that does not fit a decimal.
fn out_of_range(value: String, precision: u8, scale: i8) -> SparkError {
    SparkError::new("NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION")
        .with("value", value)
        .with("precision", precision.to_string())
        .with("scale", scale.to_string())
        .with("config", "\"spark.sql.ansi.enabled\"")
}
