//! The hot kernels, for counting their instructions: `kernels NAME ROUNDS` runs one of them, `kernels` lists them.
//!
//! Everything a kernel needs is made before its first round, for any number of rounds: the instructions of a round
//! are the difference of two runs (`bench/instructions.py`). Only public interfaces are used, on one thread.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a development tool")]

use std::{collections::HashMap, hint::black_box, io::Write, sync::Arc};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
        },
        datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    },
    common::{Column, JoinType, ScalarValue},
    logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, col},
};
use futures::TryStreamExt;
use millstream_engine::{
    format::{FileRef, Options, reader, writer},
    operators::aggregate::{AggregateOptions, udaf},
    plan::{Deduplicate, SessionWindow, StatefulAggregate, StreamJoin, TimeWindow, WATERMARK_DELAY_KEY},
    query::BatchId,
    sink::OutputMode,
    state::{FileKind, Header, KeyTable, StateCodec, StateFile, StateSchema},
    time::{Millis, WindowSpec, Zone},
};
use state_run::{MemoryStorage, Pieces, StateRun};

#[path = "../tests/it/support/state_run.rs"]
#[expect(dead_code, reason = "tests need more of it")]
mod state_run;

/// Rows of a round.
const ROWS: usize = 8192;
/// Rounds prepared for.
const MOST: usize = 3;

/// A kernel: prepares itself, then runs so many rounds.
type Kernel = fn(usize);

const KERNELS: [(&str, Kernel); 11] = [
    ("csv_decode", csv_decode),
    ("csv_encode", csv_encode),
    ("intern_integers", intern_integers),
    ("intern_strings", intern_strings),
    ("aggregate_update", |rounds| stateful(Operator::Aggregate, rounds)),
    ("window_panes", |rounds| stateful(Operator::Windows, rounds)),
    ("session_windows", |rounds| stateful(Operator::Sessions, rounds)),
    ("deduplicate", |rounds| stateful(Operator::Deduplicate, rounds)),
    ("join_probe", |rounds| stateful(Operator::Join, rounds)),
    ("state_change_encode", state_change_encode),
    ("state_change_decode", state_change_decode),
];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let name = arguments.next();
    let Some((_, kernel)) = KERNELS.iter().find(|(known, _)| Some(*known) == name.as_deref()) else {
        KERNELS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    kernel(arguments.next().map_or(1, |rounds| rounds.parse().unwrap()).min(MOST));
}

/// Numbers that look random and are the same in every run.
fn numbers() -> impl Iterator<Item = i64> {
    std::iter::successors(Some(88_172_645_463_325_252_u64), |x| {
        let x = x ^ (x << 13);
        let x = x ^ (x >> 7);
        Some(x ^ (x << 17))
    })
    .map(|x| (x >> 20) as i64)
}

fn readings() -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("time", DataType::Int64, true),
        Field::new("pid", DataType::Utf8, true),
        Field::new("x", DataType::Float64, true),
        Field::new("y", DataType::Float64, true),
    ]);
    let value = |n: i64| (n % 4096 - 2048) as f64 / 1024.0;
    let columns: Vec<ArrayRef> = vec![
        Arc::new((0..ROWS as i64).map(|n| 1_493_733_840_000 + n * 2).collect::<Int64Array>()),
        Arc::new(numbers().take(ROWS).map(|n| Some(format!("P{:05}", n % 12))).collect::<StringArray>()),
        Arc::new(numbers().take(ROWS).map(value).collect::<Float64Array>()),
        Arc::new(numbers().skip(1).take(ROWS).map(value).collect::<Float64Array>()),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn encoded(batch: &RecordBatch) -> Vec<u8> {
    let format = writer("csv", &Options::default(), Zone::UTC).unwrap();
    let mut encoder = format.encoder(batch.schema()).unwrap();
    encoder.write(batch).unwrap();
    encoder.finish().unwrap().concat()
}

fn csv_encode(rounds: usize) {
    let batch = readings();
    for _ in 0..rounds {
        black_box(encoded(&batch));
    }
}

fn csv_decode(rounds: usize) {
    let batch = readings();
    let mut file = tempfile::NamedTempFile::with_suffix(".csv").unwrap();
    let bytes = encoded(&batch);
    file.write_all(&bytes).unwrap();
    let input = FileRef::whole(file.path(), bytes.len() as u64, Millis(0));
    let format = reader("csv", &Options::default(), Zone::UTC).unwrap();
    runtime().block_on(async {
        for _ in 0..rounds {
            let rows = format.open(&input, &batch.schema(), &[0, 1, 2, 3]).unwrap();
            let rows: Vec<RecordBatch> = rows.try_collect().await.unwrap();
            assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), ROWS);
        }
    });
}

