//! `first`, `last` and `any_value`: the value that arrived first or last.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, Int64Array, new_empty_array},
        datatypes::{DataType, Int64Type},
    },
    common::ScalarValue,
};

use super::{AggregateBuffer, Arrival, columns};
use crate::Result;

/// Which arrival is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Last,
}

#[derive(Debug, Clone)]
struct Arrived {
    /// (batch, row).
    at: (i64, i64),
    value: ScalarValue,
}

/// Buffer: the value, and the batch and row of its arrival (null when nothing arrived; Spark
/// keeps a flag `valueSet` there, for its buffers merge in order of arrival only).
#[derive(Debug)]
pub(super) struct Positional {
    kept: Vec<Option<Arrived>>,
    /// By slot while an update runs: row to take + 1.
    chosen: Vec<u32>,
    place: Place,
    ignore_nulls: bool,
    data_type: DataType,
}

impl Positional {
    pub(super) fn new(place: Place, ignore_nulls: bool, data_type: DataType) -> Self {
        Self { kept: vec![], chosen: vec![], place, ignore_nulls, data_type }
    }

    fn offer(&mut self, slot: usize, arrived: Arrived) {
        let kept = &mut self.kept[slot];
        let replaces = match (&kept, self.place) {
            (None, _) => true,
            (Some(kept), Place::First) => arrived.at < kept.at,
            (Some(kept), Place::Last) => arrived.at > kept.at,
        };
        if replaces {
            *kept = Some(arrived);
        }
    }

    fn merge(&mut self, slots: &[u32], columns: &[ArrayRef], as_batch: Option<i64>) -> Result<()> {
        let values = columns::column(columns, 0)?;
        let batches = columns::primitive::<Int64Type>(columns, 1)?;
        let rows = columns::primitive::<Int64Type>(columns, 2)?;
        for (row, slot) in slots.iter().enumerate() {
            if batches.is_valid(row) {
                let at = (as_batch.unwrap_or(batches.value(row)), rows.value(row));
                let value = ScalarValue::try_from_array(values, row)?;
                self.offer(*slot as usize, Arrived { at, value });
            }
        }
        Ok(())
    }
}

/// Scalars as a column of `data_type`, which is kept exactly (also field names inside).
pub(super) fn scalars_to_array(
    values: impl IntoIterator<Item = ScalarValue>,
    data_type: &DataType,
) -> Result<ArrayRef> {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return Ok(new_empty_array(data_type));
    }
    Ok(ScalarValue::iter_to_array(values)?)
}

impl AggregateBuffer for Positional {
    fn grow(&mut self, slots: usize) {
        if slots > self.kept.len() {
            self.kept.resize(slots, None);
            self.chosen.resize(slots, 0);
        }
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], arrival: Arrival) -> Result<()> {
        let values = columns::column(args, 0)?;
        let nulls = if self.ignore_nulls { values.logical_nulls() } else { None };
        let mut touched = Vec::new();
        for (row, slot) in slots.iter().enumerate() {
            let index = *slot as usize;
            if nulls.as_ref().is_some_and(|n| n.is_null(row)) {
                continue;
            }
            let settled =
                self.place == Place::First && (self.chosen[index] != 0 || self.kept[index].is_some());
            // Batches arrive in order, so a first that is set stays, and a last always moves on.
            if settled {
                continue;
            }
            if self.chosen[index] == 0 {
                touched.push(*slot);
            }
            self.chosen[index] = row as u32 + 1;
        }
        for slot in touched {
            let row = std::mem::take(&mut self.chosen[slot as usize]) as usize - 1;
            let at = (arrival.batch, arrival.row + row as i64);
            let value = ScalarValue::try_from_array(values, row)?;
            self.offer(slot as usize, Arrived { at, value });
        }
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            if let Some(arrived) = self.kept[*from as usize].clone() {
                self.offer(*to as usize, arrived);
            }
        }
        Ok(())
    }

    fn append_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            let (from, to) = (*from as usize, *to as usize);
            let replaces = self.kept[to].is_none() || self.place == Place::Last;
            if replaces && self.kept[from].is_some() {
                self.kept[to] = self.kept[from].clone();
            }
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        self.merge(slots, columns, None)
    }

    fn merge_arrived(&mut self, slots: &[u32], columns: &[ArrayRef], batch: i64) -> Result<()> {
        self.merge(slots, columns, Some(batch))
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let null = ScalarValue::try_from(&self.data_type)?;
        let kept = slots.iter().map(|slot| &self.kept[*slot as usize]);
        let values = kept.map(|kept| kept.as_ref().map_or_else(|| null.clone(), |kept| kept.value.clone()));
        scalars_to_array(values, &self.data_type)
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let at = |f: fn(&Arrived) -> i64| -> ArrayRef {
            Arc::new(
                slots.iter().map(|slot| self.kept[*slot as usize].as_ref().map(f)).collect::<Int64Array>(),
            )
        };
        Ok(vec![self.evaluate(slots)?, at(|kept| kept.at.0), at(|kept| kept.at.1)])
    }

    fn clear(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.kept[*slot as usize] = None);
    }

    fn memory(&self) -> usize {
        let held: usize = self.kept.iter().flatten().map(|kept| kept.value.size()).sum();
        self.kept.capacity() * size_of::<Option<Arrived>>() + self.chosen.capacity() * size_of::<u32>() + held
    }
}
