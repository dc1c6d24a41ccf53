//! Mathematical functions.
//!
//! Spark differs: the last bit of transcendental functions may differ, since Java has its
//! own library of them.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Float64Array},
        compute::{binary, nullif},
        datatypes::{
            DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        },
    },
    common::ScalarValue,
};
use millstream_engine::{
    Result, SparkError,
    format::value_text::{write_double, write_float},
};

use super::{
    Args, Call, Function, Kernel, Output, coerce, custom, exprs, kernel, kernel_call, unexpected_input,
};
use crate::expression::{Input, TypedExpr, arithmetic::overflow, cast, coercion, implicit_cast, literal};

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
    custom(&["ceil"], 1, 2, |call| ceil_or_floor(call, "CEIL")),
    custom(&["ceiling"], 1, 2, |call| ceil_or_floor(call, "ceiling")),
    custom(&["floor"], 1, 2, |call| ceil_or_floor(call, "FLOOR")),
    custom(&["round"], 1, 2, round),
    custom(&["bround"], 1, 2, round),
    kernel(&["factorial"], &[Int], 1, Output::Long, factorial).may_be_null(),
    kernel(&["bin"], &[Long], 1, Output::String, bin),
    custom(&["hex"], 1, 1, hex),
    kernel(&["unhex"], &[Input::String], 1, Output::Binary, unhex).may_be_null(),
    kernel(&["conv"], &[Input::String, Int, Int], 3, Output::String, conv).may_be_null(),
    custom(&["bit_count"], 1, 1, bit_count),
    kernel(&["bit_get", "getbit"], &[Input::Integral, Int], 2, Output::Byte, bit_get),
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
                .unary::<_, Decimal128Type>(i128::abs)
                .with_data_type(array.data_type().clone()),
        ),
    })
}

/// `ceil` and `floor`: bigint, or a decimal without fraction.
fn ceil_or_floor(call: Call, shown: &str) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let up = shown != "FLOOR";
    if call.args.len() == 2 {
        return scaled_ceil_or_floor(call, if up { "ceil" } else { "floor" });
    }
    let conf = call.resolver.conf;
    let sql = call.sql_as(shown);
    let child = call.one()?;
    let child = match child.data_type() {
        DataType::Float32 | DataType::Utf8 | DataType::Null => {
            implicit_cast(child, &DataType::Float64, conf)?
        }
        t if coercion::is_integral(t) => implicit_cast(child, &DataType::Int64, conf)?,
        t if coercion::is_numeric(t) => child,
        _ => return Err(unexpected_input(&sql, 0, "(\"DECIMAL\" or \"DOUBLE\" or \"BIGINT\")", &child)),
    };
    let nullable = child.nullable();
    let t = match child.data_type() {
        DataType::Decimal128(p, s) => coercion::bounded(i16::from(*p) - i16::from(*s) + 1, 0),
        _ => DataType::Int64,
    };
    let f: Kernel = if up { |args| integral_part(args, true) } else { |args| integral_part(args, false) };
    let name = if up { "ceil" } else { "floor" };
    let expr = kernel_call(name, f, vec![child.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn integral_part(args: &Args, up: bool) -> Result<ArrayRef> {
    let array = args.array(0)?;
    match array.data_type() {
        DataType::Int64 => Ok(array),
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            args.build::<Int64Type>(|row| {
                let v = values.value(row);
                let whole = if up { v.ceil() } else { v.floor() };
                // Java narrows to the nearest long; ANSI refuses.
                let fits = whole.is_nan() || (whole >= i64::MIN as f64 && whole < i64::MAX as f64);
                if args.evaluation.ansi() && !fits {
                    return Err(overflow("overflow", ""));
                }
                Ok(Some(whole as i64))
            })
        }
        DataType::Decimal128(_, s) => {
            let unit = 10i128.pow(u32::try_from(*s).unwrap_or(0));
            let values = array.as_primitive::<Decimal128Type>();
            args.build::<Decimal128Type>(|row| {
                let v = values.value(row);
                let floor = v.div_euclid(unit);
                Ok(Some(if up && v.rem_euclid(unit) != 0 { floor + 1 } else { floor }))
            })
        }
        other => Err(SparkError::internal(format!("ceil of {other}"))),
    }
}

/// `ceil(x, scale)`: always a decimal.
fn scaled_ceil_or_floor(call: Call, name: &str) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let evaluation = call.evaluation();
    let sql = call.sql_as(name);
    let (child, scale) = call.two()?;
    let Some(scale) = int_literal(&scale) else {
        return Err(SparkError::unsupported(format!("`{name}` with a scale that is no literal")));
    };
    let Some((p, s)) = coercion::decimal_of(child.data_type()) else {
        return Err(unexpected_input(&sql, 0, "\"DECIMAL\"", &child));
    };
    let child = implicit_cast(child, &DataType::Decimal128(p, s), conf)?;
    let t = rounded_decimal(p, s, scale);
    let f: Kernel =
        if name == "ceil" { |args| scaled_part(args, true) } else { |args| scaled_part(args, false) };
    let args = vec![child.expr, literal::int(scale).expr];
    let expr = kernel_call(
        if name == "ceil" { "ceil_scale" } else { "floor_scale" },
        f,
        args,
        t.clone(),
        true,
        evaluation,
    );
    Ok(TypedExpr::new(expr, t, true, sql))
}

