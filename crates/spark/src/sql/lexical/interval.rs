//! `INTERVAL 1 DAY 2 HOURS` and `INTERVAL '1-2' YEAR TO MONTH`.

use millstream_engine::Result;

use super::{INTERVAL, Lexer};

impl Lexer {
    /// `INTERVAL` was read: the literal after it. False where none follows.
    pub(super) fn interval(&mut self) -> Result<bool> {
        let mut parts: Vec<String> = Vec::new();
        loop {
            let before = self.at;
            self.skip_space();
            let mut value = String::new();
            if let Some(sign @ ('-' | '+')) = self.peek(0) {
                value.push(sign);
                self.at += 1;
                self.skip_space();
            }
            let quoted = matches!(self.peek(0), Some('\'' | '"'));
            match self.peek(0) {
                Some('\'' | '"') => value.push_str(self.strings(false)?.trim()),
                Some(c) if c.is_ascii_digit() || c == '.' => {
                    while let Some(c) = self.peek(0).filter(|c| c.is_ascii_digit() || *c == '.') {
                        value.push(c);
                        self.at += 1;
                    }
                }
                _ => {
                    self.at = before;
                    break;
                }
            }
            let after_value = self.at;
            self.skip_space();
            let unit = self.word();
            if !is_unit(&unit) {
                self.at = after_value;
                if !parts.is_empty() || !quoted {
                    self.at = before;
                    break;
                }
                // `INTERVAL '1 day'`: the units stand inside.
                parts.push(value);
                break;
            }
            let after_unit = self.at;
            self.skip_space();
            let to = self.word();
            if to.eq_ignore_ascii_case("to") {
                self.skip_space();
                let end = self.word();
                if is_unit(&end) && parts.is_empty() {
                    let (from, to) = (unit.to_ascii_uppercase(), end.to_ascii_uppercase());
                    self.out.push_str(&format!("{INTERVAL}("));
                    self.push_string(&value);
                    self.out.push_str(&format!(", '{from}', '{to}')"));
                    return Ok(true);
                }
            }
            self.at = after_unit;
            parts.push(format!("{value} {unit}"));
        }
        if parts.is_empty() {
            return Ok(false);
        }
        self.out.push_str(&format!("{INTERVAL}("));
        self.push_string(&parts.join(" "));
        self.out.push(')');
        Ok(true)
    }
}

fn is_unit(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let singular = lower.strip_suffix('s').unwrap_or(&lower);
    ["year", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond", "nanosecond"]
        .contains(&singular)
}
