//! Numbers scans, watermarks and stateful operators, and puts in their running forms.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::SchemaRef,
    catalog::{Session, TableProvider},
    common::{
        Column, DFSchema, Result as DataFusionResult, TableReference,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    datasource::{TableType, provider_as_source, source_as_provider},
    logical_expr::{
        Expr, Extension, FetchType, LogicalPlan, Operator, TableProviderFilterPushDown, utils::conjunction,
    },
    physical_plan::ExecutionPlan,
};

use super::{is_streaming, stream_scan};
use crate::{
    Result, SparkError,
    operators::StreamScanExec,
    plan::{EventTimeWatermark, GlobalLimit, StatefulAggregate, StreamJoin, StreamScan, with_operator_id},
    query::QueryConf,
    sink::OutputMode,
    source::SourceSpec,
};

/// A plan ready for optimisation, and what its numbers mean.
pub(super) struct Rewritten {
    pub plan: LogicalPlan,
    pub scans: Vec<SourceSpec>,
    pub watermark_delays_ms: Vec<i64>,
}

/// Rewrites `plan` bottom-up, left to right.
pub(super) fn rewrite(plan: LogicalPlan, mode: OutputMode, conf: &QueryConf) -> Result<Rewritten> {
    let mut scans = Vec::new();
    let mut delays = Vec::new();
    let mut known = Known::default();
    let plan = plan.transform_up(|node| {
        if repeats(&node) {
            return Ok(Transformed::no(node));
        }
        if let Some(spec) = stream_scan(&node) {
            let ordinal = scans.len();
            scans.push(spec.clone());
            if let LogicalPlan::TableScan(scan) = &node {
                known.scans.insert(scan.table_name.clone(), ordinal);
            }
            return numbered_scan(node, spec, ordinal, true);
        }
        match node {
            LogicalPlan::Extension(Extension { node: extension }) => {
                let watermark = extension.as_any().downcast_ref::<EventTimeWatermark>();
                match watermark.filter(|w| reads_stream(w.input())) {
                    Some(watermark) => {
                        let numbered = watermark.with_ordinal(delays.len());
                        known.watermarks.insert(watermark.column().clone(), delays.len());
                        delays.push(watermark.delay_ms());
                        Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(numbered) })))
                    }
                    None => Ok(Transformed::no(LogicalPlan::Extension(Extension { node: extension }))),
                }
            }
            LogicalPlan::Aggregate(aggregate) if reads_stream(&aggregate.input) => {
                let local_merge = conf.merge_sessions_in_local_partition();
                StatefulAggregate::from_aggregate(&aggregate, 0, mode, local_merge).map(Transformed::yes)
            }
            // Over complete results a limit is a batch's own.
            LogicalPlan::Limit(limit)
                if reads_stream(&limit.input)
                    && (mode == OutputMode::Append || !aggregates(&limit.input)) =>
            {
                let FetchType::Literal(Some(rows)) = limit.get_fetch_type()? else {
                    return Err(SparkError::unsupported("a `limit` that is no number on a stream").into());
                };
                Ok(Transformed::yes(GlobalLimit::plan(Arc::clone(&limit.input), rows)))
            }
            LogicalPlan::Join(join) if reads_stream(&join.left) && reads_stream(&join.right) => {
                StreamJoin::from_join(&join, 0).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        }
    })?;
    let plan = number_operators(known.number_repeated(plan.data)?)?;
    Ok(Rewritten { plan, scans, watermark_delays_ms: delays })
}

/// The numbers of what stands in a plan once more.
#[derive(Debug, Default)]
struct Known {
    scans: HashMap<TableReference, usize>,
    watermarks: HashMap<Column, usize>,
}

impl Known {
    /// Gives what is repeated the number of the first.
    fn number_repeated(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let missing = || datafusion::common::internal_datafusion_err!("a stream repeated that is not read");
        plan.transform_up(|node| match &node {
            LogicalPlan::TableScan(scan) if repeats(&node) => {
                let ordinal = *self.scans.get(&scan.table_name).ok_or_else(missing)?;
                let spec = stream_scan(&node).ok_or_else(missing)?;
                numbered_scan(node, spec, ordinal, false)
            }
            LogicalPlan::Extension(extension) if repeats(&node) => {
                let watermark = extension.node.as_any().downcast_ref::<EventTimeWatermark>();
                let watermark = watermark.ok_or_else(missing)?;
                let ordinal = *self.watermarks.get(watermark.column()).ok_or_else(missing)?;
                let node = Arc::new(watermark.with_ordinal(ordinal));
                Ok(Transformed::yes(LogicalPlan::Extension(Extension { node })))
            }
            _ => Ok(Transformed::no(node)),
        })
        .data()
        .map_err(Into::into)
    }
}

