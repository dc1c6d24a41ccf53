//! Splits a CSV record into tokens exactly as Spark's parser (univocity) does, odd input
//! included: unescaped quotes, quotes that never close, escapes of escapes.
//!
//! This is the reference path. Plain fields and well-formed quoted fields are handled by
//! the decoder itself; whatever looks unusual comes here.

use memchr::memmem;

/// What to do with a quote inside a quoted value that is not escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum UnescapedQuotes {
    /// The value goes on to the next delimiter, quotes and all.
    #[default]
    StopAtDelimiter,
    /// The value goes on to a quote that is followed by a delimiter.
    StopAtClosingQuote,
    /// The value ends at the first delimiter inside it.
    BackToDelimiter,
    /// The value is dropped.
    SkipValue,
    /// The record is an error.
    RaiseError,
}

/// The characters and rules of one CSV dialect. A byte of 0 means "none".
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Dialect {
    pub(crate) delimiter: Vec<u8>,
    pub(crate) quote: u8,
    pub(crate) escape: u8,
    /// Escapes the escape in front of a quote.
    pub(crate) escape_escape: u8,
    pub(crate) ignore_leading: bool,
    pub(crate) ignore_trailing: bool,
    pub(crate) unescaped: UnescapedQuotes,
    /// Token of a quoted value without content.
    pub(crate) empty_value: Vec<u8>,
    pub(crate) max_columns: usize,
    pub(crate) max_chars: Option<usize>,
}

/// Tokens of one record.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    data: Vec<u8>,
    /// End of each token in `data`, and whether it is a value (not nothing at all).
    ends: Vec<(usize, bool)>,
}

impl Tokens {
    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Token `index`: `None` beyond the last one and for a field without any character.
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        let (end, value) = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends.get(index - 1)?.0 };
        value.then(|| self.data.get(start..end).unwrap_or_default())
    }

    fn clear(&mut self) {
        self.data.clear();
        self.ends.clear();
    }

    fn start(&self) -> usize {
        self.ends.last().map_or(0, |(end, _)| *end)
    }

    fn pending(&self) -> usize {
        self.data.len() - self.start()
    }
}

/// Why a record cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// More tokens than `maxColumns`.
    TooManyColumns,
    /// A value longer than `maxCharsPerColumn`.
    TooLong,
    /// `RAISE_ERROR` met an unescaped quote.
    UnescapedQuote,
}

enum Stop {
    EndOfInput,
    Error(TokenError),
}

type Step<T = ()> = Result<T, Stop>;

/// Splits the record at `at` in `input` and returns where the next record starts.
///
/// A record ends at `\n` outside quotes or at the end of the input.
pub(crate) fn record(
    dialect: &Dialect,
    input: &[u8],
    at: usize,
    tokens: &mut Tokens,
) -> Result<usize, TokenError> {
    tokens.clear();
    let mut run = Run { d: dialect, input, at, ch: 0, prev: 0, unescaped: false, trim: false, tokens };
    match run.record() {
        Ok(()) => Ok(run.at),
        Err(Stop::EndOfInput) => match run.end_of_input() {
            Ok(()) => Ok(input.len()),
            Err(Stop::Error(e)) => Err(e),
            Err(Stop::EndOfInput) => Ok(input.len()),
        },
        Err(Stop::Error(e)) => Err(e),
    }
}

/// One pass over one record.
///
/// # Invariants
/// `ch` is the byte before `at`, or 0 where an escape has been consumed; at the end of the
/// input it keeps the last byte looked at, which decides what a dangling quote means.
struct Run<'a> {
    d: &'a Dialect,
    input: &'a [u8],
    at: usize,
    ch: u8,
    prev: u8,
    unescaped: bool,
    trim: bool,
    tokens: &'a mut Tokens,
}

