//! `NondeterministicExec`: appends columns that depend on a row's place.
//!
//! Each partition of each execution starts anew, so that a batch run again draws the same
//! numbers, as in Spark.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch},
        datatypes::SchemaRef,
    },
    common::Result,
    logical_expr::UserDefinedLogicalNodeCore,
    physical_plan::{ExecutionPlan, PhysicalExpr},
};

use super::{
    XorShiftRandom,
    rowwise::{Change, Rowwise, RowwiseExec},
};
use crate::plan::{Nondeterministic, RowFunction};

/// The input's columns and those of the functions.
#[derive(Debug)]
pub(super) struct NondeterministicNode {
    functions: Vec<RowFunction>,
}

impl NondeterministicNode {
    /// Plans the logical node over its planned input.
    pub(super) fn plan(node: &Nondeterministic, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        RowwiseExec::plan(Self { functions: node.functions().collect() }, input, node.schema().inner())
    }
}

impl Rowwise for NondeterministicNode {
    fn name(&self) -> &'static str {
        "NondeterministicExec"
    }

    fn expressions(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        Vec::new()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.functions)
    }

    fn counts_rows(&self) -> bool {
        true
    }

    fn keeps_rows(&self) -> bool {
        true
    }

    fn begin(&self, partition: usize, schema: &SchemaRef) -> Result<Change> {
        let schema = Arc::clone(schema);
        let mut drawers: Vec<Drawer> = self.functions.iter().map(|f| Drawer::new(*f, partition)).collect();
        Ok(Box::new(move |batch| {
            let mut columns = batch.columns().to_vec();
            columns.extend(drawers.iter_mut().map(|drawer| drawer.draw(batch.num_rows())));
            Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
        }))
    }
}

/// One function on the rows of one partition.
enum Drawer {
    Rand(XorShiftRandom),
    Randn(XorShiftRandom),
    NextId(i64),
    Constant(i32),
}

impl Drawer {
    fn new(function: RowFunction, partition: usize) -> Self {
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let random = |seed: i64| XorShiftRandom::new(seed.wrapping_add(i64::from(partition)));
        match function {
            RowFunction::Rand(seed) => Self::Rand(random(seed)),
            RowFunction::Randn(seed) => Self::Randn(random(seed)),
            RowFunction::MonotonicallyIncreasingId => Self::NextId(i64::from(partition) << 33),
            RowFunction::SparkPartitionId => Self::Constant(partition),
        }
    }

    fn draw(&mut self, rows: usize) -> ArrayRef {
        match self {
            Self::Rand(random) => {
                Arc::new((0..rows).map(|_| Some(random.next_double())).collect::<Float64Array>())
            }
            Self::Randn(random) => {
                Arc::new((0..rows).map(|_| Some(random.next_gaussian())).collect::<Float64Array>())
            }
            Self::NextId(next) => {
                let first = *next;
                *next += i64::try_from(rows).unwrap_or(i64::MAX);
                Arc::new(Int64Array::from_iter_values(first..*next))
            }
            Self::Constant(value) => Arc::new(Int32Array::from_value(*value, rows)),
        }
    }
}
