//! A CSV directory that tests feed file by file, and queries over it.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use datafusion::{
    arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    common::Column,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit},
};
use millstream_engine::{
    checkpoint::{LocalStorage, StorageRef},
    format::Options,
    operators::aggregate::{AggregateOptions, udaf},
    plan::{EventTimeWatermark, StreamScan, TimeWindow},
    query::{QueryConf, QueryEnvironment, QuerySpec, StreamingQueryManager, Trigger},
    session::runtime_env,
    sink::{OutputMode, Sink},
    source::SourceSpec,
    time::{Clock, SystemClock, WindowSpec},
};

/// The columns every test stream has: `t`, `k`, `v`.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("k", DataType::Utf8, true),
        Field::new("v", DataType::Int64, true),
    ]))
}

/// A scratch directory with the input `in` and the checkpoint `checkpoint`.
pub struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    pub fn new() -> Self {
        // Where syncing costs nothing, if there is such a place.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts file number `number` into the input, complete at once, older than any later one.
    #[expect(clippy::disallowed_methods, reason = "the test plays the producer, which is not us")]
    pub fn feed(&self, number: usize, text: &str) {
        let staged = self.path(&format!("staged-{number}"));
        let mut file = File::create(&staged).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000 + number as u64)).unwrap();
        drop(file);
        std::fs::rename(staged, self.path("in").join(format!("{number}.csv"))).unwrap();
    }

    /// The input as a stream, one file a batch, columns `t`, `k`, `v`.
    pub fn scan(&self) -> LogicalPlanBuilder {
        let options = [("maxFilesPerTrigger".to_string(), "1".to_string())];
        let spec = SourceSpec {
            format: "csv".to_string(),
            schema: schema(),
            options: Options::new(options),
            paths: vec![self.path("in").to_str().unwrap().to_string()],
        };
        LogicalPlanBuilder::from(StreamScan::plan(spec, "in").unwrap())
    }

    /// Lines of a log of the checkpoint, by batch, without the version line.
    pub fn log(&self, name: &str) -> Vec<(i64, Vec<String>)> {
        let Ok(entries) = std::fs::read_dir(self.path("checkpoint").join(name)) else { return vec![] };
        let mut files: Vec<(i64, Vec<String>)> = entries
            .filter_map(|e| {
                let path = e.unwrap().path();
                let number = path.file_name()?.to_str()?.parse().ok()?;
                Some((number, lines(&path)))
            })
            .collect();
        files.sort();
        files
    }
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().skip(1).map(str::to_string).collect()
}

/// `withWatermark("t", delay)`.
pub fn with_watermark(plan: LogicalPlanBuilder, delay_ms: i64) -> LogicalPlanBuilder {
    let plan = EventTimeWatermark::plan(plan.build().unwrap(), Column::from_name("t"), delay_ms).unwrap();
    LogicalPlanBuilder::from(plan)
}

/// A column by its name.
pub fn col(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

/// A manager on the local file system and the machine's clock.
pub fn manager() -> StreamingQueryManager {
    manager_with(LocalStorage::shared(), Arc::new(SystemClock::new()))
}

pub fn manager_with(storage: StorageRef, clock: Arc<dyn Clock>) -> StreamingQueryManager {
    let environment = QueryEnvironment::new(clock, storage, runtime_env().unwrap(), std::env::temp_dir());
    StreamingQueryManager::new(Arc::new(environment))
}

/// A query into `sink` with the defaults of a script that names its checkpoint.
pub fn query(scratch: &Scratch, plan: LogicalPlan, sink: Arc<dyn Sink>) -> QuerySpec {
    let output = Arc::new(plan.schema().as_arrow().clone());
    QuerySpec {
        column_names: Arc::default(),
        name: None,
        plan,
        output,
        sink: Box::new(move |_| Ok(sink)),
        output_mode: OutputMode::Append,
        trigger: Trigger::default(),
        checkpoint_location: Some(scratch.path("checkpoint").to_str().unwrap().to_string()),
        temporary_checkpoint: false,
        recover_from_checkpoint: true,
        conf: QueryConf::new([("spark.sql.shuffle.partitions".to_string(), "1".to_string())]),
        session_zone: "UTC".to_string(),
    }
}

/// Adds `window`, ten seconds long, of the event time.
pub fn windowed(plan: LogicalPlanBuilder) -> LogicalPlanBuilder {
    let spec = WindowSpec::new(10_000_000, 10_000_000, 0).unwrap();
    LogicalPlanBuilder::from(TimeWindow::plan(plan.build().unwrap(), col("t"), spec, "window").unwrap())
}

/// An aggregate of one column, or of rows where it is empty, under a name.
pub fn aggregate(function: &str, column: &str, name: &str) -> Expr {
    let argument = if column.is_empty() { lit(1_i32) } else { col(column) };
    udaf(function, AggregateOptions::default()).unwrap().call(vec![argument]).alias(name)
}
