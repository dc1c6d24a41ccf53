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
//!
//! A pass can go on where the pass of an earlier batch ended ([`Stacks`]): each window then
//! costs a few merges however many panes it has. Stacks are a cache of unchanged panes: when
//! a row reaches a pane they cover, they are given up and built again.

use super::{buffer_set::BufferSet, key_slots::Place, pane_grid::PaneGrid};
use crate::Result;

/// Aggregates of a block: `(pane, slot)`, and which slots are not panes' own.
#[derive(Debug, Default)]
struct Stack {
    block: i64,
    aggregates: Vec<(i64, u32)>,
    owned: Vec<u32>,
}

/// Tail and head aggregates of one key.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    /// Last pane first.
    tail: Option<Stack>,
    /// In pane order.
    head: Option<Stack>,
    /// Panes up to here are covered: a change in one of them makes the stacks void.
    covered: i64,
}

impl Stacks {
    /// Whether a change of `pane` makes the stacks void.
    pub(super) fn cover(&self, pane: i64) -> bool {
        pane <= self.covered
    }

    /// The slots to release with the stacks.
    pub(super) fn into_slots(self) -> impl Iterator<Item = u32> {
        self.tail.into_iter().chain(self.head).flat_map(|stack| stack.owned)
    }

    /// Number of slots the stacks hold.
    pub(super) fn slots(&self) -> usize {
        self.tail.iter().chain(&self.head).map(|stack| stack.owned.len()).sum()
    }
}

/// The pass over one key. `panes` are its panes and their slots, ascending.
pub(super) struct SlidingPass<'a> {
    grid: &'a PaneGrid,
    panes: &'a [Place<i64>],
    stacks: Stacks,
}

/// Merge steps and the slots they fill that are to be released after evaluation.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) merges: Vec<(u32, u32)>,
    pub(super) temporary: Vec<u32>,
}

impl Steps {
    /// A new slot, owned by `owner`, holding `first` merged with `second`.
    fn combine(
        buffers: &mut BufferSet,
        merges: &mut Vec<(u32, u32)>,
        first: u32,
        second: u32,
    ) -> Result<u32> {
        let slot = buffers.allocate()?;
        merges.push((first, slot));
        merges.push((second, slot));
        Ok(slot)
    }
}

impl<'a> SlidingPass<'a> {
    /// A pass that goes on with `stacks`, which cover unchanged panes only.
    pub(super) fn new(grid: &'a PaneGrid, panes: &'a [Place<i64>], stacks: Stacks) -> Self {
        Self { grid, panes, stacks }
    }

    /// The stacks after the pass, for the next one.
    pub(super) fn into_stacks(self) -> Stacks {
        self.stacks
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
        let Self { panes, stacks, .. } = self;

        if stacks.tail.as_ref().is_none_or(|tail| tail.block != block) {
            let mut tail = Stack { block, ..Stack::default() };
            let from = panes.partition_point(|p| p.at < first);
            let to = panes.partition_point(|p| p.at < boundary);
            for Place { at: pane, slot, .. } in panes[from..to].iter().rev() {
                let whole = match tail.aggregates.last() {
                    None => *slot,
                    Some((_, after)) => {
                        let whole = Steps::combine(buffers, &mut steps.merges, *slot, *after)?;
                        tail.owned.push(whole);
                        whole
                    }
                };
                tail.aggregates.push((*pane, whole));
            }
            // Results of earlier windows may be aggregates of the stack that goes.
            steps.temporary.extend(stacks.tail.replace(tail).into_iter().flat_map(|old| old.owned));
        }
        let tail = stacks.tail.as_ref().and_then(|tail| {
            // The longest tail that starts in the window: aggregates descend by pane.
            let inside = tail.aggregates.partition_point(|(pane, _)| *pane >= first);
            inside.checked_sub(1).map(|i| tail.aggregates[i].1)
        });

        if stacks.head.as_ref().is_none_or(|head| head.block != block + 1) {
            let head = Stack { block: block + 1, ..Stack::default() };
            steps.temporary.extend(stacks.head.replace(head).into_iter().flat_map(|old| old.owned));
        }
        let mut head = None;
        if let Some(stack) = &mut stacks.head {
            let done = stack.aggregates.last().map_or(boundary - 1, |(pane, _)| *pane);
            let from = panes.partition_point(|p| p.at <= done);
            for Place { at: pane, slot, .. } in panes[from..].iter().take_while(|p| p.at < first + length) {
                let whole = match stack.aggregates.last() {
                    None => *slot,
                    Some((_, before)) => {
                        let whole = Steps::combine(buffers, &mut steps.merges, *before, *slot)?;
                        stack.owned.push(whole);
                        whole
                    }
                };
                stack.aggregates.push((*pane, whole));
            }
            head = stack.aggregates.last().map(|(_, slot)| *slot);
        }
        stacks.covered = first + length - 1;
        match (tail, head) {
            (Some(tail), Some(head)) => {
                let whole = Steps::combine(buffers, &mut steps.merges, tail, head)?;
                steps.temporary.push(whole);
                Ok(Some(whole))
            }
            (one, other) => Ok(one.or(other)),
        }
    }
}
