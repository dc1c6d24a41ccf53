//! Puts windows together from panes: one ascending pass over the windows of a key.
//!
//! Panes are grouped in blocks as long as a window, at fixed places of the grid. A window
//! spans the tail of one block and the head of the next, so it is one merge of a tail
//! aggregate (built from the block's end) with a head aggregate (built from its start);
//! each pane enters one of either kind. This is the two-stacks method with its flips at
//! fixed places: the order in which panes are merged, and with it the last bit of a float,
//! depends on the panes alone, not on batches or restarts.
//!
//! Aggregates made here are never changed again, so a pane or an intermediate result can
//! serve as a result without a copy. Steps are only recorded; the caller runs them.

use super::{buffer_set::BufferSet, pane_grid::PaneGrid};
use crate::Result;

/// The pass over one key. `panes` are its `(pane, slot)`, ascending.
pub(super) struct SlidingPass<'a> {
    grid: &'a PaneGrid,
    panes: &'a [(i64, u32)],
    /// Block of the tail, with `(pane, slot)` of its aggregates, last pane first.
    tail: Option<(i64, Vec<(i64, u32)>)>,
    /// Block of the head, with its aggregates in pane order.
    head: Option<(i64, Vec<(i64, u32)>)>,
    /// How many of `panes` the head has taken or passed.
    head_next: usize,
}

/// Merge steps and the slots they fill, to be released after evaluation.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) merges: Vec<(u32, u32)>,
    pub(super) temporary: Vec<u32>,
}

impl Steps {
    /// A new slot holding `first` merged with `second`.
    fn combine(&mut self, buffers: &mut BufferSet, first: u32, second: u32) -> Result<u32> {
        let slot = buffers.allocate()?;
        self.temporary.push(slot);
        self.merges.push((first, slot));
        self.merges.push((second, slot));
        Ok(slot)
    }
}

impl<'a> SlidingPass<'a> {
    pub(super) fn new(grid: &'a PaneGrid, panes: &'a [(i64, u32)]) -> Self {
        Self { grid, panes, tail: None, head: None, head_next: 0 }
    }

    /// The slot that will hold the aggregate of `window`; windows must ascend. `None` when
    /// the key has no row in it.
    pub(super) fn window(
        &mut self,
        window: i64,
        buffers: &mut BufferSet,
        steps: &mut Steps,
    ) -> Result<Option<u32>> {
        let length = self.grid.per_window();
        let first = self.grid.first_pane(window);
        let block = first.div_euclid(length);
        let boundary = (block + 1) * length;

        if self.tail.as_ref().is_none_or(|(b, _)| *b != block) {
            let mut aggregates: Vec<(i64, u32)> = Vec::new();
            let from = self.panes.partition_point(|(p, _)| *p < first);
            let to = self.panes.partition_point(|(p, _)| *p < boundary);
            for (pane, slot) in self.panes[from..to].iter().rev() {
                let whole = match aggregates.last() {
                    None => *slot,
                    Some((_, after)) => steps.combine(buffers, *slot, *after)?,
                };
                aggregates.push((*pane, whole));
            }
            self.tail = Some((block, aggregates));
        }
        let tail = self.tail.as_ref().and_then(|(_, aggregates)| {
            // The longest tail that starts in the window: aggregates descend by pane.
            let inside = aggregates.partition_point(|(pane, _)| *pane >= first);
            inside.checked_sub(1).map(|i| aggregates[i].1)
        });

        if self.head.as_ref().is_none_or(|(b, _)| *b != block + 1) {
            self.head = Some((block + 1, Vec::new()));
            self.head_next = self.panes.partition_point(|(p, _)| *p < boundary);
        }
        let mut head = None;
        if let Some((_, aggregates)) = &mut self.head {
            while let Some((pane, slot)) = self.panes.get(self.head_next).filter(|(p, _)| *p < first + length)
            {
                let whole = match aggregates.last() {
                    None => *slot,
                    Some((_, before)) => steps.combine(buffers, *before, *slot)?,
                };
                aggregates.push((*pane, whole));
                self.head_next += 1;
            }
            head = aggregates.last().map(|(_, slot)| *slot);
        }
        match (tail, head) {
            (Some(tail), Some(head)) => steps.combine(buffers, tail, head).map(Some),
            (one, other) => Ok(one.or(other)),
        }
    }
}
