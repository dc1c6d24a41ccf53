//! The leaf of a streaming plan.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::SchemaRef,
    catalog::{Session, TableProvider},
    common::Result,
    datasource::{TableType, provider_as_source},
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder},
    physical_plan::ExecutionPlan,
};

use crate::source::SourceSpec;

/// A streaming read inside a logical plan.
///
/// It holds no data and no position: a query gives each scan of its plan, left to right,
/// a source of its own (`sources/0`, `sources/1`, ...).
#[derive(Debug)]
pub struct StreamScan {
    spec: SourceSpec,
    repeats: bool,
}

impl StreamScan {
    /// A scan of `spec` as a plan whose columns carry `spec.schema`'s names under the
    /// table name `table`.
    pub fn plan(spec: SourceSpec, table: &str) -> Result<LogicalPlan> {
        LogicalPlanBuilder::scan(table, provider_as_source(Arc::new(Self { spec, repeats: false })), None)?
            .build()
    }

    /// The same scan once more: it reads what the scan of the same table name reads, and counts
    /// no rows. The planner makes one where Spark's optimiser has a plan twice.
    #[must_use]
    pub fn repeated(&self) -> Self {
        Self { spec: self.spec.clone(), repeats: true }
    }

    /// Whether it is one of those.
    pub fn repeats(&self) -> bool {
        self.repeats
    }

    /// What is read.
    pub fn spec(&self) -> &SourceSpec {
        &self.spec
    }
}

#[async_trait]
impl TableProvider for StreamScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Only the streaming planner may plan a stream: a batch query gets Spark's error.
    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(crate::query::planner::without_start().into())
    }
}
