//! `StreamScanExec`: the leaf that hands out this batch's rows of one source.
//!
//! A filter may be handed to it: rows that fail it are not counted as input, as in Spark,
//! where the readers of text formats drop them.
//!
//! The node is made once per run and holds no data: what to read comes from the
//! [`BatchContext`] at every execution, so it can be executed again and again. It has one
//! partition. A small batch is read in place; a large one is read ahead on other tasks,
//! piece by piece, and handed out in the source's order: the rows and their order do not
//! depend on the number of cores.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{RecordBatch, RecordBatchOptions},
        compute::filter_record_batch,
        datatypes::SchemaRef,
    },
    common::{Result, cast::as_boolean_array, internal_datafusion_err, tree_node::TreeNodeRecursion},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::{EquivalenceProperties, Partitioning},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, ReplaceChildrenOptions,
        execution_plan::{Boundedness, EmissionType, SchedulingType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::StreamExt;

use super::{piece_by_piece::PieceRows, scan_pieces::Pieces};
use crate::query::{BatchContext, BatchInput};

/// Reads scan number `ordinal` of a streaming query.
#[derive(Debug)]
pub struct StreamScanExec {
    ordinal: usize,
    /// The rows are input of the batch: no other scan reads them too.
    counted: bool,
    name: String,
    /// Columns to read: those of the output, then those that only the filter needs.
    columns: Vec<usize>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl StreamScanExec {
    /// A scan of the first `output` of the columns `columns` of a source with columns
    /// `schema`; `filter` is over all of `columns`. `name` is shown in plans.
    ///
    /// # Errors
    /// Internal: a column does not exist.
    pub fn try_new(
        ordinal: usize,
        name: &str,
        schema: &SchemaRef,
        columns: Vec<usize>,
        output: usize,
        filter: Option<Arc<dyn PhysicalExpr>>,
    ) -> Result<Self> {
        let shown =
            columns.get(..output).ok_or_else(|| internal_datafusion_err!("{output} of {columns:?}"))?;
        let schema: SchemaRef = Arc::new(schema.project(shown)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Self {
            ordinal,
            counted: true,
            name: name.to_string(),
            columns,
            filter,
            schema,
            properties: Arc::new(properties),
        })
    }

    /// The same scan of rows that another one counts.
    #[must_use]
    pub fn uncounted(self) -> Self {
        Self { counted: false, ..self }
    }

    /// What the scan reads in a batch.
    ///
    /// # Errors
    /// Internal: the batch has no such input.
    pub(super) fn pieces(&self, context: &BatchContext) -> Result<Pieces> {
        let input = self.input(context)?;
        Ok(match self.counted {
            true => Pieces::of(input, &self.columns),
            false => Pieces::again(input, &self.columns),
        })
    }

    /// The input of a batch that the scan reads.
    ///
    /// # Errors
    /// Internal: the batch has no such input.
    pub(super) fn input<'a>(&self, context: &'a BatchContext) -> Result<&'a BatchInput> {
        let ordinal = self.ordinal;
        context
            .inputs
            .get(ordinal)
            .ok_or_else(|| internal_datafusion_err!("no input {ordinal} in this batch"))
    }

    /// Which scan of the query this is, counted left to right.
    pub fn ordinal(&self) -> usize {
        self.ordinal
    }
}

impl DisplayAs for StreamScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.schema.fields().iter().map(|f| f.name().as_str()).collect();
        write!(f, "StreamScanExec: {}, source={}, columns=[{}]", self.name, self.ordinal, names.join(", "))?;
        match &self.filter {
            Some(filter) => write!(f, ", filter={filter}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for StreamScanExec {
    fn name(&self) -> &str {
        "StreamScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        match &self.filter {
            Some(filter) => f(filter),
            None => Ok(TreeNodeRecursion::Continue),
        }
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let context = BatchContext::of(&task)?;
        let (ordinal, counted) = (self.ordinal, self.counted);
        let pieces = match PieceRows::of(&task) {
            Some(piece) => piece.take()?.boxed(),
            None => self.pieces(&context)?.in_order(Arc::clone(&context), ordinal).boxed(),
        };
        let schema = Arc::clone(&self.schema);
        let of = Arc::clone(&schema);
        let filter = self.filter.clone();
        let rows = pieces.map(move |batch| {
            let mut batch = batch?;
            if let Some(filter) = &filter {
                let kept = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
                batch = filter_record_batch(&batch, as_boolean_array(&kept)?)?;
            }
            if let Some(input) = context.inputs.get(ordinal).filter(|_| counted) {
                input.add_rows(batch.num_rows());
            }
            with_schema(batch, &of)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// The first columns under the schema the plan was made with.
fn with_schema(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if Arc::ptr_eq(batch.schema_ref(), schema) {
        return Ok(batch);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().iter().take(schema.fields().len()).cloned().collect();
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
