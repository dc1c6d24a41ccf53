//! `collect_list` (`array_agg`) and `collect_set`; nulls are left out.

use std::{collections::BTreeSet, fmt, sync::Arc};

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, ListArray, new_empty_array},
    buffer::{NullBuffer, OffsetBuffer},
    compute::{SortOptions, interleave},
    datatypes::{DataType, Field, Int64Type},
    row::{RowConverter, SortField},
};

use super::{AggregateBuffer, Arrival, columns};
use crate::{Result, SparkError, state::normalize_floats};

/// The type of a collected array: elements are never null.
pub(super) fn collected_type(element: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element.clone(), false)))
}

/// A list column: `lengths[i]` values each.
pub(super) fn list_of(
    field: &Arc<Field>,
    lengths: impl Iterator<Item = usize>,
    values: ArrayRef,
) -> Result<ArrayRef> {
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, None::<NullBuffer>)?))
}

/// Values in order of arrival.
///
/// Kept as references into the argument columns they came with, so that a row costs no
/// allocation. Buffer: the values, and for each its batch and row (all arrays).
pub(super) struct CollectList {
    entries: Vec<Vec<Entry>>,
    chunks: Vec<ArrayRef>,
    /// Entries that refer to a chunk; a chunk without any gives its memory back.
    users: Vec<usize>,
    /// Chunks without users.
    unused: Vec<u32>,
    element: Arc<Field>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: (i64, i64),
    chunk: u32,
    row: u32,
}

impl fmt::Debug for CollectList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectList")
            .field("slots", &self.entries.len())
            .field("element", &self.element)
            .finish()
    }
}

impl CollectList {
    pub(super) fn new(element: &DataType) -> Self {
        let element = Arc::new(Field::new_list_field(element.clone(), false));
        Self { entries: vec![], chunks: vec![], users: vec![], unused: vec![], element }
    }

    /// A number for a new chunk; [`CollectList::settle`] has to follow.
    fn admit(&mut self, values: &ArrayRef) -> Result<u32> {
        if let Some(chunk) = self.unused.pop() {
            self.chunks[chunk as usize] = Arc::clone(values);
            return Ok(chunk);
        }
        self.chunks.push(Arc::clone(values));
        self.users.push(0);
        let last = u32::try_from(self.chunks.len() - 1);
        last.map_err(|_| SparkError::internal("collect_list holds too many chunks"))
    }

    /// Gives a chunk up if nothing refers to it.
    fn settle(&mut self, chunk: u32) {
        if self.users[chunk as usize] == 0 {
            self.chunks[chunk as usize] = new_empty_array(self.element.data_type());
            self.unused.push(chunk);
        }
    }

    fn push(&mut self, slot: usize, entry: Entry) {
        self.users[entry.chunk as usize] += 1;
        let entries = &mut self.entries[slot];
        let in_order = entries.last().is_none_or(|last| last.at <= entry.at);
        entries.push(entry);
        if !in_order {
            // Panes and partial results merge out of order now and then.
            entries.sort_by_key(|e| e.at);
        }
    }

    fn merge(&mut self, slots: &[u32], columns: &[ArrayRef], as_batch: Option<i64>) -> Result<()> {
        let lists = columns::column(columns, 0)?.as_list::<i32>();
        let batches = columns::column(columns, 1)?.as_list::<i32>();
        let rows = columns::column(columns, 2)?.as_list::<i32>();
        let chunk = self.admit(lists.values())?;
        for (row, slot) in slots.iter().enumerate() {
            let (batches, rows) = (batches.value(row), rows.value(row));
            let (batches, rows) = (batches.as_primitive::<Int64Type>(), rows.as_primitive::<Int64Type>());
            let from = lists.value_offsets()[row];
            for i in 0..batches.len() {
                let at = (as_batch.unwrap_or(batches.value(i)), rows.value(i));
                let row = u32::try_from(from).unwrap_or(0) + i as u32;
                self.push(*slot as usize, Entry { at, chunk, row });
            }
        }
        self.settle(chunk);
        Ok(())
    }

    /// The values of `slots`, one after the other.
    fn values(&self, slots: &[u32]) -> Result<ArrayRef> {
        let picks: Vec<(usize, usize)> = slots
            .iter()
            .flat_map(|slot| &self.entries[*slot as usize])
            .map(|entry| (entry.chunk as usize, entry.row as usize))
            .collect();
        if picks.is_empty() {
            return Ok(new_empty_array(self.element.data_type()));
        }
        let chunks: Vec<&dyn Array> = self.chunks.iter().map(AsRef::as_ref).collect();
        Ok(interleave(&chunks, &picks)?)
    }

    fn lengths<'a>(&'a self, slots: &'a [u32]) -> impl Iterator<Item = usize> + 'a {
        slots.iter().map(|slot| self.entries[*slot as usize].len())
    }
}

