//! Session windows against a reference that keeps every row.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    logical_expr::{Expr, cast, col, lit},
};
use millstream_engine::{query::BatchId, sink::OutputMode, time::Millis};
use millstream_testkit::cases;
use proptest::prelude::*;

use super::{
    harness::{MemoryStorage, Query, Run},
    oracle::{Around, aggregates, around, batch_of, expected, input, rows_of},
    reference::{Input, show},
};

/// How far a row's session reaches.
#[derive(Debug, Clone, Copy)]
enum Gap {
    Fixed(i64),
    /// Depends on column `i`: null, negative for 0, positive for others.
    ByRow(i64),
}

impl Gap {
    fn end(self) -> Expr {
        let gap = match self {
            Gap::Fixed(micros) => lit(micros),
            Gap::ByRow(micros) => cast(col("i"), DataType::Int64) * lit(micros) - lit(micros / 2),
        };
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        cast(cast(col("t"), DataType::Int64) + gap, instant)
    }

    fn of(self, row: &Input) -> Option<(i64, i64)> {
        let gap = match self {
            Gap::Fixed(micros) => micros,
            Gap::ByRow(micros) => i64::from(row.i?) * micros - micros / 2,
        };
        let start = row.t?;
        (gap > 0).then_some((start, start + gap))
    }
}

type Key = Vec<String>;

#[derive(Debug, Clone)]
struct Session {
    start: i64,
    end: i64,
    rows: Vec<Input>,
}

#[derive(Debug, Default, PartialEq)]
struct Figures {
    total: usize,
    updated: usize,
    removed: usize,
    dropped: usize,
    offered: usize,
    applied: usize,
    late: usize,
}

/// Sorted sessions that merge where they touch; rows stay in the order of their sessions.
fn merge(sorted: impl IntoIterator<Item = Session>) -> Vec<Session> {
    let mut merged: Vec<Session> = Vec::new();
    for next in sorted {
        match merged.last_mut() {
            Some(last) if next.start <= last.end => {
                last.end = last.end.max(next.end);
                last.rows.extend(next.rows);
            }
            _ => merged.push(next),
        }
    }
    merged
}

/// Spark's semantics: sessions of each key with all their rows.
struct Reference {
    keys: Vec<&'static str>,
    gap: Gap,
    mode: OutputMode,
    watermark: bool,
    local_merge: bool,
    sessions: BTreeMap<Key, Vec<Session>>,
}

impl Reference {
    fn key(&self, row: &Input) -> Key {
        let one = |name: &&str| match *name {
            "k" => show(row.k.clone()),
            "i" => show(row.i),
            other => panic!("{other}"),
        };
        self.keys.iter().map(one).collect()
    }

    fn batch(&mut self, rows: &[Input], late: i64, evict: i64) -> (Vec<(Key, Session)>, Figures) {
        let mut figures = Figures::default();
        let mut exact: BTreeMap<(Key, i64, i64), Vec<Input>> = BTreeMap::new();
        for row in rows {
            if let Some((start, end)) = self.gap.of(row) {
                figures.offered += 1;
                exact.entry((self.key(row), start, end)).or_default().push(row.clone());
            }
        }
        let mut new: BTreeMap<Key, Vec<Session>> = BTreeMap::new();
        for ((key, start, end), rows) in exact {
            new.entry(key).or_default().push(Session { start, end, rows });
        }
        for (key, mut incoming) in new {
            if self.local_merge {
                incoming = merge(incoming);
            }
            if self.watermark {
                incoming.retain(|session| {
                    let is_late = session.end <= late;
                    figures.dropped += usize::from(is_late);
                    figures.late += if is_late { session.rows.len() } else { 0 };
                    !is_late
                });
            }
            if incoming.is_empty() {
                continue;
            }
            let old = self.sessions.remove(&key).unwrap_or_default();
            let starts: Vec<i64> = old.iter().map(|s| s.start).collect();
            let mut all: Vec<(i64, bool, i64, Session)> =
                old.into_iter().map(|s| (s.start, false, s.end, s)).collect();
            all.extend(incoming.into_iter().map(|s| (s.start, true, s.end, s)));
            all.sort_by_key(|(start, new, end, _)| (*start, *new, *end));
            let merged = merge(all.into_iter().map(|(.., session)| session));
            figures.updated += merged.len();
            figures.removed += starts.iter().filter(|s| merged.iter().all(|m| m.start != **s)).count();
            self.sessions.insert(key, merged);
        }
        figures.applied = figures.offered - figures.late;
        let all = |sessions: &BTreeMap<Key, Vec<Session>>| -> Vec<(Key, Session)> {
            sessions.iter().flat_map(|(k, all)| all.iter().map(|s| (k.clone(), s.clone()))).collect()
        };
        let emitted = if self.mode == OutputMode::Complete {
            all(&self.sessions)
        } else {
            let (ended, kept): (Vec<_>, Vec<_>) =
                all(&self.sessions).into_iter().partition(|(_, s)| s.end <= evict);
            self.sessions.clear();
            for (key, session) in kept {
                self.sessions.entry(key).or_default().push(session);
            }
            figures.removed += ended.len();
            ended
        };
        figures.total = self.sessions.values().map(Vec::len).sum();
        (emitted, figures)
    }
}

