//! Random chains over random files, stopped after each step and killed at random writes.

use std::{collections::BTreeMap, fs::File, io::Write, path::PathBuf, sync::Arc};

use datafusion::common::JoinType;
use millstream_engine::{
    checkpoint::StorageRef,
    query::{QueryConf, Trigger},
    time::SystemClock,
};
use millstream_testkit::cases;
use proptest::prelude::*;
use serde_json::Value;

use super::{
    plan::{Op, Planner, folder},
    reference::{Counts, Death, Query, Row},
};
use crate::support::{
    collect_sink::CollectSink,
    failing_storage::FailingStorage,
    state_run::MemoryStorage,
    stream::{Scratch, manager_with, query},
};

/// What arrives before a run, and the write at which the run dies (and whether the write happens).
#[derive(Debug, Clone)]
struct Step {
    files: Vec<Vec<Row>>,
    death: Option<(i64, bool)>,
}

#[derive(Debug, Clone)]
struct Case {
    op: Op,
    streams: usize,
    max_policy: bool,
    steps: Vec<Step>,
}

/// Numbers the streams of a chain from left to right.
fn numbered(op: &mut Op, next: &mut usize) {
    match op {
        Op::Source { stream, .. } => {
            *stream = *next;
            *next += 1;
        }
        // Which of several duplicates, and which rows, come first is only known of rows that come in an order.
        Op::Dedup { input, whole, .. } => *whole |= !input.ordered(),
        Op::Limit { input, rows } if !input.ordered() => *rows = 1_000_000,
        // A semi join goes below what is no deduplication and no limit; the model leaves it where it is.
        Op::Join { kind: kind @ JoinType::LeftSemi, left, .. }
            if !matches!(**left, Op::Source { .. } | Op::Dedup { .. } | Op::Limit { .. }) =>
        {
            *kind = JoinType::Inner;
        }
        _ => {}
    }
    op.inputs_mut().into_iter().for_each(|input| numbered(input, next));
}

fn source() -> impl Strategy<Value = Op> {
    prop_oneof![Just(0_i64), Just(3_000), Just(10_000)].prop_map(|delay| Op::Source { stream: 0, delay })
}

/// An operator to be put above one or two chains.
#[derive(Debug, Clone, Copy)]
struct Layer {
    choice: u8,
    flag: bool,
    size: i64,
    kind: JoinType,
}

fn layer() -> impl Strategy<Value = Layer> {
    use JoinType::{Full, Inner, Left, LeftSemi, Right};
    let kind = prop::sample::select(vec![Inner, Left, Right, Full, LeftSemi]);
    (0..8_u8, any::<bool>(), prop_oneof![Just(4_i64), Just(10)], kind)
        .prop_map(|(choice, flag, size, kind)| Layer { choice, flag, size, kind })
}

fn above(left: Op, right: Op, Layer { choice, flag, size, kind }: Layer) -> Op {
    let input = Box::new(left);
    match choice {
        0 => Op::Dedup { within: flag, whole: false, input },
        1 => Op::Window { size: size * 1000, slide: if flag { size * 1000 } else { 2_000 }, input },
        2 => Op::Session { gap: size * 1000, input },
        3 => Op::Union { left: input, right: Box::new(right) },
        4 => Op::Limit { rows: size as usize, input },
        _ => {
            let (before, right) = (size * 500, Box::new(right));
            Op::Join { kind, narrowed: false, before, after: 4_000, left: input, right }
        }
    }
}

fn chain() -> impl Strategy<Value = Op> {
    let small = (source(), source(), prop::option::of(layer())).prop_map(|(a, b, layer)| match layer {
        None => a,
        Some(layer) => above(a, b, layer),
    });
    let layers = prop::collection::vec((layer(), small), 1..=3);
    (source(), layers).prop_map(|(first, layers)| {
        let chain = layers.into_iter().fold(first, |below, (layer, beside)| above(below, beside, layer));
        // A union alone has no state: something stands above it.
        let dedup = Layer { choice: 0, flag: false, size: 4, kind: JoinType::Inner };
        match chain {
            Op::Union { .. } => above(chain.clone(), chain, dedup),
            chain => chain,
        }
    })
}

fn case() -> impl Strategy<Value = Case> {
    let row = || {
        let time = prop_oneof![12 => (0..16_000_i64).prop_map(|t| Some(t / 500 * 500)), 1 => Just(None)];
        let value = prop_oneof![6 => (0..4_i64).prop_map(Some), 1 => Just(None)];
        (time, 0..3_u8, value).prop_map(|(t, k, v)| Row { t, k, v })
    };
    let rows = move || prop_oneof![3 => prop::collection::vec(row(), 1..10), 1 => Just(vec![])];
    let death = prop_oneof![3 => Just(None), 2 => (0..30_i64, any::<bool>()).prop_map(Some)];
    let step = move |streams| (prop::collection::vec(rows(), streams), death.clone(), 0..14_000_i64);
    // At the sink a limit may stand above rows in no order: so many come, whichever.
    let last = prop_oneof![5 => Just(None), 1 => (0..20_usize).prop_map(Some)];
    (chain(), last).prop_flat_map(move |(mut op, last)| {
        let mut streams = 0;
        numbered(&mut op, &mut streams);
        if let Some(rows) = last {
            op = Op::Limit { rows, input: Box::new(op) };
        }
        let steps = prop::collection::vec(step(streams), 2..8);
        (steps, any::<bool>()).prop_map(move |(steps, max_policy)| {
            let mut now = 0;
            let steps = steps.into_iter().map(|(mut files, death, advance)| {
                if op.joins() {
                    files.iter_mut().for_each(|rows| rows.retain(|row| row.t.is_some()));
                }
                for t in files.iter_mut().flatten().filter_map(|row| row.t.as_mut()) {
                    *t += now - 4_000;
                }
                now += advance;
                Step { files, death }
            });
            Case { op: op.clone(), streams, max_policy, steps: steps.collect() }
        })
    })
}

