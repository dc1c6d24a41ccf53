//! `histogram_numeric(x, nb)`: at most `nb` bins, each the mean of values next to each other and
//! their number.
//!
//! Buffer: that of `collect_list`. The bins are made of the values when they are asked for, of one
//! batch after the other as Spark does: what comes of it depends on the order, and windows that
//! share panes keep none but that of the rows.
//!
//! Spark differs: it keeps the bins of earlier batches, not the values, and in a session window
//! merges bins row by row, so that there equal values may be in two of them.
//!
//! Source: Ben-Haim and Tom-Tov, "A Streaming Parallel Decision Tree Algorithm", JMLR 11 (2010),
//! algorithms 1 and 2; where two pairs of bins are equally close, Spark draws lots with a fixed seed.

use std::{cmp::Ordering, fmt, sync::Arc};

use datafusion::arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, AsArray, Float64Array, ListArray, PrimitiveArray, StringArray,
        StructArray,
    },
    buffer::{NullBuffer, OffsetBuffer},
    compute::cast,
    datatypes::{DataType, Field, Fields, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type},
};

use super::{AggregateBuffer, Arrival, collect::CollectList, columns};
use crate::{Result, SparkError};

/// The result for values of a type: an array of `{x, y}`, `x` of that type.
pub(super) fn histogram_type(input: &DataType) -> DataType {
    let bin = vec![Field::new("x", input.clone(), true), Field::new("y", DataType::Float64, true)];
    DataType::List(Arc::new(Field::new_list_field(DataType::Struct(Fields::from(bin)), true)))
}

/// All values of each group, of which the bins are made.
pub(super) struct Histogram {
    values: CollectList,
    most: usize,
    input: DataType,
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram").field("most", &self.most).finish_non_exhaustive()
    }
}

impl Histogram {
    /// At most `most` bins, 2 or more.
    pub(super) fn new(input: &DataType, most: usize) -> Self {
        Self { values: CollectList::new(input), most, input: input.clone() }
    }
}

impl AggregateBuffer for Histogram {
    fn grow(&mut self, slots: usize) {
        self.values.grow(slots);
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], arrival: Arrival) -> Result<()> {
        self.values.update(slots, args, arrival)
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        self.values.merge_slots(steps)
    }

    fn append_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        self.values.append_slots(steps)
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        self.values.merge_columns(slots, columns)
    }

    fn merge_arrived(&mut self, slots: &[u32], columns: &[ArrayRef], batch: i64) -> Result<()> {
        self.values.merge_arrived(slots, columns, batch)
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let exported = self.values.export(slots)?;
        let values = columns::column(&exported, 0)?.as_list::<i32>();
        let batches = columns::column(&exported, 1)?.as_list::<i32>();
        let doubles = to_doubles(values.values())?;
        let (doubles, of_batch) = (doubles.values(), batches.values().as_primitive::<Int64Type>().values());
        let mut bins: Vec<Bin> = Vec::new();
        let mut lengths = Vec::with_capacity(slots.len());
        for ends in values.value_offsets().windows(2) {
            let range = ends[0].unsigned_abs() as usize..ends[1].unsigned_abs() as usize;
            let mut all = Bins::new(self.most);
            let mut from = range.start;
            for batch in of_batch[range].chunk_by(|a, b| a == b) {
                let mut own = Bins::new(self.most);
                doubles[from..from + batch.len()].iter().for_each(|value| own.add(*value));
                from += batch.len();
                all = all.merge(own);
            }
            lengths.push(all.bins.len());
            bins.append(&mut all.bins);
        }
        let x = from_doubles(bins.iter().map(|bin| bin.x).collect(), &self.input)?;
        let y: Float64Array = bins.iter().map(|bin| Some(bin.y)).collect();
        let DataType::List(element) = histogram_type(&self.input) else {
            return Err(SparkError::internal("a histogram is a list"));
        };
        let DataType::Struct(fields) = element.data_type().clone() else {
            return Err(SparkError::internal("a bin is a struct"));
        };
        let bins = StructArray::try_new(fields, vec![x, Arc::new(y)], None)?;
        let valid: NullBuffer = lengths.iter().map(|length| *length > 0).collect();
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(element, offsets, Arc::new(bins), Some(valid))?))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        self.values.export(slots)
    }

    fn clear(&mut self, slots: &[u32]) {
        self.values.clear(slots);
    }

    fn memory(&self) -> usize {
        self.values.memory()
    }
}

