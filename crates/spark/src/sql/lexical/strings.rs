//! Strings with Spark's escapes, and names in backticks.

use millstream_engine::Result;

use super::{super::syntax_error, Lexer};

impl Lexer {
    pub(super) fn quoted_identifier(&mut self) -> Result<()> {
        self.out.push('`');
        self.at += 1;
        loop {
            match self.peek(0) {
                Some('`') if self.peek(1) == Some('`') => {
                    self.out.push_str("``");
                    self.at += 2;
                }
                Some('`') => {
                    self.out.push('`');
                    self.at += 1;
                    return Ok(());
                }
                Some(c) => {
                    self.out.push(c);
                    self.at += 1;
                }
                None => return Err(syntax_error("'`'")),
            }
        }
    }

    /// One string, or several that stand side by side, which Spark joins.
    pub(super) fn strings(&mut self, raw: bool) -> Result<String> {
        let mut text = self.string(raw)?;
        loop {
            let before = self.at;
            self.skip_space();
            match self.peek(0) {
                Some('\'' | '"') => text.push_str(&self.string(false)?),
                _ => {
                    self.at = before;
                    return Ok(text);
                }
            }
        }
    }

    fn string(&mut self, raw: bool) -> Result<String> {
        let quote = self.peek(0).unwrap_or('\'');
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.peek(0) else { return Err(syntax_error(&format!("'{quote}'"))) };
            self.at += 1;
            if c == quote {
                // A doubled quote is two strings side by side in Spark, which drops the quote.
                return Ok(text);
            }
            if c != '\\' || raw {
                text.push(c);
                continue;
            }
            let Some(escaped) = self.peek(0) else { return Err(syntax_error(&format!("'{quote}'"))) };
            self.at += 1;
            self.escape(escaped, &mut text);
        }
    }

    /// Spark's `unescapeSQLString`.
    fn escape(&mut self, escaped: char, text: &mut String) {
        let digits = |count: usize, radix: u32| -> Option<char> {
            let digits: String = (0..count).filter_map(|i| self.peek(i)).collect();
            if digits.len() != count {
                return None;
            }
            char::from_u32(u32::from_str_radix(&digits, radix).ok()?)
        };
        match escaped {
            'u' => match digits(4, 16) {
                Some(c) => {
                    text.push(c);
                    self.at += 4;
                }
                None => text.push('u'),
            },
            'U' => match digits(8, 16) {
                Some(c) => {
                    text.push(c);
                    self.at += 8;
                }
                None => text.push('U'),
            },
            '0'..='3' => {
                let tail: String = (0..2).filter_map(|i| self.peek(i)).collect();
                match u32::from_str_radix(&format!("{escaped}{tail}"), 8).ok().filter(|_| tail.len() == 2) {
                    Some(code) => {
                        text.extend(char::from_u32(code));
                        self.at += 2;
                    }
                    None => text.push(if escaped == '0' { '\0' } else { escaped }),
                }
            }
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'b' => text.push('\u{8}'),
            'Z' => text.push('\u{1a}'),
            // LIKE patterns keep their own escapes.
            '%' | '_' => {
                text.push('\\');
                text.push(escaped);
            }
            other => text.push(other),
        }
    }

    pub(super) fn push_string(&mut self, text: &str) {
        self.out.push('\'');
        self.out.push_str(&text.replace('\'', "''"));
        self.out.push('\'');
    }
}
