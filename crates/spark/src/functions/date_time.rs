//! Dates and timestamps: now, text, numbers, zones, and calendar arithmetic.

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray},
        datatypes::{
            DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
        },
    },
    common::ScalarValue,
};
use millstream_engine::{
    Result, SparkError,
    format::{date_pattern::DatePattern, datetime_text::date_of},
    plan::batch_timestamp,
    time::Zone,
};

use super::{
    Args, Call, Function, Kernel, Mode, Output, coerce, custom,
    date_fields::{weekday, zone_of},
    exprs, kernel, kernel_call, unexpected_input,
};
use crate::{
    expression::{
        Input, TypedExpr,
        cast::{
            self,
            datetime::{MICROS_PER_DAY, MICROS_PER_SECOND},
        },
        coercion, datetime_arithmetic as calendar, implicit_cast, literal,
    },
    types,
};

use Input::{Date, Days, Int, Long, String as Str, Timestamp, TimestampNtz};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["current_timestamp"], 0, 0, current_timestamp),
    custom(&["now"], 0, 0, current_timestamp),
    custom(&["current_date", "curdate"], 0, 0, current_date),
    custom(&["localtimestamp"], 0, 0, local_timestamp),
    custom(&["current_timezone"], 0, 0, |call| {
        let zone = literal::string(&call.resolver.conf.time_zone_id);
        Ok(TypedExpr::new(zone.expr, DataType::Utf8, false, "current_timezone()"))
    }),
    custom(&["to_timestamp", "to_timestamp_ltz"], 1, 2, |call| to_timestamp(call, types::timestamp(), false)),
    custom(&["to_timestamp_ntz"], 1, 2, |call| to_timestamp(call, types::timestamp_ntz(), false)),
    custom(&["try_to_timestamp"], 1, 2, |call| to_timestamp(call, types::timestamp(), true)),
    custom(&["to_date"], 1, 2, |call| to_timestamp(call, DataType::Date32, false)),
    custom(&["try_to_date"], 1, 2, |call| to_timestamp(call, DataType::Date32, true)),
    kernel(&["date_format"], &[Input::AnyTimestamp, Str], 2, Output::String, date_format),
    custom(&["unix_timestamp"], 0, 2, unix_timestamp),
    custom(&["to_unix_timestamp"], 1, 2, unix_timestamp),
    custom(&["from_unixtime"], 1, 2, from_unixtime),
    custom(&["timestamp_seconds"], 1, 1, timestamp_seconds),
    kernel(&["timestamp_millis"], &[Long], 1, Output::Timestamp, |args| {
        from_epoch(args, 1000, "milliseconds")
    }),
    kernel(&["timestamp_micros"], &[Long], 1, Output::Timestamp, |args| from_epoch(args, 1, "microseconds")),
    kernel(&["unix_seconds"], &[Timestamp], 1, Output::Long, |args| since_epoch(args, MICROS_PER_SECOND)),
    kernel(&["unix_millis"], &[Timestamp], 1, Output::Long, |args| since_epoch(args, 1000)),
    kernel(&["unix_micros"], &[Timestamp], 1, Output::Long, |args| since_epoch(args, 1)),
    kernel(&["unix_date"], &[Date], 1, Output::Int, |args| {
        Ok(std::sync::Arc::new(args.primitives::<Date32Type>(0)?.unary::<_, Int32Type>(|d| d)))
    }),
    kernel(&["date_from_unix_date"], &[Int], 1, Output::Date, |args| {
        Ok(std::sync::Arc::new(args.primitives::<Int32Type>(0)?.unary::<_, Date32Type>(|d| d)))
    }),
    kernel(&["date_add"], &[Date, Days], 2, Output::Date, calendar::date_add),
    custom(&["dateadd"], 2, 3, |call| match call.args.len() {
        2 => super::call(Call { name: "date_add", ..call }),
        _ => Err(SparkError::unsupported("`dateadd` with a unit")),
    }),
    kernel(&["date_sub"], &[Date, Days], 2, Output::Date, calendar::date_sub),
    kernel(&["datediff"], &[Date, Date], 2, Output::Int, date_diff),
    kernel(&["date_diff"], &[Date, Date], 2, Output::Int, date_diff),
    kernel(&["add_months"], &[Date, Int], 2, Output::Date, |args| {
        let (dates, months) = (args.primitives::<Date32Type>(0)?, args.primitives::<Int32Type>(1)?);
        args.build::<Date32Type>(|row| {
            calendar::add_months(dates.value(row), months.value(row))
                .map(Some)
                .ok_or_else(|| SparkError::new("DATETIME_OVERFLOW").with("operation", "add months to a date"))
        })
    }),
    custom(&["months_between"], 2, 3, months_between),
    kernel(&["next_day"], &[Date, Str], 2, Output::Date, next_day).may_be_null(),
    kernel(&["to_utc_timestamp"], &[Timestamp, Str], 2, Output::Timestamp, |args| {
        let (micros, zones) = (args.primitives::<TimestampMicrosecondType>(0)?, args.strings(1)?);
        args.build::<TimestampMicrosecondType>(|row| {
            Ok(Some(zone(zones.value(row))?.to_utc(micros.value(row))))
        })
    }),
    kernel(&["from_utc_timestamp"], &[Timestamp, Str], 2, Output::Timestamp, |args| {
        let (micros, zones) = (args.primitives::<TimestampMicrosecondType>(0)?, args.strings(1)?);
        args.build::<TimestampMicrosecondType>(|row| {
            Ok(Some(zone(zones.value(row))?.to_local(micros.value(row))))
        })
    }),
    kernel(&["convert_timezone"], &[Str, Str, TimestampNtz], 3, Output::TimestampNtz, |args| {
        let (from, to) = (args.strings(0)?, args.strings(1)?);
        let local = args.primitives::<TimestampMicrosecondType>(2)?;
        args.build::<TimestampMicrosecondType>(|row| {
            let instant = zone(from.value(row))?.to_utc(local.value(row));
            Ok(Some(zone(to.value(row))?.to_local(instant)))
        })
    }),
];

