//! Local paths as the URIs Spark's logs hold: `file:///dir/a%20b.csv`.
//!
//! The escaping is that of `java.net.URI` as Hadoop's `Path.toUri` uses it: ASCII letters,
//! digits and ``_-!.~'()*:@&=+$,;/`` stay, other ASCII becomes `%XX`, letters beyond ASCII
//! stay, and spaces and control characters beyond ASCII are escaped byte by byte.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

/// The URI of an absolute local path.
pub fn to_uri(path: &Path) -> String {
    let text = path.to_string_lossy();
    let mut out = String::with_capacity(text.len() + 8);
    out.push_str("file://");
    let mut bytes = [0; 4];
    for c in text.chars() {
        let stays = match c {
            c if c.is_ascii_alphanumeric() => true,
            c if c.is_ascii() => "_-!.~'()*:@&=+$,;/".contains(c),
            c => !c.is_whitespace() && !c.is_control(),
        };
        if stays {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push('%');
                out.push(hex(byte >> 4));
                out.push(hex(byte & 15));
            }
        }
    }
    out
}

/// The local path of a `file:` URI (`file:/x`, `file:///x`) or of a plain path; `None` for
/// another scheme.
pub fn from_uri(uri: &str) -> Option<PathBuf> {
    let Some(rest) = uri.strip_prefix("file:") else {
        return (!has_scheme(uri)).then(|| PathBuf::from(uri));
    };
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let path = path.strip_prefix("localhost").unwrap_or(path);
    Some(PathBuf::from(percent_decode_str(path).decode_utf8_lossy().into_owned()))
}

fn has_scheme(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

fn hex(nibble: u8) -> char {
    char::from(if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_hadoop_does_and_reads_back() {
        for (path, uri) in [
            ("/data/work/f00.csv", "file:///data/work/f00.csv"),
            ("/d/a b#c%d.csv", "file:///d/a%20b%23c%25d.csv"),
            ("/d/k=v;x,y@z+(1)!~'*/f", "file:///d/k=v;x,y@z+(1)!~'*/f"),
            ("/d/é日/[x]{y}", "file:///d/é日/%5Bx%5D%7By%7D"),
            ("/d/a\u{a0}b\u{2003}c", "file:///d/a%C2%A0b%E2%80%83c"),
        ] {
            assert_eq!(to_uri(Path::new(path)), uri);
            assert_eq!(from_uri(uri), Some(PathBuf::from(path)));
        }
        assert_eq!(from_uri("file:/x/y"), Some(PathBuf::from("/x/y")));
        assert_eq!(from_uri("/x/y%20"), Some(PathBuf::from("/x/y%20")));
        assert_eq!(from_uri("s3://bucket/x"), None);
    }
}
