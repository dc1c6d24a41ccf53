//! Random batches, late rows, nulls, duplicates, restarts and batches run again, compared
//! with the model row by row and count by count.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
        datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType},
    },
    common::{JoinType, ScalarValue},
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit},
};
use millstream_engine::{
    checkpoint::storage::StorageRef,
    plan::{StreamJoin, WATERMARK_DELAY_KEY},
    query::BatchId,
    sink::OutputMode,
    time::Millis,
};
use millstream_testkit::cases;
use proptest::prelude::*;

use super::reference::{Bound, Case, Counts, Joined, Model, Row};
use crate::support::state_run::{MemoryStorage, Pieces, StateRun};

/// What happens around a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Nothing,
    /// A new run begins before the batch.
    Restart,
    /// The batch fails before its commit and is run again by a new run.
    Retry,
    /// The batch is committed, that is lost, and a new run runs it again.
    Repeat,
}

#[derive(Debug, Clone)]
struct Step {
    left: Vec<Row>,
    right: Vec<Row>,
    /// The watermark moves on by this before the batch.
    advance: i64,
    event: Event,
}

fn row() -> impl Strategy<Value = (Option<i64>, Option<u8>, i64)> {
    let time = prop_oneof![12 => (0..30_000_i64).prop_map(Some), 1 => Just(None)];
    let key = prop_oneof![8 => (0..4_u8).prop_map(Some), 1 => Just(None)];
    (time, key, 0..6_i64)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let event = prop_oneof![
        5 => Just(Event::Nothing), 1 => Just(Event::Restart), 1 => Just(Event::Retry), 1 => Just(Event::Repeat)
    ];
    let rows = || prop::collection::vec(row(), 0..25);
    let advance = prop_oneof![1 => Just(0), 2 => 0..12_000_i64];
    let step = (rows(), rows(), advance, event);
    prop::collection::vec(step, 1..16).prop_map(|steps| {
        // Times are around where the watermark is.
        let mut watermark = 0;
        let mut move_on = |advance: i64| {
            watermark += advance;
            watermark
        };
        steps
            .into_iter()
            .map(|(left, right, advance, event)| {
                let base = move_on(advance) - 8000;
                let at = |rows: Vec<Row>| -> Vec<Row> {
                    // Whole halves of seconds, so that equal times are met.
                    rows.into_iter().map(|(t, k, v)| (t.map(|t| (t + base) / 500 * 500), k, v)).collect()
                };
                Step { left: at(left), right: at(right), advance, event }
            })
            .collect()
    })
}

fn case() -> impl Strategy<Value = Case> {
    use JoinType::{Full, Inner, Left, LeftSemi, Right};
    let kind = prop::sample::select(vec![Inner, Left, Right, Full, LeftSemi]);
    let bound =
        prop::sample::select(vec![Bound::Nothing, Bound::Lower, Bound::Range, Bound::Range, Bound::Time]);
    (kind, bound, any::<bool>(), any::<bool>()).prop_map(|(kind, bound, pairs, sides)| Case {
        kind,
        bound,
        pairs,
        sides,
    })
}

fn schema(side: &str) -> SchemaRef {
    let mark = HashMap::from([(WATERMARK_DELAY_KEY.to_string(), "1000".to_string())]);
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new(format!("{side}t"), time, true).with_metadata(mark),
        Field::new(format!("{side}k"), DataType::Utf8, true),
        Field::new(format!("{side}v"), DataType::Int64, true),
    ]))
}

fn seconds(n: i64) -> Expr {
    Expr::Literal(ScalarValue::DurationMicrosecond(Some(n * 1_000_000)), None)
}

fn condition(case: Case) -> Expr {
    let mut all = vec![col("lk").eq(col("rk"))];
    match case.bound {
        Bound::Nothing => {}
        Bound::Lower => all.push(col("lt").gt_eq(col("rt") - seconds(5))),
        Bound::Range => {
            all.push(col("lt").gt_eq(col("rt") - seconds(5)));
            all.push(col("rt").gt(col("lt") - seconds(8)));
        }
        Bound::Time => all.push(col("rt").eq(col("lt"))),
    }
    if case.pairs {
        all.push(col("lv").not_eq(col("rv")));
    }
    if case.sides {
        all.push(col("lv").gt(lit(2_i64)).and(col("rv").gt(lit(1_i64))));
    }
    all.into_iter().reduce(Expr::and).unwrap()
}

