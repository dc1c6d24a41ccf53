//! Runs a stateful aggregate batch by batch, without a query around it.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use datafusion::{
    arrow::{
        array::RecordBatch,
        compute::concat_batches,
        datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    },
    catalog::{Session, TableProvider},
    common::{Result as DataFusionResult, tree_node::TreeNodeRecursion},
    datasource::{TableType, memory::MemorySourceConfig, provider_as_source},
    execution::{SendableRecordBatchStream, SessionState, TaskContext},
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties, displayable,
        execution_plan::{Boundedness, EmissionType, reset_plan_states},
    },
};
use millstream_engine::{
    Result,
    checkpoint::storage::{FileInfo, LockGuard, Storage, StorageRef},
    operators::{
        StatefulOperator,
        aggregate::{AggregateOptions, udaf},
        stateful_operators,
    },
    plan::{StatefulAggregate, TimeWindow, WATERMARK_DELAY_KEY},
    query::{BatchContext, BatchId},
    session::{runtime_env, session_config, session_state},
    sink::OutputMode,
    state::StateLocation,
    time::{Millis, SystemClock, WindowSpec},
};
use parking_lot::Mutex;

/// Files in memory.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    pub files: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

impl Storage for MemoryStorage {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.lock().get(path).cloned().ok_or_else(|| missing(path))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<FileInfo>> {
        let files = self.files.lock();
        let inside = files.iter().filter(|(path, _)| path.parent() == Some(dir));
        Ok(inside.map(|(path, bytes)| info(path, bytes)).collect())
    }
    fn info(&self, path: &Path) -> io::Result<Option<FileInfo>> {
        Ok(self.files.lock().get(path).map(|bytes| info(path, bytes)))
    }
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.files.lock().insert(path.to_path_buf(), bytes.to_vec());
        Ok(())
    }
    fn create_exclusive(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.write_atomic(path, bytes)
    }
    fn write_staged(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.write_atomic(path, bytes)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let bytes = self.files.lock().remove(from).ok_or_else(|| missing(from))?;
        self.write_atomic(to, &bytes)
    }
    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }
    fn delete(&self, path: &Path) -> io::Result<()> {
        self.files.lock().remove(path);
        Ok(())
    }
    fn delete_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.files.lock().retain(|path, _| !path.starts_with(dir));
        Ok(())
    }
    fn delete_empty_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }
    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }
    fn try_lock(&self, _path: &Path) -> io::Result<Option<LockGuard>> {
        Ok(Some(Box::new(()) as Box<dyn Any + Send + Sync>))
    }
}

fn info(path: &Path, bytes: &[u8]) -> FileInfo {
    let name = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    FileInfo { name, size: bytes.len() as u64, modified: Millis(0), is_dir: false }
}

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
    /// False adds an aggregate over the window, which then cannot be fused.
    pub fused: bool,
    /// Key columns beside the window; `t` makes an event-time key.
    pub keys: Vec<&'static str>,
    pub aggregates: Vec<Expr>,
    pub mode: OutputMode,
}

/// A leaf that reads whatever stands in its slot.
#[derive(Debug)]
struct Slot {
    schema: SchemaRef,
    rows: Arc<Mutex<Vec<Vec<RecordBatch>>>>,
    partitions: usize,
}

#[async_trait]
impl TableProvider for Slot {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn table_type(&self) -> TableType {
        TableType::Base
    }
    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(self.partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let rows = Arc::clone(&self.rows);
        let schema = Arc::clone(&self.schema);
        Ok(Arc::new(SlotExec { rows, schema, projection, properties: Arc::new(properties) }))
    }
}

#[derive(Debug)]
struct SlotExec {
    rows: Arc<Mutex<Vec<Vec<RecordBatch>>>>,
    schema: SchemaRef,
    projection: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for SlotExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlotExec")
    }
}

impl ExecutionPlan for SlotExec {
    fn name(&self) -> &str {
        "SlotExec"
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }
    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }
    fn reset_state(self: Arc<Self>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }
    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        let all = self.rows.lock().get(partition).cloned().unwrap_or_default();
        let source = MemorySourceConfig::try_new_exec(
            &[all],
            Arc::clone(&self.schema),
            Some(self.projection.clone()),
        )?;
        source.execute(0, context)
    }
}

/// A planned query with its operator, as one run of it has.
pub struct Run {
    plan: Arc<dyn ExecutionPlan>,
    pub operator: Arc<dyn StatefulOperator>,
    rows: Arc<Mutex<Vec<Vec<RecordBatch>>>>,
    session: SessionState,
    mode: OutputMode,
}

impl Run {
    pub async fn new(query: &Query, storage: StorageRef) -> Self {
        let rows = Arc::new(Mutex::new(vec![]));
        let slot = Slot { schema: input_schema(query.watermark), rows: Arc::clone(&rows), partitions: 2 };
        let mut plan = LogicalPlanBuilder::scan("input", provider_as_source(Arc::new(slot)), None)
            .unwrap()
            .build()
            .unwrap();
        let mut keys: Vec<Expr> = query.keys.iter().map(|k| col(*k)).collect();
        if let Some(spec) = query.window {
            plan = TimeWindow::plan(plan, col("t"), spec, "w").unwrap();
            // Not first, so that the place of the window among the keys is tested too.
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
        let logical = StatefulAggregate::from_aggregate(aggregate, 0, query.mode).unwrap();
        assert_eq!(logical.schema(), plan.schema());

        let mut session = session_state(1, runtime_env().unwrap());
        let location = StateLocation {
            storage,
            root: PathBuf::from("/checkpoint/state"),
            partitions: 1,
            clock: Arc::new(SystemClock::new()),
        };
        session.config_mut().set_extension(Arc::new(location));
        let optimized = session.optimize(&logical).unwrap();
        let physical = session.query_planner().create_physical_plan(&optimized, &session).await.unwrap();
        let shown = displayable(physical.as_ref()).indent(false).to_string();
        assert_eq!(shown.contains("TimeWindowExec"), query.window.is_some() && !query.fused, "{shown}");
        let operator = stateful_operators(&physical).pop().unwrap();
        Self { plan: physical, operator, rows, session, mode: query.mode }
    }

    /// Executes a batch (not its commit); rows arrive partition by partition.
    pub async fn execute(
        &self,
        batch: BatchId,
        late: Millis,
        evict: Millis,
        rows: Vec<Vec<RecordBatch>>,
    ) -> Result<RecordBatch> {
        *self.rows.lock() = rows;
        let context = BatchContext {
            batch_id: batch,
            timestamp: Millis(0),
            output_mode: self.mode,
            late_watermark: late,
            eviction_watermark: evict,
            inputs: vec![],
            event_times: vec![],
        };
        let plan = reset_plan_states(Arc::clone(&self.plan))?;
        let config = session_config(1).with_batch_size(3).with_extension(Arc::new(context));
        let task = TaskContext::default()
            .with_session_config(config)
            .with_runtime(Arc::clone(self.session.runtime_env()));
        let schema = plan.schema();
        let batches = datafusion::physical_plan::collect(plan, Arc::new(task)).await?;
        assert!(batches.iter().all(|b| b.num_rows() <= 3));
        Ok(concat_batches(&schema, &batches)?)
    }
}
