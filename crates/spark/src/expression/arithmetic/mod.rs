//! `+ - * / % div` and unary minus: operand types, result types, and the kernels.
//!
//! Doubles without failure modes are DataFusion's own operators; everything that can
//! overflow, divide by zero or needs Spark's decimal rules is a kernel of ours.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, PrimitiveBuilder},
        compute::{binary, kernels::numeric, nullif},
        datatypes::{
            ArrowNativeTypeOp, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        },
        error::ArrowError,
    },
    common::ScalarValue,
    logical_expr::{BinaryExpr, Expr, Operator as DfOperator},
};
use millstream_engine::{Result, SparkError};

use super::{
    TypedExpr,
    cast::implicit_cast,
    coercion::{self, is_datetime, is_decimal, is_float, is_integral, is_interval, is_numeric},
    datetime_arithmetic,
};
use crate::{
    SessionConf,
    functions::{Args, Evaluation, Kernel, Mode, kernel_call, unexpected_input},
    types,
};

mod decimal;

use decimal::{decimal, decimal_result};

/// An arithmetic operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    IntegralDivide,
    Pmod,
}

impl Operator {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::Remainder => "%",
            Operator::IntegralDivide => "div",
            Operator::Pmod => "pmod",
        }
    }

    /// The function that answers null where this operator fails.
    fn tolerant(self) -> &'static str {
        match self {
            Operator::Add => "try_add",
            Operator::Subtract => "try_subtract",
            Operator::Multiply => "try_multiply",
            Operator::Divide | Operator::IntegralDivide => "try_divide",
            Operator::Remainder | Operator::Pmod => "try_mod",
        }
    }

    fn divides(self) -> bool {
        matches!(self, Operator::Divide | Operator::Remainder | Operator::IntegralDivide | Operator::Pmod)
    }

    fn kernel(self) -> Kernel {
        match self {
            Operator::Add => |args| apply(args, Operator::Add),
            Operator::Subtract => |args| apply(args, Operator::Subtract),
            Operator::Multiply => |args| apply(args, Operator::Multiply),
            Operator::Divide => |args| apply(args, Operator::Divide),
            Operator::Remainder => |args| apply(args, Operator::Remainder),
            Operator::IntegralDivide => |args| apply(args, Operator::IntegralDivide),
            Operator::Pmod => |args| apply(args, Operator::Pmod),
        }
    }
}

/// `left op right`. `shown` is its text where that is not `(left op right)`.
///
/// # Errors
/// `DATATYPE_MISMATCH.BINARY_OP_*`.
pub(crate) fn resolve(
    op: Operator,
    left: TypedExpr,
    right: TypedExpr,
    mode: Mode,
    shown: Option<String>,
    conf: &SessionConf,
) -> Result<TypedExpr> {
    let sql = shown.unwrap_or_else(|| format!("({} {} {})", left.sql, op.symbol(), right.sql));
    let (a, b) = (left.data_type().clone(), right.data_type().clone());
    if [&a, &b].into_iter().any(|t| is_datetime(t) || is_interval(t))
        && let Some(found) = datetime_arithmetic::resolve(op, &left, &right, mode, &sql, conf)?
    {
        return Ok(found);
    }
    let dates = a == DataType::Date32 || b == DataType::Date32;
    if (op == Operator::Add && dates) || (op == Operator::Subtract && (is_datetime(&a) || is_datetime(&b))) {
        let required = "(\"INT\" or \"SMALLINT\" or \"TINYINT\")";
        let wrong = if is_datetime(&a) { &right } else { &left };
        return Err(unexpected_input(&sql, 1, required, wrong));
    }
    let (left, right) = promote_strings(left, right, conf)?;
    let (left, right) = common(op, left, right, &sql, conf)?;
    let operand = left.data_type().clone();
    let decimals = match (&operand, right.data_type()) {
        (DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2)) => Some(((*p1, *s1), (*p2, *s2))),
        _ => None,
    };
    let result = match (op, decimals) {
        (Operator::IntegralDivide, _) => DataType::Int64,
        (_, Some((a, b))) => decimal_result(op, a, b),
        _ => operand.clone(),
    };
    let tolerant = mode != Mode::Ansi;
    let nullable = left.nullable()
        || right.nullable()
        || decimals.is_some()
        || (tolerant && mode == Mode::Try)
        || op.divides();
    let evaluation = Evaluation::of(conf).with_mode(mode);
    let expr = match native(op, &operand, &right, mode) {
        Some(native) => Expr::BinaryExpr(BinaryExpr::new(Box::new(left.expr), native, Box::new(right.expr))),
        None => kernel_call(
            op.symbol(),
            op.kernel(),
            vec![left.expr, right.expr],
            result.clone(),
            nullable,
            evaluation,
        ),
    };
    Ok(TypedExpr::new(expr, result, nullable, sql))
}

