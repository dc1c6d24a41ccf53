//! Numbers from text, as Java reads them: what the codecs share.
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

/// Appends the decimal digits at `at` to `value` and says where they end. The value wraps
/// beyond 2^64: the caller counts digits.
///
/// Eight bytes are looked at in one go: a sixth less time than digit by digit for numbers
/// like `0.123046875`, whose lengths a processor cannot foresee. For a digit or two, as
/// before the point, it is slower.
#[inline]
fn scan_digits(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(bytes) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let digits = u64::from_le_bytes(*bytes) ^ 0x3030_3030_3030_3030;
        // The top bit of each byte that is no digit. A carry into a byte comes only from one
        // below that is no digit either, and only the lowest counts.
        let others = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
        if others != 0 {
            let count = others.trailing_zeros() / 8;
            // As if zeros stood in front: the first digit is the lowest byte.
            let front = eight((digits << 8) << (56 - 8 * count));
            let ten = TENS.get(count as usize).copied().unwrap_or(1);
            return (value.wrapping_mul(ten).wrapping_add(front), at + count as usize);
        }
        value = value.wrapping_mul(100_000_000).wrapping_add(eight(digits));
        at += 8;
    }
    digit_by_digit(text, at, value)
}

/// As [`scan_digits`], for few digits.
#[inline]
fn digit_by_digit(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(digit) = text.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d <= 9) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}

const TENS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// The number whose eight digits are the bytes, first digit lowest: pairs, then fours, then
/// all in three multiplications.
#[inline]
fn eight(digits: u64) -> u64 {
    let pairs = (digits.wrapping_mul(10) + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff
}

/// Decimal digits at `pos` as an integer with an optional sign, and where they end.
///
/// Only what surely fits: `None` for no digits or more than 18, for the caller to try the
/// whole field with [`parse_i64`].
#[inline]
pub(crate) fn scan_i64(text: &[u8], pos: usize) -> Option<(i64, usize)> {
    let mut at = pos;
    let negative = match text.get(at)? {
        b'-' => {
            at += 1;
            true
        }
        b'+' => {
            at += 1;
            false
        }
        _ => false,
    };
    let start = at;
    let (value, at) = scan_digits(text, at, 0);
    if at == start || at - start > 18 {
        return None;
    }
    let value = value as i64;
    Some((if negative { -value } else { value }, at))
}

const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// A decimal number at `pos` as a double, and where it ends.
///
/// Only where one multiplication or division by an exact power of ten rounds once, hence
/// correctly (mantissa up to 2^53, exponent up to 22); `None` for everything else.
#[inline]
pub(crate) fn scan_f64(text: &[u8], pos: usize) -> Option<(f64, usize)> {
    let mut at = pos;
    let negative = match text.get(at)? {
        b'-' => {
            at += 1;
            true
        }
        b'+' => {
            at += 1;
            false
        }
        _ => false,
    };
    let start = at;
    let (mut mantissa, mut at) = digit_by_digit(text, at, 0);
    let mut digits = at - start;
    let mut exponent = 0i32;
    if text.get(at) == Some(&b'.') {
        let point = at + 1;
        (mantissa, at) = scan_digits(text, point, mantissa);
        digits += at - point;
        exponent = -i32::try_from(at - point).ok()?;
    }
    if digits == 0 || digits > 19 || mantissa > (1 << 53) {
        return None;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let (value, end) = scan_i64(text, at + 1)?;
        exponent += i32::try_from(value).ok().filter(|e| e.abs() < 1000)?;
        at = end;
    }
    let power = POWERS_OF_TEN.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
    let value = mantissa as f64;
    let value = if exponent < 0 { value / power } else { value * power };
    Some((if negative { -value } else { value }, at))
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
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn scanned_doubles_equal_the_full_parser(text in "[+-]?[0-9]{0,12}\\.?[0-9]{0,9}(e[+-]?[0-9]{1,2})?") {
            if let Some((value, end)) = scan_f64(text.as_bytes(), 0) {
                let full: f64 = text[..end].parse().unwrap();
                prop_assert_eq!(value.to_bits(), full.to_bits());
            }
        }

        #[test]
        fn digits_in_eights_equal_digits_one_by_one(text in "[0-9]{0,19}[^0-9]?.{0,9}", before in 0u64..1000) {
            let text = text.as_bytes();
            let (mut value, mut end) = (before, 0);
            while let Some(digit) = text.get(end).filter(|b| b.is_ascii_digit()) {
                value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
                end += 1;
            }
            prop_assert_eq!(scan_digits(text, 0, before), (value, end));
        }

        #[test]
        fn scanned_integers_equal_the_full_parser(value in any::<i64>()) {
            let text = value.to_string();
            if let Some((scanned, end)) = scan_i64(text.as_bytes(), 0) {
                prop_assert_eq!(end, text.len());
                prop_assert_eq!(scanned, value);
            }
            prop_assert_eq!(parse_i64(text.as_bytes()), Some(value));
        }
    }
}
