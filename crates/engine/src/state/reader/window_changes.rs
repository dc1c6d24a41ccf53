//! The change feed of overlapping windows: what is stored are panes, which windows share.

use std::collections::{HashMap, HashSet};

use datafusion::arrow::{array::AsArray, datatypes::Int64Type};

use super::{
    rows::Rows,
    shape::{Shown, show_windows},
};
use crate::{Result, state::StateLog};

/// Goes on to the next version: the windows that its batch changed, as they were when it put them
/// into the state, and those that left in it.
///
/// As in Spark a window that is changed and becomes final in one batch is in both.
///
/// # Errors
/// A file that is missing or damaged; functions that the reader cannot put together.
pub(super) fn advance(rows: &mut Rows, log: &StateLog, version: i64) -> Result<(Shown, Shown)> {
    let (grid, before) = rows.grid()?;
    let changed = rows.take_change(log, version)?;
    let (_, after) = rows.grid()?;
    let still_open = |window: i64| before.is_none_or(|before| window > before);

    let keys = rows.keys_of(&changed)?;
    let mut touched: HashMap<i64, HashSet<&[u8]>> = HashMap::new();
    for (pane, key) in changed.column(0).as_primitive::<Int64Type>().values().iter().zip(&keys) {
        for window in grid.windows_of(*pane).filter(|window| still_open(*window)) {
            touched.entry(window).or_default().insert(key);
        }
    }
    let panes = rows.all()?;
    let updated = show_windows(rows, &panes, |window, key| {
        touched.get(&window).is_some_and(|keys| keys.contains(key))
    })?;
    let removed = show_windows(rows, &panes, |window, _| {
        still_open(window) && after.is_some_and(|after| window <= after)
    })?;
    rows.evict()?;
    Ok((updated, removed))
}
