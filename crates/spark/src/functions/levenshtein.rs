//! `levenshtein`: how many characters to insert, delete or replace.

use datafusion::arrow::{
    array::ArrayRef,
    datatypes::{DataType, Int32Type},
};
use millstream_engine::Result;

use super::{Args, Call, Function, custom, string::strict};
use crate::expression::{Input, TypedExpr};

pub(super) const FUNCTIONS: &[Function] = &[custom(&["levenshtein"], 2, 3, levenshtein)];

/// `levenshtein(a, b[, threshold])`: -1 beyond the threshold.
fn levenshtein(call: Call) -> Result<TypedExpr> {
    let shown = call.sql_as("levenshtein");
    let inputs = [Input::String, Input::String, Input::Int];
    match call.args.len() {
        2 => strict(call, shown, &inputs[..2], "levenshtein", DataType::Int32, |args| {
            between(args, |_, distance| distance)
        }),
        _ => strict(call, shown, &inputs, "levenshtein", DataType::Int32, |args| {
            let thresholds = args.primitives::<Int32Type>(2)?;
            between(args, |row, distance| if distance > thresholds.value(row) { -1 } else { distance })
        }),
    }
}

/// What `shown` makes of a row's distance.
fn between(args: &Args, shown: impl Fn(usize, i32) -> i32) -> Result<ArrayRef> {
    let (a, b) = (args.strings(0)?, args.strings(1)?);
    args.build::<Int32Type>(|row| {
        Ok(i32::try_from(distance(a.value(row), b.value(row))).ok().map(|distance| shown(row, distance)))
    })
}

/// The distance in characters.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut line: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in line.iter_mut().skip(1).zip(&b) {
            let next = (diagonal + usize::from(x != *y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = next;
            left = next;
        }
        if let Some(first) = line.first_mut() {
            *first = i + 1;
        }
    }
    line.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted() {
        for (a, b, wanted) in [("kitten", "sitting", 3), ("", "ab", 2), ("frog", "", 4), ("\u{e4}b", "ab", 1)]
        {
            assert_eq!(distance(a, b), wanted, "{a} {b}");
        }
    }
}
