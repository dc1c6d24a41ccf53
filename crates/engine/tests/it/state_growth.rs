//! What large state costs: bytes written and time of a batch that touches few of many keys.
//!
//! `MILLSTREAM_STATE_KEYS=10000000 .. --nocapture --exact state_growth::<operator>` prints
//! figures for larger state; one operator a process, for memory to mean something.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures, and prints what it measured"
)]

use std::{
    any::Any,
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use datafusion::{
    arrow::{
        array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
        datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    },
    common::{Column, JoinType, ScalarValue},
    logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, col},
};
use millstream_engine::{
    checkpoint::{FileInfo, LocalStorage, Storage, storage::LockGuard},
    operators::aggregate::{AggregateOptions, udaf},
    plan::{Deduplicate, SessionWindow, StatefulAggregate, StreamJoin, TimeWindow, WATERMARK_DELAY_KEY},
    query::BatchId,
    sink::OutputMode,
    state::SnapshotPace,
    time::{Millis, WindowSpec},
};

use crate::support::state_run::{Pieces, StateRun};

/// Files in a temporary directory; counts what is written and what is listed.
#[derive(Debug)]
struct Counting {
    dir: tempfile::TempDir,
    written: AtomicU64,
    operations: AtomicU64,
}

impl Counting {
    fn new() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        Arc::new(Self { dir, written: AtomicU64::new(0), operations: AtomicU64::new(0) })
    }
    fn at(&self, path: &Path) -> PathBuf {
        self.dir.path().join(path.strip_prefix("/").unwrap_or(path))
    }
    fn count(&self, bytes: &[u8]) {
        self.written.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        self.operations.fetch_add(1, Ordering::SeqCst);
    }
    /// Bytes of all files that are there.
    fn stored(&self) -> u64 {
        let mut todo = vec![self.dir.path().to_path_buf()];
        let mut sum = 0;
        while let Some(dir) = todo.pop() {
            for entry in LocalStorage.list(&dir).unwrap() {
                match entry.is_dir {
                    true => todo.push(dir.join(&entry.name)),
                    false => sum += entry.size,
                }
            }
        }
        sum
    }
}

impl Storage for Counting {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        LocalStorage.read(&self.at(path))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<FileInfo>> {
        let entries = LocalStorage.list(&self.at(dir))?;
        self.operations.fetch_add(entries.len() as u64, Ordering::SeqCst);
        Ok(entries)
    }
    fn info(&self, path: &Path) -> io::Result<Option<FileInfo>> {
        LocalStorage.info(&self.at(path))
    }
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.count(bytes);
        LocalStorage.write_atomic(&self.at(path), bytes)
    }
    fn create_exclusive(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.count(bytes);
        LocalStorage.create_exclusive(&self.at(path), bytes)
    }
    fn write_staged(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.count(bytes);
        LocalStorage.write_staged(&self.at(path), bytes)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalStorage.rename(&self.at(from), &self.at(to))
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalStorage.rename_new(&self.at(from), &self.at(to))
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        LocalStorage.sync_dir(&self.at(dir))
    }
    fn delete(&self, path: &Path) -> io::Result<()> {
        LocalStorage.delete(&self.at(path))
    }
    fn delete_dir_all(&self, dir: &Path) -> io::Result<()> {
        LocalStorage.delete_dir_all(&self.at(dir))
    }
    fn delete_empty_dir(&self, dir: &Path) -> io::Result<()> {
        LocalStorage.delete_empty_dir(&self.at(dir))
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        LocalStorage.create_dir_all(&self.at(dir))
    }
    fn try_lock(&self, _path: &Path) -> io::Result<Option<LockGuard>> {
        Ok(Some(Box::new(()) as Box<dyn Any + Send + Sync>))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Keyed,
    EventTimeKey,
    Windowed,
    Sessions,
    Deduplicate,
    DeduplicateStrings,
    WithinWatermark,
    Join,
    OuterJoin,
}

fn schema(side: &str) -> SchemaRef {
    let mark = HashMap::from([(WATERMARK_DELAY_KEY.to_string(), "1000".to_string())]);
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new(format!("{side}t"), time, true).with_metadata(mark),
        Field::new(format!("{side}k"), DataType::Int64, true),
        Field::new(format!("{side}v"), DataType::Int64, true),
        Field::new(format!("{side}s"), DataType::Utf8, true),
    ]))
}

/// Rows of these keys. Times ascend slowly and are all different.
fn rows(side: &str, keys: impl Iterator<Item = i64>, strings: bool) -> Pieces {
    let keys: Vec<i64> = keys.collect();
    let pieces = keys.chunks(8192).map(|keys| {
        let times: TimestampMicrosecondArray = keys.iter().map(|k| Some(1_000_000_000 + k)).collect();
        let text = |k: &i64| strings.then(|| format!("{k:08x}-0000-4000-8000-{k:012x}"));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(times.with_timezone("UTC")),
            Arc::new(Int64Array::from(keys.to_vec())),
            Arc::new(Int64Array::from_value(7, keys.len())),
            Arc::new(keys.iter().map(text).collect::<StringArray>()),
        ];
        RecordBatch::try_new(schema(side), columns).unwrap()
    });
    vec![pieces.collect()]
}