pub(super) fn zone(id: &str) -> Result<Zone> {
    Zone::parse(id).ok_or_else(|| SparkError::new("INVALID_TIMEZONE").with("timeZone", id))
}

/// The instant of the query or micro-batch, the same for every row.
fn current_timestamp(call: Call) -> Result<TypedExpr> {
    let shown = format!("{}()", call.name);
    Ok(TypedExpr::new(batch_timestamp(), types::timestamp(), false, shown))
}

fn current_date(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let now = TypedExpr::new(batch_timestamp(), types::timestamp(), false, "");
    let date = implicit_cast(now, &DataType::Date32, conf)?;
    Ok(TypedExpr::new(date.expr, DataType::Date32, false, "current_date()"))
}

fn local_timestamp(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let now = TypedExpr::new(batch_timestamp(), types::timestamp(), false, "");
    let local = implicit_cast(now, &types::timestamp_ntz(), conf)?;
    Ok(TypedExpr::new(local.expr, types::timestamp_ntz(), false, "localtimestamp()"))
}

/// `to_timestamp(x)`, `to_date(x)`: a cast; with a pattern the text is parsed by it.
fn to_timestamp(call: Call, to: DataType, tolerant: bool) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let sql = call.sql_as(call.name);
    let mode = if tolerant { Mode::Try } else { call.evaluation().mode };
    let evaluation = call.evaluation().with_mode(mode);
    let mut args = call.args.into_iter();
    let (Some(source), pattern) = (args.next(), args.next()) else {
        return Err(SparkError::internal("to_timestamp without its argument"));
    };
    let parses = pattern.is_some() && matches!(source.data_type(), DataType::Utf8);
    if !parses {
        let t = source.data_type();
        let fits = coercion::is_datetime(t)
            || matches!(t, DataType::Utf8 | DataType::Null)
            || (coercion::is_numeric(t) && to == types::timestamp());
        if !fits {
            let required = "(\"STRING\" or \"DATE\" or \"TIMESTAMP\" or \"TIMESTAMP_NTZ\")";
            return Err(unexpected_input(&sql, 0, required, &source));
        }
        let cast = cast::explicit_cast(source, &to, mode, conf)?;
        return Ok(TypedExpr { name: sql.clone(), sql, named: false, ..cast });
    }
    let Some(pattern) = pattern.and_then(|p| Str.coerce(p, conf)) else {
        return Err(SparkError::unsupported("a date pattern that is no string"));
    };
    let nullable = source.nullable() || pattern.nullable() || mode != Mode::Ansi;
    let args = vec![source.expr, pattern.expr];
    let name = match to {
        DataType::Date32 => "parse_date",
        DataType::Timestamp(_, None) => "parse_timestamp_ntz",
        _ => "parse_timestamp",
    };
    let expr = kernel_call(name, parse_kernel, args, to.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, to, nullable, sql))
}

