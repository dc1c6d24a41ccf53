//! Random batches, watermarks, windows, modes and restarts, compared batch by batch.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
            TimestampMicrosecondArray,
        },
        datatypes::{DataType, TimestampMicrosecondType},
        util::display::array_value_to_string,
    },
    logical_expr::{Expr, ExprFunctionExt, col, lit},
};
use millstream_engine::{
    operators::aggregate::{AggregateOptions, udaf},
    query::BatchId,
    sink::OutputMode,
    time::{Millis, WindowSpec},
};
use millstream_testkit::cases;
use proptest::prelude::*;

use super::{
    harness::{MemoryStorage, Query, Run, input_schema},
    reference::{EventTime, Input, Outcome, Reference, show},
};

/// Calls of the query under test; the reference computes the same in [`expected`].
pub fn aggregates() -> Vec<Expr> {
    let call = |name: &str, args: Vec<Expr>, ignore_nulls: bool| {
        let options = AggregateOptions { ansi: true, ignore_nulls, ..AggregateOptions::default() };
        udaf(name, options).unwrap().call(args)
    };
    let named = [
        call("count", vec![lit(1)], false),
        call("count", vec![col("v")], false),
        call("sum", vec![col("v")], false),
        call("avg", vec![col("d")], false),
        call("min", vec![col("v")], false),
        call("max", vec![col("s")], false),
        call("first", vec![col("s")], false),
        call("last", vec![col("v")], true),
        call("collect_list", vec![col("v")], false),
        call("max_by", vec![col("s"), col("v")], false),
        call("approx_count_distinct", vec![col("i")], false),
        call("sum", vec![col("v")], false).filter(col("i").gt(lit(0))).build().unwrap(),
    ];
    named.into_iter().enumerate().map(|(i, e)| e.alias(format!("a{i}"))).collect()
}

/// The values of [`aggregates`] over a group's rows, printed.
pub fn expected(rows: &[Input]) -> Vec<String> {
    let v: Vec<i64> = rows.iter().filter_map(|r| r.v).collect();
    let d: Vec<f64> = rows.iter().filter_map(|r| r.d).map(|d| d as f64 / 1024.0).collect();
    let filtered: Vec<i64> = rows.iter().filter(|r| r.i.is_some_and(|i| i > 0)).filter_map(|r| r.v).collect();
    let mut best: Option<(i64, Option<String>)> = None;
    for row in rows {
        if let Some(v) = row.v
            && best.as_ref().is_none_or(|(top, _)| v >= *top)
        {
            best = Some((v, row.s.clone()));
        }
    }
    vec![
        rows.len().to_string(),
        v.len().to_string(),
        show((!v.is_empty()).then(|| v.iter().sum::<i64>())),
        show((!d.is_empty()).then(|| format!("{:?}", d.iter().sum::<f64>() / d.len() as f64))),
        show(v.iter().min()),
        show(rows.iter().filter_map(|r| r.s.clone()).max()),
        show(rows.first().and_then(|r| r.s.clone())),
        show(v.last()),
        format!("[{}]", v.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        // Of equal orderings the one that arrived last.
        show(best.and_then(|(_, s)| s)),
        // So few distinct values are counted exactly.
        rows.iter().filter_map(|r| r.i).collect::<BTreeSet<_>>().len().to_string(),
        show((!filtered.is_empty()).then(|| filtered.iter().sum::<i64>())),
    ]
}

fn print(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".to_string();
    }
    match array.data_type() {
        DataType::Timestamp(_, _) => array.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
        DataType::Float64 => {
            format!("{:?}", array.as_primitive::<datafusion::arrow::datatypes::Float64Type>().value(row))
        }
        DataType::Struct(_) => {
            let edges = array.as_struct();
            format!("{}..{}", print(edges.column(0), row), print(edges.column(1), row))
        }
        _ => array_value_to_string(array, row).unwrap(),
    }
}

pub fn rows_of(batch: &RecordBatch) -> Vec<Vec<String>> {
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|c| print(c, row)).collect()).collect()
}

fn rows_expected(outcome: &Outcome, case: &Case) -> Vec<Vec<String>> {
    let row = |((window, key), rows): &(super::reference::Group, Vec<Input>)| {
        let mut cells = key.clone();
        if let Some((start, end)) = window {
            cells.insert(cells.len().min(1), format!("{start}..{end}"));
        }
        cells.extend(case.asked(expected(rows)));
        cells
    };
    outcome.emitted.iter().map(row).collect()
}

pub fn batch_of(rows: &[Input], watermark: bool) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| r.t).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Arc::new(rows.iter().map(|r| r.k.as_deref()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.i).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|r| r.v).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.d.map(|d| d as f64 / 1024.0)).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| r.s.as_deref()).collect::<StringArray>()),
    ];
    RecordBatch::try_new(input_schema(watermark), columns).unwrap()
}

