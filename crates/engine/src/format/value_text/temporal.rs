//! Dates, timestamps and intervals as Spark prints them.

use std::fmt::Write;

use chrono::{DateTime, Offset, TimeZone};

use super::eight_digits;
use crate::time::Zone;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// What a time zone must tell to print an instant.
pub trait ZoneOffsets: Send + Sync {
    /// Seconds east of UTC in force at `seconds` since the epoch.
    fn offset_seconds(&self, seconds: i64) -> i64;
}

/// `2024-01-31`; years beyond four digits carry a sign (`+12024-01-31`, `-0004-01-31`).
pub fn write_date(days: i64, out: &mut String) {
    let (year, month, day) = civil(days);
    if let Ok(year @ 0..=9999) = u32::try_from(year) {
        let [y, e, a, r, m, n, d, f] = digits(year * 10_000 + (month * 100 + day) as u32);
        return push_ascii(&[y, e, a, r, b'-', m, n, b'-', d, f], out);
    }
    // Writing to a String cannot fail, here and below.
    let _ = match year {
        0.. => write!(out, "+{year}"),
        _ => write!(out, "-{:04}", year.unsigned_abs()),
    };
    let _ = write!(out, "-{month:02}-{day:02}");
}

/// The eight digits of a number.
fn digits(number: u32) -> [u8; 8] {
    eight_digits(number).to_le_bytes().map(|digit| digit + b'0')
}

fn push_ascii(text: &[u8], out: &mut String) {
    out.push_str(std::str::from_utf8(text).unwrap_or_default());
}

/// `2024-01-31 23:59:59.123`: the wall clock of `zone`, fraction without trailing zeros.
pub fn write_timestamp<Z: ZoneOffsets + ?Sized>(micros: i64, zone: &Z, out: &mut String) {
    let (seconds, fraction) = (micros.div_euclid(MICROS_PER_SECOND), micros.rem_euclid(MICROS_PER_SECOND));
    let local = seconds + zone.offset_seconds(seconds);
    write_date(local.div_euclid(SECONDS_PER_DAY), out);
    let of_day = local.rem_euclid(SECONDS_PER_DAY) as u32;
    let [_, _, h, o, m, i, s, e] = digits(of_day / 3600 * 10_000 + of_day / 60 % 60 * 100 + of_day % 60);
    push_ascii(&[b' ', h, o, b':', m, i, b':', s, e], out);
    write_fraction(fraction, out);
}

impl ZoneOffsets for chrono::Utc {
    fn offset_seconds(&self, _seconds: i64) -> i64 {
        0
    }
}

impl ZoneOffsets for Zone {
    fn offset_seconds(&self, seconds: i64) -> i64 {
        i64::from(self.offset_at(seconds.saturating_mul(MICROS_PER_SECOND)))
    }
}

impl ZoneOffsets for chrono_tz::Tz {
    fn offset_seconds(&self, seconds: i64) -> i64 {
        // chrono reaches some 262,000 years; beyond, the offset of its last instant holds.
        let instant = DateTime::from_timestamp(seconds, 0).unwrap_or(if seconds < 0 {
            DateTime::<chrono::Utc>::MIN_UTC
        } else {
            DateTime::<chrono::Utc>::MAX_UTC
        });
        i64::from(self.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc())
    }
}

/// `INTERVAL '1-2' YEAR TO MONTH`.
pub fn write_year_month_interval(months: i32, out: &mut String) {
    let sign = if months < 0 { "-" } else { "" };
    let months = months.unsigned_abs();
    let _ = write!(out, "INTERVAL '{sign}{}-{}' YEAR TO MONTH", months / 12, months % 12);
}

/// `INTERVAL '1 02:03:04.5' DAY TO SECOND`.
pub fn write_day_time_interval(micros: i64, out: &mut String) {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let seconds = micros / 1_000_000;
    let _ = write!(
        out,
        "INTERVAL '{sign}{} {:02}:{:02}:{:02}",
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    );
    write_fraction(i64::try_from(micros % 1_000_000).unwrap_or(0), out);
    out.push_str("' DAY TO SECOND");
}

/// `1 years 2 months 3 days 4 hours 5 minutes 6.5 seconds`, zero parts left out.
pub fn write_calendar_interval(months: i32, days: i32, micros: i64, out: &mut String) {
    let start = out.len();
    let mut unit = |value: i64, name: &str| {
        if value != 0 {
            let _ = write!(out, "{value} {name} ");
        }
    };
    unit(i64::from(months / 12), "years");
    unit(i64::from(months % 12), "months");
    unit(i64::from(days), "days");
    unit(micros / (3600 * MICROS_PER_SECOND), "hours");
    unit(micros / (60 * MICROS_PER_SECOND) % 60, "minutes");
    let rest = micros % (60 * MICROS_PER_SECOND);
    if rest != 0 {
        let sign = if rest < 0 { "-" } else { "" };
        let _ = write!(out, "{sign}{}", (rest / MICROS_PER_SECOND).abs());
        write_fraction((rest % MICROS_PER_SECOND).abs(), out);
        out.push_str(" seconds ");
    }
    if out.len() == start {
        out.push_str("0 seconds");
    } else {
        out.truncate(out.len() - 1);
    }
}

/// `.5` for 500000 microseconds, nothing for 0.
fn write_fraction(micros: i64, out: &mut String) {
    if micros != 0 {
        let _ = write!(out, ".{micros:06}");
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// Proleptic Gregorian year, month and day of days since the epoch.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years start in March, so that the leap day is a year's last; eras are 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}
