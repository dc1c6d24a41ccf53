//! An aggregate over a stream: groups live on between batches.

use std::{collections::HashSet, fmt, sync::Arc};

use datafusion::{
    arrow::datatypes::DataType,
    common::{Column, DFSchemaRef, Result, internal_datafusion_err},
    logical_expr::{Aggregate, Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};

use super::{
    is_session_window, multiple_event_times, watermark_delay,
    window_fusion::{self, Fused},
};
use crate::{SparkError, sink::OutputMode, time::WindowSpec};

/// Aggregates the rows of each batch into groups kept as state, and emits what the output
/// mode asks for.
///
/// # Invariants
/// The output schema is that of the DataFusion `Aggregate` it replaces: keys in their order
/// (with the fused window at its place), then the aggregates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatefulAggregate {
    input: Arc<LogicalPlan>,
    keys: Vec<(Expr, String)>,
    window: Option<WindowKey>,
    session: Option<SessionKey>,
    aggregates: Vec<(Expr, String)>,
    operator_id: usize,
    output_mode: OutputMode,
    event_time: Option<EventTimeKey>,
    schema: DFSchemaRef,
}

/// A window fused into the aggregate: the input's rows are not expanded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WindowKey {
    /// The timestamp; rows where it is null vanish.
    pub time: Expr,
    /// The windows.
    pub spec: WindowSpec,
    /// Place of the window among all keys of the output.
    pub position: usize,
}

/// A session window among the keys: sessions of the other keys merge.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The struct `{start, end}` of each row's own session.
    pub session: Expr,
    /// Place of the session among all keys of the output.
    pub position: usize,
    /// Whether rows of a batch merge before late ones are dropped
    /// (`spark.sql.streaming.sessionWindow.merge.sessions.in.local.partition`).
    pub local_merge: bool,
}

/// Which key the watermark compares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventTimeKey {
    /// The end of the fused window or of the session.
    Window,
    /// The timestamp in this key (place among the keys without the fused window or session).
    Column(usize),
    /// The `end` of the window struct in this key (place as above).
    WindowColumn(usize),
}

impl PartialOrd for StatefulAggregate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (&self.input, &self.keys, &self.aggregates, self.operator_id).partial_cmp(&(
            &other.input,
            &other.keys,
            &other.aggregates,
            other.operator_id,
        ))
    }
}

impl StatefulAggregate {
    /// Turns a DataFusion aggregate over a stream into a stateful one.
    ///
    /// A [`super::TimeWindow`] right below (projections and filters that leave the window
    /// alone may stand between) is fused, when the window is a key and used nowhere else.
    ///
    /// # Errors
    /// `MULTIPLE_EVENT_TIME_COLUMNS`. Internal: grouping sets, which the planner expands.
    pub fn from_aggregate(
        aggregate: &Aggregate,
        operator_id: usize,
        output_mode: OutputMode,
        local_merge: bool,
    ) -> Result<LogicalPlan> {
        if aggregate.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
            return Err(SparkError::internal("grouping sets of a stream were not expanded").into());
        }
        let schema = &aggregate.schema;
        let name = |i: usize| schema.field(i).name().clone();
        let groups = aggregate.group_expr.len();
        let mut keys: Vec<_> =
            aggregate.group_expr.iter().enumerate().map(|(i, e)| (e.clone(), name(i))).collect();
        let aggregates: Vec<_> =
            aggregate.aggr_expr.iter().enumerate().map(|(i, e)| (e.clone(), name(groups + i))).collect();

        let mut input = Arc::clone(&aggregate.input);
        let mut window = None;
        let mut session = None;
        if let Some(position) = (0..groups).find(|i| is_session_window(schema.field(*i))) {
            let (expr, _) = keys.remove(position);
            session = Some(SessionKey { session: expr, position, local_merge });
        }
        for position in (0..groups).filter(|_| session.is_none()) {
            let Expr::Column(column) = keys[position].0.clone().unalias_nested().data else { continue };
            let others = keys.iter().enumerate().filter(|(i, _)| *i != position).map(|(_, (e, _))| e);
            if others.chain(aggregates.iter().map(|(e, _)| e)).any(|e| refers_to(e, &column)) {
                continue;
            }
            if let Some(Fused { plan, time, spec }) = window_fusion::fuse(&input, &column)? {
                keys.remove(position);
                input = Arc::new(plan);
                window = Some(WindowKey { time, spec, position });
                break;
            }
        }

