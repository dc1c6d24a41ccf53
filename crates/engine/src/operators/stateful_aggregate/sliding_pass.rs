//! Puts windows together from panes: one ascending pass over the windows of a key.
//!
//! Panes are grouped in blocks as long as a window, at fixed places of the grid. A window
//! spans the tail of one block and the head of the next, so it is one merge of a tail
//! aggregate (built from the block's end) with a head aggregate (built from its start);
//! each pane enters one of either kind. This is the two-stacks method with its flips at
//! fixed places: the order in which panes are merged, and with it the last bit of a float,
//! depends on the panes alone, not on batches or restarts.
//!
//! Panes and the aggregates of tails are never changed here, so they serve as results without a
//! copy; the aggregate of a head grows with each window. Steps are only recorded; the caller
//! runs them in order.
//!
//! A pass can go on where the pass of an earlier batch ended ([`Stacks`]): each window then
//! costs a few merges however many panes it has. Stacks are a cache of unchanged panes: when
//! a row reaches a pane they cover, they are given up and built again.

use super::{buffer_set::BufferSet, key_slots::Place, pane_grid::PaneGrid};
use crate::Result;

/// Aggregates from each pane of a block to its end: `(pane, slot)`, last pane first, without the
/// panes that no later window starts with; and which slots are not panes' own.
#[derive(Debug)]
struct Tail {
    block: i64,
    aggregates: Vec<(i64, u32)>,
    owned: Vec<u32>,
}

/// The aggregate of a block from its start to where the last window ended.
#[derive(Debug)]
struct Head {
    block: i64,
    /// The last of the panes taken.
    last: i64,
    /// Filled once there is one.
    slot: Option<u32>,
}

/// Tail and head aggregates of one key.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    tail: Option<Tail>,
    head: Option<Head>,
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
        let head = self.head.and_then(|head| head.slot);
        self.tail.into_iter().flat_map(|tail| tail.owned).chain(head)
    }

    /// Number of slots the stacks hold.
    pub(super) fn slots(&self) -> usize {
        let tail = self.tail.as_ref().map_or(0, |tail| tail.owned.len());
        tail + usize::from(self.head.as_ref().is_some_and(|head| head.slot.is_some()))
    }
}

/// The pass over one key. `panes` are its panes and their slots, ascending.
pub(super) struct SlidingPass<'a> {
    grid: &'a PaneGrid,
    panes: &'a [Place<i64>],
    stacks: Stacks,
    /// Number of the first pane after those of the head, once it was searched.
    next: Option<usize>,
}

/// Merge steps and the slots they fill that are to be released after evaluation.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) merges: Vec<(u32, u32)>,
    pub(super) temporary: Vec<u32>,
}

impl<'a> SlidingPass<'a> {
    /// A pass that goes on with `stacks`, which cover unchanged panes only.
    pub(super) fn new(grid: &'a PaneGrid, panes: &'a [Place<i64>], stacks: Stacks) -> Self {
        Self { grid, panes, stacks, next: None }
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
        let Self { panes, stacks, next, .. } = self;

        if stacks.tail.as_ref().is_none_or(|tail| tail.block != block) {
            let mut tail = Tail { block, aggregates: vec![], owned: vec![] };
            let from = panes.partition_point(|p| p.at < first);
            let to = panes.partition_point(|p| p.at < boundary);
            for Place { at: pane, slot, .. } in panes[from..to].iter().rev() {
                let whole = match tail.aggregates.last() {
                    None => *slot,
                    Some((_, after)) => {
                        let whole = buffers.allocate()?;
                        steps.merges.extend([(*slot, whole), (*after, whole)]);
                        tail.owned.push(whole);
                        whole
                    }
                };
                tail.aggregates.push((*pane, whole));
            }
            // Results of earlier windows may be aggregates of the stack that goes.
            steps.temporary.extend(stacks.tail.replace(tail).into_iter().flat_map(|old| old.owned));
        }
        let tail = stacks.tail.as_mut().and_then(|tail| {
            // Windows ascend, so what starts before this one is done with.
            while tail.aggregates.last().is_some_and(|(pane, _)| *pane < first) {
                tail.aggregates.pop();
            }
            tail.aggregates.last().map(|(_, slot)| *slot)
        });

        if stacks.head.as_ref().is_none_or(|head| head.block != block + 1) {
            let head = Head { block: block + 1, last: boundary - 1, slot: None };
            steps.temporary.extend(stacks.head.replace(head).and_then(|old| old.slot));
            *next = None;
        }
        let mut grown = None;
        if let Some(head) = &mut stacks.head {
            let next = next.get_or_insert_with(|| panes.partition_point(|p| p.at <= head.last));
            let coming = panes.get(*next..).unwrap_or_default();
            for Place { at: pane, slot, .. } in coming.iter().take_while(|p| p.at < first + length) {
                let whole = match head.slot {
                    Some(whole) => whole,
                    None => *head.slot.insert(buffers.allocate()?),
                };
                steps.merges.push((*slot, whole));
                head.last = *pane;
                *next += 1;
            }
            grown = head.slot;
        }
        stacks.covered = first + length - 1;
        let Some(grown) = grown else { return Ok(tail) };
        let whole = buffers.allocate()?;
        steps.merges.extend(tail.into_iter().chain([grown]).map(|part| (part, whole)));
        steps.temporary.push(whole);
        Ok(Some(whole))
    }
}