/// What happens around a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Around {
    Nothing,
    /// The process dies after the commit.
    RestartAfter,
    /// The process dies before the commit: the batch runs again.
    RunTwice,
    /// It dies while the commit is not complete for the query: the batch runs and commits again.
    CommitTwice,
}

#[derive(Debug, Clone)]
struct Case {
    /// Pieces are gone through side by side...
    beside: bool,
    /// ...and grouped beforehand where that is worth it: no function looks at the order.
    any_order: bool,
    watermark: bool,
    window: Option<WindowSpec>,
    /// False: something looks at the window, so rows are expanded.
    fused: bool,
    keys: Vec<&'static str>,
    mode: OutputMode,
    delay: i64,
    batches: Vec<(Vec<Input>, Around)>,
}

/// The numbers of those of [`aggregates`] that ignore the order of rows.
const ANY_ORDER: [usize; 8] = [0, 1, 2, 3, 4, 5, 10, 11];

impl Case {
    /// What the case asks for, of one value for each of [`aggregates`].
    fn asked<T>(&self, all: Vec<T>) -> Vec<T> {
        let numbered = all.into_iter().enumerate();
        numbered.filter(|(i, _)| !self.any_order || ANY_ORDER.contains(i)).map(|(_, one)| one).collect()
    }

    fn event_time(&self) -> EventTime {
        match (self.watermark, self.window) {
            (false, _) => EventTime::None,
            (true, Some(_)) => EventTime::Window,
            (true, None) if self.keys.contains(&"t") => EventTime::Column,
            (true, None) => EventTime::None,
        }
    }
}

pub fn input(span: i64) -> impl Strategy<Value = Input> {
    (
        prop_oneof![1 => Just(None), 12 => (0..span).prop_map(Some)],
        prop_oneof![1 => Just(None), 8 => "[abc]".prop_map(Some)],
        prop_oneof![1 => Just(None), 4 => (0..3_i32).prop_map(Some)],
        prop_oneof![1 => Just(None), 5 => (-5..100_i64).prop_map(Some)],
        prop_oneof![1 => Just(None), 5 => (-2000..2000_i64).prop_map(Some)],
        prop_oneof![1 => Just(None), 5 => "[a-d]{0,3}".prop_map(Some)],
    )
        .prop_map(|(t, k, i, v, d, s)| Input { t, k, i, v, d, s })
}

fn window() -> impl Strategy<Value = WindowSpec> {
    // In milliseconds on a grid of 1 ms, with durations that are no multiples of the slide.
    (1..30_i64, 1..12_i64, -11..12_i64)
        .prop_filter_map("not a window", |(d, s, start)| WindowSpec::new(d * 1000, s * 1000, start * 1000))
}

