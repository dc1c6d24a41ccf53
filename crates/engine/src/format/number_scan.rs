//! Numbers at some place of a longer text, in large steps: the usual ones only.
//!
//! Everything unusual is `None`, and the caller tries the whole field with
//! [`super::number_text`]. Both give the same numbers (property tests compare them).

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

const TENS: [u64; 16] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
    100_000_000_000,
    1_000_000_000_000,
    10_000_000_000_000,
    100_000_000_000_000,
    1_000_000_000_000_000,
];

/// The number whose eight digits are the bytes, first digit lowest: pairs, then fours, then
/// all in three multiplications.
#[inline]
fn eight(digits: u64) -> u64 {
    let pairs = (digits.wrapping_mul(10) + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff
}

/// Whether the number at `pos` has a minus sign, and where its digits start.
#[inline]
fn sign(text: &[u8], pos: usize) -> Option<(bool, usize)> {
    Some(match text.get(pos)? {
        b'-' => (true, pos + 1),
        b'+' => (false, pos + 1),
        _ => (false, pos),
    })
}

/// Decimal digits at `pos` as an integer with an optional sign, and where they end.
///
/// Only what surely fits: `None` for no digits or more than 18, for the caller to try the
/// whole field with [`parse_i64`](super::number_text::parse_i64).
#[inline]
pub(crate) fn scan_i64(text: &[u8], pos: usize) -> Option<(i64, usize)> {
    let (negative, start) = sign(text, pos)?;
    let (value, at) = scan_digits(text, start, 0);
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
    let (negative, start) = sign(text, pos)?;
    let (mut mantissa, mut at) = digit_by_digit(text, start, 0);
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

/// By a number of bytes up to 15: which bits of sixteen bytes, read as two integers, are the
/// last so many bytes.
const LAST: [[u64; 2]; 16] = {
    let mut masks = [[0; 2]; 16];
    let mut count = 1;
    while count < 16 {
        let mask = !0u128 << (128 - 8 * count);
        masks[count] = [mask as u64, (mask >> 64) as u64];
        count += 1;
    }
    masks
};

/// The number of the `count` digits that end at `end`: no more than 15, and what stands before
/// them makes sixteen bytes.
///
/// The digits are loaded by their end, so that nothing depends on how many there are: no
/// branch to foresee, no bits to move. A column of times takes 10 ns a value instead of 12
/// digit by digit, one of doubles like `-0.123046875` 12 instead of 16, and, as nothing waits
/// for the number before, other work fits in between.
#[inline]
fn digits_before(text: &[u8], end: usize, count: usize) -> Option<u64> {
    let [low_mask, high_mask] = *LAST.get(count)?;
    let (low, high) = text.get(end.checked_sub(16)?..end)?.split_first_chunk::<8>()?;
    let low = (u64::from_le_bytes(*low) ^ 0x3030_3030_3030_3030) & low_mask;
    let high = (u64::from_le_bytes(*high.first_chunk()?) ^ 0x3030_3030_3030_3030) & high_mask;
    let other = |digits: u64| digits.wrapping_add(0x7676_7676_7676_7676) | digits;
    if (other(low) | other(high)) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    Some(eight(low) * 100_000_000 + eight(high))
}

/// The field from `start` to `end` as an integer: at most 15 digits and a minus sign.
#[inline]
pub(crate) fn field_i64(text: &[u8], start: usize, end: usize) -> Option<i64> {
    let negative = text.get(start) == Some(&b'-');
    let count = end.checked_sub(start + usize::from(negative))?;
    if count == 0 {
        return None;
    }
    let value = digits_before(text, end, count)? as i64;
    Some(if negative { -value } else { value })
}

/// The field from `start` to `end` as a double: one to three digits, a point and digits, 15 in
/// all at most. What is given is the number without its point, and the power of ten by which it
/// is still to be divided: both are exact, so that, as for [`scan_f64`], one division rounds once.
///
/// It is left to the caller because a processor divides several at a time, and needs longer for
/// one than for all that is done here.
#[inline]
pub(crate) fn field_f64(text: &[u8], start: usize, end: usize) -> Option<(f64, f64)> {
    let negative = text.get(start) == Some(&b'-');
    let at = start + usize::from(negative);
    let head: &[u8; 4] = text.get(at..)?.first_chunk()?;
    let [a, b, c, _] = head.map(|byte| byte.wrapping_sub(b'0'));
    const POINT: u8 = b'.'.wrapping_sub(b'0');
    let (whole, point) = match (a, b, c, head[3]) {
        (0..=9, POINT, _, _) => (u64::from(a), at + 1),
        (0..=9, 0..=9, POINT, _) => (u64::from(a) * 10 + u64::from(b), at + 2),
        (0..=9, 0..=9, 0..=9, b'.') => (u64::from(a) * 100 + u64::from(b) * 10 + u64::from(c), at + 3),
        _ => return None,
    };
    let count = end.checked_sub(point + 1)?;
    if count == 0 || count + (point - at) > 15 {
        return None;
    }
    let mantissa = digits_before(text, end, count)? + whole * TENS.get(count)?;
    // As a signed integer, which a processor turns into a double in one step.
    let value = mantissa as i64 as f64;
    Some((f64::from_bits(value.to_bits() | u64::from(negative) << 63), *POWERS_OF_TEN.get(count)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::number_text::parse_i64;

    #[test]
    fn usual_fields_are_read_in_large_steps() {
        let line = b"0123456789012345,-0.5,100.25,-12.0625,1493733840004,-7,.5,1234.5,";
        let field = |text: &str| {
            let start = String::from_utf8_lossy(line).find(text).unwrap();
            (start, start + text.len())
        };
        for text in ["-0.5", "100.25", "-12.0625"] {
            let (start, end) = field(text);
            let value = field_f64(line, start, end).map(|(value, divisor)| value / divisor);
            assert_eq!(value, Some(text.parse().unwrap()), "{text}");
        }
        for text in ["1493733840004", "-7"] {
            let (start, end) = field(text);
            assert_eq!(field_i64(line, start, end), Some(text.parse().unwrap()), "{text}");
        }
        for text in [".5", "1234.5", "-7"] {
            let (start, end) = field(text);
            assert_eq!(field_f64(line, start, end), None, "{text}");
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
        fn fields_equal_the_full_parsers(
            before in "[0-9,]{0,17}", text in "-?[0-9]{0,17}(\\.[0-9]{0,14})?[x.-]?", after in "[,.0-9]{0,4}",
        ) {
            let line = format!("{before}{text}{after}");
            let (start, end) = (before.len(), before.len() + text.len());
            if let Some((value, divisor)) = field_f64(line.as_bytes(), start, end) {
                prop_assert_eq!((value / divisor).to_bits(), text.parse::<f64>().unwrap().to_bits());
            }
            if let Some(value) = field_i64(line.as_bytes(), start, end) {
                prop_assert_eq!(value, text.parse::<i64>().unwrap());
            }
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
