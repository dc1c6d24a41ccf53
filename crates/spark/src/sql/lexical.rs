//! Spark's literals, before the parser sees them.
//!
//! `sqlparser` reads some of Spark's spellings as something else (`2S` as a column with an
//! alias, `r'\d'` as a column `r`) or not at all (`INTERVAL 1 DAY 2 HOURS`). Here the text is
//! rewritten: such literals become calls of functions with names no user writes, strings
//! become standard ones, comments vanish.

use millstream_engine::{Result, SparkError, error::Place};

use super::syntax_error;

/// `{NUMBER}('S', '2')`: a number with a type suffix.
pub(super) const NUMBER: &str = "__spark_number";
/// `{INTERVAL}('1 day 2 hours')` or `{INTERVAL}('1-2', 'YEAR', 'MONTH')`.
pub(super) const INTERVAL: &str = "__spark_interval";
/// `{TYPED}('DATE', '2024-01-01')`, also `X'1F'` as type `X`.
pub(super) const TYPED: &str = "__spark_typed";
/// `{WATERMARK}('ts', interval)` as a table's sample: `WATERMARK ts DELAY OF interval`.
pub(super) const WATERMARK: &str = "__spark_watermark";
/// `{STREAM}.name`: the table `name` read as a stream, `STREAM name` or `STREAM(name)`.
pub(super) const STREAM: &str = "__spark_stream";
/// `{PARAMETER}('name')` or `{PARAMETER}(0)`.
pub(super) const PARAMETER: &str = "__spark_parameter";

/// A text with Spark's own literals rewritten.
pub(super) struct Rewritten<'a> {
    original: &'a str,
    /// What the parser reads.
    pub(super) text: String,
    /// Where the pieces of the text start, and at which character of the original they were.
    pieces: Vec<(usize, usize)>,
}

/// Rewrites a text.
///
/// # Errors
/// `PARSE_SYNTAX_ERROR` for strings and comments that do not end.
pub(super) fn rewrite(original: &str) -> Result<Rewritten<'_>> {
    let chars: Vec<char> = original.chars().collect();
    let out = String::with_capacity(original.len() + 16);
    let mut lexer = Lexer { chars, at: 0, out, positional: 0, pieces: Vec::new() };
    let outcome = lexer.run();
    // An error of the lexer is where the last piece starts.
    let last = lexer.pieces.last().map_or(0, |(_, at)| *at);
    outcome.map_err(|error| error.at(place(original, last)))?;
    Ok(Rewritten { original, text: lexer.out, pieces: lexer.pieces })
}

impl Rewritten<'_> {
    /// An error of the parser, whose place is one of the rewritten text (or its end), at the place
    /// in the original.
    pub(super) fn located(&self, error: SparkError) -> SparkError {
        if error.class() != "PARSE_SYNTAX_ERROR" && error.class() != "PARSE_EMPTY_STATEMENT" {
            return error;
        }
        let end = self.original.chars().count();
        let at = match error.place() {
            Some(found) if !found.text.is_empty() => return error,
            Some(found) => {
                let before = self.text.split_inclusive('\n').take(found.line.saturating_sub(1));
                let start: usize = before.map(str::len).sum();
                let line = self.text.get(start..).unwrap_or_default();
                let offset = start + line.chars().take(found.position).map(char::len_utf8).sum::<usize>();
                let piece = self.pieces.partition_point(|(out, _)| *out <= offset).checked_sub(1);
                let piece = piece.and_then(|piece| self.pieces.get(piece));
                piece.map_or(end, |(out, at)| (at + offset - out).min(end))
            }
            None if error.class() == "PARSE_EMPTY_STATEMENT" => 0,
            None => end,
        };
        error.at(place(self.original, at))
    }
}

