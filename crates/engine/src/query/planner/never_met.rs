//! Conditions that no row meets, as far as Spark's optimiser sees it.

use datafusion::{
    arrow::datatypes::DataType,
    common::{DFSchema, ScalarValue},
    logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator},
};

use super::self_comparison::is_column_or_field;

/// Whether no row meets a condition; a column is never more, less or other than itself, and
/// nothing is surely outside of a list with a null.
pub(super) fn is_never(condition: &Expr, schema: &DFSchema) -> bool {
    let never_null = |e: &Expr| e.nullable(schema).is_ok_and(|nullable| !nullable);
    match condition {
        Expr::Literal(value, _) => value.is_null() || *value == ScalarValue::Boolean(Some(false)),
        Expr::IsNull(inner) => never_null(inner),
        Expr::InList(list) if list.negated => list.list.iter().any(is_null),
        Expr::Not(inner) => {
            matches!(inner.as_ref(), Expr::InList(list) if !list.negated && list.list.iter().any(is_null))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Gt | Operator::Lt | Operator::NotEq if left == right => is_column_or_field(left),
            Operator::IsNotDistinctFrom => match (left.as_ref(), right.as_ref()) {
                (e, Expr::Literal(value, _)) | (Expr::Literal(value, _), e) if value.is_null() => {
                    never_null(e)
                }
                _ => false,
            },
            _ => {
                out_of_reach(left, *op, right, schema)
                    || op.swap().is_some_and(|op| out_of_reach(right, op, left, schema))
            }
        },
        _ => false,
    }
}

/// Whether a widened integer is compared with a number that no such integer reaches, as Spark's
/// `UnwrapCastInBinaryComparison` finds.
fn out_of_reach(cast: &Expr, op: Operator, number: &Expr, schema: &DFSchema) -> bool {
    let cast = match cast {
        // Makes zeros and NaNs comparable; integers have neither.
        Expr::ScalarFunction(call) if call.name() == "normalize_float" => call.args.first(),
        other => Some(other),
    };
    let (Some(Expr::Cast(cast)), Expr::Literal(number, _)) = (cast, number) else { return false };
    let (least, most) = match cast.expr.get_type(schema) {
        Ok(DataType::Int8) => (i128::from(i8::MIN), i128::from(i8::MAX)),
        Ok(DataType::Int16) => (i128::from(i16::MIN), i128::from(i16::MAX)),
        Ok(DataType::Int32) => (i128::from(i32::MIN), i128::from(i32::MAX)),
        Ok(DataType::Int64) => (i128::from(i64::MIN), i128::from(i64::MAX)),
        _ => return false,
    };
    let Some((floor, whole)) = floor(number) else { return false };
    match op {
        Operator::Eq => !whole || floor < least || floor > most,
        Operator::Gt => floor >= most,
        Operator::GtEq => floor > most || floor == most && !whole,
        Operator::Lt => floor < least || floor == least && whole,
        Operator::LtEq => floor < least,
        _ => false,
    }
}

/// The largest integer not above a number, and whether it is the number.
fn floor(number: &ScalarValue) -> Option<(i128, bool)> {
    match number {
        ScalarValue::Int16(Some(n)) => Some((i128::from(*n), true)),
        ScalarValue::Int32(Some(n)) => Some((i128::from(*n), true)),
        ScalarValue::Int64(Some(n)) => Some((i128::from(*n), true)),
        ScalarValue::Float64(Some(n)) if !n.is_nan() => Some((n.floor() as i128, n.floor() == *n)),
        ScalarValue::Decimal128(Some(n), _, scale) => {
            let unit = 10i128.checked_pow(u32::try_from(*scale).ok()?)?;
            Some((n.div_euclid(unit), n.rem_euclid(unit) == 0))
        }
        _ => None,
    }
}

pub(super) fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::{
        arrow::datatypes::{Field, Schema},
        logical_expr::{cast, col, in_list, lit, not},
    };

    use super::*;

    #[test]
    fn what_no_row_meets() {
        let fields = vec![Field::new("i", DataType::Int32, true), Field::new("n", DataType::Int64, false)];
        let schema = DFSchema::try_from(Arc::new(Schema::new(fields)).as_ref().clone()).unwrap();
        let (i, double) = (|| col("i"), || cast(col("i"), DataType::Float64));
        let (long, null) = (|| cast(col("i"), DataType::Int64), || lit(ScalarValue::Int32(None)));
        let never = [
            lit(false),
            i().gt(i()),
            i().not_eq(i()),
            col("n").is_null(),
            in_list(i(), vec![lit(1), null()], true),
            not(in_list(i(), vec![lit(1), null()], false)),
            double().eq(lit(-11.25)),
            lit(-11.25).eq(double()),
            double().gt(lit(3e9)),
            long().eq(lit(3_000_000_000_i64)),
            long().gt(lit(i64::from(i32::MAX))),
            long().lt(lit(i64::from(i32::MIN))),
            lit(3_000_000_000_i64).lt(long()),
        ];
        for condition in never {
            assert!(is_never(&condition, &schema), "{condition}");
        }
        let sometimes = [
            lit(true),
            i().gt_eq(i()),
            i().is_null(),
            in_list(i(), vec![lit(1), null()], false),
            in_list(i(), vec![lit(1)], true),
            double().eq(lit(-11.0)),
            double().gt(lit(-11.25)),
            double().not_eq(lit(-11.25)),
            long().gt_eq(lit(i64::from(i32::MAX))),
            long().lt(lit(i64::from(i32::MIN) + 1)),
            long().lt(lit(3_000_000_000_i64)),
        ];
        for condition in sometimes {
            assert!(!is_never(&condition, &schema), "{condition}");
        }
    }
}
