//! The keys a deduplication has seen.

use std::sync::Arc;

use datafusion::arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, Int64Array, TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, Int64Type, Schema},
};

use crate::{
    Result, SparkError,
    operators::stateful::{
        Expiry, IdWalk, OperatorState, Restored, StateDefinition, StateStore, event_times,
    },
    state::{KeyTable, StateLayout, StateSchema, spark_type_name},
    time::Millis,
};

/// What a deduplication compares, and when it forgets.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) key_names: Vec<String>,
    pub(super) key_types: Vec<DataType>,
    pub(super) forgets: Forgets,
}

/// When a key is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forgets {
    /// Never.
    Never,
    /// When the watermark reaches the event time in this key column.
    Key(usize),
    /// When the watermark reaches the first row's event time plus this many microseconds.
    After(i64),
}

impl StateDefinition for Definition {
    type State = Seen;

    fn name(&self) -> &'static str {
        match self.forgets {
            Forgets::After(_) => "dedupeWithinWatermark",
            _ => "dedupe",
        }
    }

    fn stores(&self) -> Result<Vec<StateStore>> {
        let keys = self.key_types.iter().enumerate();
        let mut fields: Vec<Field> =
            keys.map(|(i, data_type)| Field::new(format!("key{i}"), data_type.clone(), true)).collect();
        let named = self.key_names.iter().zip(&self.key_types);
        let keys = named.map(|(name, data_type)| (name.clone(), spark_type_name(data_type))).collect();
        let mut values = vec![];
        if let Forgets::After(_) = self.forgets {
            fields.push(Field::new("expiresAtMicros", DataType::Int64, false));
            values.push(("expiresAtMicros".to_string(), "bigint".to_string()));
        }
        let expires = matches!(self.forgets, Forgets::After(_));
        let final_by = match self.forgets {
            Forgets::Never => None,
            Forgets::Key(index) => Some(index),
            Forgets::After(_) => Some(self.key_types.len()),
        };
        let layout = StateLayout::Seen { final_by, expires };
        let schema = StateSchema { keys, values };
        Ok(vec![StateStore {
            directory: "",
            rows: Arc::new(Schema::new(fields)),
            schema,
            layout,
            at_once: false,
        }])
    }

    fn create(&self) -> Result<Seen> {
        Ok(Seen {
            keys: KeyTable::new(&self.key_types)?,
            forgets: self.forgets,
            known: vec![],
            expiry: Expiry::default(),
            added: vec![],
            live: 0,
            walk: IdWalk::default(),
            ids: vec![],
        })
    }

    /// As in Spark, also when nothing is ever forgotten.
    fn wants_batch(&self, previous: Millis, watermark: Millis) -> bool {
        watermark > previous
    }
}

/// Keys in memory.
#[derive(Debug)]
pub(super) struct Seen {
    keys: KeyTable,
    forgets: Forgets,
    /// By key id.
    known: Vec<bool>,
    expiry: Expiry,
    /// Keys of this batch in order of arrival.
    added: Vec<u32>,
    live: usize,
    walk: IdWalk,
    ids: Vec<u32>,
}

impl Seen {
    /// Which of `len` rows are the first of their key. `times` are the rows' event times;
    /// one without counts as of the epoch, as in Spark.
    pub(super) fn first_rows(
        &mut self,
        keys: &[ArrayRef],
        times: Option<&TimestampMicrosecondArray>,
        len: usize,
    ) -> Result<BooleanArray> {
        let mut ids = std::mem::take(&mut self.ids);
        ids.clear();
        self.keys.intern(keys, len, &mut ids)?;
        self.keys.take_fresh();
        self.known.resize(self.keys.capacity(), false);
        let own_times = match (self.forgets, times) {
            (Forgets::Key(index), _) => Some(event_times(&keys[index])?),
            (Forgets::After(_), Some(times)) => Some(times.clone()),
            (Forgets::After(_), None) => return Err(SparkError::internal("rows without an event time")),
            (Forgets::Never, _) => None,
        };
        let mut first = BooleanBufferBuilder::new(len);
        for (row, id) in ids.iter().enumerate() {
            let new = !std::mem::replace(&mut self.known[*id as usize], true);
            first.append(new);
            if !new {
                continue;
            }
            self.live += 1;
            self.added.push(*id);
            let Some(times) = &own_times else { continue };
            match self.forgets {
                Forgets::After(delay) => {
                    let time = if times.is_valid(row) { times.value(row) } else { 0 };
                    self.expiry.insert(*id, time.saturating_add(delay));
                }
                _ if times.is_valid(row) => self.expiry.insert(*id, times.value(row)),
                _ => {}
            }
        }
        self.ids = ids;
        Ok(BooleanArray::new(first.finish(), None))
    }

