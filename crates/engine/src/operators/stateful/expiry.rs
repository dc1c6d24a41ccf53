//! When keys are final or forgotten.

use std::collections::BTreeMap;

/// Buckets are 2^20 microseconds wide, about a second: far fewer than there are keys.
const BUCKET_BITS: u32 = 20;

/// Instants by key id, in microseconds, found again in their order.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    /// By key id; meaningless for ids that no bucket holds.
    at: Vec<i64>,
    buckets: BTreeMap<i64, Vec<u32>>,
    /// Ids in buckets.
    len: usize,
}

impl Expiry {
    /// Sets when `id`, which is in no bucket, is due.
    pub(crate) fn insert(&mut self, id: u32, micros: i64) {
        let index = id as usize;
        if index >= self.at.len() {
            self.at.resize(index + 1, 0);
        }
        self.at[index] = micros;
        self.buckets.entry(micros >> BUCKET_BITS).or_default().push(id);
        self.len += 1;
    }

    /// When `id` is due.
    pub(crate) fn at(&self, id: u32) -> i64 {
        self.at.get(id as usize).copied().unwrap_or(0)
    }

    /// Takes out the ids whose instant is at or before `micros`.
    pub(crate) fn take_until(&mut self, micros: i64) -> Vec<u32> {
        let last = micros >> BUCKET_BITS;
        let later = self.buckets.split_off(&last);
        let mut gone: Vec<u32> =
            std::mem::replace(&mut self.buckets, later).into_values().flatten().collect();
        if let Some(bucket) = self.buckets.get_mut(&last) {
            let at = &self.at;
            gone.extend(bucket.extract_if(.., |id| at[*id as usize] <= micros));
            if bucket.is_empty() {
                self.buckets.remove(&last);
            }
        }
        self.len -= gone.len();
        gone
    }

    /// Bytes held, estimated.
    pub(crate) fn memory(&self) -> usize {
        self.at.capacity() * size_of::<i64>() + self.len * size_of::<u32>() + self.buckets.len() * 48
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_is_due_and_no_more() {
        let mut expiry = Expiry::default();
        let instants = [5, -5, 0, 1 << 20, (1 << 20) - 1, 3 << 20, (3 << 20) + 1];
        for (id, micros) in (0..).zip(instants) {
            expiry.insert(id, micros);
        }
        for until in [-6, -5, 0, 7, (1 << 20) - 1, 1 << 20, 3 << 20, i64::MAX] {
            let held: Vec<u32> = expiry.buckets.values().flatten().copied().collect();
            let mut due: Vec<u32> = held.iter().copied().filter(|id| expiry.at(*id) <= until).collect();
            let mut gone = expiry.take_until(until);
            due.sort_unstable();
            gone.sort_unstable();
            assert_eq!(gone, due, "until {until}");
        }
        assert!(expiry.buckets.is_empty());
    }
}
