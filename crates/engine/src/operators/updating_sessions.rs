//! `UpdatingSessionsExec`: merges the sessions of a batch query.
//!
//! Reads its whole input into memory and gives one partition, sorted by key and start.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array},
        compute::{concat_batches, take},
        datatypes::{SchemaRef, TimestampMicrosecondType},
    },
    catalog::Session,
    common::{DFSchema, Result, internal_datafusion_err, tree_node::TreeNodeRecursion},
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr,
        PlanProperties, ReplaceChildrenOptions,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{TryStreamExt, stream};

use super::time_window::window_column;
use crate::{plan::UpdatingSessions, state::KeyTable};

/// See [`UpdatingSessions`].
#[derive(Debug, Clone)]
pub struct UpdatingSessionsExec {
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    session: usize,
    properties: Arc<PlanProperties>,
}

impl UpdatingSessionsExec {
    /// Plans the logical node over its planned input.
    ///
    /// # Errors
    /// When a key cannot be planned.
    pub fn plan(
        node: &UpdatingSessions,
        schema: &DFSchema,
        input: Arc<dyn ExecutionPlan>,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let keys = node.keys().iter().map(|key| session.create_physical_expr(key.clone(), schema));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let session = schema.index_of_column(node.session())?;
        let properties = properties(&input.schema());
        Ok(Arc::new(Self { input, keys, session, properties }))
    }

    /// All rows with their merged sessions.
    fn merged(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let wrong = || internal_datafusion_err!("the session column is no struct of timestamps");
        let sessions = rows.columns().get(self.session).and_then(|c| c.as_struct_opt()).ok_or_else(wrong)?;
        let fields = sessions.fields();
        let edge = |i: usize| {
            let column = sessions.columns().get(i).ok_or_else(wrong)?;
            column.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(wrong)
        };
        let (starts, ends) = (edge(0)?.values(), edge(1)?.values());
        let ranks = self.ranks(rows)?;
        let mut order: Vec<u32> = (0..u32::try_from(rows.num_rows()).map_err(|_| wrong())?).collect();
        order.sort_by_key(|row| {
            let row = *row as usize;
            (ranks[row], starts[row], ends[row])
        });
        let (mut merged_starts, mut merged_ends) = (Vec::with_capacity(order.len()), vec![0; order.len()]);
        let mut first = 0;
        let mut current: Option<(u32, i64, i64)> = None;
        for (place, row) in order.iter().enumerate() {
            let row = *row as usize;
            current = match current {
                Some((rank, start, end)) if rank == ranks[row] && starts[row] <= end => {
                    Some((rank, start, end.max(ends[row])))
                }
                before => {
                    if let Some((_, _, end)) = before {
                        merged_ends[first..place].fill(end);
                    }
                    first = place;
                    Some((ranks[row], starts[row], ends[row]))
                }
            };
            merged_starts.extend(current.map(|(_, start, _)| start));
        }
        if let Some((_, _, end)) = current {
            merged_ends[first..].fill(end);
        }
        let order = UInt32Array::from(order);
        let mut columns =
            rows.columns().iter().map(|c| take(c, &order, None)).collect::<Result<Vec<ArrayRef>, _>>()?;
        columns[self.session] = window_column(fields, merged_starts, merged_ends)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        Ok(RecordBatch::try_new_with_options(rows.schema(), columns, &options)?)
    }

    /// The place of each row's key among the sorted keys.
    fn ranks(&self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let columns = self.keys.iter().map(|k| k.evaluate(rows)?.into_array(rows.num_rows()));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let types: Vec<_> = columns.iter().map(|c| c.data_type().clone()).collect();
        let mut table = KeyTable::new(&types)?;
        let mut ids = Vec::new();
        table.intern(&columns, rows.num_rows(), &mut ids)?;
        let mut sorted = ids.clone();
        table.sort_unique(&mut sorted);
        let mut ranks = vec![0; table.capacity()];
        for (rank, id) in sorted.iter().enumerate() {
            ranks[*id as usize] = u32::try_from(rank).unwrap_or(u32::MAX);
        }
        Ok(ids.into_iter().map(|id| ranks[id as usize]).collect())
    }

    async fn run(self, inputs: Vec<SendableRecordBatchStream>) -> Result<RecordBatch> {
        let mut batches = Vec::new();
        for input in inputs {
            batches.extend(input.try_collect::<Vec<_>>().await?);
        }
        self.merged(&concat_batches(&self.schema(), &batches)?)
    }
}

fn properties(schema: &SchemaRef) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(Arc::clone(schema)),
        Partitioning::UnknownPartitioning(1),
        EmissionType::Final,
        Boundedness::Bounded,
    ))
}

impl DisplayAs for UpdatingSessionsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.keys.iter().map(ToString::to_string).collect();
        write!(f, "UpdatingSessionsExec: keys=[{}]", keys.join(", "))
    }
}

impl ExecutionPlan for UpdatingSessionsExec {
    fn name(&self) -> &str {
        "UpdatingSessionsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for key in &self.keys {
            if f(key)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| internal_datafusion_err!("sessions without input"))?;
        let properties = properties(&input.schema());
        Ok(Arc::new(Self { input, properties, ..self.as_ref().clone() }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(internal_datafusion_err!("merged sessions have one partition"));
        }
        let partitions = self.input.properties().partitioning.partition_count();
        let inputs = (0..partitions)
            .map(|i| self.input.execute(i, Arc::clone(&context)))
            .collect::<Result<Vec<_>>>()?;
        let merged = stream::once(self.clone().run(inputs));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), merged)))
    }
}