fn scaled_part(args: &Args, up: bool) -> Result<ArrayRef> {
    round_decimals(args, move |value, unit| {
        let floor = value.div_euclid(unit);
        if up && value.rem_euclid(unit) != 0 { floor + 1 } else { floor }
    })
}

fn int_literal(arg: &TypedExpr) -> Option<i32> {
    match arg.literal()? {
        ScalarValue::Int8(Some(v)) => Some(i32::from(*v)),
        ScalarValue::Int16(Some(v)) => Some(i32::from(*v)),
        ScalarValue::Int32(Some(v)) => Some(*v),
        ScalarValue::Int64(Some(v)) => i32::try_from(*v).ok(),
        _ => None,
    }
}

/// The type of a decimal rounded to `scale` digits after the point.
fn rounded_decimal(p: u8, s: i8, scale: i32) -> DataType {
    let whole = i32::from(p) - i32::from(s) + 1;
    let clamp = |v: i32| i16::try_from(v).unwrap_or(38);
    if scale < 0 {
        // Rounding left of the point can add a digit there.
        coercion::bounded(clamp(whole.max(1 - scale)), 0)
    } else {
        let scale = scale.min(i32::from(s));
        coercion::bounded(clamp(whole + scale), clamp(scale))
    }
}

/// `round` (half up) and `bround` (half even): the type stays, decimals are adjusted.
fn round(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let evaluation = call.evaluation();
    let name = call.name;
    let mut args = call.args;
    if args.len() == 1 {
        args.push(literal::int(0));
    }
    let shown: Vec<&str> = args.iter().map(|arg| arg.sql.as_str()).collect();
    let sql = format!("{name}({})", shown.join(", "));
    let (Some(scale), Some(child)) = (args.pop(), args.pop()) else {
        return Err(SparkError::internal("round without its arguments"));
    };
    let child = Input::Numeric
        .coerce(child.clone(), conf)
        .ok_or_else(|| unexpected_input(&sql, 0, "\"NUMERIC\"", &child))?;
    let Some(digits) = int_literal(&scale) else {
        return Err(SparkError::new("DATATYPE_MISMATCH.NON_FOLDABLE_INPUT")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("inputName", "`scale`")
            .with("inputType", "\"INT\"")
            .with("inputExpr", format!("\"{}\"", scale.sql)));
    };
    let t = match child.data_type() {
        DataType::Decimal128(p, s) => rounded_decimal(*p, *s, digits),
        other => other.clone(),
    };
    let nullable = child.nullable() || coercion::is_decimal(&t);
    let f: Kernel =
        if name == "bround" { |args| round_kernel(args, true) } else { |args| round_kernel(args, false) };
    let args = vec![child.expr, literal::int(digits).expr];
    let expr = kernel_call(name, f, args, t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// `value / unit`, half up or half even.
fn divide_rounding(value: i128, unit: i128, even: bool) -> i128 {
    let (quotient, rest) = (value / unit, (value % unit).abs());
    let up = match (rest * 2).cmp(&unit) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => !even || quotient % 2 != 0,
        std::cmp::Ordering::Less => false,
    };
    if up { quotient + value.signum() } else { quotient }
}

fn digits_of(args: &Args) -> i32 {
    match args.scalar(1) {
        Some(ScalarValue::Int32(Some(v))) => *v,
        _ => 0,
    }
}

fn round_kernel(args: &Args, even: bool) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let digits = digits_of(args);
    macro_rules! integer {
        ($t:ty, $n:ty) => {{
            if digits >= 0 {
                return Ok(array);
            }
            let values = array.as_primitive::<$t>();
            let unit = 10i128.checked_pow(digits.unsigned_abs());
            return args.build::<$t>(|row| {
                let v = i128::from(values.value(row));
                let rounded = unit.map_or(0, |unit| divide_rounding(v, unit, even) * unit);
                match <$n>::try_from(rounded) {
                    Ok(v) => Ok(Some(v)),
                    Err(_) if args.evaluation.ansi() => Err(overflow("Overflow", "")),
                    Err(_) => Ok(Some(rounded as $n)),
                }
            });
        }};
    }
    match array.data_type() {
        DataType::Int8 => integer!(Int8Type, i8),
        DataType::Int16 => integer!(Int16Type, i16),
        DataType::Int32 => integer!(Int32Type, i32),
        DataType::Int64 => integer!(Int64Type, i64),
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            Ok(Arc::new(values.unary::<_, Float32Type>(|v| {
                let mut text = String::new();
                write_float(v, &mut text);
                if v.is_finite() { round_text(&text, digits, even).parse().unwrap_or(v) } else { v }
            })))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            let rounded: Float64Array = values.unary(|v| {
                if !v.is_finite() {
                    return v;
                }
                let mut text = String::new();
                write_double(v, &mut text);
                round_text(&text, digits, even).parse().unwrap_or(v)
            });
            Ok(Arc::new(rounded))
        }
        _ => round_decimals(args, |value, unit| divide_rounding(value, unit, even)),
    }
}

