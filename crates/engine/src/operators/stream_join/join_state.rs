//! Both sides' rows, and what a batch does with them.
//!
//! As Spark: the left rows of a batch meet the kept right rows and are kept; then the right
//! rows meet all left ones (a semi join has the sides the other way round). What has aged
//! leaves at the end, and brings out the rows of an outer side that never had a partner.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array,
            new_null_array,
        },
        buffer::NullBuffer,
        compute::{filter_record_batch, not, take},
        datatypes::{Int64Type, SchemaRef},
    },
    common::JoinType,
};
use hashbrown::HashSet;

use super::{
    kept_rows::{KeptRows, Matches, NONE, NewRows, taken},
    spec::{Side, Spec, truth},
};
use crate::{
    Result, SparkError,
    operators::stateful::{OperatorState, Restored, StateOperatorMetrics},
    query::{BatchId, OperatorWatermarks},
    state::KeyTable,
    time::Millis,
};

/// Pairs tried at once, and rows of an output batch.
const PAIRS_AT_ONCE: usize = 8192;
/// Rows and bytes of new rows that make a chunk.
const CHUNK_ROWS: usize = 1 << 20;
const CHUNK_BYTES: usize = 1 << 29;

/// See the module.
#[derive(Debug)]
pub(super) struct JoinState {
    spec: Arc<Spec>,
    keys: KeyTable,
    /// By key id: rows of both sides.
    uses: Vec<u32>,
    /// Keys that were without rows at some time of this batch.
    idle_keys: Vec<u32>,
    left: KeptRows,
    right: KeptRows,
    counts: Counts,
    /// While loading, by side: rows matched after they came.
    loaded: [HashSet<i64>; 2],
}

#[derive(Debug, Default)]
struct Counts {
    updated: i64,
    removed: i64,
    late: i64,
}

/// A batch being joined.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) batch: BatchId,
    pub(super) watermarks: OperatorWatermarks,
    /// The output's columns.
    pub(super) schema: SchemaRef,
}

/// New rows of one side that wait to become a chunk.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    rows: Vec<RecordBatch>,
    keys: Vec<u32>,
    times: Vec<i64>,
    matched: Vec<bool>,
    bytes: usize,
    /// Rows kept before in this batch.
    kept: usize,
}

impl JoinState {
    pub(super) fn new(spec: Arc<Spec>) -> Result<Self> {
        let kept = |side| KeptRows::new(Arc::clone(&spec.side(side).schema), spec.matches(side));
        Ok(Self {
            keys: KeyTable::new(&spec.key_types)?,
            uses: vec![],
            idle_keys: vec![],
            left: kept(Side::Left),
            right: kept(Side::Right),
            counts: Counts::default(),
            loaded: Default::default(),
            spec,
        })
    }

