//! Reading the state in a checkpoint as a table: `spark.read.format("statestore")` and
//! `format("state-metadata")`.
//!
//! Nothing of the query is needed: files say what their rows mean ([`super::StateLayout`]).
//! `Spark differs:` state is not split into partitions here, so `partition_id` is 0 and a
//! snapshot of one partition cannot be chosen; a join has one store a side, so its four
//! stores of Spark cannot be read by name.

mod metadata;
mod options;
mod rows;
mod shape;
mod window_changes;

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StructArray},
    buffer::NullBuffer,
    compute::concat_batches,
    datatypes::{Field, Schema},
};

pub use metadata::{read_state_metadata, state_metadata_schema};
use options::{DEFAULT_STORE, StateReadOptions};
use rows::Rows;

use super::{Header, OperatorMetadata, StateFileName, StateLayout, StateLog};
use crate::{Result, SparkError, checkpoint::storage::StorageRef, format::Options};

/// The state that options ask for, with Spark's columns.
///
/// # Errors
/// The `STDS_` classes for wrong options, checkpoints without committed batches, operators
/// and stores that are not there; damaged files.
pub fn read_state(storage: &StorageRef, path: Option<&str>, options: &Options) -> Result<RecordBatch> {
    let read = StateReadOptions::parse(storage, path, options)?;
    read.check_batch(storage)?;
    let log = store_log(storage, &read, options.get("stateVarName").is_some())?;
    match read.changes {
        None => {
            let mut rows = match read.snapshot {
                None => Rows::read(&log, read.batch + 1)?,
                Some((batch, partition)) => since_snapshot(&log, &read, batch, partition)?,
            };
            let live = rows.live()?;
            let shown = shape::show(&rows, &live, false)?;
            let len = shown.key.len();
            table(vec![], shown.key, shown.value, len)
        }
        Some((start, end)) => change_feed(&log, start, end),
    }
}

/// The state asked for, from the snapshot after `batch` and the changes since.
///
/// Spark differs: a snapshot is written a part with each of some batches, and can be read from
/// the batch on that wrote its last part; there is one partition.
fn since_snapshot(log: &StateLog, read: &StateReadOptions, batch: i64, partition: i64) -> Result<Rows> {
    if partition != 0 {
        let state = read.checkpoint.join("state");
        return Err(SparkError::new("CANNOT_LOAD_STATE_STORE.SNAPSHOT_PARTITION_ID_NOT_FOUND")
            .with("snapshotPartitionId", partition.to_string())
            .with("operatorId", read.operator.to_string())
            .with("checkpointLocation", format!("file:{}", state.display())));
    }
    match log.files_since(batch + 1, read.batch + 1)? {
        Some(files) => Rows::of_files(log, files),
        None => {
            let file = log.dir().join(format!("{}.snapshot", batch + 1));
            Err(SparkError::new("CANNOT_LOAD_STATE_STORE.CANNOT_READ_MISSING_SNAPSHOT_FILE")
                .with("fileToRead", file.display().to_string())
                .with("clazz", "StateLog"))
        }
    }
}

/// What each batch from `start` to `end` changed.
fn change_feed(log: &StateLog, start: i64, end: i64) -> Result<RecordBatch> {
    let mut rows = if start > 0 {
        let mut rows = Rows::read(log, start)?;
        rows.live()?;
        rows
    } else {
        let name = StateFileName::change(1);
        let file = log.read_any(&name)?;
        let nothing_yet = Header { evicted: None, aged: None, ..file.header.clone() };
        Rows::new(&nothing_yet, file.schema(&log.path(&name))?)?
    };
    let overlap = matches!(rows.layout(), StateLayout::Windows { duration, slide, .. } if duration != slide);
    let mut batches = vec![];
    for batch in start..=end {
        let (updated, removed) = if overlap {
            window_changes::advance(&mut rows, log, batch + 1)?
        } else {
            let change = rows.advance(log, batch + 1)?;
            (shape::show(&rows, &change.updated, true)?, shape::show(&rows, &change.removed, true)?)
        };
        let (ours, gone) = (updated.key.len(), removed.key.len());
        let nothing = StructArray::try_new_with_length(
            removed.value.fields().clone(),
            removed.value.columns().to_vec(),
            Some(NullBuffer::new_null(gone)),
            gone,
        )?;
        for (key, value, len, kind) in
            [(updated.key, updated.value, ours, (ours, 0)), (removed.key, nothing, gone, (0, gone))]
        {
            let ids: ArrayRef = Arc::new(Int64Array::from_value(batch, len));
            let before = vec![("batch_id", ids), ("change_type", shape::change_types(kind.0, kind.1))];
            batches.push(table(before, key, value, len)?);
        }
    }
    let schema =
        batches.first().map(RecordBatch::schema).ok_or_else(|| SparkError::internal("no batches"))?;
    Ok(concat_batches(&schema, &batches)?)
}

fn table(
    before: Vec<(&str, ArrayRef)>,
    key: StructArray,
    value: StructArray,
    len: usize,
) -> Result<RecordBatch> {
    let mut columns = before;
    columns.push(("key", Arc::new(key)));
    columns.push(("value", Arc::new(value)));
    columns.push(("partition_id", Arc::new(Int32Array::from_value(0, len))));
    let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    Ok(RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, c)| c).collect())?)
}

/// The log of the store that is asked for.
fn store_log(storage: &StorageRef, read: &StateReadOptions, names_variable: bool) -> Result<StateLog> {
    let failed =
        || SparkError::new("STDS_FAILED_TO_READ_STATE_SCHEMA").with("sourceOptions", read.to_string());
    let dir = read.checkpoint.join("state").join(read.operator.to_string());
    let metadata = OperatorMetadata::read(storage.as_ref(), &dir).map_err(|_| failed())?;
    let joins = metadata.operator_name() == "symmetricHashJoin";
    let known = metadata.stores().any(|(name, ..)| name == read.store);
    if names_variable || (!known && read.store != DEFAULT_STORE) {
        // Spark takes an unknown store for a variable.
        let message = format!(
            "Providing state variable names is only supported with the transformWithState operator. Found operator={}. Please remove this option and re-run the query.",
            metadata.operator_name()
        );
        return Err(SparkError::new("STDS_INVALID_OPTION_VALUE.WITH_MESSAGE")
            .with("optionName", "stateVarName")
            .with("message", message));
    }
    let dir = match (joins, read.side) {
        (true, Some(side)) => dir.join(side.name()),
        (true, None) if known => {
            let feature = format!("reading the store `{}` of a join: use the option joinSide", read.store);
            return Err(SparkError::unsupported(feature));
        }
        (false, None) if read.store == DEFAULT_STORE => dir,
        _ => return Err(failed()),
    };
    Ok(StateLog::new(Arc::clone(storage), dir))
}
