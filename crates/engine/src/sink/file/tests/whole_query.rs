//! Whole queries that die at any storage operation: directory in, folder out. After a restart the output is that of a
//! run without a crash.
//!
//! A run that dies before its batch without data leaves what that batch would have emitted to the next batch with
//! data, as in Spark: so one more file arrives at the end of each test.

use std::{fs, ops::Range, sync::Arc, time::Duration};

use datafusion::{
    arrow::datatypes::TimeUnit,
    common::Column,
    functions::core::expr_fn::get_field,
    logical_expr::{LogicalPlan, LogicalPlanBuilder, col, lit},
};

use super::*;
use crate::{
    checkpoint::storage::power_cut::PowerCut,
    format::writer,
    operators::aggregate::{AggregateOptions, udaf},
    plan::{EventTimeWatermark, StreamScan, TimeWindow},
    query::{QueryConf, QueryEnvironment, QuerySpec, StreamingQueryManager, Trigger},
    session::runtime_env,
    source::SourceSpec,
    time::{WindowSpec, Zone},
};

/// Files of three rows each; later files hold later times.
fn input(root: &Path, files: Range<i64>) {
    let dir = root.join("in");
    fs::create_dir_all(&dir).unwrap();
    for file in files {
        let row = |i: i64| format!("{}Z,k{},{}\n", time(file * 11 + i * 4), i % 2, file * 10 + i);
        let path = dir.join(format!("f{file}.csv"));
        let text: String = (0..3).map(row).collect();
        LocalStorage.write_atomic(&path, text.as_bytes()).unwrap();
        let modified = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + file as u64);
        fs::File::open(&path).unwrap().set_modified(modified).unwrap();
    }
}

/// So many seconds after the new year.
fn time(seconds: i64) -> String {
    format!("2024-01-01T00:{:02}:{:02}.000", seconds / 60, seconds % 60)
}

fn scan(root: &Path) -> LogicalPlan {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Schema::new(vec![
        Field::new("t", timestamp, true),
        Field::new("k", DataType::Utf8, true),
        Field::new("v", DataType::Int64, true),
    ]);
    let spec = SourceSpec {
        format: "csv".to_string(),
        schema: Arc::new(schema),
        options: Options::new([("maxFilesPerTrigger".to_string(), "1".to_string())]),
        paths: vec![root.join("in").display().to_string()],
    };
    StreamScan::plan(spec, "input").unwrap()
}

/// Rows as they are.
fn stateless(root: &Path) -> LogicalPlan {
    let rows = LogicalPlanBuilder::from(scan(root)).filter(col("v").gt(lit(1i64))).unwrap();
    rows.project(vec![col("v"), col("k")]).unwrap().build().unwrap()
}

/// Rows and values of each key in each ten seconds, appended once they are final.
fn windowed(root: &Path) -> LogicalPlan {
    let late = EventTimeWatermark::plan(scan(root), Column::from_name("t"), 5_000).unwrap();
    let spec = WindowSpec::new(10_000_000, 10_000_000, 0).unwrap();
    let windows = TimeWindow::plan(late, col("t"), spec, "window").unwrap();
    let call = |name: &str| udaf(name, AggregateOptions::default()).unwrap().call(vec![col("v")]);
    let groups = LogicalPlanBuilder::from(windows)
        .aggregate(vec![col("window"), col("k")], vec![call("count").alias("n"), call("sum").alias("s")])
        .unwrap();
    let start = get_field(col("window"), "start").alias("start");
    groups.project(vec![start, col("k"), col("n"), col("s")]).unwrap().build().unwrap()
}

async fn run(root: &Path, plan: LogicalPlan, storage: StorageRef) -> Result<()> {
    run_into(root, plan, storage, root.join("out")).await
}