/// The pattern of the last row, compiled.
#[derive(Default)]
struct Compiled {
    last: Option<(String, DatePattern)>,
}

impl Compiled {
    fn get(&mut self, pattern: &str, compile: fn(&str) -> Result<DatePattern>) -> Result<&DatePattern> {
        if self.last.as_ref().is_none_or(|(known, _)| known != pattern) {
            self.last = Some((pattern.to_string(), compile(pattern)?));
        }
        match &self.last {
            Some((_, pattern)) => Ok(pattern),
            None => Err(SparkError::internal("no pattern")),
        }
    }
}

fn unparsable(text: &str, function: &str) -> SparkError {
    SparkError::new("CANNOT_PARSE_TIMESTAMP")
        .with("message", format!("Text '{text}' could not be parsed"))
        .with("func", format!("`{function}`"))
}

fn parse_kernel(args: &Args) -> Result<ArrayRef> {
    let (texts, patterns) = (args.strings(0)?, args.strings(1)?);
    let mut compiled = Compiled::default();
    let ansi = args.evaluation.ansi();
    let zone = args.evaluation.zone;
    if *args.return_type == DataType::Date32 {
        return args.build::<Date32Type>(|row| {
            let pattern = compiled.get(patterns.value(row), DatePattern::parser)?;
            match pattern.parse_timestamp(texts.value(row), zone) {
                None if ansi => Err(unparsable(texts.value(row), "try_to_date")),
                found => Ok(found.map(|micros| cast::datetime::date_of(micros, zone))),
            }
        });
    }
    let local = matches!(args.return_type, DataType::Timestamp(_, None));
    args.build::<TimestampMicrosecondType>(|row| {
        let pattern = compiled.get(patterns.value(row), DatePattern::parser)?;
        let text = texts.value(row);
        let found =
            if local { pattern.parse_timestamp_ntz(text, true) } else { pattern.parse_timestamp(text, zone) };
        if found.is_none() && ansi { Err(unparsable(text, "try_to_timestamp")) } else { Ok(found) }
    })
}

fn date_format(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let micros = array.as_primitive::<TimestampMicrosecondType>();
    let local = matches!(array.data_type(), DataType::Timestamp(_, None));
    let patterns = args.strings(1)?;
    let zone = zone_of(args, &array);
    let mut compiled = Compiled::default();
    args.build_strings(|row, out| {
        let pattern = compiled.get(patterns.value(row), DatePattern::formatter)?;
        if local {
            pattern.format_timestamp_ntz(micros.value(row), out)?;
        } else {
            pattern.format_timestamp(micros.value(row), zone, out)?;
        }
        Ok(true)
    })
}

const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

/// `unix_timestamp([x, [pattern]])`: whole seconds since the epoch.
fn unix_timestamp(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let evaluation = call.evaluation();
    let name = call.name;
    let mut args = call.args.into_iter();
    let source = args.next().unwrap_or_else(|| {
        TypedExpr::new(batch_timestamp(), types::timestamp(), false, "current_timestamp()")
    });
    let pattern = args.next().unwrap_or_else(|| literal::string(DEFAULT_PATTERN));
    let sql = format!("{name}({}, {})", source.sql, pattern.sql);
    let instant = match source.data_type() {
        DataType::Utf8 => {
            let pattern = Str
                .coerce(pattern, conf)
                .ok_or_else(|| SparkError::unsupported("a date pattern that is no string"))?;
            let nullable = source.nullable() || pattern.nullable() || !conf.ansi;
            let args = vec![source.expr, pattern.expr];
            let expr =
                kernel_call("parse_timestamp", parse_kernel, args, types::timestamp(), nullable, evaluation);
            TypedExpr::new(expr, types::timestamp(), nullable, "")
        }
        t if coercion::is_datetime(t) || *t == DataType::Null => {
            implicit_cast(source, &types::timestamp(), conf)?
        }
        _ => {
            let required = "(\"STRING\" or \"DATE\" or \"TIMESTAMP\" or \"TIMESTAMP_NTZ\")";
            return Err(unexpected_input(&sql, 0, required, &source));
        }
    };
    let nullable = instant.nullable();
    // Spark divides toward zero here.
    let f: Kernel = |args| {
        let micros = args.primitives::<TimestampMicrosecondType>(0)?;
        Ok(std::sync::Arc::new(micros.unary::<_, Int64Type>(|m| m / MICROS_PER_SECOND)))
    };
    let expr = kernel_call("unix_timestamp", f, vec![instant.expr], DataType::Int64, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Int64, nullable, sql))
}

