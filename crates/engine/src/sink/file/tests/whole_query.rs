//! Whole queries that die at any storage operation: directory in, folder out. After a restart the output is that of a run without a crash.

use std::{fs, sync::Arc, time::Duration};

use datafusion::{
    arrow::datatypes::TimeUnit,
    logical_expr::{LogicalPlan, LogicalPlanBuilder, col, lit},
};

use super::*;
use crate::{
    format::writer,
    plan::StreamScan,
    query::{QueryConf, QueryEnvironment, QuerySpec, StreamingQueryManager, Trigger},
    session::runtime_env,
    source::SourceSpec,
    time::Zone,
};

/// Five files, three rows each; later files hold later times.
fn input(root: &Path) {
    let dir = root.join("in");
    fs::create_dir_all(&dir).unwrap();
    for file in 0..5i64 {
        let row =
            |i: i64| format!("2024-01-01T00:00:{:02}.000Z,k{},{}\n", file * 11 + i * 4, i % 2, file * 10 + i);
        let path = dir.join(format!("f{file}.csv"));
        let text: String = (0..3).map(row).collect();
        LocalStorage.write_atomic(&path, text.as_bytes()).unwrap();
        let modified = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + file as u64);
        fs::File::open(&path).unwrap().set_modified(modified).unwrap();
    }
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

async fn run(root: &Path, plan: LogicalPlan, storage: StorageRef) -> Result<()> {
    let clock = Arc::new(SystemClock::new());
    let environment = QueryEnvironment::new(clock.clone(), storage, runtime_env()?, root.join("tmp"));
    let manager = StreamingQueryManager::new(Arc::new(environment));
    let sink = FileSinkSpec {
        path: root.join("out"),
        format: writer("csv", &Options::default(), Zone::UTC)?,
        partition_by: vec![],
        options: Options::default(),
        zone: Arc::new(Zone::UTC),
    };
    let output: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
    let spec = QuerySpec {
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
    [globbed, logged].map(|paths: Vec<PathBuf>| {
        let text = paths.iter().map(|p| fs::read_to_string(p).unwrap()).collect::<String>();
        let mut lines: Vec<_> = text.lines().map(str::to_string).collect();
        lines.sort();
        lines
    })
}

async fn survives(plan: fn(&Path) -> LogicalPlan, expected_rows: usize, step: usize) {
    let whole = folder();
    input(whole.path());
    run(whole.path(), plan(whole.path()), LocalStorage::shared()).await.unwrap();
    let [expected, logged] = lines(whole.path());
    assert_eq!(expected, logged);
    assert_eq!(expected.len(), expected_rows, "{expected:#?}");

    let mut stopped = 0;
    for stop_at in (0..).step_by(step) {
        let root = folder();
        input(root.path());
        let storage = Arc::new(FailingStorage::new(stop_at));
        let outcome = run(root.path(), plan(root.path()), storage.clone()).await;
        if !storage.stopped() {
            outcome.unwrap();
            break;
        }
        stopped += 1;
        run(root.path(), plan(root.path()), LocalStorage::shared()).await.unwrap();
        assert_eq!(
            lines(root.path()),
            [expected.clone(), expected.clone()],
            "stopped at operation {stop_at}"
        );
    }
    assert!(stopped > 8, "only {stopped} crashes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stateless_query_survives_a_crash_at_any_operation() {
    survives(stateless, 13, 2).await;
}
