//! Numbers rounded: up, down, to so many digits.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Float64Array},
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

use super::{Args, Call, Function, Kernel, custom, kernel_call, unexpected_input};
use crate::expression::{Input, TypedExpr, arithmetic::overflow, coercion, implicit_cast, literal};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["ceil"], 1, 2, |call| ceil_or_floor(call, "CEIL")),
    custom(&["ceiling"], 1, 2, |call| ceil_or_floor(call, "ceiling")),
    custom(&["floor"], 1, 2, |call| ceil_or_floor(call, "FLOOR")),
    custom(&["round"], 1, 2, round),
    custom(&["bround"], 1, 2, round),
];

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
}
