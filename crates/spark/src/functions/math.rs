//! Mathematical functions.
//!
//! Spark differs: the last bit of transcendental functions may differ, since Java has its
//! own library of them.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray},
        compute::{binary, nullif},
        datatypes::{
            DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        },
    },
    common::ScalarValue,
};
use millstream_engine::{Result, SparkError};

use super::{
    Args, Call, Function, Kernel, Output, coerce, custom, exprs, kernel, kernel_call, unexpected_input,
};
use crate::expression::{Input, TypedExpr, arithmetic::overflow};

use Input::{Double, Int, Long};

pub(super) const FUNCTIONS: &[Function] = &[
    unary(&["sqrt"], "SQRT", |args| map(args, f64::sqrt)),
    unary(&["cbrt"], "CBRT", |args| map(args, f64::cbrt)),
    unary(&["exp"], "EXP", |args| map(args, f64::exp)),
    unary(&["expm1"], "EXPM1", |args| map(args, f64::exp_m1)),
    kernel(&["ln"], &[Double], 1, Output::Double, |args| logarithm(args, 0.0, f64::ln)).may_be_null(),
    custom(&["log"], 1, 2, log),
    unary(&["log10"], "LOG10", |args| logarithm(args, 0.0, f64::log10)).may_be_null(),
    unary(&["log2"], "LOG2", |args| logarithm(args, 0.0, f64::log2)).may_be_null(),
    unary(&["log1p"], "LOG1P", |args| logarithm(args, -1.0, f64::ln_1p)).may_be_null(),
    unary(&["sin"], "SIN", |args| map(args, f64::sin)),
    unary(&["cos"], "COS", |args| map(args, f64::cos)),
    unary(&["tan"], "TAN", |args| map(args, f64::tan)),
    unary(&["cot"], "COT", |args| map(args, |v| 1.0 / v.tan())),
    unary(&["sec"], "SEC", |args| map(args, |v| 1.0 / v.cos())),
    unary(&["csc"], "CSC", |args| map(args, |v| 1.0 / v.sin())),
    unary(&["asin"], "ASIN", |args| map(args, f64::asin)),
    unary(&["acos"], "ACOS", |args| map(args, f64::acos)),
    unary(&["atan"], "ATAN", |args| map(args, f64::atan)),
    unary(&["sinh"], "SINH", |args| map(args, f64::sinh)),
    unary(&["cosh"], "COSH", |args| map(args, f64::cosh)),
    unary(&["tanh"], "TANH", |args| map(args, f64::tanh)),
    unary(&["asinh"], "ASINH", |args| map(args, asinh)),
    unary(&["acosh"], "ACOSH", |args| map(args, acosh)),
    unary(&["atanh"], "ATANH", |args| map(args, |v| 0.5 * (v.ln_1p() - (-v).ln_1p()))),
    unary(&["degrees"], "DEGREES", |args| map(args, |v| v * (180.0 / std::f64::consts::PI))),
    unary(&["radians"], "RADIANS", |args| map(args, |v| v * (std::f64::consts::PI / 180.0))),
    unary(&["signum"], "SIGNUM", |args| map(args, signum)),
    kernel(&["sign"], &[Double], 1, Output::Double, |args| map(args, signum)),
    kernel(&["rint"], &[Double], 1, Output::Double, |args| map(args, f64::round_ties_even)),
    kernel(&["pow"], &[Double, Double], 2, Output::Double, power),
    kernel(&["power"], &[Double, Double], 2, Output::Double, power).shown("POWER"),
    kernel(&["**"], &[Double, Double], 2, Output::Double, power).shown("POWER"),
    kernel(&["atan2"], &[Double, Double], 2, Output::Double, |args| {
        map2(args, |y, x| (y + 0.0).atan2(x + 0.0))
    })
    .shown("ATAN2"),
    kernel(&["hypot"], &[Double, Double], 2, Output::Double, |args| map2(args, f64::hypot)).shown("HYPOT"),
    custom(&["e"], 0, 0, |_| constant(std::f64::consts::E, "E()")),
    custom(&["pi"], 0, 0, |_| constant(std::f64::consts::PI, "PI()")),
    custom(&["abs"], 1, 1, abs),
    kernel(&["factorial"], &[Int], 1, Output::Long, factorial).may_be_null(),
    kernel(&["width_bucket"], &[Double, Double, Double, Long], 4, Output::Long, width_bucket).may_be_null(),
];

const fn unary(names: &'static [&'static str], shown: &'static str, f: Kernel) -> Function {
    kernel(names, &[Double], 1, Output::Double, f).shown(shown)
}

fn map(args: &Args, f: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    Ok(Arc::new(args.primitives::<Float64Type>(0)?.unary::<_, Float64Type>(f)))
}

fn map2(args: &Args, f: impl Fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let (a, b) = (args.primitives::<Float64Type>(0)?, args.primitives::<Float64Type>(1)?);
    Ok(Arc::new(binary::<_, _, _, Float64Type>(&a, &b, f)?))
}

/// Null at and below `limit`.
fn logarithm(args: &Args, limit: f64, f: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    let values = args.primitives::<Float64Type>(0)?;
    let outside = values.iter().map(|v| v.map(|v| v <= limit)).collect();
    Ok(nullif(&values.unary::<_, Float64Type>(f), &outside)?)
}

/// `Math.signum`: a zero keeps its sign.
fn signum(v: f64) -> f64 {
    if v == 0.0 || v.is_nan() { v } else { v.signum() }
}

fn asinh(v: f64) -> f64 {
    // Beyond 2^28 the square would overflow and the one does not count.
    if v.abs() > 268_435_456.0 && v.is_finite() {
        (v.abs().ln() + std::f64::consts::LN_2).copysign(v)
    } else {
        v.asinh()
    }
}

