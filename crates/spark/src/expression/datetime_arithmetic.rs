//! `+ - * /` with dates, timestamps and intervals.
//!
//! Days and months are counted on the wall clock of the session's zone, so a day added
//! across a change of daylight saving time keeps the hour.

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray},
        datatypes::{
            DataType, Date32Type, DurationMicrosecondType, Float64Type, Int32Type, IntervalMonthDayNanoType,
            IntervalUnit, IntervalYearMonthType, TimeUnit, TimestampMicrosecondType,
        },
    },
    common::ScalarValue,
};
use millstream_engine::{
    Result, SparkError,
    format::datetime_text::{date_of, days_of},
    time::Zone,
};

use super::{
    TypedExpr,
    arithmetic::{Operator, overflow},
    cast::{datetime::MICROS_PER_DAY, implicit_cast},
    coercion::{is_decimal, is_numeric},
};
use crate::{
    SessionConf,
    functions::{Args, Evaluation, Kernel, Mode, kernel_call},
    types,
};

const YEAR_MONTH: DataType = DataType::Interval(IntervalUnit::YearMonth);
const CALENDAR: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const DAY_TIME: DataType = DataType::Duration(TimeUnit::Microsecond);

/// `left op right` where one is a date, timestamp or interval; `None` when no rule fits.
pub(super) fn resolve(
    op: Operator,
    left: &TypedExpr,
    right: &TypedExpr,
    mode: Mode,
    sql: &str,
    conf: &SessionConf,
) -> Result<Option<TypedExpr>> {
    use DataType as T;
    use Operator as O;
    let evaluation = Evaluation::of(conf).with_mode(mode);
    let nullable = left.nullable() || right.nullable() || mode == Mode::Try;
    let make = |name: &str, kernel: Kernel, l: &TypedExpr, r: &TypedExpr, t: DataType, sql: String| {
        let expr =
            kernel_call(name, kernel, vec![l.expr.clone(), r.expr.clone()], t.clone(), nullable, evaluation);
        Ok(Some(TypedExpr::new(expr, t, nullable, sql)))
    };
    let bare = format!("{} {} {}", left.sql, op.symbol(), right.sql);
    let (a, b) = (left.data_type(), right.data_type());
    // An addition with the interval first is the same, shown in the order written.
    let (time, interval) = match (a, b) {
        (t, T::Date32 | T::Timestamp(..)) if op == O::Add && !matches!(t, T::Date32 | T::Timestamp(..)) => {
            (right, left)
        }
        _ => (left, right),
    };
    match (op, time.data_type(), interval.data_type()) {
        (O::Add | O::Subtract, T::Date32, T::Int8 | T::Int16 | T::Int32) => {
            let days = implicit_cast(interval.clone(), &T::Int32, conf)?;
            let (name, kernel): (_, Kernel) =
                if op == O::Add { ("date_add", date_add) } else { ("date_sub", date_sub) };
            make(name, kernel, time, &days, T::Date32, format!("{name}({}, {})", time.sql, interval.sql))
        }
        (O::Add | O::Subtract, T::Date32, t) if *t == DAY_TIME && is_whole_days(interval) => {
            let (name, kernel): (_, Kernel) = if op == O::Add {
                ("date_add_days", add_interval)
            } else {
                ("date_sub_days", subtract_interval)
            };
            let shown = format!(
                "date_{}({}, extractansiintervaldays({}))",
                if op == O::Add { "add" } else { "sub" },
                time.sql,
                interval.sql
            );
            make(name, kernel, time, interval, T::Date32, shown)
        }
        (O::Add | O::Subtract, T::Date32 | T::Timestamp(..), t)
            if [YEAR_MONTH, DAY_TIME, CALENDAR].contains(t) =>
        {
            // A date and a time of day make a timestamp.
            let time = match time.data_type() {
                T::Date32 if *t == DAY_TIME => implicit_cast(time.clone(), &types::timestamp(), conf)?,
                _ => time.clone(),
            };
            let (name, kernel): (_, Kernel) =
                if op == O::Add { ("time_add", add_interval) } else { ("time_sub", subtract_interval) };
            let result = time.data_type().clone();
            make(name, kernel, &time, interval, result, bare)
        }
        (O::Subtract, T::Date32, T::Date32) => {
            make("subtract_dates", subtract_dates, left, right, DAY_TIME, sql.to_string())
        }
        (O::Subtract, T::Date32 | T::Timestamp(..) | T::Utf8, T::Date32 | T::Timestamp(..) | T::Utf8) => {
            let to = match (a, b) {
                (T::Timestamp(_, None), T::Timestamp(_, None)) => types::timestamp_ntz(),
                _ => types::timestamp(),
            };
            let (left, right) =
                (implicit_cast(left.clone(), &to, conf)?, implicit_cast(right.clone(), &to, conf)?);
            make("subtract_timestamps", subtract_timestamps, &left, &right, DAY_TIME, sql.to_string())
        }
        (O::Add | O::Subtract, x, y) if x == y && [YEAR_MONTH, DAY_TIME].contains(x) => {
            let (name, kernel): (_, Kernel) = if op == O::Add {
                ("interval_add", add_intervals)
            } else {
                ("interval_sub", subtract_intervals)
            };
            make(name, kernel, left, right, x.clone(), sql.to_string())
        }
        (O::Multiply | O::Divide, x, y)
            if [YEAR_MONTH, DAY_TIME].contains(x) && (is_numeric(y) || *y == T::Utf8) =>
        {
            scale(op, left, right, sql, make, conf)
        }
        (O::Multiply, x, y) if [YEAR_MONTH, DAY_TIME].contains(y) && is_numeric(x) => {
            scale(op, right, left, sql, make, conf)
        }
        _ => Ok(None),
    }
}

