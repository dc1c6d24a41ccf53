//! Doubles of few decimals, as data that was measured or typed has them: printed without
//! the search for the shortest digits that read back.

use super::TextOut;

/// Decimal places printed at most.
const PLACES: f64 = 1e10;
/// So many units of the last place make a whole.
const UNITS: u64 = 10_000_000_000;

/// Appends `value` as `Double.toString` does and says so, if it has at most ten decimals and
/// a size in `[1e-3, 1e4)`.
///
/// That is exact: a decimal of up to fifteen digits which reads as `value` is the only one
/// (no two of them read as the same double), so it is the shortest. The text is put together
/// in a register: in memory, reading it back would wait for the bytes written last.
#[inline]
pub(super) fn push<T: TextOut + ?Sized>(value: f64, out: &mut T) -> bool {
    let size = value.abs();
    if !(1e-3..1e4).contains(&size) {
        return false;
    }
    // Signed, as processors convert those in one step.
    let units = (size * PLACES + 0.5) as i64;
    // Both are exact, so this is how the decimal reads.
    if units as f64 / PLACES != size {
        return false;
    }
    let units = units as u64;
    let fraction = units % UNITS;
    let whole = eight_digits((units / UNITS) as u32);
    let unused = (whole.trailing_zeros() / 8).min(7);
    let whole_len = 8 - unused;
    let (first, last) = ((fraction / 100_000_000) as u32, eight_digits((fraction % 100_000_000) as u32));
    let decimals = match (last.leading_zeros() / 8, first % 10) {
        (8, 0) => 1,
        (8, _) => 2,
        (zeros, _) => 10 - zeros,
    };
    let head = u32::from_le_bytes([b'.', b'0' + (first / 10) as u8, b'0' + (first % 10) as u8, 0]);
    let decimal = u128::from(head) | u128::from(last | ZEROS) << 24;
    let text = u128::from((whole | ZEROS) >> (8 * unused)) | decimal << (8 * whole_len);
    let sign = u32::from(value < 0.0);
    let text = text << (8 * sign) | u128::from(sign * u32::from(b'-'));
    out.push_ascii(text.to_le_bytes(), (sign + whole_len + 1 + decimals) as usize);
    true
}

/// The digit zero, eight times.
const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// The values of eight decimal digits, the first in the lowest byte: halves are split in
/// halves, all of them in one multiplication.
#[inline]
pub(crate) fn eight_digits(number: u32) -> u64 {
    let fours = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    // 10486 / 2^20 is a hundredth, for numbers below 10,000.
    let hundreds = (fours * 10_486) >> 20 & 0x7f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = (twos * 103) >> 10 & 0x000f_000f_000f_000f;
    tens | (twos - tens * 10) << 8
}

#[cfg(test)]
mod tests {
    use millstream_testkit::cases;
    use proptest::prelude::*;

    use super::*;

    fn pushed(value: f64) -> Option<String> {
        let (mut out, mut bytes) = (String::new(), vec![]);
        assert_eq!(push(value, &mut out), push(value, &mut bytes));
        assert_eq!(out.as_bytes(), bytes);
        Some(out).filter(|out| !out.is_empty())
    }

    #[test]
    fn decimals_of_ten_places_are_printed_and_others_left() {
        for (value, text) in [
            (0.001, "0.001"),
            (-0.001, "-0.001"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.25, "0.25"),
            (12.34, "12.34"),
            (-9_999.0, "-9999.0"),
            (-9_999.5, "-9999.5"),
            (10.0, "10.0"),
            (100.01, "100.01"),
            (0.0371093750, "0.037109375"),
            (0.0380859375, "0.0380859375"),
            (9_999.999_999_999_9, "9999.9999999999"),
            (-9_999.999_999_999_9, "-9999.9999999999"),
            (1_000.000_000_000_1, "1000.0000000001"),
        ] {
            assert_eq!(pushed(value).as_deref(), Some(text));
        }
        let others = [0.0, -0.0, 1e-4, 0.000_999_9, 1e4, -1e4, 1e300, f64::NAN, f64::INFINITY, 2f64.sqrt()];
        for value in others {
            assert_eq!(pushed(value), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases(1000)))]

        #[test]
        fn text_is_the_shortest(units in any::<i64>(), places in 0i32..12, bits in any::<u64>(), few in 0u32..60) {
            let decimal = (units % 10i64.pow(few % 16)) as f64 / 10f64.powi(places);
            let steps = (units >> few) as f64 / 1024.0;
            for value in [decimal, steps, f64::from_bits(bits)] {
                if let Some(text) = pushed(value) {
                    prop_assert_eq!(text.as_str(), zmij::Buffer::new().format(value).to_string());
                }
            }
            prop_assert!(!(1e-3..1e4).contains(&steps.abs()) || pushed(steps).is_some());
        }

        #[test]
        fn digits_are_those_of_the_number(number in 0u32..100_000_000) {
            let text = (eight_digits(number) | ZEROS).to_le_bytes();
            prop_assert_eq!(std::str::from_utf8(&text).unwrap(), format!("{number:08}"));
        }
    }
}
