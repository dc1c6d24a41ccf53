//! Parts of dates and times: `year`, `hour`, `trunc`, `date_trunc`, `extract`, ...

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Date32Type, Decimal128Type, Int32Type, TimestampMicrosecondType},
};
use millstream_engine::{
    Result, SparkError,
    format::datetime_text::{date_of, days_of},
    time::Zone,
};

use super::{
    Args, Call, Function, Kernel, Output, custom, kernel, kernel_call, literal_text, unexpected_input,
};
use crate::expression::{
    Input, TypedExpr,
    cast::datetime::{MICROS_PER_DAY, MICROS_PER_SECOND},
    datetime_arithmetic::days_in_month,
};

use Input::{AnyTimestamp, Date, String as Str, Timestamp};

pub(super) const FUNCTIONS: &[Function] = &[
    kernel(&["year"], &[Date], 1, Output::Int, |args| of_date(args, year)),
    kernel(&["quarter"], &[Date], 1, Output::Int, |args| of_date(args, quarter)),
    kernel(&["month"], &[Date], 1, Output::Int, |args| of_date(args, month)),
    kernel(&["day"], &[Date], 1, Output::Int, |args| of_date(args, day)),
    kernel(&["dayofmonth"], &[Date], 1, Output::Int, |args| of_date(args, day)),
    kernel(&["dayofweek"], &[Date], 1, Output::Int, |args| of_date(args, |days| (weekday(days) + 1) % 7 + 1)),
    kernel(&["weekday"], &[Date], 1, Output::Int, |args| of_date(args, weekday)),
    kernel(&["dayofyear"], &[Date], 1, Output::Int, |args| of_date(args, day_of_year)),
    kernel(&["weekofyear"], &[Date], 1, Output::Int, |args| of_date(args, week)),
    kernel(&["dayname"], &[Date], 1, Output::String, |args| name(args, |days| DAYS[index(weekday(days), 7)])),
    kernel(&["monthname"], &[Date], 1, Output::String, |args| {
        name(args, |days| MONTHS[index(month(days) - 1, 12)])
    }),
    kernel(&["hour"], &[AnyTimestamp], 1, Output::Int, |args| of_time(args, hour)),
    kernel(&["minute"], &[AnyTimestamp], 1, Output::Int, |args| of_time(args, minute)),
    kernel(&["second"], &[AnyTimestamp], 1, Output::Int, |args| of_time(args, second)),
    kernel(&["last_day"], &[Date], 1, Output::Date, |args| {
        let dates = args.primitives::<Date32Type>(0)?;
        args.build::<Date32Type>(|row| {
            let (year, month, _) = date_of(dates.value(row));
            Ok(days_of(year, month, days_in_month(year, month)))
        })
    }),
    kernel(&["trunc"], &[Date, Str], 2, Output::Date, trunc).may_be_null(),
    kernel(&["date_trunc"], &[Str, Timestamp], 2, Output::Timestamp, date_trunc).may_be_null(),
    custom(&["extract", "datepart"], 2, 2, |call| extract(call, true)),
    custom(&["date_part"], 2, 2, |call| extract(call, false)),
];

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn index(value: i32, limit: usize) -> usize {
    usize::try_from(value).unwrap_or(0) % limit
}

fn of_date(args: &Args, f: impl Fn(i32) -> i32) -> Result<ArrayRef> {
    let dates = args.primitives::<Date32Type>(0)?;
    Ok(std::sync::Arc::new(dates.unary::<_, Int32Type>(f)))
}

fn name(args: &Args, f: impl Fn(i32) -> &'static str) -> Result<ArrayRef> {
    let dates = args.primitives::<Date32Type>(0)?;
    args.build_strings(|row, out| {
        out.push_str(f(dates.value(row)));
        Ok(true)
    })
}

/// The zone in which argument `i` shows its wall clock: none for timestamp_ntz.
pub(super) fn zone_of(args: &Args, array: &ArrayRef) -> Zone {
    if matches!(array.data_type(), DataType::Timestamp(_, None)) { Zone::UTC } else { args.evaluation.zone }
}

