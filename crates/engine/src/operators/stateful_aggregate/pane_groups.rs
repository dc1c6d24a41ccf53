//! Groups of a windowed aggregate: (pane, key) buffers, windows put together on emission.
//!
//! # Invariants
//! - A key's panes ascend, and a key without panes is released at the end of the batch.
//! - A pane is dropped when its last window has ended by the eviction watermark. Until then
//!   it takes rows: a row can be late for some windows of its pane and count in others. Its
//!   late windows are final already and are not put together again, so the row cannot
//!   reach them.
//! - Emission is sorted by window, then by key; it does not depend on ids or slots.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array},
    datatypes::Int64Type,
};
use hashbrown::{HashMap, HashSet};

use super::{
    batch::{Counts, Emission, Frame, Rows},
    buffer_set::BufferSet,
    groups::Groups,
    key_slots::{KeySlots, Place},
    pane_grid::PaneGrid,
    sliding_pass::{SlidingPass, Stacks, Steps},
    spec::Spec,
};
use crate::{
    Result, SparkError,
    operators::{
        aggregate::Arrival,
        stateful::{IdWalk, OperatorState, Restored},
    },
    sink::OutputMode,
    state::KeyTable,
};

/// Slots that kept stacks may hold, over all keys.
const MOST_STACKED_SLOTS: usize = 1 << 20;
/// How many of a key's last panes are searched first.
const NEAR_PANES: usize = 8;
/// Keys are searched one by one when they have more panes than this, on the average.
const MANY_PANES: usize = 8;
/// Windows of fewer panes are put together anew each time.
const LEAST_STACKED_PANES: i64 = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct PaneGroups {
    grid: PaneGrid,
    keys: KeyTable,
    buffers: BufferSet,
    /// By key id: its panes and their slots, ascending.
    panes: KeySlots<i64>,
    /// Keys of each pane, in order of arrival.
    by_pane: BTreeMap<i64, Vec<u32>>,
    /// Panes of all keys.
    held: usize,
    /// By slot: the last batch (counted by `epoch`) that changed it.
    touched: Vec<u32>,
    epoch: u32,
    /// By key id, in append mode: aggregates of panes for the windows that are next. A cache.
    stacks: HashMap<u32, Stacks>,
    stacked_slots: usize,
    /// (pane, key, slot) changed in this batch, in order of arrival.
    dirty: Vec<(i64, u32, u32)>,
    /// (pane, key) of rows late for at least one window.
    late: HashSet<(i64, u32)>,
    /// Windows that are not empty and not evicted, summed over keys.
    live: i64,
    walk: IdWalk,
    counts: Counts,
    arrived: i64,
    ids: Vec<u32>,
    slots: Vec<u32>,
    picked: Vec<u32>,
}

impl PaneGroups {
    pub(super) fn new(spec: &Spec, grid: PaneGrid) -> Result<Self> {
        Ok(Self {
            grid,
            keys: KeyTable::new(&spec.key_types)?,
            buffers: BufferSet::new(&spec.calls)?,
            panes: KeySlots::new(),
            by_pane: BTreeMap::new(),
            held: 0,
            touched: vec![],
            epoch: 0,
            stacks: HashMap::new(),
            stacked_slots: 0,
            dirty: vec![],
            late: HashSet::new(),
            live: 0,
            walk: IdWalk::default(),
            counts: Counts::default(),
            arrived: 0,
            ids: vec![],
            slots: vec![],
            picked: vec![],
        })
    }

    /// Makes room for every key the table has given out.
    fn admit_keys(&mut self) {
        self.panes.grow(self.keys.capacity());
    }

