//! Numbers as Java prints them.

use std::fmt::Write;

/// `Double.toString`: shortest digits that read back, at least one after the point,
/// `E` notation outside `[1e-3, 1e7)`.
///
/// Spark differs: on Java 17 and older `Double.toString` sometimes prints a digit more
/// than needed (JDK-4511638); this is the text of Java 19 and later.
pub fn write_double(value: f64, out: &mut String) {
    if write_special(value.is_nan(), value.is_infinite(), value == 0.0, value.is_sign_negative(), out) {
        return;
    }
    let mut text = Ascii::default();
    let _ = write!(text, "{:e}", value.abs());
    if text.is_one_digit() {
        // Java wants the nearest two digits then: 4.9E-324, not 5E-324.
        text = Ascii::default();
        let _ = write!(text, "{:.1e}", value.abs());
    }
    write_java(value.is_sign_negative(), text.as_str(), out);
}

/// `Float.toString`; see [`write_double`].
pub fn write_float(value: f32, out: &mut String) {
    if write_special(value.is_nan(), value.is_infinite(), value == 0.0, value.is_sign_negative(), out) {
        return;
    }
    let mut text = Ascii::default();
    let _ = write!(text, "{:e}", value.abs());
    if text.is_one_digit() {
        text = Ascii::default();
        let _ = write!(text, "{:.1e}", value.abs());
    }
    write_java(value.is_sign_negative(), text.as_str(), out);
}

/// `value / 10^scale` as `BigDecimal` prints it: `toPlainString`, or `toString`, which
/// takes an exponent below `1E-6`.
pub fn write_decimal(value: i128, scale: i32, plain: bool, out: &mut String) {
    if value < 0 {
        out.push('-');
    }
    let mut digits = Ascii::default();
    let _ = write!(digits, "{}", value.unsigned_abs());
    let digits = digits.as_str();
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let exponent = count - 1 - scale;
    if !plain && (scale < 0 || exponent < -6) {
        let (first, rest) = digits.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        if exponent != 0 {
            let _ = write!(out, "E{exponent:+}");
        }
        return;
    }
    if scale <= 0 {
        out.push_str(digits);
        if value != 0 {
            zeros(-scale, out);
        }
    } else if count > scale {
        let (whole, fraction) = digits.split_at(usize::try_from(count - scale).unwrap_or(0));
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    } else {
        out.push_str("0.");
        zeros(scale - count, out);
        out.push_str(digits);
    }
}

fn write_special(nan: bool, infinite: bool, zero: bool, negative: bool, out: &mut String) -> bool {
    if !(nan || infinite || zero) {
        return false;
    }
    if negative && !nan {
        out.push('-');
    }
    out.push_str(if nan {
        "NaN"
    } else if infinite {
        "Infinity"
    } else {
        "0.0"
    });
    true
}

/// Rust's `d.ddde-x` in Java's layout.
fn write_java(negative: bool, text: &str, out: &mut String) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // `{:.1e}` may leave a zero that Java would not print twice.
    let rest = rest.trim_end_matches('0');
    if negative {
        out.push('-');
    }
    match exponent {
        0..7 => {
            let whole = usize::try_from(exponent).unwrap_or(0);
            out.push_str(first);
            if rest.len() <= whole {
                out.push_str(rest);
                zeros(exponent - i32::try_from(rest.len()).unwrap_or(0), out);
                out.push_str(".0");
            } else {
                let (integer, fraction) = rest.split_at(whole);
                out.push_str(integer);
                out.push('.');
                out.push_str(fraction);
            }
        }
        -3..0 => {
            out.push_str("0.");
            zeros(-exponent - 1, out);
            out.push_str(first);
            out.push_str(rest);
        }
        _ => {
            out.push_str(first);
            out.push('.');
            out.push_str(if rest.is_empty() { "0" } else { rest });
            let _ = write!(out, "E{exponent}");
        }
    }
}

fn zeros(count: i32, out: &mut String) {
    out.extend(std::iter::repeat_n('0', usize::try_from(count).unwrap_or(0)));
}

/// A short piece of ASCII on the stack.
struct Ascii {
    bytes: [u8; 48],
    len: usize,
}

impl Default for Ascii {
    fn default() -> Self {
        Self { bytes: [0; 48], len: 0 }
    }
}

impl Ascii {
    fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }

    /// `5e-324`: nothing between the first digit and the exponent.
    fn is_one_digit(&self) -> bool {
        self.bytes.get(1) == Some(&b'e')
    }
}

impl Write for Ascii {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
