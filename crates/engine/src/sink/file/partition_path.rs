//! Directories of partitioned output: `country=DE/day=2024-01-01`.
//!
//! A value is its text as `CAST(x AS STRING)` gives it in the session's zone; null and the
//! empty string are `__HIVE_DEFAULT_PARTITION__`. Characters that would confuse a path are
//! written `%XX`, as Spark's `ExternalCatalogUtils.escapePathName` does.

use std::fmt::Write;

/// Directory value of null and of the empty string.
pub const DEFAULT_PARTITION_NAME: &str = "__HIVE_DEFAULT_PARTITION__";

/// Appends `name=value` to a relative directory.
pub fn push_partition(directory: &mut String, name: &str, value: Option<&str>) {
    if !directory.is_empty() {
        directory.push('/');
    }
    escape(name, directory);
    directory.push('=');
    match value {
        None | Some("") => directory.push_str(DEFAULT_PARTITION_NAME),
        Some(value) => escape(value, directory),
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        if matches!(c, '\u{1}'..='\u{1f}' | '\u{7f}') || "\"#%'*/:=?\\{[]^".contains(c) {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{:02X}", u32::from(c));
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_named_as_spark_names_them() {
        for (value, directory) in [
            (Some("a b"), "p=a b"),
            (None, "p=__HIVE_DEFAULT_PARTITION__"),
            (Some(""), "p=__HIVE_DEFAULT_PARTITION__"),
            (Some("q/r:s=t%u#v"), "p=q%2Fr%3As%3Dt%25u%23v"),
            (Some("é日"), "p=é日"),
            (
                Some("a\"b\\c{d}[e]^f*g?h<i>j|k~l!m@n$o&p(q)r+s,t;u`v"),
                "p=a%22b%5Cc%7Bd}%5Be%5D%5Ef%2Ag%3Fh<i>j|k~l!m@n$o&p(q)r+s,t;u`v",
            ),
            (Some("it's\ttab"), "p=it%27s%09tab"),
        ] {
            let mut out = String::new();
            push_partition(&mut out, "p", value);
            assert_eq!(out, directory);
        }
        let mut out = String::new();
        push_partition(&mut out, "z", Some("a"));
        push_partition(&mut out, "y:", Some("2"));
        assert_eq!(out, "z=a/y%3A=2");
    }
}
