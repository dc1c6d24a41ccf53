//! Functions and writers of the user's as sinks.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use datafusion::{
    arrow::{
        array::{AsArray, RecordBatch},
        datatypes::Int64Type,
    },
    logical_expr::LogicalPlan,
};
use millstream_engine::{
    SparkError,
    query::{BatchId, Trigger},
    sink::{
        BatchFunction, BatchRows, ForeachBatchSink, ForeachSink, ForeachWriter, OutputMode, PartitionWriter,
        Sink,
    },
    time::SystemClock,
};
use parking_lot::Mutex;

use crate::support::{
    failing_storage::FailingStorage,
    stream::{Scratch, aggregate, col, manager, manager_with, query},
};

const FILES: [&str; 3] = [
    "2024-01-01T00:00:01.000Z,a,1\n2024-01-01T00:00:04.000Z,b,2\n",
    "2024-01-01T00:00:21.000Z,a,4\n",
    "2024-01-01T00:00:03.000Z,b,6\n2024-01-01T00:00:25.000Z,b,7\n",
];

fn fed() -> Scratch {
    let scratch = Scratch::new();
    FILES.iter().enumerate().for_each(|(number, text)| scratch.feed(number, text));
    scratch
}

fn plan(scratch: &Scratch) -> LogicalPlan {
    scratch.scan().project([col("k"), col("v")]).unwrap().build().unwrap()
}

/// Keys and values.
fn pairs(rows: &RecordBatch) -> Vec<(String, i64)> {
    let (keys, values) = (rows.column(0).as_string::<i32>(), rows.column(1).as_primitive::<Int64Type>());
    (0..rows.num_rows()).map(|i| (keys.value(i).to_string(), values.value(i))).collect()
}

/// A batch's number, its keys and values.
type Seen = (i64, Vec<(String, i64)>);

/// What was called, in order; told to, it fails at a batch after it has seen it.
#[derive(Default)]
struct Calls {
    batches: Mutex<Vec<Seen>>,
    writers: Mutex<Vec<String>>,
    fail_at: Mutex<Option<(i64, Failure)>>,
    refuse_rows: AtomicBool,
    /// Where `offsets/N` has to be when batch N is seen.
    scratch: Option<std::path::PathBuf>,
}

#[derive(Clone, Copy)]
enum Failure {
    Spark,
    Other,
}