        let event_times: Vec<usize> =
            (0..groups).filter(|i| watermark_delay(schema.field(*i)).is_some()).collect();
        if event_times.len() > 1 {
            // Spark finds out at the first batch.
            return Err(multiple_event_times(event_times.iter().map(|i| schema.field(*i).as_ref())).into());
        }
        let taken = window.as_ref().map(|w| w.position).or(session.as_ref().map(|s| s.position));
        let event_time = event_times.first().copied().map(|i| match taken {
            Some(position) if position == i => EventTimeKey::Window,
            taken => {
                let key = if taken.is_some_and(|position| position < i) { i - 1 } else { i };
                match schema.field(i).data_type() {
                    DataType::Struct(_) => EventTimeKey::WindowColumn(key),
                    _ => EventTimeKey::Column(key),
                }
            }
        });
        let schema = Arc::clone(schema);
        let node =
            Self { input, keys, window, session, aggregates, operator_id, output_mode, event_time, schema };
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }

    /// The plan below.
    pub fn input(&self) -> &Arc<LogicalPlan> {
        &self.input
    }

    /// The session window among the keys.
    pub fn session(&self) -> Option<&SessionKey> {
        self.session.as_ref()
    }

    /// Grouping expressions without the fused window or the session, with their output names.
    pub fn keys(&self) -> &[(Expr, String)] {
        &self.keys
    }

    /// The fused window.
    pub fn window(&self) -> Option<&WindowKey> {
        self.window.as_ref()
    }

    /// Aggregate function calls with their output names.
    pub fn aggregates(&self) -> &[(Expr, String)] {
        &self.aggregates
    }

    /// Number of the stateful operator in its query: `state/<operator_id>`.
    pub fn operator_id(&self) -> usize {
        self.operator_id
    }

    /// The same node as stateful operator number `operator_id`.
    #[must_use]
    pub fn with_operator_id(&self, operator_id: usize) -> Self {
        Self { operator_id, ..self.clone() }
    }

    /// What is emitted.
    pub fn output_mode(&self) -> OutputMode {
        self.output_mode
    }

    /// The key the watermark compares with; without one nothing is late and nothing is evicted.
    pub fn event_time(&self) -> Option<EventTimeKey> {
        self.event_time
    }
}

/// Whether `expr` reads `column`.
pub(super) fn refers_to(expr: &Expr, column: &Column) -> bool {
    expr.column_refs().contains(column)
}

impl UserDefinedLogicalNodeCore for StatefulAggregate {
    fn name(&self) -> &str {
        "StatefulAggregate"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    /// The window's time or the session if there is one, the keys, the aggregates.
    fn expressions(&self) -> Vec<Expr> {
        let time = self.window.iter().map(|w| &w.time).chain(self.session.iter().map(|s| &s.session));
        let named = self.keys.iter().chain(&self.aggregates).map(|(e, _)| e);
        time.chain(named).cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |named: &[(Expr, String)]| {
            named.iter().map(|(e, _)| e.to_string()).collect::<Vec<_>>().join(", ")
        };
        write!(f, "StatefulAggregate {}: keys=[{}]", self.operator_id, list(&self.keys))?;
        if let Some(WindowKey { time, spec, .. }) = &self.window {
            let (duration, slide, start) = (spec.duration(), spec.slide(), spec.start_time());
            write!(f, ", window({time}, {duration} us, {slide} us, {start} us)")?;
        }
        if let Some(SessionKey { session, .. }) = &self.session {
            write!(f, ", session={session}")?;
        }
        write!(f, ", aggregates=[{}], {}", list(&self.aggregates), self.output_mode)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut node = self.clone();
        if exprs.len() != self.expressions().len() {
            return Err(internal_datafusion_err!("stateful aggregate given {} expressions", exprs.len()));
        }
        let mut exprs = exprs.into_iter();
        let slots = node.window.iter_mut().map(|w| &mut w.time);
        let slots = slots.chain(node.session.iter_mut().map(|s| &mut s.session));
        for slot in slots.chain(node.keys.iter_mut().chain(&mut node.aggregates).map(|(e, _)| e)) {
            if let Some(expr) = exprs.next() {
                *slot = expr;
            }
        }
        if let Some(input) = inputs.into_iter().next() {
            node.input = Arc::new(input);
        }
        Ok(node)
    }

    fn necessary_children_exprs(&self, _output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let used: HashSet<Column> = self.expressions().iter().flat_map(Expr::column_refs).cloned().collect();
        let schema = self.input.schema();
        let mut indices = used.iter().map(|c| schema.index_of_column(c).ok()).collect::<Option<Vec<_>>>()?;
        indices.sort_unstable();
        Some(vec![indices])
    }
}
