//! Spark's `XORShiftRandom`: what `rand`, `randn` and `sample` draw from, number by number.

/// A generator; equal seeds give equal numbers, here and in Spark.
#[derive(Debug, Clone)]
pub struct XorShiftRandom {
    state: i64,
    /// The second of a pair of normal deviates.
    spare: Option<f64>,
}

impl XorShiftRandom {
    /// The generator Spark makes of `seed`.
    pub fn new(seed: i64) -> Self {
        let bytes = seed.to_be_bytes();
        let low = murmur3(&bytes, 0x3c07_4a61);
        let high = murmur3(&bytes, low);
        Self { state: (i64::from(high.cast_signed()) << 32) | i64::from(low), spare: None }
    }

    fn next(&mut self, bits: u32) -> i32 {
        let mut next = self.state ^ (self.state << 21);
        next ^= (next.cast_unsigned() >> 35).cast_signed();
        next ^= next << 4;
        self.state = next;
        let masked = next & ((1_i64 << bits) - 1);
        i32::try_from(masked & 0xffff_ffff)
            .unwrap_or_else(|_| u32::try_from(masked & 0xffff_ffff).unwrap_or_default().cast_signed())
    }

    /// At least 0, less than 1, as `java.util.Random.nextDouble`.
    pub fn next_double(&mut self) -> f64 {
        let high = i64::from(self.next(26)) << 27;
        let sum = high + i64::from(self.next(27));
        sum as f64 * (1.0 / (1_i64 << 53) as f64)
    }

    /// A normal deviate, as `java.util.Random.nextGaussian`.
    pub fn next_gaussian(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let first = 2.0 * self.next_double() - 1.0;
            let second = 2.0 * self.next_double() - 1.0;
            let square = first * first + second * second;
            if square < 1.0 && square != 0.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(second * factor);
                return first * factor;
            }
        }
    }
}

/// Scala's `MurmurHash3.bytesHash`.
fn murmur3(bytes: &[u8], seed: u32) -> u32 {
    let mut hash = seed;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let word = chunk.iter().rev().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        hash = (hash ^ mix(word)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let tail = chunks.remainder().iter().rev().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
    if !chunks.remainder().is_empty() {
        hash ^= mix(tail);
    }
    hash ^= u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

fn mix(word: u32) -> u32 {
    word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}
