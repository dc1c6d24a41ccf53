//! When a query runs its batches.

use crate::time::Millis;

/// Spark's triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A batch every so many milliseconds, at multiples since the epoch; the first at
    /// once. Zero, the default, runs the next batch as soon as there is something to do.
    ProcessingTime(u64),
    /// One batch with everything there is, then the query ends. No no-data batch follows.
    Once,
    /// All that is there at the start, in batches under the sources' limits, then the
    /// query ends, after a last no-data batch where state has to be emitted.
    AvailableNow,
    /// Continuous processing with an epoch interval in milliseconds; refused at start.
    Continuous(u64),
}

impl Default for Trigger {
    fn default() -> Self {
        Self::ProcessingTime(0)
    }
}

impl Trigger {
    /// When the trigger after the one at `now` is due.
    pub(crate) fn next(self, now: Millis) -> Millis {
        match self {
            Self::ProcessingTime(interval) if interval > 0 => {
                let interval = i64::try_from(interval).unwrap_or(i64::MAX);
                // Spark truncates towards zero; clocks before 1970 do not occur.
                Millis((now.0 / interval).saturating_mul(interval).saturating_add(interval))
            }
            _ => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_multiples_since_the_epoch() {
        let every = Trigger::ProcessingTime(100);
        assert_eq!(every.next(Millis(0)), Millis(100));
        assert_eq!(every.next(Millis(99)), Millis(100));
        assert_eq!(every.next(Millis(100)), Millis(200));
        assert_eq!(Trigger::default().next(Millis(5)), Millis(5));
    }
}