/// Decimals divided by the unit of the last digit kept; `f` does the division.
fn round_decimals(args: &Args, f: impl Fn(i128, i128) -> i128) -> Result<ArrayRef> {
    let digits = digits_of(args);
    let array = args.array(0)?;
    let (DataType::Decimal128(_, from), DataType::Decimal128(precision, to)) =
        (array.data_type(), args.return_type)
    else {
        return Err(SparkError::internal("a decimal that is none"));
    };
    let limit = 10u128.checked_pow(u32::from(*precision)).unwrap_or(u128::MAX);
    let dropped = (i32::from(*from) - digits).max(0);
    let unit = 10i128.checked_pow(dropped.unsigned_abs());
    // Left of the point zeros come back.
    let back = 10i128.checked_pow((i32::from(*to) - digits.min(i32::from(*from))).max(0).unsigned_abs());
    let values = array.as_primitive::<Decimal128Type>();
    args.build::<Decimal128Type>(|row| {
        let value = values.value(row);
        let rounded = match (unit, back) {
            (Some(unit), Some(back)) => f(value, unit).checked_mul(back),
            _ => Some(0),
        };
        match rounded.filter(|v| v.unsigned_abs() < limit) {
            None if args.evaluation.ansi() => Err(overflow("Overflow", "")),
            rounded => Ok(rounded),
        }
    })
}

