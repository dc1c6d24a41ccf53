//! Aggregation over a stream: groups live on between batches.
//!
//! [`AggregateNode`] feeds rows to the groups: `PaneGroups` for a fused window, `SessionGroups`
//! for session windows, `KeyedGroups` for everything else. Batches read two watermarks: what
//! the batch before knew decides which rows are late, what this batch knows decides which
//! groups are final.

mod batch;
mod buffer_set;
mod exec;
mod groups;
mod key_slots;
mod keyed_groups;
mod pane_grid;
mod pane_groups;
mod piece_groups;
mod session_groups;
mod sliding_pass;
mod spec;

pub(super) use exec::AggregateNode;
pub(crate) use pane_grid::PaneGrid;
