//! `GlobalLimitExec` of a stream: counts rows across batches.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, Int64Array},
        datatypes::{DataType, Field, Int64Type, Schema, SchemaRef},
    },
    catalog::Session,
    common::{DataFusionError, Result},
    logical_expr::UserDefinedLogicalNodeCore,
    physical_plan::{ExecutionPlan, PhysicalExpr},
};
use futures::{StreamExt, TryStreamExt, stream};

use super::stateful::{
    InputRows, OperatorState, Restored, StateDefinition, StateKeeper, StateStore, StatefulExec, StatefulNode,
    StatefulOperator,
};
use crate::{
    SparkError,
    plan::GlobalLimit,
    query::BatchContext,
    state::{StateLayout, StateSchema},
    time::Millis,
};

/// Passes rows until there were `rows` of them; reads on all the same.
#[derive(Debug)]
pub(super) struct GlobalLimitNode {
    rows: usize,
    keeper: Arc<StateKeeper<Definition>>,
}

impl GlobalLimitNode {
    /// Plans the logical node over its planned input.
    ///
    /// # Errors
    /// Internal: a session that is not a streaming query's.
    pub(super) fn plan(
        node: &GlobalLimit,
        input: Arc<dyn ExecutionPlan>,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let location = StatefulExec::location(session)?;
        let keeper = Arc::new(StateKeeper::new(Definition, node.operator_id(), &location)?);
        let output = Arc::clone(UserDefinedLogicalNodeCore::schema(node).inner());
        let planned = Self { rows: node.rows(), keeper };
        Ok(Arc::new(StatefulExec::new(Arc::new(planned), vec![input], output)))
    }
}

impl StatefulNode for GlobalLimitNode {
    fn name(&self) -> &'static str {
        "StreamingGlobalLimitExec"
    }

    fn operator(&self) -> Arc<dyn StatefulOperator> {
        Arc::clone(&self.keeper) as Arc<dyn StatefulOperator>
    }

    fn expressions(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![]
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rows={}", self.rows)
    }

    fn run(
        self: Arc<Self>,
        inputs: Vec<InputRows>,
        batch: Arc<BatchContext>,
        _schema: SchemaRef,
    ) -> InputRows {
        let rows = async move {
            self.keeper.begin(&batch)?;
            let (node, id) = (Arc::clone(&self), batch.batch_id);
            let passing = stream::iter(inputs).flatten().map(move |rows| {
                let rows = rows?;
                let taken = node.keeper.update(id, |passed| Ok(passed.take(rows.num_rows(), node.rows)))?;
                Ok(rows.slice(0, taken))
            });
            let end = async move {
                self.keeper.finish(id, None, |passed, metrics| {
                    metrics.num_rows_updated = i64::from(passed.changed);
                    metrics.num_rows_total = i64::from(passed.rows > 0);
                    Ok(None)
                })
            };
            let end = stream::once(async move { end.await.map_err(Into::into) });
            Ok::<_, DataFusionError>(
                passing.map_ok(Some).chain(end).try_filter_map(|rows| std::future::ready(Ok(rows))),
            )
        };
        stream::once(rows).try_flatten().boxed()
    }
}

/// One number: the rows passed so far.
#[derive(Debug)]
struct Definition;

impl StateDefinition for Definition {
    type State = Passed;

    fn name(&self) -> &'static str {
        "globalLimit"
    }

    fn stores(&self) -> crate::Result<Vec<StateStore>> {
        let schema = StateSchema {
            keys: vec![("key".to_string(), "void".to_string())],
            values: vec![("value".to_string(), "bigint".to_string())],
        };
        let rows = Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, false)]));
        Ok(vec![StateStore { directory: "", rows, schema, layout: StateLayout::Limit, at_once: false }])
    }

    fn create(&self) -> crate::Result<Passed> {
        Ok(Passed::default())
    }

    fn wants_batch(&self, _previous: Millis, _watermark: Millis) -> bool {
        false
    }
}

/// How many rows have passed.
#[derive(Debug, Default)]
struct Passed {
    rows: usize,
    changed: bool,
}

impl Passed {
    /// How many of `offered` rows pass when `most` may in all.
    fn take(&mut self, offered: usize, most: usize) -> usize {
        let taken = offered.min(most.saturating_sub(self.rows));
        self.rows += taken;
        self.changed |= taken > 0;
        taken
    }

    fn stored(&self, is_stored: bool) -> Vec<ArrayRef> {
        let rows = i64::try_from(self.rows).unwrap_or(i64::MAX);
        vec![Arc::new(is_stored.then_some(rows).into_iter().collect::<Int64Array>())]
    }
}

impl OperatorState for Passed {
    fn begin(&mut self) {
        self.changed = false;
    }

    fn changes(&self, _store: usize) -> crate::Result<Vec<ArrayRef>> {
        Ok(self.stored(self.changed))
    }

    fn start_walk(&mut self, _store: usize) {}

    fn walk(&mut self, _store: usize, _rows: usize) -> crate::Result<(Vec<ArrayRef>, bool)> {
        Ok((self.stored(self.rows > 0), true))
    }

    fn stored_rows(&self, _store: usize) -> usize {
        usize::from(self.rows > 0)
    }

    fn restore(&mut self, _store: usize, columns: &[ArrayRef], _from: Restored) -> crate::Result<()> {
        let column = columns.first().and_then(|c| c.as_primitive_opt::<Int64Type>());
        let column = column.ok_or_else(|| SparkError::internal("the state of a limit is no number"))?;
        if let Some(rows) = column.values().last() {
            self.rows = usize::try_from(*rows).unwrap_or(0);
        }
        Ok(())
    }

    fn evict(&mut self, _store: usize, _micros: i64) -> crate::Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
    }
}