fn from_unixtime(mut call: Call) -> Result<TypedExpr> {
    if call.args.len() == 1 {
        call.args.push(literal::string(DEFAULT_PATTERN));
    }
    let conf = call.resolver.conf;
    let evaluation = call.evaluation();
    let sql = call.sql_as("from_unixtime");
    let args = coerce(call.args, &[Long, Str], &sql, conf)?;
    let nullable = args.iter().any(TypedExpr::nullable);
    let f: Kernel = |args| {
        let (seconds, patterns) = (args.primitives::<Int64Type>(0)?, args.strings(1)?);
        let mut compiled = Compiled::default();
        args.build_strings(|row, out| {
            let micros = seconds.value(row).wrapping_mul(MICROS_PER_SECOND);
            let pattern = compiled.get(patterns.value(row), DatePattern::formatter)?;
            pattern.format_timestamp(micros, args.evaluation.zone, out)?;
            Ok(true)
        })
    };
    let expr = kernel_call("from_unixtime", f, exprs(&args), DataType::Utf8, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Utf8, nullable, sql))
}

/// `timestamp_seconds(x)`: fractions count down to microseconds.
fn timestamp_seconds(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("timestamp_seconds");
    let child = call.one()?;
    let to = match child.data_type() {
        t if coercion::is_integral(t) => DataType::Int64,
        DataType::Decimal128(p, s) => DataType::Decimal128(*p, *s),
        DataType::Float32 | DataType::Float64 | DataType::Utf8 | DataType::Null => DataType::Float64,
        _ => return Err(unexpected_input(&sql, 0, "\"NUMERIC\"", &child)),
    };
    let child = implicit_cast(child, &to, conf)?;
    let nullable = child.nullable() || to == DataType::Float64;
    let f: Kernel = |args| {
        let array = args.array(0)?;
        match array.data_type() {
            DataType::Int64 => from_epoch(args, MICROS_PER_SECOND, "seconds"),
            DataType::Float64 => {
                let seconds = array.as_primitive::<Float64Type>();
                args.build::<TimestampMicrosecondType>(|row| {
                    let v = seconds.value(row);
                    Ok(v.is_finite().then_some((v * 1e6) as i64))
                })
            }
            DataType::Decimal128(_, s) => {
                let scale = *s;
                let seconds = array.as_primitive::<Decimal128Type>();
                args.build::<TimestampMicrosecondType>(|row| {
                    cast::number::rescale(seconds.value(row), scale, 38, 6)
                        .and_then(|v| i64::try_from(v).ok())
                        .map(Some)
                        .ok_or_else(|| {
                            SparkError::new("DATETIME_OVERFLOW")
                                .with("operation", "create a TIMESTAMP from seconds")
                        })
                })
            }
            other => Err(SparkError::internal(format!("timestamp_seconds of {other}"))),
        }
    };
    let expr =
        kernel_call("timestamp_seconds", f, vec![child.expr], types::timestamp(), nullable, evaluation);
    Ok(TypedExpr::new(expr, types::timestamp(), nullable, sql))
}

fn from_epoch(args: &Args, unit: i64, name: &str) -> Result<ArrayRef> {
    let values = args.primitives::<Int64Type>(0)?;
    args.build::<TimestampMicrosecondType>(|row| {
        let value = values.value(row);
        value.checked_mul(unit).map(Some).ok_or_else(|| {
            SparkError::new("DATETIME_OVERFLOW")
                .with("operation", format!("create a TIMESTAMP from {value}L {name} since the epoch"))
        })
    })
}

