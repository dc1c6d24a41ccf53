//! Operators, which clients send as functions: `+`, `==`, `and`, `in`, `isnull`, ...

use datafusion::{
    arrow::{
        array::ArrayRef,
        datatypes::{DataType, Int8Type, Int16Type, Int32Type, Int64Type},
    },
    logical_expr::{Expr, Operator as Df},
};
use millstream_engine::{Result, SparkError};

use super::{Args, Call, Evaluation, Function, Kernel, MANY, Mode, Output, custom, kernel, kernel_call};
use crate::expression::{
    Input, TypedExpr,
    arithmetic::{self, Operator},
    coercion, comparison, implicit_cast,
};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["+"], 1, 2, add),
    custom(&["-"], 1, 2, subtract),
    custom(&["*"], 2, 2, multiply),
    custom(&["/"], 2, 2, divide),
    custom(&["%"], 2, 2, remainder),
    custom(&["mod"], 2, 2, modulo),
    custom(&["div"], 2, 2, integral_divide),
    custom(&["pmod"], 2, 2, pmod),
    custom(&["negative"], 1, 1, negative),
    custom(&["positive"], 1, 1, positive),
    custom(&["try_add"], 2, 2, try_add),
    custom(&["try_subtract"], 2, 2, try_subtract),
    custom(&["try_multiply"], 2, 2, try_multiply),
    custom(&["try_divide"], 2, 2, try_divide),
    custom(&["try_mod"], 2, 2, try_mod),
    custom(&["=", "=="], 2, 2, equal),
    custom(&["!=", "<>"], 2, 2, not_equal),
    custom(&["<=>"], 2, 2, null_safe_equal),
    custom(&["equal_null"], 2, 2, equal_null),
    custom(&["<"], 2, 2, less),
    custom(&["<="], 2, 2, less_or_equal),
    custom(&[">"], 2, 2, greater),
    custom(&[">="], 2, 2, greater_or_equal),
    custom(&["between"], 3, 3, between),
    custom(&["and", "&&"], 2, 2, and),
    custom(&["or", "||"], 2, 2, or),
    custom(&["not", "!"], 1, 1, not),
    custom(&["in"], 1, MANY, in_list),
    custom(&["isnull"], 1, 1, is_null),
    custom(&["isnotnull"], 1, 1, is_not_null),
    custom(&["&"], 2, 2, bit_and),
    custom(&["|"], 2, 2, bit_or),
    custom(&["^"], 2, 2, bit_xor),
    custom(&["~", "bitwise_not"], 1, 1, bit_not),
    kernel(&["shiftleft"], &[Input::Integral, Input::Int], 2, Output::First, |args| shift(args, "<<")),
    kernel(&["shiftright"], &[Input::Integral, Input::Int], 2, Output::First, |args| shift(args, ">>")),
    kernel(&["shiftrightunsigned"], &[Input::Integral, Input::Int], 2, Output::First, |args| {
        shift(args, ">>>")
    }),
    kernel(&["<<"], &[Input::Integral, Input::Int], 2, Output::First, |args| shift(args, "<<")),
    kernel(&[">>"], &[Input::Integral, Input::Int], 2, Output::First, |args| shift(args, ">>")),
    kernel(&[">>>"], &[Input::Integral, Input::Int], 2, Output::First, |args| shift(args, ">>>")),
];

fn arithmetic(call: Call, op: Operator, mode: Option<Mode>, named: bool) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let mode = mode.unwrap_or(call.evaluation().mode);
    let shown = named.then(|| call.sql_as(call.name));
    let (left, right) = call.two()?;
    arithmetic::resolve(op, left, right, mode, shown, conf)
}

fn add(call: Call) -> Result<TypedExpr> {
    if call.args.len() == 1 {
        return positive(call);
    }
    arithmetic(call, Operator::Add, None, false)
}

fn subtract(call: Call) -> Result<TypedExpr> {
    if call.args.len() == 1 {
        return minus(call);
    }
    arithmetic(call, Operator::Subtract, None, false)
}

fn multiply(call: Call) -> Result<TypedExpr> {
    arithmetic(call, Operator::Multiply, None, false)
}

fn divide(call: Call) -> Result<TypedExpr> {
    arithmetic(call, Operator::Divide, None, false)
}

fn remainder(call: Call) -> Result<TypedExpr> {
    arithmetic(call, Operator::Remainder, None, false)
}

fn modulo(call: Call) -> Result<TypedExpr> {
    arithmetic(call, Operator::Remainder, None, true)
}

fn integral_divide(call: Call) -> Result<TypedExpr> {
    arithmetic(call, Operator::IntegralDivide, None, false)
}

fn pmod(call: Call) -> Result<TypedExpr> {
    arithmetic(call, Operator::Pmod, None, true)
}

