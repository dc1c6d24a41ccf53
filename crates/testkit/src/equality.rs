//! The one definition of "the same result".
//!
//! Everything is compared exactly, floats alone within [`FLOAT_TOLERANCE`] relative (sums may be added up
//! in another order). A result is a multiset of rows: order counts only in [`assert_rows_eq_in_order`],
//! multiplicity always.

use std::cmp::Ordering;

use crate::rows::{Cell, Row};

/// How far two floats may lie apart, relative to the larger of them.
pub const FLOAT_TOLERANCE: f64 = 1e-12;

/// Most rows listed on either side of a failed comparison.
const LISTED: usize = 10;

/// Asserts that both are the same multiset of rows.
///
/// Panics with the rows that are missing and the rows that are too many.
#[track_caller]
pub fn assert_rows_eq(actual: &[Row], expected: &[Row]) {
    let difference = difference(actual, expected);
    assert!(difference.is_none(), "{}", difference.unwrap_or_default());
}

/// Asserts that both are the same rows in the same order.
///
/// Panics with the first position at which they differ.
#[track_caller]
pub fn assert_rows_eq_in_order(actual: &[Row], expected: &[Row]) {
    for (at, (left, right)) in actual.iter().zip(expected).enumerate() {
        assert!(
            rows_equal(left, right),
            "row {at} differs\n  actual:   {}\n  expected: {}",
            line(left),
            line(right)
        );
    }
    assert_eq!(actual.len(), expected.len(), "the number of rows differs");
}

/// How the two multisets of rows differ, as text for a person, or `None` where they do not.
#[must_use]
pub fn difference(actual: &[Row], expected: &[Row]) -> Option<String> {
    let (mut surplus, mut missing): (Vec<&Row>, Vec<&Row>) = (Vec::new(), Vec::new());
    let (left, right) = (sorted(actual), sorted(expected));
    let (mut i, mut j) = (0, 0);
    // Rows with the same exact part form a group; only floats are left to be matched within one.
    while i < left.len() || j < right.len() {
        let order = match (left.get(i), right.get(j)) {
            (Some(a), Some(b)) => compare_exact(a, b),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less => {
                surplus.push(left[i]);
                i += 1;
            }
            Ordering::Greater => {
                missing.push(right[j]);
                j += 1;
            }
            Ordering::Equal => {
                let end = |rows: &[&Row], from: usize| {
                    let same = |row: &&&Row| compare_exact(row, rows[from]) == Ordering::Equal;
                    from + rows[from..].iter().take_while(same).count()
                };
                let (to_i, to_j) = (end(&left, i), end(&right, j));
                match_floats(&left[i..to_i], &right[j..to_j], &mut surplus, &mut missing);
                (i, j) = (to_i, to_j);
            }
        }
    }
    if surplus.is_empty() && missing.is_empty() {
        return None;
    }
    let mut text = format!("{} rows, expected {}\n", actual.len(), expected.len());
    for (title, rows) in [("too many", &surplus), ("missing", &missing)] {
        text += &format!("{} {title}:\n", rows.len());
        for row in rows.iter().take(LISTED) {
            text += &format!("  {}\n", line(row));
        }
    }
    Some(text)
}

/// Whether two rows are the same: exact, floats within tolerance.
#[must_use]
pub fn rows_equal(left: &[Cell], right: &[Cell]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(a, b)| cells_equal(a, b))
}

/// Whether two cells are the same: exact, floats within tolerance (NaN equals NaN, -0.0 equals 0.0).
#[must_use]
pub fn cells_equal(left: &Cell, right: &Cell) -> bool {
    match (left, right) {
        (Cell::Float(a), Cell::Float(b)) => floats_equal(*a, *b),
        (Cell::List(a), Cell::List(b)) | (Cell::Struct(a), Cell::Struct(b)) => rows_equal(a, b),
        (Cell::Map(a), Cell::Map(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((k, v), (l, w))| cells_equal(k, l) && cells_equal(v, w))
        }
        (a, b) => a == b,
    }
}

fn floats_equal(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= FLOAT_TOLERANCE * a.abs().max(b.abs())
}

