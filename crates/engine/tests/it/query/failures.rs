//! Whatever fails, and wherever: a restart leads to the same output.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::logical_expr::{LogicalPlan, lit};
use millstream_engine::{query::Trigger, sink::OutputMode, time::SystemClock};
use serde_json::Value;

use crate::support::{
    collect_sink::{CollectSink, Misbehave},
    failing_storage::FailingStorage,
    stream::{Scratch, aggregate, col, manager, manager_with, query, windowed, with_watermark},
};

const FILES: [&str; 3] = [
    "2024-01-01T00:00:01.000Z,a,1\n2024-01-01T00:00:04.000Z,b,2\n",
    "2024-01-01T00:00:21.000Z,a,4\n",
    "2024-01-01T00:00:03.000Z,b,6\n2024-01-01T00:00:25.000Z,b,7\n",
];

fn plan(scratch: &Scratch) -> LogicalPlan {
    let plan = with_watermark(scratch.scan(), 5000);
    plan.project([col("t"), col("k"), (col("v") * lit(2_i64)).alias("w")]).unwrap().build().unwrap()
}

fn fed() -> Scratch {
    let scratch = Scratch::new();
    for (number, text) in FILES.iter().enumerate() {
        scratch.feed(number, text);
    }
    scratch
}

/// All rows of all batches, sorted. A crash between the source's log and the offset log may
/// join two files in one batch (in Spark too); a batch that was logged keeps its rows, which
/// the sink checks.
fn rows(published: &BTreeMap<i64, Vec<Value>>) -> Vec<String> {
    let mut rows: Vec<String> = published.values().flatten().map(ToString::to_string).collect();
    rows.sort();
    rows
}

/// Rows and values of each key in each window.
fn windows(scratch: &Scratch) -> LogicalPlan {
    let groups = windowed(with_watermark(scratch.scan(), 5000))
        .aggregate([col("window"), col("k")], [aggregate("count", "v", "n"), aggregate("sum", "v", "s")])
        .unwrap();
    groups.build().unwrap()
}

/// The last value of every group: an update replaces the one before.
fn latest(published: &BTreeMap<i64, Vec<Value>>) -> BTreeMap<String, String> {
    let rows = published.values().flatten();
    rows.map(|row| (format!("{} {}", row["window"], row["k"]), row.to_string())).collect()
}

/// What all runs together have published when the last one has ended well.
async fn run_to_the_end(scratch: &Scratch, sink: &CollectSink) -> BTreeMap<i64, Vec<Value>> {
    run_plan(scratch, sink, plan(scratch), OutputMode::Append).await
}

