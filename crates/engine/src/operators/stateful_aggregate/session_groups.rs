//! Groups of an aggregate over session windows: sessions of a key merge as rows arrive.
//!
//! A row is a session of its own, `[time, time + gap)`. Two sessions of a key are one when
//! the later starts at or before the end of the earlier. Rows of a batch are first
//! aggregated by their exact session; those that are late are dropped; then all sessions
//! of a touched key, old and new, merge in the order of their starts (an old one first when
//! both start together). Functions that depend on order see that order, as in Spark.
//!
//! Spark differs: it counts a late session once for each partition it has rows in, an input of a
//! union being one or more; here it counts once.
//!
//! # Invariants
//! Between batches the sessions of a key are sorted and do not touch. A changed key is
//! stored with all its sessions, and restoring it replaces what it had.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array},
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use hashbrown::{HashMap, HashSet};

use super::{
    batch::{Counts, Emission, Frame, Rows},
    buffer_set::BufferSet,
    groups::Groups,
    key_slots::{KeySlots, Place},
    piece_groups::PieceGroups,
    spec::Spec,
};
use crate::{
    Result, SparkError,
    operators::{
        aggregate::Arrival,
        stateful::{IdWalk, OperatorState, Restored},
    },
    sink::OutputMode,
    state::KeyTable,
};

/// See the module.
#[derive(Debug)]
pub(super) struct SessionGroups {
    keys: KeyTable,
    buffers: BufferSet,
    /// By key id, sorted by start: (start, end).
    sessions: KeySlots<(i64, i64)>,
    /// Keys by the bucket of one of their sessions' ends; ends that were extended stay until
    /// passed.
    by_end: BTreeMap<i64, Vec<u32>>,
    /// Keys in `by_end`.
    ending: usize,
    /// Whether sessions become final.
    evicts: bool,
    /// Whether the rows of a batch merge with each other before late ones are dropped
    /// (`spark.sql.streaming.sessionWindow.merge.sessions.in.local.partition`).
    local_merge: bool,
    live: i64,
    walk: IdWalk,
    /// The batch's rows by exact session.
    partials: Vec<Partial>,
    exact: HashMap<(u32, i64, i64), u32>,
    /// Exact sessions that came too late.
    late: HashSet<(u32, i64, i64)>,
    /// Keys whose sessions changed in the batch, sorted.
    dirty: Vec<u32>,
    counts: Counts,
    arrived: i64,
    ids: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Session {
    start: i64,
    end: i64,
    slot: u32,
}

impl From<&Place<(i64, i64)>> for Session {
    fn from(place: &Place<(i64, i64)>) -> Self {
        Self { start: place.at.0, end: place.at.1, slot: place.slot }
    }
}

/// Ends are found again by buckets of 2^20 microseconds, about a second.
fn bucket(micros: i64) -> i64 {
    micros >> 20
}

/// A session made of rows of the running batch.
#[derive(Debug, Clone, Copy)]
struct Partial {
    key: u32,
    session: Session,
    rows: i64,
}

impl Partial {
    fn place(&self) -> (u32, i64, i64) {
        (self.key, self.session.start, self.session.end)
    }
}

impl SessionGroups {
    pub(super) fn new(spec: &Spec, local_merge: bool) -> Result<Self> {
        Ok(Self {
            keys: KeyTable::new(&spec.key_types)?,
            buffers: BufferSet::new(&spec.calls)?,
            sessions: KeySlots::new(),
            by_end: BTreeMap::new(),
            ending: 0,
            evicts: spec.event_time.is_some() && spec.mode != OutputMode::Complete,
            local_merge,
            live: 0,
            walk: IdWalk::default(),
            partials: vec![],
            exact: HashMap::new(),
            late: HashSet::new(),
            dirty: vec![],
            counts: Counts::default(),
            arrived: 0,
            ids: vec![],
        })
    }

    /// Keeps `sessions` as all sessions of a key that had `old` and has none.
    fn put(&mut self, key: u32, sessions: &[Session], old: &[Session]) {
        self.live += count(sessions.len());
        if self.evicts {
            let known = |end| old.iter().any(|o| bucket(o.end) == bucket(end));
            for session in sessions.iter().filter(|s| !known(s.end)) {
                self.by_end.entry(bucket(session.end)).or_default().push(key);
                self.ending += 1;
            }
        }
        self.sessions.put(key, sessions.iter().map(|s| Place::new((s.start, s.end), s.slot)).collect());
    }

