//! A stateful aggregate to run batch by batch.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::{
        array::RecordBatch,
        datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    },
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit},
};
use millstream_engine::{
    Result,
    checkpoint::storage::StorageRef,
    operators::{
        StatefulOperator,
        aggregate::{AggregateOptions, udaf},
    },
    plan::{SessionWindow, StatefulAggregate, TimeWindow, WATERMARK_DELAY_KEY},
    query::BatchId,
    sink::OutputMode,
    time::{Millis, WindowSpec},
};

pub use crate::support::state_run::MemoryStorage;
use crate::support::state_run::{Pieces, StateRun};

/// The columns of every test input.
pub fn input_schema(watermark: bool) -> SchemaRef {
    let mut metadata = HashMap::new();
    if watermark {
        metadata.insert(WATERMARK_DELAY_KEY.to_string(), "1000".to_string());
    }
    Arc::new(Schema::new(vec![
        Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)
            .with_metadata(metadata),
        Field::new("k", DataType::Utf8, true),
        Field::new("i", DataType::Int32, true),
        Field::new("v", DataType::Int64, true),
        Field::new("d", DataType::Float64, true),
        Field::new("s", DataType::Utf8, true),
    ]))
}

/// The query under test.
#[derive(Debug, Clone)]
pub struct Query {
    pub watermark: bool,
    pub window: Option<WindowSpec>,
    /// The end of each row's own session.
    pub session: Option<Expr>,
    /// Whether sessions of a batch merge before late ones are dropped.
    pub local_merge: bool,
    /// False adds an aggregate over the window, which then cannot be fused.
    pub fused: bool,
    /// Key columns beside the window; `t` makes an event-time key.
    pub keys: Vec<&'static str>,
    pub aggregates: Vec<Expr>,
    pub mode: OutputMode,
    /// The batches count as large: their pieces are gone through side by side.
    pub beside: bool,
}

/// A planned query with its operator, as one run of it has.
pub struct Run {
    run: StateRun,
    pub operator: Arc<dyn StatefulOperator>,
}

impl Run {
    pub async fn new(query: &Query, storage: StorageRef) -> Self {
        let build = |scans: Vec<LogicalPlan>| {
            let mut plan = scans.into_iter().next().unwrap();
            let mut keys: Vec<Expr> = query.keys.iter().map(|k| col(*k)).collect();
            if let Some(spec) = query.window {
                plan = TimeWindow::plan(plan, col("t"), spec, "w").unwrap();
                // Not first, so that the place of the window among the keys is tested too.
                keys.insert(keys.len().min(1), col("w"));
            }
            if let Some(end) = &query.session {
                plan = SessionWindow::plan(plan, col("t"), end.clone(), "w").unwrap();
                keys.insert(keys.len().min(1), col("w"));
            }
            let mut aggregates = query.aggregates.clone();
            if query.window.is_some() {
                if query.fused {
                    // Projections and filters that leave the window alone do not hinder.
                    let columns = plan.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
                    let builder = LogicalPlanBuilder::from(plan).filter(lit(1).lt(lit(2))).unwrap();
                    plan = builder.project(columns).unwrap().build().unwrap();
                } else {
                    let count = udaf("count", AggregateOptions::default()).unwrap();
                    aggregates.push(count.call(vec![col("w")]).alias("windows"));
                }
            }
            let plan = LogicalPlanBuilder::from(plan).aggregate(keys, aggregates).unwrap().build().unwrap();
            let LogicalPlan::Aggregate(aggregate) = &plan else { panic!("{plan}") };
            let logical =
                StatefulAggregate::from_aggregate(aggregate, 0, query.mode, query.local_merge).unwrap();
            assert_eq!(logical.schema(), plan.schema());
            logical
        };
        let schema = input_schema(query.watermark);
        let run = StateRun::new(&[schema], query.mode, storage, build).await;
        let run = run.with_pieces_beside(query.beside);
        let shown = run.shown();
        assert_eq!(shown.contains("TimeWindowExec"), query.window.is_some() && !query.fused, "{shown}");
        let operator = Arc::clone(run.operator());
        Self { run, operator }
    }

    /// Executes a batch (not its commit); rows arrive partition by partition.
    pub async fn execute(
        &self,
        batch: BatchId,
        late: Millis,
        evict: Millis,
        rows: Pieces,
    ) -> Result<RecordBatch> {
        self.run.execute(batch, late, evict, vec![rows]).await
    }
}