async fn planned(operator: Operator, storage: &Arc<Counting>) -> StateRun {
    let seconds = |n: i64| Expr::Literal(ScalarValue::DurationMicrosecond(Some(n * 1_000_000)), None);
    let aggregated = |plan: LogicalPlan, keys: Vec<Expr>, mode| {
        let call = |name: &str| {
            udaf(name, AggregateOptions::default()).unwrap().call(vec![col("v")]).alias(name.to_string())
        };
        let calls = [call("count"), call("sum")];
        let plan = LogicalPlanBuilder::from(plan).aggregate(keys, calls).unwrap().build().unwrap();
        let LogicalPlan::Aggregate(aggregate) = &plan else { panic!("{plan}") };
        StatefulAggregate::from_aggregate(aggregate, 0, mode, true).unwrap()
    };
    let mode = if operator == Operator::Keyed { OutputMode::Update } else { OutputMode::Append };
    let build = |scans: Vec<LogicalPlan>| {
        let mut scans = scans.into_iter();
        let plan = scans.next().unwrap();
        let deduplicated = |plan: LogicalPlan, key: &str, within| {
            let keys = vec![Column::new(Some("input"), key)];
            let LogicalPlan::Extension(plan) = Deduplicate::plan(Arc::new(plan), keys, within) else {
                panic!()
            };
            let node = plan.node.as_any().downcast_ref::<Deduplicate>().unwrap().with_operator_id(0);
            LogicalPlan::Extension(Extension { node: Arc::new(node) })
        };
        let joined = |plan, right, kind| {
            let conditions = [
                col("k").eq(col("rk")),
                col("t").gt_eq(col("rt") - seconds(5)),
                col("rt").gt_eq(col("t") - seconds(5)),
            ];
            let joined = LogicalPlanBuilder::from(plan).join_on(right, kind, conditions).unwrap();
            let LogicalPlan::Join(join) = joined.build().unwrap() else { panic!("no join") };
            StreamJoin::from_join(&join, 0).unwrap()
        };
        match operator {
            Operator::Keyed => aggregated(plan, vec![col("k")], mode),
            Operator::EventTimeKey => aggregated(plan, vec![col("t")], mode),
            Operator::Windowed => {
                let spec = WindowSpec::new(600_000_000, 600_000_000, 0).unwrap();
                let plan = TimeWindow::plan(plan, col("t"), spec, "w").unwrap();
                aggregated(plan, vec![col("w"), col("k")], mode)
            }
            Operator::Sessions => {
                let plan = SessionWindow::plan(plan, col("t"), col("t") + seconds(5), "w").unwrap();
                aggregated(plan, vec![col("w"), col("k")], mode)
            }
            Operator::Deduplicate => deduplicated(plan, "k", false),
            Operator::DeduplicateStrings => deduplicated(plan, "s", false),
            Operator::WithinWatermark => deduplicated(plan, "k", true),
            Operator::Join => joined(plan, scans.next().unwrap(), JoinType::Inner),
            Operator::OuterJoin => joined(plan, scans.next().unwrap(), JoinType::Full),
        }
    };
    let schemas = match operator {
        Operator::Join | Operator::OuterJoin => vec![schema(""), schema("r")],
        _ => vec![schema("")],
    };
    let mut run = StateRun::at_pace(SnapshotPace::default(), &schemas, mode, storage.clone(), build).await;
    run.batch_size = 8192;
    run
}

/// A line of `/proc/self/status`, in MB; 0 where there is no such thing.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|l| l.strip_prefix(line)).unwrap_or("");
    value.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Keys touched in a small batch.
const TOUCHED: i64 = 1000;

