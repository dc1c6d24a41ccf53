//! Reading dates and timestamps by a pattern, resolved strictly: 30 February is an error.

use super::{DatePattern, Field, Item, MONTHS, Minutes, Number, Offset, Sign};
use crate::{format::datetime_text::days_of, time::Zone};

const MICROS_PER_SECOND: i64 = 1_000_000;

impl DatePattern {
    /// Microseconds since the epoch; `zone` holds where the text names none.
    ///
    /// Missing fields are those of 1970-01-01T00:00. `None` when the text does not match.
    pub fn parse_timestamp(&self, text: &str, zone: Zone) -> Option<i64> {
        let parsed = self.parse(text)?;
        Some(parsed.zone.unwrap_or(zone).to_utc(parsed.local_micros()?))
    }

    /// Microseconds since 1970-01-01T00:00 on the wall clock; text with a zone does not
    /// match unless `allow_zone`, where the zone is ignored.
    pub fn parse_timestamp_ntz(&self, text: &str, allow_zone: bool) -> Option<i64> {
        let parsed = self.parse(text)?;
        if parsed.zone.is_some() && !allow_zone {
            return None;
        }
        parsed.local_micros()
    }

    /// Days since 1970-01-01.
    pub fn parse_date(&self, text: &str) -> Option<i32> {
        self.parse(text)?.date()
    }

    fn parse(&self, text: &str) -> Option<Parsed> {
        let mut parsed = Parsed::default();
        let end = read_all(self.items(), text, 0, &mut parsed)?;
        (end == text.len()).then_some(parsed)
    }
}

/// Fields found in a text.
#[derive(Debug, Clone, Default)]
struct Parsed {
    values: [Option<i64>; 16],
    nanos: Option<i64>,
    zone: Option<Zone>,
}

impl Parsed {
    fn get(&self, field: Field) -> Option<i64> {
        self.values.get(field as usize).copied().flatten()
    }

    /// False when the field was found before with another value.
    fn set(&mut self, field: Field, value: i64) -> bool {
        match self.values.get_mut(field as usize) {
            Some(Some(before)) => *before == value,
            Some(slot) => {
                *slot = Some(value);
                true
            }
            None => false,
        }
    }

    fn date(&self) -> Option<i32> {
        let year = match (self.get(Field::Year), self.get(Field::YearOfEra)) {
            (Some(year), _) => Some(year),
            (None, Some(year)) if self.get(Field::Era) == Some(0) => Some(1 - year),
            (None, year) => year,
        };
        let in_range = |value: Option<i64>, max: i64| value.is_none_or(|v| (1..=max).contains(&v));
        let (month, day, of_year) =
            (self.get(Field::Month), self.get(Field::Day), self.get(Field::DayOfYear));
        if !in_range(month, 12) || !in_range(day, 31) || !in_range(of_year, 366) {
            return None;
        }
        let number = |value: i64| u32::try_from(value).ok();
        if let (Some(year), Some(of_year)) = (year, of_year) {
            let year = i32::try_from(year).ok()?;
            let date = days_of(year, 1, 1)?.checked_add(i32::try_from(of_year).ok()? - 1)?;
            if date >= days_of(year + 1, 1, 1)? {
                return None;
            }
            if let (Some(month), Some(day)) = (month, day) {
                return (days_of(year, number(month)?, number(day)?)? == date).then_some(date);
            }
            return Some(date);
        }
        let year = i32::try_from(year.unwrap_or(1970)).ok()?;
        days_of(year, number(month.unwrap_or(1))?, number(day.unwrap_or(1))?)
    }

