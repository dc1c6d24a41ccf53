//! Durations as Spark's settings write them: `10m`, `600000ms`, a bare number of some unit.

/// The milliseconds of a setting; a bare number counts units of `bare_ms` milliseconds.
/// `None` for what is no duration.
pub fn time_setting_ms(text: &str, bare_ms: i64) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().ok()?;
    let factor = match unit.trim() {
        "" => bare_ms,
        "us" => return Some(number / 1000),
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_counts_before_what_a_bare_number_means() {
        let read = ["5000ms", "5", "5s", "2min", "1H", "7000us", "x", "5 parsecs", "-5s"]
            .map(|t| time_setting_ms(t, 1000));
        let wanted = [5000, 5000, 5000, 120_000, 3_600_000, 7].map(Some);
        assert_eq!(read[..6], wanted);
        assert_eq!(read[6..], [None; 3]);
        assert_eq!(time_setting_ms("5", 1), Some(5));
    }
}
