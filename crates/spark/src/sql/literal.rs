//! Literals, as Spark types them.

use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    self as proto,
    expression::{
        ExprType,
        literal::{CalendarInterval, Decimal, LiteralType},
    },
};

use super::{
    interval::{Interval, parse_interval},
    message::{call, literal},
    syntax_error,
};
use crate::functions::TIMESTAMP_LITERAL;

/// A string.
pub(super) fn string(text: &str) -> proto::Expression {
    literal(LiteralType::String(text.to_string()))
}

/// `NULL`.
pub(super) fn null() -> proto::Expression {
    literal(LiteralType::Null(proto::DataType {
        kind: Some(proto::data_type::Kind::Null(proto::data_type::Null::default())),
    }))
}

/// A number without a suffix: an int, a bigint or a decimal, whichever holds it; with an
/// exponent a double.
pub(super) fn number(digits: &str) -> Result<proto::Expression> {
    let malformed = || syntax_error(&format!("'{digits}'"));
    if digits.contains(['e', 'E']) {
        return Ok(literal(LiteralType::Double(digits.parse().map_err(|_| malformed())?)));
    }
    if digits.contains('.') {
        return decimal(digits);
    }
    if let Ok(value) = digits.parse::<i32>() {
        return Ok(literal(LiteralType::Integer(value)));
    }
    match digits.parse::<i64>() {
        Ok(value) => Ok(literal(LiteralType::Long(value))),
        Err(_) => decimal(digits),
    }
}

/// A number with a type suffix.
pub(super) fn suffixed(suffix: &str, digits: &str) -> Result<proto::Expression> {
    let out_of_range = |type_name: &str, min: String, max: String| {
        SparkError::new("INVALID_NUMERIC_LITERAL_RANGE")
            .with("rawStrippedQualifier", digits)
            .with("minValue", min)
            .with("maxValue", max)
            .with("typeName", type_name)
    };
    let malformed = || syntax_error(&format!("'{digits}{suffix}'"));
    Ok(literal(match suffix {
        "Y" => LiteralType::Byte(i32::from(
            digits
                .parse::<i8>()
                .map_err(|_| out_of_range("tinyint", i8::MIN.to_string(), i8::MAX.to_string()))?,
        )),
        "S" => LiteralType::Short(i32::from(
            digits
                .parse::<i16>()
                .map_err(|_| out_of_range("smallint", i16::MIN.to_string(), i16::MAX.to_string()))?,
        )),
        "L" => LiteralType::Long(
            digits.parse().map_err(|_| out_of_range("bigint", i64::MIN.to_string(), i64::MAX.to_string()))?,
        ),
        "D" => LiteralType::Double(digits.parse().map_err(|_| malformed())?),
        "F" => LiteralType::Float(digits.parse().map_err(|_| malformed())?),
        "BD" => return decimal(digits),
        _ => return Err(malformed()),
    }))
}

