//! `StatefulAggregateExec`: evaluates keys and arguments, feeds the groups, emits.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions},
        compute::cast,
        datatypes::{DataType, SchemaRef, TimestampMicrosecondType},
    },
    catalog::Session,
    common::{DFSchema, Result, internal_datafusion_err},
    execution::SendableRecordBatchStream,
    logical_expr::{Expr, UserDefinedLogicalNodeCore, expr::NullTreatment},
    physical_plan::{ExecutionPlan, PhysicalExpr},
};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{
    batch::{Counts, Emission, Frame, Rows},
    buffer_set::Arguments,
    groups::Groups,
    piece_groups::{PieceGrouping, PieceGroups},
    spec::{Sessions, Spec},
};
use crate::{
    SparkError,
    operators::{
        PieceByPiece,
        aggregate::{AggregateCall, SparkAggregate},
        stateful::{
            InputRows, StateKeeper, StateOperatorMetrics, StatefulExec, StatefulNode, StatefulOperator, once,
        },
        time_window::window_column,
    },
    plan::StatefulAggregate,
    query::BatchContext,
};

/// A stateful aggregate over planned expressions.
#[derive(Debug)]
pub(crate) struct AggregateNode {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    time: Option<Arc<dyn PhysicalExpr>>,
    /// Each row's own session.
    session: Option<Arc<dyn PhysicalExpr>>,
    /// Place of the fused window or the session in the output.
    window_position: Option<usize>,
    aggregates: Vec<Aggregate>,
    keeper: Arc<StateKeeper<Spec>>,
}

/// One aggregate call over physical expressions.
#[derive(Debug, Clone)]
struct Aggregate {
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
}

/// Rows on their way into the groups.
enum Chunk {
    Rows(Rows),
    Groups(PieceGroups),
}

type Chunks = BoxStream<'static, Result<Chunk>>;

impl AggregateNode {
    /// Plans the logical node over its planned input.
    ///
    /// # Errors
    /// Expressions that cannot be planned, types that cannot be kept, aggregate functions
    /// that are not ours, and a session without a [`StateLocation`].
    pub(crate) fn plan(
        node: &StatefulAggregate,
        schema: &DFSchema,
        input: Arc<dyn ExecutionPlan>,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let location = StatefulExec::location(session)?;
        let physical = |expr: &Expr| session.create_physical_expr(expr.clone(), schema);
        let keys = node.keys().iter().map(|(e, _)| physical(e)).collect::<Result<Vec<_>>>()?;
        let key_types =
            keys.iter().map(|k| k.data_type(input.schema().as_ref())).collect::<Result<Vec<_>>>()?;
        let time = node.window().map(|w| physical(&w.time)).transpose()?;
        let session_window = node.session().map(|s| physical(&s.session)).transpose()?;
        let (mut calls, mut aggregates) = (Vec::new(), Vec::new());
        for (expr, _) in node.aggregates() {
            let (call, aggregate) = plan_call(expr, &physical, input.schema().as_ref())?;
            calls.push(call);
            aggregates.push(aggregate);
        }
        let output = Arc::clone(UserDefinedLogicalNodeCore::schema(node).inner());
        let window_position = node.window().map(|w| w.position).or(node.session().map(|s| s.position));
        let named_window = window_position.map(|at| (at, location.shown_name(output.field(at).name())));
        let spec = Spec {
            key_types,
            key_names: node.keys().iter().map(|(_, name)| location.shown_name(name)).collect(),
            window_column: named_window,
            calls,
            window: node.window().map(|w| w.spec),
            sessions: node.session().map(|s| Sessions { local_merge: s.local_merge }),
            event_time: node.event_time(),
            mode: node.output_mode(),
        };
        let keeper = Arc::new(StateKeeper::new(spec, node.operator_id(), &location)?);
        let planned = Self { keys, time, session: session_window, window_position, aggregates, keeper };
        Ok(Arc::new(StatefulExec::new(Arc::new(planned), vec![input], output)))
    }