/// Pairs rows that agree in all but their floats; what finds no partner is surplus or missing.
fn match_floats<'a>(
    left: &[&'a Row],
    right: &[&'a Row],
    surplus: &mut Vec<&'a Row>,
    missing: &mut Vec<&'a Row>,
) {
    // Both are sorted by their floats as well, so that nearly always equal positions match.
    let (mut free_left, mut free_right): (Vec<&Row>, Vec<&Row>) = (Vec::new(), Vec::new());
    for at in 0..left.len().max(right.len()) {
        match (left.get(at), right.get(at)) {
            (Some(a), Some(b)) if rows_equal(a, b) => {}
            (a, b) => {
                free_left.extend(a.copied());
                free_right.extend(b.copied());
            }
        }
    }
    for row in free_left {
        match free_right.iter().position(|other| rows_equal(row, other)) {
            Some(at) => drop(free_right.remove(at)),
            None => surplus.push(row),
        }
    }
    missing.extend(free_right);
}

fn sorted(rows: &[Row]) -> Vec<&Row> {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by(|a, b| compare_exact(a, b).then_with(|| compare_floats(a, b)));
    sorted
}

/// Orders rows by everything but the values of their floats.
fn compare_exact(left: &[Cell], right: &[Cell]) -> Ordering {
    compare(left, right, &|_, _| Ordering::Equal)
}

fn compare_floats(left: &[Cell], right: &[Cell]) -> Ordering {
    compare(left, right, &f64::total_cmp)
}

fn compare(left: &[Cell], right: &[Cell], floats: &dyn Fn(&f64, &f64) -> Ordering) -> Ordering {
    left.iter()
        .zip(right)
        .map(|(a, b)| compare_cells(a, b, floats))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.len().cmp(&right.len()))
}

fn compare_cells(left: &Cell, right: &Cell, floats: &dyn Fn(&f64, &f64) -> Ordering) -> Ordering {
    match (left, right) {
        (Cell::Float(a), Cell::Float(b)) => floats(a, b),
        (Cell::List(a), Cell::List(b)) | (Cell::Struct(a), Cell::Struct(b)) => compare(a, b, floats),
        (Cell::Map(a), Cell::Map(b)) => {
            let flat = |m: &[(Cell, Cell)]| m.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect();
            let (a, b): (Row, Row) = (flat(a), flat(b));
            compare(&a, &b, floats)
        }
        (Cell::Integer(a), Cell::Integer(b)) => a.cmp(b),
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        (Cell::Timestamp(a), Cell::Timestamp(b)) => a.cmp(b),
        (a, b) if a == b => Ordering::Equal,
        // Rare kinds and kinds that differ: any fixed order does.
        (a, b) => format!("{a:?}").cmp(&format!("{b:?}")),
    }
}

fn line(row: &[Cell]) -> String {
    row.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[Cell]) -> Row {
        cells.to_vec()
    }

    #[test]
    fn order_does_not_count_but_multiplicity_does() {
        let (a, b) = (row(&[1.into(), "x".into()]), row(&[2.into(), "y".into()]));
        assert_eq!(difference(&[a.clone(), b.clone()], &[b.clone(), a.clone()]), None);
        let text = difference(&[a.clone(), b.clone()], &[a.clone(), a, b]).unwrap();
        assert!(text.contains("2 rows, expected 3") && text.contains("1 missing:\n  1 | \"x\""), "{text}");
    }

    #[test]
    fn floats_match_within_tolerance_and_not_beyond() {
        let close = [row(&[0.3.into()]), row(&[f64::NAN.into()]), row(&[0.0.into()])];
        let same = [row(&[(0.1 + 0.2).into()]), row(&[(-0.0).into()]), row(&[f64::NAN.into()])];
        assert_eq!(difference(&close, &same), None);
        assert!(difference(&[row(&[1.0.into()])], &[row(&[(1.0 + 1e-11).into()])]).is_some());
    }

    #[test]
    fn floats_are_matched_even_where_sorting_pairs_them_wrongly() {
        // Sorted by the first float the rows pair crosswise, though each has a partner.
        let tiny = 1.0 + 1e-14;
        let left = [row(&[1.0.into(), 9.0.into()]), row(&[tiny.into(), 2.0.into()])];
        let right = [row(&[tiny.into(), 9.0.into()]), row(&[1.0.into(), 2.0.into()])];
        assert_eq!(difference(&left, &right), None);
    }

    #[test]
    fn kinds_are_never_mixed_up() {
        assert!(difference(&[row(&[Cell::Integer(1)])], &[row(&[Cell::Float(1.0)])]).is_some());
        assert!(difference(&[row(&[Cell::Null])], &[row(&["NULL".into()])]).is_some());
        assert!(difference(&[row(&[Cell::Decimal(10, 1)])], &[row(&[Cell::Decimal(100, 2)])]).is_some());
    }

    #[test]
    #[should_panic(expected = "row 1 differs")]
    fn order_counts_where_asked_for() {
        let (a, b) = (row(&[1.into()]), row(&[2.into()]));
        assert_rows_eq_in_order(&[a.clone(), a.clone()], &[a, b]);
    }
}
