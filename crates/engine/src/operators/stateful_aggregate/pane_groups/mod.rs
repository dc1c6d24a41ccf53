//! Groups of a windowed aggregate: (pane, key) buffers, windows put together on emission.
//!
//! # Invariants
//! - A key's panes ascend, and a key without panes is released at the end of the batch.
//! - A pane is dropped when its last window has ended by the eviction watermark. Until then
//!   it takes rows: a row can be late for some windows of its pane and count in others. Its
//!   late windows are final already and are not put together again, so the row cannot
//!   reach them.
//! - Emission is sorted by window, then by key; it does not depend on ids or slots.

mod emission;
mod intake;

use std::{collections::BTreeMap, sync::Arc};

use datafusion::arrow::{
    array::{ArrayRef, AsArray, Int64Array},
    datatypes::Int64Type,
};
use hashbrown::{HashMap, HashSet};

use super::{
    batch::{Counts, Emission, Frame, Rows},
    buffer_set::BufferSet,
    groups::Groups,
    key_slots::KeySlots,
    pane_grid::PaneGrid,
    piece_groups::PieceGroups,
    sliding_pass::Stacks,
    spec::Spec,
};
use crate::{
    Result, SparkError,
    operators::stateful::{IdWalk, OperatorState, Restored},
    state::KeyTable,
};

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

    /// Gives the stacks of a key up.
    fn forget_stacks(&mut self, key: u32) {
        if let Some(stacks) = self.stacks.remove(&key) {
            self.stacked_slots -= stacks.slots();
            let slots: Vec<u32> = stacks.into_slots().collect();
            self.buffers.release(&slots);
        }
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
            released.extend(self.panes.take_while(key, |p| p.at < threshold).iter().map(|p| p.slot));
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
        self.take_rows(rows, frame)
    }

    fn merge(&mut self, piece: &PieceGroups, frame: &Frame) -> Result<()> {
        self.take_groups(piece, frame)
    }

    fn finish(&mut self, frame: &Frame) -> Result<(Emission, Counts)> {
        self.end_batch(frame)
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
        Ok((self.stored(&rows.collect::<Vec<_>>())?, over))
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