    /// Evaluates every expression over a batch of input.
    fn rows(&self, batch: &RecordBatch) -> Result<Rows> {
        let len = batch.num_rows();
        let column = |e: &Arc<dyn PhysicalExpr>| e.evaluate(batch)?.into_array(len);
        let time = match &self.time {
            None => None,
            Some(time) => Some(
                column(time)?
                    .as_primitive_opt::<TimestampMicrosecondType>()
                    .ok_or_else(|| internal_datafusion_err!("the window's time is no timestamp"))?
                    .clone(),
            ),
        };
        let session = match &self.session {
            None => None,
            Some(session) => Some(
                column(session)?
                    .as_struct_opt()
                    .ok_or_else(|| internal_datafusion_err!("the session is no struct"))?
                    .clone(),
            ),
        };
        let calls = &self.keeper.definition().calls;
        let arguments = self.aggregates.iter().zip(calls).map(|(aggregate, call)| {
            let columns = aggregate.arguments.iter().map(column).collect::<Result<Vec<_>>>()?;
            let filter = match &aggregate.filter {
                None => None,
                Some(filter) => {
                    let mask = column(filter)?;
                    let mask = if mask.data_type() == &DataType::Null {
                        cast(&mask, &DataType::Boolean)?
                    } else {
                        mask
                    };
                    let mask = mask.as_boolean_opt().cloned();
                    Some(
                        mask.ok_or_else(|| internal_datafusion_err!("an aggregate's filter is not boolean"))?,
                    )
                }
            };
            Ok(Arguments { columns: call.cast_arguments(columns)?, filter })
        });
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let keys = self.keys.iter().map(column).collect::<Result<Vec<_>>>()?;
        Ok(Rows { len, keys, time, session, arguments })
    }

    /// Lays emitted groups out as the node's output.
    fn output(&self, emission: Emission, schema: SchemaRef) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = emission.keys;
        if let (Some(position), Some((starts, ends))) = (self.window_position, emission.windows) {
            let DataType::Struct(fields) = schema.field(position).data_type() else {
                return Err(internal_datafusion_err!("the window column is no struct"));
            };
            columns.insert(position, window_column(fields, starts, ends)?);
        }
        columns.extend(emission.results);
        let options = RecordBatchOptions::new().with_row_count(Some(emission.len));
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }

    /// What is ready to be put into the groups, of the rows of one piece.
    fn chunks(self: Arc<Self>, rows: SendableRecordBatchStream) -> Result<Chunks> {
        let grouping = |node: &Self| PieceGrouping::new(node.keeper.definition());
        let groups = grouping(&self)?;
        let chunks =
            stream::try_unfold((self, rows, groups), move |(node, mut rows, mut groups)| async move {
                while let Some(batch) = rows.try_next().await? {
                    let evaluated = node.rows(&batch)?;
                    let Some(open) = &mut groups else {
                        return Ok(Some((Chunk::Rows(evaluated), (node, rows, groups))));
                    };
                    if let Some(evaluated) = open.offer(evaluated)? {
                        groups = None;
                        return Ok(Some((Chunk::Rows(evaluated), (node, rows, groups))));
                    }
                    if open.is_full()
                        && let Some(full) = std::mem::replace(&mut groups, grouping(&node)?)
                        && let Some(piece) = full.finish()?
                    {
                        return Ok(Some((Chunk::Groups(piece), (node, rows, groups))));
                    }
                }
                let last = groups.take().map(PieceGrouping::finish).transpose()?.flatten();
                Ok(last.map(|piece| (Chunk::Groups(piece), (node, rows, groups))))
            });
        Ok(chunks.boxed())
    }

    /// Runs a batch: all input, then the emission.
    async fn emit(
        self: Arc<Self>,
        mut chunks: Chunks,
        context: Arc<BatchContext>,
        schema: SchemaRef,
    ) -> Result<RecordBatch> {
        let batch = context.batch_id;
        let frame = self.keeper.definition().frame(batch, self.keeper.begin(&context)?);
        while let Some(chunk) = chunks.try_next().await? {
            self.keeper.update(batch, |groups| match &chunk {
                Chunk::Rows(rows) => groups.update(rows, &frame),
                Chunk::Groups(piece) => groups.merge(piece, &frame),
            })?;
        }
        let emission =
            self.keeper.finish(batch, frame.evict, |groups, metrics| finish(groups, &frame, metrics))?;
        self.output(emission, schema)
    }
}