fn of_time(args: &Args, f: impl Fn(i64) -> i32) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let zone = zone_of(args, &array);
    let micros = array.as_primitive::<TimestampMicrosecondType>();
    Ok(std::sync::Arc::new(micros.unary::<_, Int32Type>(|m| f(zone.to_local(m).rem_euclid(MICROS_PER_DAY)))))
}

fn year(days: i32) -> i32 {
    date_of(days).0
}

fn month(days: i32) -> i32 {
    i32::try_from(date_of(days).1).unwrap_or(0)
}

fn day(days: i32) -> i32 {
    i32::try_from(date_of(days).2).unwrap_or(0)
}

fn quarter(days: i32) -> i32 {
    (month(days) - 1) / 3 + 1
}

/// Monday is 0.
pub(super) fn weekday(days: i32) -> i32 {
    (days.rem_euclid(7) + 3) % 7
}

fn day_of_year(days: i32) -> i32 {
    let (year, month, day) = date_of(days);
    // Within a year near 1970: the first day of the earliest one is before the first number.
    let near = 2000 + year.rem_euclid(400);
    days_of(near, month, day).zip(days_of(near, 1, 1)).map_or(0, |(day, first)| day - first + 1)
}

/// The Thursday of a day's ISO week, whose year is the week's.
fn thursday(days: i32) -> i32 {
    days.wrapping_sub(weekday(days)).wrapping_add(3)
}

fn week(days: i32) -> i32 {
    (day_of_year(thursday(days)) - 1) / 7 + 1
}

fn hour(of_day: i64) -> i32 {
    i32::try_from(of_day / (3600 * MICROS_PER_SECOND)).unwrap_or(0)
}

fn minute(of_day: i64) -> i32 {
    i32::try_from(of_day / (60 * MICROS_PER_SECOND) % 60).unwrap_or(0)
}

fn second(of_day: i64) -> i32 {
    i32::try_from(of_day / MICROS_PER_SECOND % 60).unwrap_or(0)
}

/// The first day of the unit that holds `days`, `None` for a unit that is none of dates.
fn first_day(days: i32, unit: &str) -> Option<i32> {
    let (year, month, _) = date_of(days);
    match unit {
        "YEAR" | "YYYY" | "YY" => days_of(year, 1, 1),
        "QUARTER" => days_of(year, (month - 1) / 3 * 3 + 1, 1),
        "MONTH" | "MON" | "MM" => days_of(year, month, 1),
        "WEEK" => Some(days.wrapping_sub(weekday(days))),
        _ => None,
    }
}

fn trunc(args: &Args) -> Result<ArrayRef> {
    let (dates, units) = (args.primitives::<Date32Type>(0)?, args.strings(1)?);
    args.build::<Date32Type>(|row| Ok(first_day(dates.value(row), &units.value(row).to_ascii_uppercase())))
}

fn date_trunc(args: &Args) -> Result<ArrayRef> {
    let (units, micros) = (args.strings(0)?, args.primitives::<TimestampMicrosecondType>(1)?);
    let zone = args.evaluation.zone;
    args.build::<TimestampMicrosecondType>(|row| {
        let value = micros.value(row);
        let down = |unit: i64| {
            // Offsets with seconds are part of the wall clock.
            let local = zone.to_local(value);
            Some(value - local.rem_euclid(unit))
        };
        let unit = units.value(row).to_ascii_uppercase();
        Ok(match unit.as_str() {
            "MICROSECOND" => Some(value),
            "MILLISECOND" => Some(value - value.rem_euclid(1000)),
            "SECOND" => Some(value - value.rem_euclid(MICROS_PER_SECOND)),
            "MINUTE" => down(60 * MICROS_PER_SECOND),
            "HOUR" => down(3600 * MICROS_PER_SECOND),
            unit => {
                let days = i32::try_from(zone.to_local(value).div_euclid(MICROS_PER_DAY)).unwrap_or(0);
                let first = if matches!(unit, "DAY" | "DD") { Some(days) } else { first_day(days, unit) };
                first.map(|days| zone.to_utc(i64::from(days) * MICROS_PER_DAY))
            }
        })
    })
}

