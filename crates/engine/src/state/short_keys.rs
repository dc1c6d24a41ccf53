//! Remembers the ids of short keys that came lately.
//!
//! Most streams have few keys, a name or a code each, that come again and again: up to seven
//! bytes and their length are one number, and one comparison finds the id. Longer keys are
//! never here.
//!
//! # Invariants
//! A key that is here has the id that goes with it: who releases a key says so.

/// Keys remembered, at one place each.
const PLACES: usize = 256;

/// Bytes of a key that fit beside their number.
const SHORT: usize = 7;

/// See the module.
#[derive(Debug)]
pub(super) struct ShortKeys {
    /// By place: the packed key, 0 for none, and its id.
    places: Vec<(u64, u32)>,
}

impl Default for ShortKeys {
    fn default() -> Self {
        Self { places: vec![(0, 0); PLACES] }
    }
}

/// A key that was not found and may be remembered; 0 stands for one that may not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missing(u64);

/// The key as a number that no other key has; 0 when it is too long.
#[inline]
fn packed(key: &[u8]) -> u64 {
    if key.len() > SHORT {
        return 0;
    }
    // Two loads that overlap where the key is shorter than both: no loop over its bytes.
    let shifted = |last: u64, bytes: usize| last << (8 * (key.len() - bytes));
    let bytes = if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk()) {
        u64::from(u32::from_le_bytes(*first)) | shifted(u64::from(u32::from_le_bytes(*last)), 4)
    } else if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk()) {
        u64::from(u16::from_le_bytes(*first)) | shifted(u64::from(u16::from_le_bytes(*last)), 2)
    } else {
        key.first().map_or(0, |byte| u64::from(*byte))
    };
    // The empty key has the number of its length, too: no key is 0.
    bytes | (key.len() as u64 + 1) << 56
}

#[inline]
fn place(packed: u64) -> usize {
    (packed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % PLACES
}

impl ShortKeys {
    /// The id of `key`, or what to remember it by.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Result<u32, Missing> {
        let packed = packed(key);
        match self.places.get(place(packed)) {
            Some((known, id)) if *known == packed && packed != 0 => Ok(*id),
            _ => Err(Missing(packed)),
        }
    }

    /// Remembers the id of a key that was not found.
    #[inline]
    pub(super) fn remember(&mut self, Missing(packed): Missing, id: u32) {
        if packed != 0
            && let Some(slot) = self.places.get_mut(place(packed))
        {
            *slot = (packed, id);
        }
    }

    /// Forgets a key.
    pub(super) fn forget(&mut self, key: &[u8]) {
        let packed = packed(key);
        if let Some(slot) = self.places.get_mut(place(packed))
            && slot.0 == packed
        {
            *slot = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_packed_in_their_order() {
        for len in 0..=SHORT {
            let key: Vec<u8> = (1..).take(len).collect();
            let mut bytes = [0; 8];
            bytes[..len].copy_from_slice(&key);
            assert_eq!(packed(&key), u64::from_le_bytes(bytes) | (len as u64 + 1) << 56);
        }
        assert_eq!(packed(b"12345678"), 0);
    }
}
