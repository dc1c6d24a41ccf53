//! Grouping keys of one string or binary column.

use datafusion::arrow::{
    array::BinaryArray,
    buffer::{NullBuffer, OffsetBuffer},
};

use super::{
    byte_arena::ByteArena,
    key_lookup::KeyLookup,
    short_keys::{Missing, ShortKeys},
};
use crate::{Result, SparkError};

/// Keys looked up together, and so rows after which short ones are remembered.
const AT_ONCE: usize = 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct StringKeys {
    values: ByteArena,
    null: Option<u32>,
    recent: ShortKeys,
}

/// Keys that are not known at once.
#[derive(Default)]
struct Waiting<'a> {
    keys: Vec<&'a [u8]>,
    /// Where their ids go, and what to remember them by.
    places: Vec<(usize, Missing)>,
    found: Vec<u32>,
}

impl StringKeys {
    /// Appends the id of each key to `ids`.
    pub(super) fn intern<'a>(
        &mut self,
        lookup: &mut KeyLookup,
        keys: impl Iterator<Item = Option<&'a [u8]>>,
        ids: &mut Vec<u32>,
    ) {
        let mut waiting = Waiting::default();
        for key in keys {
            let known = match key {
                None => *self.null.get_or_insert_with(|| lookup.ids().issue()),
                Some(key) => self.recent.find(key).unwrap_or_else(|missing| {
                    waiting.keys.push(key);
                    waiting.places.push((ids.len(), missing));
                    0
                }),
            };
            ids.push(known);
            if waiting.keys.len() == AT_ONCE {
                self.look_up(lookup, &mut waiting, ids);
            }
        }
        self.look_up(lookup, &mut waiting, ids);
    }

    fn look_up(&mut self, lookup: &mut KeyLookup, waiting: &mut Waiting<'_>, ids: &mut [u32]) {
        lookup.intern(&mut self.values, &waiting.keys, &mut waiting.found);
        for ((place, missing), id) in waiting.places.drain(..).zip(waiting.found.drain(..)) {
            ids[place] = id;
            self.recent.remember(missing, id);
        }
        waiting.keys.clear();
    }

    /// Forgets keys; see [`KeyLookup::release`].
    pub(super) fn release(&mut self, lookup: &mut KeyLookup, gone: &[u32]) {
        if self.null.is_some_and(|null| gone.contains(&null) && lookup.ids().give_back(null)) {
            self.null = None;
        }
        let Self { values, recent, .. } = self;
        lookup.release(values, gone, |values, id| {
            recent.forget(values.get(id));
            values.remove(id);
        });
    }

    /// The keys of `ids`, row by row.
    ///
    /// # Errors
    /// More than 2 GiB of them, which one Arrow array cannot hold.
    pub(super) fn column(&self, ids: &[u32]) -> Result<BinaryArray> {
        let mut bytes = Vec::new();
        let mut offsets = Vec::with_capacity(ids.len() + 1);
        offsets.push(0);
        for id in ids {
            bytes.extend_from_slice(self.values.get(*id));
            let end = i32::try_from(bytes.len());
            offsets.push(end.map_err(|_| SparkError::internal("a batch has more than 2 GiB of keys"))?);
        }
        let nulls = self.null.filter(|null| ids.contains(null));
        let nulls = nulls.map(|null| ids.iter().map(|id| *id != null).collect::<NullBuffer>());
        Ok(BinaryArray::try_new(OffsetBuffer::new(offsets.into()), bytes.into(), nulls)?)
    }

    /// The key of `id`; none is null.
    pub(super) fn get(&self, id: u32) -> Option<&[u8]> {
        (Some(id) != self.null).then(|| self.values.get(id))
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        self.values.memory()
    }
}