    fn kept(&self, side: Side) -> &KeptRows {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    fn kept_mut(&mut self, side: Side) -> &mut KeptRows {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    /// Merges and gives back room, between batches.
    pub(super) fn tidy(&mut self) -> Result<()> {
        self.left.tidy()?;
        self.right.tidy()
    }

    /// Joins rows of one side with the kept rows of the other and puts them into `waiting`.
    pub(super) fn join(
        &mut self,
        side: Side,
        rows: RecordBatch,
        frame: &Frame,
        waiting: &mut Waiting,
        out: &mut Vec<RecordBatch>,
    ) -> Result<()> {
        let spec = Arc::clone(&self.spec);
        let own = spec.side(side);
        let mut rows = rows;
        if let Some(on_time) = own.on_time(&rows, frame.watermarks.late)? {
            self.counts.late += count(on_time.false_count());
            rows = filter_record_batch(&rows, &on_time)?;
        }
        if let Some(passes) = own.passes(&rows)? {
            if own.outer {
                let alone = filter_record_batch(&rows, &not(&passes)?)?;
                out.push(self.padded(side, alone, frame)?);
            }
            rows = filter_record_batch(&rows, &passes)?;
        }
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let key_columns = own.key_columns(&rows)?;
        let mut keys = Vec::new();
        self.keys.intern(&key_columns, rows.num_rows(), &mut keys)?;
        let times = own.ages_at(&rows, &key_columns)?;
        let lonely = spec.lonely(&key_columns);
        let matched = self.find_partners(side, &rows, &keys, lonely.as_ref(), frame, out)?;
        let keep = self.rows_to_keep(side, &times, &matched, frame);
        self.counts.updated += count(keep.true_count());
        waiting.add(&rows, &keys, times, matched, &keep)?;
        if waiting.keys.len() >= CHUNK_ROWS || waiting.bytes >= CHUNK_BYTES {
            self.keep(side, frame, waiting)?;
        }
        Ok(())
    }

    /// Keeps the rows that wait.
    pub(super) fn keep(&mut self, side: Side, frame: &Frame, waiting: &mut Waiting) -> Result<()> {
        let Waiting { rows, keys, times, matched, kept, .. } = std::mem::take(waiting);
        for key in &keys {
            self.use_key(*key);
        }
        let first = first_number(frame.batch) + count(kept);
        waiting.kept = kept + keys.len();
        let sequences = (first..first + count(keys.len())).collect();
        let matched = if self.spec.matches(side) != Matches::Ignored { matched } else { vec![] };
        self.kept_mut(side).append(NewRows { rows, keys, times, sequences, matched })
    }

    fn use_key(&mut self, key: u32) {
        if self.uses.len() <= key as usize {
            self.uses.resize(key as usize + 1, 0);
        }
        self.uses[key as usize] += 1;
    }

    /// Emits partners of `rows` among the kept rows of the other side; which rows had any.
    /// Rows that are null in `lonely` have none.
    fn find_partners(
        &mut self,
        side: Side,
        rows: &RecordBatch,
        keys: &[u32],
        lonely: Option<&NullBuffer>,
        frame: &Frame,
        out: &mut Vec<RecordBatch>,
    ) -> Result<Vec<bool>> {
        let semi = self.spec.join_type == JoinType::LeftSemi;
        let mut matched = vec![false; keys.len()];
        // Partners found and not yet put out: rows, and kept rows of the other side.
        let (mut own, mut other): (Vec<u32>, Vec<u32>) = (vec![], vec![]);
        let (mut tried, mut candidates): (Vec<u32>, Vec<u32>) = (vec![], vec![]);
        let mut row = 0;
        let mut slot = NONE;
        while row < keys.len() || !tried.is_empty() {
            // Gather candidates up to a full batch; a long list of one key may be cut.
            while row < keys.len() && tried.len() < PAIRS_AT_ONCE {
                let partners = match side {
                    Side::Left => &self.right,
                    Side::Right => &self.left,
                };
                let enough = semi && side == Side::Left && matched[row];
                if enough || lonely.is_some_and(|valid| valid.is_null(row)) {
                    (row, slot) = (row + 1, NONE);
                    continue;
                }
                if slot == NONE {
                    slot = partners.head(keys[row]);
                }
                let index = u32::try_from(row).unwrap_or(NONE);
                while slot != NONE && tried.len() < PAIRS_AT_ONCE {
                    if !(semi && side == Side::Right && partners.is_matched(slot)) {
                        tried.push(index);
                        candidates.push(slot);
                    }
                    slot = partners.next(slot);
                }
                if slot == NONE {
                    row += 1;
                }
            }
            self.keep_partners(side, rows, &mut tried, &mut candidates)?;
            for (index, slot) in tried.drain(..).zip(candidates.drain(..)) {
                let known = std::mem::replace(&mut matched[index as usize], true);
                let first = match side {
                    Side::Left => self.right.mark_matched(slot),
                    Side::Right => self.left.mark_matched(slot),
                };
                if semi {
                    // Each left row once.
                    if !(if side == Side::Left { !known } else { first }) {
                        continue;
                    }
                    if side == Side::Right {
                        self.leave(slot);
                    }
                }
                own.push(index);
                other.push(slot);
            }
            if own.len() >= PAIRS_AT_ONCE || (row >= keys.len() && !own.is_empty()) {
                out.push(self.pairs(side, rows, &own, &other, frame)?);
                own.clear();
                other.clear();
            }
        }
        Ok(matched)
    }

    /// Counts a left row out of a semi join; its key may still be in use in this batch.
    fn leave(&mut self, slot: u32) {
        let key = self.left.key(slot);
        self.counts.removed += 1;
        if let Some(uses) = self.uses.get_mut(key as usize) {
            *uses -= 1;
            if *uses == 0 {
                self.idle_keys.push(key);
            }
        }
    }

    /// Drops the candidates that the condition refuses.
    fn keep_partners(
        &self,
        side: Side,
        rows: &RecordBatch,
        tried: &mut Vec<u32>,
        candidates: &mut Vec<u32>,
    ) -> Result<()> {
        let Some(filter) = self.spec.filter.as_ref().filter(|_| !tried.is_empty()) else { return Ok(()) };
        let (of_rows, of_kept) = match side {
            Side::Left => (&filter.left, &filter.right),
            Side::Right => (&filter.right, &filter.left),
        };
        let index = UInt32Array::from(std::mem::take(tried));
        let own =
            of_rows.iter().map(|c| Ok(take(rows.column(*c), &index, None)?)).collect::<Result<Vec<_>>>()?;
        let kept = match side {
            Side::Left => self.right.gather(of_kept, candidates)?,
            Side::Right => self.left.gather(of_kept, candidates)?,
        };
        let columns = in_order(side, own, kept);
        let options = RecordBatchOptions::new().with_row_count(Some(index.len()));
        let pairs = RecordBatch::try_new_with_options(Arc::clone(&filter.schema), columns, &options)?;
        let mask = truth(&filter.predicate.evaluate(&pairs)?.into_array(index.len())?)?;
        if mask.true_count() == index.len() {
            *tried = index.values().to_vec();
            return Ok(());
        }
        let passed = mask.values().set_indices();
        let slots = std::mem::take(candidates);
        for pair in passed {
            tried.push(index.value(pair));
            candidates.push(slots[pair]);
        }
        Ok(())
    }

    /// Output rows: `own` of the batch beside the kept rows `other`.
    fn pairs(
        &self,
        side: Side,
        rows: &RecordBatch,
        own: &[u32],
        other: &[u32],
        frame: &Frame,
    ) -> Result<RecordBatch> {
        let semi = self.spec.join_type == JoinType::LeftSemi;
        let all = |schema: &SchemaRef| (0..schema.fields().len()).collect::<Vec<_>>();
        let of_rows = || {
            let index = UInt32Array::from(own.to_vec());
            rows.columns().iter().map(|c| Ok(take(c, &index, None)?)).collect::<Result<Vec<_>>>()
        };
        let columns = match side {
            Side::Left if semi => of_rows()?,
            Side::Left => {
                in_order(side, of_rows()?, self.right.gather(&all(&self.spec.right.schema), other)?)
            }
            Side::Right => {
                let left = self.left.gather(&all(&self.spec.left.schema), other)?;
                if semi { left } else { in_order(side, of_rows()?, left) }
            }
        };
        output(frame, columns, own.len())
    }

    /// Rows of one side without a partner, as output.
    fn padded(&self, side: Side, rows: RecordBatch, frame: &Frame) -> Result<RecordBatch> {
        let other = match side {
            Side::Left => &self.spec.right.schema,
            Side::Right => &self.spec.left.schema,
        };
        let len = rows.num_rows();
        let nulls = other.fields().iter().map(|f| new_null_array(f.data_type(), len)).collect();
        output(frame, in_order(side, rows.columns().to_vec(), nulls), len)
    }

    /// Which rows have to be kept (Spark's `shouldAddToState`).
    fn rows_to_keep(&self, side: Side, times: &[i64], matched: &[bool], frame: &Frame) -> BooleanArray {
        let spec = self.spec.side(side);
        let aged = spec.aged(frame.watermarks.eviction).map(Millis::as_micros);
        let semi = self.spec.join_type == JoinType::LeftSemi;
        let keep = |row: usize| match side {
            // The right rows of this batch are still to come.
            Side::Left => !(semi && matched[row]),
            Side::Right => {
                let leaves = aged.is_some_and(|aged| times.get(row).is_some_and(|time| *time <= aged));
                !leaves || (spec.outer && !matched[row])
            }
        };
        (0..matched.len()).map(|row| Some(keep(row))).collect()
    }

    /// Ends the batch: what has aged leaves.
    pub(super) fn finish(
        &mut self,
        frame: &Frame,
        out: &mut Vec<RecordBatch>,
        metrics: &mut StateOperatorMetrics,
    ) -> Result<()> {
        for side in [Side::Left, Side::Right] {
            let evicted = self.age(side, frame.watermarks.eviction);
            self.counts.removed += count(evicted.len());
            if self.spec.side(side).outer {
                let kept = self.kept(side);
                let alone: Vec<u32> = evicted.into_iter().filter(|slot| !kept.is_matched(*slot)).collect();
                let all: Vec<usize> = (0..self.spec.side(side).schema.fields().len()).collect();
                for slots in alone.chunks(PAIRS_AT_ONCE) {
                    let rows = self.kept(side).batch(self.kept(side).gather(&all, slots)?, slots.len())?;
                    out.push(self.padded(side, rows, frame)?);
                }
            }
            self.kept_mut(side).drop_gone();
        }
        let mut idle = std::mem::take(&mut self.idle_keys);
        idle.extend(self.keys.take_fresh());
        idle.retain(|key| self.uses.get(*key as usize).is_none_or(|uses| *uses == 0));
        self.keys.release(&idle);
        metrics.num_rows_total = count(self.left.len() + self.right.len());
        metrics.num_rows_updated = self.counts.updated;
        metrics.num_rows_removed = self.counts.removed;
        metrics.num_rows_dropped_by_watermark = self.counts.late;
        metrics.custom_metrics = vec![
            ("leftRowsTotal".to_string(), count(self.left.len())),
            ("rightRowsTotal".to_string(), count(self.right.len())),
        ];
        Ok(())
    }

    /// Takes out the rows of a side that have aged.
    fn age(&mut self, side: Side, watermark: Millis) -> Vec<u32> {
        let Some(aged) = self.spec.side(side).aged(watermark) else { return vec![] };
        let Self { keys, uses, left, right, .. } = self;
        let kept = match side {
            Side::Left => left,
            Side::Right => right,
        };
        let mut idle = vec![];
        let evicted = kept.evict(aged.as_micros(), |key| {
            if let Some(uses) = uses.get_mut(key as usize) {
                *uses -= 1;
                if *uses == 0 {
                    idle.push(key);
                }
            }
        });
        keys.release(&idle);
        evicted
    }

    /// Rows as they are stored.
    fn stored(&self, side: Side, rows: &[(i64, u32)], matched_before: &[i64]) -> Result<Vec<ArrayRef>> {
        let kept = self.kept(side);
        let sequences = matched_before.iter().copied().chain(rows.iter().map(|(sequence, _)| *sequence));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(sequences))];
        if self.spec.matches(side) != Matches::Ignored {
            let flags = rows.iter().map(|(_, slot)| Some(kept.is_matched(*slot)));
            let flags = matched_before.iter().map(|_| Some(true)).chain(flags);
            columns.push(Arc::new(flags.collect::<BooleanArray>()));
        }
        let slots: Vec<u32> = rows.iter().map(|(_, slot)| *slot).collect();
        let all: Vec<usize> = (0..self.spec.side(side).schema.fields().len()).collect();
        for column in kept.gather(&all, &slots)? {
            if matched_before.is_empty() {
                columns.push(column);
                continue;
            }
            let nulls = new_null_array(column.data_type(), matched_before.len());
            columns.push(datafusion::arrow::compute::concat(&[nulls.as_ref(), column.as_ref()])?);
        }
        Ok(columns)
    }
}

