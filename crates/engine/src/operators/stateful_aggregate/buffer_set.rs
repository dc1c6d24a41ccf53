//! The buffers of all aggregates of an operator, with their slots.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, BooleanArray, UInt32Array},
    compute::{filter, take},
    datatypes::Field,
};

use crate::{
    Result, SparkError,
    operators::aggregate::{AggregateBuffer, AggregateCall, Arrival},
};

/// Buffers that share their slots: slot `s` of every aggregate belongs to one group.
#[derive(Debug)]
pub(super) struct BufferSet {
    calls: Vec<AggregateCall>,
    buffers: Vec<Box<dyn AggregateBuffer>>,
    slots: u32,
    free: Vec<u32>,
    /// Bytes held when they were last counted, for some functions count slot by slot...
    measured: usize,
    /// ...and slots changed since.
    changed: usize,
}

/// One aggregate's arguments for a batch of rows, already cast.
#[derive(Debug, Clone, Default)]
pub(super) struct Arguments {
    pub(super) columns: Vec<ArrayRef>,
    /// `FILTER (WHERE ..)`.
    pub(super) filter: Option<BooleanArray>,
}

impl BufferSet {
    pub(super) fn new(calls: &[AggregateCall]) -> Result<Self> {
        let buffers = calls.iter().map(AggregateCall::create).collect::<Result<_>>()?;
        Ok(Self { calls: calls.to_vec(), buffers, slots: 0, free: vec![], measured: 0, changed: 0 })
    }

    /// An empty slot.
    pub(super) fn allocate(&mut self) -> Result<u32> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot);
        }
        let slot = self.slots;
        self.slots = slot
            .checked_add(1)
            .ok_or_else(|| SparkError::internal("an aggregate has more than 2^32 groups"))?;
        Ok(slot)
    }

    /// Makes memory for every allocated slot; needed before any of the calls below.
    pub(super) fn grow(&mut self) {
        self.buffers.iter_mut().for_each(|b| b.grow(self.slots as usize));
    }

    /// Makes slots `0..slots` usable for a caller that numbers them itself.
    pub(super) fn reserve(&mut self, slots: usize) {
        self.slots = self.slots.max(u32::try_from(slots).unwrap_or(u32::MAX));
        self.grow();
    }

    /// Counts the bytes held once a good part of the slots has changed.
    fn measure(&mut self, changed: usize) {
        self.changed += changed;
        if self.changed > self.slots as usize / 8 {
            self.changed = 0;
            self.measured = self.buffers.iter().map(|b| b.memory()).sum();
        }
    }

    /// Empties slots and gives them back.
    pub(super) fn release(&mut self, slots: &[u32]) {
        self.clear(slots);
        self.free.extend_from_slice(slots);
        self.measure(slots.len());
    }

    /// Empties slots.
    pub(super) fn clear(&mut self, slots: &[u32]) {
        self.grow();
        self.buffers.iter_mut().for_each(|b| b.clear(slots));
    }

    /// Adds rows: row `i` goes to `slots[i]`; with `rows`, slot `i` takes row `rows[i]`.
    pub(super) fn update(
        &mut self,
        slots: &[u32],
        arguments: &[Arguments],
        rows: Option<&UInt32Array>,
        arrival: Arrival,
    ) -> Result<()> {
        self.grow();
        for (buffer, Arguments { columns, filter: mask }) in self.buffers.iter_mut().zip(arguments) {
            let mut columns = columns.clone();
            let mut mask = mask.clone();
            if let Some(rows) = rows {
                for column in &mut columns {
                    *column = take(column, rows, None)?;
                }
                mask = match mask {
                    Some(mask) => {
                        let taken = take(&mask, rows, None)?;
                        datafusion::arrow::array::AsArray::as_boolean_opt(&taken).cloned()
                    }
                    None => None,
                };
            }
            match mask {
                None => buffer.update(slots, &columns, arrival)?,
                Some(mask) => {
                    let passing: Vec<u32> = slots
                        .iter()
                        .enumerate()
                        .filter(|(i, _)| mask.is_valid(*i) && mask.value(*i))
                        .map(|(_, slot)| *slot)
                        .collect();
                    let columns = columns.iter().map(|c| filter(c, &mask)).collect::<Result<Vec<_>, _>>()?;
                    buffer.update(&passing, &columns, arrival)?;
                }
            }
        }
        self.measure(slots.len());
        Ok(())
    }

    /// Merges slot into slot, step by step; see [`AggregateBuffer::merge_slots`].
    pub(super) fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        self.grow();
        self.buffers.iter_mut().try_for_each(|b| b.merge_slots(steps))
    }

    /// Appends slot to slot, step by step; see [`AggregateBuffer::append_slots`].
    pub(super) fn append_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        self.grow();
        self.buffers.iter_mut().try_for_each(|b| b.append_slots(steps))
    }

    /// One result column an aggregate.
    pub(super) fn evaluate(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        self.buffers.iter().map(|b| b.evaluate(slots)).collect()
    }

    /// All buffer columns, aggregate after aggregate.
    pub(super) fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let columns = self.buffers.iter().map(|b| b.export(slots)).collect::<Result<Vec<_>>>()?;
        Ok(columns.into_iter().flatten().collect())
    }

    /// Replaces the content of `slots` by rows of exported columns.
    pub(super) fn import(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        self.clear(slots);
        self.merge(slots, columns)
    }

    /// Adds exported columns: row `i` to what is in `slots[i]`.
    pub(super) fn merge(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        self.grow();
        let mut rest = columns;
        for (call, buffer) in self.calls.iter().zip(&mut self.buffers) {
            let width = call.buffer_fields()?.len();
            let Some((own, others)) = rest.split_at_checked(width) else {
                return Err(SparkError::internal("state has too few buffer columns"));
            };
            buffer.merge_columns(slots, own)?;
            rest = others;
        }
        self.measure(slots.len());
        Ok(())
    }

    /// Fields of [`BufferSet::export`].
    pub(super) fn fields(calls: &[AggregateCall]) -> Result<Vec<Arc<Field>>> {
        let fields = calls.iter().enumerate().map(|(i, call)| {
            let own = call.buffer_fields()?.into_iter();
            Ok(own
                .map(move |f| Arc::new(f.clone().with_name(format!("{i}.{}", f.name()))))
                .collect::<Vec<_>>())
        });
        Ok(fields.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Bytes held, estimated.
    pub(super) fn memory(&self) -> usize {
        self.measured + self.free.capacity() * size_of::<u32>()
    }
}
