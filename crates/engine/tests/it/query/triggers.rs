//! Triggers, waiting and status, on a clock the test owns.

use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use millstream_engine::{
    checkpoint::LocalStorage,
    format::Options,
    plan::StreamScan,
    query::{StreamingQuery, StreamingQueryEvent, Trigger},
    source::{SourceSpec, rate_schema},
    time::{Clock, SystemClock},
};

use crate::support::{
    clock::FakeClock,
    collect_sink::CollectSink,
    stream::{Scratch, manager_with, query},
};

const START: i64 = 1_795_357_147_873;

fn rate(options: &[(&str, &str)]) -> LogicalPlan {
    let options = Options::new(options.iter().map(|(k, v)| (k.to_string(), v.to_string())));
    let spec = SourceSpec { format: "rate".to_string(), schema: rate_schema(), options, paths: vec![] };
    StreamScan::plan(spec, "rate").unwrap()
}

/// Lets the query's task run until `done`, at most half a minute.
async fn until(query: Option<&StreamingQuery>, what: &str, done: impl Fn() -> bool) {
    let clock = SystemClock::new();
    while !done() {
        assert!(
            clock.monotonic().as_secs() < 30,
            "{what} did not happen; {:?}",
            query.map(|q| (q.status(), q.exception()))
        );
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
}

/// Until the query waits for its next trigger and sleeps: what it says comes a moment before.
async fn until_next_trigger(query: &StreamingQuery, clock: &FakeClock) {
    let asleep = || query.status().message == "Waiting for next trigger" && clock.sleepers() == 1;
    until(Some(query), "waiting for a trigger", asleep).await;
}

/// Until the query waits for data: one sleep ends with the idle report, one with the source's news.
async fn until_idle(query: &StreamingQuery, clock: &FakeClock) {
    let asleep = || query.status().message == "Waiting for data to arrive" && clock.sleepers() == 2;
    until(Some(query), "waiting for data", asleep).await;
}

async fn until_batches(sink: &CollectSink, count: usize) {
    until(None, &format!("batch {count}"), || sink.batches() >= count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_source_follows_the_clock_and_keeps_its_start() {
    let (scratch, sink) = (Scratch::new(), CollectSink::default());
    let clock = Arc::new(FakeClock::at(START));
    let manager = manager_with(LocalStorage::shared(), clock.clone());
    let plan = rate(&[("rowsPerSecond", "10"), ("rampUpTime", "3s")]);
    let running = manager.start(query(&scratch, plan.clone(), Arc::new(sink.clone()))).await.unwrap();
    until_idle(&running, &clock).await;
    // Spark runs a first batch without rows.
    assert_eq!(sink.published()[&0], Vec::<serde_json::Value>::new());
    clock.advance(1004);
    until_batches(&sink, 2).await;
    running.stop().await;

    // A restart goes on from the recorded start.
    clock.advance(1000);
    let running = manager.start(query(&scratch, plan, Arc::new(sink.clone()))).await.unwrap();
    until_batches(&sink, 3).await;
    running.stop().await;
    let values = |batch: i64| -> Vec<i64> {
        sink.published()[&batch].iter().map(|row| row["value"].as_i64().unwrap()).collect()
    };
    assert_eq!((values(1), values(2)), (vec![0, 1], vec![2, 3, 4, 5]));
    assert_eq!(scratch.log("sources/0"), [(0, vec![START.to_string()])]);
    let offsets: Vec<String> =
        scratch.log("offsets").into_iter().map(|(_, lines)| lines[1].clone()).collect();
    assert_eq!(offsets, ["0", "1", "2"]);
    assert_eq!(running.status().message, "Stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn processing_time_ticks_at_multiples_of_the_interval() {
    let (scratch, sink) = (Scratch::new(), CollectSink::default());
    let clock = Arc::new(FakeClock::at(START));
    let manager = manager_with(LocalStorage::shared(), clock.clone());
    let mut spec = query(&scratch, rate(&[]), Arc::new(sink.clone()));
    spec.trigger = Trigger::ProcessingTime(20_000);
    let running = manager.start(spec).await.unwrap();
    until_next_trigger(&running, &clock).await;
    assert_eq!(sink.batches(), 1, "the first batch runs at once");
    let tick = START / 20_000 * 20_000 + 20_000;
    clock.advance(tick - START - 1);
    until_next_trigger(&running, &clock).await;
    assert_eq!(sink.batches(), 1);
    clock.advance(1);
    until_batches(&sink, 2).await;
    until_next_trigger(&running, &clock).await;
    let progress = running.last_progress().unwrap();
    assert_eq!(progress.timestamp.0, tick);
    assert_eq!(progress.num_input_rows(), (tick - START) / 1000);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idleness_is_reported_after_ten_seconds() {
    let (scratch, sink) = (Scratch::new(), CollectSink::default());
    let clock = Arc::new(FakeClock::at(START));
    let manager = manager_with(LocalStorage::shared(), clock.clone());
    let mut events = manager.subscribe();
    let plan = scratch.scan().build().unwrap();
    scratch.feed(0, "2024-01-01T00:00:01.000Z,a,1\n");
    let running = manager.start(query(&scratch, plan, Arc::new(sink.clone()))).await.unwrap();
    running.process_all_available().await.unwrap();
    until_idle(&running, &clock).await;
    clock.advance(10_000);
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(StreamingQueryEvent::Idle { .. })) {
        match events.try_recv() {
            Ok(event) => seen.push(event),
            // The query may only now begin to wait, from the moved clock on.
            Err(_) => clock.advance(1),
        }
        tokio::task::yield_now().await;
    }
    assert!(matches!(seen[0], StreamingQueryEvent::Started { .. }), "{seen:?}");
    assert!(matches!(seen[1], StreamingQueryEvent::Progress(_)), "{seen:?}");
    assert_eq!(seen.len(), 3, "{seen:?}");
    running.stop().await;
    let last = events.recv().await.unwrap().json();
    assert_eq!(last["runId"], running.run_id().to_string());
    assert!(last["exception"].is_null());
}
