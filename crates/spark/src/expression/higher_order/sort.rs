//! `array_sort` with a comparator.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, ListArray, UInt64Array},
    buffer::OffsetBuffer,
    compute::take,
    datatypes::Int32Type,
};
use millstream_engine::{Result, SparkError};

use super::{HigherOrder, span};

impl HigherOrder {
    /// Sorts each array by the body. Every pair of an array is compared beforehand, in one
    /// evaluation, since the body works on columns.
    pub(super) fn sort(&self, list: &ListArray, captured: &[ArrayRef]) -> Result<ArrayRef> {
        let mut picks: Vec<u64> = Vec::with_capacity(list.values().len());
        let mut lengths = Vec::with_capacity(list.len());
        for row in 0..list.len() {
            let range = if list.is_valid(row) { span(list.value_offsets(), row) } else { 0..0 };
            lengths.push(range.len());
            let n = range.len();
            let pairs = || (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b)));
            let firsts: UInt64Array = pairs().map(|(a, _)| (range.start + a) as u64).collect();
            let seconds: UInt64Array = pairs().map(|(_, b)| (range.start + b) as u64).collect();
            let rows = UInt64Array::from(vec![row as u64; firsts.len()]);
            let items = [take(list.values(), &firsts, None)?, take(list.values(), &seconds, None)?];
            let compared = self.run(0, &items, captured, &rows)?;
            let compared = compared.as_primitive::<Int32Type>();
            if compared.null_count() > 0 {
                return Err(SparkError::new("COMPARATOR_RETURNS_NULL")
                    .with("firstValue", "")
                    .with("secondValue", ""));
            }
            // Pair (a, b) with a < b stands behind all pairs whose first is smaller.
            let at = |a: usize, b: usize| a * n - a * (a + 1) / 2 + b - a - 1;
            let after = |a: usize, b: usize| {
                if a < b { compared.value(at(a, b)) > 0 } else { compared.value(at(b, a)) < 0 }
            };
            let order = merge_sort((0..n).collect(), &after);
            picks.extend(order.into_iter().map(|i| (range.start + i) as u64));
        }
        let values = take(list.values(), &UInt64Array::from(picks), None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        let element = Arc::clone(self.element()?);
        Ok(Arc::new(ListArray::try_new(element, offsets, values, list.nulls().cloned())?))
    }
}

/// A stable sort that survives a comparison which is no order: the standard one may panic then.
fn merge_sort(items: Vec<usize>, after: &impl Fn(usize, usize) -> bool) -> Vec<usize> {
    if items.len() < 2 {
        return items;
    }
    let mut left = items;
    let right = left.split_off(left.len() / 2);
    let mut left = merge_sort(left, after).into_iter().peekable();
    let mut right = merge_sort(right, after).into_iter().peekable();
    let mut out = Vec::with_capacity(left.len() + right.len());
    while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
        let next = if after(*l, *r) { right.next() } else { left.next() };
        out.extend(next);
    }
    out.extend(left);
    out.extend(right);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_items_keep_their_order_and_nonsense_does_not_panic() {
        let keys = [3, 1, 2, 1, 3];
        assert_eq!(merge_sort((0..5).collect(), &|a, b| keys[a] > keys[b]), [1, 3, 2, 0, 4]);
        assert_eq!(merge_sort((0..5).collect(), &|_, _| true).len(), 5);
    }
}
