//! `SessionWindowExec`: gives each row the session it makes on its own.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch},
        compute::{filter, filter_record_batch},
        datatypes::{DataType, SchemaRef, TimestampMicrosecondType},
    },
    catalog::Session,
    common::{DFSchema, Result, internal_datafusion_err},
    logical_expr::UserDefinedLogicalNodeCore,
    physical_plan::{ExecutionPlan, PhysicalExpr},
};

use super::{
    rowwise::{Change, Rowwise, RowwiseExec},
    time_window::window_column,
};
use crate::plan::SessionWindow;

/// Appends the session column; rows without a session vanish (see [`SessionWindow`]).
#[derive(Debug)]
pub(super) struct SessionWindowNode {
    time: Arc<dyn PhysicalExpr>,
    end: Arc<dyn PhysicalExpr>,
}

impl SessionWindowNode {
    /// Plans the logical node over its planned input.
    ///
    /// # Errors
    /// When an expression cannot be planned.
    pub(super) fn plan(
        node: &SessionWindow,
        schema: &DFSchema,
        input: Arc<dyn ExecutionPlan>,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let time = session.create_physical_expr(node.time().clone(), schema)?;
        let end = session.create_physical_expr(node.end().clone(), schema)?;
        Ok(RowwiseExec::plan(Self { time, end }, input, node.schema().inner()))
    }
}

impl Rowwise for SessionWindowNode {
    fn name(&self) -> &'static str {
        "SessionWindowExec"
    }

    fn expressions(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.time, &self.end]
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "start={}, end={}", self.time, self.end)
    }

    fn begin(&self, _partition: usize, schema: &SchemaRef) -> Result<Change> {
        let (schema, time, end) = (Arc::clone(schema), Arc::clone(&self.time), Arc::clone(&self.end));
        Ok(Box::new(move |batch| {
            let column = |e: &Arc<dyn PhysicalExpr>| e.evaluate(&batch)?.into_array(batch.num_rows());
            add(&batch, &column(&time)?, &column(&end)?, &schema)
        }))
    }
}

/// Adds the sessions of one batch.
fn add(batch: &RecordBatch, time: &ArrayRef, end: &ArrayRef, schema: &SchemaRef) -> Result<RecordBatch> {
    let instants = |array: &ArrayRef| {
        array
            .as_primitive_opt::<TimestampMicrosecondType>()
            .cloned()
            .ok_or_else(|| internal_datafusion_err!("session window over {}", array.data_type()))
    };
    let (starts, ends) = (instants(time)?, instants(end)?);
    let Some(DataType::Struct(fields)) = schema.fields().last().map(|f| f.data_type().clone()) else {
        return Err(internal_datafusion_err!("the session column is no struct"));
    };
    let is_session = |i: usize| starts.is_valid(i) && ends.is_valid(i) && ends.value(i) > starts.value(i);
    let mask: BooleanArray = (0..batch.num_rows()).map(|i| Some(is_session(i))).collect();
    let kept = filter_record_batch(batch, &mask)?;
    let values = |array| {
        Ok::<_, datafusion::error::DataFusionError>(
            filter(array, &mask)?.as_primitive::<TimestampMicrosecondType>().values().to_vec(),
        )
    };
    let mut columns = kept.columns().to_vec();
    columns.push(window_column(&fields, values(&starts)?, values(&ends)?)?);
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