async fn run_into(root: &Path, plan: LogicalPlan, storage: StorageRef, out: PathBuf) -> Result<()> {
    let clock = Arc::new(SystemClock::new());
    let environment = QueryEnvironment::new(clock.clone(), storage, runtime_env()?, root.join("tmp"));
    let manager = StreamingQueryManager::new(Arc::new(environment));
    let sink = FileSinkSpec {
        path: out,
        format: writer("csv", &Options::default(), Zone::UTC)?,
        partition_by: vec![],
        options: Options::default(),
        zone: Arc::new(Zone::UTC),
    };
    let output: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
    let spec = QuerySpec {
        column_names: Arc::default(),
        name: None,
        plan,
        output,
        sink: Box::new(move |context| Ok(Arc::new(FileSink::new(sink, &context.checkpoint, clock)))),
        output_mode: OutputMode::Append,
        trigger: Trigger::AvailableNow,
        checkpoint_location: Some(root.join("checkpoint").display().to_string()),
        temporary_checkpoint: false,
        recover_from_checkpoint: true,
        conf: QueryConf::default(),
        session_zone: "UTC".to_string(),
    };
    let query = manager.start(spec).await?;
    query.await_termination(None).await.map(|_| ())
}

/// The lines of all files, sorted: of those a glob finds, and of those in the log.
fn lines(root: &Path) -> [Vec<String>; 2] {
    let output = root.join("out");
    let globbed = fs::read_dir(&output).into_iter().flatten().map(|e| e.unwrap().path());
    let globbed = globbed.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("part-")).collect();
    let logged = read_sink_log(&LocalStorage::shared(), &output).unwrap().unwrap_or_default();
    let logged = logged.iter().map(|f| f.local_path().unwrap()).collect();
    [globbed, logged].map(|paths: Vec<PathBuf>| lines_of(&paths, &LocalStorage))
}

fn lines_of(paths: &[PathBuf], storage: &dyn Storage) -> Vec<String> {
    let text: Vec<u8> = paths.iter().flat_map(|p| storage.read(p).unwrap()).collect();
    let mut lines: Vec<_> = String::from_utf8(text).unwrap().lines().map(str::to_string).collect();
    lines.sort();
    lines
}

/// What dies, and where.
struct Case {
    plan: fn(&Path) -> LogicalPlan,
    /// Input files, each one a batch; one more comes after the crash.
    files: i64,
    rows: usize,
    /// Every how many operations a run dies.
    step: usize,
    /// The least number of operations of a whole run.
    operations: usize,
}

impl Case {
    /// The lines of a run without a death.
    async fn expected(&self) -> Vec<String> {
        let whole = folder();
        for files in [0..self.files, self.files..self.files + 1] {
            input(whole.path(), files);
            run(whole.path(), (self.plan)(whole.path()), LocalStorage::shared()).await.unwrap();
        }
        let [expected, logged] = lines(whole.path());
        assert_eq!(expected, logged);
        assert_eq!(expected.len(), self.rows, "{expected:#?}");
        expected
    }
}