/// Whether a node is one that stands elsewhere in the plan, too.
fn repeats(node: &LogicalPlan) -> bool {
    match node {
        LogicalPlan::TableScan(scan) => source_as_provider(&scan.source)
            .is_ok_and(|provider| provider.downcast_ref::<StreamScan>().is_some_and(StreamScan::repeats)),
        LogicalPlan::Extension(extension) => extension
            .node
            .as_any()
            .downcast_ref::<EventTimeWatermark>()
            .is_some_and(EventTimeWatermark::repeats),
        _ => false,
    }
}

/// Numbers stateful operators from the sink downwards, left before right, as Spark does.
fn number_operators(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut next = 0;
    let numbered = plan.transform_down(|node| {
        let LogicalPlan::Extension(extension) = &node else { return Ok(Transformed::no(node)) };
        if !reads_stream(&node) {
            return Ok(Transformed::no(node));
        }
        match with_operator_id(extension.node.as_ref(), next) {
            None => Ok(Transformed::no(node)),
            Some(numbered) => {
                next += 1;
                Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: numbered })))
            }
        }
    })?;
    Ok(numbered.data)
}

/// Whether a stateful aggregate stands in a rewritten plan.
fn aggregates(plan: &LogicalPlan) -> bool {
    let own = match plan {
        LogicalPlan::Extension(extension) => extension.node.as_any().is::<StatefulAggregate>(),
        _ => false,
    };
    own || plan.inputs().into_iter().any(aggregates)
}

/// Whether a plan that may already be rewritten reads a stream.
fn reads_stream(plan: &LogicalPlan) -> bool {
    if is_streaming(plan) {
        return true;
    }
    if let LogicalPlan::TableScan(scan) = plan
        && let Ok(provider) = source_as_provider(&scan.source)
    {
        return provider.is::<NumberedScan>();
    }
    plan.inputs().into_iter().any(reads_stream)
}

fn numbered_scan(
    node: LogicalPlan,
    spec: SourceSpec,
    ordinal: usize,
    counted: bool,
) -> DataFusionResult<Transformed<LogicalPlan>> {
    let LogicalPlan::TableScan(mut scan) = node else { return Ok(Transformed::no(node)) };
    scan.source = provider_as_source(Arc::new(NumberedScan { spec, ordinal, counted }));
    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
}

/// A scan that knows which source of the query it reads.
#[derive(Debug)]
struct NumberedScan {
    spec: SourceSpec,
    ordinal: usize,
    counted: bool,
}

#[async_trait]
impl TableProvider for NumberedScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Spark hands simple comparisons to the readers of CSV and JSON, which drop rows before
    /// they count as input.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let reads_filters = matches!(self.spec.format.as_str(), "csv" | "json");
        let support = |filter: &&Expr| match reads_filters && is_source_filter(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let schema = &self.spec.schema;
        let mut columns = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let output = columns.len();
        for column in filters.iter().flat_map(Expr::column_refs) {
            let index = schema.index_of(&column.name)?;
            if !columns.contains(&index) {
                columns.push(index);
            }
        }
        // Found in sets: make the order of the columns the same in each run.
        columns.get_mut(output..).unwrap_or_default().sort_unstable();
        let filter = match conjunction(filters.to_vec()) {
            None => None,
            Some(filter) => {
                let read = DFSchema::try_from(schema.project(&columns)?)?;
                Some(state.create_physical_expr(filter, &read)?)
            }
        };
        let scan = StreamScanExec::try_new(self.ordinal, &self.spec.format, schema, columns, output, filter)?;
        Ok(Arc::new(if self.counted { scan } else { scan.uncounted() }))
    }
}

/// What Spark's data source filters can say: comparisons of a column with a literal, and
/// their combinations.
fn is_source_filter(filter: &Expr) -> bool {
    let plain = |e: &Expr| matches!(e, Expr::Column(_) | Expr::Literal(_, _));
    match filter {
        Expr::BinaryExpr(binary) => match binary.op {
            Operator::And | Operator::Or => is_source_filter(&binary.left) && is_source_filter(&binary.right),
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq => plain(&binary.left) && plain(&binary.right),
            _ => false,
        },
        Expr::Not(inner) => is_source_filter(inner),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => plain(inner),
        Expr::InList(list) => plain(&list.expr) && list.list.iter().all(plain),
        _ => false,
    }
}