    /// The slot of `(pane, key)`, made if missing. Windows up to `ended` are not counted.
    fn slot(&mut self, pane: i64, key: u32, ended: Option<i64>) -> Result<u32> {
        let own = self.panes.of(key);
        // Rows that are a little late are in one of the last panes: no search through all.
        let near = own.len().saturating_sub(NEAR_PANES);
        let far = if own.get(near).is_some_and(|p| p.at <= pane) { near } else { 0 };
        let found = own[far..].binary_search_by_key(&pane, |p| p.at);
        let at = match found.map(|at| far + at).map_err(|at| far + at) {
            Ok(at) => {
                let place = own[at];
                self.panes.used(key, place);
                return Ok(place.slot);
            }
            Err(at) => at,
        };
        let slot = self.buffers.allocate()?;
        let (mut low, mut high) = self.grid.windows_of(pane).into_inner();
        low = ended.map_or(low, |ended| low.max(ended + 1));
        if let Some(before) = at.checked_sub(1).and_then(|i| own.get(i)) {
            low = low.max(self.grid.windows_of(before.at).end() + 1);
        }
        if let Some(after) = own.get(at) {
            high = high.min(self.grid.windows_of(after.at).start() - 1);
        }
        self.live += (high - low + 1).max(0);
        self.panes.insert(key, at, Place::new(pane, slot));
        self.held += 1;
        self.by_pane.entry(pane).or_default().push(key);
        if slot as usize >= self.touched.len() {
            self.touched.resize(slot as usize + 1, 0);
        }
        self.touched[slot as usize] = 0;
        Ok(slot)
    }

    /// Calls `f` for each window that `panes` (ascending) reach, once, in order, bounds included.
    fn windows(
        grid: &PaneGrid,
        panes: impl Iterator<Item = i64>,
        first: Option<i64>,
        last: Option<i64>,
        mut f: impl FnMut(i64) -> Result<()>,
    ) -> Result<()> {
        let mut next = first.unwrap_or(i64::MIN);
        for pane in panes {
            let (low, high) = grid.windows_of(pane).into_inner();
            let high = last.map_or(high, |last| high.min(last));
            for window in low.max(next)..=high {
                f(window)?;
            }
            next = next.max(high.saturating_add(1));
        }
        Ok(())
    }

    /// Number of windows [`PaneGroups::windows`] calls.
    fn count_windows(
        grid: &PaneGrid,
        panes: impl Iterator<Item = i64>,
        first: Option<i64>,
        last: Option<i64>,
    ) -> i64 {
        let mut next = first.unwrap_or(i64::MIN);
        let mut count = 0;
        for pane in panes {
            let (low, high) = grid.windows_of(pane).into_inner();
            let high = last.map_or(high, |last| high.min(last));
            count += (high - low.max(next) + 1).max(0);
            next = next.max(high.saturating_add(1));
        }
        count
    }