/// An interval times or divided by a number.
fn scale(
    op: Operator,
    interval: &TypedExpr,
    number: &TypedExpr,
    sql: &str,
    make: impl Fn(&str, Kernel, &TypedExpr, &TypedExpr, DataType, String) -> Result<Option<TypedExpr>>,
    conf: &SessionConf,
) -> Result<Option<TypedExpr>> {
    if is_decimal(number.data_type()) {
        return Err(SparkError::unsupported("an interval scaled by a decimal"));
    }
    let number = implicit_cast(number.clone(), &DataType::Float64, conf)?;
    let (name, kernel): (_, Kernel) = if op == Operator::Multiply {
        ("interval_mul", multiply_interval)
    } else {
        ("interval_div", divide_interval)
    };
    make(name, kernel, interval, &number, interval.data_type().clone(), sql.to_string())
}

/// `INTERVAL n DAY`: added to a date it leaves a date.
///
/// Spark differs: it looks at the interval's declared fields, here a literal of whole days
/// counts as one of days.
fn is_whole_days(interval: &TypedExpr) -> bool {
    matches!(interval.literal(), Some(ScalarValue::DurationMicrosecond(Some(v))) if v % MICROS_PER_DAY == 0)
}

/// `days` moved by months on the calendar; the last day of a month is the limit.
pub(crate) fn add_months(days: i32, months: i32) -> Option<i32> {
    let (year, month, day) = date_of(days);
    let total = i64::from(year) * 12 + i64::from(month) - 1 + i64::from(months);
    let (year, month) =
        (i32::try_from(total.div_euclid(12)).ok()?, u32::try_from(total.rem_euclid(12)).ok()? + 1);
    days_of(year, month, day.min(days_in_month(year, month)))
}

pub(crate) fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// An instant moved by months, then days, then microseconds, all on `zone`'s wall clock but
/// the last.
pub(crate) fn add_to_instant(micros: i64, months: i32, days: i32, rest: i64, zone: Zone) -> Option<i64> {
    let mut out = micros;
    if months != 0 || days != 0 {
        let local = zone.to_local(micros);
        let date = i32::try_from(local.div_euclid(MICROS_PER_DAY)).ok()?;
        let moved = i64::from(add_months(date, months)?) + i64::from(days);
        out = zone.to_utc(moved.checked_mul(MICROS_PER_DAY)?.checked_add(local.rem_euclid(MICROS_PER_DAY))?);
    }
    out.checked_add(rest)
}