/// DataFusion's operator where it does exactly what Spark does.
fn native(op: Operator, operand: &DataType, right: &TypedExpr, mode: Mode) -> Option<DfOperator> {
    let float = is_float(operand);
    let wraps = is_integral(operand) && mode == Mode::Legacy;
    let nonzero = matches!(right.literal(), Some(ScalarValue::Float64(Some(v))) if *v != 0.0);
    match op {
        Operator::Add if float || wraps => Some(DfOperator::Plus),
        Operator::Subtract if float || wraps => Some(DfOperator::Minus),
        Operator::Multiply if float || wraps => Some(DfOperator::Multiply),
        Operator::Divide if float && nonzero => Some(DfOperator::Divide),
        _ => None,
    }
}

/// A string operand is read as the other's kind of number (ANSI) or as double (legacy).
fn promote_strings(left: TypedExpr, right: TypedExpr, conf: &SessionConf) -> Result<(TypedExpr, TypedExpr)> {
    let (a, b) = (left.data_type().clone(), right.data_type().clone());
    if a != DataType::Utf8 && b != DataType::Utf8 {
        return Ok((left, right));
    }
    let to = if conf.ansi {
        match (&a, &b) {
            (DataType::Utf8, DataType::Utf8) => None,
            (DataType::Utf8, t) | (t, DataType::Utf8) if is_numeric(t) => {
                coercion::wider_for_string(&DataType::Utf8, t)
            }
            (DataType::Null, _) | (_, DataType::Null) => Some(DataType::Float64),
            _ => None,
        }
    } else {
        Some(DataType::Float64)
    };
    let Some(to) = to else { return Ok((left, right)) };
    let read = |side: TypedExpr| {
        if *side.data_type() == DataType::Utf8 { implicit_cast(side, &to, conf) } else { Ok(side) }
    };
    Ok((read(left)?, read(right)?))
}

/// Both operands in the type the operator works on.
fn common(
    op: Operator,
    left: TypedExpr,
    right: TypedExpr,
    sql: &str,
    conf: &SessionConf,
) -> Result<(TypedExpr, TypedExpr)> {
    let (a, b) = (left.data_type().clone(), right.data_type().clone());
    let wrong = |class: &str| {
        let quoted = |t: &DataType| format!("\"{}\"", types::sql_name(t));
        SparkError::new(class)
            .with("sqlExpr", format!("\"{sql}\""))
            .with("left", quoted(&a))
            .with("right", quoted(&b))
            .with("inputType", required(op))
            .with("actualDataType", quoted(&a))
    };
    let fits = |t: &DataType| is_numeric(t) || *t == DataType::Null;
    if !fits(&a) || !fits(&b) {
        let class = if coercion::same_type(&a, &b) {
            "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE"
        } else {
            "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES"
        };
        return Err(wrong(class));
    }
    let both =
        |to: &DataType| Ok((implicit_cast(left.clone(), to, conf)?, implicit_cast(right.clone(), to, conf)?));
    if is_decimal(&a) || is_decimal(&b) {
        if is_float(&a) || is_float(&b) {
            return both(&DataType::Float64);
        }
        let as_decimal = |side: &TypedExpr, other: &TypedExpr| -> Result<TypedExpr> {
            let Some((p, s)) =
                coercion::decimal_of_operand(side).or_else(|| coercion::decimal_of(other.data_type()))
            else {
                return Ok(side.clone());
            };
            implicit_cast(side.clone(), &DataType::Decimal128(p, s), conf)
        };
        return Ok((as_decimal(&left, &right)?, as_decimal(&right, &left)?));
    }
    match op {
        Operator::Divide => both(&DataType::Float64),
        Operator::IntegralDivide if is_float(&a) || is_float(&b) => {
            Err(wrong("DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE"))
        }
        Operator::IntegralDivide => both(&DataType::Int64),
        _ => match coercion::tightest_common(&a, &b, conf.ansi) {
            // NULL + NULL is a double.
            Some(DataType::Null) => both(&DataType::Float64),
            Some(to) => both(&to),
            None => Err(wrong("DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES")),
        },
    }
}

fn required(op: Operator) -> &'static str {
    match op {
        Operator::Add | Operator::Subtract => {
            "(\"NUMERIC\" or \"INTERVAL DAY TO SECOND\" or \"INTERVAL YEAR TO MONTH\" or \"INTERVAL\")"
        }
        Operator::Divide => "(\"DOUBLE\" or \"DECIMAL\")",
        Operator::IntegralDivide => {
            "(\"BIGINT\" or \"DECIMAL\" or \"INTERVAL YEAR TO MONTH\" or \"INTERVAL DAY TO SECOND\")"
        }
        Operator::Multiply | Operator::Remainder | Operator::Pmod => "\"NUMERIC\"",
    }
}

