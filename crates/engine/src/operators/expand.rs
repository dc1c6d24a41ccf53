//! `ExpandExec`: gives each row once for each grouping set.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, Int64Array, RecordBatch, new_null_array},
        compute::concat_batches,
        datatypes::SchemaRef,
    },
    common::Result,
    logical_expr::UserDefinedLogicalNodeCore,
    physical_plan::{ExecutionPlan, PhysicalExpr},
};

use super::rowwise::{Change, Rowwise, RowwiseExec};
use crate::plan::{Expand, GroupingSetRow};

/// Gives each batch once for each grouping set, with the keys that are not in the set null
/// (see [`Expand`]).
#[derive(Debug)]
pub(super) struct ExpandNode {
    /// Places of the keys among the columns.
    keys: Arc<[usize]>,
    sets: Arc<[GroupingSetRow]>,
}

impl ExpandNode {
    /// Plans the logical node over its planned input.
    ///
    /// # Errors
    /// Internal: the input lost a key.
    pub(super) fn plan(node: &Expand, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let own = Self { keys: node.key_places()?.into(), sets: node.sets().into() };
        Ok(RowwiseExec::plan(own, input, UserDefinedLogicalNodeCore::schema(node).inner()))
    }
}

/// The rows of one set.
fn rows_of(
    batch: &RecordBatch,
    keys: &[usize],
    set: &GroupingSetRow,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    for (key, _) in keys.iter().zip(&set.kept).filter(|(_, kept)| !**kept) {
        if let Some(column) = columns.get_mut(*key) {
            *column = new_null_array(column.data_type(), batch.num_rows());
        }
    }
    columns.push(Arc::new(Int64Array::from_value(set.id, batch.num_rows())));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

impl Rowwise for ExpandNode {
    fn name(&self) -> &'static str {
        "ExpandExec"
    }

    fn expressions(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![]
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sets of {} keys", self.sets.len(), self.keys.len())
    }

    fn begin(&self, _partition: usize, schema: &SchemaRef) -> Result<Change> {
        let (keys, sets, schema) = (Arc::clone(&self.keys), Arc::clone(&self.sets), Arc::clone(schema));
        Ok(Box::new(move |batch| {
            let all = sets.iter().map(|set| rows_of(&batch, &keys, set, &schema));
            let all = all.collect::<Result<Vec<_>>>()?;
            Ok(concat_batches(&schema, &all)?)
        }))
    }
}