async fn planned(case: Case, storage: StorageRef) -> StateRun {
    let build = |scans: Vec<LogicalPlan>| {
        let [left, right] = <[LogicalPlan; 2]>::try_from(scans).unwrap();
        let joined = LogicalPlanBuilder::from(left).join_on(right, case.kind, [condition(case)]).unwrap();
        let LogicalPlan::Join(join) = joined.build().unwrap() else { panic!("no join") };
        StreamJoin::from_join(&join, 0).unwrap()
    };
    let run = StateRun::new(&[schema("l"), schema("r")], OutputMode::Append, storage, build).await;
    // A half of the cases, whatever else is true of them.
    run.with_pieces_beside(case.pairs)
}

fn batch(side: &str, rows: &[Row]) -> RecordBatch {
    let times: TimestampMicrosecondArray = rows.iter().map(|(t, ..)| t.map(|t| t * 1000)).collect();
    let keys: StringArray = rows.iter().map(|(_, k, _)| k.map(|k| format!("key {k}"))).collect();
    let values: Int64Array = rows.iter().map(|(.., v)| Some(*v)).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(times.with_timezone("UTC")), Arc::new(keys), Arc::new(values)];
    RecordBatch::try_new(schema(side), columns).unwrap()
}

/// In two partitions, the first in two pieces.
fn partitions(side: &str, rows: &[Row]) -> Pieces {
    let (first, second) = rows.split_at(rows.len() * 2 / 3);
    let (a, b) = first.split_at(first.len() / 2);
    vec![vec![batch(side, a), batch(side, b)], vec![batch(side, second)]]
}

fn rows_of(batch: &RecordBatch, from: usize) -> Vec<Option<Row>> {
    if batch.num_columns() <= from {
        return vec![None; batch.num_rows()];
    }
    let times = batch.column(from).as_primitive::<TimestampMicrosecondType>();
    let keys = batch.column(from + 1).as_string::<i32>();
    let values = batch.column(from + 2).as_primitive::<Int64Type>();
    let row = |i: usize| {
        values.is_valid(i).then(|| {
            let key = keys.is_valid(i).then(|| keys.value(i).trim_start_matches("key ").parse().unwrap());
            (times.is_valid(i).then(|| times.value(i) / 1000), key, values.value(i))
        })
    };
    (0..batch.num_rows()).map(row).collect()
}

fn joined(batch: &RecordBatch) -> Vec<Joined> {
    let mut rows: Vec<Joined> = rows_of(batch, 0).into_iter().zip(rows_of(batch, 3)).collect();
    rows.sort_unstable();
    rows
}

async fn check(case: Case, steps: Vec<Step>) {
    let storage: Arc<MemoryStorage> = Arc::default();
    let mut run = planned(case, Arc::clone(&storage) as StorageRef).await;
    let mut model = Model::new(case);
    let (mut late, mut evict) = (0, 0);
    for (number, step) in steps.iter().enumerate() {
        let id = BatchId(number as i64);
        evict += step.advance;
        let (mut expected, counts) = model.batch(late, evict, [&step.left, &step.right]);
        expected.sort_unstable();
        let mut files = None;
        let times = if step.event == Event::Nothing || step.event == Event::Restart { 1 } else { 2 };
        for attempt in 0..times {
            if step.event == Event::Restart || attempt > 0 {
                run = planned(case, Arc::clone(&storage) as StorageRef).await;
            }
            run.operator().load(id).await.unwrap();
            let inputs = vec![partitions("l", &step.left), partitions("r", &step.right)];
            let out = run.execute(id, Millis(late), Millis(evict), inputs).await.unwrap();
            assert_eq!(joined(&out), expected, "{case:?}, batch {number}");
            let metrics = run.operator().metrics();
            let ours = Counts {
                total: metrics.num_rows_total,
                updated: metrics.num_rows_updated,
                removed: metrics.num_rows_removed,
                late: metrics.num_rows_dropped_by_watermark,
            };
            assert_eq!(ours, counts, "{case:?}, batch {number}");
            if step.event != Event::Retry || attempt > 0 {
                run.operator().commit(id).await.unwrap();
            }
            if step.event == Event::Repeat {
                let now = storage.files.lock().clone();
                let before = files.replace(now.clone());
                // A snapshot may come at another time after a restart; changes are the same.
                let changes = |files: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>| {
                    files.iter().filter(|(p, _)| p.extension().is_some_and(|e| e == "change")).count()
                };
                if let Some(before) = before {
                    assert_eq!(changes(&before), changes(&now));
                    for (path, bytes) in before {
                        assert_eq!(Some(&bytes), now.get(&path), "{}", path.display());
                    }
                }
            }
        }
        late = evict;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(150)))]
    #[test]
    fn joins_are_sparks(case in case(), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(case, steps));
    }
}
