//! Plain lines, a thousand at a time: where their fields end.
//!
//! A line is plain when it has neither a quote nor another number of fields than the schema.
//! The others go the way for single lines. Once the ends of fields are known, a column after
//! the other is read in a loop that has no decisions to make, and reading one number does
//! not wait for the end of the one before.

/// Lines split at once: their text and bounds stay in the cache until the columns are read.
const LINES: usize = 1024;
/// Bytes looked at in one step.
const STEP: usize = 64;

/// What separates fields and lines, and the bounds found.
#[derive(Debug)]
pub(super) struct PlainLines {
    delimiter: u8,
    quote: u8,
    /// Fields to find of each line.
    fields: usize,
    /// Whether a line with more fields is not plain.
    exact: bool,
    /// Line after line: its start, and the end of each field.
    bounds: Vec<u32>,
}

impl PlainLines {
    /// Lines of `fields` fields at least, or `exact`ly.
    pub(super) fn new(delimiter: u8, quote: u8, fields: usize, exact: bool) -> Self {
        // Without quotes, looking for the delimiter twice changes nothing.
        let quote = if quote == 0 { delimiter } else { quote };
        Self { delimiter, quote, fields, exact, bounds: Vec::new() }
    }

    /// Lines found by the last call of [`split`](Self::split).
    pub(super) fn lines(&self) -> usize {
        self.bounds.len() / (self.fields + 1)
    }

    /// Start and end of a field of each line found.
    pub(super) fn field(&self, field: usize) -> impl Iterator<Item = (usize, usize)> {
        self.bounds.chunks_exact(self.fields + 1).map(move |line| {
            let start = line.get(field).copied().unwrap_or_default() as usize;
            let end = line.get(field + 1).copied().unwrap_or_default() as usize;
            (start + usize::from(field > 0), end)
        })
    }

    /// Finds the plain lines `text` starts with, at most `most`, and without those that are
    /// `skipped`; returns where the first line after them starts.
    ///
    /// Lines end with `\n`, `\r` or both. The last few bytes of `text` are never looked at.
    pub(super) fn split(&mut self, text: &[u8], most: usize, skipped: impl Fn(&[u8]) -> bool) -> usize {
        let most = most.min(LINES);
        self.bounds.clear();
        self.bounds.reserve((self.fields + 1) * (most + 1));
        let (mut lines, mut start, mut delimiters) = (0, 0, 0);
        if most == 0 {
            return 0;
        }
        self.bounds.push(0);
        // Bounds have 32 bits.
        let text = text.get(..1 << 31).unwrap_or(text);
        'text: for (index, step) in text.chunks_exact(STEP).enumerate() {
            let mut hits = self.hits(step);
            while hits != 0 {
                let at = index * STEP + hits.trailing_zeros() as usize;
                hits &= hits - 1;
                let byte = text.get(at).copied().unwrap_or_default();
                if byte == self.delimiter {
                    delimiters += 1;
                    if delimiters <= self.fields {
                        self.bounds.push(at as u32);
                    }
                    continue;
                }
                if byte == self.quote {
                    break 'text;
                }
                // Between `\r` and `\n` there is an empty line.
                if skipped(text.get(start..at).unwrap_or_default()) {
                    self.bounds.truncate(lines * (self.fields + 1));
                } else {
                    let found = delimiters + 1;
                    if found < self.fields || self.exact && found > self.fields {
                        break 'text;
                    }
                    if found == self.fields {
                        self.bounds.push(at as u32);
                    }
                    lines += 1;
                }
                (start, delimiters) = (at + 1, 0);
                if lines == most {
                    return start;
                }
                self.bounds.push(start as u32);
            }
        }
        // What was found of the line that is not plain or not complete.
        self.bounds.truncate(lines * (self.fields + 1));
        start
    }

    /// A bit for each byte of `step` that ends a field or a line, or is a quote.
    #[inline]
    fn hits(&self, step: &[u8]) -> u64 {
        // Sixteen bytes in one instruction: compilers see it in this form.
        let mut ends = [0u8; STEP];
        for (end, byte) in ends.iter_mut().zip(step) {
            let hit = (*byte == self.delimiter) | (*byte == b'\n') | (*byte == b'\r') | (*byte == self.quote);
            *end = u8::from(hit);
        }
        let (words, _) = ends.as_chunks::<8>();
        words.iter().rev().fold(0, |hits, word| {
            // Gathers the lowest bit of each byte in the top byte.
            hits << 8 | u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56
        })
    }
}

#[cfg(test)]
mod tests {
    use millstream_testkit::cases;
    use proptest::prelude::*;

    use super::*;

    fn plain(text: &str, fields: usize, exact: bool) -> (Vec<Vec<String>>, usize) {
        let mut lines = PlainLines::new(b',', b'"', fields, exact);
        let next = lines.split(text.as_bytes(), usize::MAX, |line| line.is_empty());
        let columns: Vec<Vec<String>> = (0..fields)
            .map(|field| lines.field(field).map(|(from, to)| text[from..to].to_string()).collect())
            .collect();
        let rows = (0..lines.lines()).map(|row| columns.iter().map(|c| c[row].clone()).collect());
        (rows.collect(), next)
    }

    /// The same, a line after the other.
    fn expected(text: &str, fields: usize, exact: bool) -> (Vec<Vec<String>>, usize) {
        let (mut rows, mut next) = (vec![], 0);
        // Complete steps only.
        let text = &text[..text.len() / STEP * STEP];
        for line in text.split_inclusive(['\n', '\r']) {
            let Some(content) = line.strip_suffix(['\n', '\r']) else { break };
            let found: Vec<String> = content.split(',').map(str::to_string).collect();
            if !content.is_empty() {
                let fits = if exact { found.len() == fields } else { found.len() >= fields };
                if content.contains('"') || !fits || rows.len() == LINES {
                    break;
                }
                rows.push(found[..fields].to_vec());
            }
            next += line.len();
        }
        (rows, next)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases(100)))]

        #[test]
        fn lines_split_as_one_by_one(
            pieces in prop::collection::vec(
                prop_oneof![30 => "[a-z0-9]{0,9}(,[a-z0-9]{0,9}){1,3}\r?\n", 1 => "\"?[\r\n]", 1 => "[a-z,\"]{0,99}\n"],
                0..200,
            ),
            fields in 1usize..4,
            exact in any::<bool>(),
        ) {
            let text = pieces.concat();
            let (rows, next) = plain(&text, fields, exact);
            let (wanted, end) = expected(&text, fields, exact);
            prop_assert_eq!(rows, wanted);
            prop_assert_eq!(next, end);
        }
    }

    #[test]
    fn a_thousand_lines_at_a_time() {
        let text = "1,2\n".repeat(3000);
        let (rows, next) = plain(&text, 2, true);
        assert_eq!((rows.len(), next), (LINES, 4 * LINES));
    }
}