fn try_add(call: Call) -> Result<TypedExpr> {
    arithmetic(call, Operator::Add, Some(Mode::Try), true)
}

fn try_subtract(call: Call) -> Result<TypedExpr> {
    arithmetic(call, Operator::Subtract, Some(Mode::Try), true)
}

fn try_multiply(call: Call) -> Result<TypedExpr> {
    arithmetic(call, Operator::Multiply, Some(Mode::Try), true)
}

fn try_divide(call: Call) -> Result<TypedExpr> {
    arithmetic(call, Operator::Divide, Some(Mode::Try), true)
}

fn try_mod(call: Call) -> Result<TypedExpr> {
    arithmetic(call, Operator::Remainder, Some(Mode::Try), true)
}

fn minus(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let child = call.one()?;
    let shown = format!("(- {})", child.sql);
    arithmetic::negate(child, shown, conf)
}

fn negative(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let shown = call.sql_as("negative");
    arithmetic::negate(call.one()?, shown, conf)
}

fn positive(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let child = call.one()?;
    let sql = format!("(+ {})", child.sql);
    let t = child.data_type().clone();
    let child = match t {
        DataType::Utf8 | DataType::Null => implicit_cast(child, &DataType::Float64, conf)?,
        t if coercion::is_numeric(&t) || coercion::is_interval(&t) => child,
        _ => {
            let required =
                "(\"NUMERIC\" or \"INTERVAL DAY TO SECOND\" or \"INTERVAL YEAR TO MONTH\" or \"INTERVAL\")";
            return Err(super::unexpected_input(&sql, 0, required, &child));
        }
    };
    let (t, nullable) = (child.data_type().clone(), child.nullable());
    Ok(TypedExpr::new(child.expr, t, nullable, sql))
}

fn compare(call: Call, op: Df, symbol: &str) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let (left, right) = call.two()?;
    comparison::compare(op, symbol, left, right, conf)
}

fn equal(call: Call) -> Result<TypedExpr> {
    compare(call, Df::Eq, "=")
}

fn not_equal(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    comparison::not(compare(call, Df::Eq, "=")?, conf)
}

fn null_safe_equal(call: Call) -> Result<TypedExpr> {
    compare(call, Df::IsNotDistinctFrom, "<=>")
}

fn equal_null(call: Call) -> Result<TypedExpr> {
    let sql = call.sql_as("equal_null");
    let expr = compare(call, Df::IsNotDistinctFrom, "<=>")?;
    Ok(TypedExpr { sql: sql.clone(), name: sql, ..expr })
}

fn less(call: Call) -> Result<TypedExpr> {
    compare(call, Df::Lt, "<")
}

fn less_or_equal(call: Call) -> Result<TypedExpr> {
    compare(call, Df::LtEq, "<=")
}

fn greater(call: Call) -> Result<TypedExpr> {
    compare(call, Df::Gt, ">")
}

fn greater_or_equal(call: Call) -> Result<TypedExpr> {
    compare(call, Df::GtEq, ">=")
}

fn between(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let sql = call.sql_as("between");
    let mut args = call.args.into_iter();
    let (Some(value), Some(low), Some(high)) = (args.next(), args.next(), args.next()) else {
        return Err(SparkError::internal("between without its arguments"));
    };
    let low = comparison::compare(Df::GtEq, ">=", value.clone(), low, conf)?;
    let high = comparison::compare(Df::LtEq, "<=", value, high, conf)?;
    let both = comparison::logical(Df::And, low, high, conf)?;
    Ok(TypedExpr { sql: sql.clone(), name: sql, ..both })
}

fn and(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let (left, right) = call.two()?;
    comparison::logical(Df::And, left, right, conf)
}

fn or(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let (left, right) = call.two()?;
    comparison::logical(Df::Or, left, right, conf)
}

fn not(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    comparison::not(call.one()?, conf)
}

fn in_list(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let mut args = call.args.into_iter();
    let Some(value) = args.next() else { return Err(SparkError::internal("in without a value")) };
    comparison::in_list(value, args.collect(), conf)
}

fn is_null(call: Call) -> Result<TypedExpr> {
    let child = call.one()?;
    let sql = format!("({} IS NULL)", child.sql);
    Ok(TypedExpr::new(Expr::IsNull(Box::new(child.expr)), DataType::Boolean, false, sql))
}

fn is_not_null(call: Call) -> Result<TypedExpr> {
    let child = call.one()?;
    let sql = format!("({} IS NOT NULL)", child.sql);
    Ok(TypedExpr::new(Expr::IsNotNull(Box::new(child.expr)), DataType::Boolean, false, sql))
}

