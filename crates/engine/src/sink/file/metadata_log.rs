//! `_spark_metadata`: the only truth about which files belong to a folder's output.
//!
//! One file a batch, Spark's `FileStreamSinkLog`: `v1` and one JSON line a file. To Spark's
//! fields we add `queryId` and `queryBatch`, which Spark ignores: a batch is known to be
//! published by them, not by the log's number, so that two queries may share a folder.
//! Spark differs: there the number is the batch id, and the second query loses its rows.
//!
//! Numbers are given in order, each created exclusively. While one query writes, the
//! number is its batch id, as in Spark.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Result,
    checkpoint::{
        CompactibleLog, LogRetention, StorageRef, from_uri,
        storage::{FileInfo, PreparedFile, read_failed, write_failed},
        to_uri,
    },
    query::BatchId,
    time::Millis,
};

/// Name of the log's folder inside the output.
pub const METADATA_DIR: &str = "_spark_metadata";

/// Hadoop's block size of the local file system, which Spark writes along.
const BLOCK_SIZE: i64 = 32 * 1024 * 1024;

/// One file of the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkFileStatus {
    /// URL-encoded absolute URI.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// Always false.
    pub is_dir: bool,
    /// Milliseconds since the epoch.
    pub modification_time: i64,
    /// Hadoop's replication, 1.
    pub block_replication: i32,
    /// Hadoop's block size.
    pub block_size: i64,
    /// `add`; `delete` in logs of very old versions hides the path.
    pub action: String,
    /// The query that wrote it; `None`: Spark did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_id: Option<String>,
    /// That query's batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_batch: Option<i64>,
}

impl SinkFileStatus {
    /// The entry of the file `path`, written by `batch` of `query`.
    pub fn added(path: &Path, file: &FileInfo, query: Uuid, batch: BatchId) -> Self {
        Self {
            path: to_uri(path),
            size: i64::try_from(file.size).unwrap_or(i64::MAX),
            is_dir: false,
            modification_time: file.modified.0,
            block_replication: 1,
            block_size: BLOCK_SIZE,
            action: "add".to_string(),
            query_id: Some(query.to_string()),
            query_batch: Some(batch.0),
        }
    }

    /// Where the file is; `None` for a scheme that is not local.
    pub fn local_path(&self) -> Option<PathBuf> {
        from_uri(&self.path)
    }
}

/// The files that belong to the streaming output in `dir`, in log order; `None` when no
/// streaming query ever wrote there, so that every file counts.
///
/// Safe beside a running query.
///
/// # Errors
/// The log is damaged: a number is missing or a line is no JSON.
pub fn read_sink_log(storage: &StorageRef, dir: &Path) -> Result<Option<Vec<SinkFileStatus>>> {
    let log_dir = dir.join(METADATA_DIR);
    match storage.info(&log_dir).map_err(|e| read_failed(&log_dir, e))? {
        Some(info) if info.is_dir => {}
        _ => return Ok(None),
    }
    let all = FileSinkLog::new(storage.clone(), dir, LogRetention::default()).log.all()?;
    let deleted: std::collections::HashSet<_> =
        all.iter().filter(|f| f.action == "delete").map(|f| f.path.clone()).collect();
    Ok(Some(all.into_iter().filter(|f| !deleted.contains(&f.path)).collect()))
}

/// The log as a writer sees it.
#[derive(Debug)]
pub struct FileSinkLog {
    log: CompactibleLog<SinkFileStatus>,
}

impl FileSinkLog {
    /// The log of the output folder `dir`.
    pub fn new(storage: StorageRef, dir: &Path, retention: LogRetention) -> Self {
        Self { log: CompactibleLog::new(storage, dir.join(METADATA_DIR), retention) }
    }

    /// The last batch of `query` in the log. Spark's own entries count as the query's up
    /// to number `adopted`: those batches ran on Spark before this checkpoint came to us.
    ///
    /// # Errors
    /// The log is damaged.
    pub fn last_batch(&self, query: Uuid, adopted: Option<BatchId>) -> Result<Option<BatchId>> {
        let query = query.to_string();
        let own =
            |f: &SinkFileStatus| (f.query_id.as_ref() == Some(&query)).then_some(f.query_batch).flatten();
        let last = self.log.all()?.iter().filter_map(own).max().map(BatchId);
        Ok(last.max(self.last_of_spark(adopted)?))
    }

    /// The last number up to `adopted` that Spark wrote.
    fn last_of_spark(&self, adopted: Option<BatchId>) -> Result<Option<BatchId>> {
        let (Some(adopted), Some(latest)) = (adopted, self.log.latest()?) else { return Ok(None) };
        let mut number = Some(adopted.min(latest));
        while let Some(candidate) = number {
            match self.log.get(candidate)? {
                // In a compaction the number's own files stand last.
                Some(files) if files.last().is_none_or(|f| f.query_id.is_none()) => {
                    return Ok(Some(candidate));
                }
                Some(_) => number = candidate.previous(),
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The next free number.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn next_number(&self) -> Result<BatchId> {
        Ok(self.log.latest()?.map_or(BatchId(0), BatchId::next))
    }

    /// Adds `files` under `number` or, where another query took it, under the next free
    /// one; answers with the number after it.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn add(&self, mut number: BatchId, files: &[SinkFileStatus]) -> Result<BatchId> {
        loop {
            match self.log.add(number, files) {
                Ok(()) => return Ok(number.next()),
                Err(e) if e.class() == "CONCURRENT_STREAM_LOG_UPDATE" => {
                    number = self.next_number()?.max(number.next());
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Writes `files` in advance, to be logged under `number`.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn prepare(&self, number: BatchId, files: &[SinkFileStatus]) -> Result<PreparedFile> {
        self.log.prepare(number, files)
    }

    /// Adds `files`, prepared as the log's `number`; where another query took the number,
    /// under the next free one. Answers with the number after it.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn add_prepared(
        &self,
        prepared: PreparedFile,
        number: BatchId,
        files: &[SinkFileStatus],
    ) -> Result<BatchId> {
        let path = prepared.path().to_path_buf();
        match prepared.create() {
            Ok(()) => Ok(number.next()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.add(number, files),
            Err(e) => Err(write_failed(&path, e)),
        }
    }

    /// Whether `number` was a compaction.
    pub fn compacts(&self, number: BatchId) -> bool {
        self.log.is_compaction(number).unwrap_or(false)
    }

    /// Removes log files that a compaction covers and that are old enough.
    ///
    /// # Errors
    /// A file cannot be removed; harmless.
    pub fn expire(&self, current: BatchId, now: Millis) -> Result<()> {
        self.log.expire(current, now)
    }
}