/// Months, days and microseconds of row `row`, none of them for a null.
fn parts(interval: &ArrayRef, row: usize) -> (i32, i32, i64) {
    match interval.data_type() {
        DataType::Interval(IntervalUnit::YearMonth) => {
            (interval.as_primitive::<IntervalYearMonthType>().value(row), 0, 0)
        }
        DataType::Duration(_) => {
            let micros = interval.as_primitive::<DurationMicrosecondType>().value(row);
            (0, i32::try_from(micros / MICROS_PER_DAY).unwrap_or(0), micros % MICROS_PER_DAY)
        }
        _ => {
            let value = interval.as_primitive::<IntervalMonthDayNanoType>().value(row);
            (value.months, value.days, value.nanoseconds / 1000)
        }
    }
}

fn add_interval(args: &Args) -> Result<ArrayRef> {
    shift(args, 1)
}

fn subtract_interval(args: &Args) -> Result<ArrayRef> {
    shift(args, -1)
}

fn shift(args: &Args, sign: i32) -> Result<ArrayRef> {
    let (time, interval) = (args.array(0)?, args.array(1)?);
    let failed =
        || SparkError::new("DATETIME_OVERFLOW").with("operation", "add an interval to a date or timestamp");
    let tolerant = args.evaluation.mode == Mode::Try;
    let signed = |row: usize| {
        let (months, days, rest) = parts(&interval, row);
        (months.wrapping_mul(sign), days.wrapping_mul(sign), rest.wrapping_mul(i64::from(sign)))
    };
    match time.data_type() {
        DataType::Date32 => {
            let dates = time.as_primitive::<Date32Type>();
            args.build::<Date32Type>(|row| {
                let (months, days, rest) = signed(row);
                if rest != 0 && args.evaluation.ansi() {
                    return Err(SparkError::new("INVALID_INTERVAL_WITH_MICROSECONDS_ADDITION")
                        .with("ansiConfig", crate::conf::ANSI_CONFIG));
                }
                let moved = add_months(dates.value(row), months).and_then(|d| d.checked_add(days));
                if moved.is_none() && !tolerant { Err(failed()) } else { Ok(moved) }
            })
        }
        DataType::Timestamp(_, own) => {
            let zone = if own.is_some() { args.evaluation.zone } else { Zone::UTC };
            let instants = time.as_primitive::<TimestampMicrosecondType>();
            args.build::<TimestampMicrosecondType>(|row| {
                let (months, days, rest) = signed(row);
                let moved = add_to_instant(instants.value(row), months, days, rest, zone);
                if moved.is_none() && !tolerant { Err(failed()) } else { Ok(moved) }
            })
        }
        other => Err(SparkError::internal(format!("an interval added to {other}"))),
    }
}

pub(crate) fn date_add(args: &Args) -> Result<ArrayRef> {
    let (dates, days) = (args.primitives::<Date32Type>(0)?, args.primitives::<Int32Type>(1)?);
    args.build::<Date32Type>(|row| Ok(Some(dates.value(row).wrapping_add(days.value(row)))))
}

pub(crate) fn date_sub(args: &Args) -> Result<ArrayRef> {
    let (dates, days) = (args.primitives::<Date32Type>(0)?, args.primitives::<Int32Type>(1)?);
    args.build::<Date32Type>(|row| Ok(Some(dates.value(row).wrapping_sub(days.value(row)))))
}

fn subtract_dates(args: &Args) -> Result<ArrayRef> {
    let (a, b) = (args.primitives::<Date32Type>(0)?, args.primitives::<Date32Type>(1)?);
    args.build::<DurationMicrosecondType>(|row| {
        let days = i64::from(a.value(row)) - i64::from(b.value(row));
        days.checked_mul(MICROS_PER_DAY).map(Some).ok_or_else(|| overflow("long overflow", ""))
    })
}

fn subtract_timestamps(args: &Args) -> Result<ArrayRef> {
    let left = args.array(0)?;
    let (a, b) =
        (args.primitives::<TimestampMicrosecondType>(0)?, args.primitives::<TimestampMicrosecondType>(1)?);
    let zone = if matches!(left.data_type(), DataType::Timestamp(_, Some(_))) {
        args.evaluation.zone
    } else {
        Zone::UTC
    };
    args.build::<DurationMicrosecondType>(|row| {
        // Spark counts on the wall clock.
        let difference = zone.to_local(a.value(row)).checked_sub(zone.to_local(b.value(row)));
        difference.map(Some).ok_or_else(|| overflow("long overflow", ""))
    })
}

