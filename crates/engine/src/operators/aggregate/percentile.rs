//! `median`, `percentile`, `percentile_approx` and `mode`: functions of all values of a group.
//!
//! Buffer: that of `collect_list`, then the percentages as an array (null before the first row).
//!
//! Spark differs: `percentile_approx` may be off by its accuracy; here it is exact.

use std::{cmp::Ordering, fmt, sync::Arc};

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, ListArray, UInt64Array},
    buffer::{NullBuffer, OffsetBuffer},
    compute::{SortOptions, concat, take},
    datatypes::{DataType, Field, Float64Type},
    row::{RowConverter, SortField},
};

use super::{AggregateBuffer, Arrival, collect::CollectList, columns};
use crate::{Result, SparkError, state::normalize_floats};

/// Which value of the sorted ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// Interpolated between neighbours, as a double.
    Exact,
    /// One of the values.
    Nearest,
    /// The most frequent one, the least of several.
    Mode,
}

/// All values of each group, and what is asked of them.
pub(super) struct Percentile {
    rank: Rank,
    values: CollectList,
    output: DataType,
    /// The same for every row: a parameter.
    percentages: Option<Vec<f64>>,
}

impl fmt::Debug for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Percentile").field("rank", &self.rank).finish_non_exhaustive()
    }
}

impl Percentile {
    pub(super) fn new(rank: Rank, input: &DataType, output: &DataType) -> Self {
        Self { rank, values: CollectList::new(input), output: output.clone(), percentages: None }
    }

    /// With percentages that are no argument.
    pub(super) fn fixed(self, percentages: Vec<f64>) -> Self {
        Self { percentages: Some(percentages), ..self }
    }

    /// Learns the percentages from an argument, or from an exported column.
    fn learn(&mut self, column: &ArrayRef) -> Result<()> {
        if self.percentages.is_some() {
            return Ok(());
        }
        let Some(row) = (0..column.len()).find(|row| column.is_valid(*row)) else { return Ok(()) };
        let numbers = match column.data_type() {
            DataType::List(_) => column.as_list::<i32>().value(row),
            _ => column.slice(row, 1),
        };
        let numbers = numbers
            .as_primitive_opt::<Float64Type>()
            .ok_or_else(|| SparkError::internal(format!("percentages of type {}", numbers.data_type())))?;
        let numbers: Vec<f64> = numbers.iter().flatten().collect();
        if let Some(wrong) = numbers.iter().find(|p| !(0.0..=1.0).contains(*p)) {
            return Err(SparkError::internal(format!("the percentage {wrong} is not between 0 and 1")));
        }
        self.percentages = Some(numbers);
        Ok(())
    }

    /// For each of `lists` the picked positions of its values, or the interpolated numbers.
    fn picked(&self, list: &ListArray) -> Result<ArrayRef> {
        let wanted = self.percentages.as_deref().unwrap_or_default();
        let values = normalize_floats(list.values())?;
        let ascending = SortOptions { descending: false, nulls_first: true };
        let converter =
            RowConverter::new(vec![SortField::new_with_options(values.data_type().clone(), ascending)])?;
        let rows = converter.convert_columns(std::slice::from_ref(&values))?;
        let doubles = values.as_primitive_opt::<Float64Type>();
        let (mut picks, mut numbers) = (Vec::new(), Vec::new());
        for row in 0..list.len() {
            let offsets = list.value_offsets();
            let range = offsets[row].unsigned_abs() as usize..offsets[row + 1].unsigned_abs() as usize;
            let mut order: Vec<usize> = range.collect();
            order.sort_by(|a, b| rows.row(*a).cmp(&rows.row(*b)));
            if order.is_empty() {
                picks.push(None);
                numbers.push(None);
                continue;
            }
            match self.rank {
                Rank::Mode => {
                    let runs = order.chunk_by(|a, b| rows.row(*a) == rows.row(*b));
                    let best = runs.reduce(|best, run| if run.len() > best.len() { run } else { best });
                    picks.push(best.and_then(<[usize]>::first).map(|i| *i as u64));
                }
                Rank::Nearest => picks
                    .extend(wanted.iter().map(|p| order.get(nearest(*p, order.len())).map(|i| *i as u64))),
                Rank::Exact => {
                    let value = |i: usize| {
                        order.get(i).map_or(f64::NAN, |at| doubles.map_or(f64::NAN, |d| d.value(*at)))
                    };
                    numbers.extend(wanted.iter().map(|p| Some(interpolated(*p, order.len(), value))));
                }
            }
        }
        match self.rank {
            Rank::Exact => Ok(Arc::new(Float64Array::from(numbers))),
            _ => Ok(take(list.values(), &UInt64Array::from(picks), None)?),
        }
    }
}

