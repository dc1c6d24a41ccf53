//! Printing dates and timestamps by a pattern.

use std::fmt::Write;

use super::{DatePattern, Field, Item, MONTHS, Minutes, Number, Offset, QUARTERS, Sign, WEEKDAYS};
use crate::{Result, SparkError, format::datetime_text::date_of, time::Zone};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The fields of the value being printed.
pub(super) struct Moment {
    pub(super) year: i64,
    pub(super) month: u32,
    pub(super) day: u32,
    days: i32,
    /// `None` for a date.
    pub(super) micros_of_day: Option<i64>,
    /// Seconds east and the zone, `None` without a time zone.
    pub(super) offset: Option<(i32, Zone, i64)>,
}

/// What clocks show in `zone` at `micros` since the epoch.
pub(super) fn moment_of(micros: i64, zone: Zone) -> Moment {
    let offset = zone.offset_at(micros);
    let local = micros.saturating_add(i64::from(offset) * 1_000_000);
    Moment::new(local, Some((offset, zone, micros)))
}

impl DatePattern {
    /// Appends the timestamp `micros` (since the epoch) as seen in `zone`.
    ///
    /// # Errors
    /// When a value does not fit a letter, for example a negative year of `yy`.
    pub fn format_timestamp(&self, micros: i64, zone: Zone, out: &mut String) -> Result<()> {
        let moment = moment_of(micros, zone);
        if self.layout().is_some_and(|layout| layout.print(&moment, out)) {
            return Ok(());
        }
        self.print(&moment, out)
    }

    /// Appends a wall clock reading (microseconds since 1970-01-01T00:00) without zone.
    ///
    /// # Errors
    /// When the pattern asks for a zone outside an optional section.
    pub fn format_timestamp_ntz(&self, local_micros: i64, out: &mut String) -> Result<()> {
        self.print(&Moment::new(local_micros, None), out)
    }

    /// Appends a date, given as days since 1970-01-01.
    ///
    /// # Errors
    /// When the pattern asks for a time or zone outside an optional section.
    pub fn format_date(&self, days: i32, out: &mut String) -> Result<()> {
        let (year, month, day) = date_of(days);
        let moment = Moment { year: i64::from(year), month, day, days, micros_of_day: None, offset: None };
        self.print(&moment, out)
    }

    /// Whether all that is printed consists of ASCII letters, digits and `+-.:`, with blanks
    /// only inside: such text needs no quotes anywhere.
    pub(crate) fn prints_plain_text(&self) -> bool {
        prints_plain(self.items(), true)
    }

    fn print(&self, moment: &Moment, out: &mut String) -> Result<()> {
        print_all(self.items(), moment, out).map_err(|e| {
            SparkError::new("_LEGACY_ERROR_TEMP_3241").with("msg", format!("{e} (pattern {})", self.as_str()))
        })
    }
}

fn prints_plain(items: &[Item], outermost: bool) -> bool {
    items.iter().enumerate().all(|(index, item)| match item {
        Item::Literal(text) => {
            let inside = outermost && index > 0 && matches!(items.get(index + 1), Some(Item::Number(_)));
            text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.:".contains(&b) || b == b' ' && inside)
        }
        Item::Number(_) | Item::TwoDigitYear(_) | Item::Fraction { .. } => true,
        Item::Offset(_) | Item::LocalizedOffset { .. } => true,
        Item::Text { .. } | Item::ZoneId | Item::ZoneName => false,
        Item::Optional(inner) => prints_plain(inner, false),
    })
}

impl Moment {
    fn new(local: i64, offset: Option<(i32, Zone, i64)>) -> Self {
        let days = i32::try_from(local.div_euclid(MICROS_PER_DAY)).unwrap_or(0);
        let (year, month, day) = date_of(days);
        let micros_of_day = Some(local.rem_euclid(MICROS_PER_DAY));
        Self { year: i64::from(year), month, day, days, micros_of_day, offset }
    }

    fn value(&self, field: Field) -> Result<i64, String> {
        let time = || self.micros_of_day.ok_or_else(|| format!("Unsupported field: {field:?}"));
        let hour = || time().map(|t| t / 3_600_000_000);
        let zero_as = |value: i64, top: i64| if value == 0 { top } else { value };
        Ok(match field {
            Field::Era => i64::from(self.year > 0),
            Field::Year => self.year,
            Field::YearOfEra => {
                if self.year > 0 {
                    self.year
                } else {
                    1 - self.year
                }
            }
            Field::Month => i64::from(self.month),
            Field::Day => i64::from(self.day),
            Field::Quarter => i64::from((self.month - 1) / 3 + 1),
            Field::DayOfYear => {
                let year = i32::try_from(self.year).unwrap_or(0);
                i64::from(
                    self.days - crate::format::datetime_text::days_of(year, 1, 1).unwrap_or(self.days) + 1,
                )
            }
            // 1970-01-01 was a Thursday; Monday is 1.
            Field::DayOfWeek => i64::from((self.days + 3).rem_euclid(7) + 1),
            Field::WeekdayInMonth => i64::from((self.day - 1) % 7 + 1),
            Field::AmPm => hour()? / 12,
            Field::ClockHourOfAmPm => zero_as(hour()? % 12, 12),
            Field::HourOfAmPm => hour()? % 12,
            Field::ClockHourOfDay => zero_as(hour()?, 24),
            Field::Hour => hour()?,
            Field::Minute => time()? / 60_000_000 % 60,
            Field::Second => time()? / 1_000_000 % 60,
        })
    }
}