/// `-child`.
///
/// # Errors
/// `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE`.
pub(crate) fn negate(child: TypedExpr, shown: String, conf: &SessionConf) -> Result<TypedExpr> {
    let child = match child.data_type() {
        DataType::Utf8 | DataType::Null => implicit_cast(child, &DataType::Float64, conf)?,
        _ => child,
    };
    let t = child.data_type().clone();
    if is_float(&t) {
        let nullable = child.nullable();
        return Ok(TypedExpr::new(Expr::Negative(Box::new(child.expr)), t, nullable, shown));
    }
    if !is_numeric(&t) && !is_interval(&t) {
        return Err(SparkError::new("DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE")
            .with("sqlExpr", format!("\"{shown}\""))
            .with("paramIndex", "first")
            .with(
                "requiredType",
                "(\"NUMERIC\" or \"INTERVAL DAY TO SECOND\" or \"INTERVAL YEAR TO MONTH\" or \"INTERVAL\")",
            )
            .with("inputSql", format!("\"{}\"", child.sql))
            .with("inputType", format!("\"{}\"", types::sql_name(&t))));
    }
    // A negative literal is one value.
    if let Some(value) = child.literal()
        && is_numeric(&t)
        && let Ok(negative) = value.arithmetic_negate()
    {
        let nullable = child.nullable();
        return Ok(TypedExpr::new(Expr::Literal(negative, None), t, nullable, shown));
    }
    let nullable = child.nullable();
    let expr =
        kernel_call("negative", negate_kernel, vec![child.expr], t.clone(), nullable, Evaluation::of(conf));
    Ok(TypedExpr::new(expr, t, nullable, shown))
}

fn negate_kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    if args.evaluation.ansi() {
        return numeric::neg(&array).map_err(|_| overflow("overflow", ""));
    }
    Ok(numeric::neg_wrapping(&array)?)
}

/// `ARITHMETIC_OVERFLOW`; `tolerant` names a `try_` function or is empty.
pub(crate) fn overflow(message: &str, tolerant: &str) -> SparkError {
    let alternative = match tolerant {
        "" => String::new(),
        name => format!(" Use '{name}' to tolerate overflow and return NULL instead."),
    };
    SparkError::new("ARITHMETIC_OVERFLOW")
        .with("message", message)
        .with("alternative", alternative)
        .with("config", "\"spark.sql.ansi.enabled\"")
}

fn zero_divisor(op: Operator) -> SparkError {
    let class = match op {
        Operator::Remainder | Operator::Pmod => "REMAINDER_BY_ZERO",
        _ => "DIVIDE_BY_ZERO",
    };
    SparkError::new(class).with("config", "\"spark.sql.ansi.enabled\"")
}

fn apply(args: &Args, op: Operator) -> Result<ArrayRef> {
    let operand = args.array(0)?.data_type().clone();
    match operand {
        DataType::Int8 => integral::<Int8Type>(args, op),
        DataType::Int16 => integral::<Int16Type>(args, op),
        DataType::Int32 => integral::<Int32Type>(args, op),
        DataType::Int64 => integral::<Int64Type>(args, op),
        DataType::Float32 => float::<Float32Type>(args, op),
        DataType::Float64 => float::<Float64Type>(args, op),
        DataType::Decimal128(_, s1) => {
            let s2 = match args.array(1)?.data_type() {
                DataType::Decimal128(_, s) => *s,
                _ => 0,
            };
            decimal(args, op, s1, s2)
        }
        other => Err(SparkError::internal(format!("{} on {other}", op.symbol()))),
    }
}

