//! How old a row of one side may be and still meet new rows of the other: Spark's
//! `StreamingJoinHelper.getStateValueWatermark`.
//!
//! A condition `other + c < own` is solved for `own` with the watermark in place of `other`:
//! kept rows at or below the solution never match again. Spark's arithmetic is kept to the
//! letter (in doubles), for it decides in which batch rows leave.
//! What cannot be solved bounds nothing.

use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::{Column, DFSchema, ExprSchema, ScalarValue},
    logical_expr::{BinaryExpr, Expr, Operator, utils::split_conjunction},
};

use crate::{plan::watermark_delay, time::Millis};

const MICROS_PER_DAY: f64 = 86_400_000_000.0;

/// The least of what the conditions of a join say about one side.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueBound {
    limits: Vec<Limit>,
}

/// One solved condition: `own > sum of the others`, or `>=`.
#[derive(Debug, Clone, PartialEq)]
struct Limit {
    terms: Vec<Term>,
    /// The condition holds for equal times too.
    inclusive: bool,
}

/// Part of a sum, in microseconds.
#[derive(Debug, Clone, PartialEq)]
struct Term {
    value: Value,
    negative: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Column(Column),
    /// The event time of the other side.
    Watermark,
    /// An interval.
    Micros(f64),
    /// A number of this type, taken for seconds.
    Seconds(DataType, f64),
}

impl ValueBound {
    /// What `condition` says about how old rows of `own` can be, given that `other` has an
    /// event time; `None` when it says nothing.
    pub fn of<'a>(
        condition: impl IntoIterator<Item = &'a Expr>,
        own: &DFSchema,
        other: &DFSchema,
    ) -> Option<Self> {
        if !other.fields().iter().any(|f| watermark_delay(f).is_some()) {
            return None;
        }
        let conjuncts = condition.into_iter().flat_map(split_conjunction);
        let limits: Vec<Limit> = conjuncts.filter_map(|c| limit(c, own, other)).collect();
        (!limits.is_empty()).then_some(Self { limits })
    }

    /// The time up to which kept rows may go when the watermark is `watermark`.
    pub fn at(&self, watermark: Millis) -> Millis {
        let least = self.limits.iter().map(|limit| limit.at(watermark)).min();
        Millis(least.unwrap_or(i64::MIN))
    }
}

impl Limit {
    fn at(&self, watermark: Millis) -> i64 {
        let mut micros = 0.0;
        for term in &self.terms {
            let value = match &term.value {
                Value::Watermark => watermark.0 as f64 * 1000.0,
                Value::Micros(micros) => *micros,
                Value::Seconds(_, seconds) => seconds * 1_000_000.0,
                Value::Column(_) => 0.0,
            };
            micros += if term.negative { -value } else { value };
        }
        // Towards zero and saturating, as in Spark.
        let millis = (micros / 1000.0) as i64;
        millis.saturating_sub(i64::from(self.inclusive))
    }
}

/// Solves one comparison for the only column of `own` in it.
fn limit(predicate: &Expr, own: &DFSchema, other: &DFSchema) -> Option<Limit> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = predicate else { return None };
    let (less, more, inclusive) = match op {
        Operator::Lt => (left, right, false),
        Operator::LtEq => (left, right, true),
        Operator::Gt => (right, left, false),
        Operator::GtEq => (right, left, true),
        _ => return None,
    };
    let mut terms = Vec::new();
    collect(less, false, &mut terms)?;
    collect(more, true, &mut terms)?;
    let of = |side: &DFSchema| {
        let mut columns: Vec<&Column> = less.column_refs().into_iter().chain(more.column_refs()).collect();
        columns.retain(|c| side.has_column(c));
        columns.sort_unstable();
        columns.dedup();
        columns.len()
    };
    if of(own) > 1 || of(other) > 1 {
        return None;
    }
    let is_own = |term: &Term| matches!(&term.value, Value::Column(c) if own.has_column(c));
    let mut of_own = terms.iter().filter(|t| is_own(t));
    match (of_own.next(), of_own.next()) {
        // Only `.. < own` bounds it from below.
        (Some(Term { negative: true, .. }), None) => {}
        _ => return None,
    }
    terms.retain(|t| !is_own(t));
    for term in &mut terms {
        if let Value::Column(column) = &term.value {
            let marked = other.field_from_column(column).is_ok_and(|f| watermark_delay(f).is_some());
            if !marked {
                return None;
            }
            term.value = Value::Watermark;
        }
    }
    (!terms.is_empty()).then_some(Limit { terms, inclusive })
}

/// Adds the terms of a sum; `None` when `expr` is no sum.
fn collect(expr: &Expr, negative: bool, terms: &mut Vec<Term>) -> Option<()> {
    let add = |terms: &mut Vec<Term>, value: Value| {
        terms.push(Term { value, negative });
        Some(())
    };
    match expr {
        Expr::Alias(alias) => collect(&alias.expr, negative, terms),
        Expr::Column(column) => add(terms, Value::Column(column.clone())),
        Expr::Literal(value, _) => add(terms, literal(value)?),
        Expr::Negative(inner) => collect(inner, !negative, terms),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) => {
            collect(left, negative, terms)?;
            collect(right, negative, terms)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
            collect(left, negative, terms)?;
            collect(right, !negative, terms)
        }
        Expr::Cast(cast) if keeps_time(cast.field.data_type()) => collect(&cast.expr, negative, terms),
        Expr::ScalarFunction(call) => match (call.name(), call.args.as_slice()) {
            ("+" | "time_add" | "interval_add", [left, right]) => {
                collect(left, negative, terms)?;
                collect(right, negative, terms)
            }
            // Spark adds the negative interval, a literal of its own.
            ("time_sub", [left, Expr::Literal(interval, _)]) => {
                collect(left, negative, terms)?;
                let Value::Micros(micros) = literal(interval)? else { return None };
                add(terms, Value::Micros(-micros))
            }
            ("-" | "time_sub" | "interval_sub", [left, right]) => {
                collect(left, negative, terms)?;
                collect(right, !negative, terms)
            }
            ("negative", [inner]) => collect(inner, !negative, terms),
            ("normalize_float", [inner]) => collect(inner, negative, terms),
            ("cast", [inner]) => {
                if !keeps_time(&call.func.return_type(&[]).ok()?) {
                    return None;
                }
                collect(inner, negative, terms)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whether a cast to this type still is an instant or a number of seconds.
fn keeps_time(to: &DataType) -> bool {
    to.is_numeric() || matches!(to, DataType::Timestamp(TimeUnit::Microsecond, Some(_)))
}

fn literal(value: &ScalarValue) -> Option<Value> {
    match value {
        ScalarValue::DurationMicrosecond(Some(micros)) => Some(Value::Micros(*micros as f64)),
        ScalarValue::IntervalMonthDayNano(Some(i)) if i.months == 0 => {
            Some(Value::Micros(f64::from(i.days) * MICROS_PER_DAY + i.nanoseconds as f64 / 1000.0))
        }
        number if number.data_type().is_numeric() && !number.is_null() => {
            match number.cast_to(&DataType::Float64).ok()? {
                ScalarValue::Float64(Some(seconds)) => Some(Value::Seconds(number.data_type(), seconds)),
                _ => None,
            }
        }
        // Months have no length; of instants Spark makes no sense.
        _ => None,
    }
}

#[cfg(test)]
mod tests;