    /// Forgets what a watermark of `micros` has reached; how many keys that were.
    pub(super) fn forget(&mut self, micros: i64) -> usize {
        let gone = self.expiry.take_until(micros);
        for id in &gone {
            self.known[*id as usize] = false;
        }
        self.keys.release(&gone);
        self.live -= gone.len();
        gone.len()
    }

    /// Number of keys added in the batch.
    pub(super) fn added(&self) -> usize {
        self.added.len()
    }

    /// Number of keys.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    fn stored(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut columns = self.keys.columns(ids)?;
        if let Forgets::After(_) = self.forgets {
            columns.push(Arc::new(ids.iter().map(|id| self.expiry.at(*id)).collect::<Int64Array>()));
        }
        Ok(columns)
    }
}

impl OperatorState for Seen {
    fn begin(&mut self) {
        self.added.clear();
    }

    /// In order of arrival, which is the same in each run.
    fn changes(&self, _store: usize) -> Result<Vec<ArrayRef>> {
        let kept = self.added.iter().copied().filter(|id| self.known[*id as usize]);
        self.stored(&kept.collect::<Vec<u32>>())
    }

    fn start_walk(&mut self, _store: usize) {
        self.walk = IdWalk::new(self.known.len());
    }

    fn walk(&mut self, _store: usize, rows: usize) -> Result<(Vec<ArrayRef>, bool)> {
        let known = &self.known;
        let (mut ids, over) = self.walk.take(rows, |id| usize::from(known[id as usize]));
        self.keys.sort_unique(&mut ids);
        Ok((self.stored(&ids)?, over))
    }

    fn stored_rows(&self, _store: usize) -> usize {
        self.live
    }

    fn restore(&mut self, _store: usize, columns: &[ArrayRef], _from: Restored) -> Result<()> {
        let rows = columns.first().map_or(0, |c| c.len());
        let few = || SparkError::internal("state has too few columns");
        let (keys, values) = columns.split_at_checked(self.keys.width()).ok_or_else(few)?;
        let Forgets::After(_) = self.forgets else {
            return self.first_rows(keys, None, rows).map(drop);
        };
        let expires = values.first().and_then(|c| c.as_primitive_opt::<Int64Type>()).ok_or_else(few)?;
        let mut ids = vec![];
        self.keys.intern(keys, rows, &mut ids)?;
        self.keys.take_fresh();
        self.known.resize(self.keys.capacity(), false);
        for (id, at) in ids.iter().zip(expires.values()) {
            if !std::mem::replace(&mut self.known[*id as usize], true) {
                self.live += 1;
                self.expiry.insert(*id, *at);
            }
        }
        Ok(())
    }

    fn evict(&mut self, _store: usize, micros: i64) -> Result<()> {
        self.forget(micros);
        Ok(())
    }

    fn loaded(&mut self, _evicted: Option<i64>) {
        self.added = vec![];
    }

    fn memory(&self) -> usize {
        self.keys.memory()
            + self.expiry.memory()
            + self.known.capacity()
            + (self.added.capacity() + self.ids.capacity()) * size_of::<u32>()
    }
}
