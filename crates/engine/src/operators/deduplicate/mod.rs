//! `dropDuplicates` over a stream: the keys seen live on between batches.
//!
//! A key is forgotten when the watermark passes its event time if that is part of the key,
//! or, within a watermark, when it passes the first row's time plus the watermark's delay;
//! otherwise never.

mod exec;
mod seen;

pub(super) use exec::DeduplicateNode;