    /// Takes all sessions of a key away; their slots stay.
    fn take(&mut self, key: u32) -> Vec<Session> {
        let sessions: Vec<Session> = self.sessions.take(key).iter().map(Session::from).collect();
        self.live -= count(sessions.len());
        sessions
    }

    /// Merges the batch's sessions with each other and drops the late ones among the merged.
    fn merge_locally(&mut self, partials: Vec<Partial>, late: Option<i64>) -> Result<Vec<Partial>> {
        let (mut merged, mut steps): (Vec<Partial>, Vec<(u32, u32)>) = (Vec::new(), Vec::new());
        for new in partials {
            match merged.last_mut() {
                Some(last) if last.key == new.key && new.session.start <= last.session.end => {
                    last.session.end = last.session.end.max(new.session.end);
                    last.rows += new.rows;
                    steps.push((new.session.slot, last.session.slot));
                }
                _ => merged.push(new),
            }
        }
        self.absorb(&steps)?;
        let Some(late) = late else { return Ok(merged) };
        let (dropped, kept): (Vec<_>, Vec<_>) = merged.into_iter().partition(|p| p.session.end <= late);
        let rows: i64 = dropped.iter().map(|p| p.rows).sum();
        self.counts.dropped += count(dropped.len());
        self.counts.late += rows;
        self.counts.applied -= rows;
        self.buffers.release(&dropped.iter().map(|p| p.session.slot).collect::<Vec<_>>());
        Ok(kept)
    }

    /// Appends slot to slot and gives the first of each pair back.
    fn absorb(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        self.buffers.append_slots(steps)?;
        self.buffers.release(&steps.iter().map(|(from, _)| *from).collect::<Vec<_>>());
        Ok(())
    }

    /// Merges the batch's sessions into those of their keys.
    fn merge_into_state(&mut self, partials: &[Partial]) -> Result<()> {
        let mut steps = Vec::new();
        for new in partials.chunk_by(|a, b| a.key == b.key) {
            let Some(Partial { key, .. }) = new.first().copied() else { continue };
            let old = self.take(key);
            let (mut merged, mut left): (Vec<Session>, _) = (Vec::new(), old.as_slice());
            let mut incoming = new.iter().map(|p| p.session).peekable();
            loop {
                let next = match (left.split_first(), incoming.peek()) {
                    (Some((old, rest)), new) if new.is_none_or(|new| old.start <= new.start) => {
                        left = rest;
                        *old
                    }
                    _ => match incoming.next() {
                        Some(new) => new,
                        None => break,
                    },
                };
                match merged.last_mut() {
                    Some(last) if next.start <= last.end => {
                        last.end = last.end.max(next.end);
                        steps.push((next.slot, last.slot));
                    }
                    _ => merged.push(next),
                }
            }
            // As Spark counts: every session of a touched key is written again.
            self.counts.updated += count(merged.len());
            let gone = old.iter().filter(|o| merged.binary_search_by_key(&o.start, |m| m.start).is_err());
            self.counts.removed += count(gone.count());
            self.put(key, &merged, &old);
            self.dirty.push(key);
        }
        self.absorb(&steps)
    }

    /// Takes the sessions out that ended at or before `micros`, with their slots.
    fn pass(&mut self, micros: i64) -> Vec<(u32, Session)> {
        let last = bucket(micros);
        let later = self.by_end.split_off(&last);
        let mut keys: Vec<u32> = std::mem::replace(&mut self.by_end, later).into_values().flatten().collect();
        self.ending -= keys.len();
        keys.extend(self.by_end.get(&last).into_iter().flatten());
        keys.sort_unstable();
        keys.dedup();
        let mut passed = Vec::new();
        for key in keys {
            let gone = self.sessions.extract(key, |p| p.at.1 <= micros);
            self.live -= count(gone.len());
            passed.extend(gone.iter().map(|place| (key, Session::from(place))));
        }
        if let Some(keys) = self.by_end.get_mut(&last) {
            let before = keys.len();
            keys.retain(|key| self.sessions.of(*key).iter().any(|p| bucket(p.at.1) == last));
            self.ending -= before - keys.len();
            if keys.is_empty() {
                self.by_end.remove(&last);
            }
        }
        passed
    }

    /// Gives back the slots of sessions that are gone, and keys without sessions.
    fn forget(&mut self, gone: &[(u32, Session)]) {
        self.buffers.release(&gone.iter().map(|(_, session)| session.slot).collect::<Vec<_>>());
        self.release_empty(gone.iter().map(|(key, _)| *key).collect());
    }