/// `&`, `|`, `^` on integers of one type.
fn bitwise(call: Call, op: Df, symbol: &str) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let (left, right) = call.two()?;
    let sql = format!("({} {symbol} {})", left.sql, right.sql);
    let read = |side: &TypedExpr, other: &TypedExpr| match side.data_type() {
        DataType::Utf8 if coercion::is_integral(other.data_type()) => {
            implicit_cast(side.clone(), &DataType::Int64, conf)
        }
        _ => Ok(side.clone()),
    };
    let (left, right) = (read(&left, &right)?, read(&right, &left)?);
    let quoted = |e: &TypedExpr| format!("\"{}\"", crate::types::sql_name(e.data_type()));
    let fits = |t: &DataType| coercion::is_integral(t) || *t == DataType::Null;
    let common = coercion::tightest_common(left.data_type(), right.data_type(), conf.ansi)
        .map(|t| if t == DataType::Null { DataType::Int32 } else { t });
    match common {
        Some(to) if fits(left.data_type()) && fits(right.data_type()) => {
            let (left, right) = (implicit_cast(left, &to, conf)?, implicit_cast(right, &to, conf)?);
            let nullable = left.nullable() || right.nullable();
            Ok(TypedExpr::new(comparison::binary(op, left.expr, right.expr), to, nullable, sql))
        }
        common => {
            let same = common.is_some() && coercion::same_type(left.data_type(), right.data_type());
            let class = if same {
                "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE"
            } else {
                "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES"
            };
            Err(SparkError::new(class)
                .with("sqlExpr", format!("\"{sql}\""))
                .with("inputType", "\"INTEGRAL\"")
                .with("actualDataType", quoted(&left))
                .with("left", quoted(&left))
                .with("right", quoted(&right)))
        }
    }
}

fn bit_and(call: Call) -> Result<TypedExpr> {
    bitwise(call, Df::BitwiseAnd, "&")
}

fn bit_or(call: Call) -> Result<TypedExpr> {
    bitwise(call, Df::BitwiseOr, "|")
}

fn bit_xor(call: Call) -> Result<TypedExpr> {
    bitwise(call, Df::BitwiseXor, "^")
}

fn bit_not(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let child = call.one()?;
    let sql = format!("~{}", child.sql);
    let Some(child) = Input::Integral.coerce(child.clone(), conf) else {
        return Err(super::unexpected_input(&sql, 0, "\"INTEGRAL\"", &child));
    };
    let (t, nullable) = (child.data_type().clone(), child.nullable());
    let complement: Kernel = |args| {
        let array = args.array(0)?;
        let flip = |v: i64| !v;
        integral(&array, args, |_, v| flip(v))
    };
    let expr = kernel_call(
        "~",
        complement,
        vec![child.expr],
        t.clone(),
        nullable,
        Evaluation::of(conf).with_mode(Mode::Ansi),
    );
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// Applies `f` to each value widened to 64 bits, then narrows it back.
fn integral(array: &ArrayRef, args: &Args, f: impl Fn(usize, i64) -> i64) -> Result<ArrayRef> {
    use datafusion::arrow::array::AsArray;
    match array.data_type() {
        DataType::Int8 => {
            let a = array.as_primitive::<Int8Type>();
            args.build::<Int8Type>(|row| Ok(Some(f(row, i64::from(a.value(row))) as i8)))
        }
        DataType::Int16 => {
            let a = array.as_primitive::<Int16Type>();
            args.build::<Int16Type>(|row| Ok(Some(f(row, i64::from(a.value(row))) as i16)))
        }
        DataType::Int32 => {
            let a = array.as_primitive::<Int32Type>();
            args.build::<Int32Type>(|row| Ok(Some(f(row, i64::from(a.value(row))) as i32)))
        }
        _ => {
            let a = args.primitives::<Int64Type>(0)?;
            args.build::<Int64Type>(|row| Ok(Some(f(row, a.value(row)))))
        }
    }
}

/// Java's shifts: the distance is taken modulo the width (32 bits below bigint).
fn shift(args: &Args, op: &str) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let distance = args.primitives::<Int32Type>(1)?;
    let wide = *array.data_type() == DataType::Int64;
    integral(&array, args, |row, v| {
        let by = distance.value(row).cast_unsigned();
        if wide {
            match op {
                "<<" => v.wrapping_shl(by),
                ">>" => v.wrapping_shr(by),
                _ => v.cast_unsigned().wrapping_shr(by).cast_signed(),
            }
        } else {
            let v = v as i32;
            i64::from(match op {
                "<<" => v.wrapping_shl(by),
                ">>" => v.wrapping_shr(by),
                _ => v.cast_unsigned().wrapping_shr(by).cast_signed(),
            })
        }
    })
}