    /// Keys that have rows in the windows `first..=last`, ascending.
    fn keys_between(&self, first: i64, last: i64) -> Vec<u32> {
        let from = self.grid.first_pane(first);
        let to = self.grid.first_pane(last) + self.grid.per_window();
        if from >= to {
            return vec![];
        }
        if self.held > MANY_PANES * self.panes.capacity() {
            // Few keys with many panes each: each key is asked once, not once for each pane.
            let within = |key: &u32| {
                let own = self.panes.of(*key);
                own.get(own.partition_point(|p| p.at < from)).is_some_and(|p| p.at < to)
            };
            return (0..).take(self.panes.capacity()).filter(within).collect();
        }
        let range = (Bound::Included(from), Bound::Excluded(to));
        let mut keys: Vec<u32> = self.by_pane.range(range).flat_map(|(_, keys)| keys).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The changed panes of each key: `(key, panes)` with panes ascending.
    fn dirty_by_key(&self) -> Vec<(u32, Vec<i64>)> {
        let mut pairs: Vec<(u32, i64)> = self.dirty.iter().map(|(pane, key, _)| (*key, *pane)).collect();
        pairs.sort_unstable();
        let chunks = pairs.chunk_by(|a, b| a.0 == b.0);
        chunks.map(|chunk| (chunk[0].0, chunk.iter().map(|(_, pane)| *pane).collect())).collect()
    }

    /// Gives the stacks of a key up.
    fn forget_stacks(&mut self, key: u32) {
        if let Some(stacks) = self.stacks.remove(&key) {
            self.stacked_slots -= stacks.slots();
            let slots: Vec<u32> = stacks.into_slots().collect();
            self.buffers.release(&slots);
        }
    }

    /// Evaluates, for each `(key, its panes that matter)`, the windows those reach.
    fn emit(
        &mut self,
        mut wanted: Vec<(u32, Option<Vec<i64>>)>,
        first: Option<i64>,
        last: Option<i64>,
        keep_stacks: bool,
    ) -> Result<Emission> {
        let Self { grid, keys, buffers, panes, stacks: kept, stacked_slots, .. } = self;
        let keep_stacks = keep_stacks && grid.per_window() >= LEAST_STACKED_PANES;
        wanted.sort_unstable_by(|a, b| keys.compare(a.0, b.0));
        let mut steps = Steps::default();
        let mut rows: Vec<(i64, u32, u32)> = Vec::new();
        for (key, reached) in &wanted {
            let own = panes.of(*key);
            let before = kept.remove(key).unwrap_or_default();
            *stacked_slots -= before.slots();
            let mut pass = SlidingPass::new(grid, own, before);
            let mut take = |window: i64| {
                if let Some(slot) = pass.window(window, buffers, &mut steps)? {
                    rows.push((window, *key, slot));
                }
                Ok(())
            };
            match reached {
                Some(reached) => Self::windows(grid, reached.iter().copied(), first, last, &mut take)?,
                None => Self::windows(grid, own.iter().map(|p| p.at), first, last, &mut take)?,
            }
            let after = pass.into_stacks();
            if keep_stacks && *stacked_slots + after.slots() <= MOST_STACKED_SLOTS {
                *stacked_slots += after.slots();
                kept.insert(*key, after);
            } else {
                steps.temporary.extend(after.into_slots());
            }
        }
        // Keys came in order, so a stable sort by window leaves (window, key).
        rows.sort_by_key(|(window, ..)| *window);
        buffers.merge_slots(&steps.merges)?;
        let slots: Vec<u32> = rows.iter().map(|(.., slot)| *slot).collect();
        let ids: Vec<u32> = rows.iter().map(|(_, key, _)| *key).collect();
        let emission = Emission {
            windows: Some(rows.iter().map(|(window, ..)| (grid.start(*window), grid.end(*window))).unzip()),
            keys: keys.columns(&ids)?,
            results: buffers.evaluate(&slots)?,
            len: rows.len(),
        };
        buffers.release(&steps.temporary);
        Ok(emission)
    }

    /// Drops the panes below `threshold`.
    fn drop_panes(&mut self, threshold: i64) {
        let kept = self.by_pane.split_off(&threshold);
        let dropped = std::mem::replace(&mut self.by_pane, kept);
        let mut released = Vec::new();
        let mut emptied = Vec::new();
        for key in dropped.into_values().flatten() {
            // A key comes for each of its panes; the first time takes them all.
            if self.panes.of(key).first().is_none_or(|p| p.at >= threshold) {
                continue;
            }
            let gone = self.panes.extract(key, |p| p.at < threshold);
            released.extend(gone.iter().map(|p| p.slot));
            if self.panes.of(key).is_empty() {
                emptied.push(key);
            }
        }
        self.keys.release(&emptied);
        self.held -= released.len();
        self.buffers.release(&released);
        emptied.into_iter().for_each(|key| self.forget_stacks(key));
    }

    /// Columns of the store for these (pane, key, slot).
    fn stored(&self, rows: &[(i64, u32, u32)]) -> Result<Vec<ArrayRef>> {
        let slots: Vec<u32> = rows.iter().map(|(.., slot)| *slot).collect();
        let ids: Vec<u32> = rows.iter().map(|(_, key, _)| *key).collect();
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(rows.iter().map(|(pane, ..)| *pane).collect::<Int64Array>())];
        columns.extend(self.keys.columns(&ids)?);
        columns.extend(self.buffers.export(&slots)?);
        Ok(columns)
    }
}

