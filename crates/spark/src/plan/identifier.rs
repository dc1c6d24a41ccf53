//! Multi-part identifiers: `db.table`, `` a.`b.c` ``.

use millstream_engine::{Result, SparkError};

/// Splits an identifier at its dots; backticks quote dots, doubled backticks a backtick.
///
/// # Errors
/// `INVALID_ATTRIBUTE_NAME_SYNTAX` for empty parts and unbalanced backticks.
pub fn parse_identifier(text: &str) -> Result<Vec<String>> {
    let invalid = || SparkError::new("INVALID_ATTRIBUTE_NAME_SYNTAX").with("name", text);
    let mut parts = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        let mut part = String::new();
        if chars.peek() == Some(&'`') {
            chars.next();
            loop {
                match chars.next() {
                    Some('`') if chars.peek() == Some(&'`') => {
                        chars.next();
                        part.push('`');
                    }
                    Some('`') => break,
                    Some(c) => part.push(c),
                    None => return Err(invalid()),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != '.') {
                if c == '`' {
                    return Err(invalid());
                }
                part.push(c);
            }
            if part.is_empty() {
                return Err(invalid());
            }
        }
        parts.push(part);
        match chars.next() {
            None => return Ok(parts),
            Some('.') => {}
            Some(_) => return Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_quote_dots() {
        let ok = |text: &str| parse_identifier(text).unwrap();
        assert_eq!(ok("a.b"), ["a", "b"]);
        assert_eq!(ok("`a.b`.c"), ["a.b", "c"]);
        assert_eq!(ok("`a``b`"), ["a`b"]);
        assert_eq!(ok("sum(x)"), ["sum(x)"]);
        for bad in ["", "a.", ".a", "a..b", "`a", "a`b", "`a`b"] {
            assert_eq!(parse_identifier(bad).unwrap_err().class(), "INVALID_ATTRIBUTE_NAME_SYNTAX", "{bad}");
        }
    }
}
