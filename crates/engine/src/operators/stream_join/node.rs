//! The join of two streams in the physical plan.

use std::{collections::VecDeque, fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::RecordBatch,
        datatypes::{DataType, Schema, SchemaRef},
    },
    catalog::Session,
    common::{Column, DFSchema, JoinType, Result, internal_datafusion_err},
    logical_expr::{Expr, UserDefinedLogicalNodeCore},
    physical_plan::{ExecutionPlan, PhysicalExpr},
};
use futures::{StreamExt, stream};

use super::{
    join_state::{Frame, JoinState, Waiting},
    spec::{Age, PairFilter, Side, SideSpec, Spec},
};
use crate::{
    operators::stateful::{
        InputRows, StateDefinition, StateKeeper, StateStore, StatefulExec, StatefulNode, StatefulOperator,
    },
    plan::{StreamJoin, ValueBound},
    query::BatchContext,
    time::Millis,
};

/// A join of two streams over planned expressions.
#[derive(Debug)]
pub(crate) struct JoinNode {
    keeper: Arc<StateKeeper<Arc<Spec>>>,
}

impl JoinNode {
    /// Plans the logical node over its planned inputs.
    ///
    /// # Errors
    /// Expressions that cannot be planned, types that cannot be kept, and a session without
    /// a [`crate::state::StateLocation`].
    pub(crate) fn plan(
        node: &StreamJoin,
        inputs: [Arc<dyn ExecutionPlan>; 2],
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let location = StatefulExec::location(session)?;
        let mut spec = Spec::plan(node, session)?;
        spec.column_names = [&spec.left, &spec.right]
            .map(|side| side.schema.fields().iter().map(|f| location.shown_name(f.name())).collect());
        let keeper = StateKeeper::new(Arc::new(spec), node.operator_id(), &location)?;
        let output = Arc::clone(UserDefinedLogicalNodeCore::schema(node).inner());
        let own = Arc::new(Self { keeper: Arc::new(keeper) });
        Ok(Arc::new(StatefulExec::new(own, inputs.into(), output)))
    }
}

impl Spec {
    fn plan(node: &StreamJoin, session: &dyn Session) -> Result<Self> {
        let (left, right) = (node.left().schema(), node.right().schema());
        let keys = |side: &DFSchema, pick: fn(&(Expr, Expr)) -> &Expr| {
            let planned = node.keys().iter().map(|key| session.create_physical_expr(pick(key).clone(), side));
            planned.collect::<Result<Vec<_>>>()
        };
        let types = |keys: &[Arc<dyn PhysicalExpr>], schema: &DFSchema| {
            keys.iter().map(|k| k.data_type(schema.as_arrow())).collect::<Result<Vec<DataType>>>()
        };
        let (left_keys, right_keys) = (keys(left, |(l, _)| l)?, keys(right, |(_, r)| r)?);
        let key_types = types(&left_keys, left)?;
        if !same_types(&key_types, &types(&right_keys, right)?) {
            return Err(internal_datafusion_err!("the keys of a join have different types"));
        }
        let age = |own: &DFSchema, other: &DFSchema, marked: bool| match node.key_time() {
            Some(key) => Some(Age::Key(key)),
            None if marked => ValueBound::of(node.conditions(), own, other).map(Age::Value),
            None => None,
        };
        let side = |schema: &DFSchema,
                    other: &DFSchema,
                    keys,
                    time: Option<&Column>,
                    filter: Option<&Expr>,
                    outer| {
            let planned = SideSpec {
                schema: Arc::new(plain(schema.as_arrow())),
                keys,
                filter: filter.map(|f| session.create_physical_expr(f.clone(), schema)).transpose()?,
                time: time.map(|c| schema.index_of_column(c)).transpose()?,
                age: age(schema, other, time.is_some()),
                outer,
            };
            Ok::<_, datafusion::error::DataFusionError>(planned)
        };
        let join_type = node.join_type();
        let outer = |own| join_type == own || join_type == JoinType::Full;
        Ok(Self {
            join_type,
            key_types,
            null_meets_null: node.null_meets_null().to_vec(),
            left: side(left, right, left_keys, node.left_time(), node.left_filter(), outer(JoinType::Left))?,
            right: side(
                right,
                left,
                right_keys,
                node.right_time(),
                node.right_filter(),
                outer(JoinType::Right),
            )?,
            filter: node.filter().map(|f| PairFilter::plan(f, left, right, session)).transpose()?,
            column_names: Default::default(),
        })
    }
}

impl PairFilter {
    fn plan(filter: &Expr, left: &DFSchema, right: &DFSchema, session: &dyn Session) -> Result<Self> {
        let used = filter.column_refs();
        let of = |side: &DFSchema| {
            let mut columns: Vec<usize> = used.iter().filter_map(|c| side.index_of_column(c).ok()).collect();
            columns.sort_unstable();
            columns
        };
        let (from_left, from_right) = (of(left), of(right));
        let fields = |side: &DFSchema, columns: &[usize]| {
            let own = columns.iter().map(|i| {
                let (qualifier, field) = side.qualified_field(*i);
                (qualifier.cloned(), Arc::new(field.as_ref().clone().with_nullable(true)))
            });
            own.collect::<Vec<_>>()
        };
        let mut all = fields(left, &from_left);
        all.extend(fields(right, &from_right));
        let schema = DFSchema::new_with_metadata(all, Default::default())?;
        Ok(Self {
            predicate: session.create_physical_expr(filter.clone(), &schema)?,
            schema: Arc::clone(schema.inner()),
            left: from_left,
            right: from_right,
        })
    }
}

