//! Numbers scans, watermarks and stateful operators, and puts in their running forms.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::SchemaRef,
    catalog::{Session, TableProvider},
    common::{
        Result as DataFusionResult,
        tree_node::{Transformed, TreeNode},
    },
    datasource::{TableType, provider_as_source},
    logical_expr::{Aggregate, Expr, Extension, LogicalPlan},
    physical_plan::ExecutionPlan,
};

use super::{is_streaming, stream_scan};
use crate::{
    Result, operators::StreamScanExec, plan::EventTimeWatermark, sink::OutputMode, source::SourceSpec,
};

/// A plan ready for optimisation, and what its numbers mean.
pub(super) struct Rewritten {
    pub plan: LogicalPlan,
    pub scans: Vec<SourceSpec>,
    pub watermark_delays_ms: Vec<i64>,
}

/// Rewrites `plan` bottom-up, left to right.
pub(super) fn rewrite(plan: LogicalPlan, mode: OutputMode) -> Result<Rewritten> {
    let mut scans = Vec::new();
    let mut delays = Vec::new();
    let mut operators = 0;
    let plan = plan.transform_up(|node| {
        if let Some(spec) = stream_scan(&node) {
            let ordinal = scans.len();
            scans.push(spec.clone());
            return numbered_scan(node, spec, ordinal);
        }
        match node {
            LogicalPlan::Extension(Extension { node: extension }) => {
                let watermark = extension.as_any().downcast_ref::<EventTimeWatermark>();
                match watermark.filter(|w| reads_stream(w.input())) {
                    Some(watermark) => {
                        let numbered = watermark.with_ordinal(delays.len());
                        delays.push(watermark.delay_ms());
                        Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(numbered) })))
                    }
                    None => Ok(Transformed::no(LogicalPlan::Extension(Extension { node: extension }))),
                }
            }
            LogicalPlan::Aggregate(aggregate) if reads_stream(&aggregate.input) => {
                let stateful = stateful_aggregate(&aggregate, operators, mode)?;
                operators += 1;
                Ok(Transformed::yes(stateful))
            }
            other => Ok(Transformed::no(other)),
        }
    })?;
    Ok(Rewritten { plan: plan.data, scans, watermark_delays_ms: delays })
}

fn stateful_aggregate(
    _aggregate: &Aggregate,
    _operator: usize,
    _mode: OutputMode,
) -> DataFusionResult<LogicalPlan> {
    Err(crate::SparkError::unsupported("an aggregate over a stream").into())
}

/// Whether a plan that may already be rewritten reads a stream.
fn reads_stream(plan: &LogicalPlan) -> bool {
    if is_streaming(plan) {
        return true;
    }
    if let LogicalPlan::TableScan(scan) = plan
        && let Ok(provider) = datafusion::datasource::source_as_provider(&scan.source)
    {
        return provider.is::<NumberedScan>();
    }
    plan.inputs().into_iter().any(reads_stream)
}

fn numbered_scan(
    node: LogicalPlan,
    spec: SourceSpec,
    ordinal: usize,
) -> DataFusionResult<Transformed<LogicalPlan>> {
    let LogicalPlan::TableScan(mut scan) = node else { return Ok(Transformed::no(node)) };
    scan.source = provider_as_source(Arc::new(NumberedScan { spec, ordinal }));
    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
}

/// A scan that knows which source of the query it reads.
#[derive(Debug)]
struct NumberedScan {
    spec: SourceSpec,
    ordinal: usize,
}

#[async_trait]
impl TableProvider for NumberedScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let scan = StreamScanExec::try_new(self.ordinal, &self.spec.format, &self.spec.schema, projection)?;
        Ok(Arc::new(scan))
    }
}
