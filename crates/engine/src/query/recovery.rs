//! Where a run continues, by Spark's restart rules.

use std::sync::Arc;

use tracing::info;

use super::{QueryConf, micro_batch::Batch};
use crate::{
    Result, SparkError,
    checkpoint::{Checkpoint, OffsetSeq, Restart},
    query::BatchId,
    source::{Offset, Source},
    time::Millis,
};

/// Where the checkpoint says to continue. A last plan whose sources did not get their logs
/// written is taken back: both are written side by side, and nothing of a batch is seen or
/// kept before both are durable.
///
/// # Errors
/// Damaged logs; the plan cannot be removed.
pub(super) fn restart(checkpoint: &Checkpoint, sources: &[Arc<dyn Source>]) -> Result<Restart> {
    let restart = checkpoint.restart()?;
    let Restart::Rerun { batch, offsets, .. } = &restart else { return Ok(restart) };
    for (source, end) in sources.iter().zip(&offsets.offsets) {
        if let Some(end) = end
            && !source.has_logged(end)?
        {
            info!(%batch, source = source.description(), "the batch was planned by half and is planned again");
            checkpoint.forget_plan(*batch)?;
            return checkpoint.restart();
        }
    }
    Ok(restart)
}

/// The batch to begin with and the watermark to begin with; `conf` takes over the settings
/// that the checkpoint froze.
///
/// - Nothing planned: batch 0.
/// - The last planned batch is not committed: that batch, as it was planned, with its
///   offsets, watermark, timestamp and settings.
/// - It is committed: the one after it.
///
/// # Errors
/// The plan has another number of sources than the checkpoint.
pub(super) fn resume(restart: Restart, sources: usize, conf: &mut QueryConf) -> Result<(Batch, Millis)> {
    match restart {
        Restart::Fresh => Ok((Batch::first(sources), Millis::ZERO)),
        Restart::Rerun { batch, offsets, previous } => {
            freeze(&offsets, conf);
            let watermark = Millis(offsets.metadata.batch_watermark_ms);
            let start = match &previous {
                Some(previous) => positions(previous, sources)?,
                None => vec![None; sources],
            };
            let batch = Batch {
                id: batch,
                start,
                end: positions(&offsets, sources)?,
                latest: vec![None; sources],
                watermark,
                late_watermark: Millis(previous.map_or(0, |p| p.metadata.batch_watermark_ms)),
                timestamp: Millis(offsets.metadata.batch_timestamp_ms),
                constructed: true,
                logged: true,
            };
            Ok((batch, watermark))
        }
        Restart::After { batch, offsets, commit } => {
            freeze(&offsets, conf);
            let late_watermark = Millis(offsets.metadata.batch_watermark_ms);
            let watermark = late_watermark.max(Millis(commit.next_batch_watermark_ms));
            let at = positions(&offsets, sources)?;
            let batch = Batch {
                id: BatchId(batch.0 + 1),
                start: at.clone(),
                end: at,
                latest: vec![None; sources],
                watermark,
                late_watermark,
                timestamp: Millis(offsets.metadata.batch_timestamp_ms),
                constructed: false,
                logged: false,
            };
            Ok((batch, watermark))
        }
    }
}

fn freeze(offsets: &OffsetSeq, conf: &mut QueryConf) {
    for (key, value) in offsets.metadata.resumed_conf() {
        conf.set(&key, &value);
    }
}

fn positions(offsets: &OffsetSeq, sources: usize) -> Result<Vec<Option<Offset>>> {
    if offsets.offsets.len() != sources {
        return Err(SparkError::internal(format!(
            "There are [{}] sources in the checkpoint offsets and now there are [{sources}] sources requested by the \
             query. Cannot continue.",
            offsets.offsets.len()
        )));
    }
    Ok(offsets.offsets.clone())
}