fn integral<T>(args: &Args, op: Operator) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: ArrowNativeTypeOp + std::fmt::Display,
{
    let ansi = args.evaluation.ansi();
    if !op.divides() && ansi {
        let (left, right) = (args.datum(0)?, args.datum(1)?);
        let result = match op {
            Operator::Add => numeric::add(left.as_ref(), right.as_ref()),
            Operator::Subtract => numeric::sub(left.as_ref(), right.as_ref()),
            _ => numeric::mul(left.as_ref(), right.as_ref()),
        };
        return match result {
            // Arrow gives an array of one row for two scalars.
            Ok(array) => Ok(array),
            Err(ArrowError::ArithmeticOverflow(_)) => Err(first_overflow::<T>(args, op)?),
            Err(other) => Err(other.into()),
        };
    }
    let (left, right) = (args.primitives::<T>(0)?, args.primitives::<T>(1)?);
    if !op.divides() {
        // try_add and its kin: null on overflow.
        let f = |a: T::Native, b: T::Native| match op {
            Operator::Add => a.add_checked(b),
            Operator::Subtract => a.sub_checked(b),
            _ => a.mul_checked(b),
        };
        let mut out = PrimitiveBuilder::<T>::with_capacity(args.rows);
        for (a, b) in left.iter().zip(right.iter()) {
            out.append_option(a.zip(b).and_then(|(a, b)| f(a, b).ok()));
        }
        return Ok(Arc::new(out.finish()));
    }
    let zero = T::Native::ZERO;
    let minus_one = T::Native::ZERO.sub_wrapping(T::Native::ONE);
    let mut out = PrimitiveBuilder::<T>::with_capacity(args.rows);
    for (a, b) in left.iter().zip(right.iter()) {
        let Some((a, b)) = a.zip(b) else {
            out.append_null();
            continue;
        };
        if b == zero {
            if ansi {
                return Err(zero_divisor(op));
            }
            out.append_null();
            continue;
        }
        let rest = |a: T::Native| if b == minus_one { Ok(zero) } else { a.mod_checked(b) };
        out.append_value(match op {
            Operator::IntegralDivide if b == minus_one => {
                // Only the least value has no negation.
                if ansi {
                    a.neg_checked().map_err(|_| overflow("Overflow in integral divide", "try_divide"))?
                } else {
                    a.neg_wrapping()
                }
            }
            Operator::IntegralDivide => a.div_checked(b)?,
            Operator::Remainder => rest(a)?,
            _ => {
                let r = rest(a)?;
                if r < zero {
                    if b == minus_one { zero } else { r.add_wrapping(b).mod_checked(b)? }
                } else {
                    r
                }
            }
        });
    }
    Ok(Arc::new(out.finish()))
}

/// The error for the first pair that overflows.
fn first_overflow<T>(args: &Args, op: Operator) -> Result<SparkError>
where
    T: ArrowPrimitiveType,
    T::Native: ArrowNativeTypeOp + std::fmt::Display,
{
    let suffix = match T::DATA_TYPE {
        DataType::Int8 => "Y",
        DataType::Int16 => "S",
        _ => return Ok(overflow("overflow", op.tolerant())),
    };
    let (left, right) = (args.primitives::<T>(0)?, args.primitives::<T>(1)?);
    for (a, b) in left.iter().zip(right.iter()) {
        let Some((a, b)) = a.zip(b) else { continue };
        let result = match op {
            Operator::Add => a.add_checked(b),
            Operator::Subtract => a.sub_checked(b),
            _ => a.mul_checked(b),
        };
        if result.is_err() {
            return Ok(SparkError::new("BINARY_ARITHMETIC_OVERFLOW")
                .with("value1", format!("{a}{suffix}"))
                .with("symbol", op.symbol())
                .with("value2", format!("{b}{suffix}"))
                .with("functionName", format!("`{}`", op.tolerant())));
        }
    }
    Ok(overflow("overflow", op.tolerant()))
}

fn float<T>(args: &Args, op: Operator) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: ArrowNativeTypeOp,
{
    let (left, right) = (args.primitives::<T>(0)?, args.primitives::<T>(1)?);
    // Total order tells the zeros apart; both divide badly.
    let zero = T::Native::ZERO;
    let is_zero = |v: T::Native| v == zero;
    if !op.divides() {
        let result: PrimitiveArray<T> = match op {
            Operator::Add => binary(&left, &right, |a: T::Native, b: T::Native| a.add_wrapping(b))?,
            Operator::Subtract => binary(&left, &right, |a: T::Native, b: T::Native| a.sub_wrapping(b))?,
            _ => binary(&left, &right, |a: T::Native, b: T::Native| a.mul_wrapping(b))?,
        };
        return Ok(Arc::new(result));
    }
    let zeros = right.iter().zip(left.iter()).any(|(b, a)| a.is_some() && b.is_some_and(is_zero));
    if zeros && args.evaluation.ansi() {
        return Err(zero_divisor(op));
    }
    let result: PrimitiveArray<T> = match op {
        Operator::Divide | Operator::IntegralDivide => {
            binary(&left, &right, |a: T::Native, b: T::Native| a.div_wrapping(b))?
        }
        Operator::Remainder => binary(&left, &right, |a: T::Native, b: T::Native| a.mod_wrapping(b))?,
        _ => binary(&left, &right, |a: T::Native, b: T::Native| {
            let r = a.mod_wrapping(b);
            if r < zero { r.add_wrapping(b).mod_wrapping(b) } else { r }
        })?,
    };
    if zeros {
        let mask = right.iter().map(|b| b.map(is_zero)).collect();
        return Ok(nullif(&result, &mask)?);
    }
    Ok(Arc::new(result))
}
