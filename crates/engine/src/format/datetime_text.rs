//! Dates and timestamps from text as Spark's casts read them (`DateTimeUtils.stringToDate`,
//! `stringToTimestamp`): what the codecs use when no pattern is given.
//!
//! Accepted: `yyyy[-M[-d]]`, then ` ` or `T`, `h:m:s[.fraction]` with one or two digits
//! each, and a zone. Surrounding blanks and control characters are ignored. Fractions
//! beyond microseconds are cut.

use chrono::{Datelike, NaiveDate};

use crate::time::Zone;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Days from 0001-01-01 to 1970-01-01, plus one: chrono counts from 1.
const EPOCH_FROM_CE: i32 = 719_163;

/// Days since 1970-01-01 of a calendar date, `None` when it does not exist.
pub fn days_of(year: i32, month: u32, day: u32) -> Option<i32> {
    if let Some(date) = NaiveDate::from_ymd_opt(year, month, day) {
        return Some(date.num_days_from_ce() - EPOCH_FROM_CE);
    }
    // chrono ends at the year 262142; shift whole 400-year cycles (146097 days each).
    let cycles = year.div_euclid(400) - 5;
    let date = NaiveDate::from_ymd_opt(year - cycles * 400, month, day)?;
    (date.num_days_from_ce() - EPOCH_FROM_CE).checked_add(cycles.checked_mul(146_097)?)
}

/// Year, month and day of days since 1970-01-01.
pub fn date_of(days: i32) -> (i32, u32, u32) {
    let cycles = days.div_euclid(146_097);
    let date = NaiveDate::from_num_days_from_ce_opt(days.rem_euclid(146_097) + EPOCH_FROM_CE);
    let date = date.unwrap_or_default();
    (date.year() + cycles * 400, date.month(), date.day())
}

/// A date: days since 1970-01-01. Text after a blank or `T` is ignored, as in Spark.
pub fn parse_date(text: &[u8]) -> Option<i32> {
    let text = trim_all(text);
    let (sign, text) = match text.first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let mut parts = [1i32; 3];
    let mut index = 0;
    let mut at = 0;
    loop {
        let (value, end) = digits(text, at, if index == 0 { 4..=7 } else { 1..=2 })?;
        *parts.get_mut(index)? = value;
        match text.get(end) {
            None => break,
            Some(b'-') if index < 2 => index += 1,
            Some(b' ' | b'T') if index == 2 => break,
            Some(_) => return None,
        }
        at = end + 1;
    }
    days_of(sign * parts[0], u32::try_from(parts[1]).ok()?, u32::try_from(parts[2]).ok()?)
}

/// A timestamp: microseconds since the epoch; `zone` is used where the text names none.
///
/// Spark differs: a time without a date is today's there; here it is no timestamp, since a
/// file's content must not depend on the day it is read.
pub fn parse_timestamp(text: &[u8], zone: Zone) -> Option<i64> {
    let (local, own) = parse_local(text)?;
    Some(own.unwrap_or(zone).to_utc(local))
}

/// A timestamp without time zone: microseconds since 1970-01-01T00:00 on the wall clock.
/// A zone in the text makes it invalid unless `allow_zone`, where it is ignored.
pub fn parse_timestamp_ntz(text: &[u8], allow_zone: bool) -> Option<i64> {
    let (local, own) = parse_local(text)?;
    (allow_zone || own.is_none()).then_some(local)
}

/// The wall clock reading and the zone the text names.
fn parse_local(text: &[u8]) -> Option<(i64, Option<Zone>)> {
    if let Some(result) = parse_usual(text) {
        return Some(result);
    }
    let text = trim_all(text);
    let (sign, text) = match text.first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let mut parts = [1, 1, 1, 0, 0, 0];
    let mut at = 0;
    let mut micros = 0;
    let mut zone = None;
    for index in 0..6 {
        let (value, end) = digits(text, at, if index == 0 { 4..=6 } else { 1..=2 })?;
        *parts.get_mut(index)? = value;
        let Some(next) = text.get(end) else { break };
        at = end + 1;
        match (index, next) {
            (0 | 1, b'-') | (2, b' ' | b'T') | (3 | 4, b':') => {}
            (5, b'.') => {
                let rest = text.get(at..)?;
                let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
                micros = fraction(rest.get(..count)?);
                let rest = rest.get(count..)?;
                if !rest.is_empty() {
                    zone = Some(zone_of(rest)?);
                }
            }
            (5, _) => zone = Some(zone_of(text.get(end..)?)?),
            _ => return None,
        }
    }
    Some((local_micros(sign * parts[0], [parts[1], parts[2], parts[3], parts[4], parts[5]], micros)?, zone))
}

