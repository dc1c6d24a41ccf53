//! `spark.read.format("state-metadata")`: the operators of a checkpoint and their stores.

use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use super::options::checkpoint_of;
use crate::{
    Result,
    checkpoint::{
        logs_of,
        storage::{StorageRef, read_failed},
    },
    query::BatchId,
    state::OperatorMetadata,
};

/// The columns. `Spark differs:` it has the hidden column `_numColsPrefixKey` too.
pub fn state_metadata_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("operatorId", DataType::Int64, true),
        Field::new("operatorName", DataType::Utf8, true),
        Field::new("stateStoreName", DataType::Utf8, true),
        Field::new("numPartitions", DataType::Int32, true),
        Field::new("minBatchId", DataType::Int64, true),
        Field::new("maxBatchId", DataType::Int64, true),
        Field::new("operatorProperties", DataType::Utf8, true),
    ]))
}

/// A row for each store of each operator.
///
/// # Errors
/// No path, and damaged metadata; a checkpoint that is not there has no rows.
pub fn read_state_metadata(storage: &StorageRef, path: Option<&str>) -> Result<RecordBatch> {
    let (checkpoint, _) = checkpoint_of(path)?;
    let root = checkpoint.join("state");
    let entries = storage.list(&root).map_err(|e| read_failed(&root, e))?;
    let mut operators: Vec<i64> = entries.iter().filter_map(|entry| entry.name.parse().ok()).collect();
    operators.sort_unstable();
    let (_, commits) = logs_of(storage, &checkpoint);
    let batches = commits.batches()?;
    let batch = |one: Option<&BatchId>| one.map_or(-1, |batch| batch.0);
    let (first, last) = (batch(batches.first()), batch(batches.last()));
    let (mut ids, mut names, mut stores, mut partitions) = (vec![], vec![], vec![], vec![]);
    for operator in operators {
        let metadata = OperatorMetadata::read(storage.as_ref(), &root.join(operator.to_string()))?;
        for (store, _, count) in metadata.stores() {
            ids.push(operator);
            names.push(metadata.operator_name().to_string());
            stores.push(store.to_string());
            partitions.push(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }
    let rows = ids.len();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids)),
        Arc::new(StringArray::from(names)),
        Arc::new(StringArray::from(stores)),
        Arc::new(Int32Array::from(partitions)),
        Arc::new(Int64Array::from_value(first, rows)),
        Arc::new(Int64Array::from_value(last, rows)),
        Arc::new(StringArray::new_null(rows)),
    ];
    Ok(RecordBatch::try_new(state_metadata_schema(), columns)?)
}