/// `extract(field FROM source)`.
fn extract(call: Call, from: bool) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let called = call.name;
    let (field, source) = call.two()?;
    let sql = if from {
        format!("{called}({} FROM {})", field.sql, source.sql)
    } else {
        format!("{called}({}, {})", field.sql, source.sql)
    };
    let wanted = literal_text(&field, called, "field")?.to_ascii_uppercase();
    let date: Option<Kernel> = match wanted.as_str() {
        "YEAR" | "Y" | "YEARS" | "YR" | "YRS" => Some(|args| of_date(args, year)),
        "YEAROFWEEK" => Some(|args| of_date(args, |days| year(thursday(days)))),
        "QUARTER" | "QTR" => Some(|args| of_date(args, quarter)),
        "MONTH" | "MON" | "MONS" | "MONTHS" => Some(|args| of_date(args, month)),
        "WEEK" | "W" | "WEEKS" => Some(|args| of_date(args, week)),
        "DAY" | "D" | "DAYS" => Some(|args| of_date(args, day)),
        "DAYOFWEEK" | "DOW" => Some(|args| of_date(args, |days| (weekday(days) + 1) % 7 + 1)),
        "DAYOFWEEK_ISO" | "DOW_ISO" => Some(|args| of_date(args, |days| weekday(days) + 1)),
        "DOY" => Some(|args| of_date(args, day_of_year)),
        _ => None,
    };
    let time: Option<Kernel> = match wanted.as_str() {
        "HOUR" | "H" | "HOURS" | "HR" | "HRS" => Some(|args| of_time(args, hour)),
        "MINUTE" | "M" | "MIN" | "MINS" | "MINUTES" => Some(|args| of_time(args, minute)),
        _ => None,
    };
    let seconds = matches!(wanted.as_str(), "SECOND" | "S" | "SEC" | "SECONDS" | "SECS");
    if matches!(source.data_type(), DataType::Duration(_) | DataType::Interval(_)) {
        return Err(SparkError::unsupported("`extract` from an interval"));
    }
    let (input, f, t) = match (date, time) {
        (Some(f), _) => (Date, f, DataType::Int32),
        (_, Some(f)) => (AnyTimestamp, f, DataType::Int32),
        _ if seconds => (AnyTimestamp, seconds_with_fraction as Kernel, DataType::Decimal128(8, 6)),
        _ => {
            return Err(SparkError::new("INVALID_EXTRACT_FIELD")
                .with("field", format!("`{wanted}`"))
                .with("expr", format!("\"{}\"", source.sql)));
        }
    };
    let Some(source) = input.coerce(source.clone(), conf) else {
        return Err(unexpected_input(&sql, 1, input.described(), &source));
    };
    let nullable = source.nullable();
    let expr =
        kernel_call(&format!("extract_{wanted}"), f, vec![source.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn seconds_with_fraction(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let zone = zone_of(args, &array);
    let micros = array.as_primitive::<TimestampMicrosecondType>();
    args.build::<Decimal128Type>(|row| {
        Ok(Some(i128::from(zone.to_local(micros.value(row)).rem_euclid(60 * MICROS_PER_SECOND))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_are_those_of_iso_8601() {
        for (y, m, d, expected) in [(2024, 1, 1, 1), (2023, 1, 1, 52), (2020, 12, 31, 53), (2024, 12, 30, 1)]
        {
            assert_eq!(week(days_of(y, m, d).unwrap()), expected, "{y}-{m}-{d}");
        }
    }

    #[test]
    fn a_unit_begins_with_its_first_day() {
        let day = days_of(2024, 5, 15).unwrap();
        assert_eq!(first_day(day, "QUARTER"), days_of(2024, 4, 1));
        assert_eq!(first_day(day, "WEEK"), days_of(2024, 5, 13));
        assert_eq!(first_day(day, "DAY"), None);
    }
}