async fn survives(case: Case) {
    let expected = case.expected().await;

    let mut operations = 0;
    for stop_at in (0..).step_by(case.step) {
        let root = folder();
        input(root.path(), 0..case.files);
        let storage = Arc::new(FailingStorage::new(stop_at));
        let outcome = run(root.path(), (case.plan)(root.path()), storage.clone()).await;
        if !storage.stopped() {
            outcome.unwrap();
            break;
        }
        operations = stop_at;
        run(root.path(), (case.plan)(root.path()), LocalStorage::shared()).await.unwrap();
        input(root.path(), case.files..case.files + 1);
        run(root.path(), (case.plan)(root.path()), LocalStorage::shared()).await.unwrap();
        assert_eq!(
            lines(root.path()),
            [expected.clone(), expected.clone()],
            "stopped at operation {stop_at}"
        );
    }
    assert!(operations >= case.operations, "only {operations} operations");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stateless_query_survives_a_crash_at_any_operation() {
    survives(Case { plan: stateless, files: 5, rows: 16, step: 2, operations: 20 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_windowed_query_survives_a_crash_at_any_operation() {
    survives(Case { plan: windowed, files: 4, rows: 8, step: 2, operations: 80 }).await;
}

/// Long enough that state is written as a snapshot, and old files are removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_windowed_query_survives_crashes_around_snapshots() {
    survives(Case { plan: windowed, files: 14, rows: 29, step: 9, operations: 250 }).await;
}

/// Two queries write into one folder; the first dies, then both run to their ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_windowed_query_dies_beside_another_in_the_same_folder() {
    let whole = folder();
    both(whole.path(), LocalStorage::shared()).await;
    let [expected, logged] = lines(whole.path());
    assert_eq!(expected, logged);
    assert_eq!(expected.len(), 8 + 13, "{expected:#?}");
    for stop_at in (0..).step_by(3) {
        let root = folder();
        let storage = Arc::new(FailingStorage::new(stop_at));
        both(root.path(), storage.clone()).await;
        assert_eq!(lines(root.path()), [expected.clone(), expected.clone()], "stopped at {stop_at}");
        if !storage.stopped() {
            assert!(stop_at > 30, "only {stop_at} operations");
            break;
        }
    }
}

/// Runs a windowed query on `storage` until it dies, another one beside it, then the first again.
async fn both(root: &Path, storage: StorageRef) {
    let (first, second) = (root.join("first"), root.join("second"));
    input(&first, 0..4);
    input(&second, 0..5);
    let out = root.join("out");
    let (died, whole) = tokio::join!(
        run_into(&first, windowed(&first), storage, out.clone()),
        run_into(&second, stateless(&second), LocalStorage::shared(), out.clone())
    );
    whole.unwrap();
    if died.is_err() {
        run_into(&first, windowed(&first), LocalStorage::shared(), out.clone()).await.unwrap();
    }
    input(&first, 4..5);
    run_into(&first, windowed(&first), LocalStorage::shared(), out).await.unwrap();
}

/// The lines of all files on a disk that a glob finds, and of those in the log. Readers of a
/// disk that has just lost power find no line twice, and every file of the log whole.
fn lines_on(disk: &StorageRef, output: &Path) -> [Vec<String>; 2] {
    let globbed = disk.list(output).unwrap().into_iter().filter(|f| f.name.starts_with("part-"));
    let globbed: Vec<_> = globbed.map(|f| output.join(f.name)).collect();
    let logged = read_sink_log(disk, output).unwrap().unwrap_or_default();
    let logged: Vec<_> = logged.iter().map(|f| f.local_path().unwrap()).collect();
    let lines = [&globbed, &logged].map(|paths| lines_of(paths, disk.as_ref()));
    for lines in &lines {
        let mut once = lines.clone();
        once.dedup();
        assert_eq!(&once, lines, "a row is there twice");
    }
    lines
}

/// The power fails at every `case.step`th operation, and again at some operation of the run that follows.
async fn survives_power_cuts(case: Case) {
    let expected = case.expected().await;
    let mut operations = 0;
    for (stop_at, seed) in (0..).step_by(case.step).zip(1u64..) {
        let root = folder();
        input(root.path(), 0..case.files);
        let plan = || (case.plan)(root.path());
        let output = root.path().join("out");
        let mut disk = Arc::new(PowerCut::new(stop_at, seed));
        let outcome = run(root.path(), plan(), disk.clone()).await;
        if !disk.stopped() {
            outcome.unwrap();
            break;
        }
        operations = stop_at;
        let again = (stop_at * 7 + 3) % (case.operations.max(1) + 1);
        for stop_at in [again, usize::MAX] {
            disk = Arc::new(disk.restart(stop_at, seed));
            lines_on(&(disk.clone() as StorageRef), &output);
            let outcome = run(root.path(), plan(), disk.clone()).await;
            assert!(disk.stopped() || outcome.is_ok(), "stopped at operation {stop_at}: {outcome:?}");
        }
        disk = Arc::new(disk.restart(usize::MAX, seed));
        input(root.path(), case.files..case.files + 1);
        run(root.path(), plan(), disk.clone()).await.unwrap();
        assert_eq!(
            lines_on(&(disk.clone() as StorageRef), &output),
            [expected.clone(), expected.clone()],
            "stopped at operation {stop_at}"
        );
    }
    assert!(operations >= case.operations, "only {operations} operations");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stateless_query_survives_power_cuts() {
    survives_power_cuts(Case { plan: stateless, files: 5, rows: 16, step: 1, operations: 80 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_windowed_query_survives_power_cuts() {
    survives_power_cuts(Case { plan: windowed, files: 4, rows: 8, step: 2, operations: 80 }).await;
}

/// Long enough for snapshots of state and compactions of logs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_windowed_query_survives_power_cuts_around_snapshots() {
    survives_power_cuts(Case { plan: windowed, files: 14, rows: 29, step: 11, operations: 250 }).await;
}
