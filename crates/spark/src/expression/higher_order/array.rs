//! `transform`, `filter`, `exists`, `forall`, `zip_with` and `aggregate`.

use std::sync::Arc;

use datafusion::arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Int32Array, ListArray, UInt64Array,
        UInt64Builder,
    },
    buffer::{NullBuffer, OffsetBuffer},
    compute::{concat, take},
};
use millstream_engine::Result;

use super::{HigherOrder, Kind, span};

impl HigherOrder {
    pub(super) fn over_array(&self, list: &ListArray, captured: &[ArrayRef]) -> Result<ArrayRef> {
        // All elements of valid rows, with their row and position.
        let (mut picks, mut rows, mut positions, mut lengths) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in 0..list.len() {
            let range = if list.is_valid(row) { span(list.value_offsets(), row) } else { 0..0 };
            lengths.push(range.len());
            for (position, i) in range.enumerate() {
                picks.push(i as u64);
                rows.push(row as u64);
                positions.push(i32::try_from(position).unwrap_or(i32::MAX));
            }
        }
        let items = take(list.values(), &UInt64Array::from(picks), None)?;
        let positions: ArrayRef = Arc::new(Int32Array::from(positions));
        let result = self.run(0, &[Arc::clone(&items), positions], captured, &rows.into())?;
        match self.kind {
            Kind::Transform => {
                let offsets = OffsetBuffer::from_lengths(lengths);
                let element = Arc::clone(self.element()?);
                Ok(Arc::new(ListArray::try_new(element, offsets, result, list.nulls().cloned())?))
            }
            Kind::Filter => {
                let keep = result.as_boolean();
                let offsets = OffsetBuffer::from_lengths(kept(&lengths, keep));
                let values = datafusion::arrow::compute::filter(&items, keep)?;
                let element = Arc::clone(self.element()?);
                Ok(Arc::new(ListArray::try_new(element, offsets, values, list.nulls().cloned())?))
            }
            kind => Ok(Arc::new(quantify(kind == Kind::Exists, list, &lengths, result.as_boolean()))),
        }
    }

    pub(super) fn zip(&self, left: &ListArray, right: &ListArray, captured: &[ArrayRef]) -> Result<ArrayRef> {
        let (mut xs, mut ys) = (UInt64Builder::new(), UInt64Builder::new());
        let (mut rows, mut lengths) = (Vec::new(), Vec::new());
        for row in 0..left.len() {
            if left.is_null(row) || right.is_null(row) {
                lengths.push(0);
                continue;
            }
            let (a, b) = (span(left.value_offsets(), row), span(right.value_offsets(), row));
            let length = a.len().max(b.len());
            lengths.push(length);
            for i in 0..length {
                xs.append_option((i < a.len()).then_some((a.start + i) as u64));
                ys.append_option((i < b.len()).then_some((b.start + i) as u64));
                rows.push(row as u64);
            }
        }
        let x = take(left.values(), &xs.finish(), None)?;
        let y = take(right.values(), &ys.finish(), None)?;
        let result = self.run(0, &[x, y], captured, &rows.into())?;
        let nulls = NullBuffer::union(left.nulls(), right.nulls());
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(Arc::clone(self.element()?), offsets, result, nulls)?))
    }

    /// Folds element by element, all rows at once.
    pub(super) fn fold(&self, list: &ListArray, start: &ArrayRef, captured: &[ArrayRef]) -> Result<ArrayRef> {
        let range = |row: usize| span(list.value_offsets(), row);
        let mut state = Arc::clone(start);
        let longest = (0..list.len()).filter(|row| list.is_valid(*row)).map(|row| range(row).len()).max();
        for k in 0..longest.unwrap_or(0) {
            let rows: Vec<usize> =
                (0..list.len()).filter(|row| list.is_valid(*row) && range(*row).len() > k).collect();
            let picks: UInt64Array = rows.iter().map(|row| (range(*row).start + k) as u64).collect();
            let at: UInt64Array = rows.iter().map(|row| *row as u64).collect();
            let merged =
                self.run(0, &[take(&state, &at, None)?, take(list.values(), &picks, None)?], captured, &at)?;
            // The merged states in place of the old ones.
            let both = concat(&[state.as_ref(), merged.as_ref()])?;
            let mut order: Vec<u64> = (0..list.len() as u64).collect();
            for (i, row) in rows.iter().enumerate() {
                if let Some(slot) = order.get_mut(*row) {
                    *slot = (list.len() + i) as u64;
                }
            }
            state = take(&both, &UInt64Array::from(order), None)?;
        }
        if self.bodies.len() > 1 {
            state = self.run(1, &[state], captured, &(0..list.len() as u64).collect())?;
        }
        // A null array gives null.
        let order: UInt64Array =
            (0..list.len()).map(|row| list.is_valid(row).then_some(row as u64)).collect();
        Ok(take(&state, &order, None)?)
    }
}

/// How many elements of each row `keep` keeps.
pub(super) fn kept(lengths: &[usize], keep: &BooleanArray) -> Vec<usize> {
    let mut start = 0;
    let counts = lengths.iter().map(|length| {
        let count = (start..start + length).filter(|i| keep.is_valid(*i) && keep.value(*i)).count();
        start += length;
        count
    });
    counts.collect()
}

/// `exists` and `forall` with three values: decided by one element, else null if any is.
fn quantify(exists: bool, list: &ListArray, lengths: &[usize], results: &BooleanArray) -> BooleanArray {
    let mut out = BooleanBuilder::with_capacity(lengths.len());
    let mut start = 0;
    for (row, length) in lengths.iter().enumerate() {
        let mut range = start..start + length;
        start += length;
        let unknown = range.clone().any(|i| results.is_null(i));
        let decided = range.any(|i| results.is_valid(i) && results.value(i) == exists);
        if list.is_null(row) || (!decided && unknown) {
            out.append_null();
        } else {
            out.append_value(decided == exists);
        }
    }
    out.finish()
}
