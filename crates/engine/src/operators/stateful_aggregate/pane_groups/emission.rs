//! Windows put together of panes at the end of a batch.

use std::ops::Bound;

use super::{
    super::{
        batch::{Counts, Emission, Frame},
        pane_grid::PaneGrid,
        sliding_pass::{SlidingPass, Steps},
    },
    PaneGroups,
};
use crate::{Result, sink::OutputMode};

/// Slots that kept stacks may hold, over all keys.
const MOST_STACKED_SLOTS: usize = 1 << 20;
/// Keys are searched one by one when they have more panes than this, on the average.
const MANY_PANES: usize = 8;
/// Windows of fewer panes are put together anew each time.
const LEAST_STACKED_PANES: i64 = 4;

impl PaneGroups {
    /// Ends a batch, see [`Groups::finish`](super::Groups::finish).
    pub(super) fn end_batch(&mut self, frame: &Frame) -> Result<(Emission, Counts)> {
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
            if last.is_some_and(|last| next > last) {
                break;
            }
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
    pub(super) fn count_windows(
        grid: &PaneGrid,
        panes: impl Iterator<Item = i64>,
        first: Option<i64>,
        last: Option<i64>,
    ) -> i64 {
        let mut next = first.unwrap_or(i64::MIN);
        let mut count = 0;
        for pane in panes {
            // All were seen: a key has many more panes than windows that end in a batch.
            if last.is_some_and(|last| next > last) {
                break;
            }
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
}
