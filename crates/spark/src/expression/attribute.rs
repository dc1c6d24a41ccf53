//! Column names: from text to parts, and by regular expression.

use millstream_engine::{Result, SparkError};
use regex::RegexBuilder;
use spark_connect_proto::expression as e;

use super::{TypedExpr, lambda, resolver::Resolver};

/// Splits `a.b`, `` `a.b`.c `` into parts: Spark's `UnresolvedAttribute.parseAttributeName`.
///
/// # Errors
/// `INVALID_ATTRIBUTE_NAME_SYNTAX` for unbalanced backticks or an empty part.
pub fn parse_name(text: &str) -> Result<Vec<String>> {
    let error = || {
        SparkError::new("INVALID_ATTRIBUTE_NAME_SYNTAX")
            .with("name", format!("`{}`", text.replace('`', "``")))
    };
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut in_backticks = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if in_backticks {
            if c != '`' {
                part.push(c);
            } else if chars.peek() == Some(&'`') {
                chars.next();
                part.push('`');
            } else {
                in_backticks = false;
                if chars.peek().is_some_and(|next| *next != '.') {
                    return Err(error());
                }
            }
        } else if c == '`' {
            if !part.is_empty() {
                return Err(error());
            }
            in_backticks = true;
        } else if c == '.' {
            if chars.peek().is_none() || (part.is_empty() && parts.is_empty() && !text.starts_with('`')) {
                return Err(error());
            }
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(c);
        }
    }
    if in_backticks {
        return Err(error());
    }
    parts.push(part);
    Ok(parts)
}

pub(super) fn resolve(resolver: &Resolver, attribute: &e::UnresolvedAttribute) -> Result<TypedExpr> {
    let parts = parse_name(&attribute.unparsed_identifier)?;
    if attribute.plan_id.is_none()
        && let Some(found) = lambda::lookup(resolver, &parts)?
    {
        return Ok(found);
    }
    resolver.scope.resolve(&parts, attribute.plan_id, attribute.is_metadata_column())
}

/// The columns whose whole name matches; `col_name` is `` `regex` `` or `` table.`regex` ``.
pub(super) fn by_regex(resolver: &Resolver, regex: &e::UnresolvedRegex) -> Result<Vec<TypedExpr>> {
    let text = regex.col_name.trim();
    let (table, pattern) = match text.strip_suffix('`') {
        Some(rest) => match rest.rfind('`') {
            Some(open) => (rest.get(..open).unwrap_or_default(), rest.get(open + 1..).unwrap_or_default()),
            None => ("", rest),
        },
        None => ("", text),
    };
    let target = match table.strip_suffix('.') {
        Some(table) if !table.is_empty() => parse_name(table)?,
        _ => Vec::new(),
    };
    let compiled = RegexBuilder::new(&format!("^(?:{pattern})$"))
        .case_insensitive(!resolver.conf.case_sensitive)
        .build()
        .map_err(|error| SparkError::internal(format!("the column pattern {pattern}: {error}")))?;
    let columns = resolver.scope.columns(&target, regex.plan_id)?;
    Ok(columns.into_iter().filter(|column| compiled.is_match(&column.name)).collect())
}

/// The name under which a function is looked up: lower case, without `system.builtin.`.
pub(super) fn function_name(name: &str) -> Result<String> {
    let lower = name.to_ascii_lowercase();
    if !lower.contains(['.', '`']) {
        return Ok(lower);
    }
    let parts = parse_name(&lower)?;
    match parts.as_slice() {
        [one] => Ok(one.clone()),
        [schema, one] if schema == "builtin" => Ok(one.clone()),
        [catalog, schema, one] if catalog == "system" && schema == "builtin" => Ok(one.clone()),
        _ => Ok(lower),
    }
}

/// An identifier, in backticks unless it is plain.
pub(crate) fn quote_if_needed(name: &str) -> String {
    let plain = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.chars().all(|c| c.is_ascii_digit());
    if plain { name.to_string() } else { format!("`{}`", name.replace('`', "``")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_at_dots_outside_backticks() {
        let cases: [(&str, &[&str]); 5] = [
            ("a", &["a"]),
            ("a.b.c", &["a", "b", "c"]),
            ("`a.b`.c", &["a.b", "c"]),
            ("`a``b`", &["a`b"]),
            ("t.`x y`", &["t", "x y"]),
        ];
        for (text, parts) in cases {
            assert_eq!(parse_name(text).unwrap(), parts, "{text}");
        }
        for bad in ["`a", "a`b`", "`a`b", "a.", ".a"] {
            assert_eq!(parse_name(bad).unwrap_err().class(), "INVALID_ATTRIBUTE_NAME_SYNTAX", "{bad}");
        }
    }
}