fn since_epoch(args: &Args, unit: i64) -> Result<ArrayRef> {
    let micros = args.primitives::<TimestampMicrosecondType>(0)?;
    Ok(std::sync::Arc::new(micros.unary::<_, Int64Type>(|m| m.div_euclid(unit))))
}

fn date_diff(args: &Args) -> Result<ArrayRef> {
    let (end, start) = (args.primitives::<Date32Type>(0)?, args.primitives::<Date32Type>(1)?);
    args.build::<Int32Type>(|row| Ok(Some(end.value(row).wrapping_sub(start.value(row)))))
}

/// `months_between(a, b, [round])`: whole months where both are the same or the last day.
fn months_between(mut call: Call) -> Result<TypedExpr> {
    if call.args.len() == 2 {
        let yes = datafusion::logical_expr::Expr::Literal(ScalarValue::Boolean(Some(true)), None);
        call.args.push(TypedExpr::new(yes, DataType::Boolean, false, "true"));
    }
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("months_between");
    let args = coerce(call.args, &[Timestamp, Timestamp, Input::Boolean], &sql, conf)?;
    let nullable = args.iter().any(TypedExpr::nullable);
    let f: Kernel = |args| {
        let (a, b) = (
            args.primitives::<TimestampMicrosecondType>(0)?,
            args.primitives::<TimestampMicrosecondType>(1)?,
        );
        let rounds = args.booleans(2)?;
        let zone = args.evaluation.zone;
        args.build::<Float64Type>(|row| {
            Ok(Some(between(a.value(row), b.value(row), zone, rounds.value(row))))
        })
    };
    let expr = kernel_call("months_between", f, exprs(&args), DataType::Float64, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Float64, nullable, sql))
}

/// Months between two instants on `zone`'s calendar, a month having 31 days. The time of
/// day is what has passed since midnight.
fn between(a: i64, b: i64, zone: Zone, rounds: bool) -> f64 {
    let split = |micros: i64| {
        let days = zone.to_local(micros).div_euclid(MICROS_PER_DAY);
        let (year, month, day) = date_of(i32::try_from(days).unwrap_or(0));
        let last = day == calendar::days_in_month(year, month);
        let passed = micros - zone.to_utc(days * MICROS_PER_DAY);
        (i64::from(year) * 12 + i64::from(month), i64::from(day), last, passed / MICROS_PER_SECOND)
    };
    let ((months_a, day_a, last_a, seconds_a), (months_b, day_b, last_b, seconds_b)) = (split(a), split(b));
    let months = (months_a - months_b) as f64;
    if day_a == day_b || (last_a && last_b) {
        return months;
    }
    let seconds = (day_a - day_b) * 86_400 + seconds_a - seconds_b;
    let difference = months + seconds as f64 / (31.0 * 86_400.0);
    if rounds { (difference * 1e8).round() / 1e8 } else { difference }
}

fn next_day(args: &Args) -> Result<ArrayRef> {
    let (dates, names) = (args.primitives::<Date32Type>(0)?, args.strings(1)?);
    args.build::<Date32Type>(|row| {
        let wanted = match names.value(row).to_ascii_uppercase().as_str() {
            "MO" | "MON" | "MONDAY" => 0,
            "TU" | "TUE" | "TUESDAY" => 1,
            "WE" | "WED" | "WEDNESDAY" => 2,
            "TH" | "THU" | "THURSDAY" => 3,
            "FR" | "FRI" | "FRIDAY" => 4,
            "SA" | "SAT" | "SATURDAY" => 5,
            "SU" | "SUN" | "SUNDAY" => 6,
            _ if args.evaluation.ansi() => {
                return Err(SparkError::new("ILLEGAL_DAY_OF_WEEK").with("string", names.value(row)));
            }
            _ => return Ok(None),
        };
        let from = dates.value(row);
        Ok(Some(from + (wanted - weekday(from) + 6).rem_euclid(7) + 1))
    })
}

pub(super) fn out_of_bounds(message: String) -> SparkError {
    SparkError::new("DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION").with("rangeMessage", message)
}
