//! `count(*)`, `count(a, b, ..)`, `count_if(x)`.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray},
    buffer::NullBuffer,
    datatypes::Int64Type,
};

use super::{AggregateBuffer, Arrival, columns};
use crate::Result;

/// Counts rows whose arguments are all not null; with `only_true`, rows whose argument is true.
///
/// Buffer: `count` bigint.
#[derive(Debug)]
pub(super) struct Count {
    counts: Vec<i64>,
    only_true: bool,
}

impl Count {
    pub(super) fn new(only_true: bool) -> Self {
        Self { counts: Vec::new(), only_true }
    }
}

impl AggregateBuffer for Count {
    fn grow(&mut self, slots: usize) {
        if slots > self.counts.len() {
            self.counts.resize(slots, 0);
        }
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        if self.only_true {
            let flags = columns::column(args, 0)?.as_boolean();
            for (slot, flag) in slots.iter().zip(flags.iter()) {
                self.counts[*slot as usize] += i64::from(flag == Some(true));
            }
            return Ok(());
        }
        // A column of type void has nulls only logically.
        let logical: Vec<_> = args.iter().map(|a| a.logical_nulls()).collect();
        let nulls = logical.iter().fold(None, |all, one| NullBuffer::union(all.as_ref(), one.as_ref()));
        match nulls.filter(|n| n.null_count() > 0) {
            None => slots.iter().for_each(|slot| self.counts[*slot as usize] += 1),
            Some(nulls) => {
                for (slot, valid) in slots.iter().zip(nulls.iter()) {
                    self.counts[*slot as usize] += i64::from(valid);
                }
            }
        }
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            self.counts[*to as usize] += self.counts[*from as usize];
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        columns::each::<Int64Type>(slots, columns::primitive(columns, 0)?, |slot, n| self.counts[slot] += n);
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        Ok(Arc::new(columns::gather_all::<Int64Type>(slots, &self.counts)))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn clear(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.counts[*slot as usize] = 0);
    }

    fn memory(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
    }
}
