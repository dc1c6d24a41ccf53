//! What operators that keep state between batches have in common.
//!
//! An operator writes three things: its state in memory ([`OperatorState`]), what that
//! state consists of ([`StateDefinition`]), and what it does with the rows of a batch
//! ([`StatefulNode`]). [`StateKeeper`] then is the state's life over a run (loading, order of
//! steps, files, metrics), and [`StatefulExec`] the node in the physical plan.

mod changes;
mod event_time;
mod exec;
mod expiry;
mod keeper;
mod operator;
mod snapshot_plan;
mod state;

pub use changes::StateChanges;
pub use event_time::{event_time_column, event_times};
pub use exec::{InputRows, StatefulExec, StatefulNode, once};
pub(super) use expiry::Expiry;
pub use keeper::StateKeeper;
pub use operator::{StateOperatorMetrics, StatefulOperator};
pub use state::{IdWalk, OperatorState, Restored, StateDefinition, StateStore};
