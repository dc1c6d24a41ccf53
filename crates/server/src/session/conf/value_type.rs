//! Whether a value fits its setting, and what Spark says when it does not.

use millstream_engine::{Result, SparkError, time::Zone};

use super::Entry;

/// Checks `value` for `entry`.
///
/// # Errors
/// `INVALID_CONF_VALUE.*` with Spark's text.
pub fn check(entry: &Entry, value: &str) -> Result<()> {
    let trimmed = value.trim();
    let fits = match entry.value_type {
        "boolean" => trimmed.eq_ignore_ascii_case("true") || trimmed.eq_ignore_ascii_case("false"),
        "int" => trimmed.parse::<i32>().is_ok(),
        "long" => trimmed.parse::<i64>().is_ok(),
        "double" | "number" => trimmed.parse::<f64>().is_ok(),
        "timezone" => Zone::parse(trimmed).is_some(),
        "options" => entry.allowed.split(", ").any(|o| o.eq_ignore_ascii_case(trimmed)),
        "requirement" => requirement(entry).0.any(|o| o.eq_ignore_ascii_case(trimmed)),
        kind if kind.starts_with("bytes") => is_quantity(trimmed, BYTE_UNITS),
        kind if kind.starts_with("time in") => is_quantity(trimmed, TIME_UNITS),
        _ => true,
    };
    let invalid = |sub: &str| {
        SparkError::new(&format!("INVALID_CONF_VALUE.{sub}"))
            .with("confName", entry.key)
            .with("confValue", value)
    };
    if !fits {
        return Err(match entry.value_type {
            "timezone" => invalid("TIME_ZONE"),
            "options" => invalid("OUT_OF_RANGE_OF_OPTIONS").with("confOptions", entry.allowed),
            "requirement" => invalid("REQUIREMENT").with("confRequirement", requirement(entry).1),
            "number" => invalid("TYPE_MISMATCH").with("confType", "double"),
            other => invalid("TYPE_MISMATCH").with("confType", other),
        });
    }
    if entry.key == "spark.sql.shuffle.partitions" && trimmed.parse::<i32>().is_ok_and(|n| n <= 0) {
        let text = "The value of spark.sql.shuffle.partitions must be positive";
        return Err(invalid("REQUIREMENT").with("confRequirement", text));
    }
    Ok(())
}

/// Allowed values, and Spark's sentence.
fn requirement(entry: &Entry) -> (impl Iterator<Item = &'static str>, &'static str) {
    let (values, text) = entry.allowed.split_once('|').unwrap_or_default();
    (values.split(','), text)
}

/// Units of `JavaUtils.byteStringAs`.
const BYTE_UNITS: &[&str] = &["", "b", "k", "kb", "m", "mb", "g", "gb", "t", "tb", "p", "pb"];
/// Units of `JavaUtils.timeStringAs`.
const TIME_UNITS: &[&str] = &["", "us", "ms", "s", "m", "min", "h", "d"];

fn is_quantity(text: &str, units: &[&str]) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, unit) = digits.split_at(end);
    number.parse::<i64>().is_ok() && units.contains(&unit.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::conf::defaults::find;

    fn class(key: &str, value: &str) -> Option<&'static str> {
        check(find(key).unwrap(), value).err().map(|e| e.class())
    }

    #[test]
    fn values_are_checked_by_type() {
        assert_eq!(class("spark.sql.ansi.enabled", "maybe"), Some("INVALID_CONF_VALUE.TYPE_MISMATCH"));
        assert_eq!(class("spark.sql.ansi.enabled", "TRUE"), None);
        assert_eq!(class("spark.sql.shuffle.partitions", "0"), Some("INVALID_CONF_VALUE.REQUIREMENT"));
        assert_eq!(class("spark.sql.shuffle.partitions", "4"), None);
        assert_eq!(class("spark.sql.autoBroadcastJoinThreshold", "-1"), None);
        assert_eq!(
            class("spark.sql.autoBroadcastJoinThreshold", "10 MB"),
            Some("INVALID_CONF_VALUE.TYPE_MISMATCH")
        );
        assert_eq!(
            class("spark.sql.sources.partitionOverwriteMode", "x"),
            Some("INVALID_CONF_VALUE.OUT_OF_RANGE_OF_OPTIONS")
        );
        assert_eq!(class("spark.sql.sources.partitionOverwriteMode", "dynamic"), None);
        assert_eq!(
            class("spark.sql.streaming.multipleWatermarkPolicy", "x"),
            Some("INVALID_CONF_VALUE.REQUIREMENT")
        );
        assert_eq!(class("spark.sql.streaming.multipleWatermarkPolicy", "max"), None);
    }

    #[test]
    fn time_zones_are_regions_or_offsets() {
        for zone in ["UTC", "Europe/Paris", "+02:00", "GMT+1", "Z", "Etc/UTC"] {
            assert_eq!(class("spark.sql.session.timeZone", zone), None, "{zone}");
        }
        for zone in ["Nowhere/X", "+99:00", ""] {
            assert_eq!(
                class("spark.sql.session.timeZone", zone),
                Some("INVALID_CONF_VALUE.TIME_ZONE"),
                "{zone}"
            );
        }
    }
}
