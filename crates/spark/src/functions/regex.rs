//! Regular expressions and LIKE patterns.
//!
//! Patterns are Java's. What the `regex` crate writes differently is rewritten; what it
//! cannot do (look-around, back-references) is refused by name.

use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, ListBuilder, StringBuilder},
    datatypes::{DataType, Field, Int32Type},
};
use millstream_engine::{Result, SparkError};
use regex::{Regex, RegexBuilder};

use super::{Args, Call, Function, Kernel, Output, coerce, custom, exprs, kernel, kernel_call};
use crate::{
    expression::{Input, TypedExpr, literal},
    types,
};

use Input::{Int, String as Str};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["like"], 2, 3, like),
    custom(&["ilike"], 2, 3, like),
    kernel(&["rlike"], &[Str, Str], 2, Output::Boolean, rlike).shown("RLIKE"),
    kernel(&["regexp"], &[Str, Str], 2, Output::Boolean, rlike).shown("REGEXP"),
    kernel(&["regexp_like"], &[Str, Str], 2, Output::Boolean, rlike).shown("REGEXP_LIKE"),
    custom(&["regexp_replace"], 3, 4, regexp_replace),
    custom(&["regexp_extract"], 2, 3, regexp_extract),
    custom(&["regexp_extract_all"], 2, 3, regexp_extract_all),
    kernel(&["regexp_count"], &[Str, Str], 2, Output::Int, regexp_count),
    kernel(&["regexp_substr"], &[Str, Str], 2, Output::String, regexp_substr).may_be_null(),
    custom(&["regexp_instr"], 2, 3, regexp_instr),
    custom(&["split"], 2, 3, split),
];

/// A compiled pattern, kept while rows repeat it.
#[derive(Default)]
pub(super) struct Patterns {
    last: Option<(String, Regex)>,
}

impl Patterns {
    pub(super) fn java(&mut self, pattern: &str, function: &str) -> Result<&Regex> {
        self.get(pattern, |p| compile(p, function))
    }

    fn get(&mut self, pattern: &str, compile: impl Fn(&str) -> Result<Regex>) -> Result<&Regex> {
        if self.last.as_ref().is_none_or(|(known, _)| known != pattern) {
            self.last = Some((pattern.to_string(), compile(pattern)?));
        }
        match &self.last {
            Some((_, regex)) => Ok(regex),
            None => Err(SparkError::internal("no pattern")),
        }
    }
}

/// Compiles a Java pattern.
fn compile(pattern: &str, function: &str) -> Result<Regex> {
    let unsupported =
        ["(?=", "(?!", "(?<=", "(?<!", "(?>", "\\G"].into_iter().find(|part| pattern.contains(part));
    let back_reference =
        pattern.as_bytes().windows(2).any(|w| w[0] == b'\\' && w[1].is_ascii_digit() && w[1] != b'0');
    if unsupported.is_some() || back_reference {
        return Err(SparkError::unsupported(format!("the regular expression `{pattern}`")));
    }
    Regex::new(&translate(pattern)).map_err(|_| {
        SparkError::new("INVALID_PARAMETER_VALUE.PATTERN")
            .with("parameter", "`regexp`")
            .with("functionName", format!("`{function}`"))
            .with("value", format!("'{pattern}'"))
    })
}

/// Java's ASCII classes and quotations in the `regex` crate's syntax.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut depth = 0;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Q') => {
                    let rest = chars.as_str();
                    let end = rest.find("\\E").unwrap_or(rest.len());
                    out.push_str(&regex::escape(rest.get(..end).unwrap_or_default()));
                    chars = rest.get((end + 2).min(rest.len())..).unwrap_or_default().chars();
                }
                Some('d') => out.push_str(if depth > 0 { "0-9" } else { "[0-9]" }),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str(if depth > 0 { "a-zA-Z0-9_" } else { "[a-zA-Z0-9_]" }),
                Some('W') => out.push_str("[^a-zA-Z0-9_]"),
                Some('s') => {
                    out.push_str(if depth > 0 { " \\t\\n\\x0B\\x0C\\r" } else { "[ \\t\\n\\x0B\\x0C\\r]" })
                }
                Some('S') => out.push_str("[^ \\t\\n\\x0B\\x0C\\r]"),
                Some('h') => out.push_str(if depth > 0 { " \\t" } else { "[ \\t]" }),
                Some('R') => out.push_str("(?:\\r\\n|[\\n\\x0B\\x0C\\r])"),
                Some('Z') => out.push_str("\\n?\\z"),
                // Escaped letters that mean themselves in Java only.
                Some(other) if other.is_ascii_punctuation() || other == ' ' => {
                    if regex_syntax_needs_escape(other) {
                        out.push('\\');
                    }
                    out.push(other);
                }
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            '[' => {
                depth += 1;
                out.push('[');
            }
            ']' if depth > 0 => {
                depth -= 1;
                out.push(']');
            }
            c => out.push(c),
        }
    }
    out
}

