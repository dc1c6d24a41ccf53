//! `approx_count_distinct`: Spark's HyperLogLog++, register for register.
//!
//! Values are hashed by xxHash64 with seed 42; registers have 6 bits, ten to a word of 64,
//! which are also the buffer columns. The estimate uses the bias correction of the paper
//! with six neighbours, so the number is Spark's number.

mod generated;
mod value_hash;

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, Int64Array},
    datatypes::{DataType, Int64Type},
};

use self::generated::{BIASES, RAW_ESTIMATES, THRESHOLDS};
use super::{AggregateBuffer, Arrival, columns};
use crate::{Result, SparkError};

pub(super) use value_hash::supports;

const REGISTER_BITS: usize = 6;
const REGISTERS_PER_WORD: usize = 10;
const REGISTER_MASK: u64 = 63;
/// Neighbours that estimate the bias.
const NEIGHBOURS: usize = 6;
/// Spark's default relative standard deviation.
pub(super) const DEFAULT_RELATIVE_SD: f64 = 0.05;

/// Registers of all slots, `words` of them a slot.
#[derive(Debug)]
pub(super) struct HyperLogLog {
    precision: u32,
    words: usize,
    registers: Vec<u64>,
    hashes: Vec<u64>,
}

/// Address bits for a relative standard deviation.
///
/// # Errors
/// `FAILED_FUNCTION_CALL` above 39 %, as in Spark.
pub(super) fn precision(relative_sd: f64) -> Result<u32> {
    let bits = (2.0 * (1.106 / relative_sd).ln() / 2.0_f64.ln()).ceil();
    if !(4.0..=30.0).contains(&bits) {
        return Err(SparkError::new("FAILED_FUNCTION_CALL").with("funcName", "`approx_count_distinct`"));
    }
    Ok(bits as u32)
}

impl HyperLogLog {
    pub(super) fn new(relative_sd: f64) -> Result<Self> {
        let precision = precision(relative_sd)?;
        let words = (1_usize << precision) / REGISTERS_PER_WORD + 1;
        Ok(Self { precision, words, registers: vec![], hashes: vec![] })
    }

    fn slot(&self, slot: u32) -> &[u64] {
        let from = slot as usize * self.words;
        &self.registers[from..from + self.words]
    }

    fn offer(&mut self, slot: u32, hash: u64) {
        let register = (hash >> (64 - self.precision)) as usize;
        let padding = 1_u64 << (self.precision - 1);
        let rank = u64::from(((hash << self.precision) | padding).leading_zeros()) + 1;
        let shift = REGISTER_BITS * (register % REGISTERS_PER_WORD);
        let word = &mut self.registers[slot as usize * self.words + register / REGISTERS_PER_WORD];
        if rank > (*word >> shift) & REGISTER_MASK {
            *word = (*word & !(REGISTER_MASK << shift)) | (rank << shift);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "Spark computes the estimate in doubles")]
    fn estimate(&self, slot: u32) -> i64 {
        let count = 1_usize << self.precision;
        let (mut inverse, mut empty) = (0.0, 0.0);
        let words = self.slot(slot);
        for register in 0..count {
            let shift = REGISTER_BITS * (register % REGISTERS_PER_WORD);
            let rank = (words[register / REGISTERS_PER_WORD] >> shift) & REGISTER_MASK;
            inverse += 1.0 / (1_u64 << rank) as f64;
            if rank == 0 {
                empty += 1.0;
            }
        }
        let m = count as f64;
        let alpha = match self.precision {
            4 => 0.673,
            5 => 0.697,
            6 => 0.709,
            _ => 0.7213 / (1.0 + 1.079 / m),
        };
        let raw = alpha * m * m / inverse;
        let table = self.precision as usize - 4;
        let corrected = match (RAW_ESTIMATES.get(table), BIASES.get(table)) {
            (Some(estimates), Some(biases)) if raw < 5.0 * m => raw - bias(raw, estimates, biases),
            _ => raw,
        };
        let linear = m * (m / empty).ln();
        let few = THRESHOLDS.get(table).is_some_and(|threshold| linear <= *threshold) || raw <= 2.5 * m;
        // Java rounds half up.
        (if empty > 0.0 && few { linear } else { corrected } + 0.5).floor() as i64
    }
}

/// The mean bias of the nearest raw estimates.
#[expect(clippy::cast_precision_loss, reason = "a handful of neighbours")]
fn bias(raw: f64, estimates: &[f64], biases: &[f64]) -> f64 {
    let nearest = match estimates.binary_search_by(|e| e.total_cmp(&raw)) {
        Ok(at) | Err(at) => at,
    };
    let distance = |i: usize| (raw - estimates[i]) * (raw - estimates[i]);
    let mut low = (nearest + 1).saturating_sub(NEIGHBOURS);
    let mut high = (low + NEIGHBOURS).min(estimates.len());
    while high < estimates.len() && distance(high) < distance(low) {
        low += 1;
        high += 1;
    }
    biases[low..high].iter().sum::<f64>() / (high - low) as f64
}

/// The larger of each pair of registers.
fn merge_word(a: u64, b: u64) -> u64 {
    (0..REGISTERS_PER_WORD)
        .map(|i| REGISTER_MASK << (i * REGISTER_BITS))
        .fold(0, |word, mask| word | (a & mask).max(b & mask))
}

impl AggregateBuffer for HyperLogLog {
    fn grow(&mut self, slots: usize) {
        self.registers.resize((slots * self.words).max(self.registers.len()), 0);
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        let column = columns::column(args, 0)?;
        if column.data_type() == &DataType::Null {
            return Ok(());
        }
        let mut hashes = std::mem::take(&mut self.hashes);
        hashes.clear();
        hashes.resize(column.len(), value_hash::SEED);
        value_hash::hash(column, &mut hashes)?;
        for (row, slot) in slots.iter().enumerate() {
            if column.is_valid(row) {
                self.offer(*slot, hashes[row]);
            }
        }
        self.hashes = hashes;
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            let (from, to) = (*from as usize * self.words, *to as usize * self.words);
            for word in 0..self.words {
                self.registers[to + word] =
                    merge_word(self.registers[to + word], self.registers[from + word]);
            }
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        for word in 0..self.words {
            let column = columns::primitive::<Int64Type>(columns, word)?;
            for (slot, value) in slots.iter().zip(column.values()) {
                let own = &mut self.registers[*slot as usize * self.words + word];
                *own = merge_word(*own, value.cast_unsigned());
            }
        }
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        Ok(Arc::new(slots.iter().map(|slot| self.estimate(*slot)).collect::<Int64Array>()))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let word = |word: usize| -> ArrayRef {
            Arc::new(slots.iter().map(|slot| self.slot(*slot)[word].cast_signed()).collect::<Int64Array>())
        };
        Ok((0..self.words).map(word).collect())
    }

    fn clear(&mut self, slots: &[u32]) {
        for slot in slots {
            let from = *slot as usize * self.words;
            self.registers[from..from + self.words].fill(0);
        }
    }

    fn memory(&self) -> usize {
        (self.registers.capacity() + self.hashes.capacity()) * size_of::<u64>()
    }
}
