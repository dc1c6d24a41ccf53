//! Cuts time into panes, so that overlapping windows share their work.
//!
//! Pane edges are the starts and the ends of windows and nothing else: one pane a slide
//! when the duration is a multiple of the slide, two otherwise. A row belongs to exactly
//! one pane, and every window is a run of whole panes of always the same number.
//!
//! Windows and panes are numbered on the grid: window `k` starts at
//! `start_time + k * slide`. At the ends of time edges stop at the last instant there is.

use std::ops::RangeInclusive;

use crate::time::WindowSpec;

/// The panes of a window definition. Instants are microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PaneGrid {
    spec: WindowSpec,
    /// How far the last window end reaches into its slide; 0 when ends are starts.
    rest: i64,
    per_slide: i64,
    per_window: i64,
}

impl PaneGrid {
    pub(crate) fn new(spec: WindowSpec) -> Self {
        let (whole, rest) = (spec.duration() / spec.slide(), spec.duration() % spec.slide());
        let (per_slide, per_window) = if rest == 0 { (1, whole) } else { (2, 2 * whole + 1) };
        Self { spec, rest, per_slide, per_window }
    }

    /// Number of panes in each window.
    pub(crate) fn per_window(&self) -> i64 {
        self.per_window
    }

    /// The pane that holds `micros`.
    pub(crate) fn pane_of(&self, micros: i64) -> i64 {
        let since = micros.saturating_sub(self.spec.start_time());
        let slide = since.div_euclid(self.spec.slide());
        if self.rest == 0 {
            return slide;
        }
        2 * slide + i64::from(since.rem_euclid(self.spec.slide()) >= self.rest)
    }

    /// `[start, end)` of a pane.
    pub(crate) fn bounds(&self, pane: i64) -> (i64, i64) {
        (self.edge(pane), self.edge(pane + 1))
    }

    fn edge(&self, pane: i64) -> i64 {
        let slide = pane.div_euclid(self.per_slide);
        let second = pane.rem_euclid(self.per_slide) == 1;
        self.start(slide).saturating_add(if second { self.rest } else { 0 })
    }

    /// Start of window `k`.
    pub(crate) fn start(&self, window: i64) -> i64 {
        window.saturating_mul(self.spec.slide()).saturating_add(self.spec.start_time())
    }

    /// End of window `k`.
    pub(crate) fn end(&self, window: i64) -> i64 {
        self.start(window).saturating_add(self.spec.duration())
    }

    /// First pane of window `k`.
    pub(crate) fn first_pane(&self, window: i64) -> i64 {
        window * self.per_slide
    }

    /// The windows that hold a pane.
    pub(crate) fn windows_of(&self, pane: i64) -> RangeInclusive<i64> {
        (pane - self.per_window).div_euclid(self.per_slide) + 1..=pane.div_euclid(self.per_slide)
    }

    /// The last window that has ended at `micros`: those with `end <= micros`.
    pub(crate) fn last_ended(&self, micros: i64) -> i64 {
        micros
            .saturating_sub(self.spec.start_time())
            .saturating_sub(self.spec.duration())
            .div_euclid(self.spec.slide())
    }

    /// First pane that a window after `window` still needs.
    pub(crate) fn first_needed_after(&self, window: i64) -> i64 {
        self.first_pane(window + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_tile_time_and_windows_are_runs_of_panes() {
        for (duration, slide, start_time) in
            [(10, 10, 0), (10, 5, 2), (10, 3, -1), (7, 7, 3), (7, 2, 1), (60, 1, 0), (9, 4, -3), (5, 4, 0)]
        {
            let spec = WindowSpec::new(duration, slide, start_time).unwrap();
            let grid = PaneGrid::new(spec);
            for t in -70..70 {
                let pane = grid.pane_of(t);
                let (start, end) = grid.bounds(pane);
                assert!(start <= t && t < end, "{spec:?}: {t} outside pane {pane} [{start}, {end})");
                let windows: Vec<i64> = grid.windows_of(pane).rev().map(|k| grid.start(k)).collect();
                assert_eq!(windows, spec.starts(t).collect::<Vec<_>>(), "{spec:?} at {t}");
                for k in grid.windows_of(pane) {
                    let first = grid.first_pane(k);
                    assert!(first <= pane && pane < first + grid.per_window());
                    assert_eq!(grid.bounds(first).0, grid.start(k));
                    assert_eq!(grid.bounds(first + grid.per_window() - 1).1, grid.end(k));
                }
                let ended = grid.last_ended(t);
                assert!(grid.end(ended) <= t && t < grid.end(ended + 1));
            }
        }
    }
}