/// The place of a character of `text`.
fn place(text: &str, at: usize) -> Place {
    let before: String = text.chars().take(at).collect();
    let line = before.matches('\n').count() + 1;
    let position = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count());
    Place { text: text.to_string(), line, position }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    out: String,
    positional: usize,
    pieces: Vec<(usize, usize)>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn run(&mut self) -> Result<()> {
        while let Some(c) = self.peek(0) {
            self.pieces.push((self.out.len(), self.at));
            match c {
                '-' if self.peek(1) == Some('-') => self.line_comment(),
                '/' if self.peek(1) == Some('*') => self.block_comment()?,
                '\'' | '"' => {
                    let text = self.strings(false)?;
                    self.push_string(&text);
                }
                '`' => self.quoted_identifier()?,
                '=' if self.peek(1) == Some('=') => {
                    self.out.push('=');
                    self.at += 2;
                }
                '!' if self.peek(1) != Some('=') => {
                    self.out.push_str(" NOT ");
                    self.at += 1;
                }
                '?' => {
                    self.out.push_str(&format!("{PARAMETER}({})", self.positional));
                    self.positional += 1;
                    self.at += 1;
                }
                ':' if self.starts_parameter() => {
                    self.at += 1;
                    let name = self.word();
                    self.out.push_str(&format!("{PARAMETER}('{name}')"));
                }
                ':' if self.peek(1) == Some(':') => {
                    self.out.push_str("::");
                    self.at += 2;
                }
                c if c.is_ascii_digit() || (c == '.' && self.peek(1).is_some_and(|n| n.is_ascii_digit())) => {
                    if self.after_name() {
                        self.out.push(c);
                        self.at += 1;
                    } else {
                        self.number();
                    }
                }
                c if is_word(c) => self.name()?,
                c => {
                    self.out.push(c);
                    self.at += 1;
                }
            }
        }
        Ok(())
    }

    /// Whether what was written last makes a following `.5` a path rather than a number.
    fn after_name(&self) -> bool {
        self.peek(0) == Some('.')
            && self.out.chars().last().is_some_and(|c| is_word(c) || matches!(c, '`' | ']' | ')'))
    }

    fn starts_parameter(&self) -> bool {
        let before = self.out.chars().last();
        self.peek(1).is_some_and(|c| is_word(c) && !c.is_ascii_digit())
            && !before.is_some_and(|c| is_word(c) || matches!(c, ':' | '`' | ']' | ')'))
    }

    fn word(&mut self) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(is_word) {
            self.at += 1;
        }
        self.chars.iter().take(self.at).skip(start).collect()
    }

    fn skip_space(&mut self) {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.at += 1;
        }
    }

    /// Comments nest; hints are comments here.
    fn block_comment(&mut self) -> Result<()> {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        self.out.push(' ');
                        return Ok(());
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(syntax_error("end of input")),
            }
        }
    }

    fn quoted_identifier(&mut self) -> Result<()> {
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
    fn strings(&mut self, raw: bool) -> Result<String> {
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

    fn push_string(&mut self, text: &str) {
        self.out.push('\'');
        self.out.push_str(&text.replace('\'', "''"));
        self.out.push('\'');
    }

    fn number(&mut self) {
        let start = self.at;
        let digits = |lexer: &mut Self| {
            while lexer.peek(0).is_some_and(|c| c.is_ascii_digit()) {
                lexer.at += 1;
            }
        };
        digits(self);
        // `1.5` and `1.`, but the first part of `1.a` is no number.
        if self.peek(0) == Some('.') && !self.peek(1).is_some_and(|c| is_word(c) && !c.is_ascii_digit()) {
            self.at += 1;
            digits(self);
        }
        if self.peek(0).is_some_and(|c| matches!(c, 'e' | 'E')) {
            let sign = usize::from(self.peek(1).is_some_and(|c| matches!(c, '+' | '-')));
            if self.peek(1 + sign).is_some_and(|c| c.is_ascii_digit()) {
                self.at += 1 + sign;
                digits(self);
            }
        }
        let number: String = self.chars.iter().take(self.at).skip(start).collect();
        let after_number = self.at;
        let suffix = self.word();
        let upper = suffix.to_ascii_uppercase();
        if suffix.is_empty() {
            self.out.push_str(&number);
        } else if matches!(upper.as_str(), "L" | "S" | "Y" | "D" | "F" | "BD") {
            self.out.push_str(&format!("{NUMBER}('{upper}', '{number}')"));
        } else if number.chars().all(|c| c.is_ascii_digit()) {
            // An identifier that starts with digits.
            self.out.push_str(&format!("`{number}{suffix}`"));
        } else {
            self.at = after_number;
            self.out.push_str(&number);
            self.out.push(' ');
        }
    }

    fn name(&mut self) -> Result<()> {
        let word = self.word();
        let upper = word.to_ascii_uppercase();
        let quote_follows = matches!(self.peek(0), Some('\'' | '"'));
        if upper == "R" && quote_follows {
            let text = self.strings(true)?;
            self.push_string(&text);
            return Ok(());
        }
        if upper == "X" && quote_follows {
            let text = self.strings(false)?;
            self.out.push_str(&format!("{TYPED}('X', "));
            self.push_string(&text);
            self.out.push(')');
            return Ok(());
        }
        let before = self.at;
        if matches!(upper.as_str(), "DATE" | "TIMESTAMP" | "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ") {
            self.skip_space();
            if matches!(self.peek(0), Some('\'' | '"')) {
                let text = self.strings(false)?;
                self.out.push_str(&format!("{TYPED}('{upper}', "));
                self.push_string(&text);
                self.out.push(')');
                return Ok(());
            }
            self.at = before;
        }
        if upper == "INTERVAL" {
            if self.interval()? {
                return Ok(());
            }
            self.at = before;
        }
        if upper == "STREAM" && self.after_from() {
            if self.stream()? {
                return Ok(());
            }
            self.at = before;
        }
        if upper == "WATERMARK" {
            if let Some(of) = self.delay_of() {
                if !self.after_table() {
                    return Err(syntax_error("'WATERMARK'"));
                }
                return self.watermark(of);
            }
            self.at = before;
        }
        self.out.push_str(&word);
        Ok(())
    }

    /// Whether a table without alias was read last.
    fn after_table(&self) -> bool {
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
    fn after_from(&self) -> bool {
        let last = self.out.trim_end().rsplit(|c: char| !is_word(c)).next().unwrap_or_default();
        ["FROM", "JOIN"].iter().any(|word| last.eq_ignore_ascii_case(word))
    }

    /// `STREAM` was read: the table after it. False where none follows, for then it is a
    /// table's name.
    fn stream(&mut self) -> Result<bool> {
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
    fn delay_of(&self) -> Option<usize> {
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
    fn watermark(&mut self, delay: usize) -> Result<()> {
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

    /// `INTERVAL` was read: the literal after it. False where none follows.
    fn interval(&mut self) -> Result<bool> {
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

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
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

fn is_unit(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let singular = lower.strip_suffix('s').unwrap_or(&lower);
    ["year", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond", "nanosecond"]
        .contains(&singular)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_become_what_the_parser_reads_right() {
        for (text, expected) in [
            ("SELECT 2S, 3Y AS y", "SELECT __spark_number('S', '2'), __spark_number('Y', '3') AS y"),
            (
                "1.0D 2.5BD 1e3 1.5 .5 t.5x",
                "__spark_number('D', '1.0') __spark_number('BD', '2.5') 1e3 1.5 .5 t.`5x`",
            ),
            (r"r'\d+' '\d\'x' 'a' 'b'", r"'\d+d''xab'"),
            (r#""it's""#, "'it''s'"),
            ("a -- b\n/* c /* d */ e */ f", "a \n  f"),
            ("INTERVAL 1 DAY 2 HOURS", "__spark_interval('1 DAY 2 HOURS')"),
            ("INTERVAL '1 day' + x", "__spark_interval('1 day') + x"),
            ("INTERVAL '10' MINUTES", "__spark_interval('10 MINUTES')"),
            ("INTERVAL -'1-2' YEAR TO MONTH", "__spark_interval('-1-2', 'YEAR', 'MONTH')"),
            ("interval + 1", "interval + 1"),
            ("FROM STREAM a.`b c` x, stream", "FROM __spark_stream.a.`b c` x, stream"),
            ("JOIN STREAM(a) WHERE", "JOIN __spark_stream.a WHERE"),
            ("SELECT stream FROM stream WHERE x", "SELECT stream FROM stream WHERE x"),
            (
                "FROM t WATERMARK ts DELAY OF INTERVAL 10 SECONDS WHERE",
                "FROM t  TABLESAMPLE (__spark_watermark('ts', __spark_interval('10 SECONDS'))) WHERE",
            ),
            (
                "FROM t WATERMARK f(x, 'delay of') AS d DELAY OF INTERVAL '1' DAY AS r (a, `b)`) JOIN",
                "FROM t  AS r(a, `b)`) TABLESAMPLE (__spark_watermark('f(x, ''delay of'') AS d', \
                 __spark_interval('1 DAY'))) JOIN",
            ),
            ("SELECT watermark FROM watermark", "SELECT watermark FROM watermark"),
            ("DATE '2024-01-01', date(x)", "__spark_typed('DATE', '2024-01-01'), date(x)"),
            ("X'1F'", "__spark_typed('X', '1F')"),
            ("a == b != c <=> d", "a = b != c <=> d"),
            ("!a", " NOT a"),
            (
                ":a + ? + x::int + ?",
                "__spark_parameter('a') + __spark_parameter(0) + x::int + __spark_parameter(1)",
            ),
            ("`a'b` '%\\%'", "`a'b` '%\\%'"),
        ] {
            assert_eq!(rewrite(text).unwrap().text, expected, "{text}");
        }
        let clause = "WATERMARK ts DELAY OF INTERVAL 1 DAY";
        for table in ["t", "a.`b c`", "`t`", "x, u", "(SELECT 1)"] {
            rewrite(&format!("SELECT * FROM {table} {clause}")).unwrap();
        }
        for aliased in ["t AS x", "t x", "a.b `x`"] {
            let error = rewrite(&format!("SELECT * FROM {aliased} {clause}")).err().unwrap();
            assert!(error.to_string().contains("'WATERMARK'"), "{error}");
        }
        assert_eq!(rewrite("'abc").err().unwrap().class(), "PARSE_SYNTAX_ERROR");
    }
}
