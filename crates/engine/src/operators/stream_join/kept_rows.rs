//! The rows one side of a join keeps.
//!
//! Rows lie in chunks of columns, each sorted by the time its rows age by, so that what a
//! watermark removes is a prefix of each chunk. A row is a *slot*, a small number; slots of
//! one key form a doubly linked list, so that any row leaves in constant time.
//!
//! # Invariants
//! - Slots of a chunk are consecutive; chunks are in the order of their slots.
//! - Slots are renumbered only by [`KeptRows::tidy`], which a batch calls once, at its
//!   beginning.
//! - `sequence` numbers rows in the order they came, across restarts: by it files name rows.

use datafusion::arrow::{
    array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array},
    compute::{concat_batches, interleave, take},
    datatypes::SchemaRef,
};

use crate::{Result, SparkError};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;
/// A row that no watermark removes.
pub(super) const NEVER: i64 = i64::MAX;

/// Chunks up to this many rows are merged with their like, so that there are few.
const MERGED_ROWS: usize = 1 << 16;
/// Slots are numbered anew when this many more are empty than taken.
const SPARE_SLOTS: usize = if cfg!(test) { 16 } else { 1 << 14 };

/// See the module.
#[derive(Debug)]
pub(super) struct KeptRows {
    schema: SchemaRef,
    chunks: Vec<Chunk>,
    /// By slot.
    links: Vec<Link>,
    /// By slot; empty when nobody asks.
    matched: Vec<bool>,
    matches: Matches,
    /// By key id: its latest slot.
    heads: Vec<u32>,
    live: usize,
    /// Slots from here on came in this batch.
    fresh: u32,
    /// Earlier slots that found their first partner in this batch.
    newly_matched: Vec<u32>,
}

#[derive(Debug)]
struct Chunk {
    base: u32,
    rows: RecordBatch,
    /// Microseconds, ascending; empty when the side does not age.
    times: Vec<i64>,
    sequences: Vec<i64>,
    /// Rows from the front that are gone.
    gone: usize,
    /// Rows from the front that the walk over all rows has passed; all of a chunk that came
    /// after it began.
    walked: usize,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    next: u32,
    previous: u32,
    key: u32,
}

/// What becomes of rows that have had a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matches {
    /// Nobody asks.
    Ignored,
    /// They are marked.
    Marked,
    /// They are of no more use.
    Removed,
}

/// Rows to keep.
pub(super) struct NewRows {
    pub(super) rows: Vec<RecordBatch>,
    pub(super) keys: Vec<u32>,
    /// When the row ages; empty when the side does not.
    pub(super) times: Vec<i64>,
    pub(super) sequences: Vec<i64>,
    /// Whether the row has had a partner; empty when nobody asks.
    pub(super) matched: Vec<bool>,
}

impl Chunk {
    fn len(&self) -> usize {
        self.sequences.len()
    }

    fn live(&self) -> usize {
        self.len() - self.gone
    }

    /// Whether the walk has still to come, or has passed.
    fn is_untouched(&self) -> bool {
        self.walked <= self.gone
    }

    fn is_walked(&self) -> bool {
        self.walked >= self.len()
    }

    fn slots(&self) -> std::ops::Range<u32> {
        self.base + slot(self.gone)..self.base + slot(self.len())
    }
}

/// Slots are bounded by memory long before 2^32 rows.
fn slot(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}

impl KeptRows {
    pub(super) fn new(schema: SchemaRef, matches: Matches) -> Self {
        Self {
            schema,
            chunks: vec![],
            links: vec![],
            matched: vec![],
            matches,
            heads: vec![],
            live: 0,
            fresh: 0,
            newly_matched: vec![],
        }
    }

    /// Rows kept.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// The latest row of a key, [`NONE`] if there is none.
    #[inline]
    pub(super) fn head(&self, key: u32) -> u32 {
        self.heads.get(key as usize).copied().unwrap_or(NONE)
    }

    /// The row of the same key before `slot`.
    #[inline]
    pub(super) fn next(&self, slot: u32) -> u32 {
        self.links.get(slot as usize).map_or(NONE, |link| link.next)
    }

    /// Whether a row has had a partner.
    #[inline]
    pub(super) fn is_matched(&self, slot: u32) -> bool {
        self.matched.get(slot as usize).copied().unwrap_or(false)
    }

