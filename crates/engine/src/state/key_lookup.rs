//! Finds the ids of many keys at once, gives new ones out and takes them back.
//!
//! A table of a million keys is larger than the caches, and a lookup reads three places of it
//! that depend on one another: its group in the index, the id there, the key of that id. Key by
//! key that is three waits. So keys go through in blocks, a step for the whole block at a
//! time, and the steps hold no branch that waits for memory: the processor then waits for
//! many keys at once, which halves the time. Only keys that were not found at the first
//! guess, mostly new ones, go one by one.

use std::hash::{BuildHasher, Hash};

use hashbrown::DefaultHashBuilder;

use super::{
    byte_arena::ByteArena,
    id_index::{IdIndex, NONE},
};

/// Keys that go through together: their groups stay in the first-level cache.
const BLOCK: usize = 256;

/// Keys by id.
pub(super) trait KeysById<K> {
    /// Whether `id`, which may be [`NONE`], has this key.
    fn is(&self, id: u32, key: K) -> bool;
    /// The hash of the key of `id`: what `hasher` makes of that key.
    fn hash(&self, id: u32, hasher: &DefaultHashBuilder) -> u64;
    /// Gives `id`, which has none, a key.
    fn put(&mut self, id: u32, key: K);
    /// Brings the keys of these ids, which may be [`NONE`], into the cache.
    fn touch(&self, ids: &[u32]);
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct KeyLookup {
    hasher: DefaultHashBuilder,
    index: IdIndex,
    ids: Ids,
}

/// Ids given out and taken back.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// By id; false for ids that wait in `free`.
    used: Vec<bool>,
    free: Vec<u32>,
    /// Ids given out since they were last taken.
    pub(super) fresh: Vec<u32>,
}

impl Ids {
    /// An id that is not in use.
    #[inline]
    pub(super) fn issue(&mut self) -> u32 {
        let id = self.free.pop().unwrap_or_else(|| {
            self.used.push(false);
            // Ids are bounded by memory long before 2^32 keys.
            u32::try_from(self.used.len() - 1).unwrap_or(NONE)
        });
        self.used[id as usize] = true;
        self.fresh.push(id);
        id
    }

    /// Takes an id back; whether it was in use.
    #[inline]
    pub(super) fn give_back(&mut self, id: u32) -> bool {
        let Some(used) = self.used.get_mut(id as usize).filter(|used| **used) else { return false };
        *used = false;
        self.free.push(id);
        true
    }

    /// Whether an id is in use.
    pub(super) fn contains(&self, id: u32) -> bool {
        self.used.get(id as usize) == Some(&true)
    }

    /// Every id is below this.
    pub(super) fn capacity(&self) -> usize {
        self.used.len()
    }

    /// Ids in use.
    pub(super) fn len(&self) -> usize {
        self.used.len() - self.free.len()
    }

    fn memory(&self) -> usize {
        self.used.capacity() + (self.free.capacity() + self.fresh.capacity()) * size_of::<u32>()
    }
}

/// What is kept of a hash: its upper half, the better one of a multiplication.
#[inline]
fn kept(hash: u64) -> u32 {
    (hash >> 32) as u32
}

impl KeyLookup {
    /// The ids, for keys that are held elsewhere.
    pub(super) fn ids(&mut self) -> &mut Ids {
        &mut self.ids
    }

    /// The ids.
    pub(super) fn issued(&self) -> &Ids {
        &self.ids
    }

    /// Appends the id of each key to `out`.
    pub(super) fn intern<K: Hash + Copy>(
        &mut self,
        held: &mut impl KeysById<K>,
        keys: &[K],
        out: &mut Vec<u32>,
    ) {
        let Self { hasher, index, ids } = self;
        let mut hashes = [0; BLOCK];
        let mut missing = [0_usize; BLOCK];
        for keys in keys.chunks(BLOCK) {
            let hashes = &mut hashes[..keys.len()];
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = kept(hasher.hash_one(*key));
            }
            index.touch(hashes);
            let start = out.len();
            out.extend(hashes.iter().map(|hash| index.guess(*hash)));
            let found = &mut out[start..];
            held.touch(found);
            let mut misses = 0;
            for (row, (id, key)) in found.iter().zip(keys).enumerate() {
                missing[misses] = row;
                misses += usize::from(!held.is(*id, *key));
            }
            for row in &missing[..misses] {
                let (hash, key) = (hashes[*row], keys[*row]);
                found[*row] = index.find(hash, |id| held.is(id, key)).unwrap_or_else(|| {
                    let id = ids.issue();
                    held.put(id, key);
                    index.insert(hash, id);
                    id
                });
            }
        }
    }

    /// Forgets the keys of `gone`; `forget` takes each away from `held`. Ids that are not in
    /// use, or here twice, do no harm.
    pub(super) fn release<K, H: KeysById<K>>(
        &mut self,
        held: &mut H,
        gone: &[u32],
        mut forget: impl FnMut(&mut H, u32),
    ) {
        let Self { hasher, index, ids } = self;
        let mut block = Vec::with_capacity(BLOCK.min(gone.len()));
        let mut hashes = [0; BLOCK];
        for gone in gone.chunks(BLOCK) {
            block.clear();
            block.extend(gone.iter().copied().filter(|id| ids.give_back(*id)));
            held.touch(&block);
            let hashes = &mut hashes[..block.len()];
            for (hash, id) in hashes.iter_mut().zip(&block) {
                *hash = kept(held.hash(*id, hasher));
            }
            index.touch(hashes);
            for (hash, id) in hashes.iter().zip(&block) {
                index.remove(*hash, *id);
                forget(held, *id);
            }
        }
    }

    /// Bytes held, estimated.
    pub(super) fn memory(&self) -> usize {
        self.index.memory() + self.ids.memory()
    }
}

impl KeysById<i64> for Vec<i64> {
    #[inline]
    fn is(&self, id: u32, key: i64) -> bool {
        self.as_slice().get(id as usize) == Some(&key)
    }

    #[inline]
    fn hash(&self, id: u32, hasher: &DefaultHashBuilder) -> u64 {
        hasher.hash_one(self[id as usize])
    }

    #[inline]
    fn put(&mut self, id: u32, key: i64) {
        let index = id as usize;
        if index >= self.len() {
            self.resize(index + 1, 0);
        }
        self[index] = key;
    }

    /// Comparing does no more than this would.
    #[inline]
    fn touch(&self, _ids: &[u32]) {}
}

impl KeysById<&[u8]> for ByteArena {
    #[inline]
    fn is(&self, id: u32, key: &[u8]) -> bool {
        self.find(id) == Some(key)
    }

    #[inline]
    fn hash(&self, id: u32, hasher: &DefaultHashBuilder) -> u64 {
        hasher.hash_one(self.get(id))
    }

    #[inline]
    fn put(&mut self, id: u32, key: &[u8]) {
        self.put(id, key);
    }

    fn touch(&self, ids: &[u32]) {
        self.touch(ids);
    }
}
