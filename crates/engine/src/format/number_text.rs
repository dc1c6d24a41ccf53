//! Whole texts as numbers, as Java reads them: what the codecs share. Numbers at the front of a
//! longer text are read by [`super::number_scan`].
//!
//! All functions take bytes, allocate nothing on their usual path and answer `None` where
//! Java's parser throws.

/// `Long.parseLong`: an optional sign and digits, nothing else.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    // Accumulated as a negative number, whose range holds i64::MIN.
    let mut value = 0i64;
    for b in digits {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// `Double.parseDouble`: surrounding blanks, `NaN`, `Infinity`, a type suffix and
/// hexadecimal floats are allowed.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    match java_float(text)? {
        FloatText::Decimal(text) => text.parse().ok(),
        FloatText::Special(value) => Some(value),
    }
}

/// `Float.parseFloat`, rounded once from the text.
pub fn parse_f32(text: &[u8]) -> Option<f32> {
    match java_float(text)? {
        FloatText::Decimal(text) => text.parse().ok(),
        FloatText::Special(value) => Some(value as f32),
    }
}

enum FloatText<'a> {
    Decimal(&'a str),
    Special(f64),
}

fn java_float(text: &[u8]) -> Option<FloatText<'_>> {
    let text = std::str::from_utf8(trim_java(text)).ok()?;
    let (sign, bare) = match text.as_bytes().first()? {
        b'-' => (-1.0, text.get(1..)?),
        b'+' => (1.0, text.get(1..)?),
        _ => (1.0, text),
    };
    match bare {
        "NaN" => return Some(FloatText::Special(f64::NAN)),
        "Infinity" => return Some(FloatText::Special(sign * f64::INFINITY)),
        _ => {}
    }
    if bare.starts_with("0x") || bare.starts_with("0X") {
        return hex_float(bare.get(2..)?).map(|v| FloatText::Special(sign * v));
    }
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    // Rust's parser would also take `inf` and `nan`.
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    plain.then_some(FloatText::Decimal(text))
}

/// `1.8p3` after `0x`, which Java accepts with a mandatory exponent.
fn hex_float(text: &str) -> Option<f64> {
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > 13 {
        // More than 52 bits would need rounding; nobody writes these.
        return None;
    }
    let digits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let shift = i32::try_from(fraction.len()).ok()? * 4;
    let exponent: i32 = exponent.parse().ok()?;
    Some(digits as f64 * 2f64.powi(exponent.checked_sub(shift)?))
}

/// `new BigDecimal(text)` brought to `precision` and `scale`, rounding half up.
///
/// `None` when it is no number or has too many digits before the point.
pub fn parse_decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, rest) = match text.first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let split = rest.iter().position(|b| matches!(b, b'e' | b'E'));
    let (number, exponent) = match split {
        Some(at) => (rest.get(..at)?, parse_i64(rest.get(at + 1..)?)?),
        None => (rest, 0),
    };
    let point = number.iter().position(|b| *b == b'.');
    let (whole, fraction) = match point {
        Some(at) => (number.get(..at)?, number.get(at + 1..)?),
        None => (number, [].as_slice()),
    };
    if whole.len() + fraction.len() == 0 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    // How many of the digits remain once the value is counted in units of 10^-scale.
    let kept = i64::try_from(whole.len()).ok()?.checked_add(exponent)?.checked_add(i64::from(scale))?;
    let mut value = 0i128;
    let mut digits = whole.iter().chain(fraction).map(|b| i128::from(b - b'0'));
    let mut seen = 0i64;
    while seen < kept {
        match digits.next() {
            Some(digit) => value = value.checked_mul(10)?.checked_add(digit)?,
            None if value == 0 => break,
            None => value = value.checked_mul(10)?,
        }
        seen += 1;
    }
    if kept >= 0 && seen == kept && digits.next().is_some_and(|d| d >= 5) {
        value += 1;
    }
    if value >= 10i128.checked_pow(u32::from(precision))? {
        return None;
    }
    Some(if negative { -value } else { value })
}

/// Scala's `toBoolean`: `true` or `false` in any case.
pub fn parse_bool(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// `String.trim`: drops bytes up to the blank at both ends.
pub(crate) fn trim_java(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| *b > b' ').unwrap_or(text.len());
    let end = text.iter().rposition(|b| *b > b' ').map_or(start, |p| p + 1);
    text.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_java_limits() {
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_i64(b"+7"), Some(7));
        for bad in ["9223372036854775808", "", "+", "-", " 1", "1 ", "1.0", "0x1"] {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn doubles_are_read_as_java_reads_them() {
        for (text, value) in [
            (" 1.5 ", 1.5),
            ("1d", 1.0),
            ("2.5F", 2.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("-Infinity", f64::NEG_INFINITY),
            ("0x1.8p1", 3.0),
            ("1e-400", 0.0),
            ("4.9e-324", 4.9e-324),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text:?}");
        }
        assert!(parse_f64(b"NaN").is_some_and(f64::is_nan));
        for bad in ["", " ", "nan", "inf", "1,5", "--1", "1e", ".", "0x1", "1dd"] {
            assert_eq!(parse_f64(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn decimals_round_half_up_and_refuse_too_many_digits() {
        for (text, value) in [
            ("1.235", 124),
            ("-1.235", -124),
            ("1.2349", 123),
            ("1e2", 10000),
            ("0.004", 0),
            ("0.005", 1),
            ("999.99", 99999),
            ("1E-5", 0),
            ("0e99", 0),
        ] {
            assert_eq!(parse_decimal(text.as_bytes(), 5, 2), Some(value), "{text}");
        }
        for bad in ["1000", "999.995", "", ".", "1 ", "abc", "1e", "1e99999999999999999999"] {
            assert_eq!(parse_decimal(bad.as_bytes(), 5, 2), None, "{bad}");
        }
    }
}