    /// Remembers that a row has had a partner; false if that was known. Lists that are
    /// being walked stay whole when the row goes.
    pub(super) fn mark_matched(&mut self, slot: u32) -> bool {
        match self.matched.get_mut(slot as usize) {
            Some(matched) if !*matched => *matched = true,
            _ => return false,
        }
        if slot < self.fresh {
            self.newly_matched.push(slot);
        }
        if self.matches == Matches::Removed {
            self.unlink(slot);
        }
        true
    }

    /// The key of a row.
    pub(super) fn key(&self, slot: u32) -> u32 {
        self.links.get(slot as usize).map_or(NONE, |link| link.key)
    }

    /// Whether a row was removed because it had a partner.
    fn is_removed(&self, slot: u32) -> bool {
        self.matches == Matches::Removed && self.is_matched(slot)
    }

    /// Starts a batch: merges small chunks, gives back the room of rows that are gone.
    pub(super) fn tidy(&mut self) -> Result<()> {
        self.newly_matched.clear();
        self.merge_small_chunks()?;
        let held: usize = self.chunks.iter().map(Chunk::live).sum();
        if self.links.len() > 2 * held + SPARE_SLOTS {
            self.renumber()?;
        }
        self.fresh = slot(self.links.len());
        Ok(())
    }

    /// Keeps rows.
    pub(super) fn append(&mut self, new: NewRows) -> Result<()> {
        if new.keys.is_empty() {
            return Ok(());
        }
        if self.links.len() + new.keys.len() >= NONE as usize {
            return Err(SparkError::internal("a side of a join keeps more than 2^32 rows"));
        }
        let NewRows { rows, mut keys, mut times, mut sequences, mut matched } = new;
        let mut order: Vec<u32> = (0..slot(keys.len())).collect();
        if !times.is_sorted() {
            order.sort_by_key(|row| times[*row as usize]);
            keys = permuted(&keys, &order);
            times = permuted(&times, &order);
            sequences = permuted(&sequences, &order);
            if !matched.is_empty() {
                matched = permuted(&matched, &order);
            }
        }
        // Always a copy, for the rows may be a small part of what they were cut from.
        let rows = taken(&concat_batches(&self.schema, &rows)?, &UInt32Array::from(order))?;
        self.push(rows, &keys, times, sequences, &matched);
        Ok(())
    }

    /// Starts a walk over the rows there are.
    pub(super) fn start_walk(&mut self) {
        self.chunks.iter_mut().for_each(|chunk| chunk.walked = chunk.gone);
    }

    /// (sequence, slot) of up to `most` more rows of the walk, sorted, and whether it is over.
    pub(super) fn walk(&mut self, most: usize) -> (Vec<(i64, u32)>, bool) {
        let mut found = Vec::new();
        for at in 0..self.chunks.len() {
            let chunk = &self.chunks[at];
            let from = chunk.walked.max(chunk.gone);
            let upto = chunk.len().min(from.saturating_add(most - found.len()));
            for row in from..upto {
                let slot = chunk.base + slot(row);
                if !self.is_removed(slot) {
                    found.push((chunk.sequences[row], slot));
                }
            }
            self.chunks[at].walked = upto.max(from);
            if found.len() >= most {
                break;
            }
        }
        found.sort_unstable();
        (found, self.chunks.iter().all(Chunk::is_walked))
    }

    /// Adds a chunk of sorted rows and links them.
    fn push(
        &mut self,
        rows: RecordBatch,
        keys: &[u32],
        times: Vec<i64>,
        sequences: Vec<i64>,
        matched: &[bool],
    ) {
        let base = slot(self.links.len());
        for (row, key) in keys.iter().enumerate() {
            let own = base + slot(row);
            if self.heads.len() <= *key as usize {
                self.heads.resize(*key as usize + 1, NONE);
            }
            let head = std::mem::replace(&mut self.heads[*key as usize], own);
            if let Some(before) = self.links.get_mut(head as usize) {
                before.previous = own;
            }
            self.links.push(Link { next: head, previous: NONE, key: *key });
        }
        if self.matches != Matches::Ignored {
            self.matched.extend((0..keys.len()).map(|row| matched.get(row).copied().unwrap_or(false)));
        }
        self.live += keys.len();
        let walked = sequences.len();
        self.chunks.push(Chunk { base, rows, times, sequences, gone: 0, walked });
    }

