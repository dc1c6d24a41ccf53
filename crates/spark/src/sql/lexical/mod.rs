//! Spark's literals, before the parser sees them.
//!
//! `sqlparser` reads some of Spark's spellings as something else (`2S` as a column with an
//! alias, `r'\d'` as a column `r`) or not at all (`INTERVAL 1 DAY 2 HOURS`). Here the text is
//! rewritten: such literals become calls of functions with names no user writes, strings
//! become standard ones, comments vanish.

use millstream_engine::{Result, SparkError, error::Place};

use super::syntax_error;

mod interval;
mod strings;
mod tables;

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
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
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