    /// Releases those of `keys` that have no session.
    fn release_empty(&mut self, mut keys: Vec<u32>) {
        keys.retain(|key| self.sessions.of(*key).is_empty());
        self.keys.release(&keys);
    }

    /// Results of `sessions`, sorted by start, then key.
    fn emit(&self, mut sessions: Vec<(u32, Session)>) -> Result<Emission> {
        sessions.sort_by(|(a, one), (b, other)| {
            (one.start, one.end).cmp(&(other.start, other.end)).then_with(|| self.keys.compare(*a, *b))
        });
        let keys: Vec<u32> = sessions.iter().map(|(key, _)| *key).collect();
        let slots: Vec<u32> = sessions.iter().map(|(_, session)| session.slot).collect();
        let edges = sessions.iter().map(|(_, session)| (session.start, session.end)).unzip();
        Ok(Emission {
            windows: Some(edges),
            keys: self.keys.columns(&keys)?,
            results: self.buffers.evaluate(&slots)?,
            len: sessions.len(),
        })
    }

    /// The sessions of `keys`, each key once.
    fn of<'a>(&'a self, keys: impl Iterator<Item = u32> + 'a) -> impl Iterator<Item = (u32, Session)> + 'a {
        keys.flat_map(|key| self.sessions.of(key).iter().map(move |place| (key, Session::from(place))))
    }

    fn all_keys(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.sessions.capacity()).map(|key| u32::try_from(key).unwrap_or(u32::MAX))
    }

