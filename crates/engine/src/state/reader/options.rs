//! The options of `spark.read.format("statestore")`.

use std::path::{Path, PathBuf};

use crate::{
    Result, SparkError,
    checkpoint::{from_uri, logs_of, storage::StorageRef, to_uri},
    format::Options,
    query::BatchId,
};

/// The store of operators that have one.
pub(super) const DEFAULT_STORE: &str = "default";

/// A side of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinSide {
    Left,
    Right,
}

impl JoinSide {
    pub(super) fn name(self) -> &'static str {
        match self {
            JoinSide::Left => "left",
            JoinSide::Right => "right",
        }
    }
}

/// What of a checkpoint's state is to be read.
#[derive(Debug, Clone)]
pub(super) struct StateReadOptions {
    /// The checkpoint as a URI, for messages.
    pub(super) location: String,
    pub(super) checkpoint: PathBuf,
    /// State after this batch.
    pub(super) batch: i64,
    pub(super) operator: i64,
    pub(super) store: String,
    pub(super) side: Option<JoinSide>,
    /// First and last batch of a change feed.
    pub(super) changes: Option<(i64, i64)>,
    pub(super) snapshot: Option<(i64, i64)>,
}

impl std::fmt::Display for StateReadOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = self.side.map_or("none", JoinSide::name);
        write!(
            f,
            "StateSourceOptions(checkpointLocation={}, batchId={}, operatorId={}, storeName={}, joinSide={side}, stateVarName=None",
            self.location, self.batch, self.operator, self.store
        )?;
        if let Some((batch, partition)) = self.snapshot {
            write!(f, ", snapshotStartBatchId={batch}, snapshotPartitionId={partition}")?;
        }
        if let Some((start, end)) = self.changes {
            write!(f, ", changeStartBatchId={start}, changeEndBatchId={end}")?;
        }
        f.write_str(", flattenCollectionTypes=true)")
    }
}

fn required(option: &str) -> SparkError {
    SparkError::new("STDS_REQUIRED_OPTION_UNSPECIFIED").with("optionName", option)
}

fn negative(option: &str) -> SparkError {
    SparkError::new("STDS_INVALID_OPTION_VALUE.IS_NEGATIVE").with("optionName", option)
}

fn invalid(option: &str, message: impl Into<String>) -> SparkError {
    SparkError::new("STDS_INVALID_OPTION_VALUE.WITH_MESSAGE")
        .with("optionName", option)
        .with("message", message.into())
}

fn conflict(one: &str, other: &str) -> SparkError {
    SparkError::new("STDS_CONFLICT_OPTIONS").with("options", format!("['{one}', '{other}']"))
}

/// The checkpoint's directory, and as a URI.
///
/// # Errors
/// `STDS_REQUIRED_OPTION_UNSPECIFIED`.
pub(super) fn checkpoint_of(path: Option<&str>) -> Result<(PathBuf, String)> {
    let path = path.ok_or_else(|| required("path"))?;
    let local = from_uri(path).ok_or_else(|| {
        SparkError::unsupported(format!("a checkpoint that is not on a local disk: {path}"))
    })?;
    let location = to_uri(&local);
    Ok((local, location))
}