fn regex_syntax_needs_escape(c: char) -> bool {
    "\\.+*?()|[]{}^$#&-~".contains(c)
}

/// A LIKE pattern as a regular expression over the whole text.
fn like_pattern(pattern: &str, escape: char, ignore_case: bool) -> Result<Regex> {
    let mut out = String::from("^");
    let mut chars = pattern.chars();
    let invalid = |class: &str| SparkError::new(class).with("format", format!("'{pattern}'"));
    while let Some(c) = chars.next() {
        if c == escape {
            match chars.next() {
                Some(next) if next == '_' || next == '%' || next == escape => {
                    out.push_str(&regex::escape(next.encode_utf8(&mut [0; 4])));
                }
                Some(next) => {
                    return Err(invalid("INVALID_FORMAT.ESC_IN_THE_MIDDLE").with("char", format!("'{next}'")));
                }
                None => return Err(invalid("INVALID_FORMAT.ESC_AT_THE_END")),
            }
        } else {
            match c {
                '_' => out.push('.'),
                '%' => out.push_str(".*"),
                c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
    }
    out.push('$');
    RegexBuilder::new(&out)
        .dot_matches_new_line(true)
        .case_insensitive(ignore_case)
        .build()
        .map_err(|error| SparkError::internal(error.to_string()))
}

fn like(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let evaluation = call.evaluation();
    let ignore_case = call.name == "ilike";
    let shown: Vec<&str> = call.args.iter().map(|a| a.sql.as_str()).collect();
    let sql = match (ignore_case, shown.as_slice()) {
        (false, [text, pattern]) => format!("{text} LIKE {pattern}"),
        (false, [text, pattern, escape]) => format!("{text} LIKE {pattern} ESCAPE '{escape}'"),
        (_, [text, pattern]) => format!("ilike({text}, {pattern})"),
        (_, parts) => format!("ilike({})", parts.join(", ")),
    };
    let args = coerce(call.args, &[Str], &sql, conf)?;
    let nullable = args.iter().any(TypedExpr::nullable);
    let f: Kernel =
        if ignore_case { |args| like_kernel(args, true) } else { |args| like_kernel(args, false) };
    let name = if ignore_case { "ilike" } else { "like" };
    let expr = kernel_call(name, f, exprs(&args), DataType::Boolean, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Boolean, nullable, sql))
}

fn like_kernel(args: &Args, ignore_case: bool) -> Result<ArrayRef> {
    let (texts, patterns) = (args.strings(0)?, args.strings(1)?);
    let escapes = if args.len() > 2 { Some(args.strings(2)?) } else { None };
    let mut known = Patterns::default();
    args.build_booleans(|row| {
        let escape = escapes.as_ref().and_then(|e| e.value(row).chars().next()).unwrap_or('\\');
        let regex = known.get(patterns.value(row), |p| like_pattern(p, escape, ignore_case))?;
        Ok(Some(regex.is_match(texts.value(row))))
    })
}

fn rlike(args: &Args) -> Result<ArrayRef> {
    let (texts, patterns) = (args.strings(0)?, args.strings(1)?);
    let mut known = Patterns::default();
    args.build_booleans(|row| Ok(Some(known.java(patterns.value(row), "rlike")?.is_match(texts.value(row)))))
}

/// Appends `default` where the optional last argument is left out.
fn with_default(call: &mut Call, count: usize, default: TypedExpr) {
    if call.args.len() < count {
        call.args.push(default);
    }
}

fn regexp_replace(mut call: Call) -> Result<TypedExpr> {
    with_default(&mut call, 4, literal::int(1));
    strict(call, "regexp_replace", &[Str, Str, Str, Int], DataType::Utf8, replace_kernel)
}

/// A function that is null only where an argument is.
fn strict(call: Call, shown: &str, inputs: &[Input], t: DataType, f: Kernel) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as(shown);
    let args = coerce(call.args, inputs, &sql, conf)?;
    let nullable = args.iter().any(TypedExpr::nullable);
    let expr = kernel_call(shown, f, exprs(&args), t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// A part of a Java replacement.
enum Piece {
    Text(String),
    Group(usize),
    Name(String),
}

/// Java's replacement syntax: `$1`, `${name}`, `\` before a literal character.
fn replacement(text: &str, groups: usize) -> Option<Vec<Piece>> {
    let mut out = Vec::new();
    let mut literal = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => literal.push(chars.next()?),
            '$' => {
                if !literal.is_empty() {
                    out.push(Piece::Text(std::mem::take(&mut literal)));
                }
                if chars.next_if_eq(&'{').is_some() {
                    let name: String = std::iter::from_fn(|| chars.next_if(|c| *c != '}')).collect();
                    chars.next()?;
                    out.push(Piece::Name(name));
                    continue;
                }
                let mut group = usize::try_from(chars.next()?.to_digit(10)?).ok()?;
                if group > groups {
                    return None;
                }
                // More digits belong to the number while such a group exists.
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                    let next = group * 10 + usize::try_from(digit).ok()?;
                    if next > groups {
                        break;
                    }
                    group = next;
                    chars.next();
                }
                out.push(Piece::Group(group));
            }
            c => literal.push(c),
        }
    }
    if !literal.is_empty() {
        out.push(Piece::Text(literal));
    }
    Some(out)
}

