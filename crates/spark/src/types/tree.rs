//! `printSchema`: a schema as a tree.

use datafusion::arrow::datatypes::{DataType, Field};

use super::{arrow::map_entry, type_name};

/// Spark's `treeString`: `root`, then a line a field, nested down to `level` (`None` for all).
pub fn tree_string<'a>(fields: impl IntoIterator<Item = &'a Field>, level: Option<i32>) -> String {
    let depth = level.filter(|l| *l > 0).unwrap_or(i32::MAX);
    let mut out = String::from("root\n");
    for f in fields {
        field(&mut out, f, " |", depth);
    }
    out
}

fn field(out: &mut String, field: &Field, prefix: &str, depth: i32) {
    if depth > 0 {
        let name = escape_white_space(field.name());
        let ty = type_name(field.data_type());
        out.push_str(&format!("{prefix}-- {name}: {ty} (nullable = {})\n", field.is_nullable()));
        nested(out, field.data_type(), &format!("{prefix}    |"), depth - 1);
    }
}

fn nested(out: &mut String, data_type: &DataType, prefix: &str, depth: i32) {
    if depth <= 0 {
        return;
    }
    match data_type {
        DataType::Struct(fields) => {
            for f in fields {
                field(out, f, prefix, depth);
            }
        }
        DataType::List(element) => {
            let ty = type_name(element.data_type());
            out.push_str(&format!("{prefix}-- element: {ty} (containsNull = {})\n", element.is_nullable()));
            nested(out, element.data_type(), &format!("{prefix}    |"), depth - 1);
        }
        DataType::Map(entries, _) => {
            let Some((key, value)) = map_entry(entries) else { return };
            let deeper = format!("{prefix}    |");
            out.push_str(&format!("{prefix}-- key: {}\n", type_name(key.data_type())));
            nested(out, key.data_type(), &deeper, depth - 1);
            let ty = type_name(value.data_type());
            out.push_str(&format!("{prefix}-- value: {ty} (valueContainsNull = {})\n", value.is_nullable()));
            nested(out, value.data_type(), &deeper, depth - 1);
        }
        _ => {}
    }
}

fn escape_white_space(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '\n' => "\\n".to_string(),
            '\r' => "\\r".to_string(),
            '\t' => "\\t".to_string(),
            '\u{c}' => "\\f".to_string(),
            '\u{8}' => "\\b".to_string(),
            '\u{b}' => "\\v".to_string(),
            '\u{7}' => "\\a".to_string(),
            c => c.to_string(),
        })
        .collect()
}
