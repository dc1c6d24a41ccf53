//! Decimals: the type of a result, and the kernels, in 128 bits or, where those do not do, in 256.

use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, PrimitiveArray, PrimitiveBuilder},
    datatypes::{DataType, Decimal128Type, Int64Type, i256},
};
use millstream_engine::{Result, SparkError, format::value_text::write_decimal};

use super::super::coercion;
use crate::functions::Args;

use super::{Operator, overflow, zero_divisor};

/// Spark's result type of a decimal operation (`allowPrecisionLoss`).
pub(super) fn decimal_result(op: Operator, (p1, s1): (u8, i8), (p2, s2): (u8, i8)) -> DataType {
    let (p1, s1, p2, s2) = (i16::from(p1), i16::from(s1), i16::from(p2), i16::from(s2));
    let scale = s1.max(s2);
    match op {
        Operator::Add | Operator::Subtract => coercion::adjusted((p1 - s1).max(p2 - s2) + scale + 1, scale),
        Operator::Multiply => coercion::adjusted(p1 + p2 + 1, s1 + s2),
        Operator::Divide => {
            let scale = (s1 + p2 + 1).max(6);
            coercion::adjusted(p1 - s1 + s2 + scale, scale)
        }
        Operator::Remainder | Operator::Pmod => coercion::adjusted((p1 - s1).min(p2 - s2) + scale, scale),
        Operator::IntegralDivide => DataType::Int64,
    }
}

