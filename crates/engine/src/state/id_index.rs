//! Finds ids by the hash of what they stand for.
//!
//! Ids and 32 bits of their hashes are held; what they stand for is elsewhere, and the caller
//! compares. Eight of them are a group, one cache line: a search reads the group its hash
//! belongs to and, where that is full, the next ones. There are many small tables, chosen by
//! bits of the hash: one grows by itself and from the hashes it holds, so that no single step
//! pays for all, and nothing that ids stand for is read again.
//!
//! # Invariants
//! All groups between the one an id belongs to and the one it is in are full. A group is filled
//! from its front. A table is never full.

const TABLES: usize = 256;
const WIDTH: usize = 8;

/// A table grows, by a half, when more than so many tenths of it would be used.
const FULL_TENTHS: usize = 8;

/// No id.
pub(super) const NONE: u32 = u32::MAX;

/// Eight ids and their hashes; [`NONE`] where there is no id.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Group {
    hashes: [u32; WIDTH],
    ids: [u32; WIDTH],
}

const EMPTY: Group = Group { hashes: [0; WIDTH], ids: [NONE; WIDTH] };

impl Group {
    /// A bit for each place with this hash, empty ones too.
    #[inline]
    fn matching(&self, hash: u32) -> u32 {
        places(&self.hashes, hash)
    }

    /// Ids in the group, and so the first empty place.
    #[inline]
    fn len(&self) -> usize {
        WIDTH - places(&self.ids, NONE).count_ones() as usize
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.ids[WIDTH - 1] != NONE
    }

    #[inline]
    fn push(&mut self, hash: u32, id: u32) {
        let place = self.len();
        (self.hashes[place], self.ids[place]) = (hash, id);
    }

    /// Takes one out; the last one takes its place.
    #[inline]
    fn swap_remove(&mut self, at: usize) -> (u32, u32) {
        let last = self.len() - 1;
        let taken = (self.hashes[at], self.ids[at]);
        (self.hashes[at], self.ids[at]) = (self.hashes[last], self.ids[last]);
        (self.hashes[last], self.ids[last]) = (0, NONE);
        taken
    }
}

/// A bit for each place where `what` is. Without a branch: where that will be cannot be foretold.
#[inline]
fn places(of: &[u32; WIDTH], what: u32) -> u32 {
    of.iter().enumerate().fold(0, |bits, (at, held)| bits | u32::from(*held == what) << at)
}

#[derive(Debug, Default)]
struct Table {
    groups: Vec<Group>,
    used: usize,
}

/// The group a hash belongs to: its lower bits, scaled. The upper ones chose the table.
#[inline]
fn home(hash: u32, groups: usize) -> usize {
    const BITS: u32 = 24;
    ((u64::from(hash & ((1 << BITS) - 1)) * groups as u64) >> BITS) as usize
}

impl Table {
    #[inline]
    fn add(&mut self, hash: u32, id: u32) {
        let count = self.groups.len();
        let mut at = home(hash, count);
        while self.groups[at].is_full() {
            at = (at + 1) % count;
        }
        self.groups[at].push(hash, id);
    }

    fn grow(&mut self) {
        let count = self.groups.len() + self.groups.len() / 2 + 1;
        for group in std::mem::replace(&mut self.groups, vec![EMPTY; count]) {
            for (hash, id) in group.hashes.into_iter().zip(group.ids).take_while(|(_, id)| *id != NONE) {
                self.add(hash, id);
            }
        }
    }

    fn remove(&mut self, hash: u32, id: u32) {
        let count = self.groups.len();
        if count == 0 {
            return;
        }
        let mut at = home(hash, count);
        loop {
            let group = &mut self.groups[at];
            let full = group.is_full();
            let found = places(&group.ids, id);
            if found != 0 {
                group.swap_remove(found.trailing_zeros() as usize % WIDTH);
                self.used -= 1;
                if full {
                    self.close_up(at);
                }
                return;
            }
            if !full {
                return;
            }
            at = (at + 1) % count;
        }
    }

