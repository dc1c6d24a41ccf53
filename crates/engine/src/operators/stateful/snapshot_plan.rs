//! When a store's next snapshot is due, and how much of it each batch writes.
//!
//! A part has about as many rows as the changes since the part before, so that a batch
//! costs what it changes and not what there is. Small state fits into one part.

use uuid::Uuid;

use crate::state::{Snapshot, SnapshotPace, SnapshotPart, StateFileName};

/// The snapshots of one store.
#[derive(Debug, Clone)]
pub(super) struct SnapshotPlan {
    pace: SnapshotPace,
    /// Since the snapshot that the newest version is restored from.
    log: Written,
    running: Option<Running>,
    /// First and last version of snapshots that are whole, ascending.
    whole: Vec<(i64, i64)>,
}

/// Changes written: their rows and their number.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    rows: usize,
    changes: i64,
}

impl Written {
    fn add(&mut self, rows: usize) {
        self.rows += rows;
        self.changes += 1;
    }
}

/// A snapshot being written.
#[derive(Debug, Clone)]
struct Running {
    first: i64,
    token: String,
    parts: usize,
    /// Since it was begun.
    log: Written,
    /// Since the last part.
    since: Written,
}

/// What to do after the changes of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// Whether the walk over the state starts here.
    pub(super) starts: bool,
    /// Rows of the part, about.
    pub(super) rows: usize,
}

impl SnapshotPlan {
    /// The plan of a store that is being loaded from `snapshot` and changes.
    pub(super) fn new(pace: SnapshotPace, snapshot: Option<&Snapshot>) -> Self {
        let whole = snapshot.map(|s| (s.first, s.end)).into_iter().collect();
        Self { pace, log: Written::default(), running: None, whole }
    }

    /// Counts a change that was written, or read again.
    pub(super) fn changed(&mut self, rows: usize) {
        self.log.add(rows);
        if let Some(running) = &mut self.running {
            running.log.add(rows);
            running.since.add(rows);
        }
    }

    /// Whether a part is due after the change of `version`; `stored` rows of `memory` bytes
    /// are in state.
    pub(super) fn due(&mut self, version: i64, stored: usize, memory: usize) -> Option<Due> {
        let of_a_row = (memory / stored.max(1)).max(16);
        let pace = self.pace;
        let least = (pace.least_bytes / of_a_row).max(1);
        // After many restarts without a whole snapshot the log is long: then faster.
        let (rows, changes) =
            (self.log.rows / stored.max(1), self.log.changes.try_into().unwrap_or(usize::MAX));
        let parts = 2 * usize::try_from(pace.changes_a_part).unwrap_or(1) * (1 + stored / least);
        let haste = (rows / 3).max(changes / parts.max(1000)).clamp(1, 64);
        let Some(running) = &self.running else {
            let worth = self.log.changes >= pace.changes_before && self.log.rows >= stored;
            if !worth && self.log.changes < pace.most_changes {
                return None;
            }
            let token = Uuid::new_v4().simple().to_string().chars().take(8).collect();
            let log = Written::default();
            self.running = Some(Running { first: version + 1, token, parts: 0, log, since: log });
            return Some(Due { starts: true, rows: least * haste });
        };
        let is_due = running.since.changes >= pace.changes_a_part || running.since.rows >= pace.rows_a_part;
        let rows = (pace.rows_for_a_change * running.since.rows).max(least) * haste;
        is_due.then_some(Due { starts: false, rows })
    }

    /// The name of the part that is due after the change of `version`, and counts it.
    pub(super) fn part(&mut self, version: i64, is_last: bool) -> Option<StateFileName> {
        let running = self.running.as_mut()?;
        let (first, number) = (running.first, running.parts);
        let name = SnapshotPart { first, token: running.token.clone(), number, is_last };
        running.parts += 1;
        running.since = Written::default();
        if is_last {
            self.log = running.log;
            self.whole.push((first, version));
            self.running = None;
        }
        Some(StateFileName { version, part: Some(name) })
    }

    /// Whether there are files that no version from `oldest` on needs, and forgets them.
    pub(super) fn purges(&mut self, oldest: i64) -> bool {
        let usable = self.whole.iter().rposition(|(_, end)| *end <= oldest);
        let base = usable.unwrap_or(0);
        self.whole.drain(..base);
        base > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of parts for each batch of `changed` rows over `stored` ones.
    fn walk(stored: usize, changed: usize, batches: i64) -> (Vec<usize>, usize) {
        let mut plan = SnapshotPlan::new(SnapshotPace::default(), None);
        let (mut parts, mut left, mut whole) = (vec![], 0, 0);
        for version in 1..=batches {
            plan.changed(changed);
            if let Some(due) = plan.due(version, stored, stored * 50) {
                left = if due.starts { stored } else { left };
                left = left.saturating_sub(due.rows);
                plan.part(version, left == 0).unwrap();
                whole += usize::from(left == 0);
                parts.push(due.rows);
            }
        }
        (parts, whole)
    }

    #[test]
    fn small_state_is_written_at_once_and_large_state_bit_by_bit() {
        let (parts, whole) = walk(100, 10, 40);
        assert_eq!((parts.len(), whole), (4, 4), "ten changes of ten rows are as many as the state has");
        let (parts, whole) = walk(1_000_000, 1000, 1200);
        assert_eq!(whole, 2, "{}", parts.len());
        assert_eq!(parts.iter().max(), Some(&20_000));
        let (parts, _) = walk(10_000_000, 500_000, 100);
        assert_eq!(parts.iter().max(), Some(&1_000_000));
    }

    #[test]
    fn a_long_log_makes_haste() {
        let mut plan = SnapshotPlan::new(SnapshotPace::default(), None);
        (0..100).for_each(|_| plan.changed(1000));
        let calm = plan.due(100, 100_000, 5_000_000).unwrap();
        let mut plan = SnapshotPlan::new(SnapshotPace::default(), None);
        (0..2000).for_each(|_| plan.changed(1000));
        let hasty = plan.due(2000, 100_000, 5_000_000).unwrap();
        assert!(hasty.rows > 4 * calm.rows, "{hasty:?} {calm:?}");
    }

    #[test]
    fn files_go_when_a_newer_snapshot_serves_the_oldest_version() {
        let mut plan = SnapshotPlan::new(SnapshotPace::default(), None);
        plan.whole = vec![(3, 5), (8, 12), (15, 15)];
        assert!(!plan.purges(4));
        assert!(!plan.purges(11));
        assert!(plan.purges(12));
        assert!(!plan.purges(14));
        assert!(plan.purges(20));
        assert_eq!(plan.whole, [(15, 15)]);
    }
}