    fn local_micros(&self) -> Option<i64> {
        let below = |value: i64, limit: i64| (0..limit).contains(&value).then_some(value);
        let half = match (self.get(Field::HourOfAmPm), self.get(Field::ClockHourOfAmPm)) {
            (Some(hour), None) => Some(below(hour, 12)?),
            (None, Some(hour)) => Some(below(hour - 1, 12).map(|_| hour % 12)?),
            (Some(hour), Some(clock)) => (clock % 12 == hour).then_some(Some(hour))?,
            (None, None) => None,
        };
        let whole = match (self.get(Field::Hour), self.get(Field::ClockHourOfDay)) {
            (Some(hour), None) => Some(below(hour, 24)?),
            (None, Some(hour)) => Some(below(hour - 1, 24).map(|_| hour % 24)?),
            (Some(hour), Some(clock)) => (clock % 24 == hour).then_some(Some(hour))?,
            (None, None) => None,
        };
        let hour = match (whole, half, self.get(Field::AmPm)) {
            (Some(hour), half, am_pm) => {
                let agrees = half.is_none_or(|h| h == hour % 12) && am_pm.is_none_or(|a| a == hour / 12);
                agrees.then_some(hour)?
            }
            (None, Some(half), am_pm) => half + 12 * am_pm.unwrap_or(0),
            // Without an hour, PM alone means noon.
            (None, None, am_pm) => 12 * am_pm.unwrap_or(0),
        };
        let minute = below(self.get(Field::Minute).unwrap_or(0), 60)?;
        let second = below(self.get(Field::Second).unwrap_or(0), 60)?;
        let seconds = i64::from(self.date()?) * 86_400 + hour * 3600 + minute * 60 + second;
        seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(self.nanos.unwrap_or(0) / 1000)
    }
}

/// Reads `items` at `at`; the end, or `None` where they do not match.
fn read_all(items: &[Item], text: &str, mut at: usize, parsed: &mut Parsed) -> Option<usize> {
    for item in items {
        let rest = text.get(at..)?;
        at = match item {
            Item::Literal(literal) => {
                let found = rest.get(..literal.len())?;
                found.eq_ignore_ascii_case(literal).then_some(at + literal.len())?
            }
            Item::Number(number) => at + read_number(number, rest, parsed)?,
            Item::TwoDigitYear(field) => {
                let digits = rest.get(..2).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
                parsed.set(*field, 2000 + digits.parse::<i64>().ok()?).then_some(at + 2)?
            }
            Item::Text { field, full } => at + read_text(*field, *full, rest, parsed)?,
            Item::Fraction { digits } => {
                let count = rest.bytes().take(*digits).take_while(u8::is_ascii_digit).count();
                let value: i64 = rest.get(..count).filter(|d| !d.is_empty())?.parse().ok()?;
                parsed.nanos = Some(value * 10i64.pow(9 - u32::try_from(count).ok()?));
                at + count
            }
            Item::Offset(offset) => {
                let (seconds, length) = read_offset(offset, rest)?;
                parsed.zone = Some(Zone::Fixed(seconds));
                at + length
            }
            Item::LocalizedOffset { full } => {
                let (seconds, length) = read_localized(*full, rest)?;
                parsed.zone = Some(Zone::Fixed(seconds));
                at + length
            }
            Item::ZoneId | Item::ZoneName => {
                let (zone, length) = read_zone(rest)?;
                parsed.zone = Some(zone);
                at + length
            }
            Item::Optional(inner) => {
                let before = parsed.clone();
                match read_all(inner, text, at, parsed) {
                    Some(end) => end,
                    None => {
                        *parsed = before;
                        at
                    }
                }
            }
        };
    }
    Some(at)
}

fn read_number(number: &Number, text: &str, parsed: &mut Parsed) -> Option<usize> {
    let bytes = text.as_bytes();
    let (plus, minus) = (bytes.first() == Some(&b'+'), bytes.first() == Some(&b'-'));
    match number.sign {
        Sign::Normal if plus => return None,
        Sign::Never if plus || minus => return None,
        _ => {}
    }
    let start = usize::from(plus || minus);
    let digits = bytes.iter().skip(start).take(19).take_while(|b| b.is_ascii_digit()).count();
    let mut width = digits.min(number.max + number.reserved);
    if number.reserved > 0 {
        width = number.min.max(width.saturating_sub(number.reserved));
    }
    if width < number.min || width > digits {
        return None;
    }
    if number.sign == Sign::ExceedsPad && !minus && plus != (width > number.min) {
        // A plus belongs to more digits than the minimum, and they to it.
        return None;
    }
    let value: i64 = text.get(start..start + width)?.parse().ok()?;
    if minus && value == 0 {
        return None;
    }
    parsed.set(number.field, if minus { -value } else { value }).then_some(start + width)
}

