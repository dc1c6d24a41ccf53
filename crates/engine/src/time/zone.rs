//! Time zones as Spark names them: regions and fixed offsets.

use chrono::{Offset, TimeZone};
use chrono_tz::Tz;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A session time zone: `Europe/Berlin`, `+02:00`, `UTC`, `GMT+1`, `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// The same offset at all times, in seconds east of UTC.
    Fixed(i32),
    /// A region with its history of offsets.
    Region(Tz),
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone::Fixed(0);

    /// Reads a zone id as Spark does (`java.time.ZoneId` with Spark's padding rules), `None`
    /// when it is none.
    pub fn parse(id: &str) -> Option<Self> {
        let id = id.trim();
        if let Some(seconds) = parse_offset(id) {
            return Some(Self::Fixed(seconds));
        }
        for prefix in ["UTC", "GMT", "UT"] {
            if let Some(rest) = id.strip_prefix(prefix) {
                if rest.is_empty() {
                    return Some(Self::UTC);
                }
                if rest.starts_with(['+', '-']) {
                    return parse_offset(rest).map(Self::Fixed);
                }
            }
        }
        if let Some(name) = short_id(id) {
            return Self::parse(name);
        }
        // Java's names are case-sensitive, as chrono-tz's are.
        match id.parse::<Tz>().ok()? {
            Tz::UTC | Tz::Etc__UTC | Tz::GMT | Tz::Etc__GMT => Some(Self::UTC),
            region => Some(Self::Region(region)),
        }
    }

    /// Seconds east of UTC in force at an instant in microseconds since the epoch.
    pub fn offset_at(self, micros: i64) -> i32 {
        match self {
            Self::Fixed(seconds) => seconds,
            Self::Region(tz) => {
                match chrono::DateTime::from_timestamp(micros.div_euclid(MICROS_PER_SECOND), 0) {
                    Some(utc) => tz.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc(),
                    None => 0,
                }
            }
        }
    }

    /// The wall clock of an instant, both in microseconds since 1970-01-01T00:00.
    pub fn to_local(self, micros: i64) -> i64 {
        micros.saturating_add(i64::from(self.offset_at(micros)) * MICROS_PER_SECOND)
    }

    /// The instant of a wall clock reading, both in microseconds since 1970-01-01T00:00.
    ///
    /// In a gap the reading moves forward by the gap; in an overlap the earlier instant
    /// (the larger offset) is taken: `java.time.ZonedDateTime.of`.
    pub fn to_utc(self, local_micros: i64) -> i64 {
        let offset = match self {
            Self::Fixed(seconds) => i64::from(seconds),
            Self::Region(_) => {
                // Offsets half a day to both sides bracket any transition near the reading.
                let day = 86_400 * MICROS_PER_SECOND;
                let before = i64::from(self.offset_at(local_micros.saturating_sub(day)));
                let after = i64::from(self.offset_at(local_micros.saturating_add(day)));
                let valid = |offset: i64| {
                    i64::from(self.offset_at(local_micros.saturating_sub(offset * MICROS_PER_SECOND)))
                        == offset
                };
                match (valid(before), valid(after)) {
                    (true, true) => before.max(after),
                    (true, false) => before,
                    (false, true) => after,
                    // A gap: the offset before it, which lands after it.
                    (false, false) => before.min(after),
                }
            }
        };
        local_micros.saturating_sub(offset * MICROS_PER_SECOND)
    }
}

/// `Z`, `+h`, `+hh`, `+h:mm`, `+hh:mm`, `+hhmm`, `+hh:mm:ss`, `+hhmmss`, at most 18 hours.
fn parse_offset(text: &str) -> Option<i32> {
    if text == "Z" || text == "z" {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    let parts: Vec<&str> = if rest.contains(':') {
        rest.split(':').collect()
    } else {
        match rest.len() {
            1 | 2 => vec![rest],
            4 => vec![rest.get(..2)?, rest.get(2..)?],
            6 => vec![rest.get(..2)?, rest.get(2..4)?, rest.get(4..)?],
            _ => return None,
        }
    };
    let mut seconds = 0;
    for (i, part) in parts.iter().enumerate() {
        let scale = [3600, 60, 1].get(i)?;
        if part.is_empty() || part.len() > 2 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let value: i32 = part.parse().ok()?;
        if i > 0 && value > 59 {
            return None;
        }
        seconds += value * scale;
    }
    (seconds <= 18 * 3600).then_some(sign * seconds)
}

/// Java's three-letter ids (`ZoneId.SHORT_IDS`), which Spark accepts.
fn short_id(id: &str) -> Option<&'static str> {
    Some(match id {
        "ACT" => "Australia/Darwin",
        "AET" => "Australia/Sydney",
        "AGT" => "America/Argentina/Buenos_Aires",
        "ART" => "Africa/Cairo",
        "AST" => "America/Anchorage",
        "BET" => "America/Sao_Paulo",
        "BST" => "Asia/Dhaka",
        "CAT" => "Africa/Harare",
        "CNT" => "America/St_Johns",
        "CST" => "America/Chicago",
        "CTT" => "Asia/Shanghai",
        "EAT" => "Africa/Addis_Ababa",
        "ECT" => "Europe/Paris",
        "EST" => "-05:00",
        "HST" => "-10:00",
        "IET" => "America/Indiana/Indianapolis",
        "IST" => "Asia/Kolkata",
        "JST" => "Asia/Tokyo",
        "MIT" => "Pacific/Apia",
        "MST" => "-07:00",
        "NET" => "Asia/Yerevan",
        "NST" => "Pacific/Auckland",
        "PLT" => "Asia/Karachi",
        "PNT" => "America/Phoenix",
        "PRT" => "America/Puerto_Rico",
        "PST" => "America/Los_Angeles",
        "SST" => "Pacific/Guadalcanal",
        "VST" => "Asia/Ho_Chi_Minh",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap().and_utc().timestamp_micros()
    }

    #[test]
    fn ids_are_read_as_java_reads_them() {
        for (id, seconds) in [
            ("UTC", 0),
            ("Z", 0),
            ("GMT", 0),
            ("+02:00", 7200),
            ("-0530", -19800),
            ("GMT+1", 3600),
            ("UTC-08:30", -30600),
            ("EST", -18000),
            ("+1:5", 3900),
        ] {
            assert_eq!(Zone::parse(id), Some(Zone::Fixed(seconds)), "{id}");
        }
        assert_eq!(Zone::parse("PST"), Some(Zone::Region(Tz::America__Los_Angeles)));
        for id in ["", "nowhere", "+19:00", "+1:60", "utc?"] {
            assert_eq!(Zone::parse(id), None, "{id}");
        }
    }

    #[test]
    fn gaps_move_forward_and_overlaps_take_the_earlier_instant() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        assert_eq!(berlin.to_utc(micros("2024-03-31 02:30:00")), micros("2024-03-31 01:30:00"));
        assert_eq!(berlin.to_utc(micros("2024-10-27 02:30:00")), micros("2024-10-27 00:30:00"));
        assert_eq!(berlin.to_utc(micros("2024-07-01 12:00:00")), micros("2024-07-01 10:00:00"));
        assert_eq!(berlin.to_local(micros("2024-01-01 12:00:00")), micros("2024-01-01 13:00:00"));
    }
}
