//! `TimeWindowExec`: one output row for each window that holds a row.
//!
//! Used in batch queries, and in streams where the window is not fused with an aggregate.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch, StructArray, TimestampMicrosecondArray, UInt32Array},
        compute::take,
        datatypes::{DataType, Fields, SchemaRef, TimestampMicrosecondType},
    },
    catalog::Session,
    common::{DFSchema, Result, internal_datafusion_err},
    logical_expr::UserDefinedLogicalNodeCore,
    physical_plan::{ExecutionPlan, PhysicalExpr},
};

use super::rowwise::{Change, Rowwise, RowwiseExec};
use crate::{plan::TimeWindow, time::WindowSpec};

/// Appends the window column, latest window first; rows whose time is null vanish.
#[derive(Debug)]
pub(super) struct TimeWindowNode {
    time: Arc<dyn PhysicalExpr>,
    spec: WindowSpec,
}

impl TimeWindowNode {
    /// Plans the logical node over its planned input.
    ///
    /// # Errors
    /// When the time expression cannot be planned.
    pub(super) fn plan(
        node: &TimeWindow,
        schema: &DFSchema,
        input: Arc<dyn ExecutionPlan>,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let time = session.create_physical_expr(node.time().clone(), schema)?;
        Ok(RowwiseExec::plan(Self { time, spec: node.spec() }, input, node.schema().inner()))
    }
}

impl Rowwise for TimeWindowNode {
    fn name(&self) -> &'static str {
        "TimeWindowExec"
    }

    fn expressions(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.time]
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (duration, slide, start) = (self.spec.duration(), self.spec.slide(), self.spec.start_time());
        write!(f, "time={}, duration={duration} us, slide={slide} us, start={start} us", self.time)
    }

    fn begin(&self, _partition: usize, schema: &SchemaRef) -> Result<Change> {
        let (schema, time, spec) = (Arc::clone(schema), Arc::clone(&self.time), self.spec);
        Ok(Box::new(move |batch| {
            let time = time.evaluate(&batch)?.into_array(batch.num_rows())?;
            expand(&batch, &time, spec, &schema)
        }))
    }
}

/// Expands one batch.
fn expand(batch: &RecordBatch, time: &ArrayRef, spec: WindowSpec, schema: &SchemaRef) -> Result<RecordBatch> {
    let Some(time) = time.as_primitive_opt::<TimestampMicrosecondType>() else {
        return Err(internal_datafusion_err!("window over {}", time.data_type()));
    };
    let window = schema.fields().last().map(|f| f.data_type().clone());
    let Some(DataType::Struct(fields)) = window else {
        return Err(internal_datafusion_err!("the window column is no struct"));
    };
    let capacity = batch.num_rows();
    let (mut rows, mut starts) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
    for row in 0..batch.num_rows() {
        if time.is_valid(row) {
            for start in spec.starts(time.value(row)) {
                rows.push(row as u32);
                starts.push(start);
            }
        }
    }
    let ends = starts.iter().map(|start| start + spec.duration()).collect();
    let rows = UInt32Array::from(rows);
    let mut columns = batch.columns().iter().map(|c| take(c, &rows, None)).collect::<Result<Vec<_>, _>>()?;
    columns.push(window_column(&fields, starts, ends)?);
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// The struct column of windows; `fields` are `start` and `end` of a timestamp type.
pub(super) fn window_column(fields: &Fields, starts: Vec<i64>, ends: Vec<i64>) -> Result<ArrayRef> {
    let [start, _] = fields.as_ref() else {
        return Err(internal_datafusion_err!("a window has {} fields", fields.len()));
    };
    let edge = |micros: Vec<i64>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(micros).with_data_type(start.data_type().clone()))
    };
    Ok(Arc::new(StructArray::try_new(fields.clone(), vec![edge(starts), edge(ends)], None)?))
}