fn acosh(v: f64) -> f64 {
    if v > 268_435_456.0 {
        v.ln() + std::f64::consts::LN_2
    } else if v < 1.0 {
        f64::NAN
    } else {
        v.acosh()
    }
}

/// `Math.pow`; the common exponents without the general algorithm.
fn power(args: &Args) -> Result<ArrayRef> {
    if let Some(ScalarValue::Float64(Some(exponent))) = args.scalar(1) {
        let exponent = *exponent;
        if exponent == 2.0 {
            return map(args, |v| v * v);
        }
        if exponent == 1.0 {
            return args.array(0);
        }
        if exponent == 0.5 {
            // pow(-inf, 0.5) is inf, and pow(-0.0, 0.5) is 0.0.
            return map(args, |v| if v == f64::NEG_INFINITY { f64::INFINITY } else { (v + 0.0).sqrt() });
        }
        return map(args, |v| java_pow(v, exponent));
    }
    map2(args, java_pow)
}

/// C answers 1 for `pow(1, NaN)` and `pow(-1, inf)`, Java NaN.
fn java_pow(base: f64, exponent: f64) -> f64 {
    if (exponent.is_nan() && exponent != 0.0) || (base.abs() == 1.0 && exponent.is_infinite()) {
        return f64::NAN;
    }
    base.powf(exponent)
}

fn constant(value: f64, name: &str) -> Result<TypedExpr> {
    let expr = datafusion::logical_expr::Expr::Literal(ScalarValue::Float64(Some(value)), None);
    Ok(TypedExpr::new(expr, DataType::Float64, false, name))
}

/// `log(x)` is `ln(x)`; `log(base, x)`.
fn log(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let evaluation = call.evaluation();
    let sql = call.sql_as(if call.args.len() == 1 { "ln" } else { "LOG" });
    let args = coerce(call.args, &[Double, Double], &sql, conf)?;
    let f: Kernel = if args.len() == 1 { |args| logarithm(args, 0.0, f64::ln) } else { log_of_base };
    let name = if args.len() == 1 { "ln" } else { "log" };
    let expr = kernel_call(name, f, exprs(&args), DataType::Float64, true, evaluation);
    Ok(TypedExpr::new(expr, DataType::Float64, true, sql))
}

fn log_of_base(args: &Args) -> Result<ArrayRef> {
    let (base, value) = (args.primitives::<Float64Type>(0)?, args.primitives::<Float64Type>(1)?);
    args.build::<Float64Type>(|row| {
        let (base, value) = (base.value(row), value.value(row));
        Ok((base > 0.0 && value > 0.0 || base.is_nan() || value.is_nan()).then(|| value.ln() / base.ln()))
    })
}

/// The argument as a number, a string as double.
fn numeric(call: Call, sql: &str) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let child = call.one()?;
    if let DataType::Duration(_) | DataType::Interval(_) = child.data_type() {
        return Ok(child);
    }
    let required = "(\"NUMERIC\" or \"INTERVAL DAY TO SECOND\" or \"INTERVAL YEAR TO MONTH\")";
    Input::Numeric.coerce(child.clone(), conf).ok_or_else(|| unexpected_input(sql, 0, required, &child))
}

fn abs(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as("abs");
    let child = numeric(call, &sql)?;
    let (t, nullable) = (child.data_type().clone(), child.nullable());
    let expr = kernel_call("abs", abs_kernel, vec![child.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn abs_kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    macro_rules! integer {
        ($t:ty) => {{
            let values = array.as_primitive::<$t>();
            if args.evaluation.ansi() {
                Arc::new(values.try_unary::<_, $t, SparkError>(|v| {
                    v.checked_abs().ok_or_else(|| overflow("overflow", ""))
                })?)
            } else {
                Arc::new(values.unary::<_, $t>(|v| v.wrapping_abs()))
            }
        }};
    }
    Ok(match array.data_type() {
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::Interval(_) => integer!(datafusion::arrow::datatypes::IntervalYearMonthType),
        DataType::Duration(_) => integer!(datafusion::arrow::datatypes::DurationMicrosecondType),
        DataType::Float32 => Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::abs)),
        DataType::Float64 => Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::abs)),
        _ => Arc::new(
            array
                .as_primitive::<Decimal128Type>()
                .unary::<_, Decimal128Type>(i128::wrapping_abs)
                .with_data_type(array.data_type().clone()),
        ),
    })
}

fn factorial(args: &Args) -> Result<ArrayRef> {
    let values = args.primitives::<Int32Type>(0)?;
    args.build::<Int64Type>(|row| {
        let n = values.value(row);
        Ok((0..=20).contains(&n).then(|| (1..=i64::from(n)).product()))
    })
}

fn width_bucket(args: &Args) -> Result<ArrayRef> {
    let value = args.primitives::<Float64Type>(0)?;
    let (low, high) = (args.primitives::<Float64Type>(1)?, args.primitives::<Float64Type>(2)?);
    let buckets = args.primitives::<Int64Type>(3)?;
    args.build::<Int64Type>(|row| {
        let (v, low, high, n) = (value.value(row), low.value(row), high.value(row), buckets.value(row));
        if n <= 0 || n == i64::MAX || v.is_nan() || low == high || !low.is_finite() || !high.is_finite() {
            return Ok(None);
        }
        let (lower, upper) = (low.min(high), low.max(high));
        let inside = |offset: f64| (n as f64 * offset / (upper - lower)) as i64 + 1;
        Ok(Some(if low < high {
            if v < lower {
                0
            } else if v >= upper {
                n + 1
            } else {
                inside(v - lower)
            }
        } else if v > upper {
            0
        } else if v <= lower {
            n + 1
        } else {
            inside(upper - v)
        }))
    })
}
