//! Dates, times and intervals made of their parts.

use datafusion::arrow::{
    array::ArrayRef,
    datatypes::{
        DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Int32Type, IntervalMonthDayNano,
        IntervalMonthDayNanoType, IntervalYearMonthType, TimestampMicrosecondType,
    },
};
use millstream_engine::{Result, SparkError, format::datetime_text::days_of, time::Zone};

use super::{
    Args, Call, Function, Kernel, Mode, Output, coerce, custom,
    date_time::{out_of_bounds, zone},
    exprs, kernel, kernel_call, unexpected_input,
};
use crate::{
    expression::{
        Input, TypedExpr,
        arithmetic::overflow,
        cast::datetime::{MICROS_PER_DAY, MICROS_PER_SECOND},
        implicit_cast, literal,
    },
    types,
};

use Input::{Int, String as Str};

pub(super) const FUNCTIONS: &[Function] = &[
    kernel(&["make_date"], &[Int, Int, Int], 3, Output::Date, make_date).may_be_null(),
    custom(&["make_timestamp", "make_timestamp_ltz"], 6, 7, |call| make_timestamp(call, types::timestamp())),
    custom(&["make_timestamp_ntz"], 6, 6, |call| make_timestamp(call, types::timestamp_ntz())),
    custom(&["make_dt_interval"], 0, 4, make_dt_interval),
    custom(&["make_ym_interval"], 0, 2, make_ym_interval),
    custom(&["make_interval"], 0, 7, make_interval),
];

/// The date, or `java.time`'s reason why there is none.
fn date_or_reason(year: i32, month: i32, day: i32) -> Result<i32, String> {
    const NAMES: [&str; 12] = [
        "JANUARY",
        "FEBRUARY",
        "MARCH",
        "APRIL",
        "MAY",
        "JUNE",
        "JULY",
        "AUGUST",
        "SEPTEMBER",
        "OCTOBER",
        "NOVEMBER",
        "DECEMBER",
    ];
    if year.unsigned_abs() > 999_999_999 {
        return Err(format!("Invalid value for Year (valid values -999999999 - 999999999): {year}"));
    }
    if !(1..=12).contains(&month) {
        return Err(format!("Invalid value for MonthOfYear (valid values 1 - 12): {month}"));
    }
    if !(1..=31).contains(&day) {
        return Err(format!("Invalid value for DayOfMonth (valid values 1 - 28/31): {day}"));
    }
    let (m, d) = (month.unsigned_abs(), day.unsigned_abs());
    days_of(year, m, d).ok_or_else(|| {
        if day == 29 {
            format!("Invalid date 'February 29' as '{year}' is not a leap year")
        } else {
            let name = usize::try_from(m - 1).ok().and_then(|i| NAMES.get(i)).copied().unwrap_or_default();
            format!("Invalid date '{name} {day}'")
        }
    })
}

fn make_date(args: &Args) -> Result<ArrayRef> {
    let parts = [
        args.primitives::<Int32Type>(0)?,
        args.primitives::<Int32Type>(1)?,
        args.primitives::<Int32Type>(2)?,
    ];
    args.build::<Date32Type>(|row| {
        match date_or_reason(parts[0].value(row), parts[1].value(row), parts[2].value(row)) {
            Ok(days) => Ok(Some(days)),
            Err(reason) if args.evaluation.ansi() => Err(out_of_bounds(reason)),
            Err(_) => Ok(None),
        }
    })
}

/// `make_timestamp(year, month, day, hour, minute, seconds, [zone])`.
fn make_timestamp(call: Call, to: DataType) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as(call.name);
    let inputs = [Int, Int, Int, Int, Int, Input::Any, Str];
    let mut args = coerce(call.args, &inputs, &sql, conf)?;
    if let Some(seconds) = args.get_mut(5) {
        // Seconds carry microseconds.
        *seconds = implicit_cast(seconds.clone(), &DataType::Decimal128(16, 6), conf)?;
    }
    let nullable = args.iter().any(TypedExpr::nullable) || !conf.ansi;
    let expr =
        kernel_call("make_timestamp", make_timestamp_kernel, exprs(&args), to.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, to, nullable, sql))
}

fn make_timestamp_kernel(args: &Args) -> Result<ArrayRef> {
    let part = |i: usize| args.primitives::<Int32Type>(i);
    let (years, months, days, hours, minutes) = (part(0)?, part(1)?, part(2)?, part(3)?, part(4)?);
    let seconds = args.primitives::<Decimal128Type>(5)?;
    let zones = if args.len() > 6 { Some(args.strings(6)?) } else { None };
    let local = matches!(args.return_type, DataType::Timestamp(_, None));
    args.build::<TimestampMicrosecondType>(|row| {
        let zone = match &zones {
            Some(zones) => zone(zones.value(row))?,
            None if local => Zone::UTC,
            None => args.evaluation.zone,
        };
        let wall = (|| {
            let days = date_or_reason(years.value(row), months.value(row), days.value(row))?;
            let (hour, minute, micros) = (hours.value(row), minutes.value(row), seconds.value(row));
            if !(0..=23).contains(&hour) {
                return Err(format!("Invalid value for HourOfDay (valid values 0 - 23): {hour}"));
            }
            if !(0..=59).contains(&minute) {
                return Err(format!("Invalid value for MinuteOfHour (valid values 0 - 59): {minute}"));
            }
            let micros = i64::try_from(micros).unwrap_or(i64::MAX);
            // 60 seconds sharp are the next minute.
            if !(0..60 * MICROS_PER_SECOND).contains(&micros) && micros != 60 * MICROS_PER_SECOND {
                let second = micros.div_euclid(MICROS_PER_SECOND);
                return Err(format!("Invalid value for SecondOfMinute (valid values 0 - 59): {second}"));
            }
            let of_day = (i64::from(hour) * 60 + i64::from(minute)) * 60 * MICROS_PER_SECOND + micros;
            Ok(i64::from(days).checked_mul(MICROS_PER_DAY).and_then(|midnight| midnight.checked_add(of_day)))
        })();
        match wall {
            Ok(Some(wall)) => Ok(Some(zone.to_utc(wall))),
            Ok(None) => Err(overflow("long overflow", "")),
            Err(reason) if args.evaluation.ansi() => Err(out_of_bounds(reason)),
            Err(_) => Ok(None),
        }
    })
}