/// Rounds a number's shortest text, as Java's `BigDecimal(double)` in Scala does.
fn round_text(text: &str, digits: i32, even: bool) -> String {
    let (mantissa, exponent) = text.split_once('E').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // value = unscaled * 10^-scale
    let scale = i32::try_from(fraction.len()).unwrap_or(0) - exponent;
    let Ok(unscaled) = format!("{whole}{fraction}").parse::<i128>() else { return text.to_string() };
    if scale <= digits {
        return text.to_string();
    }
    let rounded = match 10i128.checked_pow((scale - digits).unsigned_abs()) {
        Some(unit) => divide_rounding(unscaled, unit, even),
        None => 0,
    };
    // A zero result is positive.
    let sign = if rounded == 0 { "" } else { sign };
    format!("{sign}{rounded}E{}", -digits)
}

fn factorial(args: &Args) -> Result<ArrayRef> {
    let values = args.primitives::<Int32Type>(0)?;
    args.build::<Int64Type>(|row| {
        let n = values.value(row);
        Ok((0..=20).contains(&n).then(|| (1..=i64::from(n)).product()))
    })
}

fn bin(args: &Args) -> Result<ArrayRef> {
    let values = args.primitives::<Int64Type>(0)?;
    args.build_strings(|row, out| {
        out.push_str(&format!("{:b}", values.value(row)));
        Ok(true)
    })
}

/// `hex` of a number (as bigint), a string's bytes or binary.
fn hex(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let evaluation = call.evaluation();
    let sql = call.sql_as("hex");
    let child = call.one()?;
    let to = match child.data_type() {
        DataType::Binary => DataType::Binary,
        DataType::Utf8 | DataType::Null => DataType::Utf8,
        t if coercion::is_numeric(t) => DataType::Int64,
        _ => return Err(unexpected_input(&sql, 0, "(\"BIGINT\" or \"BINARY\" or \"STRING\")", &child)),
    };
    let child = implicit_cast(child, &to, conf)?;
    let nullable = child.nullable();
    let expr = kernel_call("hex", hex_kernel, vec![child.expr], DataType::Utf8, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Utf8, nullable, sql))
}

fn hex_kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let write = |bytes: &[u8], out: &mut String| {
        for byte in bytes {
            out.push_str(&format!("{byte:02X}"));
        }
    };
    match array.data_type() {
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>();
            args.build_strings(|row, out| {
                out.push_str(&format!("{:X}", values.value(row)));
                Ok(true)
            })
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            args.build_strings(|row, out| {
                write(values.value(row).as_bytes(), out);
                Ok(true)
            })
        }
        _ => {
            let values = array.as_binary::<i32>();
            args.build_strings(|row, out| {
                write(values.value(row), out);
                Ok(true)
            })
        }
    }
}

/// The bytes hexadecimal digits stand for; an odd first digit is a byte of its own.
pub(super) fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().map(|b| char::from(b).to_digit(16)).collect::<Option<Vec<u32>>>()?;
    let (first, rest) = digits.split_at(digits.len() % 2);
    let byte = |high: u32, low: u32| u8::try_from(high * 16 + low).ok();
    let mut out: Vec<u8> = first.iter().filter_map(|low| byte(0, *low)).collect();
    out.extend(rest.chunks_exact(2).filter_map(|pair| byte(pair[0], pair[1])));
    Some(out)
}

fn unhex(args: &Args) -> Result<ArrayRef> {
    let values = args.strings(0)?;
    let mut out = datafusion::arrow::array::BinaryBuilder::with_capacity(args.rows, args.rows * 4);
    for value in &values {
        out.append_option(value.and_then(bytes_of_hex));
    }
    Ok(Arc::new(out.finish()))
}

