//! Batch writes into a folder: `df.write.mode(..).partitionBy(..).csv(path)`.
//!
//! Files are staged under `<path>/_temporary-<job>`, which no reader looks into. Only when
//! every one is complete and durable does anything visible change: old files go (overwrite),
//! the new ones are renamed into place, and `_SUCCESS` is written last. A write that fails
//! leaves what was there before.
//!
//! Spark differs: it deletes the old files of an overwrite before it computes the new ones.

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use datafusion::{
    arrow::datatypes::SchemaRef, execution::SendableRecordBatchStream, physical_plan::EmptyRecordBatchStream,
};
use tokio::sync::RwLock;
use uuid::Uuid;

use crate::{
    Result, SparkError,
    checkpoint::{
        StorageRef,
        storage::{blocking, read_failed, write_failed},
    },
    format::{Options, WriteFormatRef, value_text::ZoneOffsets},
    sink::{each_partition, file::WriteLayout},
};

/// What to do when the folder exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveMode {
    /// Add files.
    Append,
    /// Replace what is there.
    Overwrite,
    /// `PATH_ALREADY_EXISTS`.
    ErrorIfExists,
    /// Do nothing.
    Ignore,
}

/// A batch write of rows into a folder.
#[derive(Clone)]
pub struct BatchWrite {
    /// Folder, absolute.
    pub path: PathBuf,
    /// Spark's name of the format as its messages show it: `CSV`, `JSON`, `Parquet`, `Text`.
    pub format_name: &'static str,
    /// Format of the files, options applied.
    pub format: WriteFormatRef,
    /// What to do when the folder exists.
    pub mode: SaveMode,
    /// Partition columns, outermost first.
    pub partition_by: Vec<String>,
    /// Options of the write: `maxRecordsPerFile` and `partitionOverwriteMode` are read here.
    pub options: Options,
    /// Zone in which timestamps name directories.
    pub zone: Arc<dyn ZoneOffsets>,
}