impl StateReadOptions {
    /// Checks options as Spark does, in its order; `path` is where the checkpoint is.
    ///
    /// # Errors
    /// The `STDS_` classes for options that are wrong or do not fit together, and for
    /// checkpoints without committed batches.
    pub(super) fn parse(storage: &StorageRef, path: Option<&str>, options: &Options) -> Result<Self> {
        let number = |name: &str| -> Result<Option<i64>> {
            let wrong = |text: &str| {
                SparkError::new("_LEGACY_ERROR_TEMP_3102")
                    .with("msg", format!("For input string: \"{text}\""))
            };
            options.get(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
        };
        let (checkpoint, location) = checkpoint_of(path)?;
        let operator = number("operatorId")?.unwrap_or(0);
        if operator < 0 {
            return Err(negative("operatorId"));
        }
        let store = options.get("storeName").map_or(DEFAULT_STORE, str::trim).to_string();
        if store.is_empty() {
            return Err(SparkError::new("STDS_INVALID_OPTION_VALUE.IS_EMPTY").with("optionName", "storeName"));
        }
        let side = match options.get("joinSide") {
            None | Some("none") => None,
            Some("left") => Some(JoinSide::Left),
            Some("right") => Some(JoinSide::Right),
            Some(_) => return Err(invalid("joinSide", "Valid values are left,right,none")),
        };
        if side.is_some() && store != DEFAULT_STORE {
            return Err(conflict("joinSide", "storeName"));
        }
        let batch = number("batchId")?;
        let (snapshot, partition) = (number("snapshotStartBatchId")?, number("snapshotPartitionId")?);
        let feed = match options.get("readChangeFeed").map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                return Err(SparkError::new("_LEGACY_ERROR_TEMP_3102")
                    .with("msg", format!("For input string: \"{other}\"")));
            }
        };
        let (start, end) = (number("changeStartBatchId")?, number("changeEndBatchId")?);
        let latest = || last_committed(storage, &checkpoint, &location);
        let mut read = Self {
            location: location.clone(),
            checkpoint: checkpoint.clone(),
            batch: 0,
            operator,
            store,
            side,
            changes: None,
            snapshot: None,
        };
        if feed {
            for (option, given) in [
                ("joinSide", side.is_some()),
                ("batchId", batch.is_some()),
                ("snapshotStartBatchId", snapshot.is_some()),
                ("snapshotPartitionId", partition.is_some()),
            ] {
                if given {
                    return Err(conflict(option, "readChangeFeed"));
                }
            }
            let start = start.ok_or_else(|| required("changeStartBatchId"))?;
            let end = end.map_or_else(latest, Ok)?;
            if start < 0 {
                return Err(negative("changeStartBatchId"));
            }
            if end < start {
                return Err(invalid(
                    "changeEndBatchId",
                    format!(
                        "changeEndBatchId cannot be smaller than changeStartBatchId. Please check the input to changeEndBatchId, or if you are using its default value, make sure that changeStartBatchId is less than {end}."
                    ),
                ));
            }
            (read.batch, read.changes) = (end, Some((start, end)));
            return Ok(read);
        }
        for (option, given) in [("changeStartBatchId", start), ("changeEndBatchId", end)] {
            if given.is_some() {
                return Err(invalid(option, "Only specify this option when readChangeFeed is set to true."));
            }
        }
        read.batch = batch.map_or_else(latest, Ok)?;
        if read.batch < 0 {
            return Err(negative("batchId"));
        }
        match snapshot {
            Some(given) if given < 0 => return Err(negative("snapshotStartBatchId")),
            Some(given) if given > read.batch => {
                let message = format!("value should be less than or equal to {}", read.batch);
                return Err(invalid("snapshotStartBatchId", message));
            }
            _ => {}
        }
        if partition.is_some_and(|given| given < 0) {
            return Err(negative("snapshotPartitionId"));
        }
        match (snapshot, partition) {
            (None, Some(_)) => return Err(required("snapshotStartBatchId")),
            (Some(_), None) => return Err(required("snapshotPartitionId")),
            (Some(batch), Some(partition)) => read.snapshot = Some((batch, partition)),
            (None, None) => {}
        }
        Ok(read)
    }

    /// Refuses batches that are not committed.
    ///
    /// # Errors
    /// `STDS_COMMITTED_BATCH_UNAVAILABLE`, `STDS_OFFSET_LOG_UNAVAILABLE`.
    pub(super) fn check_batch(&self, storage: &StorageRef) -> Result<()> {
        let (offsets, commits) = logs_of(storage, &self.checkpoint);
        if !commits.batches()?.contains(&BatchId(self.batch)) {
            return Err(none_committed(&self.location));
        }
        if offsets.batches()?.contains(&BatchId(self.batch)) {
            return Ok(());
        }
        Err(SparkError::new("STDS_OFFSET_LOG_UNAVAILABLE")
            .with("batchId", self.batch.to_string())
            .with("checkpointLocation", self.location.clone()))
    }
}

fn none_committed(location: &str) -> SparkError {
    SparkError::new("STDS_COMMITTED_BATCH_UNAVAILABLE").with("checkpointLocation", location)
}

fn last_committed(storage: &StorageRef, checkpoint: &Path, location: &str) -> Result<i64> {
    let (_, commits) = logs_of(storage, checkpoint);
    match commits.batches()?.last() {
        Some(batch) => Ok(batch.0),
        None => Err(none_committed(location)),
    }
}