/// Fields inside may differ in being nullable.
fn same_types(left: &[DataType], right: &[DataType]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(l, r)| l.equals_datatype(r))
}

/// The columns alone: kept rows may say less about themselves than rows of a plan.
fn plain(schema: &Schema) -> Schema {
    let field = |f: &Arc<datafusion::arrow::datatypes::Field>| f.as_ref().clone().with_nullable(true);
    Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>())
}

impl StateDefinition for Arc<Spec> {
    type State = JoinState;

    fn name(&self) -> &'static str {
        "symmetricHashJoin"
    }

    fn stores(&self) -> crate::Result<Vec<StateStore>> {
        let store = |directory, side| StateStore {
            directory,
            rows: self.stored_schema(side),
            schema: self.state_schema(side),
            layout: self.layout(side),
            at_once: false,
        };
        Ok(vec![store("left", Side::Left), store("right", Side::Right)])
    }

    fn spark_stores(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("left-keyToNumValues", 0),
            ("left-keyWithIndexToValue", 0),
            ("right-keyToNumValues", 0),
            ("right-keyWithIndexToValue", 0),
        ]
    }

    fn aged(&self, store: usize, micros: i64) -> Option<i64> {
        let side = if store == 0 { &self.left } else { &self.right };
        side.aged(Millis::from_micros(micros)).map(Millis::as_micros)
    }

    fn create(&self) -> crate::Result<JoinState> {
        JoinState::new(Arc::clone(self))
    }

    fn wants_batch(&self, previous: Millis, watermark: Millis) -> bool {
        self.ages() && watermark > previous
    }

    /// Rows of either side may come out until they leave.
    fn output_watermark(&self, input: Millis) -> Option<Millis> {
        let sides = [&self.left, &self.right].into_iter().filter_map(|side| side.aged(input));
        sides.chain([input]).min()
    }
}

/// Where a batch stands.
struct Run {
    node: Arc<JoinNode>,
    context: Arc<BatchContext>,
    schema: SchemaRef,
    inputs: VecDeque<InputRows>,
    frame: Option<Frame>,
    waiting: Waiting,
    ready: VecDeque<RecordBatch>,
    finished: bool,
}

impl Run {
    fn side(&self) -> Side {
        let [first, second] = self.node.keeper.definition().order();
        if self.inputs.len() > 1 { first } else { second }
    }

    /// The next batch of output.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let keeper = Arc::clone(&self.node.keeper);
        let batch = self.context.batch_id;
        loop {
            if let Some(rows) = self.ready.pop_front() {
                return Ok(Some(rows));
            }
            let frame = match &self.frame {
                Some(frame) => frame.clone(),
                None => {
                    let watermarks = keeper.begin(&self.context)?;
                    keeper.update(batch, JoinState::tidy)?;
                    let frame = Frame { batch, watermarks, schema: Arc::clone(&self.schema) };
                    self.frame.insert(frame).clone()
                }
            };
            let side = self.side();
            let mut out = Vec::new();
            match self.inputs.front_mut() {
                Some(input) => match input.next().await {
                    Some(rows) => {
                        let rows = rows?;
                        keeper.update(batch, |state| {
                            state.join(side, rows, &frame, &mut self.waiting, &mut out)
                        })?;
                    }
                    None => {
                        self.inputs.pop_front();
                        let mut waiting = std::mem::take(&mut self.waiting);
                        keeper.update(batch, |state| state.keep(side, &frame, &mut waiting))?;
                    }
                },
                None if self.finished => return Ok(None),
                None => {
                    self.finished = true;
                    let evicts = keeper.definition().ages().then(|| frame.watermarks.eviction.as_micros());
                    keeper.finish(batch, evicts, |state, metrics| state.finish(&frame, &mut out, metrics))?;
                }
            }
            self.ready.extend(out.into_iter().filter(|rows| rows.num_rows() > 0));
        }
    }
}

impl StatefulNode for JoinNode {
    fn name(&self) -> &'static str {
        "StreamJoinExec"
    }

    fn operator(&self) -> Arc<dyn StatefulOperator> {
        Arc::clone(&self.keeper) as Arc<dyn StatefulOperator>
    }

    fn expressions(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        let spec: &Spec = self.keeper.definition();
        let sides = [&spec.left, &spec.right].into_iter();
        let mut all: Vec<_> = sides.flat_map(|side| side.keys.iter().chain(&side.filter)).collect();
        all.extend(spec.filter.iter().map(|f| &f.predicate));
        all
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec: &Spec = self.keeper.definition();
        let keys: Vec<_> =
            spec.left.keys.iter().zip(&spec.right.keys).map(|(l, r)| format!("{l} = {r}")).collect();
        write!(f, "{}, [{}]", spec.join_type, keys.join(", "))?;
        let filters = spec.left.filter.iter().chain(&spec.right.filter);
        for filter in filters.chain(spec.filter.as_ref().map(|f| &f.predicate)) {
            write!(f, " and {filter}")?;
        }
        Ok(())
    }

    fn run(
        self: Arc<Self>,
        inputs: Vec<InputRows>,
        batch: Arc<BatchContext>,
        schema: SchemaRef,
    ) -> InputRows {
        let mut inputs = VecDeque::from(inputs);
        if self.keeper.definition().order()[0] == Side::Right {
            inputs.rotate_left(1);
        }
        let run = Run {
            node: self,
            context: batch,
            schema,
            inputs,
            frame: None,
            waiting: Waiting::default(),
            ready: VecDeque::new(),
            finished: false,
        };
        let rows =
            stream::try_unfold(run, |mut run| async move { Ok(run.next().await?.map(|rows| (rows, run))) });
        rows.boxed()
    }
}