impl Calls {
    fn check(&self, batch: BatchId) -> Result<(), Box<dyn Error + Send + Sync>> {
        if let Some(checkpoint) = &self.scratch {
            assert!(
                checkpoint.join("offsets").join(batch.to_string()).exists(),
                "batch {batch} is not logged"
            );
        }
        match *self.fail_at.lock() {
            Some((at, Failure::Spark)) if at == batch.0 => Err(SparkError::new("DIVIDE_BY_ZERO").into()),
            Some((at, Failure::Other)) if at == batch.0 => Err("the disk of the user is full".into()),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl BatchFunction for Calls {
    async fn call(&self, rows: BatchRows, batch: BatchId) -> Result<(), Box<dyn Error + Send + Sync>> {
        let names: Vec<&str> = rows.schema.fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["k", "v"]);
        self.batches.lock().push((batch.0, rows.batches.iter().flat_map(pairs).collect()));
        self.check(batch)
    }
}

struct Writers(Arc<Calls>);

impl ForeachWriter for Writers {
    fn open(
        &self,
        partition: usize,
        batch: BatchId,
    ) -> Result<Box<dyn PartitionWriter>, Box<dyn Error + Send + Sync>> {
        self.0.writers.lock().push(format!("open {partition} {batch}"));
        Ok(Box::new(Writer { calls: Arc::clone(&self.0), batch, rows: Vec::new() }))
    }
}

struct Writer {
    calls: Arc<Calls>,
    batch: BatchId,
    rows: Vec<(String, i64)>,
}

impl PartitionWriter for Writer {
    fn wants_rows(&self) -> bool {
        !self.calls.refuse_rows.load(Ordering::SeqCst)
    }

    fn process(&mut self, rows: &RecordBatch) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.rows.extend(pairs(rows));
        self.calls.check(self.batch)
    }

    fn close(self: Box<Self>, error: Option<&SparkError>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let ending = error.map_or("well", SparkError::class);
        self.calls.writers.lock().push(format!("close {} {ending} {}", self.batch, self.rows.len()));
        self.calls.batches.lock().push((self.batch.0, self.rows));
        Ok(())
    }
}

/// Runs to the end of the data; the error of the query if it fails.
async fn run(
    scratch: &Scratch,
    plan: LogicalPlan,
    mode: OutputMode,
    sink: impl Sink + 'static,
) -> Result<(), SparkError> {
    let mut spec = query(scratch, plan, Arc::new(sink));
    spec.trigger = Trigger::AvailableNow;
    spec.output_mode = mode;
    manager().start(spec).await?.await_termination(None).await.map(|_| ())
}

/// The text of a query's failure, its causes included.
fn text(error: &SparkError) -> String {
    let mut text = error.to_string();
    let mut cause = Error::source(error);
    while let Some(below) = cause {
        text = format!("{text} <- {below}");
        cause = below.source();
    }
    text
}

fn batch(number: i64, pairs: &[(&str, i64)]) -> Seen {
    (number, pairs.iter().map(|(k, v)| (k.to_string(), *v)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_sees_each_batch_and_after_its_failure_the_same_batch_again() {
    for failure in [Failure::Spark, Failure::Other] {
        let scratch = fed();
        let calls = Arc::new(Calls { scratch: Some(scratch.path("checkpoint")), ..Calls::default() });
        *calls.fail_at.lock() = Some((1, failure));
        let failed =
            run(&scratch, plan(&scratch), OutputMode::Append, ForeachBatchSink::new(calls.clone())).await;
        let failed = text(&failed.unwrap_err());
        let expected = match failure {
            Failure::Spark => "DIVIDE_BY_ZERO",
            Failure::Other => {
                "[FOREACH_BATCH_USER_FUNCTION_ERROR] An error occurred in the user provided function in \
                 foreach batch sink. Reason: the disk of the user is full"
            }
        };
        assert!(failed.contains(expected), "{failed}");

        *calls.fail_at.lock() = None;
        run(&scratch, plan(&scratch), OutputMode::Append, ForeachBatchSink::new(calls.clone()))
            .await
            .unwrap();
        let again = batch(1, &[("a", 4)]);
        let expected =
            [batch(0, &[("a", 1), ("b", 2)]), again.clone(), again, batch(2, &[("b", 6), ("b", 7)])];
        assert_eq!(*calls.batches.lock(), expected);
        assert_eq!(scratch.log("commits").len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_runs_again_leaves_the_state_right() {
    let scratch = fed();
    let sums = |scratch: &Scratch| {
        let plan = scratch.scan().aggregate([col("k")], [aggregate("sum", "v", "v")]).unwrap();
        plan.build().unwrap()
    };
    let calls = Arc::new(Calls::default());
    for fail_at in [Some((0, Failure::Other)), Some((2, Failure::Other)), None] {
        *calls.fail_at.lock() = fail_at;
        let sink = ForeachBatchSink::new(calls.clone());
        let ended = run(&scratch, sums(&scratch), OutputMode::Update, sink).await;
        assert_eq!(ended.is_err(), fail_at.is_some());
    }
    let seen: Vec<(i64, BTreeMap<String, i64>)> =
        calls.batches.lock().iter().map(|(n, rows)| (*n, rows.iter().cloned().collect())).collect();
    let sums = |n: i64, pairs: &[(&str, i64)]| (n, pairs.iter().map(|(k, v)| (k.to_string(), *v)).collect());
    let (first, last) = (sums(0, &[("a", 1), ("b", 2)]), sums(2, &[("b", 15)]));
    assert_eq!(seen, [first.clone(), first, sums(1, &[("a", 5)]), last.clone(), last]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_number_never_comes_with_other_rows_whatever_write_fails() {
    for after in [false, true] {
        for at in 0.. {
            assert!(at < 200, "no run survives");
            let scratch = fed();
            let calls = Arc::new(Calls::default());
            let storage = Arc::new(FailingStorage::new(at, after));
            let sink = Arc::new(ForeachBatchSink::new(calls.clone()));
            let mut spec = query(&scratch, plan(&scratch), sink);
            spec.trigger = Trigger::AvailableNow;
            if let Ok(running) = manager_with(storage.clone(), Arc::new(SystemClock::new())).start(spec).await
            {
                let _ended_as_it_may = running.await_termination(None).await;
            }
            if !storage.has_failed() {
                break;
            }
            // What comes before the restart belongs to a number as well.
            scratch.feed(3, "2024-01-01T00:00:30.000Z,c,9\n");
            run(&scratch, plan(&scratch), OutputMode::Append, ForeachBatchSink::new(calls.clone()))
                .await
                .unwrap();
            let mut by_number = BTreeMap::new();
            for (number, rows) in calls.batches.lock().iter() {
                let first = by_number.entry(*number).or_insert_with(|| rows.clone());
                assert_eq!(first, rows, "batch {number}, write {at}, after: {after}");
            }
            let mut values: Vec<i64> = by_number.values().flatten().map(|(_, v)| *v).collect();
            values.sort_unstable();
            assert_eq!(values, [1, 2, 4, 6, 7, 9], "write {at}, after: {after}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_are_opened_fed_and_closed_once_a_partition() {
    let scratch = fed();
    let calls = Arc::new(Calls { scratch: Some(scratch.path("checkpoint")), ..Calls::default() });
    *calls.fail_at.lock() = Some((2, Failure::Other));
    let sink = || ForeachSink::new(Arc::new(Writers(Arc::clone(&calls))));
    let failed = run(&scratch, plan(&scratch), OutputMode::Append, sink()).await.unwrap_err();
    let expected = "[FOREACH_USER_FUNCTION_ERROR] An error occurred in the user provided function in foreach \
                    sink. Reason: the disk of the user is full";
    assert!(text(&failed).contains(expected), "{}", text(&failed));
    *calls.fail_at.lock() = None;
    run(&scratch, plan(&scratch), OutputMode::Append, sink()).await.unwrap();
    let expected = [
        "open 0 0",
        "close 0 well 2",
        "open 0 1",
        "close 1 well 1",
        "open 0 2",
        "close 2 FOREACH_USER_FUNCTION_ERROR 2",
        "open 0 2",
        "close 2 well 2",
    ];
    assert_eq!(*calls.writers.lock(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_may_refuse_a_partition_and_the_rows_still_count_for_the_state() {
    let scratch = fed();
    let calls = Arc::new(Calls::default());
    calls.refuse_rows.store(true, Ordering::SeqCst);
    run(&scratch, plan(&scratch), OutputMode::Append, ForeachSink::new(Arc::new(Writers(calls.clone()))))
        .await
        .unwrap();
    let closed: Vec<String> =
        calls.writers.lock().iter().filter(|call| call.starts_with("close")).cloned().collect();
    assert_eq!(closed, ["close 0 well 0", "close 1 well 0", "close 2 well 0"]);
    assert_eq!(scratch.log("commits").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_data_closes_the_writer_with_the_error() {
    let scratch = fed();
    let bad = plan(&scratch);
    let bad = datafusion::logical_expr::LogicalPlanBuilder::from(bad)
        .project([col("k"), (col("v") / (col("v") - col("v"))).alias("v")])
        .unwrap()
        .build()
        .unwrap();
    let calls = Arc::new(Calls::default());
    let ended =
        run(&scratch, bad, OutputMode::Append, ForeachSink::new(Arc::new(Writers(calls.clone())))).await;
    ended.unwrap_err();
    let calls = calls.writers.lock();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls[1].starts_with("close 0 ") && !calls[1].contains("well"), "{calls:?}");
}