/// Bytes a small batch writes, and its time in milliseconds, at `keys` keys.
async fn small_batches(operator: Operator, keys: i64) -> (f64, f64) {
    let storage = Counting::new();
    let mut run = planned(operator, &storage).await;
    let strings = operator == Operator::DeduplicateStrings;
    let inputs = |from: i64, to: i64, step: i64| {
        let keys = move || (from..to).step_by(step as usize);
        match operator {
            // Half the rows on each side, each with a key of its own.
            Operator::Join | Operator::OuterJoin => vec![
                rows("", keys().filter(|k| k % 2 == 0), false),
                rows("r", keys().filter(|k| k % 2 == 1), false),
            ],
            _ => vec![rows("", keys(), strings)],
        }
    };
    let mut batch = BatchId(0);
    run.operator().load(batch).await.unwrap();
    let start = Instant::now();
    let fill = (keys / 20).max(1);
    let mut slowest = 0.0_f64;
    for from in (0..keys).step_by(fill as usize) {
        let begun = Instant::now();
        run.execute(batch, Millis(0), Millis(0), inputs(from, (from + fill).min(keys), 1)).await.unwrap();
        run.operator().commit(batch).await.unwrap();
        run.operator().purge(BatchId((batch.0 - 2).max(0))).await.unwrap();
        slowest = slowest.max(begun.elapsed().as_secs_f64() * 1000.0);
        batch = batch.next();
    }
    let filled = start.elapsed().as_secs_f64();
    let (held, peak) = (memory("VmRSS:"), memory("VmHWM:"));
    println!(
        "{operator:?} {keys} keys: filled in {filled:.1} s, slowest batch {slowest:.0} ms, state says {} MB, resident {held} MB, peak {peak} MB, files {} MB",
        run.operator().metrics().memory_used_bytes >> 20,
        storage.stored() >> 20,
    );
    // Deduplications take new keys, the others touch keys they have.
    let adds =
        matches!(operator, Operator::Deduplicate | Operator::DeduplicateStrings | Operator::WithinWatermark);
    let few = |n: i64| match adds {
        true => inputs(keys + n * TOUCHED, keys + (n + 1) * TOUCHED, 1),
        false => inputs(n % 7, keys - keys / TOUCHED + 1, keys / TOUCHED),
    };
    let rounds = 250;
    let before = storage.written.load(Ordering::SeqCst);
    let operations = storage.operations.load(Ordering::SeqCst);
    let mut times = vec![];
    for n in 0..rounds {
        let input = few(n);
        let begun = Instant::now();
        run.execute(batch, Millis(0), Millis(0), input).await.unwrap();
        run.operator().commit(batch).await.unwrap();
        run.operator().purge(BatchId(batch.0 - 2)).await.unwrap();
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        batch = batch.next();
    }
    times.sort_by(f64::total_cmp);
    let bytes = (storage.written.load(Ordering::SeqCst) - before) as f64 / rounds as f64;
    let operations = (storage.operations.load(Ordering::SeqCst) - operations) as f64 / rounds as f64;
    let middle = times[times.len() / 2];
    println!(
        "  batches of {TOUCHED}: {bytes:.0} bytes, {operations:.1} file operations, median {middle:.2} ms, slowest {:.2} ms, resident {} MB, peak {} MB, files {} MB",
        times[times.len() - 1],
        memory("VmRSS:"),
        memory("VmHWM:"),
        storage.stored() >> 20,
    );
    let total = run.operator().metrics().num_rows_total;
    drop(run);
    run = planned(operator, &storage).await;
    // Memory given back counts as free, and the peak from here on.
    let _ = std::fs::File::options()
        .write(true)
        .open("/proc/self/clear_refs")
        .and_then(|mut f| io::Write::write_all(&mut f, b"5"));
    let begun = Instant::now();
    run.operator().load(batch).await.unwrap();
    let restored = begun.elapsed().as_secs_f64();
    run.execute(batch, Millis(0), Millis(0), few(rounds)).await.unwrap();
    println!("  restored in {restored:.2} s, resident {} MB, peak {} MB", memory("VmRSS:"), memory("VmHWM:"));
    let added = if adds || matches!(operator, Operator::Join | Operator::OuterJoin) {
        run.operator().metrics().num_rows_updated
    } else {
        0
    };
    assert_eq!(run.operator().metrics().num_rows_total, total + added, "{operator:?} lost keys");
    (bytes, middle)
}

async fn check(operator: Operator) {
    let keys = std::env::var("MILLSTREAM_STATE_KEYS").ok().and_then(|n| n.parse().ok());
    if let Some(keys) = keys {
        small_batches(operator, keys).await;
        return;
    }
    let (few_bytes, few_time) = small_batches(operator, 10_000).await;
    let (bytes, time) = small_batches(operator, 200_000).await;
    // Twenty times the keys: what depends on the state would show.
    assert!(bytes < 3.0 * few_bytes, "{operator:?}: {bytes} bytes a batch, {few_bytes} for fewer keys");
    assert!(time < 6.0 * few_time + 5.0, "{operator:?}: {time} ms a batch, {few_time} for fewer keys");
}

macro_rules! operators {
    ($($name:ident: $operator:ident),*) => { $(
        #[tokio::test]
        async fn $name() {
            check(Operator::$operator).await;
        }
    )* };
}

operators! {
    keyed: Keyed, event_time_key: EventTimeKey, windowed: Windowed, sessions: Sessions,
    deduplicate: Deduplicate, deduplicate_strings: DeduplicateStrings, within_watermark: WithinWatermark,
    join: Join, outer_join: OuterJoin
}