    fn unlink(&mut self, slot: u32) -> u32 {
        let Some(Link { next, previous, key }) = self.links.get(slot as usize).copied() else { return NONE };
        match self.links.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.heads[key as usize] = next,
        }
        if let Some(after) = self.links.get_mut(next as usize) {
            after.previous = previous;
        }
        self.live -= 1;
        key
    }

    /// Removes rows up to `micros`; their slots, ascending, and `left` told the key of each.
    ///
    /// Until [`KeptRows::drop_gone`] the rows can still be gathered.
    pub(super) fn evict(&mut self, micros: i64, mut left: impl FnMut(u32)) -> Vec<u32> {
        let mut evicted = Vec::new();
        for chunk in &mut self.chunks {
            let upto = chunk.times.partition_point(|time| *time <= micros && *time != NEVER);
            if upto > chunk.gone {
                evicted.extend(chunk.base + slot(chunk.gone)..chunk.base + slot(upto));
                chunk.gone = upto;
            }
        }
        evicted.retain(|slot| !self.is_removed(*slot));
        for slot in &evicted {
            left(self.unlink(*slot));
        }
        evicted
    }

    /// Frees chunks of which no row is left.
    pub(super) fn drop_gone(&mut self) {
        self.chunks.retain(|chunk| chunk.live() > 0);
    }

    /// The columns `columns` of rows that are kept or just evicted.
    pub(super) fn gather(&self, columns: &[usize], slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut places = Vec::with_capacity(slots.len());
        for slot in slots {
            places.push(self.place(*slot).ok_or_else(lost)?);
        }
        self.at(columns, &places)
    }

    /// The columns `columns` at (chunk, row).
    fn at(&self, columns: &[usize], places: &[(usize, usize)]) -> Result<Vec<ArrayRef>> {
        if let ([chunk], Some(_)) = (self.chunks.as_slice(), places.first()) {
            let rows = UInt32Array::from_iter_values(places.iter().map(|(_, row)| slot(*row)));
            return columns.iter().map(|c| Ok(take(chunk.rows.column(*c), &rows, None)?)).collect();
        }
        let gathered = columns.iter().map(|column| {
            if places.is_empty() {
                return Ok(datafusion::arrow::array::new_empty_array(self.schema.field(*column).data_type()));
            }
            let parts: Vec<&dyn Array> =
                self.chunks.iter().map(|c| c.rows.column(*column).as_ref()).collect();
            Ok(interleave(&parts, places)?)
        });
        gathered.collect()
    }

    /// (chunk, row) of a slot.
    fn place(&self, slot: u32) -> Option<(usize, usize)> {
        let chunk = self.chunks.partition_point(|c| c.base <= slot).checked_sub(1)?;
        let row = (slot - self.chunks.get(chunk)?.base) as usize;
        (row < self.chunks[chunk].len()).then_some((chunk, row))
    }

    /// (sequence, slot) of each row that came in this batch and is still there.
    pub(super) fn fresh_rows(&self) -> Vec<(i64, u32)> {
        self.rows_from(self.fresh)
    }

    /// (sequence, slot) of all rows.
    pub(super) fn all_rows(&self) -> Vec<(i64, u32)> {
        self.rows_from(0)
    }

    fn rows_from(&self, first: u32) -> Vec<(i64, u32)> {
        let mut found = Vec::new();
        let old = self.chunks.partition_point(|chunk| chunk.base + slot(chunk.len()) <= first);
        for chunk in self.chunks.iter().skip(old) {
            for slot in chunk.slots().filter(|s| *s >= first && !self.is_removed(*s)) {
                found.push((chunk.sequences[(slot - chunk.base) as usize], slot));
            }
        }
        found.sort_unstable();
        found
    }

    /// Sequences of earlier rows that found their first partner in this batch and are still
    /// there.
    pub(super) fn newly_matched(&self) -> Vec<i64> {
        let sequence = |slot: &u32| {
            let (chunk, row) = self.place(*slot)?;
            let chunk = self.chunks.get(chunk)?;
            (row >= chunk.gone).then(|| chunk.sequences[row])
        };
        let mut found: Vec<i64> = self.newly_matched.iter().filter_map(sequence).collect();
        found.sort_unstable();
        found
    }

    /// Merges the last chunks as long as the last but one is not much larger. Those that the
    /// walk is in, or that it has and has not passed, stay apart.
    pub(super) fn merge_small_chunks(&mut self) -> Result<()> {
        self.drop_gone();
        while let [.., before, last] = self.chunks.as_slice() {
            let rows = before.live() + last.live();
            let adjacent = before.base + slot(before.len()) == last.base
                && last.base + slot(last.len()) == slot(self.links.len());
            let walked = before.is_walked() && last.is_walked();
            let together = walked || (before.is_untouched() && last.is_untouched());
            if !adjacent || !together || rows > MERGED_ROWS || before.live() > 2 * last.live() {
                break;
            }
            let base = before.base;
            let mut order: Vec<(i64, i64, u32)> = Vec::with_capacity(rows);
            for chunk in [before, last] {
                for slot in chunk.slots().filter(|slot| !self.is_removed(*slot)) {
                    let row = (slot - chunk.base) as usize;
                    let time = chunk.times.get(row).copied().unwrap_or(NEVER);
                    order.push((time, chunk.sequences[row], slot));
                }
            }
            let ages = !last.times.is_empty();
            order.sort_unstable();
            let slots: Vec<u32> = order.iter().map(|(_, _, slot)| *slot).collect();
            let all: Vec<usize> = (0..self.schema.fields().len()).collect();
            let rows = self.batch(self.gather(&all, &slots)?, slots.len())?;
            let matched: Vec<bool> = slots.iter().map(|slot| self.is_matched(*slot)).collect();
            let keys: Vec<u32> = slots.iter().map(|slot| self.unlink(*slot)).collect();
            self.chunks.truncate(self.chunks.len() - 2);
            self.links.truncate(base as usize);
            self.matched.truncate(base as usize);
            let times = if ages { order.iter().map(|(time, _, _)| *time).collect() } else { vec![] };
            let sequences = order.iter().map(|(_, sequence, _)| *sequence).collect();
            self.push(rows, &keys, times, sequences, &matched);
            if let Some(merged) = self.chunks.last_mut().filter(|_| !walked) {
                merged.walked = 0;
            }
        }
        Ok(())
    }

    /// Numbers the slots without holes.
    fn renumber(&mut self) -> Result<()> {
        let old: Vec<(u32, u32)> = {
            let mut next = 0;
            let mut starts = Vec::with_capacity(self.chunks.len());
            for chunk in &self.chunks {
                starts.push((chunk.base + slot(chunk.gone), next));
                next += slot(chunk.live());
            }
            starts
        };
        let moved = |slot: u32| match old.partition_point(|(from, _)| *from <= slot).checked_sub(1) {
            Some(chunk) if slot != NONE => slot - old[chunk].0 + old[chunk].1,
            _ => NONE,
        };
        let mut links = Vec::with_capacity(self.live);
        let mut matched = Vec::new();
        for chunk in &mut self.chunks {
            for slot in chunk.slots() {
                let Link { next, previous, key } = self.links[slot as usize];
                links.push(Link { next: moved(next), previous: moved(previous), key });
                matched.extend(self.matched.get(slot as usize));
            }
            let base = moved(chunk.base + slot(chunk.gone));
            if chunk.gone > 0 {
                let rest = UInt32Array::from_iter_values(slot(chunk.gone)..slot(chunk.len()));
                chunk.rows = taken(&chunk.rows, &rest)?;
                chunk.times.drain(..chunk.gone.min(chunk.times.len()));
                chunk.sequences.drain(..chunk.gone);
                chunk.times.shrink_to_fit();
                chunk.sequences.shrink_to_fit();
                chunk.walked = chunk.walked.saturating_sub(chunk.gone);
                chunk.gone = 0;
            }
            chunk.base = base;
        }
        for head in &mut self.heads {
            *head = moved(*head);
        }
        (self.links, self.matched) = (links, matched);
        Ok(())
    }

    /// A batch of the side's columns; there may be none.
    pub(super) fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }

    /// Bytes held, estimated.
    pub(super) fn memory(&self) -> usize {
        let chunks = self.chunks.iter().map(|chunk| {
            let times = (chunk.times.capacity() + chunk.sequences.capacity()) * size_of::<i64>();
            chunk.rows.get_array_memory_size() + times
        });
        chunks.sum::<usize>()
            + self.links.capacity() * size_of::<Link>()
            + self.matched.capacity()
            + self.heads.capacity() * size_of::<u32>()
    }
}

fn permuted<T: Copy>(values: &[T], order: &[u32]) -> Vec<T> {
    order.iter().filter_map(|row| values.get(*row as usize)).copied().collect()
}

/// Copies rows of a batch that may have no columns.
pub(super) fn taken(batch: &RecordBatch, rows: &UInt32Array) -> Result<RecordBatch> {
    let columns =
        batch.columns().iter().map(|c| take(c, rows, None)).collect::<std::result::Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
}

fn lost() -> SparkError {
    SparkError::internal("a join lost a row it keeps")
}

#[cfg(test)]
mod tests;