pub(super) fn decimal(args: &Args, op: Operator, s1: i8, s2: i8) -> Result<ArrayRef> {
    let (left, right) = (args.primitives::<Decimal128Type>(0)?, args.primitives::<Decimal128Type>(1)?);
    let ansi = args.evaluation.ansi();
    if op == Operator::IntegralDivide {
        return decimal_integral_divide(args, &left, &right, s1, s2);
    }
    let DataType::Decimal128(precision, scale) = *args.return_type else {
        return Err(SparkError::internal("a decimal operation without decimal result"));
    };
    let limit = 10u128.checked_pow(u32::from(precision)).unwrap_or(u128::MAX);
    let mut out =
        PrimitiveBuilder::<Decimal128Type>::with_capacity(args.rows).with_data_type(args.return_type.clone());
    for (a, b) in left.iter().zip(right.iter()) {
        let Some((a, b)) = a.zip(b) else {
            out.append_null();
            continue;
        };
        if op.divides() && b == 0 {
            if ansi {
                return Err(zero_divisor(op));
            }
            out.append_null();
            continue;
        }
        let exact = small(op, a, s1, b, s2, scale).or_else(|| large(op, a, s1, b, s2, scale));
        match exact.filter(|v| v.unsigned_abs() < limit) {
            Some(value) => out.append_value(value),
            None if ansi => return Err(decimal_overflow(op, a, s1, b, s2, precision, scale)),
            None => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn ten(exponent: i32) -> Option<i128> {
    10i128.checked_pow(u32::try_from(exponent).ok()?)
}

/// The result at `scale` in 128 bits, `None` where that does not suffice.
fn small(op: Operator, a: i128, s1: i8, b: i128, s2: i8, scale: i8) -> Option<i128> {
    let (s1, s2, scale) = (i32::from(s1), i32::from(s2), i32::from(scale));
    match op {
        Operator::Add | Operator::Subtract => {
            let (a, b) = (a.checked_mul(ten(scale - s1)?)?, b.checked_mul(ten(scale - s2)?)?);
            if op == Operator::Add { a.checked_add(b) } else { a.checked_sub(b) }
        }
        Operator::Multiply => {
            let product = a.checked_mul(b)?;
            round(product, ten(s1 + s2 - scale)?)
        }
        Operator::Divide => {
            let shift = scale - s1 + s2;
            let (dividend, divisor) =
                if shift >= 0 { (a.checked_mul(ten(shift)?)?, b) } else { (a, b.checked_mul(ten(-shift)?)?) };
            round(dividend, divisor)
        }
        _ => {
            let common = s1.max(s2);
            let (a, b) = (a.checked_mul(ten(common - s1)?)?, b.checked_mul(ten(common - s2)?)?);
            let rest = a.checked_rem(b)?;
            let rest =
                if op == Operator::Pmod && rest < 0 { (rest.checked_add(b)?).checked_rem(b)? } else { rest };
            round(rest, ten(common - scale)?)
        }
    }
}

/// `dividend / divisor`, rounded half up (away from zero).
fn round(dividend: i128, divisor: i128) -> Option<i128> {
    if divisor == 1 {
        return Some(dividend);
    }
    let (quotient, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    let up = rest.unsigned_abs() >= divisor.unsigned_abs() - rest.unsigned_abs();
    if rest != 0 && up {
        quotient.checked_add(if (dividend < 0) == (divisor < 0) { 1 } else { -1 })
    } else {
        Some(quotient)
    }
}

/// The same in 256 bits.
fn large(op: Operator, a: i128, s1: i8, b: i128, s2: i8, scale: i8) -> Option<i128> {
    let (s1, s2, scale) = (i32::from(s1), i32::from(s2), i32::from(scale));
    let (a, b) = (i256::from_i128(a), i256::from_i128(b));
    let wide = |exponent: i32| i256::from_i128(10).checked_pow(u32::try_from(exponent).ok()?);
    let (dividend, divisor) = match op {
        Operator::Add | Operator::Subtract => {
            let common = s1.max(s2);
            let (a, b) = (a.checked_mul(wide(common - s1)?)?, b.checked_mul(wide(common - s2)?)?);
            let sum = if op == Operator::Add { a.checked_add(b)? } else { a.checked_sub(b)? };
            if common >= scale {
                (sum, wide(common - scale)?)
            } else {
                (sum.checked_mul(wide(scale - common)?)?, i256::ONE)
            }
        }
        Operator::Multiply => (a.checked_mul(b)?, wide(s1 + s2 - scale)?),
        Operator::Divide => {
            let shift = scale - s1 + s2;
            if shift >= 0 { (a.checked_mul(wide(shift)?)?, b) } else { (a, b.checked_mul(wide(-shift)?)?) }
        }
        _ => {
            let common = s1.max(s2);
            let (a, b) = (a.checked_mul(wide(common - s1)?)?, b.checked_mul(wide(common - s2)?)?);
            let mut rest = a.checked_rem(b)?;
            if op == Operator::Pmod && rest.is_negative() {
                rest = rest.checked_add(b)?.checked_rem(b)?;
            }
            (rest, wide(common - scale)?)
        }
    };
    let (quotient, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    let quotient = if rest != i256::ZERO && twice >= divisor.wrapping_abs() {
        let one = if dividend.is_negative() == divisor.is_negative() { i256::ONE } else { i256::MINUS_ONE };
        quotient.checked_add(one)?
    } else {
        quotient
    };
    quotient.to_i128()
}

fn decimal_overflow(op: Operator, a: i128, s1: i8, b: i128, s2: i8, precision: u8, scale: i8) -> SparkError {
    // The exact result in as many digits as 38 allow.
    let mut shown = String::new();
    let exact_scale = match op {
        Operator::Multiply => s1 + s2,
        _ => s1.max(s2),
    };
    let value = (0..=exact_scale).rev().find_map(|s| large(op, a, s1, b, s2, s).map(|v| (v, s)));
    match value {
        Some((value, s)) => write_decimal(value, i32::from(s), true, &mut shown),
        None => {
            write_decimal(a, i32::from(s1), true, &mut shown);
            shown.push_str(&format!(" {} ", op.symbol()));
            write_decimal(b, i32::from(s2), true, &mut shown);
        }
    }
    SparkError::new("NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION")
        .with("value", shown)
        .with("precision", precision.to_string())
        .with("scale", scale.to_string())
        .with("config", "\"spark.sql.ansi.enabled\"")
}

fn decimal_integral_divide(
    args: &Args,
    left: &PrimitiveArray<Decimal128Type>,
    right: &PrimitiveArray<Decimal128Type>,
    s1: i8,
    s2: i8,
) -> Result<ArrayRef> {
    let ansi = args.evaluation.ansi();
    let common = i32::from(s1.max(s2));
    let scaled = |v: i128, s: i8| {
        i256::from_i128(10)
            .checked_pow(u32::try_from(common - i32::from(s)).ok()?)
            .and_then(|unit| i256::from_i128(v).checked_mul(unit))
    };
    let mut out = PrimitiveBuilder::<Int64Type>::with_capacity(args.rows);
    for (a, b) in left.iter().zip(right.iter()) {
        let Some((a, b)) = a.zip(b) else {
            out.append_null();
            continue;
        };
        if b == 0 {
            if ansi {
                return Err(zero_divisor(Operator::IntegralDivide));
            }
            out.append_null();
            continue;
        }
        let quotient = scaled(a, s1).zip(scaled(b, s2)).and_then(|(a, b)| a.checked_div(b)?.to_i128());
        match quotient.and_then(|q| i64::try_from(q).ok()) {
            Some(value) => out.append_value(value),
            None if ansi => return Err(overflow("Overflow in integral divide", "try_divide")),
            // Java's narrowing of the whole quotient.
            None => out.append_option(quotient.map(|q| q as i64)),
        }
    }
    Ok(Arc::new(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_results_follow_sparks_precision_rules() {
        let d = DataType::Decimal128;
        assert_eq!(decimal_result(Operator::Add, (10, 2), (10, 2)), d(11, 2));
        assert_eq!(decimal_result(Operator::Multiply, (10, 2), (10, 2)), d(21, 4));
        assert_eq!(decimal_result(Operator::Divide, (10, 2), (10, 2)), d(23, 13));
        assert_eq!(decimal_result(Operator::Multiply, (38, 18), (38, 18)), d(38, 6));
        assert_eq!(decimal_result(Operator::Divide, (38, 18), (38, 18)), d(38, 6));
    }

    #[test]
    fn division_rounds_half_up_in_both_widths() {
        for (a, b, expected) in [(1, 3, 333), (2, 3, 667), (-1, 2, -500), (1, 2, 500), (-2, 3, -667)] {
            assert_eq!(small(Operator::Divide, a, 0, b, 0, 3), Some(expected));
            assert_eq!(large(Operator::Divide, a, 0, b, 0, 3), Some(expected));
        }
    }
}