fn print_all(items: &[Item], moment: &Moment, out: &mut String) -> Result<(), String> {
    for item in items {
        match item {
            Item::Literal(text) => out.push_str(text),
            Item::Number(number) => print_number(number, moment.value(number.field)?, out)?,
            Item::TwoDigitYear(field) => {
                push_digits(moment.value(*field)?.rem_euclid(100).unsigned_abs(), 2, out);
            }
            Item::Text { field, full } => out.push_str(text_of(*field, moment.value(*field)?, *full)),
            Item::Fraction { digits } => {
                let micros = moment.micros_of_day.ok_or("Unsupported field: NanoOfSecond")? % 1_000_000;
                let dropped = u32::try_from(9usize.saturating_sub(*digits)).unwrap_or(0);
                push_digits(micros.unsigned_abs() * 1000 / 10u64.pow(dropped), (*digits).min(9), out);
            }
            Item::Offset(offset) => print_offset(offset, zone_of(moment)?.0, out),
            Item::LocalizedOffset { full } => print_localized(zone_of(moment)?.0, *full, out),
            Item::ZoneId => match zone_of(moment)?.1 {
                Zone::Region(tz) => out.push_str(tz.name()),
                Zone::Fixed(0) => out.push_str("UTC"),
                Zone::Fixed(seconds) => print_offset(&FIXED_ID, seconds, out),
            },
            Item::ZoneName => match zone_of(moment)? {
                (_, Zone::Region(tz), micros) => {
                    let utc = chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default();
                    // Ignoring the result: writing to a string cannot fail.
                    let _ = write!(out, "{}", utc.with_timezone(&tz).format("%Z"));
                }
                (_, Zone::Fixed(0), _) => out.push_str("UTC"),
                (_, Zone::Fixed(seconds), _) => print_offset(&FIXED_ID, seconds, out),
            },
            Item::Optional(inner) => {
                let before = out.len();
                if print_all(inner, moment, out).is_err() {
                    out.truncate(before);
                }
            }
        }
    }
    Ok(())
}

const FIXED_ID: Offset = Offset { colon: true, minutes: Minutes::Always, seconds: true, zero: "Z" };

fn zone_of(moment: &Moment) -> Result<(i32, Zone, i64), String> {
    moment.offset.ok_or_else(|| "Unsupported field: OffsetSeconds".to_string())
}

fn print_number(number: &Number, value: i64, out: &mut String) -> Result<(), String> {
    if value < 0 {
        if number.sign == Sign::Never {
            return Err(format!(
                "Field {:?} cannot be printed as the value {value} cannot be negative",
                number.field
            ));
        }
        out.push('-');
    } else if number.sign == Sign::ExceedsPad
        && value >= 10i64.saturating_pow(u32::try_from(number.min).unwrap_or(19))
    {
        out.push('+');
    }
    let value_digits = value.unsigned_abs();
    if digit_count(value_digits) > number.max {
        return Err(format!(
            "Field {:?} cannot be printed as the value {value} exceeds the maximum print width",
            number.field
        ));
    }
    push_digits(value_digits, number.min, out);
    Ok(())
}

fn digit_count(value: u64) -> usize {
    value.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Appends decimal digits, at least `width` of them. Timestamps are printed a million a
/// second: no allocation, no formatter (three times the speed of `write!`).
fn push_digits(mut value: u64, width: usize, out: &mut String) {
    let count = digit_count(value).max(width);
    let mut digits = [b'0'; 40];
    let Some(room) = digits.get_mut(..count) else {
        // Wider than any sensible pattern.
        out.extend(std::iter::repeat_n('0', count - 40));
        return push_digits(value, 40, out);
    };
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.push_str(std::str::from_utf8(room).unwrap_or_default());
}

fn text_of(field: Field, value: i64, full: bool) -> &'static str {
    let nth = |list: &'static [&'static str], short: usize| {
        let word = usize::try_from(value - 1).ok().and_then(|i| list.get(i)).copied().unwrap_or("");
        if full { word } else { word.get(..short).unwrap_or(word) }
    };
    match field {
        Field::Month => nth(&MONTHS, 3),
        Field::DayOfWeek => nth(&WEEKDAYS, 3),
        Field::Quarter if full => nth(&QUARTERS, 11),
        Field::Quarter => match value {
            1 => "Q1",
            2 => "Q2",
            3 => "Q3",
            _ => "Q4",
        },
        Field::AmPm if value == 0 => "AM",
        Field::AmPm => "PM",
        Field::Era => match (value, full) {
            (0, false) => "BC",
            (0, true) => "Before Christ",
            (_, false) => "AD",
            (_, true) => "Anno Domini",
        },
        _ => "",
    }
}

fn print_offset(offset: &Offset, seconds: i32, out: &mut String) {
    if seconds == 0 {
        out.push_str(offset.zero);
        return;
    }
    let total = u64::from(seconds.unsigned_abs());
    let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60);
    out.push(if seconds < 0 { '-' } else { '+' });
    push_digits(hours, 2, out);
    if offset.minutes == Minutes::Always || minutes > 0 {
        if offset.colon {
            out.push(':');
        }
        push_digits(minutes, 2, out);
        if offset.seconds && rest > 0 {
            if offset.colon {
                out.push(':');
            }
            push_digits(rest, 2, out);
        }
    }
}

fn print_localized(seconds: i32, full: bool, out: &mut String) {
    out.push_str("GMT");
    if seconds == 0 {
        return;
    }
    let total = u64::from(seconds.unsigned_abs());
    let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60);
    out.push(if seconds < 0 { '-' } else { '+' });
    push_digits(hours, if full { 2 } else { 1 }, out);
    if full || minutes > 0 || rest > 0 {
        out.push(':');
        push_digits(minutes, 2, out);
    }
    if rest > 0 {
        out.push(':');
        push_digits(rest, 2, out);
    }
}
