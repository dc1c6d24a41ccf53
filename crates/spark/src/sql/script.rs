//! A file of SQL statements, cut at its semicolons.
//!
//! Strings, quoted names and comments may contain semicolons. As in Spark, what lies before a
//! statement belongs to it, and text without a statement (white space, comments) is dropped.

/// One statement of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptStatement<'a> {
    /// Its text with the comments before it, without the semicolon.
    pub text: &'a str,
    /// Where its first word stands in the file, in bytes.
    pub start: usize,
    /// The line of its first word, from 1.
    pub line: usize,
}

impl<'a> ScriptStatement<'a> {
    /// The text from the first word on.
    pub fn trimmed(&self, file: &'a str) -> &'a str {
        let base = self.text.as_ptr() as usize - file.as_ptr() as usize;
        self.text.get(self.start.saturating_sub(base)..).unwrap_or(self.text)
    }
}

/// The statements of `file`, in order.
pub fn split_statements(file: &str) -> Vec<ScriptStatement<'_>> {
    let bytes = file.as_bytes();
    let (mut found, mut begin, mut first, mut at) = (Vec::new(), 0, None, 0);
    let mut end_statement = |begin: usize, end: usize, first: &mut Option<usize>| {
        if let (Some(start), Some(text)) = (first.take(), file.get(begin..end)) {
            let line = 1 + bytes.iter().take(start).filter(|b| **b == b'\n').count();
            found.push(ScriptStatement { text, start, line });
        }
    };
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        at = match (byte, next) {
            (b';', _) => {
                end_statement(begin, at, &mut first);
                begin = at + 1;
                at + 1
            }
            (b'-', Some(b'-')) => {
                bytes.iter().skip(at).position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n)
            }
            (b'/', Some(b'*')) => after_comment(bytes, at),
            (b'\'' | b'"' | b'`', _) => {
                first.get_or_insert(at);
                after_quoted(bytes, at, byte)
            }
            _ => {
                if !byte.is_ascii_whitespace() {
                    first.get_or_insert(at);
                }
                at + 1
            }
        };
    }
    end_statement(begin, bytes.len(), &mut first);
    found
}

/// The end of the comment that starts at `at`; comments nest.
fn after_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < bytes.len() {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'/'), Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (Some(b'*'), Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of the quoted piece that starts at `at`; a backslash escapes inside of strings.
fn after_quoted(bytes: &[u8], at: usize, quote: u8) -> usize {
    let mut at = at + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if quote != b'`' => at += 2,
            _ if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_that_are_not_quoted() {
        let file = "-- one; two\nSELECT ';', `a;b`, \"x\\\";\" /* ; /* ; */ ; */;\n\n ;; SELECT\n2 ; -- end";
        let found = split_statements(file);
        let texts: Vec<&str> = found.iter().map(|s| s.trimmed(file)).collect();
        assert_eq!(texts, ["SELECT ';', `a;b`, \"x\\\";\" /* ; /* ; */ ; */", "SELECT\n2 "]);
        assert_eq!(found.iter().map(|s| s.line).collect::<Vec<_>>(), [2, 4]);
        assert!(found[0].text.starts_with("-- one"));
    }

    #[test]
    fn text_without_a_statement_is_none() {
        assert!(split_statements(" \n-- nothing\n/* ; */ ;;").is_empty());
        assert_eq!(split_statements("SELECT 'open; string").len(), 1);
    }
}
