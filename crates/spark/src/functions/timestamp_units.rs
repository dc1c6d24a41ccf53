//! `timestampadd(HOUR, 3, t)` and `timestampdiff(HOUR, a, b)`: calendar arithmetic by a named unit.
//!
//! Days and longer are counted on the wall clock of the session's zone; so are the hours between two instants,
//! as Spark does.

use datafusion::arrow::{
    array::ArrayRef,
    datatypes::{DataType, Int64Type, TimestampMicrosecondType},
};
use millstream_engine::{Result, SparkError, format::datetime_text::date_of, time::Zone};

use super::{Args, Call, Function, coerce, custom, exprs, kernel_call};
use crate::{
    expression::{
        Input, TypedExpr,
        cast::datetime::{MICROS_PER_DAY, MICROS_PER_SECOND},
        datetime_arithmetic as calendar,
    },
    types,
};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["timestampadd"], 3, 3, |call| {
        let time = call.args.get(2).map(|time| time.data_type().clone());
        let result =
            if time == Some(types::timestamp_ntz()) { types::timestamp_ntz() } else { types::timestamp() };
        resolve(call, &[Input::String, Input::Long, Input::AnyTimestamp], result)
    }),
    custom(&["timestampdiff"], 3, 3, |call| {
        resolve(call, &[Input::String, Input::Timestamp, Input::Timestamp], DataType::Int64)
    }),
];

/// What a unit counts.
#[derive(Clone, Copy)]
enum Unit {
    Months(i64),
    Micros(i64),
}

impl Unit {
    fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "YEAR" => Unit::Months(12),
            "QUARTER" => Unit::Months(3),
            "MONTH" => Unit::Months(1),
            "WEEK" => Unit::Micros(7 * MICROS_PER_DAY),
            "DAY" | "DAYOFYEAR" => Unit::Micros(MICROS_PER_DAY),
            "HOUR" => Unit::Micros(3600 * MICROS_PER_SECOND),
            "MINUTE" => Unit::Micros(60 * MICROS_PER_SECOND),
            "SECOND" => Unit::Micros(MICROS_PER_SECOND),
            "MILLISECOND" => Unit::Micros(1000),
            "MICROSECOND" => Unit::Micros(1),
            _ => return None,
        })
    }

    /// `micros` moved by so many of the unit.
    fn add(self, micros: i64, quantity: i64, zone: Zone) -> Option<i64> {
        match self {
            Unit::Months(months) => {
                let months = i32::try_from(quantity.checked_mul(months)?).ok()?;
                calendar::add_to_instant(micros, months, 0, 0, zone)
            }
            Unit::Micros(each) => {
                let total = quantity.checked_mul(each)?;
                let days = i32::try_from(total / MICROS_PER_DAY).ok()?;
                calendar::add_to_instant(micros, 0, days, total % MICROS_PER_DAY, zone)
            }
        }
    }

    /// How many whole units lie between two local times.
    fn between(self, start: i64, end: i64) -> i64 {
        match self {
            Unit::Micros(each) => end.saturating_sub(start) / each,
            Unit::Months(each) => whole_months(start, end) / each,
        }
    }
}

/// Whole months between two local times, towards zero.
fn whole_months(start: i64, end: i64) -> i64 {
    let split = |local: i64| {
        let (year, month, day) = date_of(i32::try_from(local.div_euclid(MICROS_PER_DAY)).unwrap_or(0));
        (i64::from(year) * 12 + i64::from(month), i64::from(day), local.rem_euclid(MICROS_PER_DAY))
    };
    let ((from, from_day, from_time), (to, to_day, to_time)) = (split(start), split(end));
    let months = to - from;
    let order = (to_day, to_time).cmp(&(from_day, from_time));
    match months {
        1.. if order.is_lt() => months - 1,
        ..=-1 if order.is_gt() => months + 1,
        _ => months,
    }
}

fn resolve(call: Call, inputs: &[Input], result: DataType) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let name = call.name.to_string();
    let sql = call.sql_as(&name);
    let args = coerce(call.args, inputs, &sql, conf)?;
    let nullable = args.iter().any(TypedExpr::nullable);
    let kernel = if name == "timestampadd" { add } else { difference };
    let expr = kernel_call(&name, kernel, exprs(&args), result.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, result, nullable, sql))
}

fn unit(name: &str, function: &str) -> Result<Unit> {
    Unit::parse(name).ok_or_else(|| {
        SparkError::new("INVALID_PARAMETER_VALUE.DATETIME_UNIT")
            .with("parameter", "`unit`")
            .with("functionName", format!("`{function}`"))
            .with("invalidValue", format!("'{name}'"))
    })
}

fn add(args: &Args) -> Result<ArrayRef> {
    let (units, quantities) = (args.strings(0)?, args.primitives::<Int64Type>(1)?);
    let times = args.primitives::<TimestampMicrosecondType>(2)?;
    let local = *args.return_type == types::timestamp_ntz();
    let zone = if local { Zone::UTC } else { args.evaluation.zone };
    args.build::<TimestampMicrosecondType>(|row| {
        let (name, quantity) = (units.value(row), quantities.value(row));
        unit(name, "TIMESTAMPADD")?.add(times.value(row), quantity, zone).map(Some).ok_or_else(|| {
            SparkError::new("DATETIME_OVERFLOW")
                .with("operation", format!("add {quantity}L {name} to a TIMESTAMP"))
        })
    })
}

fn difference(args: &Args) -> Result<ArrayRef> {
    let units = args.strings(0)?;
    let (start, end) =
        (args.primitives::<TimestampMicrosecondType>(1)?, args.primitives::<TimestampMicrosecondType>(2)?);
    let zone = args.evaluation.zone;
    args.build::<Int64Type>(|row| {
        let (from, to) = (zone.to_local(start.value(row)), zone.to_local(end.value(row)));
        Ok(Some(unit(units.value(row), "TIMESTAMPDIFF")?.between(from, to)))
    })
}
