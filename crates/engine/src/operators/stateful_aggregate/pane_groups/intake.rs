//! Rows on their way into panes.

use datafusion::arrow::array::{Array, UInt32Array};

use super::{
    super::{
        batch::{Frame, Rows},
        key_slots::Place,
        piece_groups::PieceGroups,
    },
    PaneGroups,
};
use crate::{Result, SparkError, operators::aggregate::Arrival};

/// How many of a key's last panes are searched first.
const NEAR_PANES: usize = 8;

/// How many windows a row is in, and for how many of them it is late.
#[derive(Debug, Clone, Copy, Default)]
struct Reach {
    windows: i64,
    late: i64,
}

impl PaneGroups {
    /// Takes rows in order of arrival.
    pub(super) fn take_rows(&mut self, rows: &Rows, frame: &Frame) -> Result<()> {
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
        let mut reach = Reach::default();
        for row in 0..rows.len {
            if nulls.is_some_and(|n| n.is_null(row)) {
                self.count_null_time(1);
                continue;
            }
            let micros = values[row];
            if micros < start || micros >= end {
                pane = self.grid.pane_of(micros);
                (start, end) = self.grid.bounds(pane);
                reach = self.reach(pane, ended);
            }
            let Some(slot) = self.admit(pane, ids[row], 1, reach, ended)? else { continue };
            slots.push(slot);
            // Rows of a batch are far fewer than 2^32.
            picked.push(row as u32);
        }
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

    /// Takes the groups of a piece, see [`Groups::merge`](super::Groups::merge).
    pub(super) fn take_groups(&mut self, piece: &PieceGroups, frame: &Frame) -> Result<()> {
        let mut ids = vec![];
        self.keys.intern(&piece.keys, piece.rows.len(), &mut ids)?;
        self.admit_keys();
        self.count_null_time(piece.null_time);
        let ended = frame.late.map(|late| self.grid.last_ended(late));
        let (mut slots, mut picked) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        for (group, ((key, pane), rows)) in ids.iter().zip(&piece.panes).zip(&piece.rows).enumerate() {
            let reach = self.reach(*pane, ended);
            if let Some(slot) = self.admit(*pane, *key, *rows, reach, ended)? {
                slots.push(slot);
                picked.push(group as u32);
            }
        }
        self.buffers.merge(&slots, &piece.buffers_of(picked)?)
    }

    /// How many windows a row of a pane is in.
    fn reach(&self, pane: i64, ended: Option<i64>) -> Reach {
        let reached = self.grid.windows_of(pane);
        let late = ended.map_or(0, |ended| (ended.min(*reached.end()) - reached.start() + 1).max(0));
        Reach { windows: reached.end() - reached.start() + 1, late }
    }

    /// Counts rows that are in no window.
    fn count_null_time(&mut self, rows: i64) {
        self.counts.offered += rows;
        self.counts.null_time += rows;
    }

    /// Counts rows of `(pane, key)`; their slot, unless they are late for all windows.
    #[inline(always)]
    fn admit(
        &mut self,
        pane: i64,
        key: u32,
        rows: i64,
        reach: Reach,
        ended: Option<i64>,
    ) -> Result<Option<u32>> {
        let Reach { windows, late } = reach;
        self.counts.offered += windows * rows;
        if late > 0 {
            self.counts.late += late * rows;
            self.late.insert((pane, key));
            if late == windows {
                return Ok(None);
            }
        }
        self.counts.applied += (windows - late) * rows;
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
        Ok(Some(slot))
    }

    /// The slot of `(pane, key)`, made if missing. Windows up to `ended` are not counted.
    pub(super) fn slot(&mut self, pane: i64, key: u32, ended: Option<i64>) -> Result<u32> {
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
        // Mostly the newest pane of all: no search then.
        match self.by_pane.last_entry() {
            Some(mut newest) if *newest.key() == pane => newest.get_mut().push(key),
            _ => self.by_pane.entry(pane).or_default().push(key),
        }
        if slot as usize >= self.touched.len() {
            self.touched.resize(slot as usize + 1, 0);
        }
        self.touched[slot as usize] = 0;
        Ok(slot)
    }
}
