//! `dropDuplicates` against a row-at-a-time reference of Spark's semantics: random batches,
//! watermarks, keys and restarts, compared batch by batch.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
        datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType},
    },
    common::Column,
    logical_expr::{Extension, LogicalPlan},
};
use millstream_engine::{
    plan::{Deduplicate, GlobalLimit, WATERMARK_DELAY_KEY},
    query::BatchId,
    sink::OutputMode,
    time::Millis,
};
use millstream_testkit::cases;
use proptest::prelude::*;

use crate::support::state_run::{MemoryStorage, Pieces, StateRun};

const DELAY_MS: i64 = 7;

/// A row; the time in microseconds.
type Input = (Option<i64>, Option<String>, Option<i64>);

fn schema(watermark: bool) -> SchemaRef {
    let mark = || HashMap::from([(WATERMARK_DELAY_KEY.to_string(), DELAY_MS.to_string())]);
    let metadata = if watermark { mark() } else { HashMap::new() };
    Arc::new(Schema::new(vec![
        Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true)
            .with_metadata(metadata),
        Field::new("k", DataType::Utf8, true),
        Field::new("v", DataType::Int64, true),
    ]))
}

/// Two partitions, the first in two chunks: arrival order is that of the rows.
fn partitions(rows: &[Input], watermark: bool) -> Pieces {
    let batch = |rows: &[Input]| {
        let times: TimestampMicrosecondArray = rows.iter().map(|r| r.0).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(times.with_timezone("UTC")),
            Arc::new(rows.iter().map(|r| r.1.as_deref()).collect::<StringArray>()),
            Arc::new(rows.iter().map(|r| r.2).collect::<Int64Array>()),
        ];
        RecordBatch::try_new(schema(watermark), columns).unwrap()
    };
    let (one, two) = rows.split_at(rows.len() / 2);
    let (first, second) = one.split_at(one.len() / 3);
    vec![vec![batch(first), batch(second)], vec![batch(two)]]
}

fn rows_of(batch: &RecordBatch) -> Vec<Input> {
    let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    let keys = batch.column(1).as_string::<i32>();
    let values = batch.column(2).as_primitive::<Int64Type>();
    let row = |i: usize| {
        let key = keys.is_valid(i).then(|| keys.value(i).to_string());
        (times.is_valid(i).then(|| times.value(i)), key, values.is_valid(i).then(|| values.value(i)))
    };
    (0..batch.num_rows()).map(row).collect()
}

#[derive(Debug, Clone)]
struct Case {
    watermark: bool,
    within: bool,
    /// Which of `t`, `k`, `v` are the key.
    keys: Vec<usize>,
    /// Rows, and whether the process dies: 1 after the commit, 2 before it, 3 while it commits.
    batches: Vec<(Vec<Input>, u8)>,
}

/// What Spark does, row by row. The state: keys with the instant at which they are forgotten.
#[derive(Debug, Default)]
struct Reference {
    state: BTreeMap<Vec<String>, Option<i64>>,
}

/// Rows kept; total, updated, removed, late, duplicate.
type Outcome = (Vec<Input>, [i64; 5]);

impl Reference {
    fn batch(&mut self, case: &Case, rows: &[Input], late: i64, evict: i64) -> Outcome {
        let (mut kept, mut updated, mut dropped, mut duplicate) = (vec![], 0, 0, 0);
        for row in rows {
            if case.watermark && row.0.is_some_and(|t| t <= late) {
                dropped += 1;
                continue;
            }
            let cell = |i: &usize| match i {
                0 => format!("{:?}", row.0),
                1 => format!("{:?}", row.1),
                _ => format!("{:?}", row.2),
            };
            let key: Vec<String> = case.keys.iter().map(cell).collect();
            if self.state.contains_key(&key) {
                duplicate += 1;
                continue;
            }
            let forgotten = match case.within {
                true => Some(row.0.unwrap_or(0) + DELAY_MS * 1000),
                false if case.watermark && case.keys.contains(&0) => row.0,
                false => None,
            };
            self.state.insert(key, forgotten);
            updated += 1;
            kept.push(row.clone());
        }
        let before = self.state.len();
        self.state.retain(|_, forgotten| forgotten.is_none_or(|at| at > evict));
        let total = self.state.len() as i64;
        (kept, [total, updated, (before as i64) - total, dropped, duplicate])
    }
}

async fn plan(case: &Case, storage: &Arc<MemoryStorage>) -> StateRun {
    let build = |scans: Vec<LogicalPlan>| {
        let names = ["t", "k", "v"];
        let keys = case.keys.iter().map(|i| Column::new(Some("input"), names[*i])).collect();
        let input = Arc::new(scans.into_iter().next().unwrap());
        let LogicalPlan::Extension(plan) = Deduplicate::plan(input, keys, case.within) else { panic!() };
        let node = plan.node.as_any().downcast_ref::<Deduplicate>().unwrap().with_operator_id(0);
        LogicalPlan::Extension(Extension { node: Arc::new(node) })
    };
    let run = StateRun::new(&[schema(case.watermark)], OutputMode::Append, storage.clone(), build).await;
    run.with_pieces_beside(case.batches.len().is_multiple_of(2))
}

