//! The text table of `show()` and of the console sink, as `Dataset.showString` draws it.
//!
//! Widths and truncation count UTF-16 units, as Java does; full-width characters take two
//! columns. Cells are right-aligned when truncation is on, left-aligned when it is off.

mod html;

use std::{fmt::Write, iter::repeat_n};

use datafusion::arrow::array::{Array, RecordBatch, StringArray};

use super::value_text::{TextStyle, ZoneOffsets, to_text};
use crate::Result;

/// Least width of a column.
const MIN_WIDTH: usize = 3;

/// How a table is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShowOptions {
    /// Rows to show; below 0 counts as 0.
    pub num_rows: i32,
    /// Characters a cell may have, 0 or less: all of them.
    pub truncate: i32,
    /// One line a cell instead of one a row.
    pub vertical: bool,
}

impl Default for ShowOptions {
    fn default() -> Self {
        Self { num_rows: 20, truncate: 20, vertical: false }
    }
}

/// Draws the first rows of `batches`, whose columns are called `names` (which may repeat).
///
/// Where there are more rows than shown, one more must be in `batches`: it makes the
/// `only showing top N rows` line. The text ends with a newline where a table does, without
/// one after such a last line, as Spark's does.
///
/// # Errors
/// A column of a type that no Spark type maps to.
pub fn show_string<Z: ZoneOffsets + ?Sized>(
    names: &[impl AsRef<str>],
    batches: &[RecordBatch],
    options: ShowOptions,
    zone: &Z,
) -> Result<String> {
    let num_rows = usize::try_from(options.num_rows).unwrap_or(0);
    let truncate = usize::try_from(options.truncate).unwrap_or(0);
    let header: Vec<Cell> = names.iter().map(|n| Cell::new(escape(n.as_ref()))).collect();
    let (rows, more) = cells(header.len(), batches, num_rows, truncate, zone)?;

    let mut out = String::new();
    if options.vertical {
        draw_records(&header, &rows, &mut out);
    } else {
        draw_table(&header, &rows, truncate > 0, &mut out);
    }
    if options.vertical && rows.is_empty() {
        out.push_str("(0 rows)");
    } else if more {
        let noun = if num_rows == 1 { "row" } else { "rows" };
        // Writing to a String cannot fail, here and below.
        let _ = write!(out, "only showing top {num_rows} {noun}");
    }
    Ok(out)
}

/// The first rows of `batches` as an HTML table, as `Dataset.htmlString` writes it; what a
/// notebook shows. `vertical` has no meaning here.
///
/// Spark differs: it also names letters beyond Latin-1 (`&alpha;`); here they stay letters,
/// which show the same.
///
/// # Errors
/// As [`show_string`].
pub fn html_string<Z: ZoneOffsets + ?Sized>(
    names: &[impl AsRef<str>],
    batches: &[RecordBatch],
    options: ShowOptions,
    zone: &Z,
) -> Result<String> {
    let num_rows = usize::try_from(options.num_rows).unwrap_or(0);
    let truncate = usize::try_from(options.truncate).unwrap_or(0);
    let header: Vec<Cell> = names.iter().map(|n| Cell::new(escape(n.as_ref()))).collect();
    let (rows, more) = cells(header.len(), batches, num_rows, truncate, zone)?;
    let mut out = String::from("<table border='1'>\n");
    let line = |row: &[Cell], tag: &str, out: &mut String| {
        let _ = write!(out, "<tr><{tag}>");
        for (i, cell) in row.iter().enumerate() {
            if i > 0 {
                let _ = write!(out, "</{tag}><{tag}>");
            }
            html::escape(&cell.text, out);
        }
        let _ = writeln!(out, "</{tag}></tr>");
    };
    line(&header, "th", &mut out);
    for row in &rows {
        line(row, "td", &mut out);
    }
    out.push_str("</table>\n");
    if more {
        let noun = if num_rows == 1 { "row" } else { "rows" };
        let _ = writeln!(out, "only showing top {num_rows} {noun}");
    }
    Ok(out)
}

/// A cell's text and the columns it takes.
struct Cell {
    text: String,
    width: usize,
}

impl Cell {
    fn new(text: String) -> Self {
        let width = text.chars().map(|c| c.len_utf16() + usize::from(is_full_width(c))).sum();
        Self { text, width }
    }
}

