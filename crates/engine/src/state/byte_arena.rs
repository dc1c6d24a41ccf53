//! Byte strings by id, in large chunks instead of an allocation each.
//!
//! # Invariants
//! An entry is `[id: u32][length: u32][bytes]` in one chunk; `places[id]` is its offset.
//! A chunk more than half of which is garbage is emptied into the last one, so what is
//! held stays below twice what is used, and no step costs more than a chunk.

use std::hint::black_box;

/// Chunks are this large; a longer string has a chunk of its own.
const CHUNK: usize = 1 << 20;
const HEAD: usize = 8;
const NOWHERE: u64 = u64::MAX;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ByteArena {
    chunks: Vec<Chunk>,
    /// By id: number of the chunk, then offset in it, 32 bits each.
    places: Vec<u64>,
    /// Numbers of chunks that hold nothing.
    empty: Vec<u32>,
    /// The chunk that takes new entries.
    last: usize,
    held: usize,
}

#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    garbage: usize,
}

impl ByteArena {
    /// The string of `id`; empty for ids that have none.
    #[inline]
    pub(super) fn get(&self, id: u32) -> &[u8] {
        self.find(id).unwrap_or_default()
    }

    /// The string of `id`, if it has one.
    #[inline]
    pub(super) fn find(&self, id: u32) -> Option<&[u8]> {
        let place = self.places.get(id as usize).copied().filter(|p| *p != NOWHERE)?;
        let (chunk, offset) = split(place);
        let bytes = &self.chunks[chunk].bytes;
        let length = number(bytes, offset + 4) as usize;
        Some(&bytes[offset + HEAD..offset + HEAD + length])
    }

    /// Brings the strings of these ids into the cache, as many at a time as the processor can
    /// wait for.
    pub(super) fn touch(&self, ids: &[u32]) {
        let places = ids.iter().filter_map(|id| self.places.get(*id as usize));
        black_box(places.fold(0, |all, place| all ^ place));
        let places = ids.iter().filter_map(|id| self.places.get(*id as usize));
        let first = |place: &u64| {
            let (chunk, offset) = split(*place);
            self.chunks.get(chunk).and_then(|chunk| chunk.bytes.get(offset + HEAD)).copied()
        };
        black_box(places.filter_map(first).fold(0, |all, byte| all ^ byte));
    }

    /// Gives `id`, which has none, a string.
    pub(super) fn put(&mut self, id: u32, value: &[u8]) {
        let index = id as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, NOWHERE);
        }
        let need = HEAD + value.len();
        let fits = |chunk: &Chunk| chunk.bytes.is_empty() || chunk.bytes.len() + need <= CHUNK;
        if !self.chunks.get(self.last).is_some_and(fits) {
            self.last = self.open();
        }
        let chunk = &mut self.chunks[self.last];
        if chunk.bytes.capacity() < chunk.bytes.len() + need {
            // The first chunk grows as it needs; later ones will be filled.
            let room = if self.last == 0 { chunk.bytes.len() + need } else { CHUNK };
            let room = (2 * chunk.bytes.len()).min(CHUNK).max(room).max(need);
            let more = room.saturating_sub(chunk.bytes.len());
            self.held += (chunk.bytes.len() + more).saturating_sub(chunk.bytes.capacity());
            chunk.bytes.reserve_exact(more);
        }
        self.places[index] = (self.last as u64) << 32 | chunk.bytes.len() as u64;
        chunk.bytes.extend_from_slice(&id.to_le_bytes());
        // Strings of Arrow columns are below 2 GiB.
        chunk.bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
        chunk.bytes.extend_from_slice(value);
    }

    fn open(&mut self) -> usize {
        match self.empty.pop() {
            Some(number) => number as usize,
            None => {
                self.chunks.push(Chunk::default());
                self.chunks.len() - 1
            }
        }
    }

    /// Takes the string of `id` away.
    pub(super) fn remove(&mut self, id: u32) {
        let Some(place) = self.places.get_mut(id as usize).filter(|p| **p != NOWHERE) else { return };
        let (number, offset) = split(std::mem::replace(place, NOWHERE));
        let chunk = &mut self.chunks[number];
        chunk.garbage += HEAD + self::number(&chunk.bytes, offset + 4) as usize;
        if chunk.garbage == chunk.bytes.len() {
            if number == self.last {
                chunk.garbage = 0;
                chunk.bytes.clear();
            } else {
                self.close(number);
            }
        } else if number != self.last && 2 * chunk.garbage > chunk.bytes.len() {
            self.empty_into_last(number);
        }
    }

    fn close(&mut self, number: usize) -> Vec<u8> {
        let Chunk { bytes, .. } = std::mem::take(&mut self.chunks[number]);
        self.held -= bytes.capacity();
        self.empty.extend(u32::try_from(number));
        bytes
    }

    fn empty_into_last(&mut self, number: usize) {
        let bytes = self.close(number);
        let mut offset = 0;
        while offset + HEAD <= bytes.len() {
            let (id, length) = (self::number(&bytes, offset), self::number(&bytes, offset + 4) as usize);
            let place = (number as u64) << 32 | offset as u64;
            if self.places.get(id as usize) == Some(&place) {
                self.put(id, &bytes[offset + HEAD..offset + HEAD + length]);
            }
            offset += HEAD + length;
        }
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        self.held + self.places.capacity() * size_of::<u64>() + self.chunks.capacity() * size_of::<Chunk>()
    }
}

#[inline]
fn split(place: u64) -> (usize, usize) {
    ((place >> 32) as usize, (place & u64::from(u32::MAX)) as usize)
}

#[inline]
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).map_or(0, |n| u32::from_le_bytes(*n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_and_room_is_used_again() {
        let mut arena = ByteArena::default();
        let text = |id: u32, round: u32| vec![(id + round) as u8; (id as usize * 37 + round as usize) % 300];
        let count = 40_000_u32;
        for id in 0..count {
            arena.put(id, &text(id, 0));
        }
        let filled = arena.memory();
        for round in 1..6 {
            for id in (0..count).filter(|id| id % round != 1) {
                arena.remove(id);
                arena.remove(id);
                assert_eq!(arena.get(id), b"");
                arena.put(id, &text(id, round));
            }
            for id in (0..count).filter(|id| id % round == 1) {
                arena.remove(id);
                arena.put(id, &text(id, round));
            }
            for id in 0..count {
                assert_eq!(arena.get(id), text(id, round), "{id} in round {round}");
            }
        }
        assert!(arena.memory() < 5 * filled / 2, "{} of {filled}", arena.memory());
        for id in 0..count {
            arena.remove(id);
        }
        assert!(arena.memory() < filled / 4, "{} of {filled}", arena.memory());
    }

    #[test]
    fn long_strings_have_chunks_of_their_own() {
        let mut arena = ByteArena::default();
        for id in 0..6 {
            arena.put(id, &vec![id as u8; CHUNK / 2 + id as usize * CHUNK]);
        }
        arena.remove(2);
        arena.put(2, b"short");
        assert_eq!(arena.get(2), b"short");
        for id in [0, 1, 3, 4, 5] {
            assert_eq!(arena.get(id), vec![id as u8; CHUNK / 2 + id as usize * CHUNK]);
        }
        assert_eq!(arena.get(77), b"");
    }
}