impl AggregateBuffer for CollectList {
    fn grow(&mut self, slots: usize) {
        if slots > self.entries.len() {
            self.entries.resize_with(slots, Vec::new);
        }
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], arrival: Arrival) -> Result<()> {
        let values = columns::column(args, 0)?;
        let nulls = values.logical_nulls();
        let chunk = self.admit(values)?;
        for (row, slot) in slots.iter().enumerate() {
            if nulls.as_ref().is_none_or(|n| n.is_valid(row)) {
                let at = (arrival.batch, arrival.row + row as i64);
                self.push(*slot as usize, Entry { at, chunk, row: row as u32 });
            }
        }
        self.settle(chunk);
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            let entries = self.entries[*from as usize].clone();
            entries.iter().for_each(|entry| self.users[entry.chunk as usize] += 1);
            let own = &mut self.entries[*to as usize];
            let in_order = match (own.last(), entries.first()) {
                (Some(last), Some(first)) => last.at <= first.at,
                _ => true,
            };
            own.extend(entries);
            if !in_order {
                own.sort_by_key(|e| e.at);
            }
        }
        Ok(())
    }

    fn append_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            let entries = self.entries[*from as usize].clone();
            for mut entry in entries {
                self.users[entry.chunk as usize] += 1;
                let own = &mut self.entries[*to as usize];
                // Arrivals ascend in a list: what comes too early comes right after the last.
                if let Some(last) = own.last() {
                    entry.at = entry.at.max((last.at.0, last.at.1 + 1));
                }
                own.push(entry);
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
        list_of(&self.element, self.lengths(slots), self.values(slots)?)
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let entries = || slots.iter().flat_map(|slot| &self.entries[*slot as usize]);
        let number = Arc::new(Field::new_list_field(DataType::Int64, false));
        let batches: Int64Array = entries().map(|e| e.at.0).collect();
        let rows: Int64Array = entries().map(|e| e.at.1).collect();
        Ok(vec![
            self.evaluate(slots)?,
            list_of(&number, self.lengths(slots), Arc::new(batches))?,
            list_of(&number, self.lengths(slots), Arc::new(rows))?,
        ])
    }

    fn clear(&mut self, slots: &[u32]) {
        for slot in slots {
            for entry in std::mem::take(&mut self.entries[*slot as usize]) {
                self.users[entry.chunk as usize] -= 1;
                self.settle(entry.chunk);
            }
        }
    }

    fn memory(&self) -> usize {
        let entries: usize = self.entries.iter().map(|e| e.capacity() * size_of::<Entry>()).sum();
        let chunks: usize = self.chunks.iter().map(|c| c.get_array_memory_size()).sum();
        entries + chunks + self.entries.capacity() * size_of::<Vec<Entry>>()
    }
}

/// Distinct values, ascending (`Spark differs:` its order is that of a hash table, and
/// documented as not deterministic). Buffer: the values as an array.
pub(super) struct CollectSet {
    sets: Vec<BTreeSet<Box<[u8]>>>,
    converter: RowConverter,
    element: Arc<Field>,
}

impl fmt::Debug for CollectSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectSet").field("slots", &self.sets.len()).field("element", &self.element).finish()
    }
}

impl CollectSet {
    /// # Errors
    /// `UNSUPPORTED_FEATURE` for elements that cannot be compared (maps).
    pub(super) fn new(element: &DataType) -> Result<Self> {
        let ascending = SortOptions { descending: false, nulls_first: true };
        let field = SortField::new_with_options(element.clone(), ascending);
        if !RowConverter::supports_fields(std::slice::from_ref(&field)) {
            return Err(SparkError::unsupported(format!("collect_set of the type {element}")));
        }
        let converter = RowConverter::new(vec![field])?;
        Ok(Self { sets: vec![], converter, element: Arc::new(Field::new_list_field(element.clone(), false)) })
    }

    /// Adds `values[i]` to the set of `slot(i)`.
    fn add(&mut self, values: &ArrayRef, slot: impl Fn(usize) -> u32) -> Result<()> {
        let values = normalize_floats(values)?;
        let nulls = values.logical_nulls();
        let rows = self.converter.convert_columns(&[Arc::clone(&values)])?;
        for (i, row) in rows.iter().enumerate() {
            if nulls.as_ref().is_none_or(|n| n.is_valid(i)) {
                let set = &mut self.sets[slot(i) as usize];
                if !set.contains(row.as_ref()) {
                    set.insert(row.as_ref().into());
                }
            }
        }
        Ok(())
    }
}

impl AggregateBuffer for CollectSet {
    fn grow(&mut self, slots: usize) {
        if slots > self.sets.len() {
            self.sets.resize_with(slots, BTreeSet::new);
        }
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        self.add(columns::column(args, 0)?, |i| slots[i])
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            let set = self.sets[*from as usize].clone();
            self.sets[*to as usize].extend(set);
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let lists = columns::column(columns, 0)?.as_list::<i32>();
        for (row, slot) in slots.iter().enumerate() {
            self.add(&lists.value(row), |_| *slot)?;
        }
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let parser = self.converter.parser();
        let rows = slots.iter().flat_map(|slot| &self.sets[*slot as usize]);
        let values = self.converter.convert_rows(rows.map(|row| parser.parse(row)))?.remove(0);
        list_of(&self.element, slots.iter().map(|slot| self.sets[*slot as usize].len()), values)
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn clear(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.sets[*slot as usize].clear());
    }

    fn memory(&self) -> usize {
        let set = |set: &BTreeSet<Box<[u8]>>| set.iter().map(|v| v.len() + 32).sum::<usize>();
        self.sets.iter().map(set).sum::<usize>() + self.sets.capacity() * size_of::<BTreeSet<Box<[u8]>>>()
    }
}
