//! `_millstream/sink/<N>` in the checkpoint: the files that batch `N` is about to make
//! visible, durable before the first of them is.
//!
//! Layout: `v1`, then one path a line, relative to the output folder and JSON-quoted. A
//! retry of the batch reads the list of the attempt before it and removes the files it
//! will not write again as they are.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    Result, SparkError,
    checkpoint::{
        StorageRef,
        storage::{read_failed, write_failed},
    },
    query::BatchId,
};

/// The attempt lists of one query.
#[derive(Debug, Clone)]
pub struct AttemptLog {
    storage: StorageRef,
    dir: PathBuf,
}

impl AttemptLog {
    /// The lists in `dir` (`_millstream/sink` of the checkpoint).
    pub fn new(storage: StorageRef, dir: PathBuf) -> Self {
        Self { storage, dir }
    }

    /// The files an earlier attempt of `batch` was about to make visible; none if it did
    /// not come that far.
    ///
    /// # Errors
    /// The list is unreadable: the checkpoint is damaged.
    pub fn read(&self, batch: BatchId) -> Result<Vec<String>> {
        let path = self.path(batch);
        let bytes = match self.storage.read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(read_failed(&path, e)),
        };
        parse(&bytes).map_err(|what| read_failed(&path, io::Error::new(io::ErrorKind::InvalidData, what)))
    }

    /// Makes the list of this attempt durable, replacing that of an earlier one.
    ///
    /// # Errors
    /// `TASK_WRITE_FAILED`.
    pub fn write(&self, batch: BatchId, files: &[&str]) -> Result<()> {
        let mut text = String::from("v1");
        for file in files {
            let quoted = serde_json::to_string(file)
                .map_err(|e| SparkError::internal("a file name is no JSON").caused_by(e))?;
            text.push('\n');
            text.push_str(&quoted);
        }
        let path = self.path(batch);
        self.storage.write_atomic(&path, text.as_bytes()).map_err(|e| write_failed(&path, e))
    }

    /// Forgets the attempts before `batch`, all of which are published.
    ///
    /// # Errors
    /// A list cannot be removed; harmless.
    pub fn forget_before(&self, batch: BatchId) -> Result<()> {
        for file in self.storage.list(&self.dir).map_err(|e| read_failed(&self.dir, e))? {
            let old = file.name.parse().is_ok_and(|n: i64| n < batch.0);
            if old || file.name.ends_with(".tmp") {
                let path = self.dir.join(&file.name);
                self.storage.delete(&path).map_err(|e| write_failed(&path, e))?;
            }
        }
        Ok(())
    }

    fn path(&self, batch: BatchId) -> PathBuf {
        self.dir.join(batch.to_string())
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let lines = text.strip_prefix("v1").ok_or("no v1 line")?;
    lines.lines().skip(1).map(|line| serde_json::from_str(line).map_err(|e| e.to_string())).collect()
}

/// `.<name>.<run>.staged` beside the file's final place: no listing of Spark or Hadoop and
/// no glob `part-*` sees it. `run` keeps a write that a cancelled run left behind from
/// meddling with the file of the next one.
pub fn staged_path(output: &Path, name: &str, run: &str) -> PathBuf {
    let path = output.join(name);
    let base = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{base}.{run}.staged"))
}