fn add_intervals(args: &Args) -> Result<ArrayRef> {
    combine(args, i32::checked_add, i64::checked_add)
}

fn subtract_intervals(args: &Args) -> Result<ArrayRef> {
    combine(args, i32::checked_sub, i64::checked_sub)
}

fn interval_overflow(args: &Args, function: &str) -> Result<()> {
    if args.evaluation.mode == Mode::Try {
        return Ok(());
    }
    Err(SparkError::new("INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION")
        .with("functionName", format!("`{function}`")))
}

fn combine(
    args: &Args,
    months: fn(i32, i32) -> Option<i32>,
    micros: fn(i64, i64) -> Option<i64>,
) -> Result<ArrayRef> {
    if *args.return_type == YEAR_MONTH {
        let (a, b) =
            (args.primitives::<IntervalYearMonthType>(0)?, args.primitives::<IntervalYearMonthType>(1)?);
        return args.build::<IntervalYearMonthType>(|row| match months(a.value(row), b.value(row)) {
            None => interval_overflow(args, "try_add").map(|()| None),
            some => Ok(some),
        });
    }
    let (a, b) =
        (args.primitives::<DurationMicrosecondType>(0)?, args.primitives::<DurationMicrosecondType>(1)?);
    args.build::<DurationMicrosecondType>(|row| match micros(a.value(row), b.value(row)) {
        None => interval_overflow(args, "try_add").map(|()| None),
        some => Ok(some),
    })
}

fn multiply_interval(args: &Args) -> Result<ArrayRef> {
    scaled(args, |value, by| value * by)
}

fn divide_interval(args: &Args) -> Result<ArrayRef> {
    let by = args.primitives::<Float64Type>(1)?;
    if args.evaluation.mode != Mode::Try && by.iter().flatten().any(|v| v == 0.0) {
        return Err(SparkError::new("INTERVAL_DIVIDED_BY_ZERO"));
    }
    scaled(args, |value, by| value / by)
}

/// Rounds half up, as Spark scales intervals.
fn scaled(args: &Args, f: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let by = args.primitives::<Float64Type>(1)?;
    let fit = |value: f64, limit: f64| {
        let rounded = value.round();
        if rounded.is_finite() && rounded.abs() <= limit {
            Ok(Some(rounded))
        } else {
            interval_overflow(args, "try_multiply").map(|()| None)
        }
    };
    if *args.return_type == YEAR_MONTH {
        let interval = args.primitives::<IntervalYearMonthType>(0)?;
        return args.build::<IntervalYearMonthType>(|row| {
            let value = f(f64::from(interval.value(row)), by.value(row));
            Ok(fit(value, f64::from(i32::MAX))?.map(|v| v as i32))
        });
    }
    let interval = args.primitives::<DurationMicrosecondType>(0)?;
    args.build::<DurationMicrosecondType>(|row| {
        let value = f(interval.value(row) as f64, by.value(row));
        Ok(fit(value, i64::MAX as f64)?.map(|v| v as i64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_end_at_the_last_day() {
        let day = |y, m, d| days_of(y, m, d).unwrap();
        assert_eq!(add_months(day(2024, 1, 31), 1), Some(day(2024, 2, 29)));
        assert_eq!(add_months(day(2024, 2, 29), 12), Some(day(2025, 2, 28)));
        assert_eq!(add_months(day(2024, 1, 15), -13), Some(day(2022, 12, 15)));
    }

    #[test]
    fn a_day_added_over_a_change_of_time_keeps_the_hour() {
        let zone = Zone::parse("America/Los_Angeles").unwrap();
        // 2024-03-09 12:00 PST, the day before clocks go forward.
        let noon = zone.to_utc(i64::from(days_of(2024, 3, 9).unwrap()) * MICROS_PER_DAY + MICROS_PER_DAY / 2);
        assert_eq!(add_to_instant(noon, 0, 1, 0, zone), Some(noon + MICROS_PER_DAY - 3_600_000_000));
    }
}