fn check(case: &Case) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let storage = Arc::new(MemoryStorage::default());
        let mut reference = Reference::default();
        let mut run = plan(case, &storage).await;
        let name = if case.within { "dedupeWithinWatermark" } else { "dedupe" };
        assert_eq!(run.operator().name(), name);
        let (mut late, mut evict) = (Millis(0), Millis(0));
        for (n, (rows, around)) in case.batches.iter().enumerate() {
            let batch = BatchId(n as i64);
            let input = || vec![partitions(rows, case.watermark)];
            run.operator().load(batch).await.unwrap();
            let mut out = run.execute(batch, late, evict, input()).await.unwrap();
            if *around >= 2 {
                let mut written = None;
                if *around == 3 {
                    run.operator().commit(batch).await.unwrap();
                    written = Some(storage.changes());
                }
                run = plan(case, &storage).await;
                run.operator().load(batch).await.unwrap();
                let again = run.execute(batch, late, evict, input()).await.unwrap();
                assert_eq!(again, out, "batch {n} run again");
                out = again;
                run.operator().commit(batch).await.unwrap();
                if let Some(written) = written {
                    assert!(written == storage.changes(), "batch {n} wrote other bytes when run again");
                }
            } else {
                run.operator().commit(batch).await.unwrap();
            }
            let metrics = run.operator().metrics();
            assert_eq!(metrics.custom_metrics.len(), 1);
            let counted = [
                metrics.num_rows_total,
                metrics.num_rows_updated,
                metrics.num_rows_removed,
                metrics.num_rows_dropped_by_watermark,
                metrics.custom_metrics[0].1,
            ];
            let want = reference.batch(case, rows, late.as_micros(), evict.as_micros());
            assert_eq!((rows_of(&out), counted), want, "batch {n}: late {late:?} evict {evict:?}");
            if *around == 1 {
                run = plan(case, &storage).await;
            }
            late = evict;
            if let (Some(newest), true) = (rows.iter().filter_map(|r| r.0).max(), case.watermark) {
                assert!(run.operator().wants_batch(Millis(0), Millis(1)));
                evict = evict.max(Millis(Millis::from_micros(newest).0 - DELAY_MS));
            }
            if n % 5 == 4 {
                run.operator().purge(batch).await.unwrap();
            }
        }
    });
}

fn case() -> impl Strategy<Value = Case> {
    let input = || {
        (
            // A few instants again and again, so that they are keys with duplicates.
            prop_oneof![1 => Just(None), 12 => (0..45_i64).prop_map(|t| Some(t * 1000))],
            prop_oneof![1 => Just(None), 6 => "[abc]".prop_map(Some)],
            prop_oneof![1 => Just(None), 6 => (0..4_i64).prop_map(Some)],
        )
    };
    let keys = proptest::sample::subsequence(vec![0_usize, 1, 2], 1..=3).prop_shuffle();
    let around = prop_oneof![6 => Just(0_u8), 2 => Just(1_u8), 1 => Just(2_u8), 1 => Just(3_u8)];
    (any::<bool>(), any::<bool>(), keys, 1..14_usize).prop_flat_map(
        move |(watermark, within, keys, count)| {
            let batches = (0..count).map(|n| {
                let shift = n as i64 * 9_000;
                let rows = proptest::collection::vec(input(), 0..25);
                let moved = move |row: Input| (row.0.map(|t| t + shift), row.1, row.2);
                (rows.prop_map(move |rows| rows.into_iter().map(moved).collect::<Vec<_>>()), around.clone())
            });
            batches.collect::<Vec<_>>().prop_map(move |batches| Case {
                watermark: watermark || within,
                within,
                keys: keys.clone(),
                batches,
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(100)))]

    #[test]
    fn every_batch_equals_the_reference(case in case()) {
        let shown = format!("{case:?}");
        let outcome = std::panic::catch_unwind(|| check(&case));
        prop_assert!(outcome.is_ok(), "{shown}");
    }

    /// A limit counts over batches and restarts, and reads on when it is reached.
    #[test]
    fn a_limit_passes_the_first_rows(limit in 0..12_usize, sizes in proptest::collection::vec((0..6_usize, any::<bool>()), 1..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let storage = Arc::new(MemoryStorage::default());
            let plan = || async {
                let build =
                    |scans: Vec<LogicalPlan>| GlobalLimit::plan(Arc::new(scans.into_iter().next().unwrap()), limit);
                StateRun::new(&[schema(false)], OutputMode::Append, storage.clone(), build).await
            };
            let mut run = plan().await;
            let mut passed = 0;
            for (n, (size, restart)) in sizes.iter().enumerate() {
                let rows: Vec<Input> = (0..*size as i64).map(|i| (Some(i), None, Some(i))).collect();
                run.operator().load(BatchId(n as i64)).await.unwrap();
                let input = vec![partitions(&rows, false)];
                let out = run.execute(BatchId(n as i64), Millis(0), Millis(0), input).await.unwrap();
                run.operator().commit(BatchId(n as i64)).await.unwrap();
                let taken = (*size).min(limit - passed);
                passed += taken;
                assert_eq!(rows_of(&out), rows[..taken]);
                let metrics = run.operator().metrics();
                let counted = (metrics.num_rows_total, metrics.num_rows_updated);
                assert_eq!(counted, (i64::from(passed > 0), i64::from(taken > 0)));
                if *restart {
                    run = plan().await;
                }
            }
        });
    }
}