/// A quarter of the keys of a round are new.
fn keys(round: usize) -> impl Iterator<Item = i64> {
    numbers().skip(round * ROWS).take(ROWS).map(move |n| n % ((round as i64 + 1) * ROWS as i64 / 2))
}

fn intern(column: &DataType, columns: &[ArrayRef], rounds: usize) {
    let mut table = KeyTable::new(std::slice::from_ref(column)).unwrap();
    let mut ids = Vec::new();
    for column in columns.iter().take(rounds) {
        ids.clear();
        table.intern(std::slice::from_ref(column), column.len(), &mut ids).unwrap();
        black_box(&ids);
    }
}

fn intern_integers(rounds: usize) {
    let columns: Vec<_> =
        (0..MOST).map(|round| Arc::new(keys(round).collect::<Int64Array>()) as ArrayRef).collect();
    intern(&DataType::Int64, &columns, rounds);
}

fn intern_strings(rounds: usize) {
    let text = |n: i64| Some(format!("{n:016x}"));
    let columns: Vec<_> =
        (0..MOST).map(|round| Arc::new(keys(round).map(text).collect::<StringArray>()) as ArrayRef).collect();
    intern(&DataType::Utf8, &columns, rounds);
}

fn change() -> (Header, RecordBatch) {
    let schema = Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("count", DataType::Int64, true),
        Field::new("sum", DataType::Float64, true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(keys(1).collect::<Int64Array>()),
        Arc::new(keys(2).map(|n| n % 50).collect::<Int64Array>()),
        Arc::new(keys(3).map(|n| n as f64 / 1024.0).collect::<Float64Array>()),
    ];
    let named = |name: &str, of: &str| (name.to_string(), of.to_string());
    let header = Header {
        kind: FileKind::Change,
        version: 1,
        evicted: None,
        rows: 0,
        codec: String::new(),
        schema: StateSchema {
            keys: vec![named("k", "bigint")],
            values: vec![named("count", "bigint"), named("sum", "double")],
        },
        layout: None,
        aged: None,
    };
    (header, RecordBatch::try_new(Arc::new(schema), columns).unwrap())
}

fn state_change_encode(rounds: usize) {
    let (header, rows) = change();
    for _ in 0..rounds {
        black_box(StateFile::encode(header.clone(), &rows, false, StateCodec::default()).unwrap());
    }
}

fn state_change_decode(rounds: usize) {
    let (header, rows) = change();
    let bytes = StateFile::encode(header, &rows, false, StateCodec::default()).unwrap();
    let path = std::path::Path::new("1.change");
    for _ in 0..rounds {
        let file = StateFile::decode(path, bytes.clone()).unwrap();
        let read = |rows: RecordBatch| {
            black_box(rows);
            Ok(())
        };
        file.rows(path, &rows.schema(), read).unwrap();
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Operator {
    Aggregate,
    Windows,
    Sessions,
    Deduplicate,
    Join,
}

fn schema(side: &str) -> SchemaRef {
    let mark = HashMap::from([(WATERMARK_DELAY_KEY.to_string(), "1000".to_string())]);
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new(format!("{side}t"), time, true).with_metadata(mark),
        Field::new(format!("{side}k"), DataType::Int64, true),
        Field::new(format!("{side}v"), DataType::Float64, true),
    ]))
}

/// Milliseconds of event time in a round.
const SPAN: i64 = 60_000;