pub fn around() -> impl Strategy<Value = Around> {
    prop_oneof![
        6 => Just(Around::Nothing),
        2 => Just(Around::RestartAfter),
        1 => Just(Around::RunTwice),
        1 => Just(Around::CommitTwice),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let keys = prop_oneof![
        Just(vec![]),
        Just(vec!["k"]),
        Just(vec!["i"]),
        Just(vec!["k", "i"]),
        Just(vec!["t"]),
        Just(vec!["k", "t"]),
    ];
    let mode = prop_oneof![Just(OutputMode::Append), Just(OutputMode::Update), Just(OutputMode::Complete)];
    let fused = proptest::bool::weighted(0.8);
    let grouped = prop_oneof![2 => Just((false, false)), 1 => Just((true, false)), 3 => Just((true, true))];
    (
        any::<bool>(),
        proptest::option::weighted(0.8, window()),
        keys,
        mode,
        0..20_i64,
        1..16_usize,
        fused,
        grouped,
    )
        .prop_flat_map(move |(watermark, window, keys, mode, delay, count, fused, grouped)| {
            // Many rows of few groups, where it is grouping that is looked at.
            let (span, most) = if grouped == (true, true) { (6_000, 90) } else { (45_000, 25) };
            let batches = (0..count)
                .map(|n| {
                    // Times move on from batch to batch; the spread makes rows late.
                    let shift = n as i64 * 9_000;
                    let rows = proptest::collection::vec(input(span), 0..most);
                    let rows = rows.prop_map(move |rows| {
                        let moved = |r: Input| Input { t: r.t.map(|t| t + shift), ..r };
                        rows.into_iter().map(moved).collect::<Vec<_>>()
                    });
                    (rows, around())
                })
                .collect::<Vec<_>>();
            (Just((watermark, window, keys, mode, delay, fused, grouped)), batches)
        })
        .prop_map(|((watermark, window, keys, mode, delay, fused, (beside, any_order)), batches)| {
            // Two event-time keys are refused.
            let keys = if watermark && window.is_some() {
                keys.into_iter().filter(|k| *k != "t").collect()
            } else {
                keys
            };
            let event_time_key = window.is_some() || keys.contains(&"t");
            let mode = if mode == OutputMode::Append && !(watermark && event_time_key) {
                OutputMode::Update
            } else {
                mode
            };
            Case { beside, any_order, watermark, window, fused, keys, mode, delay, batches }
        })
}

fn check(case: &Case) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let storage = Arc::new(MemoryStorage::default());
        let query = Query {
            watermark: case.watermark,
            window: case.window,
            session: None,
            local_merge: false,
            fused: case.fused,
            keys: case.keys.clone(),
            aggregates: case.asked(aggregates()),
            mode: case.mode,
            beside: case.beside,
        };
        let fused = case.fused || case.window.is_none();
        let mut reference = Reference {
            window: case.window,
            keys: case.keys.clone(),
            event_time: case.event_time(),
            mode: case.mode,
            groups: Default::default(),
        };
        let asked = query.aggregates.len();
        let mut run = Run::new(&query, storage.clone()).await;
        let (mut late, mut evict) = (Millis(0), Millis(0));
        for (n, (rows, around)) in case.batches.iter().enumerate() {
            let batch = BatchId(n as i64);
            // Two partitions, the first in two chunks: arrival order is that of the rows.
            let (one, two) = rows.split_at(rows.len() / 2);
            let (first, second) = one.split_at(one.len() / 3);
            let parts = || {
                let of = |rows: &[Input]| batch_of(rows, case.watermark);
                vec![vec![of(first), of(second)], vec![of(two)]]
            };
            run.operator.load(batch).await.unwrap();
            let mut out = run.execute(batch, late, evict, parts()).await.unwrap();
            let mut metrics = run.operator.metrics();
            if matches!(around, Around::RunTwice | Around::CommitTwice) {
                let mut written = None;
                if *around == Around::CommitTwice {
                    run.operator.commit(batch).await.unwrap();
                    written = Some(storage.changes());
                }
                run = Run::new(&query, storage.clone()).await;
                run.operator.load(batch).await.unwrap();
                let again = run.execute(batch, late, evict, parts()).await.unwrap();
                assert_eq!(again, out, "batch {n} run again");
                out = again;
                metrics = run.operator.metrics();
                run.operator.commit(batch).await.unwrap();
                if let Some(written) = written {
                    assert!(written == storage.changes(), "batch {n} wrote other bytes when run again");
                }
            } else {
                run.operator.commit(batch).await.unwrap();
            }
            let outcome = reference.batch(rows, late.as_micros(), evict.as_micros());
            let mut want = rows_expected(&outcome, case);
            let mut have = rows_of(&out);
            if !fused {
                // The count of windows that was added to look at the window.
                have.iter_mut().for_each(|row| assert_eq!(row.pop().as_ref(), row.get(row.len() - asked)));
            } else {
                assert_sorted(&have, case);
            }
            want.sort();
            have.sort();
            assert_eq!(have, want, "batch {n}: late {late:?} evict {evict:?}");
            let custom = |name: &str| metrics.custom_metrics.iter().find(|(n, _)| n == name).unwrap().1;
            // Expanded rows have lost their null times before they come to the aggregate.
            let null_time = if fused { custom("rowWindowsNullTime") } else { outcome.null_time };
            let offered = custom("rowWindowsOffered") + null_time - custom("rowWindowsNullTime");
            let counted = Outcome {
                emitted: outcome.emitted.clone(),
                total: metrics.num_rows_total,
                updated: metrics.num_rows_updated,
                removed: metrics.num_rows_removed,
                dropped: metrics.num_rows_dropped_by_watermark,
                offered,
                applied: custom("rowWindowsApplied"),
                late: custom("rowWindowsLate"),
                null_time,
            };
            assert_eq!(counted, outcome, "figures of batch {n}: late {late:?} evict {evict:?}");
            if *around == Around::RestartAfter {
                run = Run::new(&query, storage.clone()).await;
            }
            late = evict;
            if let Some(newest) = rows.iter().filter_map(|r| r.t).max() {
                evict = evict.max(Millis(Millis::from_micros(newest).0 - case.delay));
            }
            if n % 5 == 4 {
                run.operator.purge(batch).await.unwrap();
            }
        }
    });
}

/// Windows ascend, whatever the keys.
fn assert_sorted(rows: &[Vec<String>], case: &Case) {
    if case.window.is_some() {
        let place = case.keys.len().min(1);
        let start = |row: &Vec<String>| row[place].split("..").next().unwrap().parse::<i64>().unwrap();
        assert!(rows.is_sorted_by_key(start), "{rows:?}");
        assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len(), "a group came twice: {rows:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(100)))]

    #[test]
    fn every_batch_equals_the_reference(case in case()) {
        // One line, so that a failing case can be read.
        let shown = format!("{case:?}");
        let outcome = std::panic::catch_unwind(|| check(&case));
        prop_assert!(outcome.is_ok(), "{shown}");
    }
}