/// Lays a file into the folder of a stream.
#[expect(clippy::disallowed_methods, reason = "the test plays the producer, which is not us")]
fn lay(scratch: &Scratch, stream: usize, number: usize, rows: &[Row]) {
    let staged = scratch.path("staged");
    let mut file = File::create(&staged).unwrap();
    for Row { t, k, v } in rows {
        let t = t.map_or(String::new(), |t| {
            let instant = chrono::DateTime::from_timestamp_millis(t).unwrap();
            instant.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
        });
        let v = v.map_or(String::new(), |v| v.to_string());
        writeln!(file, "{t},{k},{v}").unwrap();
    }
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000 + number as u64))
        .unwrap();
    drop(file);
    std::fs::rename(staged, scratch.path(&folder(stream)).join(format!("{number}.csv"))).unwrap();
}

/// Numbers of batches planned and committed.
fn logged(storage: &MemoryStorage, scratch: &Scratch) -> Death {
    let files = storage.files.lock();
    let count = |log: &str| {
        let dir: PathBuf = scratch.path("checkpoint").join(log);
        let numbers = files.keys().filter(|path| path.parent() == Some(dir.as_path()));
        let newest = numbers.filter_map(|path| path.file_name()?.to_str()?.parse::<usize>().ok()).max();
        newest.map_or(0, |newest| newest + 1)
    };
    (count("offsets"), count("commits"))
}

/// A row as the sink shows it.
fn shown(row: &Row) -> String {
    let t = row.t.map(|t| {
        let instant = chrono::DateTime::from_timestamp_millis(t).unwrap();
        instant.format("%Y-%m-%d %H:%M:%S").to_string()
    });
    serde_json::json!({"t": t, "k": row.k.to_string(), "v": row.v}).to_string()
}

async fn check(case: &Case) {
    let scratch = Scratch::new();
    (0..case.streams).for_each(|stream| std::fs::create_dir(scratch.path(&folder(stream))).unwrap());
    let storage: Arc<MemoryStorage> = Arc::default();
    let sink = CollectSink::default();
    let mut reference = Query::new(&case.op, case.streams, case.max_policy);
    let mut figures: BTreeMap<i64, Vec<Counts>> = BTreeMap::new();
    for (number, step) in case.steps.iter().enumerate() {
        for (stream, rows) in step.files.iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            lay(&scratch, stream, number, rows);
            reference.feed(stream, rows);
        }
        for death in step.death.map(Some).into_iter().chain([None]) {
            let failing = death.map(|(at, after)| {
                Arc::new(FailingStorage::over(Arc::clone(&storage) as StorageRef, at, after))
            });
            let used: StorageRef = match &failing {
                Some(failing) => Arc::clone(failing) as StorageRef,
                None => Arc::clone(&storage) as StorageRef,
            };
            let mut spec = query(&scratch, Planner::new(&scratch).plan(&case.op), Arc::new(sink.clone()));
            spec.trigger = Trigger::AvailableNow;
            let policy = if case.max_policy { "max" } else { "min" };
            spec.conf = QueryConf::new([
                ("spark.sql.shuffle.partitions".to_string(), "1".to_string()),
                ("spark.sql.streaming.multipleWatermarkPolicy".to_string(), policy.to_string()),
            ]);
            let manager = manager_with(used, Arc::new(SystemClock::new()));
            let ended = match manager.start(spec).await {
                Ok(running) => {
                    let ended = running.await_termination(None).await;
                    let ran = running.recent_progress();
                    for progress in ran.iter().filter(|p| p.duration_ms.contains_key("addBatch")) {
                        let counts = progress.state_operators.iter().map(|operator| Counts {
                            total: operator.metrics.num_rows_total,
                            dropped: operator.metrics.num_rows_dropped_by_watermark,
                        });
                        figures.insert(progress.batch_id.0, counts.collect());
                    }
                    ended.map(|_| ())
                }
                Err(refused) => Err(refused),
            };
            let died = failing.is_some_and(|failing| failing.has_failed());
            if !died {
                ended.unwrap();
            }
            reference.run(died.then(|| logged(&storage, &scratch)));
        }
    }
    let published = sink.published();
    assert_eq!(published.len(), reference.batches.len(), "batches");
    for (number, expected) in reference.batches.iter().enumerate() {
        let id = i64::try_from(number).unwrap();
        let parsed = |row: &String| serde_json::from_str::<Value>(row).unwrap();
        let mut rows: Vec<Value> = expected.rows.iter().map(shown).map(|row| parsed(&row)).collect();
        rows.sort_by_key(ToString::to_string);
        if let Some(most) = expected.most {
            let passed = published.get(&id).unwrap();
            assert_eq!(passed.len(), most, "rows of batch {number}");
            for row in passed {
                let place = rows.iter().position(|other| other == row);
                rows.remove(place.unwrap_or_else(|| panic!("{row} in batch {number}")));
            }
        } else {
            assert_eq!(published.get(&id), Some(&rows), "rows of batch {number}");
        }
        if let Some(counts) = figures.get(&id) {
            assert_eq!(counts, &expected.counts, "figures of batch {number}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(24)))]

    /// Rows of every batch, figures of every operator.
    #[test]
    fn chains_are_sparks(case in case()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(check(&case))));
        prop_assert!(outcome.is_ok(), "{case:#?}");
    }
}
