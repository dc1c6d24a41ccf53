//! Numbers as Java prints them.

use std::fmt::Write;

use super::{TextOut, short_decimal};

/// `Double.toString`: shortest digits that read back, at least one after the point,
/// `E` notation outside `[1e-3, 1e7)`.
///
/// Spark differs: on Java 17 and older `Double.toString` sometimes prints a digit more
/// than needed (JDK-4511638); this is the text of Java 19 and later.
pub fn write_double<T: TextOut + ?Sized>(value: f64, out: &mut T) {
    if short_decimal::push(value, out) {
        return;
    }
    if (1e-3..1e7).contains(&value.abs()) {
        // The same text, always with a point and without an exponent.
        return out.push_text(zmij::Buffer::new().format_finite(value));
    }
    let mut text = String::with_capacity(24);
    write_unusual_double(value, &mut text);
    out.push_text(&text);
}

fn write_unusual_double(value: f64, out: &mut String) {
    let size = value.abs();
    if write_special(value.is_nan(), value.is_infinite(), value == 0.0, value.is_sign_negative(), out) {
        return;
    }
    let mut digits = Digits::parse(zmij::Buffer::new().format_finite(size));
    if digits.len == 1 && size < f64::MIN_POSITIVE {
        // Where doubles lie far apart Java wants the nearest two digits: 4.9E-324, not 5E-324.
        digits = Digits::parse(&format!("{size:.1e}"));
    }
    digits.write_java(value.is_sign_negative(), out);
}

/// `Float.toString`; see [`write_double`].
pub fn write_float(value: f32, out: &mut String) {
    let size = value.abs();
    if (1e-3..1e7).contains(&size) {
        return out.push_str(zmij::Buffer::new().format_finite(value));
    }
    if write_special(value.is_nan(), value.is_infinite(), value == 0.0, value.is_sign_negative(), out) {
        return;
    }
    let mut digits = Digits::parse(zmij::Buffer::new().format_finite(size));
    if digits.len == 1 && size < f32::MIN_POSITIVE {
        digits = Digits::parse(&format!("{size:.1e}"));
    }
    digits.write_java(value.is_sign_negative(), out);
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

/// Significant digits `d1 d2 ..` of `d1.d2.. * 10^exponent`, without zeros at the end.
struct Digits {
    digits: [u8; 24],
    len: usize,
    exponent: i32,
}

impl Digits {
    /// Reads a positive number, plain or with an exponent.
    fn parse(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut exponent: i32 = exponent.parse().unwrap_or(0);
        let (mut digits, mut len, mut before_point) = ([b'0'; 24], 0, true);
        for byte in mantissa.bytes() {
            if byte == b'.' {
                before_point = false;
                continue;
            }
            if len == 0 && byte == b'0' {
                // A leading zero: before the point it means nothing, after it a power of ten.
                exponent -= i32::from(!before_point);
                continue;
            }
            exponent += i32::from(before_point);
            if let Some(slot) = digits.get_mut(len) {
                *slot = byte;
                len += 1;
            }
        }
        while len > 1 && digits.get(len - 1) == Some(&b'0') {
            len -= 1;
        }
        Self { digits, len, exponent: exponent - 1 }
    }

    fn range(&self, from: usize, to: usize) -> &str {
        let bytes = self.digits.get(from..to.min(self.len)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn write_java(&self, negative: bool, out: &mut String) {
        if negative {
            out.push('-');
        }
        match self.exponent {
            0..7 => {
                let whole = usize::try_from(self.exponent).unwrap_or(0) + 1;
                out.push_str(self.range(0, whole));
                zeros(self.exponent + 1 - i32::try_from(self.len).unwrap_or(0), out);
                out.push('.');
                out.push_str(if self.len > whole { self.range(whole, self.len) } else { "0" });
            }
            -3..0 => {
                out.push_str("0.");
                zeros(-self.exponent - 1, out);
                out.push_str(self.range(0, self.len));
            }
            exponent => {
                out.push_str(self.range(0, 1));
                out.push('.');
                out.push_str(if self.len > 1 { self.range(1, self.len) } else { "0" });
                // Writing to a String cannot fail.
                let _ = write!(out, "E{exponent}");
            }
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