impl Run<'_> {
    fn next(&mut self) -> Step {
        match self.input.get(self.at) {
            Some(ch) => {
                self.ch = *ch;
                self.at += 1;
                Ok(())
            }
            None => Err(Stop::EndOfInput),
        }
    }

    /// Whether the current byte starts a delimiter; if so it becomes its last byte.
    fn delimiter(&mut self) -> bool {
        let here = self.at.checked_sub(1).and_then(|start| self.input.get(start..)).unwrap_or_default();
        let found = here.starts_with(&self.d.delimiter);
        if found && self.d.delimiter.len() > 1 {
            self.at += self.d.delimiter.len() - 1;
            self.ch = self.d.delimiter.last().copied().unwrap_or(0);
        }
        found
    }

    fn append(&mut self, byte: u8) {
        self.tokens.data.push(byte);
    }

    fn finish(&mut self, value: bool) -> Step {
        if self.tokens.ends.len() >= self.d.max_columns {
            return Err(Stop::Error(TokenError::TooManyColumns));
        }
        let start = self.tokens.start();
        if let Some(max) = self.d.max_chars {
            let text = self.tokens.data.get(start..).unwrap_or_default();
            // Counted in UTF-16 units, as Java strings are.
            if String::from_utf8_lossy(text).encode_utf16().count() > max {
                return Err(Stop::Error(TokenError::TooLong));
            }
        }
        self.tokens.ends.push((self.tokens.data.len(), value));
        Ok(())
    }

    fn push_nothing(&mut self) -> Step {
        let start = self.tokens.start();
        self.tokens.data.truncate(start);
        self.finish(false)
    }

    fn push_value(&mut self) -> Step {
        let start = self.tokens.start();
        if self.trim {
            while self.tokens.data.len() > start && self.tokens.data.last().is_some_and(|b| *b <= b' ') {
                self.tokens.data.pop();
            }
        }
        if self.tokens.data.len() == start {
            self.tokens.data.extend_from_slice(&self.d.empty_value);
        }
        self.finish(true)
    }

    fn skip_blanks(&mut self) -> Step {
        while self.ch <= b' ' && self.ch != b'\n' && self.ch != self.d.quote {
            let here = self.input.get(self.at - 1..).unwrap_or_default();
            if here.starts_with(&self.d.delimiter) {
                break;
            }
            self.next()?;
        }
        Ok(())
    }

    fn record(&mut self) -> Step {
        self.next()?;
        if self.d.ignore_leading {
            self.skip_blanks()?;
        }
        while self.ch != b'\n' {
            if self.d.ignore_leading {
                self.skip_blanks()?;
            }
            if self.ch == b'\n' || self.delimiter() {
                self.push_nothing()?;
            } else {
                self.unescaped = false;
                self.prev = 0;
                if self.ch == self.d.quote && self.d.quote != 0 {
                    if self.simple_quoted()? {
                        continue;
                    }
                    self.trim = false;
                    self.quoted()?;
                    let nothing_left = self.unescaped
                        && self.d.unescaped == UnescapedQuotes::BackToDelimiter
                        && self.tokens.pending() == 0;
                    if !nothing_left {
                        self.push_value()?;
                    }
                } else {
                    self.trim = self.d.ignore_trailing;
                    self.until_delimiter()?;
                    // In the middle of a record a value of blanks only counts as no value.
                    let start = self.tokens.start();
                    let text = self.tokens.data.get(start..).unwrap_or_default();
                    if self.trim && text.iter().all(|b| *b <= b' ') {
                        self.push_nothing()?;
                    } else {
                        self.push_value()?;
                    }
                }
            }
            if self.ch != b'\n' {
                self.next()?;
                if self.ch == b'\n' {
                    self.push_nothing()?;
                }
            }
        }
        Ok(())
    }

    /// A quoted value without escapes that ends right before a delimiter or the record's
    /// end. Afterwards the first byte of the next field is current.
    fn simple_quoted(&mut self) -> Step<bool> {
        let start = self.at;
        let mut end = start;
        let byte = |at: usize| self.input.get(at).copied();
        loop {
            let Some(ch) = byte(end) else { return Ok(false) };
            if ch == self.d.quote {
                let after = self.input.get(end + 1..).unwrap_or_default();
                let escaped = byte(end.wrapping_sub(1)) == Some(self.d.escape);
                if escaped || !(after.starts_with(&self.d.delimiter) || after.first() == Some(&b'\n')) {
                    return Ok(false);
                }
                break;
            }
            let escapes = |next: u8| next == self.d.quote || next == self.d.escape_escape;
            if ch == b'\n' || ch == self.d.escape && byte(end + 1).is_some_and(escapes) {
                return Ok(false);
            }
            end += 1;
        }
        self.trim = false;
        self.tokens.data.extend_from_slice(self.input.get(start..end).unwrap_or_default());
        self.push_value()?;
        self.at = end + 1;
        self.next()?;
        if self.ch != b'\n' && self.delimiter() {
            if self.at >= self.input.len() {
                // A delimiter at the very end: one more field without a character.
                return Err(Stop::EndOfInput);
            }
            self.next()?;
            if self.ch == b'\n' {
                self.push_nothing()?;
            }
        }
        Ok(true)
    }

    /// Appends from the current byte up to a delimiter or `\n`, which becomes current.
    fn until_delimiter(&mut self) -> Step {
        let start = self.at - 1;
        let rest = self.input.get(start..).unwrap_or_default();
        let line = rest.get(..memchr::memchr(b'\n', rest).unwrap_or(rest.len())).unwrap_or_default();
        let found = match self.d.delimiter.as_slice() {
            [single] => memchr::memchr(*single, line),
            many => memmem::find(line, many),
        };
        let length = found.unwrap_or(line.len());
        self.tokens.data.extend_from_slice(line.get(..length).unwrap_or_default());
        self.at = start + length;
        self.next()?;
        if found.is_some() {
            self.delimiter();
        }
        Ok(())
    }

    /// Appends from the current byte up to a quote or escape, which becomes current.
    fn until_quote(&mut self) -> Step {
        let stop = [self.d.quote, self.d.escape, self.d.escape_escape];
        let start = self.at - 1;
        let rest = self.input.get(start..).unwrap_or_default();
        let length = rest.iter().position(|b| stop.contains(b)).unwrap_or(rest.len());
        self.tokens.data.extend_from_slice(rest.get(..length).unwrap_or_default());
        self.at = start + length;
        self.next()
    }

    fn parses_until_delimiter(&self) -> bool {
        matches!(
            self.d.unescaped,
            UnescapedQuotes::StopAtDelimiter | UnescapedQuotes::SkipValue | UnescapedQuotes::BackToDelimiter
        )
    }

    /// The rest of a quoted value; a delimiter or `\n` is current afterwards.
    fn quoted(&mut self) -> Step {
        let quote = self.d.quote;
        if self.prev != 0 && self.parses_until_delimiter() {
            if self.d.unescaped == UnescapedQuotes::SkipValue {
                return self.skip_value();
            }
            let start = self.tokens.start();
            self.tokens.data.insert(start, quote);
            self.next()?;
            self.trim = self.d.ignore_trailing;
            return self.until_delimiter();
        }
        self.next()?;
        loop {
            if self.prev == quote {
                if self.ch == b'\n' || self.delimiter() {
                    return Ok(());
                }
                if self.ch <= b' ' {
                    return self.after_closing_quote();
                }
            }
            if self.ch != quote && self.ch != self.d.escape {
                if self.prev == quote {
                    return self.unescaped_quote();
                }
                if self.prev == self.d.escape && self.d.escape != 0 {
                    self.append(self.d.escape);
                }
                self.until_quote()?;
                self.prev = self.ch;
                self.next()?;
            } else {
                self.quote_or_escape()?;
                self.prev = self.ch;
                self.next()?;
                if self.unescaped && (self.ch == b'\n' || self.delimiter()) {
                    return Ok(());
                }
            }
        }
    }

    /// Blanks after a closing quote are dropped, unless more of the value follows.
    fn after_closing_quote(&mut self) -> Step {
        let mut blanks = Vec::new();
        loop {
            blanks.push(self.ch);
            self.next()?;
            if self.ch == b'\n' || self.delimiter() {
                return Ok(());
            }
            if self.ch > b' ' {
                break;
            }
        }
        if self.d.unescaped == UnescapedQuotes::RaiseError {
            return Err(Stop::Error(TokenError::UnescapedQuote));
        }
        self.append(self.d.quote);
        self.tokens.data.extend_from_slice(&blanks);
        if self.parses_until_delimiter() || self.ch != self.d.quote && self.ch != self.d.escape {
            self.append(self.ch);
        }
        self.prev = self.ch;
        self.quoted()
    }

    /// A quote was followed by something that neither escapes nor ends.
    fn unescaped_quote(&mut self) -> Step {
        self.unescaped = true;
        match self.d.unescaped {
            UnescapedQuotes::BackToDelimiter => {
                let start = self.tokens.start();
                let content = self.tokens.data.split_off(start);
                let mut rest = content.as_slice();
                while let Some(at) = memmem::find(rest, &self.d.delimiter) {
                    self.tokens.data.extend_from_slice(rest.get(..at).unwrap_or_default());
                    self.push_value()?;
                    rest = rest.get(at + self.d.delimiter.len()..).unwrap_or_default();
                }
                self.tokens.data.extend_from_slice(rest);
                self.append(self.ch);
                self.prev = 0;
                self.quoted()
            }
            UnescapedQuotes::StopAtClosingQuote | UnescapedQuotes::StopAtDelimiter => {
                self.append(self.d.quote);
                self.append(self.ch);
                self.prev = self.ch;
                self.quoted()
            }
            UnescapedQuotes::SkipValue => self.skip_value(),
            UnescapedQuotes::RaiseError => Err(Stop::Error(TokenError::UnescapedQuote)),
        }
    }

    /// The current byte is a quote or an escape inside a quoted value.
    fn quote_or_escape(&mut self) -> Step {
        let d = self.d;
        if self.ch == d.escape && self.prev == d.escape_escape && d.escape_escape != 0 {
            self.append(d.escape);
            self.ch = 0;
        } else if self.prev == d.escape {
            if self.ch == d.quote {
                self.append(d.quote);
                self.ch = 0;
            } else {
                self.append(self.prev);
            }
        } else if self.ch == d.quote && self.prev == d.quote {
            self.append(d.quote);
        } else if self.prev == d.quote {
            return self.unescaped_quote_before_escape();
        }
        Ok(())
    }

    fn unescaped_quote_before_escape(&mut self) -> Step {
        match self.d.unescaped {
            UnescapedQuotes::SkipValue => self.skip_value(),
            UnescapedQuotes::RaiseError => Err(Stop::Error(TokenError::UnescapedQuote)),
            _ => {
                self.append(self.d.quote);
                self.prev = self.ch;
                while self.ch != b'\n' && !self.delimiter() {
                    if self.ch != self.d.quote && self.ch != self.d.escape {
                        if self.prev == self.d.quote {
                            return self.unescaped_quote_before_escape();
                        }
                        self.append(self.ch);
                    } else {
                        self.quote_or_escape()?;
                    }
                    self.prev = self.ch;
                    self.next()?;
                }
                Ok(())
            }
        }
    }

    fn skip_value(&mut self) -> Step {
        let start = self.tokens.start();
        self.until_delimiter()?;
        self.tokens.data.truncate(start);
        Ok(())
    }

    /// The input ended inside the record: what has been gathered is the last value.
    fn end_of_input(&mut self) -> Step {
        let mut value = false;
        if self.ch == self.d.quote && self.d.quote != 0 {
            if self.prev == self.d.quote {
                value = true;
            } else if !self.unescaped {
                self.append(self.d.quote);
            }
        }
        let delimiter = if let [single] = self.d.delimiter.as_slice() { *single } else { 0 };
        value |= self.prev != 0 && self.ch != delimiter && self.ch != b'\n';
        if self.tokens.pending() > 0 || value { self.push_value() } else { self.push_nothing() }
    }
}