#[derive(Debug, Clone)]
struct Case {
    watermark: bool,
    keys: Vec<&'static str>,
    gap: Gap,
    mode: OutputMode,
    local_merge: bool,
    delay: i64,
    batches: Vec<(Vec<Input>, Around)>,
}

fn case() -> impl Strategy<Value = Case> {
    let keys = prop_oneof![Just(vec!["k"]), Just(vec!["i"]), Just(vec!["k", "i"])];
    let gap = prop_oneof![(1..9_000_i64).prop_map(Gap::Fixed), (2..9_000_i64).prop_map(Gap::ByRow)];
    let mode = prop_oneof![3 => Just(OutputMode::Append), 1 => Just(OutputMode::Complete)];
    (any::<bool>(), keys, gap, mode, any::<bool>(), 0..20_i64, 1..16_usize)
        .prop_flat_map(|(watermark, keys, gap, mode, local_merge, delay, count)| {
            let batches = (0..count)
                .map(|n| {
                    let shift = n as i64 * 9_000;
                    // A coarse grid, so that sessions touch exactly and starts are equal.
                    let rows = proptest::collection::vec((input(45_000), any::<bool>()), 0..25);
                    let rows = rows.prop_map(move |rows| {
                        let grid = |t: i64, coarse| if coarse { t / 1_000 * 1_000 } else { t };
                        let moved = |(r, coarse): (Input, bool)| Input {
                            t: r.t.map(|t| grid(t, coarse) + shift),
                            ..r
                        };
                        rows.into_iter().map(moved).collect::<Vec<_>>()
                    });
                    (rows, around())
                })
                .collect::<Vec<_>>();
            let watermark = watermark || mode == OutputMode::Append;
            (Just((watermark, keys, gap, mode, local_merge, delay)), batches)
        })
        .prop_map(|((watermark, keys, gap, mode, local_merge, delay), batches)| Case {
            watermark,
            keys,
            gap,
            mode,
            local_merge,
            delay,
            batches,
        })
}

async fn check(case: &Case) {
    let storage = Arc::new(MemoryStorage::default());
    let query = Query {
        watermark: case.watermark,
        window: None,
        session: Some(case.gap.end()),
        local_merge: case.local_merge,
        fused: true,
        keys: case.keys.clone(),
        aggregates: aggregates(),
        mode: case.mode,
        beside: case.batches.len().is_multiple_of(2),
    };
    let mut reference = Reference {
        keys: case.keys.clone(),
        gap: case.gap,
        mode: case.mode,
        watermark: case.watermark,
        local_merge: case.local_merge,
        sessions: BTreeMap::new(),
    };
    let mut run = Run::new(&query, storage.clone()).await;
    let (mut late, mut evict) = (Millis(0), Millis(0));
    for (n, (rows, around)) in case.batches.iter().enumerate() {
        let batch = BatchId(n as i64);
        let (one, two) = rows.split_at(rows.len() / 2);
        let (first, second) = one.split_at(one.len() / 3);
        let parts = || {
            let of = |rows: &[Input]| batch_of(rows, case.watermark);
            vec![vec![of(first), of(second)], vec![of(two)]]
        };
        run.operator.load(batch).await.unwrap();
        let mut out = run.execute(batch, late, evict, parts()).await.unwrap();
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
            run.operator.commit(batch).await.unwrap();
            if let Some(written) = written {
                assert!(written == storage.changes(), "batch {n} wrote other bytes when run again");
            }
        } else {
            run.operator.commit(batch).await.unwrap();
        }
        let (emitted, figures) = reference.batch(rows, late.as_micros(), evict.as_micros());
        let row = |(key, session): &(Key, Session)| {
            let mut cells = key.clone();
            cells.insert(cells.len().min(1), format!("{}..{}", session.start, session.end));
            cells.extend(expected(&session.rows));
            cells
        };
        let mut want: Vec<_> = emitted.iter().map(row).collect();
        let mut have = rows_of(&out);
        let start = |row: &Vec<String>| row[1].split("..").next().unwrap().parse::<i64>().unwrap();
        assert!(have.is_sorted_by_key(start), "{have:?}");
        want.sort();
        have.sort();
        assert_eq!(have, want, "batch {n}: late {late:?} evict {evict:?}");
        let metrics = run.operator.metrics();
        let size = |n: i64| usize::try_from(n).unwrap();
        let custom = |name: &str| size(metrics.custom_metrics.iter().find(|(n, _)| n == name).unwrap().1);
        let counted = Figures {
            total: size(metrics.num_rows_total),
            updated: size(metrics.num_rows_updated),
            removed: size(metrics.num_rows_removed),
            dropped: size(metrics.num_rows_dropped_by_watermark),
            offered: custom("rowWindowsOffered"),
            applied: custom("rowWindowsApplied"),
            late: custom("rowWindowsLate"),
        };
        assert_eq!(counted, figures, "figures of batch {n}: late {late:?} evict {evict:?}");
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
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(100)))]

    #[test]
    fn every_batch_of_sessions_equals_the_reference(case in case()) {
        let shown = format!("{case:?}");
        let outcome = std::panic::catch_unwind(|| {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(check(&case));
        });
        prop_assert!(outcome.is_ok(), "{shown}");
    }
}