/// What the bins count: days, microseconds, or the number itself.
fn to_doubles(values: &ArrayRef) -> Result<Float64Array> {
    let numbers = match values.data_type() {
        DataType::Date32 => cast(values, &DataType::Int32)?,
        DataType::Timestamp(..) | DataType::Duration(_) => cast(values, &DataType::Int64)?,
        _ => Arc::clone(values),
    };
    Ok(cast(&numbers, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// The means as values of the input's type: fractions are cut off, those of decimals rounded.
fn from_doubles(means: Vec<f64>, to: &DataType) -> Result<ArrayRef> {
    fn whole<T: ArrowPrimitiveType>(means: Vec<f64>, convert: impl Fn(f64) -> T::Native) -> ArrayRef {
        Arc::new(PrimitiveArray::<T>::from_iter_values(means.into_iter().map(convert)))
    }
    let numbers = match to {
        DataType::Int8 => whole::<Int8Type>(means, |x| x as i32 as i8),
        DataType::Int16 => whole::<Int16Type>(means, |x| x as i32 as i16),
        DataType::Int32 | DataType::Date32 => whole::<Int32Type>(means, |x| x as i32),
        DataType::Int64 | DataType::Timestamp(..) | DataType::Duration(_) => {
            whole::<Int64Type>(means, |x| x as i64)
        }
        // The shortest digits that tell the double apart are what is rounded.
        DataType::Decimal128(..) => {
            Arc::new(means.into_iter().map(|x| Some(x.to_string())).collect::<StringArray>())
        }
        _ => Arc::new(Float64Array::from(means)),
    };
    Ok(cast(&numbers, to)?)
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Bin {
    x: f64,
    y: f64,
}

/// Bins in the order of their means.
#[derive(Debug)]
struct Bins {
    most: usize,
    bins: Vec<Bin>,
    lots: Lots,
}

impl Bins {
    fn new(most: usize) -> Self {
        Self { most, bins: vec![], lots: Lots::default() }
    }

    fn add(&mut self, value: f64) {
        // Spark's search, which stops at the first bin that is neither more nor less: any, for NaN.
        let (mut low, mut high, mut at) = (0, self.bins.len(), 0);
        while low < high {
            at = usize::midpoint(low, high);
            match self.bins[at].x.partial_cmp(&value) {
                Some(Ordering::Greater) => high = at,
                Some(Ordering::Less) => {
                    at += 1;
                    low = at;
                }
                _ => break,
            }
        }
        match self.bins.get_mut(at) {
            Some(bin) if bin.x == value => bin.y += 1.0,
            _ => {
                self.bins.insert(at, Bin { x: value, y: 1.0 });
                self.trim();
            }
        }
    }

    /// These and `others`, which came later.
    fn merge(self, others: Self) -> Self {
        if self.bins.is_empty() {
            return others;
        }
        // Written to the state and read again, the lots start anew.
        let mut both = Self { bins: self.bins, ..Self::new(self.most) };
        both.bins.extend(others.bins);
        both.bins.sort_by(|a, b| order(a.x, b.x));
        both.trim();
        both
    }

    /// Merges the closest pairs until there are no more bins than asked for.
    fn trim(&mut self) {
        while self.bins.len() > self.most {
            let (mut least, mut at, mut pairs) = (self.bins[1].x - self.bins[0].x, 0, 1);
            for i in 1..self.bins.len() - 1 {
                let gap = self.bins[i + 1].x - self.bins[i].x;
                if gap < least {
                    (least, at, pairs) = (gap, i, 1);
                } else if gap == least {
                    pairs += 1;
                    if self.lots.next() <= 1.0 / f64::from(pairs) {
                        at = i;
                    }
                }
            }
            let right = self.bins.remove(at + 1);
            let left = &mut self.bins[at];
            let both = left.y + right.y;
            left.x *= left.y / both;
            left.x += right.x / both * right.y;
            left.y = both;
        }
    }
}

/// `java.lang.Double.compare`: NaN is the most, and all NaN are equal.
fn order(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.total_cmp(&b),
        (a, b) => a.cmp(&b),
    }
}

/// `new java.util.Random(31183).nextDouble()`.
#[derive(Debug)]
struct Lots(u64);

impl Default for Lots {
    fn default() -> Self {
        Self((31183 ^ Self::MULTIPLIER) & Self::MASK)
    }
}

impl Lots {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;

    fn bits(&mut self, count: u32) -> u64 {
        self.0 = self.0.wrapping_mul(Self::MULTIPLIER).wrapping_add(0xB) & Self::MASK;
        self.0 >> (48 - count)
    }

    fn next(&mut self) -> f64 {
        let high = self.bits(26) << 27;
        (high + self.bits(27)) as f64 / (1u64 << 53) as f64
    }
}