    /// Fills the place in a group that was full with an id that belongs there, or before, and
    /// had to go on.
    fn close_up(&mut self, mut hole: usize) {
        let count = self.groups.len();
        let from = |a: usize, b: usize| (b + count - a) % count;
        let mut at = (hole + 1) % count;
        while at != hole {
            let group = &mut self.groups[at];
            let full = group.is_full();
            let gap = from(hole, at);
            let comes = (0..group.len()).find(|place| from(home(group.hashes[*place], count), at) >= gap);
            if let Some(place) = comes {
                let (hash, id) = group.swap_remove(place);
                self.groups[hole].push(hash, id);
                hole = at;
            }
            if !full {
                return;
            }
            at = (at + 1) % count;
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct IdIndex {
    /// None, or all of them.
    tables: Vec<Table>,
    /// Groups in all tables.
    groups: usize,
}

#[inline]
fn table_of(hash: u32) -> usize {
    (hash >> 24) as usize % TABLES
}

impl IdIndex {
    /// The group this hash belongs to.
    #[inline]
    fn group(&self, hash: u32) -> Option<&Group> {
        let groups = &self.tables.get(table_of(hash))?.groups;
        groups.get(home(hash, groups.len()))
    }

    /// Brings what these hashes need into the cache. So little is done for each that the
    /// processor waits for many of them at a time.
    #[inline]
    pub(super) fn touch(&self, hashes: &[u32]) {
        let read = hashes.iter().map(|hash| self.group(*hash).map_or(0, |group| group.hashes[0]));
        std::hint::black_box(read.fold(0, |all, one| all ^ one));
    }

    /// An id with this hash in the group it belongs to, or [`NONE`]: mostly what is looked for.
    #[inline]
    pub(super) fn guess(&self, hash: u32) -> u32 {
        let Some(group) = self.group(hash) else { return NONE };
        let found = group.matching(hash);
        let id = group.ids[found.trailing_zeros() as usize % WIDTH];
        std::hint::select_unpredictable(found == 0, NONE, id)
    }

    /// The id with this hash that `is_it` accepts.
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let groups = self.tables.get(table_of(hash))?.groups.as_slice();
        let (wrapped, first) = groups.split_at(home(hash, groups.len()));
        for group in first.iter().chain(wrapped) {
            let mut bits = group.matching(hash);
            while bits != 0 {
                let id = group.ids[bits.trailing_zeros() as usize % WIDTH];
                if id != NONE && is_it(id) {
                    return Some(id);
                }
                bits &= bits - 1;
            }
            if !group.is_full() {
                break;
            }
        }
        None
    }

    /// Adds an id that is not there.
    #[inline]
    pub(super) fn insert(&mut self, hash: u32, id: u32) {
        if self.tables.is_empty() {
            self.tables.resize_with(TABLES, Table::default);
        }
        let table = &mut self.tables[table_of(hash)];
        if (table.used + 1) * 10 > table.groups.len() * WIDTH * FULL_TENTHS {
            self.groups -= table.groups.len();
            table.grow();
            self.groups += table.groups.len();
        }
        table.add(hash, id);
        table.used += 1;
    }

    /// Removes an id.
    pub(super) fn remove(&mut self, hash: u32, id: u32) {
        if let Some(table) = self.tables.get_mut(table_of(hash)) {
            table.remove(hash, id);
        }
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        self.groups * size_of::<Group>() + self.tables.len() * size_of::<Table>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn check(index: &IdIndex, held: &BTreeMap<u32, u32>) {
        for table in &index.tables {
            let mut used = 0;
            for (at, group) in table.groups.iter().enumerate() {
                let len = group.len();
                used += len;
                assert!(group.ids[len..].iter().all(|id| *id == NONE), "filled from the front");
                for hash in &group.hashes[..len] {
                    let mut before = home(*hash, table.groups.len());
                    while before != at {
                        assert!(table.groups[before].is_full(), "an id that cannot be found");
                        before = (before + 1) % table.groups.len();
                    }
                }
            }
            assert_eq!(used, table.used);
            assert!(table.groups.is_empty() || used < table.groups.len() * WIDTH);
        }
        for (id, hash) in held {
            assert_eq!(index.find(*hash, |found| found == *id), Some(*id));
        }
    }

    /// Few tables and few hashes, so that groups overflow, also past the last.
    #[test]
    fn what_was_added_and_not_removed_is_found() {
        for spread in [3, 40, 1 << 20] {
            let mut index = IdIndex::default();
            let mut held: BTreeMap<u32, u32> = BTreeMap::new();
            let mut at = 7_u64;
            let mut next = || {
                at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (at >> 33) as u32
            };
            for id in 0..3000_u32 {
                let hash = (next() % 2) << 24 | (0xff_ffff - next() % spread);
                index.insert(hash, id);
                held.insert(id, hash);
                if id > 200 {
                    let goes = held.keys().copied().nth(next() as usize % held.len());
                    let goes = goes.filter(|_| id % 3 != 0 || id > 2000);
                    if let Some((id, hash)) = goes.and_then(|id| held.remove_entry(&id)) {
                        index.remove(hash, id);
                        index.remove(hash, id);
                        assert_eq!(index.find(hash, |found| found == id), None);
                    }
                }
                if id % 100 == 0 {
                    check(&index, &held);
                }
            }
            check(&index, &held);
            assert!(index.memory() > held.len() * 8);
            for (id, hash) in &held {
                index.remove(*hash, *id);
            }
            check(&index, &BTreeMap::new());
            assert!(index.tables.iter().all(|table| table.used == 0));
        }
    }

    #[test]
    fn a_guess_has_the_hash_or_is_none() {
        let mut index = IdIndex::default();
        assert_eq!(index.guess(5), NONE);
        index.insert(5, 17);
        index.insert(0, 18);
        assert_eq!((index.guess(5), index.guess(0), index.guess(6)), (17, 18, NONE));
        index.touch(&[5, 6, 1 << 30]);
    }
}