impl Groups for PaneGroups {
    fn update(&mut self, rows: &Rows, frame: &Frame) -> Result<()> {
        let Some(time) = &rows.time else { return Err(SparkError::internal("window rows without a time")) };
        let mut ids = std::mem::take(&mut self.ids);
        let mut slots = std::mem::take(&mut self.slots);
        let mut picked = std::mem::take(&mut self.picked);
        ids.clear();
        slots.clear();
        picked.clear();
        self.keys.intern(&rows.keys, rows.len, &mut ids)?;
        self.admit_keys();

        let ended = frame.late.map(|late| self.grid.last_ended(late));
        let nulls = time.nulls().filter(|n| n.null_count() > 0);
        let values = time.values();
        // The pane of the row before: rows mostly stay in it.
        let (mut pane, mut start, mut end) = (0, 0, 0);
        let (mut windows, mut late) = (0, 0);
        let mut null_time = 0;
        for row in 0..rows.len {
            if nulls.is_some_and(|n| n.is_null(row)) {
                null_time += 1;
                continue;
            }
            let micros = values[row];
            if micros < start || micros >= end {
                pane = self.grid.pane_of(micros);
                (start, end) = self.grid.bounds(pane);
                let reached = self.grid.windows_of(pane);
                windows = reached.end() - reached.start() + 1;
                late = ended.map_or(0, |ended| (ended.min(*reached.end()) - reached.start() + 1).max(0));
            }
            self.counts.offered += windows;
            let key = ids[row];
            if late > 0 {
                self.counts.late += late;
                self.late.insert((pane, key));
                if late == windows {
                    continue;
                }
            }
            self.counts.applied += windows - late;
            let slot = match self.panes.recent(key, pane) {
                Some(slot) => slot,
                None => self.slot(pane, key, ended)?,
            };
            if self.touched[slot as usize] != self.epoch {
                self.touched[slot as usize] = self.epoch;
                self.dirty.push((pane, key, slot));
                if self.stacks.get(&key).is_some_and(|stacks| stacks.cover(pane)) {
                    self.forget_stacks(key);
                }
            }
            slots.push(slot);
            // Rows of a batch are far fewer than 2^32.
            picked.push(row as u32);
        }
        self.counts.offered += null_time;
        self.counts.null_time += null_time;
        let arrival = Arrival { batch: frame.batch, row: self.arrived };
        self.arrived += i64::try_from(rows.len).unwrap_or(i64::MAX);
        if picked.len() == rows.len {
            self.buffers.update(&slots, &rows.arguments, None, arrival)?;
        } else {
            let taken = UInt32Array::from(picked.clone());
            self.buffers.update(&slots, &rows.arguments, Some(&taken), arrival)?;
        }
        (self.ids, self.slots, self.picked) = (ids, slots, picked);
        Ok(())
    }

    fn finish(&mut self, frame: &Frame) -> Result<(Emission, Counts)> {
        let ended = frame.late.map(|late| self.grid.last_ended(late));
        let first = ended.map(|ended| ended + 1);
        let last = frame.evict.map(|evict| self.grid.last_ended(evict));
        let dirty = self.dirty_by_key();
        let mut counts = self.counts;
        for (_, panes) in &dirty {
            counts.updated += Self::count_windows(&self.grid, panes.iter().copied(), first, None);
        }
        let mut late: Vec<(u32, i64)> = self.late.iter().map(|(pane, key)| (*key, *pane)).collect();
        late.sort_unstable();
        for panes in late.chunk_by(|a, b| a.0 == b.0) {
            counts.dropped +=
                Self::count_windows(&self.grid, panes.iter().map(|(_, pane)| *pane), None, ended);
        }

        // Windows that end between the two watermarks are final now.
        let finals = match (first, last) {
            (Some(first), Some(last)) if first <= last => Some((first, last)),
            _ => None,
        };
        let leaving = finals.map_or(vec![], |(first, last)| self.keys_between(first, last));
        if let Some((first, last)) = finals {
            for key in &leaving {
                let own = self.panes.of(*key).iter().map(|p| p.at);
                counts.removed += Self::count_windows(&self.grid, own, Some(first), Some(last));
            }
        }
        let emission = match frame.mode {
            OutputMode::Append => {
                let (first, last) = finals.unwrap_or((1, 0));
                self.emit(
                    leaving.into_iter().map(|key| (key, None)).collect(),
                    Some(first),
                    Some(last),
                    true,
                )?
            }
            OutputMode::Update => self.emit(
                dirty.into_iter().map(|(key, panes)| (key, Some(panes))).collect(),
                first,
                None,
                false,
            )?,
            OutputMode::Complete => {
                let mut keys: Vec<u32> = self.by_pane.values().flatten().copied().collect();
                keys.sort_unstable();
                keys.dedup();
                self.emit(keys.into_iter().map(|key| (key, None)).collect(), None, None, false)?
            }
        };
        if let Some(last) = last {
            self.drop_panes(self.grid.first_needed_after(last));
        }
        let mut unused = self.keys.take_fresh();
        unused.retain(|key| self.panes.of(*key).is_empty());
        self.keys.release(&unused);
        self.live -= counts.removed;
        counts.total = self.live;
        Ok((emission, counts))
    }
}

