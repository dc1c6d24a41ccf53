//! Groups of an aggregate without a fused window: one buffer a key, slot = key id.
//!
//! When a key column carries event time, a group is final once its time (a window column:
//! its end) is at or below the watermark. A null time is never late and never final.

use datafusion::arrow::array::{Array, ArrayRef, TimestampMicrosecondArray, UInt32Array};
use hashbrown::HashSet;

use super::{
    batch::{Counts, Emission, Frame, Rows},
    buffer_set::BufferSet,
    groups::Groups,
    piece_groups::PieceGroups,
    spec::Spec,
};
use crate::{
    Result, SparkError,
    operators::{
        aggregate::Arrival,
        stateful::{Expiry, IdWalk, OperatorState, Restored, event_times},
    },
    plan::EventTimeKey,
    sink::OutputMode,
    state::KeyTable,
};

/// Up to so many changed groups are sorted: sorting 200,000 took a third of an update query.
const SORTED_UPDATES: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(super) struct KeyedGroups {
    keys: KeyTable,
    buffers: BufferSet,
    event_time: Option<EventTimeKey>,
    /// By key id: whether the group is in state.
    exists: Vec<bool>,
    /// Groups by event time, for eviction.
    by_time: Expiry,
    /// By key id: the last batch (counted by `epoch`) that changed it.
    touched: Vec<u32>,
    epoch: u32,
    dirty: Vec<u32>,
    late: HashSet<u32>,
    live: i64,
    walk: IdWalk,
    counts: Counts,
    arrived: i64,
    ids: Vec<u32>,
}

impl KeyedGroups {
    pub(super) fn new(spec: &Spec) -> Result<Self> {
        Ok(Self {
            keys: KeyTable::new(&spec.key_types)?,
            buffers: BufferSet::new(&spec.calls)?,
            event_time: spec.event_time,
            exists: vec![],
            by_time: Expiry::default(),
            touched: vec![],
            epoch: 0,
            dirty: vec![],
            late: HashSet::new(),
            live: 0,
            walk: IdWalk::default(),
            counts: Counts::default(),
            arrived: 0,
            ids: vec![],
        })
    }

    fn admit_keys(&mut self) {
        let capacity = self.keys.capacity();
        self.exists.resize(capacity, false);
        self.touched.resize(capacity, 0);
        self.buffers.reserve(capacity);
    }

    /// The event times of key columns, null where there is none.
    fn times(&self, keys: &[ArrayRef]) -> Result<Option<TimestampMicrosecondArray>> {
        let wrong = || SparkError::internal("an event-time key is missing");
        match self.event_time {
            None => Ok(None),
            Some(EventTimeKey::Window) => Err(wrong()),
            Some(EventTimeKey::Column(index) | EventTimeKey::WindowColumn(index)) => {
                event_times(keys.get(index).ok_or_else(wrong)?).map(Some)
            }
        }
    }

    /// Puts a key into state.
    fn enter(&mut self, id: u32, time: Option<i64>) {
        self.exists[id as usize] = true;
        self.touched[id as usize] = 0;
        self.live += 1;
        if let Some(time) = time {
            self.by_time.insert(id, time);
        }
    }

    /// Removes groups that [`Expiry`] has given out; how many those are.
    fn remove(&mut self, gone: &[u32]) -> i64 {
        self.buffers.clear(gone);
        for id in gone {
            self.exists[*id as usize] = false;
        }
        self.keys.release(gone);
        let removed = i64::try_from(gone.len()).unwrap_or(i64::MAX);
        self.live -= removed;
        removed
    }

    fn existing(&self) -> Vec<u32> {
        let all = self.exists.iter().enumerate().filter(|(_, exists)| **exists);
        all.map(|(id, _)| u32::try_from(id).unwrap_or(u32::MAX)).collect()
    }

    /// Counts rows of a key; whether they are in time.
    #[inline(always)]
    fn admit(&mut self, id: u32, time: Option<i64>, rows: i64, late: Option<i64>) -> bool {
        self.counts.offered += rows;
        if let (Some(time), Some(late)) = (time, late)
            && time <= late
        {
            self.counts.late += rows;
            self.late.insert(id);
            return false;
        }
        self.counts.applied += rows;
        if !self.exists[id as usize] {
            self.enter(id, time);
        }
        if self.touched[id as usize] != self.epoch {
            self.touched[id as usize] = self.epoch;
            self.dirty.push(id);
        }
        true
    }

    fn stored(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut columns = self.keys.columns(ids)?;
        columns.extend(self.buffers.export(ids)?);
        Ok(columns)
    }
}

