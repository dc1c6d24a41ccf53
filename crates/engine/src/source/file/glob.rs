//! Hadoop's path globs: `*`, `?`, `[a-z]`, `[^a]`, `{a,b}`, and `\` before a plain character.
//!
//! A pattern is matched component by component; `*` never crosses a `/`. Braces may hold
//! slashes and are expanded first.

use std::path::{Path, PathBuf};

use regex::Regex;

use crate::{Result, SparkError};

/// Whether Hadoop would treat `path` as a glob.
pub(crate) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '[', ']', '{', '}'])
}

/// The existing paths that `pattern` (absolute) matches, sorted; hidden ones only where the
/// component itself names them.
pub(crate) fn expand(pattern: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for alternative in expand_braces(pattern)? {
        let mut level = vec![PathBuf::from("/")];
        for component in alternative.split('/').filter(|c| !c.is_empty()) {
            let mut next = Vec::new();
            if is_glob(component) || component.contains('\\') {
                let matcher = component_regex(component)?;
                for dir in &level {
                    // A path that is no directory, or vanished, has nothing below it.
                    let Ok(entries) = std::fs::read_dir(dir) else { continue };
                    for entry in entries.flatten() {
                        let name = entry.file_name();
                        let Some(name) = name.to_str() else { continue };
                        if matcher.is_match(name) {
                            next.push(dir.join(name));
                        }
                    }
                }
            } else {
                next.extend(level.iter().map(|dir| dir.join(component)));
            }
            level = next;
        }
        found.extend(level.into_iter().filter(|p| p.exists()));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Where a watch for new matches of `pattern` has to stand: its longest part without globs.
pub(crate) fn fixed_prefix(pattern: &str) -> PathBuf {
    let mut prefix = PathBuf::from("/");
    for component in Path::new(pattern).components() {
        let text = component.as_os_str().to_string_lossy();
        if is_glob(&text) {
            break;
        }
        prefix.push(component);
    }
    prefix
}

/// A matcher for names, for `pathGlobFilter`.
pub(crate) fn name_matcher(pattern: &str) -> Result<Vec<Regex>> {
    expand_braces(pattern)?.iter().map(|p| component_regex(p)).collect()
}

fn expand_braces(pattern: &str) -> Result<Vec<String>> {
    let Some(open) = pattern.find('{') else { return Ok(vec![pattern.to_string()]) };
    let mut depth = 0;
    let mut parts = Vec::new();
    let mut part_start = open + 1;
    let mut close = None;
    for (at, c) in pattern.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    parts.push(pattern.get(part_start..at).unwrap_or_default());
                    close = Some(at);
                    break;
                }
            }
            ',' if depth == 1 => {
                parts.push(pattern.get(part_start..at).unwrap_or_default());
                part_start = at + 1;
            }
            _ => {}
        }
    }
    let Some(close) = close else { return Err(bad_glob(pattern)) };
    let (before, after) =
        (pattern.get(..open).unwrap_or_default(), pattern.get(close + 1..).unwrap_or_default());
    let mut out = Vec::new();
    for part in parts {
        out.extend(expand_braces(&format!("{before}{part}{after}"))?);
    }
    Ok(out)
}

fn component_regex(pattern: &str) -> Result<Regex> {
    let mut regex = String::from("^(?s:");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '\\' => match chars.next() {
                Some(next) => regex.push_str(&regex::escape(next.encode_utf8(&mut [0; 4]))),
                None => return Err(bad_glob(pattern)),
            },
            '[' => {
                regex.push('[');
                let mut first = true;
                loop {
                    match chars.next() {
                        None => return Err(bad_glob(pattern)),
                        Some(']') if !first => break,
                        Some('^' | '!') if first => {
                            regex.push('^');
                            continue;
                        }
                        Some('-') => regex.push('-'),
                        Some(other) => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
                    }
                    first = false;
                }
                regex.push(']');
            }
            other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push_str(")$");
    Regex::new(&regex).map_err(|_| bad_glob(pattern))
}

fn bad_glob(pattern: &str) -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_3241").with("msg", format!("Illegal file pattern: {pattern}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_hadoop() {
        for (pattern, name, matches) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csvx", false),
            ("part-?", "part-1", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a.b", "axb", false),
            ("\\*x", "*x", true),
            ("(1)+", "(1)+", true),
        ] {
            assert_eq!(component_regex(pattern).unwrap().is_match(name), matches, "{pattern} {name}");
        }
        assert_eq!(expand_braces("a{b,c{d,e}}f").unwrap(), ["abf", "acdf", "acef"]);
        assert!(expand_braces("a{b").is_err());
        assert!(component_regex("[a").is_err());
        assert_eq!(fixed_prefix("/data/in/*/x"), PathBuf::from("/data/in"));
    }

    #[test]
    fn existing_paths_are_found_sorted() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/x.csv", "a/x.csv", "a/y.txt"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::File::create(path).unwrap();
        }
        let root = dir.path().to_str().unwrap();
        let names = |pattern: &str| -> Vec<String> {
            let found = expand(&format!("{root}/{pattern}")).unwrap();
            found.iter().map(|p| p.strip_prefix(root).unwrap().display().to_string()).collect()
        };
        assert_eq!(names("*/*.csv"), ["a/x.csv", "b/x.csv"]);
        assert_eq!(names("{a,c}/*"), ["a/x.csv", "a/y.txt"]);
        assert_eq!(names("a/x.csv"), ["a/x.csv"]);
        assert!(names("none*").is_empty());
    }
}