impl std::fmt::Debug for BatchWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchWrite")
            .field("path", &self.path)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl BatchWrite {
    /// Checks what can be checked before the rows are computed; `false`: there is nothing
    /// to do, so the query need not run.
    ///
    /// # Errors
    /// `COLUMN_ALREADY_EXISTS`, `PATH_ALREADY_EXISTS`, `EMPTY_SCHEMA_NOT_SUPPORTED_FOR_DATASOURCE` and those of
    /// [`WriteLayout::new`]: fix the query.
    pub fn check(&self, storage: &StorageRef, schema: &SchemaRef) -> Result<bool> {
        if schema.fields().is_empty() {
            return Err(
                SparkError::new("EMPTY_SCHEMA_NOT_SUPPORTED_FOR_DATASOURCE").with("format", self.format_name)
            );
        }
        self.layout(schema)?;
        let exists = storage.info(&self.path).map_err(|e| read_failed(&self.path, e))?.is_some();
        match self.mode {
            SaveMode::ErrorIfExists if exists => Err(SparkError::new("PATH_ALREADY_EXISTS")
                .with("outputPath", format!("file:{}", self.path.display()))),
            SaveMode::Ignore => Ok(!exists),
            _ => Ok(true),
        }
    }

    /// Writes `rows`, whose columns are those of `schema` (user's names) by position; each
    /// stream is one split, in order.
    ///
    /// # Errors
    /// As [`BatchWrite::check`]; those of the rows; `TASK_WRITE_FAILED`. Nothing of this
    /// write is visible then.
    ///
    /// # Cancel safety
    /// Dropping the future before the renames leaves what was there before.
    pub async fn run(
        &self,
        storage: StorageRef,
        schema: SchemaRef,
        mut rows: Vec<SendableRecordBatchStream>,
    ) -> Result<()> {
        if !self.check(&storage, &schema)? {
            return Ok(());
        }
        let layout = self.layout(&schema)?;
        if rows.is_empty() {
            rows.push(Box::pin(EmptyRecordBatchStream::new(schema)));
        }
        let job = Uuid::new_v4();
        let staging = self.start(storage.clone(), job)?;
        let (dir, open) = (staging.dir.clone(), Arc::new(RwLock::new(true)));
        let tasks_open = open.clone();
        let splits = each_partition(rows, move |split, stream| {
            let mut writer = layout.split(job, split);
            let (storage, dir, open) = (storage.clone(), dir.clone(), tasks_open.clone());
            async move {
                writer.write_all(stream).await?;
                let files = writer.finish()?;
                let open = open.read_owned().await;
                blocking(move || {
                    if !*open {
                        return Ok(Vec::new());
                    }
                    let stage = |file: crate::sink::file::EncodedFile| {
                        let path = dir.join(&file.name);
                        storage
                            .write_staged_pieces(&path, &file.pieces)
                            .map_err(|e| write_failed(&path, e))?;
                        Ok(file.name)
                    };
                    files.into_iter().map(stage).collect::<Result<Vec<String>>>()
                })
                .await
            }
        });
        let staged = splits.await;
        // A split that failed ended the others, but not a file they were just writing: wait
        // for it and let none begin, or it would outlive the staging folder.
        *open.write().await = false;
        let names: Vec<String> = staged?.into_iter().flatten().collect();
        let write = self.clone();
        blocking(move || write.commit(staging, &names)).await
    }

    fn layout(&self, schema: &SchemaRef) -> Result<WriteLayout> {
        WriteLayout::new(self.format.clone(), schema, &self.partition_by, &self.options, self.zone.clone())
    }

    fn start(&self, storage: StorageRef, job: Uuid) -> Result<Staging> {
        let info = storage.info(&self.path).map_err(|e| read_failed(&self.path, e))?;
        if self.mode == SaveMode::Overwrite && info.as_ref().is_some_and(|i| !i.is_dir) {
            // A plain file gives way to the folder: there is no other place to stage in.
            storage.delete(&self.path).map_err(|e| write_failed(&self.path, e))?;
        }
        let dir = self.path.join(format!("_temporary-{job}"));
        let staging = Staging { storage, dir, created: info.is_none().then(|| self.path.clone()) };
        staging.storage.create_dir_all(&staging.dir).map_err(|e| write_failed(&staging.dir, e))?;
        Ok(staging)
    }

    /// The visible part: old files out, new files in, `_SUCCESS`.
    fn commit(&self, staging: Staging, names: &[String]) -> Result<()> {
        let storage = staging.storage.clone();
        if self.mode == SaveMode::Overwrite {
            self.remove_old(&storage, &staging.dir, names)?;
        }
        let mut dirs = BTreeSet::from([self.path.clone()]);
        for name in names {
            let path = self.path.join(name);
            if let Some(parent) = path.parent()
                && dirs.insert(parent.to_path_buf())
            {
                storage.create_dir_all(parent).map_err(|e| write_failed(parent, e))?;
            }
            storage.rename(&staging.dir.join(name), &path).map_err(|e| write_failed(&path, e))?;
        }
        for dir in dirs {
            storage.sync_dir(&dir).map_err(|e| write_failed(&dir, e))?;
        }
        let success = self.path.join("_SUCCESS");
        storage.write_atomic(&success, b"").map_err(|e| write_failed(&success, e))?;
        Ok(())
    }

    /// Removes everything in the folder or, with `partitionOverwriteMode=dynamic`, what is
    /// in the directories that get new files.
    fn remove_old(&self, storage: &StorageRef, staging: &Path, names: &[String]) -> Result<()> {
        let mode = self.options.get("partitionOverwriteMode");
        let dynamic =
            !self.partition_by.is_empty() && mode.is_some_and(|m| m.eq_ignore_ascii_case("dynamic"));
        if dynamic {
            let dirs: HashSet<&str> = names.iter().filter_map(|n| Some(n.rsplit_once('/')?.0)).collect();
            for dir in dirs {
                let dir = self.path.join(dir);
                storage.delete_dir_all(&dir).map_err(|e| write_failed(&dir, e))?;
            }
            return Ok(());
        }
        for entry in storage.list(&self.path).map_err(|e| read_failed(&self.path, e))? {
            let path = self.path.join(&entry.name);
            if path == staging {
                continue;
            }
            let removed = if entry.is_dir { storage.delete_dir_all(&path) } else { storage.delete(&path) };
            removed.map_err(|e| write_failed(&path, e))?;
        }
        Ok(())
    }
}

/// The staging folder; it goes when this does, with the output folder if the write made
/// that one and it is still empty.
struct Staging {
    storage: StorageRef,
    dir: PathBuf,
    created: Option<PathBuf>,
}

impl Drop for Staging {
    fn drop(&mut self) {
        let removed = self.storage.delete_dir_all(&self.dir);
        let removed = removed.and_then(|()| match &self.created {
            Some(dir) => self.storage.delete_empty_dir(dir),
            None => Ok(()),
        });
        if let Err(e) = removed {
            tracing::warn!(path = %self.dir.display(), error = %e, "the staging folder of a write could not be removed");
        }
    }
}

#[cfg(test)]
mod tests;