fn decimal(digits: &str) -> Result<proto::Expression> {
    let unsigned = digits.trim_start_matches('-');
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let significant = whole.trim_start_matches('0').len();
    let scale = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
    let precision = i32::try_from(significant).unwrap_or(i32::MAX).saturating_add(scale).max(1);
    if precision > 38 {
        return Err(SparkError::new("DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION")
            .with("precision", precision.to_string())
            .with("maxPrecision", "38"));
    }
    let sign = if digits.starts_with('-') { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    let value =
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
    Ok(literal(LiteralType::Decimal(Decimal { value, precision: Some(precision), scale: Some(scale) })))
}

/// A number literal's negative, where `expression` is one: `-2L` is one literal to Spark.
pub(super) fn negated(expression: &proto::Expression) -> Option<proto::Expression> {
    let Some(ExprType::Literal(value)) = &expression.expr_type else { return None };
    Some(literal(match value.literal_type.as_ref()? {
        LiteralType::Byte(v) => LiteralType::Byte(v.checked_neg()?),
        LiteralType::Short(v) => LiteralType::Short(v.checked_neg()?),
        LiteralType::Integer(v) => LiteralType::Integer(v.checked_neg()?),
        LiteralType::Long(v) => LiteralType::Long(v.checked_neg()?),
        LiteralType::Float(v) => LiteralType::Float(-v),
        LiteralType::Double(v) => LiteralType::Double(-v),
        LiteralType::Decimal(d) => {
            let value = match d.value.strip_prefix('-') {
                Some(positive) => positive.to_string(),
                None => format!("-{}", d.value),
            };
            LiteralType::Decimal(Decimal { value, ..d.clone() })
        }
        LiteralType::YearMonthInterval(v) => LiteralType::YearMonthInterval(v.checked_neg()?),
        LiteralType::DayTimeInterval(v) => LiteralType::DayTimeInterval(v.checked_neg()?),
        _ => return None,
    }))
}

/// `INTERVAL '1 day 2 hours'`: year-month or day-time where the units are of one kind.
pub(super) fn interval(text: &str) -> Result<proto::Expression> {
    let Interval { months, days, microseconds } = parse_interval(text)?;
    let lower = text.to_lowercase();
    let has_months = lower.contains("year") || lower.contains("month");
    let has_rest = ["week", "day", "hour", "minute", "second"].iter().any(|unit| lower.contains(unit));
    let day_time = i64::from(days)
        .checked_mul(86_400_000_000)
        .and_then(|d| d.checked_add(microseconds))
        .ok_or_else(|| SparkError::new("INVALID_INTERVAL_FORMAT.ARITHMETIC_EXCEPTION").with("input", text))?;
    Ok(literal(match (has_months, has_rest) {
        (true, false) => LiteralType::YearMonthInterval(months),
        (false, true) => LiteralType::DayTimeInterval(day_time),
        _ => LiteralType::CalendarInterval(CalendarInterval { months, days, microseconds }),
    }))
}

/// `INTERVAL '1-2' YEAR TO MONTH`, `INTERVAL '1 2:03:04' DAY TO SECOND` and the ranges between.
pub(super) fn interval_range(text: &str, from: &str, to: &str) -> Result<proto::Expression> {
    let invalid = || {
        SparkError::new("INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING")
            .with("input", text)
            .with("intervalStr", "day-time")
            .with("supportedFormat", "")
            .with("typeName", format!("interval {} to {}", from.to_lowercase(), to.to_lowercase()))
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let singular = |unit: &str| unit.trim_end_matches('S').to_string();
    let (from, to) = (singular(from), singular(to));
    if from == "YEAR" && to == "MONTH" {
        let (years, months) = digits.split_once('-').ok_or_else(invalid)?;
        let parse = |part: &str| part.trim().parse::<i32>().map_err(|_| invalid());
        let total = parse(years)?
            .checked_mul(12)
            .and_then(|y| y.checked_add(parse(months).ok()?))
            .ok_or_else(invalid)?;
        parse(months)?;
        return Ok(literal(LiteralType::YearMonthInterval(if negative { -total } else { total })));
    }
    const UNITS: [(&str, i64); 4] =
        [("DAY", 86_400_000_000), ("HOUR", 3_600_000_000), ("MINUTE", 60_000_000), ("SECOND", 1_000_000)];
    let position = |unit: &str| UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(invalid);
    let (first, last) = (position(&from)?, position(&to)?);
    let fields: Vec<&str> = digits.split([' ', ':']).filter(|field| !field.is_empty()).collect();
    if first >= last || fields.len() != last - first + 1 {
        return Err(invalid());
    }
    let mut total: i64 = 0;
    for (field, (name, micros)) in fields.iter().zip(UNITS.iter().skip(first)) {
        let part = if *name == "SECOND" {
            parse_interval(&format!("{field} seconds")).map_err(|_| invalid())?.microseconds
        } else {
            field.parse::<i64>().ok().and_then(|v| v.checked_mul(*micros)).ok_or_else(invalid)?
        };
        total = total.checked_add(part).ok_or_else(invalid)?;
    }
    Ok(literal(LiteralType::DayTimeInterval(if negative { -total } else { total })))
}

/// `DATE '2024-01-02'`, `TIMESTAMP '...'`, `X'1F'`.
pub(super) fn typed(type_name: &str, text: &str) -> Result<proto::Expression> {
    let invalid = || {
        SparkError::new("INVALID_TYPED_LITERAL")
            .with("valueType", format!("\"{type_name}\""))
            .with("value", format!("'{text}'"))
    };
    match type_name {
        "DATE" => return Ok(literal(LiteralType::Date(days(text.trim()).ok_or_else(invalid)?))),
        "TIMESTAMP_NTZ" => {
            let value = local_micros(text.trim()).ok_or_else(invalid)?;
            return Ok(literal(LiteralType::TimestampNtz(value)));
        }
        // Needs the session's time zone, which translation knows.
        "TIMESTAMP" | "TIMESTAMP_LTZ" => return Ok(call(TIMESTAMP_LITERAL, vec![string(text)])),
        _ => {}
    }
    let padded = if text.len() % 2 == 1 { format!("0{text}") } else { text.to_string() };
    let bytes: Option<Vec<u8>> =
        (0..padded.len()).step_by(2).map(|i| u8::from_str_radix(padded.get(i..i + 2)?, 16).ok()).collect();
    let bytes = bytes.ok_or_else(invalid)?;
    Ok(literal(LiteralType::Binary(bytes.into())))
}

/// `yyyy[-m[-d]]` as days since the epoch.
fn days(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, '-');
    let year: i32 = parts.next().filter(|year| year.len() >= 4)?.parse().ok()?;
    let month: u32 = parts.next().map_or(Some(1), |month| month.parse().ok())?;
    let day: u32 = parts.next().map_or(Some(1), |day| day.parse().ok())?;
    let date = chrono::NaiveDate::from_ymd_opt(year, month, day)?;
    i32::try_from(date.signed_duration_since(chrono::NaiveDate::default()).num_days()).ok()
}

/// A date, or a date and a time, as microseconds on the wall clock.
fn local_micros(text: &str) -> Option<i64> {
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let time = ["%H:%M:%S%.f", "%H:%M"]
        .iter()
        .find_map(|form| chrono::NaiveTime::parse_from_str(time, form).ok())?;
    let since_midnight = time.signed_duration_since(chrono::NaiveTime::MIN).num_microseconds()?;
    i64::from(days(date)?).checked_mul(86_400_000_000)?.checked_add(since_midnight)
}