/// The texts of the first `num_rows` rows, and whether there are more.
fn cells<Z: ZoneOffsets + ?Sized>(
    columns: usize,
    batches: &[RecordBatch],
    num_rows: usize,
    truncate: usize,
    zone: &Z,
) -> Result<(Vec<Vec<Cell>>, bool)> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for batch in batches {
        let wanted = num_rows - rows.len();
        let batch_rows = batch.num_rows().min(wanted);
        let texts = batch
            .columns()
            .iter()
            .take(columns)
            .map(|column| to_text(&column.slice(0, batch_rows), zone, TextStyle::Pretty));
        let texts = texts.collect::<Result<Vec<_>>>()?;
        for row in 0..batch_rows {
            let cell = |text: &StringArray| {
                let value = if text.is_null(row) { "NULL" } else { text.value(row) };
                Cell::new(shorten(escape(value), truncate))
            };
            rows.push(texts.iter().map(cell).collect());
        }
        if batch.num_rows() > wanted {
            return Ok((rows, true));
        }
    }
    Ok((rows, false))
}

fn draw_table(header: &[Cell], rows: &[Vec<Cell>], right_aligned: bool, out: &mut String) {
    let mut widths: Vec<usize> = header.iter().map(|c| c.width.max(MIN_WIDTH)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width.max(*width);
        }
    }
    let mut separator = String::from("+");
    for (i, width) in widths.iter().enumerate() {
        if i > 0 {
            separator.push('+');
        }
        separator.extend(repeat_n('-', *width));
    }
    separator.push_str("+\n");

    let line = |row: &[Cell], out: &mut String| {
        out.push('|');
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if i > 0 {
                out.push('|');
            }
            let padding = repeat_n(' ', width.saturating_sub(cell.width));
            if right_aligned {
                out.extend(padding);
                out.push_str(&cell.text);
            } else {
                out.push_str(&cell.text);
                out.extend(padding);
            }
        }
        out.push_str("|\n");
    };
    out.push_str(&separator);
    line(header, out);
    out.push_str(&separator);
    for row in rows {
        line(row, out);
    }
    out.push_str(&separator);
}

fn draw_records(header: &[Cell], rows: &[Vec<Cell>], out: &mut String) {
    let widest = |cells: &mut dyn Iterator<Item = &Cell>| cells.map(|c| c.width).fold(MIN_WIDTH, usize::max);
    let name_width = widest(&mut header.iter());
    let data_width = widest(&mut rows.iter().flatten());
    for (number, row) in rows.iter().enumerate() {
        let title = format!("-RECORD {number}");
        // Five columns beside name and data: the spaces and the bar.
        let _ = writeln!(out, "{title:-<width$}", width = name_width + data_width + 5);
        for (name, cell) in header.iter().zip(row) {
            let pad = |cell: &Cell, width: usize, out: &mut String| {
                out.push_str(&cell.text);
                out.extend(repeat_n(' ', width.saturating_sub(cell.width)));
            };
            out.push(' ');
            pad(name, name_width, out);
            out.push_str(" | ");
            pad(cell, data_width, out);
            out.push_str(" \n");
        }
    }
}

/// Characters that would break the table, written as escapes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{c}' => out.push_str("\\f"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{7}' => out.push_str("\\a"),
            c => out.push(c),
        }
    }
    out
}

/// At most `truncate` UTF-16 units, the last three of them dots where there is room.
fn shorten(text: String, truncate: usize) -> String {
    if truncate == 0 || text.chars().map(char::len_utf16).sum::<usize>() <= truncate {
        return text;
    }
    let (keep, dots) = if truncate < 4 { (truncate, "") } else { (truncate - 3, "...") };
    let mut out = String::new();
    let mut units = 0;
    for c in text.chars() {
        if units + c.len_utf16() > keep {
            // Java cuts such a character in half, which then prints as a question mark.
            if units < keep {
                out.push('?');
            }
            break;
        }
        units += c.len_utf16();
        out.push(c);
    }
    out.push_str(dots);
    out
}

/// Characters that take two columns, the ranges of Spark's `fullWidthRegex`.
fn is_full_width(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{115F}'
        | '\u{2E80}'..='\u{A4CF}'
        | '\u{AC00}'..='\u{D7A3}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FE30}'..='\u{FE6F}'
        | '\u{FF00}'..='\u{FF60}'
        | '\u{FFE0}'..='\u{FFE6}')
}

#[cfg(test)]
mod tests;
