//! Groups that the rows of one piece make among themselves, beside those of other pieces.
//!
//! Where a group has many rows of a piece, most of the work of an aggregation is done here, on any
//! core; what is left for the one that holds the state is to merge a few groups. Which rows are
//! late is decided there: it is the same for all rows of a group.
//!
//! What comes of a piece depends on its rows alone, not on what else runs or ran before, so a
//! batch that runs again adds its floats in the same order.

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, UInt32Array},
        compute::take,
    },
    common::hash_utils::{RandomState, create_hashes},
};
use hashbrown::HashMap;

use super::{batch::Rows, buffer_set::BufferSet, pane_grid::PaneGrid, spec::Spec};
use crate::{Result, operators::aggregate::Arrival, state::KeyTable};

/// Rows at the start of a piece by which it is told whether grouping is worth it.
const PROBE: usize = 2048;
/// Rows a group has to have on the average.
const LEAST_ROWS: usize = 4;
/// Fixed, so that a piece is always grouped in the same way.
const HASH_SEED: u64 = 0;
/// With more groups than this they are handed on.
const MOST_GROUPS: usize = 16 * 1024;

/// Groups without state, in order of their first rows.
#[derive(Debug)]
pub(super) struct PieceGroups {
    /// One row a group.
    pub(super) keys: Vec<ArrayRef>,
    /// With a fused window, the pane of each group.
    pub(super) panes: Vec<i64>,
    /// How many rows each group has.
    pub(super) rows: Vec<i64>,
    /// What the aggregates hold, as [`BufferSet::export`] lays it out.
    pub(super) buffers: Vec<ArrayRef>,
    /// Rows without a time, which are in no group.
    pub(super) null_time: i64,
}

impl PieceGroups {
    /// What the aggregates hold of the groups of these numbers.
    pub(super) fn buffers_of(&self, groups: Vec<u32>) -> Result<Vec<ArrayRef>> {
        if groups.len() == self.rows.len() {
            return Ok(self.buffers.clone());
        }
        let groups = UInt32Array::from(groups);
        Ok(self.buffers.iter().map(|c| take(c, &groups, None)).collect::<Result<_, _>>()?)
    }
}

/// Makes a [`PieceGroups`].
#[derive(Debug)]
pub(super) struct PieceGrouping {
    grid: Option<PaneGrid>,
    keys: KeyTable,
    buffers: BufferSet,
    /// By key id: the pane and the slot of its last row.
    recent: Vec<Option<(i64, u32)>>,
    slots: HashMap<(i64, u32), u32>,
    /// By slot.
    groups: Vec<(i64, u32)>,
    rows: Vec<i64>,
    null_time: i64,
}

impl PieceGrouping {
    /// No groups yet; `None` if what `spec` keeps cannot be grouped beforehand: sessions, and
    /// functions that look at the order of rows.
    pub(super) fn new(spec: &Spec) -> Result<Option<Self>> {
        if spec.sessions.is_some() || !spec.calls.iter().all(|call| call.ignores_order()) {
            return Ok(None);
        }
        Ok(Some(Self {
            grid: spec.window.map(PaneGrid::new),
            keys: KeyTable::new(&spec.key_types)?,
            buffers: BufferSet::new(&spec.calls)?,
            recent: vec![],
            slots: HashMap::new(),
            groups: vec![],
            rows: vec![],
            null_time: 0,
        }))
    }

    /// Takes rows. At the start they are given back if grouping them is not worth it: then those after
    /// them are not either.
    pub(super) fn offer(&mut self, rows: Rows) -> Result<Option<Rows>> {
        if self.is_empty() && !self.pays(&rows)? {
            return Ok(Some(rows));
        }
        self.take(&rows)?;
        Ok(None)
    }

    /// Whether the groups of the first rows have enough of them each, by as many different hashes.
    fn pays(&self, rows: &Rows) -> Result<bool> {
        let probe = rows.slice(0, PROBE.min(rows.len));
        let mut hashes = vec![0; probe.len];
        create_hashes(&probe.keys, &RandomState::with_seed(HASH_SEED), &mut hashes)?;
        if let Some((times, grid)) = probe.time.as_ref().zip(self.grid) {
            for (hash, micros) in hashes.iter_mut().zip(times.values()) {
                *hash = (*hash ^ grid.pane_of(*micros) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            }
        }
        hashes.sort_unstable();
        hashes.dedup();
        Ok(hashes.len() * LEAST_ROWS <= probe.len)
    }

    /// Whether no rows were taken.
    fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.null_time == 0
    }

    /// Whether the groups should be handed on.
    pub(super) fn is_full(&self) -> bool {
        self.groups.len() > MOST_GROUPS
    }

    /// The groups, unless no rows were taken.
    pub(super) fn finish(self) -> Result<Option<PieceGroups>> {
        if self.is_empty() {
            return Ok(None);
        }
        let keys: Vec<u32> = self.groups.iter().map(|(_, key)| *key).collect();
        // Slots are given out one after the other.
        let slots: Vec<u32> = (0..).take(self.groups.len()).collect();
        let panes = self.groups.iter().map(|(pane, _)| *pane);
        Ok(Some(PieceGroups {
            keys: self.keys.columns(&keys)?,
            panes: if self.grid.is_some() { panes.collect() } else { vec![] },
            buffers: self.buffers.export(&slots)?,
            rows: self.rows,
            null_time: self.null_time,
        }))
    }

    fn take(&mut self, rows: &Rows) -> Result<()> {
        let mut ids = Vec::with_capacity(rows.len);
        self.keys.intern(&rows.keys, rows.len, &mut ids)?;
        self.recent.resize(self.keys.capacity(), None);
        let mut slots = Vec::with_capacity(rows.len);
        let mut picked: Vec<u32> = Vec::new();
        let times = rows.time.as_ref().zip(self.grid);
        let (mut pane, mut start, mut end) = (0, 0, 0);
        for (row, key) in ids.into_iter().enumerate() {
            if let Some((times, grid)) = times {
                if times.is_null(row) {
                    if slots.len() == row {
                        picked.extend(0..row as u32);
                    }
                    self.null_time += 1;
                    continue;
                }
                let micros = times.value(row);
                if micros < start || micros >= end {
                    pane = grid.pane_of(micros);
                    (start, end) = grid.bounds(pane);
                }
            }
            let slot = self.slot(pane, key)?;
            if let Some(rows) = self.rows.get_mut(slot as usize) {
                *rows += 1;
            }
            slots.push(slot);
            if slots.len() <= row {
                // Rows of a batch are far fewer than 2^32.
                picked.push(row as u32);
            }
        }
        let taken = (slots.len() < rows.len).then(|| UInt32Array::from(picked));
        self.buffers.update(&slots, &rows.arguments, taken.as_ref(), Arrival { batch: 0, row: 0 })
    }

    #[inline]
    fn slot(&mut self, pane: i64, key: u32) -> Result<u32> {
        match self.recent.get(key as usize) {
            Some(Some((at, slot))) if *at == pane => return Ok(*slot),
            _ => {}
        }
        let slot = match self.slots.get(&(pane, key)) {
            Some(slot) => *slot,
            None => {
                let slot = self.buffers.allocate()?;
                self.slots.insert((pane, key), slot);
                self.groups.push((pane, key));
                self.rows.push(0);
                slot
            }
        };
        if let Some(recent) = self.recent.get_mut(key as usize) {
            *recent = Some((pane, slot));
        }
        Ok(slot)
    }
}
