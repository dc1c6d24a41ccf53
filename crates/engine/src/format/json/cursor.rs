//! A cursor over JSON text: recognises tokens, checks syntax, skips what nobody wants.

use memchr::memchr2;

use super::options::Lenience;

/// The text is no JSON (as far as it was looked at).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax;

pub(super) type Scan<T> = Result<T, Syntax>;

/// The start of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Object,
    Array,
    /// Content between the quotes, and whether it has escapes.
    Text(&'a [u8], bool),
    /// A number without fraction and exponent.
    Int(&'a [u8]),
    Float(&'a [u8]),
    True,
    False,
    Null,
}

/// Deepest nesting accepted, as in Spark's parser.
const MAX_DEPTH: usize = 1000;

#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    lenience: Lenience,
    depth: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8], lenience: Lenience) -> Self {
        Self { text, at: 0, lenience, depth: 0 }
    }

    /// Position in the text.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The text from `start` up to here.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Skips blanks (and comments where allowed); the next byte, `None` at the end.
    pub(super) fn blanks(&mut self) -> Scan<Option<u8>> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'/') if self.lenience.comments => self.comment()?,
                other => return Ok(other),
            }
        }
    }

    fn comment(&mut self) -> Scan<()> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.starts_with(b"//") {
            self.at += memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            Ok(())
        } else if rest.starts_with(b"/*") {
            let end = memchr::memmem::find(rest.get(2..).unwrap_or_default(), b"*/").ok_or(Syntax)?;
            self.at += end + 4;
            Ok(())
        } else {
            Err(Syntax)
        }
    }

    /// The next value's first token. Objects and arrays are entered.
    pub(super) fn token(&mut self) -> Scan<Token<'a>> {
        let start = match self.blanks()? {
            Some(_) => self.at,
            None => return Err(Syntax),
        };
        match self.peek().ok_or(Syntax)? {
            b'{' => self.enter(Token::Object),
            b'[' => self.enter(Token::Array),
            quote @ b'"' => self.text_token(quote),
            quote @ b'\'' if self.lenience.single_quotes => self.text_token(quote),
            b'-' | b'+' | b'0'..=b'9' | b'N' | b'I' => self.number(start),
            b't' => self.word(b"true", Token::True),
            b'f' => self.word(b"false", Token::False),
            b'n' => self.word(b"null", Token::Null),
            _ => Err(Syntax),
        }
    }

    fn enter(&mut self, token: Token<'a>) -> Scan<Token<'a>> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Syntax) } else { Ok(token) }
    }

    fn word(&mut self, word: &[u8], token: Token<'a>) -> Scan<Token<'a>> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word)
            || rest.get(word.len()).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        {
            return Err(Syntax);
        }
        self.at += word.len();
        Ok(token)
    }

    fn number(&mut self, start: usize) -> Scan<Token<'a>> {
        let rest = self.text.get(start..).unwrap_or_default();
        if self.lenience.non_numeric {
            for word in [&b"NaN"[..], b"INF", b"+INF", b"-INF", b"Infinity", b"+Infinity", b"-Infinity"] {
                let ends = |b: &u8| !b.is_ascii_alphanumeric();
                if rest.starts_with(word) && rest.get(word.len()).is_none_or(ends) {
                    self.at += word.len();
                    return Ok(Token::Float(self.since(start)));
                }
            }
        }
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.digits();
        if whole == 0
            || whole > 1 && self.text.get(self.at - whole) == Some(&b'0') && !self.lenience.leading_zeros
        {
            return Err(Syntax);
        }
        let mut float = false;
        if self.peek() == Some(b'.') {
            self.at += 1;
            float = true;
            if self.digits() == 0 {
                return Err(Syntax);
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            float = true;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(Syntax);
            }
        }
        match self.peek() {
            None | Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}' | b':' | b'/') => {}
            // At the top level anything may follow a number that has ended.
            Some(_) => return Err(Syntax),
        }
        let text = self.since(start);
        Ok(if float { Token::Float(text) } else { Token::Int(text) })
    }

    fn digits(&mut self) -> usize {
        let count =
            self.text.get(self.at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += count;
        count
    }

    /// A string whose opening quote is current.
    fn text_token(&mut self, quote: u8) -> Scan<Token<'a>> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let stop = memchr2(quote, b'\\', rest).ok_or(Syntax)?;
            let plain = rest.get(..stop).unwrap_or_default();
            if !self.lenience.control_chars && plain.iter().any(|b| *b < b' ') {
                return Err(Syntax);
            }
            self.at += stop;
            if self.peek() == Some(quote) {
                let content = self.since(start);
                self.at += 1;
                return Ok(Token::Text(content, escaped));
            }
            escaped = true;
            self.at += 1 + self.escape()?;
        }
    }

    /// Length of the escape after the backslash here, checked.
    fn escape(&self) -> Scan<usize> {
        match self.text.get(self.at + 1).ok_or(Syntax)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(1),
            b'u' => {
                let hex = self.text.get(self.at + 2..self.at + 6).ok_or(Syntax)?;
                if hex.iter().all(u8::is_ascii_hexdigit) { Ok(5) } else { Err(Syntax) }
            }
            b'\'' if self.lenience.single_quotes => Ok(1),
            byte if self.lenience.any_escape => Ok(match byte {
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0.. => 4,
                _ => 1,
            }),
            _ => Err(Syntax),
        }
    }

    /// Inside an object: the next field's name (raw, with its escape flag), positioned at
    /// its value; `None` at the object's end, which is left.
    pub(super) fn field(&mut self, first: bool) -> Scan<Option<(&'a [u8], bool)>> {
        match self.separated(first, b'}')? {
            None => return Ok(None),
            Some(quote @ (b'"' | b'\'')) => {
                if quote == b'\'' && !self.lenience.single_quotes {
                    return Err(Syntax);
                }
                let Token::Text(name, escaped) = self.text_token(quote)? else { return Err(Syntax) };
                self.colon()?;
                return Ok(Some((name, escaped)));
            }
            Some(byte)
                if self.lenience.unquoted_names
                    && (byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$')) => {}
            Some(_) => return Err(Syntax),
        }
        let start = self.at;
        while self
            .peek()
            .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'-' | 0x80..))
        {
            self.at += 1;
        }
        let name = self.since(start);
        self.colon()?;
        Ok(Some((name, false)))
    }

    fn colon(&mut self) -> Scan<()> {
        if self.blanks()? != Some(b':') {
            return Err(Syntax);
        }
        self.at += 1;
        Ok(())
    }

    /// Inside an array: whether there is another element; at its end the array is left.
    pub(super) fn element(&mut self, first: bool) -> Scan<bool> {
        Ok(self.separated(first, b']')?.is_some())
    }

    fn separated(&mut self, first: bool, close: u8) -> Scan<Option<u8>> {
        let next = self.blanks()?.ok_or(Syntax)?;
        if next == close {
            self.at += 1;
            self.depth = self.depth.saturating_sub(1);
            return Ok(None);
        }
        if first {
            return Ok(Some(next));
        }
        if next != b',' {
            return Err(Syntax);
        }
        self.at += 1;
        match self.blanks()?.ok_or(Syntax)? {
            close_again if close_again == close => Err(Syntax),
            next => Ok(Some(next)),
        }
    }

    /// Skips the rest of the value whose first token was `token`.
    pub(super) fn skip(&mut self, token: Token<'a>) -> Scan<()> {
        match token {
            Token::Object => {
                let mut first = true;
                while self.field(first)?.is_some() {
                    first = false;
                    let token = self.token()?;
                    self.skip(token)?;
                }
                Ok(())
            }
            Token::Array => self.skip_elements(true),
            _ => Ok(()),
        }
    }

    /// Skips the elements left in the current array, and leaves it.
    pub(super) fn skip_elements(&mut self, mut first: bool) -> Scan<()> {
        while self.element(first)? {
            first = false;
            let token = self.token()?;
            self.skip(token)?;
        }
        Ok(())
    }
}

/// The text of a string token with its escapes undone, appended to `out`.
///
/// A lone surrogate becomes `?`, as when Java encodes it.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        let code = rest.get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or_default();
        match code {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let (unit, after) = code_unit(rest);
                rest = after;
                let mut c = char::from_u32(unit);
                if (0xd800..0xdc00).contains(&unit)
                    && let Some(low) = rest.strip_prefix(b"\\u")
                {
                    let (second, after) = code_unit(low);
                    if (0xdc00..0xe000).contains(&second) {
                        rest = after;
                        c = char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00));
                    }
                }
                let c = c.unwrap_or('?');
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest);
}

fn code_unit(text: &[u8]) -> (u32, &[u8]) {
    let hex = text.get(..4).unwrap_or_default();
    let unit = std::str::from_utf8(hex).ok().and_then(|h| u32::from_str_radix(h, 16).ok()).unwrap_or(0xfffd);
    (unit, text.get(4..).unwrap_or_default())
}
