//! `_repr_html_` of a DataFrame in a notebook, as `Dataset.htmlString` writes it.

use std::fmt::Write;

use datafusion::arrow::array::{Array, RecordBatch};
use millstream_engine::{
    Result,
    format::{
        show::ShowOptions,
        value_text::{TextStyle, ZoneOffsets, to_text},
    },
};

/// A table of the first rows of `batches`.
///
/// # Errors
/// A column of a type that no Spark type maps to.
pub fn html_string<Z: ZoneOffsets + ?Sized>(
    names: &[&str],
    batches: &[RecordBatch],
    options: ShowOptions,
    zone: &Z,
) -> Result<String> {
    let wanted = usize::try_from(options.num_rows).unwrap_or(0);
    let truncate = usize::try_from(options.truncate).unwrap_or(0);
    let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
    // Writing to a String cannot fail.
    let mut out = String::from("<table border='1'>\n");
    let header: Vec<String> = names.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
    let _ = writeln!(out, "<tr>{}</tr>", header.concat());
    let mut left = wanted;
    for batch in batches {
        let rows = batch.num_rows().min(left);
        left -= rows;
        let columns =
            batch.columns().iter().map(|column| to_text(&column.slice(0, rows), zone, TextStyle::Pretty));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        for row in 0..rows {
            out.push_str("<tr>");
            for column in &columns {
                let text = if column.is_null(row) { "NULL" } else { column.value(row) };
                let _ = write!(out, "<td>{}</td>", escape(&shorten(text, truncate)));
            }
            out.push_str("</tr>\n");
        }
    }
    out.push_str("</table>\n");
    if total > wanted {
        let _ = writeln!(out, "only showing top {wanted} {}", if wanted == 1 { "row" } else { "rows" });
    }
    Ok(out)
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

/// At most `limit` characters, with dots where it was cut and there is room for them.
fn shorten(text: &str, limit: usize) -> String {
    if limit == 0 || text.chars().count() <= limit {
        return text.to_string();
    }
    if limit < 4 {
        return text.chars().take(limit).collect();
    }
    let kept: String = text.chars().take(limit - 3).collect();
    format!("{kept}...")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, StringArray};

    use super::*;

    #[test]
    fn tables_are_escaped_and_cut() {
        let column: ArrayRef = Arc::new(StringArray::from(vec![Some("a<b"), None]));
        let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
        let options = ShowOptions { num_rows: 1, truncate: 20, vertical: false };
        let html = html_string(&["x"], &[batch], options, &chrono_tz::UTC).unwrap();
        let expected = "<table border='1'>\n<tr><th>x</th></tr>\n<tr><td>a&lt;b</td></tr>\n</table>\n\
                        only showing top 1 row\n";
        assert_eq!(html, expected);
    }
}
