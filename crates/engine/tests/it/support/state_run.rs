//! Runs stateful operators batch by batch, without a query around them.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, compute::concat_batches, datatypes::SchemaRef},
    catalog::{Session, TableProvider},
    common::{Result as DataFusionResult, tree_node::TreeNodeRecursion},
    datasource::{TableType, memory::MemorySourceConfig, provider_as_source},
    execution::{SendableRecordBatchStream, SessionState, TaskContext},
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder},
    physical_expr::EquivalenceProperties,
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties, displayable,
        execution_plan::{Boundedness, EmissionType, reset_plan_states},
    },
};
use millstream_engine::{
    Result,
    checkpoint::storage::{FileInfo, LockGuard, Storage, StorageRef},
    operators::{StatefulOperator, stateful_operators},
    query::{BatchContext, BatchId, OperatorWatermarks, Unread, Watermarks},
    session::{runtime_env, session_config, session_state},
    sink::OutputMode,
    state::{SnapshotPace, StateLocation},
    time::{Millis, SystemClock},
};
use parking_lot::Mutex;

/// Rows of one input in a batch, by partition (there are two), in the pieces they come in.
pub type Partitions = Vec<Vec<RecordBatch>>;

/// Files in memory.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    pub files: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
}

impl MemoryStorage {
    /// The files that a batch writes again byte by byte when it runs again: parts of
    /// snapshots depend on the run.
    pub fn changes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = self.files.lock();
        let stay = files.iter().filter(|(path, _)| path.extension().is_none_or(|e| e != "part"));
        stay.map(|(path, bytes)| (path.clone(), bytes.clone())).collect()
    }
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
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rename(from, to)
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

/// A leaf that reads whatever stands in its slot.
#[derive(Debug)]
struct Slot {
    schema: SchemaRef,
    rows: Arc<Mutex<Partitions>>,
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
    rows: Arc<Mutex<Partitions>>,
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

/// Snapshots often, in parts of a few rows: so that few batches meet all that can happen.
const HURRIED: SnapshotPace = SnapshotPace {
    changes_before: 2,
    most_changes: 3,
    changes_a_part: 1,
    rows_a_part: usize::MAX,
    rows_for_a_change: 0,
    least_bytes: 256,
};

/// A planned query with its operators, as one run of it has.
pub struct StateRun {
    plan: Arc<dyn ExecutionPlan>,
    /// Root first.
    pub operators: Vec<Arc<dyn StatefulOperator>>,
    inputs: Vec<Arc<Mutex<Partitions>>>,
    session: SessionState,
    mode: OutputMode,
    /// Rows of an output batch, at most.
    pub batch_size: usize,
}

impl StateRun {
    /// Plans what `build` makes of scans with these columns, called `input`, `input1`, ...
    pub async fn new(
        schemas: &[SchemaRef],
        mode: OutputMode,
        storage: StorageRef,
        build: impl FnOnce(Vec<LogicalPlan>) -> LogicalPlan,
    ) -> Self {
        Self::at_pace(HURRIED, schemas, mode, storage, build).await
    }

    /// As [`StateRun::new`], with snapshots at this pace.
    pub async fn at_pace(
        pace: SnapshotPace,
        schemas: &[SchemaRef],
        mode: OutputMode,
        storage: StorageRef,
        build: impl FnOnce(Vec<LogicalPlan>) -> LogicalPlan,
    ) -> Self {
        let inputs: Vec<Arc<Mutex<Partitions>>> = schemas.iter().map(|_| Arc::default()).collect();
        let scans = schemas.iter().zip(&inputs).enumerate().map(|(i, (schema, rows))| {
            let slot = Slot { schema: Arc::clone(schema), rows: Arc::clone(rows), partitions: 2 };
            let name = if i == 0 { "input".to_string() } else { format!("input{i}") };
            let scan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(slot)), None);
            scan.unwrap().build().unwrap()
        });
        let logical = build(scans.collect());
        let mut session = session_state(1, runtime_env().unwrap());
        let location = StateLocation {
            storage,
            root: PathBuf::from("/checkpoint/state"),
            partitions: 1,
            clock: Arc::new(SystemClock::new()),
            pace,
            column_names: Arc::default(),
        };
        session.config_mut().set_extension(Arc::new(location));
        let optimized = session.optimize(&logical).unwrap();
        let physical = session.query_planner().create_physical_plan(&optimized, &session).await.unwrap();
        let operators = stateful_operators(&physical);
        Self { plan: physical, operators, inputs, session, mode, batch_size: 3 }
    }

    /// The physical plan, as `explain` shows it.
    pub fn shown(&self) -> String {
        displayable(self.plan.as_ref()).indent(false).to_string()
    }

    /// The operator at the root, of most tests the only one.
    pub fn operator(&self) -> &Arc<dyn StatefulOperator> {
        &self.operators[0]
    }

    /// Executes a batch (not its commit); rows arrive input by input, partition by partition.
    pub async fn execute(
        &self,
        batch: BatchId,
        late: Millis,
        evict: Millis,
        rows: Vec<Partitions>,
    ) -> Result<RecordBatch> {
        for (slot, rows) in self.inputs.iter().zip(rows) {
            *slot.lock() = rows;
        }
        let context = BatchContext {
            batch_id: batch,
            timestamp: Millis(0),
            output_mode: self.mode,
            watermarks: Watermarks {
                query: OperatorWatermarks { late, eviction: evict },
                ..Watermarks::default()
            },
            inputs: vec![],
            event_times: vec![],
            unread: Unread::default(),
        };
        let plan = reset_plan_states(Arc::clone(&self.plan))?;
        let config = session_config(1).with_batch_size(self.batch_size).with_extension(Arc::new(context));
        let task = TaskContext::default()
            .with_session_config(config)
            .with_runtime(Arc::clone(self.session.runtime_env()));
        let schema = plan.schema();
        let batches = datafusion::physical_plan::collect(plan, Arc::new(task)).await?;
        assert!(batches.iter().all(|b| b.num_rows() <= self.batch_size));
        Ok(concat_batches(&schema, &batches)?)
    }
}