impl Waiting {
    fn add(
        &mut self,
        rows: &RecordBatch,
        keys: &[u32],
        times: Vec<i64>,
        matched: Vec<bool>,
        keep: &BooleanArray,
    ) -> Result<()> {
        let all = keep.true_count() == keys.len();
        let rows = if all {
            rows.clone()
        } else {
            taken(rows, &UInt32Array::from_iter_values(keep.values().set_indices_u32()))?
        };
        self.bytes += rows.get_array_memory_size();
        if rows.num_rows() > 0 {
            self.rows.push(rows);
        }
        for row in keep.values().set_indices() {
            self.keys.push(keys[row]);
            self.times.extend(times.get(row));
            self.matched.push(matched[row]);
        }
        Ok(())
    }
}

impl OperatorState for JoinState {
    fn begin(&mut self) {
        self.counts = Counts::default();
    }

    /// The rows that came and are still there; before them, by number alone, earlier rows
    /// that have had their first partner.
    fn changes(&self, store: usize) -> Result<Vec<ArrayRef>> {
        let side = side_of(store);
        let kept = self.kept(side);
        self.stored(side, &kept.fresh_rows(), &kept.newly_matched())
    }

    fn start_walk(&mut self, store: usize) {
        self.kept_mut(side_of(store)).start_walk();
    }

