//! Finds ids by the hash of what they stand for.
//!
//! Ids alone are held, five bytes each; what they stand for is elsewhere, and the caller
//! compares. There are many small tables, chosen by bits of the hash: when one grows, only
//! its own ids are hashed again, so that no single step pays for all.

use hashbrown::HashTable;

const TABLES: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct IdIndex {
    /// None, or all of them.
    tables: Vec<HashTable<u32>>,
    held: usize,
}

/// Bits that a table itself does not use for its first guess.
#[inline]
fn table_of(hash: u64) -> usize {
    (hash >> 40) as usize % TABLES
}

impl IdIndex {
    /// The id with this hash that `is_it` accepts.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.tables.get(table_of(hash))?.find(hash, |id| is_it(*id)).copied()
    }

    /// Adds an id that is not there; `hash_of` gives the hash of any id.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64, id: u32, hash_of: impl Fn(u32) -> u64) {
        if self.tables.is_empty() {
            self.tables.resize_with(TABLES, HashTable::new);
        }
        let table = &mut self.tables[table_of(hash)];
        let before = table.capacity();
        table.insert_unique(hash, id, |id| hash_of(*id));
        self.held += table.capacity() - before;
    }

    /// Removes an id.
    pub(super) fn remove(&mut self, hash: u64, id: u32) {
        if let Some(table) = self.tables.get_mut(table_of(hash))
            && let Ok(entry) = table.find_entry(hash, |other| *other == id)
        {
            entry.remove();
        }
    }

    /// Bytes held, estimated: a table is at most seven eighths full.
    pub(super) fn memory(&self) -> usize {
        self.held * 8 / 7 * (size_of::<u32>() + 1) + self.tables.len() * size_of::<HashTable<u32>>()
    }
}
