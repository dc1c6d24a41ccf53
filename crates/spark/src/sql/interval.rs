//! Interval text: `10 seconds`, `interval 1 day 2 hours`.

use millstream_engine::{Result, SparkError};

/// Months, days and microseconds, which do not convert into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub microseconds: i64,
}

/// Parses Spark's interval strings: an optional `interval`, then numbers with units.
///
/// # Errors
/// `INVALID_INTERVAL_FORMAT.*`.
pub fn parse_interval(text: &str) -> Result<Interval> {
    let invalid =
        |class: &str| SparkError::new(&format!("INVALID_INTERVAL_FORMAT.{class}")).with("input", text);
    let lower = text.trim().to_lowercase();
    let mut words: Vec<String> = Vec::new();
    // A sign may stand apart from its number.
    for word in lower.split_whitespace() {
        match words.last_mut() {
            Some(sign) if matches!(sign.as_str(), "-" | "+") => sign.push_str(word),
            _ => words.push(word.to_string()),
        }
    }
    if words.first().is_some_and(|word| word == "interval") {
        words.remove(0);
    }
    if words.is_empty() {
        return Err(invalid("INPUT_IS_EMPTY"));
    }
    let mut interval = Interval::default();
    for pair in words.chunks(2) {
        let [number, unit] = pair else {
            return Err(invalid("MISSING_UNIT").with("word", pair.first().cloned().unwrap_or_default()));
        };
        let bad_number = || invalid("UNRECOGNIZED_NUMBER").with("number", format!("'{number}'"));
        let unit_name = unit.strip_suffix('s').filter(|u| !u.is_empty()).unwrap_or(unit);
        let overflow = || invalid("ARITHMETIC_EXCEPTION");
        if unit_name == "second" || unit_name == "sec" {
            interval.microseconds = interval
                .microseconds
                .checked_add(seconds(number).ok_or_else(bad_number)?)
                .ok_or_else(overflow)?;
            continue;
        }
        let count: i64 = match number.parse() {
            Ok(count) => count,
            Err(_) if number.parse::<f64>().is_ok() => {
                return Err(invalid("INVALID_FRACTION").with("unit", format!("'{unit}'")));
            }
            Err(_) => return Err(bad_number()),
        };
        let small = i32::try_from(count).ok();
        let add = |total: i32, factor: i32| small?.checked_mul(factor)?.checked_add(total);
        let micros = |factor: i64| count.checked_mul(factor)?.checked_add(interval.microseconds);
        match unit_name {
            "year" => interval.months = add(interval.months, 12).ok_or_else(overflow)?,
            "month" => interval.months = add(interval.months, 1).ok_or_else(overflow)?,
            "week" => interval.days = add(interval.days, 7).ok_or_else(overflow)?,
            "day" => interval.days = add(interval.days, 1).ok_or_else(overflow)?,
            "hour" => interval.microseconds = micros(3_600_000_000).ok_or_else(overflow)?,
            "minute" => interval.microseconds = micros(60_000_000).ok_or_else(overflow)?,
            "millisecond" => interval.microseconds = micros(1_000).ok_or_else(overflow)?,
            "microsecond" => interval.microseconds = micros(1).ok_or_else(overflow)?,
            _ => return Err(invalid("INVALID_UNIT").with("unit", format!("'{unit}'"))),
        }
    }
    Ok(interval)
}

/// Decimal seconds as microseconds; digits beyond the sixth are cut.
fn seconds(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |s: &str| s.chars().all(|c| c.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || (whole.is_empty() && fraction.is_empty()) || fraction.len() > 9 {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let total = whole.checked_mul(1_000_000)?.checked_add(micros)?;
    Some(if negative { -total } else { total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        let i = parse_interval(
            "interval 1 year 2 months 3 weeks -4 days 5 hours 6 minutes 7.5 seconds 8 milliseconds",
        )
        .unwrap();
        assert_eq!(
            i,
            Interval { months: 14, days: 17, microseconds: 5 * 3_600_000_000 + 6 * 60_000_000 + 7_508_000 }
        );
        assert_eq!(parse_interval("- 1 second").unwrap().microseconds, -1_000_000);
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let class = |text: &str| parse_interval(text).unwrap_err().class();
        assert_eq!(class(""), "INVALID_INTERVAL_FORMAT.INPUT_IS_EMPTY");
        assert_eq!(class("1"), "INVALID_INTERVAL_FORMAT.MISSING_UNIT");
        assert_eq!(class("x seconds"), "INVALID_INTERVAL_FORMAT.UNRECOGNIZED_NUMBER");
        assert_eq!(class("1.5 days"), "INVALID_INTERVAL_FORMAT.INVALID_FRACTION");
        assert_eq!(class("1 fortnight"), "INVALID_INTERVAL_FORMAT.INVALID_UNIT");
        assert_eq!(class("999999999999 days"), "INVALID_INTERVAL_FORMAT.ARITHMETIC_EXCEPTION");
    }
}