/// Rows of one side and round: times ascend, keys are those of `keys`, or a few.
fn rows(side: &str, round: usize, few: bool) -> Pieces {
    let time = |n: usize| Some((round as i64 * SPAN + n as i64 * SPAN / ROWS as i64) * 1000);
    let times: TimestampMicrosecondArray = (0..ROWS).map(time).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times.with_timezone("UTC")),
        Arc::new(keys(round).map(|k| if few { k % 12 } else { k }).collect::<Int64Array>()),
        Arc::new(keys(round).map(|k| k as f64 / 1024.0).collect::<Float64Array>()),
    ];
    vec![vec![RecordBatch::try_new(schema(side), columns).unwrap()]]
}

fn plan(operator: Operator, mode: OutputMode, scans: Vec<LogicalPlan>) -> LogicalPlan {
    let seconds = |n: i64| Expr::Literal(ScalarValue::DurationMicrosecond(Some(n * 1_000_000)), None);
    let aggregated = |plan: LogicalPlan, keys: Vec<Expr>| {
        let call = |name: &str| {
            udaf(name, AggregateOptions::default()).unwrap().call(vec![col("v")]).alias(name.to_string())
        };
        let calls = ["count", "avg", "max"].map(call);
        let plan = LogicalPlanBuilder::from(plan).aggregate(keys, calls).unwrap().build().unwrap();
        match &plan {
            LogicalPlan::Aggregate(aggregate) => {
                StatefulAggregate::from_aggregate(aggregate, 0, mode, true).unwrap()
            }
            _ => plan,
        }
    };
    let mut scans = scans.into_iter();
    let input = scans.next().unwrap();
    match operator {
        Operator::Aggregate => aggregated(input, vec![col("k")]),
        Operator::Windows => {
            let spec = WindowSpec::new(60_000_000, 1_000_000, 0).unwrap();
            let windows = TimeWindow::plan(input, col("t"), spec, "w").unwrap();
            aggregated(windows, vec![col("w"), col("k")])
        }
        Operator::Sessions => {
            let sessions = SessionWindow::plan(input, col("t"), col("t") + seconds(2), "w").unwrap();
            aggregated(sessions, vec![col("w"), col("k")])
        }
        Operator::Deduplicate => {
            let plan = Deduplicate::plan(Arc::new(input), vec![Column::new(Some("input"), "k")], true);
            match &plan {
                LogicalPlan::Extension(extension) => {
                    let node = extension.node.as_any().downcast_ref::<Deduplicate>().unwrap();
                    LogicalPlan::Extension(Extension { node: Arc::new(node.with_operator_id(0)) })
                }
                _ => plan,
            }
        }
        Operator::Join => {
            let conditions =
                [col("k").eq(col("rk")), col("rt").gt_eq(col("t")), col("t").gt_eq(col("rt") - seconds(10))];
            let right = scans.next().unwrap();
            let joined = LogicalPlanBuilder::from(input).join_on(right, JoinType::Inner, conditions);
            let joined = joined.unwrap().build().unwrap();
            match &joined {
                LogicalPlan::Join(join) => StreamJoin::from_join(join, 0).unwrap(),
                _ => joined,
            }
        }
    }
}

/// A round is a batch with its commit into memory; the watermark follows the round before.
fn stateful(operator: Operator, rounds: usize) {
    let mode = if operator == Operator::Aggregate { OutputMode::Update } else { OutputMode::Append };
    let sides: &[&str] = if operator == Operator::Join { &["", "r"] } else { &[""] };
    let schemas: Vec<SchemaRef> = sides.iter().map(|side| schema(side)).collect();
    let few = operator == Operator::Windows;
    let inputs: Vec<Vec<Pieces>> =
        (0..MOST).map(|round| sides.iter().map(|side| rows(side, round, few)).collect()).collect();
    runtime().block_on(async {
        let storage = Arc::new(MemoryStorage::default());
        let mut run = StateRun::new(&schemas, mode, storage, |scans| plan(operator, mode, scans)).await;
        run.batch_size = ROWS;
        run.operator().load(BatchId(0)).await.unwrap();
        for (batch, input) in (0..).zip(inputs).take(rounds) {
            let watermark = |batch: i64| Millis((batch * SPAN - 1000).max(0));
            let (late, evict) = (watermark(batch - 1), watermark(batch));
            black_box(run.execute(BatchId(batch), late, evict, input).await.unwrap());
            run.operator().commit(BatchId(batch)).await.unwrap();
        }
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