impl OperatorState for PaneGroups {
    fn begin(&mut self) {
        self.epoch += 1;
        self.dirty.clear();
        self.late.clear();
        self.counts = Counts::default();
        self.arrived = 0;
    }

    fn changes(&self, _store: usize) -> Result<Vec<ArrayRef>> {
        let lowest = self.by_pane.keys().next().copied().unwrap_or(i64::MAX);
        // Not sorted: files were 0.4 % smaller so, and 2,500 panes took half a millisecond.
        let kept: Vec<_> = self.dirty.iter().filter(|(pane, ..)| *pane >= lowest).copied().collect();
        self.stored(&kept)
    }

    fn start_walk(&mut self, _store: usize) {
        self.walk = IdWalk::new(self.panes.capacity());
    }

    fn walk(&mut self, _store: usize, rows: usize) -> Result<(Vec<ArrayRef>, bool)> {
        let panes = &self.panes;
        let (keys, over) = self.walk.take(rows, |key| panes.of(key).len());
        let rows = keys.iter().flat_map(|key| panes.of(*key).iter().map(|p| (p.at, *key, p.slot)));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.keys.compare(a.1, b.1)));
        Ok((self.stored(&rows)?, over))
    }

    fn stored_rows(&self, _store: usize) -> usize {
        self.held
    }

    fn restore(&mut self, _store: usize, columns: &[ArrayRef], _from: Restored) -> Result<()> {
        let width = self.keys.width();
        let (Some((panes, rest)), true) = (columns.split_first(), columns.len() > width) else {
            return Err(SparkError::internal("state has too few columns"));
        };
        let panes = panes.as_primitive::<Int64Type>();
        let mut ids = vec![];
        self.keys.intern(&rest[..width], panes.len(), &mut ids)?;
        self.admit_keys();
        self.keys.take_fresh();
        let slots = panes.values().iter().zip(&ids).map(|(pane, key)| self.slot(*pane, *key, None));
        let slots = slots.collect::<Result<Vec<u32>>>()?;
        self.buffers.import(&slots, &rest[width..])
    }

    fn evict(&mut self, _store: usize, micros: i64) -> Result<()> {
        self.drop_panes(self.grid.first_needed_after(self.grid.last_ended(micros)));
        Ok(())
    }

    fn loaded(&mut self, evicted: Option<i64>) {
        let first = evicted.map(|micros| self.grid.last_ended(micros) + 1);
        let keys = (0..self.panes.capacity()).filter_map(|key| u32::try_from(key).ok());
        let own = keys.map(|key| self.panes.of(key).iter().map(|p| p.at));
        self.live = own.map(|panes| Self::count_windows(&self.grid, panes, first, None)).sum();
    }

    fn memory(&self) -> usize {
        self.keys.memory()
            + self.buffers.memory()
            + self.panes.memory()
            + (self.held + self.touched.capacity()) * size_of::<u32>()
            + self.by_pane.len() * 64
    }
}
