//! `df.cache()`: the rows of a plan, computed when they are first read and kept until the table goes.
//!
//! # Invariants
//! The plan runs once however many queries read it, also side by side; where it fails, the next
//! reader tries again. Rows come in the plan's order.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    catalog::{Session, TableProvider},
    common::{Result as DfResult, tree_node::TreeNodeRecursion},
    datasource::TableType,
    error::DataFusionError,
    execution::{SendableRecordBatchStream, SessionState, TaskContext},
    logical_expr::{Expr, LogicalPlan},
    physical_expr::{EquivalenceProperties, Partitioning},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use super::execute;
use crate::{Result, sink::relabel, time::Clock};

/// Rows that are kept.
#[derive(Clone)]
pub struct CachedTable(Arc<Inner>);

struct Inner {
    /// What tells the plan from others.
    key: String,
    schema: SchemaRef,
    plan: LogicalPlan,
    state: Arc<SessionState>,
    clock: Arc<dyn Clock>,
    rows: OnceCell<Vec<RecordBatch>>,
}

impl fmt::Debug for CachedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedTable").field("computed", &self.is_computed()).finish_non_exhaustive()
    }
}

impl CachedTable {
    /// The rows of `plan`; nothing is computed yet.
    pub fn new(key: String, plan: LogicalPlan, state: Arc<SessionState>, clock: Arc<dyn Clock>) -> Self {
        let schema = Arc::clone(plan.schema().inner());
        Self(Arc::new(Inner { key, schema, plan, state, clock, rows: OnceCell::new() }))
    }

    /// What tells the plan from others.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The plan whose rows are kept.
    pub fn plan(&self) -> &LogicalPlan {
        &self.0.plan
    }

    /// Whether the rows are there.
    pub fn is_computed(&self) -> bool {
        self.0.rows.initialized()
    }

    /// The rows, computed if nobody has yet.
    ///
    /// # Errors
    /// Those of the plan.
    pub async fn rows(&self) -> Result<&[RecordBatch]> {
        let compute = || async {
            let now = self.0.clock.now().as_micros();
            let rows = execute(&self.0.state, self.0.plan.clone(), now).await?.into_stream();
            let batches: Vec<RecordBatch> = rows.try_collect().await?;
            batches.iter().map(|batch| relabel(&self.0.schema, batch)).collect::<Result<Vec<_>>>()
        };
        Ok(self.0.rows.get_or_try_init(compute).await?)
    }
}

#[async_trait]
impl TableProvider for CachedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.0.schema.fields().len()).collect());
        let schema: SchemaRef = Arc::new(self.0.schema.project(&projection)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Arc::new(InMemoryTableScanExec {
            table: self.clone(),
            projection,
            schema,
            properties: Arc::new(properties),
        }))
    }
}

/// Reads kept rows; Spark's node of the same name.
#[derive(Debug)]
struct InMemoryTableScanExec {
    table: CachedTable,
    projection: Vec<usize>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for InMemoryTableScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.schema.fields().iter().map(|c| c.name().as_str()).collect();
        write!(f, "InMemoryTableScanExec: [{}]", names.join(", "))
    }
}

impl ExecutionPlan for InMemoryTableScanExec {
    fn name(&self) -> &'static str {
        "InMemoryTableScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let (table, projection) = (self.table.clone(), self.projection.clone());
        let rows = stream::once(async move {
            let rows = table.rows().await.map_err(DataFusionError::from)?;
            let projected: Vec<DfResult<RecordBatch>> =
                rows.iter().map(|batch| Ok(batch.project(&projection)?)).collect();
            Ok::<_, DataFusionError>(stream::iter(projected))
        });
        let rows = rows.try_flatten().boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }
}