/// The arguments with missing ones as 0, in the types `inputs`.
fn padded(call: &Call, inputs: &[Input], seconds: bool) -> Result<(Vec<TypedExpr>, String)> {
    let mut args = call.args.clone();
    while args.len() < inputs.len() {
        args.push(literal::int(0));
    }
    let shown: Vec<&str> = args.iter().map(|a| a.sql.as_str()).collect();
    let sql = format!("{}({})", call.name, shown.join(", "));
    let last = inputs.len() - 1;
    let args = args
        .into_iter()
        .enumerate()
        .map(|(i, arg)| {
            if seconds && i == last {
                return implicit_cast(arg, &DataType::Decimal128(18, 6), call.resolver.conf);
            }
            let input = inputs.get(i).copied().unwrap_or(Int);
            input
                .coerce(arg.clone(), call.resolver.conf)
                .ok_or_else(|| unexpected_input(&sql, i, input.described(), &arg))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok((args, sql))
}

fn make_dt_interval(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let (args, sql) = padded(&call, &[Int, Int, Int, Int], true)?;
    let f: Kernel = |args| {
        let (days, hours, minutes) = (
            args.primitives::<Int32Type>(0)?,
            args.primitives::<Int32Type>(1)?,
            args.primitives::<Int32Type>(2)?,
        );
        let seconds = args.primitives::<Decimal128Type>(3)?;
        args.build::<DurationMicrosecondType>(|row| {
            let minutes = i128::from(days.value(row)) * 1440
                + i128::from(hours.value(row)) * 60
                + i128::from(minutes.value(row));
            i64::try_from(minutes * 60_000_000 + seconds.value(row))
                .map(Some)
                .map_err(|_| interval_overflow())
        })
    };
    let t = DataType::Duration(datafusion::arrow::datatypes::TimeUnit::Microsecond);
    let expr = kernel_call("make_dt_interval", f, exprs(&args), t.clone(), true, evaluation);
    Ok(TypedExpr::new(expr, t, true, sql))
}

fn interval_overflow() -> SparkError {
    SparkError::new("INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION")
}

fn make_ym_interval(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let (args, sql) = padded(&call, &[Int, Int], false)?;
    let nullable = args.iter().any(TypedExpr::nullable);
    let f: Kernel = |args| {
        let (years, months) = (args.primitives::<Int32Type>(0)?, args.primitives::<Int32Type>(1)?);
        args.build::<IntervalYearMonthType>(|row| {
            let total = i64::from(years.value(row)) * 12 + i64::from(months.value(row));
            i32::try_from(total).map(Some).map_err(|_| interval_overflow())
        })
    };
    let t = DataType::Interval(datafusion::arrow::datatypes::IntervalUnit::YearMonth);
    let expr = kernel_call("make_ym_interval", f, exprs(&args), t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn make_interval(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let (args, sql) = padded(&call, &[Int, Int, Int, Int, Int, Int, Int], true)?;
    let nullable = args.iter().any(TypedExpr::nullable) || evaluation.mode != Mode::Ansi;
    let f: Kernel = |args| {
        let part = |i: usize| args.primitives::<Int32Type>(i);
        let (years, months, weeks, days) = (part(0)?, part(1)?, part(2)?, part(3)?);
        let (hours, minutes, seconds) = (part(4)?, part(5)?, args.primitives::<Decimal128Type>(6)?);
        args.build::<IntervalMonthDayNanoType>(|row| {
            let wide = |v: i32| i64::from(v);
            let months = i32::try_from(wide(years.value(row)) * 12 + wide(months.value(row))).ok();
            let days = i32::try_from(wide(weeks.value(row)) * 7 + wide(days.value(row))).ok();
            let minutes = i128::from(hours.value(row)) * 60 + i128::from(minutes.value(row));
            let nanos = i64::try_from((minutes * 60_000_000 + seconds.value(row)) * 1000).ok();
            match (months, days, nanos) {
                (Some(months), Some(days), Some(nanos)) => {
                    Ok(Some(IntervalMonthDayNano::new(months, days, nanos)))
                }
                _ if args.evaluation.ansi() => Err(interval_overflow()),
                _ => Ok(None),
            }
        })
    };
    let t = DataType::Interval(datafusion::arrow::datatypes::IntervalUnit::MonthDayNano);
    let expr = kernel_call("make_interval", f, exprs(&args), t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}