fn replace_kernel(args: &Args) -> Result<ArrayRef> {
    let (texts, patterns, replacements) = (args.strings(0)?, args.strings(1)?, args.strings(2)?);
    let positions = args.primitives::<Int32Type>(3)?;
    let mut known = Patterns::default();
    args.build_strings(|row, out| {
        let (text, with, position) = (texts.value(row), replacements.value(row), positions.value(row));
        if position < 1 {
            return Err(SparkError::new("DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE")
                .with("exprName", "position")
                .with("valueRange", "(0, 2147483647]")
                .with("currentValue", position.to_string()));
        }
        let regex = known.java(patterns.value(row), "regexp_replace")?;
        let start = text
            .char_indices()
            .nth(usize::try_from(position - 1).unwrap_or(0))
            .map_or(text.len(), |(at, _)| at);
        if position > 1 && start == text.len() {
            out.push_str(text);
            return Ok(true);
        }
        let mut from = start;
        out.push_str(text.get(..start).unwrap_or_default());
        for found in regex.captures_iter(text.get(start..).unwrap_or_default()) {
            let Some(whole) = found.get(0) else { continue };
            let Some(pieces) = replacement(with, regex.captures_len() - 1) else {
                return Err(SparkError::new("INVALID_REGEXP_REPLACE")
                    .with("source", text)
                    .with("pattern", patterns.value(row))
                    .with("replacement", with)
                    .with("position", position.to_string()));
            };
            out.push_str(text.get(from..start + whole.start()).unwrap_or_default());
            for piece in &pieces {
                match piece {
                    Piece::Text(text) => out.push_str(text),
                    Piece::Group(i) => out.push_str(found.get(*i).map_or("", |m| m.as_str())),
                    Piece::Name(name) => out.push_str(found.name(name).map_or("", |m| m.as_str())),
                }
            }
            from = start + whole.end();
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Ok(true)
    })
}

fn regexp_extract(mut call: Call) -> Result<TypedExpr> {
    with_default(&mut call, 3, literal::int(1));
    strict(call, "regexp_extract", &[Str, Str, Int], DataType::Utf8, extract_kernel)
}

fn group_of(regex: &Regex, group: i32, function: &str) -> Result<usize> {
    let count = regex.captures_len() - 1;
    usize::try_from(group).ok().filter(|g| *g <= count).ok_or_else(|| {
        SparkError::new("INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX")
            .with("parameter", "`idx`")
            .with("functionName", format!("`{function}`"))
            .with("groupCount", count.to_string())
            .with("groupIndex", group.to_string())
    })
}

fn extract_kernel(args: &Args) -> Result<ArrayRef> {
    let (texts, patterns, groups) = (args.strings(0)?, args.strings(1)?, args.primitives::<Int32Type>(2)?);
    let mut known = Patterns::default();
    args.build_strings(|row, out| {
        let regex = known.java(patterns.value(row), "regexp_extract")?;
        if let Some(found) = regex.captures(texts.value(row)) {
            let group = group_of(regex, groups.value(row), "regexp_extract")?;
            out.push_str(found.get(group).map_or("", |m| m.as_str()));
        }
        Ok(true)
    })
}

fn regexp_extract_all(mut call: Call) -> Result<TypedExpr> {
    with_default(&mut call, 3, literal::int(1));
    let t = types::list_of(DataType::Utf8, true);
    strict(call, "regexp_extract_all", &[Str, Str, Int], t, |args| {
        let (texts, patterns, groups) =
            (args.strings(0)?, args.strings(1)?, args.primitives::<Int32Type>(2)?);
        let mut known = Patterns::default();
        lists(args, true, |row, out| {
            let regex = known.java(patterns.value(row), "regexp_extract_all")?;
            for found in regex.captures_iter(texts.value(row)) {
                let group = group_of(regex, groups.value(row), "regexp_extract_all")?;
                out.append_value(found.get(group).map_or("", |m| m.as_str()));
            }
            Ok(())
        })
    })
}

/// A list of strings a row where no argument is null.
pub(super) fn lists(
    args: &Args,
    contains_null: bool,
    mut f: impl FnMut(usize, &mut StringBuilder) -> Result<()>,
) -> Result<ArrayRef> {
    let valid = args.validity()?;
    let field = Arc::new(Field::new("element", DataType::Utf8, contains_null));
    let mut out = ListBuilder::new(StringBuilder::new()).with_field(field);
    for row in 0..args.rows {
        let is_valid = valid.as_ref().is_none_or(|v| v.is_valid(row));
        if is_valid {
            f(row, out.values())?;
        }
        out.append(is_valid);
    }
    Ok(Arc::new(out.finish()))
}

fn regexp_count(args: &Args) -> Result<ArrayRef> {
    let (texts, patterns) = (args.strings(0)?, args.strings(1)?);
    let mut known = Patterns::default();
    args.build::<Int32Type>(|row| {
        let count = known.java(patterns.value(row), "regexp_count")?.find_iter(texts.value(row)).count();
        Ok(i32::try_from(count).ok())
    })
}

fn regexp_substr(args: &Args) -> Result<ArrayRef> {
    let (texts, patterns) = (args.strings(0)?, args.strings(1)?);
    let mut known = Patterns::default();
    args.build_strings(|row, out| {
        match known.java(patterns.value(row), "regexp_substr")?.find(texts.value(row)) {
            Some(found) => {
                out.push_str(found.as_str());
                Ok(true)
            }
            None => Ok(false),
        }
    })
}

fn regexp_instr(mut call: Call) -> Result<TypedExpr> {
    with_default(&mut call, 3, literal::int(0));
    strict(call, "regexp_instr", &[Str, Str, Int], DataType::Int32, |args| {
        let (texts, patterns) = (args.strings(0)?, args.strings(1)?);
        let mut known = Patterns::default();
        args.build::<Int32Type>(|row| {
            let text = texts.value(row);
            let found = known.java(patterns.value(row), "regexp_instr")?.find(text);
            let before = found.map(|m| text.get(..m.start()).unwrap_or_default().chars().count() + 1);
            Ok(i32::try_from(before.unwrap_or(0)).ok())
        })
    })
}

fn split(mut call: Call) -> Result<TypedExpr> {
    with_default(&mut call, 3, literal::int(-1));
    let t = types::list_of(DataType::Utf8, false);
    strict(call, "split", &[Str, Str, Int], t, split_kernel)
}

/// Java's `String.split` with a limit; trailing empty strings stay (Spark passes -1 for 0).
fn split_kernel(args: &Args) -> Result<ArrayRef> {
    let (texts, patterns, limits) = (args.strings(0)?, args.strings(1)?, args.primitives::<Int32Type>(2)?);
    let mut known = Patterns::default();
    lists(args, false, |row, out| {
        let (text, pattern, limit) = (texts.value(row), patterns.value(row), limits.value(row));
        let most = usize::try_from(limit).ok().filter(|l| *l > 0).unwrap_or(usize::MAX);
        if pattern.is_empty() && !text.is_empty() {
            // Between all characters, without an empty string at the end.
            let mut rest = text;
            for _ in 1..most.min(text.chars().count()) {
                let Some(first) = rest.chars().next() else { break };
                let (head, tail) = rest.split_at(first.len_utf8());
                out.append_value(head);
                rest = tail;
            }
            out.append_value(rest);
            return Ok(());
        }
        let regex = known.java(pattern, "split")?;
        let mut from = 0;
        let mut pieces = 1;
        for found in regex.find_iter(text) {
            if pieces == most {
                break;
            }
            // An empty match at the start gives no leading empty string.
            if found.end() == 0 || (found.is_empty() && found.start() == text.len()) {
                continue;
            }
            out.append_value(text.get(from..found.start()).unwrap_or_default());
            from = found.end();
            pieces += 1;
        }
        out.append_value(text.get(from..).unwrap_or_default());
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_patterns_are_rewritten() {
        assert_eq!(translate("\\d+[\\w-]"), "[0-9]+[a-zA-Z0-9_-]");
        assert_eq!(translate("\\Qa.b\\E+"), "a\\.b+");
        assert!(compile("(?<=a)b", "rlike").unwrap_err().to_string().contains("regular expression"));
        assert_eq!(compile("(", "rlike").unwrap_err().class(), "INVALID_PARAMETER_VALUE.PATTERN");
    }

    #[test]
    fn like_knows_wildcards_and_escapes() {
        for (pattern, text, expected) in [
            ("a%", "abc", true),
            ("a_c", "abc", true),
            ("a\\%", "a%", true),
            ("a\\%", "ab", false),
            ("%", "", true),
        ] {
            assert_eq!(
                like_pattern(pattern, '\\', false).unwrap().is_match(text),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