async fn run_plan(
    scratch: &Scratch,
    sink: &CollectSink,
    plan: LogicalPlan,
    mode: OutputMode,
) -> BTreeMap<i64, Vec<Value>> {
    let mut spec = query(scratch, plan, Arc::new(sink.clone()));
    spec.trigger = Trigger::AvailableNow;
    spec.output_mode = mode;
    let running = manager().start(spec).await.unwrap();
    running.await_termination(None).await.unwrap();
    sink.published()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_at_any_write_leads_to_the_same_output() {
    let expected = run_to_the_end(&fed(), &CollectSink::default()).await;
    assert_eq!(expected.len(), FILES.len());
    for after in [false, true] {
        let mut failures = 0;
        for at in 0.. {
            assert!(at < 200, "no run survives");
            let (scratch, sink) = (fed(), CollectSink::default());
            let storage = Arc::new(FailingStorage::new(at, after));
            let manager = manager_with(storage.clone(), Arc::new(SystemClock::new()));
            let mut spec = query(&scratch, plan(&scratch), Arc::new(sink.clone()));
            spec.trigger = Trigger::AvailableNow;
            let outcome = match manager.start(spec).await {
                Ok(running) => running.await_termination(None).await,
                Err(refused) => Err(refused),
            };
            if !storage.has_failed() {
                assert!(outcome.unwrap());
                break;
            }
            failures += 1;
            let published = run_to_the_end(&scratch, &sink).await;
            assert_eq!(rows(&published), rows(&expected), "write {at}, after: {after}");
        }
        // metadata, and for each batch the source's log, offsets and commits.
        assert!(failures >= 10, "{failures} writes");
    }
}

/// Runs a windowed query that dies at every writing operation in turn; `seen` is what has to come out
/// as without a death.
async fn windows_survive<T: PartialEq + std::fmt::Debug>(
    files: &[String],
    mode: OutputMode,
    step: usize,
    seen: fn(&BTreeMap<i64, Vec<Value>>) -> T,
) {
    let fed = || {
        let scratch = Scratch::new();
        files.iter().enumerate().for_each(|(number, text)| scratch.feed(number, text));
        scratch
    };
    let scratch = fed();
    let whole = run_plan(&scratch, &CollectSink::default(), windows(&scratch), mode).await;
    assert!(whole.values().any(|rows| !rows.is_empty()));
    let expected = seen(&whole);
    for after in [false, true] {
        let mut failures = 0;
        for at in (0..).step_by(step) {
            let (scratch, sink) = (fed(), CollectSink::default());
            let storage = Arc::new(FailingStorage::new(at, after));
            let manager = manager_with(storage.clone(), Arc::new(SystemClock::new()));
            let mut spec = query(&scratch, windows(&scratch), Arc::new(sink.clone()));
            spec.trigger = Trigger::AvailableNow;
            spec.output_mode = mode;
            let outcome = match manager.start(spec).await {
                Ok(running) => running.await_termination(None).await,
                Err(refused) => Err(refused),
            };
            if !storage.has_failed() {
                assert!(outcome.unwrap());
                break;
            }
            failures += 1;
            let published = run_plan(&scratch, &sink, windows(&scratch), mode).await;
            assert_eq!(seen(&published), expected, "{mode:?}, write {at}, after: {after}");
        }
        // For each batch the source's log, offsets, state and commits.
        assert!(failures * step >= 4 * files.len(), "{failures} deaths");
    }
}

/// So many files, without late rows: a crash may join two files in one batch, and then fewer are late.
fn punctual(files: usize) -> Vec<String> {
    let row =
        |at: usize, k: &str, v: usize| format!("2024-01-01T00:{:02}:{:02}.000Z,{k},{v}\n", at / 60, at % 60);
    (0..files).map(|n| row(n * 7, "a", n) + &row(n * 7 + 3, "b", n)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_in_append_mode_survive_a_failure_at_any_write() {
    windows_survive(&punctual(4), OutputMode::Append, 1, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_in_update_mode_survive_a_failure_at_any_write() {
    windows_survive(&punctual(4), OutputMode::Update, 1, latest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_in_complete_mode_survive_a_failure_at_any_write() {
    windows_survive(&punctual(3), OutputMode::Complete, 1, latest).await;
}

/// Enough batches for snapshots of the state, and for the removal of old files.
#[tokio::test(flavor = "multi_thread")]
async fn windows_survive_failures_around_snapshots() {
    windows_survive(&punctual(13), OutputMode::Update, 7, latest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_published_but_not_committed_runs_again() {
    let (scratch, sink) = (fed(), CollectSink::default());
    sink.misbehave(Misbehave::FailAfterPublish);
    let spec = query(&scratch, plan(&scratch), Arc::new(sink.clone()));
    let running = manager().start(spec).await.unwrap();
    let error = running.await_termination(None).await.unwrap_err();
    assert_eq!(error.class(), "STREAM_FAILED");
    assert_eq!(scratch.log("offsets").len(), 1);
    assert_eq!(scratch.log("commits").len(), 0);
    let before = scratch.log("offsets");

    sink.misbehave(Misbehave::No);
    let published = run_to_the_end(&scratch, &sink).await;
    assert_eq!(published.len(), FILES.len());
    assert_eq!(scratch.log("offsets")[0], before[0], "offsets, watermark and timestamp are those logged");
    let fresh = run_to_the_end(&fed(), &CollectSink::default()).await;
    assert_eq!(published, fresh);
}
