//! Window arithmetic: which windows hold an instant, as in Spark's `TimeWindowing` rule.

/// A sliding (or tumbling) window definition, in microseconds.
///
/// Windows are `[start, end)` with `end = start + duration`, and starts are the instants
/// `start_time + k * slide`. They align to the UTC epoch, whatever the session time zone.
///
/// # Invariants
/// `0 < slide <= duration` and `|start_time| < slide` (checked by [`WindowSpec::new`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WindowSpec {
    duration: i64,
    slide: i64,
    start_time: i64,
}

impl WindowSpec {
    /// A window of `duration` every `slide`, shifted by `start_time`; all in microseconds.
    ///
    /// Returns `None` where Spark refuses: a duration or slide that is not positive, a
    /// slide above the duration, or a start time whose magnitude reaches the slide.
    pub fn new(duration: i64, slide: i64, start_time: i64) -> Option<Self> {
        (duration > 0 && slide > 0 && slide <= duration && start_time.checked_abs()? < slide)
            .then_some(Self { duration, slide, start_time })
    }

    /// Length in microseconds.
    pub fn duration(&self) -> i64 {
        self.duration
    }

    /// Distance between two starts in microseconds.
    pub fn slide(&self) -> i64 {
        self.slide
    }

    /// Shift of the grid in microseconds.
    pub fn start_time(&self) -> i64 {
        self.start_time
    }

    /// True when windows do not overlap.
    pub fn is_tumbling(&self) -> bool {
        self.duration == self.slide
    }

    /// True when every instant is in the same number of windows.
    ///
    /// A duration that is no multiple of the slide puts some instants in one window more than others;
    /// Spark plans such windows otherwise (`TimeWindowing`).
    pub fn is_multiple(&self) -> bool {
        self.duration % self.slide == 0
    }

    /// The number of windows an instant is in at most.
    pub fn most_windows(&self) -> usize {
        let most = self.duration / self.slide + i64::from(!self.is_multiple());
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// Start of the latest window that holds `micros`; wraps around at the end of time, as Spark does.
    pub fn last_start(&self, micros: i64) -> i64 {
        micros.wrapping_sub(micros.wrapping_sub(self.start_time).rem_euclid(self.slide))
    }

    /// Starts of all windows that hold `micros`, latest first.
    ///
    /// Their number varies by one unless [`WindowSpec::is_multiple`].
    pub fn starts(&self, micros: i64) -> impl Iterator<Item = i64> + use<> {
        let Self { duration, slide, .. } = *self;
        let last = self.last_start(micros);
        (0..).map(move |k| last - k * slide).take_while(move |start| start + duration > micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_spark_refuses() {
        assert_eq!(WindowSpec::new(0, 1, 0), None);
        assert_eq!(WindowSpec::new(10, 0, 0), None);
        assert_eq!(WindowSpec::new(10, 11, 0), None);
        assert_eq!(WindowSpec::new(10, 5, 5), None);
        assert!(WindowSpec::new(10, 5, -4).is_some());
    }

    #[test]
    fn starts_are_the_windows_that_hold_the_instant() {
        for (duration, slide, start_time) in [(10, 10, 0), (10, 5, 2), (10, 3, -1), (7, 7, 3)] {
            let spec = WindowSpec::new(duration, slide, start_time).unwrap();
            for t in -50..50 {
                let mut expected: Vec<i64> = (-100..100)
                    .map(|k| start_time + k * slide)
                    .filter(|s| *s <= t && t < s + duration)
                    .collect();
                expected.reverse();
                assert_eq!(spec.starts(t).collect::<Vec<_>>(), expected, "{spec:?} at {t}");
            }
            let counts: Vec<_> = (-50..50).map(|t| spec.starts(t).count()).collect();
            assert_eq!(Some(spec.most_windows()), counts.iter().copied().max(), "{spec:?}");
            assert_eq!(spec.is_multiple(), counts.iter().all(|count| *count == counts[0]), "{spec:?}");
        }
    }
}
