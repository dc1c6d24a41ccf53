//! The slots each key has, in order: most keys have one, which then costs no allocation.
//!
//! # Invariants
//! The places of a key ascend. A key with one place has it in its entry; a key with several
//! has a list, and its entry is free to remember the place used last.

/// No slot, no list.
const NONE: u32 = u32::MAX;

/// A slot and what it holds: a pane, the edges of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<K> {
    pub(super) at: K,
    pub(super) slot: u32,
    /// Of entries: the number of the list.
    list: u32,
}

impl<K> Place<K> {
    pub(super) fn new(at: K, slot: u32) -> Self {
        Self { at, slot, list: NONE }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct KeySlots<K> {
    /// By key id.
    entries: Vec<Place<K>>,
    lists: Vec<Vec<Place<K>>>,
    free: Vec<u32>,
    /// Places in lists.
    listed: usize,
}

impl<K: Copy + Default + PartialEq> KeySlots<K> {
    pub(super) fn new() -> Self {
        Self { entries: vec![], lists: vec![], free: vec![], listed: 0 }
    }

    /// Makes room for key ids below `capacity`.
    pub(super) fn grow(&mut self, capacity: usize) {
        if capacity > self.entries.len() {
            self.entries.resize(capacity, Place::new(K::default(), NONE));
        }
    }

    /// Every key id is below this.
    pub(super) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// The places of a key.
    #[inline]
    pub(super) fn of(&self, key: u32) -> &[Place<K>] {
        match self.entries.get(key as usize) {
            Some(Place { list: NONE, slot: NONE, .. }) | None => &[],
            Some(one @ Place { list: NONE, .. }) => std::slice::from_ref(one),
            Some(entry) => self.lists.get(entry.list as usize).map_or(&[], Vec::as_slice),
        }
    }

    /// The slot of a key at `at`, if that is where the key was used last.
    #[inline]
    pub(super) fn recent(&self, key: u32, at: K) -> Option<u32> {
        let entry = self.entries.get(key as usize)?;
        (entry.slot != NONE && entry.at == at).then_some(entry.slot)
    }

    /// Remembers where a key was used.
    #[inline]
    pub(super) fn used(&mut self, key: u32, place: Place<K>) {
        if let Some(entry) = self.entries.get_mut(key as usize).filter(|e| e.list != NONE) {
            (entry.at, entry.slot) = (place.at, place.slot);
        }
    }

    /// Adds a place as number `index` of the key's.
    pub(super) fn insert(&mut self, key: u32, index: usize, place: Place<K>) {
        let Some(entry) = self.entries.get_mut(key as usize) else { return };
        match *entry {
            Place { list: NONE, slot: NONE, .. } => *entry = Place::new(place.at, place.slot),
            Place { list: NONE, .. } => {
                let mut places = Vec::with_capacity(2);
                places.push(Place::new(entry.at, entry.slot));
                places.insert(index.min(1), place);
                let places = self.keep(places);
                if let Some(entry) = self.entries.get_mut(key as usize) {
                    *entry = Place { at: place.at, slot: place.slot, list: places };
                }
            }
            Place { list, .. } => {
                (entry.at, entry.slot) = (place.at, place.slot);
                if let Some(places) = self.lists.get_mut(list as usize) {
                    places.insert(index.min(places.len()), place);
                    self.listed += 1;
                }
            }
        }
    }

    fn keep(&mut self, places: Vec<Place<K>>) -> u32 {
        self.listed += places.len();
        match self.free.pop() {
            Some(list) => {
                self.lists[list as usize] = places;
                list
            }
            None => {
                self.lists.push(places);
                // Lists are fewer than keys.
                u32::try_from(self.lists.len() - 1).unwrap_or(NONE)
            }
        }
    }

    /// Takes all places of a key away.
    pub(super) fn take(&mut self, key: u32) -> Vec<Place<K>> {
        let Some(entry) = self.entries.get_mut(key as usize) else { return vec![] };
        let old = std::mem::replace(entry, Place::new(K::default(), NONE));
        match old {
            Place { list: NONE, slot: NONE, .. } => vec![],
            Place { list: NONE, .. } => vec![old],
            Place { list, .. } => {
                self.free.push(list);
                let places = self.lists.get_mut(list as usize).map(std::mem::take).unwrap_or_default();
                self.listed -= places.len();
                places
            }
        }
    }

    /// Gives a key that has none its places.
    pub(super) fn put(&mut self, key: u32, places: Vec<Place<K>>) {
        let entry = match places.as_slice() {
            [] => return,
            [one] => Place::new(one.at, one.slot),
            _ => Place { at: K::default(), slot: NONE, list: self.keep(places) },
        };
        if let Some(own) = self.entries.get_mut(key as usize) {
            *own = entry;
        }
    }

    /// Takes the places away that `leaves` picks.
    pub(super) fn extract(&mut self, key: u32, mut leaves: impl FnMut(&Place<K>) -> bool) -> Vec<Place<K>> {
        if !self.of(key).iter().any(&mut leaves) {
            return vec![];
        }
        let (gone, kept) = self.take(key).into_iter().partition(leaves);
        self.put(key, kept);
        gone
    }

    /// Takes the first places away, as long as `leaves` picks them; costs as much as those are, but
    /// for one move of the others.
    pub(super) fn take_while(&mut self, key: u32, leaves: impl FnMut(&Place<K>) -> bool) -> Vec<Place<K>> {
        let own = self.of(key);
        let leaving = own.partition_point(leaves);
        if own.len() - leaving < 2 {
            // Those that stay have no list.
            let mut gone = self.take(key);
            self.put(key, gone.split_off(leaving));
            return gone;
        }
        let Some(entry) = self.entries.get_mut(key as usize) else { return vec![] };
        // The place used last may be one that leaves.
        (entry.at, entry.slot) = (K::default(), NONE);
        let Some(places) = self.lists.get_mut(entry.list as usize) else { return vec![] };
        self.listed -= leaving;
        places.drain(..leaving).collect()
    }

    /// Bytes held, estimated.
    pub(super) fn memory(&self) -> usize {
        (self.entries.capacity() + self.listed) * size_of::<Place<K>>()
            + self.lists.capacity() * size_of::<Vec<Place<K>>>()
            + self.free.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_and_go() {
        let mut slots = KeySlots::<i64>::new();
        slots.grow(3);
        assert_eq!(size_of::<Place<i64>>(), 16);
        assert_eq!(size_of::<Place<(i64, i64)>>(), 24);
        let shown =
            |slots: &KeySlots<i64>, key| slots.of(key).iter().map(|p| (p.at, p.slot)).collect::<Vec<_>>();
        slots.insert(1, 0, Place::new(5, 50));
        assert_eq!((slots.recent(1, 5), slots.recent(1, 6), slots.recent(0, 0)), (Some(50), None, None));
        slots.insert(1, 0, Place::new(3, 30));
        slots.insert(1, 2, Place::new(7, 70));
        assert_eq!(shown(&slots, 1), [(3, 30), (5, 50), (7, 70)]);
        assert_eq!(slots.recent(1, 7), Some(70));
        slots.used(1, Place::new(3, 30));
        assert_eq!((slots.recent(1, 7), slots.recent(1, 3)), (None, Some(30)));
        let gone: Vec<i64> = slots.extract(1, |p| p.at < 6).iter().map(|p| p.at).collect();
        assert_eq!((gone, shown(&slots, 1), slots.recent(1, 3)), (vec![3, 5], vec![(7, 70)], None));
        slots.put(2, (1..=5).map(|at| Place::new(at, at as u32)).collect());
        slots.used(2, Place::new(1, 1));
        let front = |slots: &mut KeySlots<i64>, to| slots.take_while(2, |p| p.at < to).len();
        assert_eq!((front(&mut slots, 1), front(&mut slots, 3), slots.listed), (0, 2, 3));
        assert_eq!((slots.recent(2, 1), slots.recent(2, 4)), (None, None));
        assert_eq!((front(&mut slots, 5), shown(&slots, 2), slots.listed), (2, vec![(5, 5)], 0));
        assert_eq!((front(&mut slots, 6), shown(&slots, 2)), (1, vec![]));
        slots.put(2, vec![Place::new(1, 1), Place::new(2, 2)]);
        assert_eq!((slots.lists.len(), shown(&slots, 2)), (1, vec![(1, 1), (2, 2)]));
        assert_eq!(slots.take(2).len(), 2);
        assert_eq!(slots.extract(1, |_| true).len(), 1);
        assert!((0..4).all(|key| slots.of(key).is_empty()));
    }
}
