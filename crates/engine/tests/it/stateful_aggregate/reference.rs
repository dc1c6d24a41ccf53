//! Spark's semantics, one row and one group at a time.

use std::collections::{BTreeMap, BTreeSet};

use millstream_engine::{sink::OutputMode, time::WindowSpec};

/// An input row; times in microseconds, `d` in 1024ths.
#[derive(Clone, PartialEq)]
pub struct Input {
    pub t: Option<i64>,
    pub k: Option<String>,
    pub i: Option<i32>,
    pub v: Option<i64>,
    pub d: Option<i64>,
    pub s: Option<String>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { t, k, i, v, d, s } = self;
        write!(f, "{:?}", (t, k, i, v, d, s))
    }
}

/// Window start and end, and the key columns printed.
pub type Group = (Option<(i64, i64)>, Vec<String>);

/// What decides when a group is late or final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventTime {
    None,
    Window,
    Column,
}

/// A query's groups with all their rows.
#[derive(Debug, Clone)]
pub struct Reference {
    pub window: Option<WindowSpec>,
    pub keys: Vec<&'static str>,
    pub event_time: EventTime,
    pub mode: OutputMode,
    pub groups: BTreeMap<Group, Vec<Input>>,
}

/// The batch as seen from outside.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// Emitted groups with their rows in order of arrival.
    pub emitted: Vec<(Group, Vec<Input>)>,
    pub total: i64,
    pub updated: i64,
    pub removed: i64,
    pub dropped: i64,
    pub offered: i64,
    pub applied: i64,
    pub late: i64,
    pub null_time: i64,
}

pub fn show<T: ToString>(value: Option<T>) -> String {
    value.map_or("NULL".to_string(), |v| v.to_string())
}

impl Reference {
    fn key(&self, row: &Input) -> Vec<String> {
        let one = |name: &&str| match *name {
            "t" => show(row.t),
            "k" => show(row.k.clone()),
            "i" => show(row.i),
            other => panic!("{other}"),
        };
        self.keys.iter().map(one).collect()
    }

    /// Whether a group is at or below a watermark.
    fn passed(&self, group: &Group, row: Option<&Input>, watermark: i64) -> bool {
        match self.event_time {
            EventTime::None => false,
            EventTime::Window => group.0.is_some_and(|(_, end)| end <= watermark),
            EventTime::Column => row.and_then(|r| r.t).is_some_and(|t| t <= watermark),
        }
    }

    pub fn batch(&mut self, rows: &[Input], late: i64, evict: i64) -> Outcome {
        let mut out = Outcome::default();
        let (mut touched, mut dropped) = (BTreeSet::new(), BTreeSet::new());
        let complete = self.mode == OutputMode::Complete;
        for row in rows {
            let windows: Vec<Option<(i64, i64)>> = match (self.window, row.t) {
                (None, _) => vec![None],
                (Some(_), None) => {
                    out.offered += 1;
                    out.null_time += 1;
                    vec![]
                }
                (Some(spec), Some(t)) => spec.starts(t).map(|s| Some((s, s + spec.duration()))).collect(),
            };
            for window in windows {
                out.offered += 1;
                let group = (window, self.key(row));
                if !complete && self.passed(&group, Some(row), late) {
                    out.late += 1;
                    dropped.insert(group);
                    continue;
                }
                out.applied += 1;
                touched.insert(group.clone());
                self.groups.entry(group).or_default().push(row.clone());
            }
        }
        if self.window.is_none() && self.keys.is_empty() {
            touched.insert((None, vec![]));
            self.groups.entry((None, vec![])).or_default();
        }
        out.updated = touched.len() as i64;
        out.dropped = dropped.len() as i64;
        let finals: Vec<Group> = if complete {
            vec![]
        } else {
            let passed = self.groups.iter().filter(|(g, rows)| self.passed(g, rows.first(), evict));
            passed.map(|(g, _)| g.clone()).collect()
        };
        let emitted: Vec<Group> = match self.mode {
            OutputMode::Append => finals.clone(),
            OutputMode::Update => touched.into_iter().collect(),
            OutputMode::Complete => self.groups.keys().cloned().collect(),
        };
        out.emitted = emitted.into_iter().map(|g| (g.clone(), self.groups[&g].clone())).collect();
        out.removed = finals.len() as i64;
        for group in finals {
            self.groups.remove(&group);
        }
        out.total = self.groups.len() as i64;
        out
    }
}