/// Hive's `conv`: digits of one base as digits of another; a negative target base is signed.
fn conv(args: &Args) -> Result<ArrayRef> {
    let values = args.strings(0)?;
    let (from, to) = (args.primitives::<Int32Type>(1)?, args.primitives::<Int32Type>(2)?);
    args.build_strings(|row, out| {
        let (text, from, to) = (values.value(row).trim_matches(' '), from.value(row), to.value(row));
        if !(2..=36).contains(&from) || !(2..=36).contains(&to.abs()) || text.is_empty() {
            return Ok(false);
        }
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut value: u64 = 0;
        let mut overflowed = false;
        for c in digits.chars() {
            let Some(digit) = c.to_digit(from.unsigned_abs()) else { break };
            match value
                .checked_mul(u64::from(from.unsigned_abs()))
                .and_then(|v| v.checked_add(u64::from(digit)))
            {
                Some(next) => value = next,
                None => overflowed = true,
            }
        }
        if overflowed {
            if args.evaluation.ansi() {
                return Err(overflow("Overflow in function conv()", ""));
            }
            value = u64::MAX;
        }
        let mut sign = false;
        if negative && to > 0 {
            value = if value.cast_signed() < 0 && overflowed { u64::MAX } else { value.wrapping_neg() };
        } else if to < 0 {
            let signed = if negative { value.cast_signed().wrapping_neg() } else { value.cast_signed() };
            sign = signed < 0;
            value = signed.unsigned_abs();
        }
        let base = u64::from(to.unsigned_abs());
        let mut reversed = Vec::new();
        loop {
            let digit = u32::try_from(value % base).unwrap_or(0);
            reversed.extend(char::from_digit(digit, 36).map(|c| c.to_ascii_uppercase()));
            value /= base;
            if value == 0 {
                break;
            }
        }
        if sign {
            out.push('-');
        }
        out.extend(reversed.iter().rev());
        Ok(true)
    })
}

fn bit_count(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let evaluation = call.evaluation();
    let sql = call.sql_as("bit_count");
    let child = call.one()?;
    if !coercion::is_integral(child.data_type()) && *child.data_type() != DataType::Boolean {
        return Err(unexpected_input(&sql, 0, "(\"INTEGRAL\" or \"BOOLEAN\")", &child));
    }
    let nullable = child.nullable();
    let child = cast::explicit_cast(child, &DataType::Int64, super::Mode::Legacy, conf)?;
    let f: Kernel = |args| {
        let values = args.primitives::<Int64Type>(0)?;
        Ok(Arc::new(values.unary::<_, Int32Type>(|v| v.count_ones().cast_signed())))
    };
    let expr = kernel_call("bit_count", f, vec![child.expr], DataType::Int32, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Int32, nullable, sql))
}

fn bit_get(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let width = i32::try_from(array.data_type().primitive_width().unwrap_or(8) * 8).unwrap_or(64);
    let longs = datafusion::arrow::compute::cast(&array, &DataType::Int64)?;
    let values = longs.as_primitive::<Int64Type>();
    let positions = args.primitives::<Int32Type>(1)?;
    args.build::<Int8Type>(|row| {
        let position = positions.value(row);
        if !(0..width).contains(&position) {
            return Err(SparkError::new("INVALID_PARAMETER_VALUE.BIT_POSITION_RANGE")
                .with("functionName", "`bit_get`")
                .with("parameter", "`pos`")
                .with("upper", width.to_string())
                .with("invalidValue", position.to_string()));
        }
        Ok(Some(i8::from((values.value(row) >> position) & 1 == 1)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_follows_the_shortest_text() {
        assert_eq!(round_text("2.5", 0, false).parse::<f64>().unwrap(), 3.0);
        assert_eq!(round_text("2.5", 0, true).parse::<f64>().unwrap(), 2.0);
        assert_eq!(round_text("1.005", 2, false).parse::<f64>().unwrap(), 1.01);
        assert_eq!(round_text("-0.4", 0, false), "0E0");
        assert_eq!(round_text("1.5E10", -10, false).parse::<f64>().unwrap(), 2e10);
    }

    #[test]
    fn hexadecimal_reads_odd_lengths() {
        assert_eq!(bytes_of_hex("1FF"), Some(vec![1, 255]));
        assert_eq!(bytes_of_hex("xy"), None);
    }
}
