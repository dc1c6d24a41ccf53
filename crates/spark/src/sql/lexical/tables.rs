//! What may stand after a table's name in a FROM: `STREAM t`, `WATERMARK ts DELAY OF ..`.

use millstream_engine::Result;

use super::{super::syntax_error, Lexer, STREAM, WATERMARK, is_word};

impl Lexer {
    /// Whether a table without alias was read last.
    pub(super) fn after_table(&self) -> bool {
        let mut before = self.out.trim_end();
        if before.ends_with(')') {
            return true;
        }
        loop {
            let name = match before.strip_suffix('`') {
                Some(inside) => inside.rfind('`').and_then(|open| inside.get(..open)),
                None => before.rfind(|c| !is_word(c)).and_then(|end| {
                    let next = end + before.get(end..)?.chars().next()?.len_utf8();
                    before.get(..next)
                }),
            };
            before = name.unwrap_or_default();
            match before.strip_suffix('.') {
                Some(rest) => before = rest,
                None => break,
            }
        }
        let before = before.trim_end();
        let word = before.rsplit(|c| !is_word(c)).next().unwrap_or_default();
        before.ends_with([',', '('])
            || ["FROM", "JOIN", "TABLE"].iter().any(|known| word.eq_ignore_ascii_case(known))
    }

    /// Whether a table is due.
    pub(super) fn after_from(&self) -> bool {
        let last = self.out.trim_end().rsplit(|c: char| !is_word(c)).next().unwrap_or_default();
        ["FROM", "JOIN"].iter().any(|word| last.eq_ignore_ascii_case(word))
    }

    /// `STREAM` was read: the table after it. False where none follows, for then it is a
    /// table's name.
    pub(super) fn stream(&mut self) -> Result<bool> {
        self.skip_space();
        let parenthesis = self.peek(0) == Some('(');
        if parenthesis {
            self.at += 1;
            self.skip_space();
        }
        if !matches!(self.peek(0), Some(c) if c == '`' || is_word(c)) {
            return Ok(false);
        }
        let from = self.out.len();
        self.out.push_str(&format!("{STREAM}."));
        loop {
            if self.peek(0) == Some('`') {
                self.quoted_identifier()?;
            } else {
                let word = self.word();
                if word.is_empty() || (!parenthesis && is_after_table(&word)) {
                    self.out.truncate(from);
                    return Ok(false);
                }
                self.out.push_str(&word);
            }
            if self.peek(0) != Some('.') {
                break;
            }
            self.out.push('.');
            self.at += 1;
        }
        if parenthesis {
            self.skip_space();
            if self.peek(0) != Some(')') {
                self.out.truncate(from);
                return Ok(false);
            }
            self.at += 1;
        }
        Ok(true)
    }

    /// Where `DELAY OF` stands ahead, outside of strings and parentheses.
    pub(super) fn delay_of(&self) -> Option<usize> {
        let (mut at, mut depth, mut quote) = (self.at, 0, None);
        while let Some(c) = self.chars.get(at).copied() {
            match (quote, c) {
                (Some(_), '\\') => at += 1,
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"' | '`') => quote = Some(c),
                (None, '(') => depth += 1,
                (None, ')') => depth -= 1,
                (None, ';') => return None,
                _ => {}
            }
            if depth < 0 {
                return None;
            }
            if quote.is_none()
                && depth == 0
                && is_word(c)
                && !self.chars.get(at.wrapping_sub(1)).is_some_and(|c| is_word(*c))
            {
                let mut ahead = self.ahead(at);
                if ahead.word().eq_ignore_ascii_case("delay") {
                    ahead.skip_space();
                    if ahead.word().eq_ignore_ascii_case("of") {
                        return Some(at);
                    }
                }
            }
            at += 1;
        }
        None
    }

    /// A lexer that looks at the text from `at` on.
    fn ahead(&self, at: usize) -> Self {
        Self {
            chars: self.chars.clone(),
            at,
            out: String::new(),
            positional: self.positional,
            pieces: Vec::new(),
        }
    }

    /// `WATERMARK` was read; `DELAY OF` stands at `delay`. The clause becomes the sample of a
    /// table, which the parser takes after the table's alias.
    pub(super) fn watermark(&mut self, delay: usize) -> Result<()> {
        let event_time: String = self.chars.iter().take(delay).skip(self.at).collect();
        self.at = delay;
        self.word();
        self.skip_space();
        self.word();
        self.skip_space();
        let start = self.at;
        let table = std::mem::take(&mut self.out);
        let is_interval = self.word().eq_ignore_ascii_case("interval") && self.interval()?;
        let interval = std::mem::replace(&mut self.out, table);
        if !is_interval {
            let rest: String = self.chars.iter().skip(start).collect();
            let token = rest.split_whitespace().next().unwrap_or("end of input");
            return Err(syntax_error(&format!("'{token}'")).with("hint", ": missing 'INTERVAL'"));
        }
        self.alias()?;
        self.out.push_str(&format!(" TABLESAMPLE ({WATERMARK}("));
        self.push_string(event_time.trim());
        self.out.push_str(&format!(", {interval}))"));
        Ok(())
    }

    /// The alias of a table, if one follows: `[AS] name [(columns)]`.
    fn alias(&mut self) -> Result<()> {
        let before = self.at;
        self.skip_space();
        let mut name_at = self.at;
        if self.word().eq_ignore_ascii_case("as") {
            self.skip_space();
            name_at = self.at;
        }
        self.at = name_at;
        let from = self.out.len();
        self.out.push_str(" AS ");
        if self.peek(0) == Some('`') {
            self.quoted_identifier()?;
        } else {
            let word = self.word();
            if word.is_empty() || is_after_table(&word) {
                self.out.truncate(from);
                self.at = before;
                return Ok(());
            }
            self.out.push_str(&word);
        }
        let after_name = self.at;
        self.skip_space();
        if self.peek(0) != Some('(') {
            self.at = after_name;
            return Ok(());
        }
        while let Some(c) = self.peek(0) {
            if c == '`' {
                self.quoted_identifier()?;
                continue;
            }
            self.out.push(c);
            self.at += 1;
            if c == ')' {
                break;
            }
        }
        Ok(())
    }
}

/// Words that end a table without alias.
fn is_after_table(word: &str) -> bool {
    const WORDS: [&str; 34] = [
        "WHERE",
        "GROUP",
        "ORDER",
        "HAVING",
        "JOIN",
        "INNER",
        "LEFT",
        "RIGHT",
        "FULL",
        "CROSS",
        "NATURAL",
        "ON",
        "USING",
        "LIMIT",
        "OFFSET",
        "UNION",
        "EXCEPT",
        "INTERSECT",
        "MINUS",
        "LATERAL",
        "WINDOW",
        "CLUSTER",
        "DISTRIBUTE",
        "SORT",
        "SEMI",
        "ANTI",
        "PIVOT",
        "UNPIVOT",
        "TABLESAMPLE",
        "WATERMARK",
        "SELECT",
        "SET",
        "FROM",
        "ANY",
    ];
    WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}
