//! The global watermark of a query, from the event times its watermark nodes have seen.

use super::Millis;
use crate::{Result, SparkError};

/// How the watermarks of several nodes make one (`multipleWatermarkPolicy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WatermarkPolicy {
    /// The slowest input decides.
    #[default]
    Min,
    /// The fastest input decides.
    Max,
}

impl WatermarkPolicy {
    /// Parses `min` or `max`.
    ///
    /// # Errors
    /// Anything else, as Spark refuses it.
    pub fn parse(name: &str) -> Result<Self> {
        match name.to_ascii_lowercase().as_str() {
            "min" => Ok(Self::Min),
            "max" => Ok(Self::Max),
            _ => Err(SparkError::internal(format!("Could not recognize watermark policy '{name}'"))),
        }
    }
}

/// Keeps the watermark of each node and the global one, which never moves back.
///
/// As in Spark only the global one survives a restart: a node that has not seen an event
/// since then counts as 0.
#[derive(Debug, Clone)]
pub struct WatermarkTracker {
    policy: WatermarkPolicy,
    delays_ms: Vec<i64>,
    nodes: Vec<Option<Millis>>,
    global: Millis,
}

impl WatermarkTracker {
    /// A tracker for nodes with these delays, in plan order.
    pub fn new(policy: WatermarkPolicy, delays_ms: Vec<i64>) -> Self {
        Self { policy, nodes: vec![None; delays_ms.len()], delays_ms, global: Millis::ZERO }
    }

    /// The watermark of the next batch.
    pub fn current(&self) -> Millis {
        self.global
    }

    /// Restores the global watermark from a checkpoint.
    pub fn restore(&mut self, watermark: Millis) {
        self.global = watermark;
    }

    /// Takes the greatest event time each node saw in a batch, in plan order.
    pub fn update(&mut self, greatest: &[Option<Millis>]) {
        if self.nodes.is_empty() {
            return;
        }
        for ((node, delay), seen) in self.nodes.iter_mut().zip(&self.delays_ms).zip(greatest) {
            if let Some(max) = seen {
                let next = Millis(max.0.saturating_sub(*delay));
                if node.is_none_or(|own| next > own) {
                    *node = Some(next);
                }
            }
        }
        let known = self.nodes.iter().map(|n| n.unwrap_or(Millis::ZERO));
        let chosen = match self.policy {
            WatermarkPolicy::Min => known.min(),
            WatermarkPolicy::Max => known.max(),
        };
        self.global = self.global.max(chosen.unwrap_or(Millis::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Option<Millis> {
        Some(Millis(ms))
    }

    #[test]
    fn policies_differ_and_nothing_moves_back() {
        let mut min = WatermarkTracker::new(WatermarkPolicy::Min, vec![5, 2]);
        let mut max = WatermarkTracker::new(WatermarkPolicy::Max, vec![5, 2]);
        for (seen, low, high) in [
            ([at(100), None], 0, 95),
            ([at(90), at(60)], 58, 95),
            ([None, at(200)], 95, 198),
            ([None, None], 95, 198),
        ] {
            min.update(&seen);
            max.update(&seen);
            assert_eq!((min.current(), max.current()), (Millis(low), Millis(high)));
        }
    }

    #[test]
    fn a_restart_keeps_only_the_global_watermark() {
        let mut tracker = WatermarkTracker::new(WatermarkPolicy::Min, vec![0, 0]);
        tracker.restore(Millis(50));
        tracker.update(&[at(70), None]);
        assert_eq!(tracker.current(), Millis(50));
        tracker.update(&[None, at(60)]);
        assert_eq!(tracker.current(), Millis(60));
    }

    #[test]
    fn policy_names_ignore_case() {
        assert_eq!(WatermarkPolicy::parse("MAX").unwrap(), WatermarkPolicy::Max);
        assert!(WatermarkPolicy::parse("avg").is_err());
    }
}