/// Spark's rank of a percentage, from 0.
fn nearest(percentage: f64, count: usize) -> usize {
    let rank = (percentage * count as f64).ceil() as usize;
    rank.saturating_sub(1).min(count.saturating_sub(1))
}

fn interpolated(percentage: f64, count: usize, value: impl Fn(usize) -> f64) -> f64 {
    let position = (count - 1) as f64 * percentage;
    let (lower, higher) = (position.floor(), position.ceil());
    let (low, high) = (value(lower as usize), value(higher as usize));
    if lower == higher || low.total_cmp(&high) == Ordering::Equal {
        return low;
    }
    (higher - position) * low + (position - lower) * high
}

impl AggregateBuffer for Percentile {
    fn grow(&mut self, slots: usize) {
        self.values.grow(slots);
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], arrival: Arrival) -> Result<()> {
        if let Some(percentages) = args.get(1) {
            self.learn(percentages)?;
        }
        self.values.update(slots, args, arrival)
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        self.values.merge_slots(steps)
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        self.learn(columns::column(columns, 3)?)?;
        self.values.merge_columns(slots, columns)
    }

    fn merge_arrived(&mut self, slots: &[u32], columns: &[ArrayRef], batch: i64) -> Result<()> {
        self.learn(columns::column(columns, 3)?)?;
        self.values.merge_arrived(slots, columns, batch)
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let lists = self.values.evaluate(slots)?;
        let lists = lists.as_list::<i32>();
        let picked = self.picked(lists)?;
        let DataType::List(element) = &self.output else { return Ok(picked) };
        // A group without values has one null in `picked`: its array is null.
        let wanted = self.percentages.as_ref().map_or(0, Vec::len);
        let empty = |row: usize| lists.value_length(row) == 0;
        let valid: NullBuffer = (0..lists.len()).map(|row| !empty(row)).collect();
        let mut kept = Vec::with_capacity(picked.len());
        let mut at = 0;
        for row in 0..lists.len() {
            let length = if empty(row) { 1 } else { wanted };
            if !empty(row) {
                kept.push(picked.slice(at, length));
            }
            at += length;
        }
        let kept: Vec<&dyn Array> = kept.iter().map(AsRef::as_ref).collect();
        let values = if kept.is_empty() { picked.slice(0, 0) } else { concat(&kept)? };
        let offsets =
            OffsetBuffer::from_lengths((0..lists.len()).map(|row| if empty(row) { 0 } else { wanted }));
        Ok(Arc::new(ListArray::try_new(Arc::clone(element), offsets, values, Some(valid))?))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut columns = self.values.export(slots)?;
        let wanted = self.percentages.as_deref().unwrap_or_default();
        let numbers: Float64Array = slots.iter().flat_map(|_| wanted.iter().copied().map(Some)).collect();
        let offsets = OffsetBuffer::from_lengths(slots.iter().map(|_| wanted.len()));
        let valid = self.percentages.is_none().then(|| NullBuffer::new_null(slots.len()));
        let element = Arc::new(Field::new_list_field(DataType::Float64, false));
        columns.push(Arc::new(ListArray::try_new(element, offsets, Arc::new(numbers), valid)?));
        Ok(columns)
    }

    fn clear(&mut self, slots: &[u32]) {
        self.values.clear(slots);
    }

    fn memory(&self) -> usize {
        self.values.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_spark() {
        assert_eq!([0.0, 0.1, 0.25, 0.5, 0.9, 1.0].map(|p| nearest(p, 4)), [0, 0, 0, 1, 3, 3]);
        let value = |i: usize| [1.0, 2.0, 4.0][i];
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|p| interpolated(p, 3, value)), [1.0, 1.5, 2.0, 3.0, 4.0]);
    }
}