/// Ends a batch and fills in its metrics.
fn finish(
    groups: &mut Box<dyn Groups>,
    frame: &Frame,
    metrics: &mut StateOperatorMetrics,
) -> crate::Result<Emission> {
    let (emission, counts) = groups.finish(frame)?;
    let Counts { total, updated, removed, dropped, offered, applied, late, null_time } = counts;
    metrics.num_rows_total = total;
    metrics.num_rows_updated = updated;
    metrics.num_rows_removed = removed;
    metrics.num_rows_dropped_by_watermark = dropped;
    metrics.custom_metrics = vec![
        ("rowWindowsOffered".to_string(), offered),
        ("rowWindowsApplied".to_string(), applied),
        ("rowWindowsLate".to_string(), late),
        ("rowWindowsNullTime".to_string(), null_time),
    ];
    Ok(emission)
}

/// Plans one aggregate expression.
fn plan_call(
    expr: &Expr,
    physical: &impl Fn(&Expr) -> Result<Arc<dyn PhysicalExpr>>,
    input: &datafusion::arrow::datatypes::Schema,
) -> Result<(AggregateCall, Aggregate)> {
    let Expr::AggregateFunction(function) = expr.clone().unalias_nested().data else {
        return Err(internal_datafusion_err!("{expr} is no aggregate function"));
    };
    let params = function.params;
    let Some(ours) = SparkAggregate::of(&function.func) else {
        let feature = format!("the aggregate function `{}` over a stream", function.func.name());
        return Err(SparkError::unsupported(feature).into());
    };
    if !params.order_by.is_empty() {
        return Err(SparkError::unsupported("ORDER BY inside an aggregate function over a stream").into());
    }
    let arguments = params.args.iter().map(physical).collect::<Result<Vec<_>>>()?;
    let types = arguments.iter().map(|a| a.data_type(input)).collect::<Result<Vec<_>>>()?;
    let ignore_nulls = params.null_treatment == Some(NullTreatment::IgnoreNulls);
    let call = ours.call(&types, params.distinct, ignore_nulls)?;
    let filter = params.filter.as_deref().map(physical).transpose()?;
    Ok((call, Aggregate { arguments, filter }))
}

impl StatefulNode for AggregateNode {
    fn name(&self) -> &'static str {
        "StatefulAggregateExec"
    }

    fn operator(&self) -> Arc<dyn StatefulOperator> {
        Arc::clone(&self.keeper) as Arc<dyn StatefulOperator>
    }

    fn expressions(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        let arguments = self.aggregates.iter().flat_map(|a| a.arguments.iter().chain(&a.filter));
        self.keys.iter().chain(&self.time).chain(&self.session).chain(arguments).collect()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.keeper.definition();
        let keys: Vec<_> = self.keys.iter().map(ToString::to_string).collect();
        let calls: Vec<_> = spec.calls.iter().map(AggregateCall::name).collect();
        write!(f, "keys=[{}]", keys.join(", "))?;
        if let (Some(window), Some(time)) = (spec.window, &self.time) {
            write!(f, ", window=[{time}, {} us, {} us]", window.duration(), window.slide())?;
        }
        if let Some(session) = &self.session {
            write!(f, ", session={session}")?;
        }
        write!(f, ", aggregates=[{}], {}", calls.join(", "), spec.mode)
    }

    fn run(
        self: Arc<Self>,
        inputs: Vec<InputRows>,
        batch: Arc<BatchContext>,
        schema: SchemaRef,
    ) -> InputRows {
        let node = Arc::clone(&self);
        let rows = stream::iter(inputs).flatten().map(move |rows| Ok(Chunk::Rows(node.rows(&rows?)?)));
        once(self.emit(rows.boxed(), batch, schema))
    }

    fn run_pieces(
        self: Arc<Self>,
        pieces: PieceByPiece,
        batch: Arc<BatchContext>,
        schema: SchemaRef,
    ) -> InputRows {
        let node = Arc::clone(&self);
        let chunks = pieces.each(move |rows| Arc::clone(&node).chunks(rows));
        once(self.emit(chunks.boxed(), batch, schema))
    }
}
