//! `DISTINCT` inside an aggregate function (batch queries).

use std::{collections::BTreeSet, fmt, sync::Arc};

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, UInt32Array, new_empty_array},
    compute::{concat, take},
    datatypes::{DataType, Field},
    row::{RowConverter, SortField},
};

use super::{AggregateBuffer, Arrival, collect::list_of};
use crate::{Result, SparkError, state::normalize_floats};

/// `DISTINCT`: passes each distinct tuple of arguments on to another function once.
///
/// Tuples with a null are left out (every function that allows `DISTINCT` skips them).
/// Buffer: the tuples, as arrays of equal length, one an argument.
pub(super) struct Distinct {
    sets: Vec<BTreeSet<Box<[u8]>>>,
    converter: RowConverter,
    types: Vec<DataType>,
    inner: Box<dyn AggregateBuffer>,
}

impl fmt::Debug for Distinct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distinct").field("inner", &self.inner).finish()
    }
}

impl Distinct {
    /// # Errors
    /// `UNSUPPORTED_FEATURE` for arguments that cannot be compared (maps).
    pub(super) fn new(types: &[DataType], inner: Box<dyn AggregateBuffer>) -> Result<Self> {
        let fields: Vec<_> = types.iter().map(|t| SortField::new(t.clone())).collect();
        if !RowConverter::supports_fields(&fields) {
            return Err(SparkError::unsupported(format!("DISTINCT over the types {types:?}")));
        }
        Ok(Self { sets: vec![], converter: RowConverter::new(fields)?, types: types.to_vec(), inner })
    }

    fn add(&mut self, slots: &[u32], args: &[ArrayRef], arrival: Arrival) -> Result<()> {
        let args = args.iter().map(normalize_floats).collect::<Result<Vec<_>>>()?;
        let nulls: Vec<_> = args.iter().filter_map(|a| a.logical_nulls()).collect();
        let rows = self.converter.convert_columns(&args)?;
        let (mut fresh, mut fresh_slots) = (Vec::new(), Vec::new());
        for (i, slot) in slots.iter().enumerate() {
            if nulls.iter().any(|n| n.is_null(i)) {
                continue;
            }
            let set = &mut self.sets[*slot as usize];
            if !set.contains(rows.row(i).as_ref()) {
                set.insert(rows.row(i).as_ref().into());
                fresh.push(i as u32);
                fresh_slots.push(*slot);
            }
        }
        let fresh = UInt32Array::from(fresh);
        let taken = args.iter().map(|a| take(a, &fresh, None));
        self.inner.update(&fresh_slots, &taken.collect::<Result<Vec<_>, _>>()?, arrival)
    }

    fn tuples<'a>(&'a self, slots: &'a [u32]) -> impl Iterator<Item = &'a [u8]> + 'a {
        slots.iter().flat_map(|slot| self.sets[*slot as usize].iter().map(AsRef::as_ref))
    }
}

impl AggregateBuffer for Distinct {
    fn grow(&mut self, slots: usize) {
        if slots > self.sets.len() {
            self.sets.resize_with(slots, BTreeSet::new);
        }
        self.inner.grow(slots);
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], arrival: Arrival) -> Result<()> {
        self.add(slots, args, arrival)
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            let columns = self.export(&[*from])?;
            self.merge_columns(&[*to], &columns)?;
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let Some(first) = columns.first().and_then(|c| c.as_list_opt::<i32>()) else {
            return Err(SparkError::internal("distinct buffer without arrays"));
        };
        let lengths = (0..slots.len()).map(|row| first.value_length(row));
        let flat: Vec<u32> = slots
            .iter()
            .zip(lengths)
            .flat_map(|(slot, n)| std::iter::repeat_n(*slot, n.max(0) as usize))
            .collect();
        let values = columns.iter().map(|column| {
            let lists = column.as_list::<i32>();
            let parts: Vec<ArrayRef> = (0..slots.len()).map(|row| lists.value(row)).collect();
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            if parts.is_empty() { Ok(new_empty_array(&lists.value_type())) } else { Ok(concat(&parts)?) }
        });
        self.add(&flat, &values.collect::<Result<Vec<_>>>()?, Arrival::default())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        self.inner.evaluate(slots)
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        let columns = self.converter.convert_rows(self.tuples(slots).map(|row| parser.parse(row)))?;
        let lengths = || slots.iter().map(|slot| self.sets[*slot as usize].len());
        let list = |(values, t): (ArrayRef, &DataType)| {
            list_of(&Arc::new(Field::new_list_field(t.clone(), true)), lengths(), values)
        };
        columns.into_iter().zip(&self.types).map(list).collect()
    }

    fn clear(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.sets[*slot as usize].clear());
        self.inner.clear(slots);
    }

    fn memory(&self) -> usize {
        let set = |set: &BTreeSet<Box<[u8]>>| set.iter().map(|v| v.len() + 32).sum::<usize>();
        self.sets.iter().map(set).sum::<usize>() + self.inner.memory()
    }
}