fn read_text(field: Field, full: bool, text: &str, parsed: &mut Parsed) -> Option<usize> {
    let short_months = || MONTHS.iter().map(|word| word.get(..3).unwrap_or(word));
    let words: Vec<(i64, &str)> = match field {
        Field::Month if full => (1..).zip(MONTHS).collect(),
        Field::Month => (1..).zip(short_months()).collect(),
        Field::AmPm => vec![(0, "AM"), (1, "PM")],
        Field::Era if full => vec![(0, "Before Christ"), (1, "Anno Domini")],
        Field::Era => vec![(0, "BC"), (1, "AD")],
        _ => Vec::new(),
    };
    words.into_iter().find_map(|(value, word)| {
        let found = text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word));
        (found && parsed.set(field, value)).then_some(word.len())
    })
}

/// Two digits below `limit`, and the text after them.
fn two(text: &str, limit: i32) -> Option<(i32, &str)> {
    let digits = text.get(..2).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    let value: i32 = digits.parse().ok()?;
    (value < limit).then_some((value, text.get(2..)?))
}

fn read_offset(offset: &Offset, text: &str) -> Option<(i32, usize)> {
    let sign = match text.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => {
            let zero = text.get(..offset.zero.len())?;
            return zero.eq_ignore_ascii_case(offset.zero).then_some((0, offset.zero.len()));
        }
    };
    let (hours, mut rest) = two(text.get(1..)?, 19)?;
    let colon = if offset.colon { ":" } else { "" };
    let mut seconds = hours * 3600;
    match rest.strip_prefix(colon).and_then(|r| two(r, 60)) {
        Some((minutes, after)) => {
            seconds += minutes * 60;
            rest = after;
            if offset.seconds
                && let Some((s, after)) = rest.strip_prefix(colon).and_then(|r| two(r, 60))
            {
                seconds += s;
                rest = after;
            }
        }
        None if offset.minutes == Minutes::Always => return None,
        None => {}
    }
    (seconds <= 18 * 3600).then_some((sign * seconds, text.len() - rest.len()))
}

fn read_localized(full: bool, text: &str) -> Option<(i32, usize)> {
    let rest = text.strip_prefix("GMT")?;
    let sign = match rest.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Some((0, 3)),
    };
    let digits = rest.get(1..)?;
    let width = if full { 2 } else { digits.bytes().take(2).take_while(u8::is_ascii_digit).count() };
    let hours: i32 = digits.get(..width)?.parse().ok()?;
    let mut rest = digits.get(width..)?;
    let mut seconds = hours * 3600;
    match rest.strip_prefix(':').and_then(|r| two(r, 60)) {
        Some((minutes, after)) => {
            seconds += minutes * 60;
            rest = after;
            if let Some((s, after)) = rest.strip_prefix(':').and_then(|r| two(r, 60)) {
                seconds += s;
                rest = after;
            }
        }
        None if full => return None,
        None => {}
    }
    Some((sign * seconds, text.len() - rest.len()))
}

/// The longest zone id or name at the start of `text`.
fn read_zone(text: &str) -> Option<(Zone, usize)> {
    let length = text
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+' | b':'))
        .count();
    (1..=length).rev().find_map(|n| Some((Zone::parse(text.get(..n)?).or_else(|| named(text.get(..n)?))?, n)))
}

/// Zone names in common use that are no ids.
fn named(name: &str) -> Option<Zone> {
    let id = match name.to_ascii_uppercase().as_str() {
        "PDT" => "America/Los_Angeles",
        "MDT" => "America/Denver",
        "CDT" => "America/Chicago",
        "EDT" => "America/New_York",
        "CEST" => "Europe/Paris",
        _ => return None,
    };
    Zone::parse(id)
}