impl Groups for KeyedGroups {
    fn update(&mut self, rows: &Rows, frame: &Frame) -> Result<()> {
        let mut ids = std::mem::take(&mut self.ids);
        ids.clear();
        self.keys.intern(&rows.keys, rows.len, &mut ids)?;
        self.admit_keys();
        let times = self.times(&rows.keys)?;
        let mut picked: Vec<u32> = Vec::new();
        let mut slots: Vec<u32> = Vec::with_capacity(rows.len);
        for (row, id) in ids.iter().enumerate() {
            let time = times.as_ref().filter(|t| t.is_valid(row)).map(|t| t.value(row));
            if !self.admit(*id, time, 1, frame.late) {
                continue;
            }
            slots.push(*id);
            picked.push(row as u32);
        }
        let arrival = Arrival { batch: frame.batch, row: self.arrived };
        self.arrived += i64::try_from(rows.len).unwrap_or(i64::MAX);
        let taken = (picked.len() < rows.len).then(|| UInt32Array::from(picked));
        self.buffers.update(&slots, &rows.arguments, taken.as_ref(), arrival)?;
        self.ids = ids;
        Ok(())
    }

    fn merge(&mut self, piece: &PieceGroups, frame: &Frame) -> Result<()> {
        let mut ids = vec![];
        self.keys.intern(&piece.keys, piece.rows.len(), &mut ids)?;
        self.admit_keys();
        let times = self.times(&piece.keys)?;
        let (mut slots, mut picked) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        for (group, (id, rows)) in ids.iter().zip(&piece.rows).enumerate() {
            let time = times.as_ref().filter(|t| t.is_valid(group)).map(|t| t.value(group));
            if self.admit(*id, time, *rows, frame.late) {
                slots.push(*id);
                picked.push(group as u32);
            }
        }
        self.buffers.merge(&slots, &piece.buffers_of(picked)?)
    }

    fn finish(&mut self, frame: &Frame) -> Result<(Emission, Counts)> {
        if self.keys.width() == 0 {
            // A global aggregate always has its one row, as in Spark.
            self.keys.intern(&[], 0, &mut vec![])?;
            self.admit_keys();
            if !self.exists[0] {
                self.enter(0, None);
            }
            if self.dirty.is_empty() {
                self.dirty.push(0);
            }
        }
        let mut leaving = frame.evict.map(|evict| self.by_time.take_until(evict)).unwrap_or_default();
        leaving.sort_unstable();
        let mut ids = match frame.mode {
            OutputMode::Append => leaving.clone(),
            OutputMode::Update => self.dirty.clone(),
            OutputMode::Complete => self.existing(),
        };
        if frame.mode != OutputMode::Update || ids.len() <= SORTED_UPDATES {
            self.keys.sort_unique(&mut ids);
        }
        let emission = Emission {
            windows: None,
            keys: self.keys.columns(&ids)?,
            results: self.buffers.evaluate(&ids)?,
            len: ids.len(),
        };
        let mut counts = self.counts;
        counts.updated = i64::try_from(self.dirty.len()).unwrap_or(i64::MAX);
        counts.dropped = i64::try_from(self.late.len()).unwrap_or(i64::MAX);
        counts.removed = self.remove(&leaving);
        let mut unused = self.keys.take_fresh();
        unused.retain(|id| !self.exists[*id as usize]);
        self.keys.release(&unused);
        counts.total = self.live;
        Ok((emission, counts))
    }
}

impl OperatorState for KeyedGroups {
    fn begin(&mut self) {
        self.epoch += 1;
        self.dirty.clear();
        self.late.clear();
        self.counts = Counts::default();
        self.arrived = 0;
    }

    fn changes(&self, _store: usize) -> Result<Vec<ArrayRef>> {
        let kept: Vec<u32> = self.dirty.iter().filter(|id| self.exists[**id as usize]).copied().collect();
        self.stored(&kept)
    }

    fn start_walk(&mut self, _store: usize) {
        self.walk = IdWalk::new(self.exists.len());
    }

    fn walk(&mut self, _store: usize, rows: usize) -> Result<(Vec<ArrayRef>, bool)> {
        let exists = &self.exists;
        let (mut ids, over) = self.walk.take(rows, |id| usize::from(exists[id as usize]));
        self.keys.sort_unique(&mut ids);
        Ok((self.stored(&ids)?, over))
    }

    fn stored_rows(&self, _store: usize) -> usize {
        usize::try_from(self.live).unwrap_or(0)
    }

    fn restore(&mut self, _store: usize, columns: &[ArrayRef], _from: Restored) -> Result<()> {
        let width = self.keys.width();
        let rows = columns.first().map_or(0, |c| c.len());
        if columns.len() < width {
            return Err(SparkError::internal("state has too few columns"));
        }
        let (keys, buffers) = columns.split_at(width);
        let mut ids = vec![];
        self.keys.intern(keys, rows, &mut ids)?;
        self.admit_keys();
        self.keys.take_fresh();
        let times = self.times(keys)?;
        for (row, id) in ids.iter().enumerate() {
            if !self.exists[*id as usize] {
                self.enter(*id, times.as_ref().filter(|t| t.is_valid(row)).map(|t| t.value(row)));
            }
        }
        self.buffers.import(&ids, buffers)
    }

    fn evict(&mut self, _store: usize, micros: i64) -> Result<()> {
        let gone = self.by_time.take_until(micros);
        self.remove(&gone);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.keys.memory()
            + self.buffers.memory()
            + self.by_time.memory()
            + self.exists.capacity()
            + self.touched.capacity() * 4
    }
}
