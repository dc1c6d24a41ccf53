//! Runs stateful operators batch by batch, without a query around them.

use std::{
    any::Any,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, compute::concat_batches, datatypes::SchemaRef},
    catalog::{Session, TableProvider},
    common::Result as DataFusionResult,
    datasource::{TableType, provider_as_source},
    execution::{SendableRecordBatchStream, SessionState, TaskContext},
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder},
    physical_plan::{
        ExecutionPlan, displayable, execution_plan::reset_plan_states, stream::RecordBatchStreamAdapter,
    },
};
use futures::stream;
use millstream_engine::{
    Result,
    checkpoint::storage::{FileInfo, LockGuard, Storage, StorageRef},
    operators::{StatefulOperator, StreamScanExec, stateful_operators},
    query::{BatchContext, BatchId, BatchInput, OperatorWatermarks, Unread, Watermarks},
    session::{runtime_env, session_config, session_state},
    sink::OutputMode,
    source::Split,
    state::{SnapshotPace, StateLocation},
    time::{Millis, SystemClock},
};
use parking_lot::Mutex;

/// Rows of one input in a batch, by piece, each in the batches it comes in.
pub type Pieces = Vec<Vec<RecordBatch>>;

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

/// The table behind scan number `ordinal`.
#[derive(Debug)]
struct Input {
    schema: SchemaRef,
    ordinal: usize,
}

#[async_trait]
impl TableProvider for Input {
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
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let shown = columns.len();
        Ok(Arc::new(StreamScanExec::try_new(self.ordinal, "input", &self.schema, columns, shown, None)?))
    }
}

/// A piece of input in memory.
#[derive(Debug)]
struct Piece {
    schema: SchemaRef,
    rows: Vec<RecordBatch>,
    bytes: u64,
}

#[async_trait]
impl Split for Piece {
    async fn open(&self, projection: &[usize]) -> Result<SendableRecordBatchStream> {
        let schema = Arc::new(self.schema.project(projection)?);
        let rows = self.rows.iter().map(|batch| Ok(batch.project(projection)?)).collect::<Vec<_>>();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(rows))))
    }
    fn size_hint(&self) -> u64 {
        self.bytes
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
    schemas: Vec<SchemaRef>,
    session: SessionState,
    mode: OutputMode,
    /// Rows of an output batch, at most.
    pub batch_size: usize,
    piece_bytes: u64,
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
        let scans = schemas.iter().enumerate().map(|(ordinal, schema)| {
            let input = Input { schema: Arc::clone(schema), ordinal };
            let name = if ordinal == 0 { "input".to_string() } else { format!("input{ordinal}") };
            let scan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(input)), None);
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
            codec: None,
            column_names: Arc::default(),
        };
        session.config_mut().set_extension(Arc::new(location));
        let optimized = session.optimize(&logical).unwrap();
        let physical = session.query_planner().create_physical_plan(&optimized, &session).await.unwrap();
        let operators = stateful_operators(&physical);
        let schemas = schemas.to_vec();
        Self { plan: physical, operators, schemas, session, mode, batch_size: 3, piece_bytes: 1 }
    }

    /// Whether batches count as large: their pieces are gone through side by side then.
    #[must_use]
    pub fn with_pieces_beside(self, beside: bool) -> Self {
        Self { piece_bytes: if beside { 1 << 20 } else { 1 }, ..self }
    }

    /// The physical plan, as `explain` shows it.
    pub fn shown(&self) -> String {
        displayable(self.plan.as_ref()).indent(false).to_string()
    }

    /// The operator at the root, of most tests the only one.
    pub fn operator(&self) -> &Arc<dyn StatefulOperator> {
        &self.operators[0]
    }

    /// Executes a batch (not its commit); rows arrive input by input, piece by piece.
    pub async fn execute(
        &self,
        batch: BatchId,
        late: Millis,
        evict: Millis,
        rows: Vec<Pieces>,
    ) -> Result<RecordBatch> {
        let inputs = self.schemas.iter().zip(rows).map(|(schema, parts)| {
            let piece = |rows| Piece { schema: Arc::clone(schema), rows, bytes: self.piece_bytes };
            let splits = parts.into_iter().map(|rows| Arc::new(piece(rows)) as Arc<dyn Split>);
            BatchInput { splits: splits.collect(), ..BatchInput::default() }
        });
        let context = BatchContext {
            batch_id: batch,
            timestamp: Millis(0),
            output_mode: self.mode,
            watermarks: Watermarks {
                query: OperatorWatermarks { late, eviction: evict },
                ..Watermarks::default()
            },
            inputs: inputs.collect(),
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