/// `yyyy-MM-dd[ T]HH:mm:ss` with an optional fraction and `Z`, the form of nearly all data;
/// `None` for anything else, right or wrong.
fn parse_usual(text: &[u8]) -> Option<(i64, Option<Zone>)> {
    let head: &[u8; 19] = text.get(..19)?.try_into().ok()?;
    let two = |at: usize| -> Option<i32> {
        let (a, b) = (head.get(at)?.wrapping_sub(b'0'), head.get(at + 1)?.wrapping_sub(b'0'));
        (a <= 9 && b <= 9).then_some(i32::from(a) * 10 + i32::from(b))
    };
    if head[4] != b'-'
        || head[7] != b'-'
        || !matches!(head[10], b' ' | b'T')
        || head[13] != b':'
        || head[16] != b':'
    {
        return None;
    }
    let year = two(0)? * 100 + two(2)?;
    let fields = [two(5)?, two(8)?, two(11)?, two(14)?, two(17)?];
    let mut rest = text.get(19..)?;
    let mut micros = 0;
    if let Some(after) = rest.strip_prefix(b".") {
        let count = after.iter().take_while(|b| b.is_ascii_digit()).count();
        micros = fraction(after.get(..count)?);
        rest = after.get(count..)?;
    }
    let zone = match rest {
        [] => None,
        [b'Z'] => Some(Zone::UTC),
        _ => return None,
    };
    Some((local_micros(year, fields, micros)?, zone))
}

/// Month, day, hour, minute, second.
fn local_micros(year: i32, [month, day, hour, minute, second]: [i32; 5], micros: i64) -> Option<i64> {
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_of(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)?;
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    i64::from(days).checked_mul(MICROS_PER_DAY)?.checked_add(seconds * MICROS_PER_SECOND + micros)
}

/// A run of digits whose length lies in `allowed`, and where it ends.
fn digits(text: &[u8], at: usize, allowed: std::ops::RangeInclusive<usize>) -> Option<(i32, usize)> {
    let mut end = at;
    let mut value = 0i32;
    while let Some(digit) = text.get(end).map(|b| b.wrapping_sub(b'0')).filter(|d| *d <= 9) {
        if end - at >= *allowed.end() {
            return None;
        }
        value = value * 10 + i32::from(digit);
        end += 1;
    }
    allowed.contains(&(end - at)).then_some((value, end))
}

/// Digits after the point in microseconds; further ones are cut.
fn fraction(digits: &[u8]) -> i64 {
    let mut micros = 0;
    for i in 0..6 {
        micros = micros * 10 + digits.get(i).map_or(0, |b| i64::from(b - b'0'));
    }
    micros
}

fn zone_of(text: &[u8]) -> Option<Zone> {
    Zone::parse(std::str::from_utf8(text).ok()?)
}

/// Drops blanks and control characters at both ends (`UTF8String.trimAll`).
fn trim_all(text: &[u8]) -> &[u8] {
    let keep = |b: &u8| *b > b' ' && *b != 0x7f;
    let start = text.iter().position(keep).unwrap_or(text.len());
    let end = text.iter().rposition(keep).map_or(start, |p| p + 1);
    text.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_sparks_casts() {
        for (text, days) in [
            ("1970-01-01", 0),
            (" 2024-2-9 ", 19762),
            ("2024", 19723),
            ("2024-03", 19783),
            ("2024-01-01T12:00", 19723),
            ("2024-01-01 anything", 19723),
            ("+12345-01-01", 3_789_391),
            ("-0001-01-01", -719_893),
        ] {
            assert_eq!(parse_date(text.as_bytes()), Some(days), "{text}");
        }
        for bad in
            ["", "24-01-01", "2024-13-01", "2023-02-29", "2024-01-01x", "2024 ", "2024-", "2024-1 x", "abc"]
        {
            if bad != "2024 " {
                assert_eq!(parse_date(bad.as_bytes()), None, "{bad}");
            }
        }
    }

    #[test]
    fn timestamps_follow_sparks_casts() {
        let plus2 = Zone::Fixed(7200);
        for (text, micros) in [
            ("1970-01-01 00:00:00", -7_200_000_000),
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01 00:00:00.123456789", -7_200_000_000 + 123_456),
            ("1970-01-01 00:00:01.5+00:00", 1_500_000),
            ("1970-01-01 2:3:4 UTC", 7_384_000_000),
            ("1970", -7_200_000_000),
            ("1970-01-02", 86_400_000_000 - 7_200_000_000),
            (" 1970-01-01T02:00 ", 0),
        ] {
            assert_eq!(parse_timestamp(text.as_bytes(), plus2), Some(micros), "{text}");
        }
        for bad in
            ["", "12:00:00", "1970-01-01 24:00:00", "1970-01-01 1:60:00", "1970-01-01 1:1:1 Nowhere", "x"]
        {
            assert_eq!(parse_timestamp(bad.as_bytes(), plus2), None, "{bad}");
        }
        assert_eq!(parse_timestamp_ntz(b"1970-01-01 00:00:01", false), Some(1_000_000));
        assert_eq!(parse_timestamp_ntz(b"1970-01-01 00:00:01Z", false), None);
    }

    #[test]
    fn days_and_dates_agree_far_from_today() {
        for (year, month, day) in
            [(1, 1, 1), (-4712, 1, 1), (294_247, 1, 10), (2024, 2, 29), (5_000_000, 12, 31)]
        {
            let days = days_of(year, month, day).unwrap();
            assert_eq!(date_of(days), (year, month, day));
        }
    }
}