    /// The stored columns of the sessions of `keys`.
    fn stored(&self, mut keys: Vec<u32>) -> Result<Vec<ArrayRef>> {
        keys.retain(|key| self.keys.contains(*key));
        self.keys.sort_unique(&mut keys);
        let sessions: Vec<_> = self.of(keys.into_iter()).collect();
        let edge = |f: fn(&Session) -> i64| -> ArrayRef {
            Arc::new(sessions.iter().map(|(_, session)| Some(f(session))).collect::<Int64Array>())
        };
        let ids: Vec<u32> = sessions.iter().map(|(key, _)| *key).collect();
        let slots: Vec<u32> = sessions.iter().map(|(_, session)| session.slot).collect();
        let mut columns = vec![edge(|s| s.start), edge(|s| s.end)];
        columns.extend(self.keys.columns(&ids)?);
        columns.extend(self.buffers.export(&slots)?);
        Ok(columns)
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn wrong(what: &str) -> SparkError {
    SparkError::internal(format!("session state: {what}"))
}

impl Groups for SessionGroups {
    fn update(&mut self, rows: &Rows, frame: &Frame) -> Result<()> {
        let sessions = rows.session.as_ref().ok_or_else(|| wrong("rows without session"))?;
        let edge = |i: usize| {
            let column =
                sessions.columns().get(i).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
            column.ok_or_else(|| wrong("a session of other columns"))
        };
        let (starts, ends) = (edge(0)?, edge(1)?);
        let mut ids = std::mem::take(&mut self.ids);
        ids.clear();
        self.keys.intern(&rows.keys, rows.len, &mut ids)?;
        self.sessions.grow(self.keys.capacity());
        let late = if self.local_merge { None } else { frame.late };
        let (mut picked, mut slots) = (Vec::with_capacity(rows.len), Vec::with_capacity(rows.len));
        for (row, key) in ids.iter().enumerate() {
            if sessions.is_null(row) || starts.is_null(row) || ends.is_null(row) {
                self.counts.null_time += 1;
                continue;
            }
            let place = (*key, starts.value(row), ends.value(row));
            if late.is_some_and(|late| place.2 <= late) {
                self.counts.late += 1;
                self.late.insert(place);
                continue;
            }
            let index = match self.exact.get(&place) {
                Some(index) => *index as usize,
                None => {
                    let index = self.partials.len();
                    self.exact.insert(place, u32::try_from(index).map_err(|_| wrong("too many rows"))?);
                    let session = Session { start: place.1, end: place.2, slot: self.buffers.allocate()? };
                    self.partials.push(Partial { key: *key, session, rows: 0 });
                    index
                }
            };
            let Some(partial) = self.partials.get_mut(index) else { return Err(wrong("a lost session")) };
            partial.rows += 1;
            slots.push(partial.session.slot);
            picked.push(row as u32);
        }
        self.counts.offered += count(rows.len);
        self.counts.applied += count(slots.len());
        let arrival = Arrival { batch: frame.batch, row: self.arrived };
        self.arrived += count(rows.len);
        let taken = (picked.len() < rows.len).then(|| UInt32Array::from(picked));
        self.buffers.update(&slots, &rows.arguments, taken.as_ref(), arrival)?;
        self.ids = ids;
        Ok(())
    }

    fn merge(&mut self, _piece: &PieceGroups, _frame: &Frame) -> Result<()> {
        Err(SparkError::internal("sessions are not grouped beforehand"))
    }

    fn finish(&mut self, frame: &Frame) -> Result<(Emission, Counts)> {
        self.counts.dropped += count(self.late.len());
        let mut partials = std::mem::take(&mut self.partials);
        self.exact.clear();
        partials.sort_unstable_by_key(Partial::place);
        if self.local_merge {
            partials = self.merge_locally(partials, frame.late)?;
        }
        self.merge_into_state(&partials)?;
        let passed = frame.evict.map(|micros| self.pass(micros)).unwrap_or_default();
        let emission = match frame.mode {
            OutputMode::Append => self.emit(passed.clone())?,
            OutputMode::Complete => self.emit(self.of(self.all_keys()).collect())?,
            // Below another aggregate only: Spark, too, refuses it with the first batch.
            OutputMode::Update => {
                return Err(SparkError::new("STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION")
                    .with("outputMode", "update")
                    .with("operation", "session window streaming aggregations"));
            }
        };
        self.counts.removed += count(passed.len());
        self.forget(&passed);
        let fresh = self.keys.take_fresh();
        self.release_empty(fresh);
        self.counts.total = self.live;
        Ok((emission, self.counts))
    }
}

impl OperatorState for SessionGroups {
    fn begin(&mut self) {
        self.dirty.clear();
        self.late.clear();
        self.exact.clear();
        self.partials.clear();
        self.counts = Counts::default();
        self.arrived = 0;
    }

    fn changes(&self, _store: usize) -> Result<Vec<ArrayRef>> {
        self.stored(self.dirty.clone())
    }

    fn start_walk(&mut self, _store: usize) {
        self.walk = IdWalk::new(self.sessions.capacity());
    }

    fn walk(&mut self, _store: usize, rows: usize) -> Result<(Vec<ArrayRef>, bool)> {
        let sessions = &self.sessions;
        let (keys, over) = self.walk.take(rows, |key| sessions.of(key).len());
        Ok((self.stored(keys)?, over))
    }

    fn stored_rows(&self, _store: usize) -> usize {
        usize::try_from(self.live).unwrap_or(0)
    }

    fn restore(&mut self, _store: usize, columns: &[ArrayRef], _from: Restored) -> Result<()> {
        let (Some((edges, rest)), width) = (columns.split_at_checked(2), self.keys.width()) else {
            return Err(wrong("too few columns"));
        };
        let Some((keys, buffers)) = rest.split_at_checked(width) else {
            return Err(wrong("too few columns"));
        };
        let edge = |i: usize| {
            let column = edges.get(i).and_then(|c| c.as_primitive_opt::<Int64Type>());
            column.ok_or_else(|| wrong("an edge is no number"))
        };
        let (starts, ends) = (edge(0)?, edge(1)?);
        let mut ids = vec![];
        self.keys.intern(keys, starts.len(), &mut ids)?;
        self.keys.take_fresh();
        self.sessions.grow(self.keys.capacity());
        let mut slots = Vec::with_capacity(ids.len());
        let mut row = 0;
        // Rows of a key stand together, sorted.
        for run in ids.chunk_by(|a, b| a == b) {
            let Some(key) = run.first().copied() else { continue };
            let old = self.take(key);
            self.buffers.release(&old.iter().map(|session| session.slot).collect::<Vec<_>>());
            let mut sessions = Vec::with_capacity(run.len());
            for _ in run {
                let slot = self.buffers.allocate()?;
                slots.push(slot);
                sessions.push(Session { start: starts.value(row), end: ends.value(row), slot });
                row += 1;
            }
            self.put(key, &sessions, &old);
        }
        self.buffers.import(&slots, buffers)
    }

    fn evict(&mut self, _store: usize, micros: i64) -> Result<()> {
        let passed = self.pass(micros);
        self.forget(&passed);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.keys.memory()
            + self.buffers.memory()
            + self.sessions.memory()
            + self.ending * size_of::<u32>()
            + self.by_end.len() * 48
    }
}