    fn walk(&mut self, store: usize, rows: usize) -> Result<(Vec<ArrayRef>, bool)> {
        let side = side_of(store);
        let (rows, over) = self.kept_mut(side).walk(rows);
        Ok((self.stored(side, &rows, &[])?, over))
    }

    fn stored_rows(&self, store: usize) -> usize {
        self.kept(side_of(store)).len()
    }

    fn restore(&mut self, store: usize, columns: &[ArrayRef], from: Restored) -> Result<()> {
        let side = side_of(store);
        let spec = Arc::clone(&self.spec);
        let own = spec.side(side);
        let before = 1 + usize::from(spec.matches(side) != Matches::Ignored);
        let numbers = columns.first().and_then(|c| c.as_primitive_opt::<Int64Type>());
        let (Some(numbers), true) = (numbers, columns.len() == before + own.schema.fields().len()) else {
            return Err(SparkError::internal("state of a join has other columns"));
        };
        // Before the rows of a batch stand those of earlier ones that were matched.
        let old = match from {
            Restored::Change(batch) => numbers.values().partition_point(|n| *n < first_number(batch)),
            Restored::Walk => 0,
        };
        self.loaded[side as usize].extend(numbers.values().iter().take(old));
        let len = numbers.len() - old;
        if len == 0 {
            return Ok(());
        }
        let rows = columns[before..].iter().map(|c| c.slice(old, len)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(len));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&own.schema), rows, &options)?;
        let key_columns = own.key_columns(&rows)?;
        let mut keys = Vec::new();
        self.keys.intern(&key_columns, len, &mut keys)?;
        self.keys.take_fresh();
        keys.iter().for_each(|key| self.use_key(*key));
        let times = own.ages_at(&rows, &key_columns)?;
        let matched = match columns.get(1).filter(|_| spec.matches(side) != Matches::Ignored) {
            Some(flags) => truth(&flags.slice(old, len))?.values().iter().collect(),
            None => vec![],
        };
        let sequences = numbers.values().iter().skip(old).copied().collect();
        let kept = self.kept_mut(side);
        kept.append(NewRows { rows: vec![rows], keys, times, sequences, matched })?;
        kept.merge_small_chunks()
    }

    fn evict(&mut self, store: usize, micros: i64) -> Result<()> {
        let side = side_of(store);
        self.age(side, Millis::from_micros(micros));
        self.kept_mut(side).drop_gone();
        Ok(())
    }

    fn loaded(&mut self, _evicted: Option<i64>) {
        for side in [Side::Left, Side::Right] {
            let matched = std::mem::take(&mut self.loaded[side as usize]);
            if matched.is_empty() {
                continue;
            }
            for (sequence, slot) in self.kept(side).all_rows() {
                if !matched.contains(&sequence) {
                    continue;
                }
                self.kept_mut(side).mark_matched(slot);
                if self.spec.matches(side) == Matches::Removed {
                    self.leave(slot);
                }
            }
        }
    }

    fn memory(&self) -> usize {
        self.keys.memory()
            + self.uses.capacity() * size_of::<u32>()
            + self.left.memory()
            + self.right.memory()
    }
}

/// The number of the first row that a batch keeps.
fn first_number(batch: BatchId) -> i64 {
    batch.0 << 32
}

fn side_of(store: usize) -> Side {
    if store == 0 { Side::Left } else { Side::Right }
}

/// Left columns before right ones.
fn in_order(side: Side, own: Vec<ArrayRef>, other: Vec<ArrayRef>) -> Vec<ArrayRef> {
    let (mut first, second) = match side {
        Side::Left => (own, other),
        Side::Right => (other, own),
    };
    first.extend(second);
    first
}

fn output(frame: &Frame, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(&frame.schema), columns, &options)?)
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
