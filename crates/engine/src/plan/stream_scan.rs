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
}

impl StreamScan {
    /// A scan of `spec` as a plan whose columns carry `spec.schema`'s names under the
    /// table name `table`.
    pub fn plan(spec: SourceSpec, table: &str) -> Result<LogicalPlan> {
        LogicalPlanBuilder::scan(table, provider_as_source(Arc::new(Self { spec })), None)?.build()
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
