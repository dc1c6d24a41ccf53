//! `sum` and `try_sum`: bigint, double and decimal.

use std::{fmt, marker::PhantomData, sync::Arc};

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray},
    buffer::NullBuffer,
    datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Float64Type},
};

use super::{AggregateBuffer, Arrival, columns};
use crate::{Result, SparkError};

/// What a result that does not fit becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    /// ANSI: an error.
    Fail,
    /// Not ANSI: two's complement for bigint, null for decimals.
    Wrap,
    /// `try_` functions: null.
    Null,
}

/// The error for a sum that does not fit; `function` tolerates it.
pub(super) fn overflow_error(message: &str, function: &str) -> SparkError {
    SparkError::new("ARITHMETIC_OVERFLOW")
        .with("message", message)
        .with("alternative", format!(" Use '{function}' to tolerate overflow and return NULL instead."))
        .with("config", "\"spark.sql.ansi.enabled\"")
}

/// Sum of 64-bit values of type `T` (bigint, day-time interval).
///
/// Buffer: `sum`, null while there was no value (and after an overflow of `try_sum`, which
/// then also sets `overflowed`).
#[derive(Debug)]
pub(super) struct IntegerSum<T> {
    sums: Vec<i64>,
    set: Vec<bool>,
    /// Only for [`Overflow::Null`]: the result is null for good.
    overflowed: Vec<bool>,
    overflow: Overflow,
    value: PhantomData<fn() -> T>,
}

impl<T: ArrowPrimitiveType<Native = i64>> IntegerSum<T> {
    pub(super) fn new(overflow: Overflow) -> Self {
        Self { sums: vec![], set: vec![], overflowed: vec![], overflow, value: PhantomData }
    }

    #[inline]
    fn add(&mut self, slot: usize, value: i64) -> Result<()> {
        self.set[slot] = true;
        let (sum, overflowed) = self.sums[slot].overflowing_add(value);
        self.sums[slot] = sum;
        if overflowed {
            match self.overflow {
                Overflow::Fail if matches!(T::DATA_TYPE, DataType::Duration(_)) => {
                    return Err(SparkError::new("INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION")
                        .with("functionName", "`try_add`"));
                }
                Overflow::Fail => return Err(overflow_error("overflow", "try_add")),
                Overflow::Wrap => {}
                Overflow::Null => self.overflowed[slot] = true,
            }
        }
        Ok(())
    }

    fn result(&self, slots: &[u32]) -> PrimitiveArray<T> {
        if self.overflow != Overflow::Null {
            return columns::gather(slots, &self.sums, &self.set);
        }
        let shown = |slot: &u32| self.set[*slot as usize] && !self.overflowed[*slot as usize];
        let nulls: NullBuffer = slots.iter().map(shown).collect();
        let sums: Vec<i64> = slots.iter().map(|slot| self.sums[*slot as usize]).collect();
        PrimitiveArray::new(sums.into(), Some(nulls))
    }
}

impl<T: ArrowPrimitiveType<Native = i64> + fmt::Debug> AggregateBuffer for IntegerSum<T> {
    fn grow(&mut self, slots: usize) {
        if slots > self.sums.len() {
            self.sums.resize(slots, 0);
            self.set.resize(slots, false);
            if self.overflow == Overflow::Null {
                self.overflowed.resize(slots, false);
            }
        }
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        columns::try_each::<T>(slots, columns::primitive(args, 0)?, |slot, value| self.add(slot, value))
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            let (from, to) = (*from as usize, *to as usize);
            if self.set[from] {
                self.add(to, self.sums[from])?;
                if self.overflow == Overflow::Null && self.overflowed[from] {
                    self.overflowed[to] = true;
                }
            }
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        columns::try_each::<T>(slots, columns::primitive(columns, 0)?, |slot, value| self.add(slot, value))?;
        if self.overflow == Overflow::Null {
            for (slot, over) in slots.iter().zip(columns::column(columns, 1)?.as_boolean().iter()) {
                if over == Some(true) {
                    self.set[*slot as usize] = true;
                    self.overflowed[*slot as usize] = true;
                }
            }
        }
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        Ok(Arc::new(self.result(slots)))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.result(slots))];
        if self.overflow == Overflow::Null {
            let overflowed: BooleanArray = slots.iter().map(|s| Some(self.overflowed[*s as usize])).collect();
            columns.push(Arc::new(overflowed));
        }
        Ok(columns)
    }

    fn clear(&mut self, slots: &[u32]) {
        for slot in slots {
            self.sums[*slot as usize] = 0;
            self.set[*slot as usize] = false;
            if let Some(over) = self.overflowed.get_mut(*slot as usize) {
                *over = false;
            }
        }
    }

    fn memory(&self) -> usize {
        self.sums.capacity() * size_of::<i64>() + self.set.capacity() + self.overflowed.capacity()
    }
}

/// Sum of doubles. Buffer: `sum` double, null while there was no value.
#[derive(Debug, Default)]
pub(super) struct DoubleSum {
    sums: Vec<f64>,
    set: Vec<bool>,
}

impl DoubleSum {
    #[inline]
    fn add(&mut self, slot: usize, value: f64) {
        // The first value is taken as it is, so that a copy of -0.0 stays -0.0.
        self.sums[slot] = if self.set[slot] { self.sums[slot] + value } else { value };
        self.set[slot] = true;
    }
}

impl AggregateBuffer for DoubleSum {
    fn grow(&mut self, slots: usize) {
        if slots > self.sums.len() {
            self.sums.resize(slots, 0.0);
            self.set.resize(slots, false);
        }
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        // Spark starts from 0.0, so a sum of -0.0 alone is 0.0.
        columns::each::<Float64Type>(slots, columns::primitive(args, 0)?, |slot, value| {
            self.add(slot, value + 0.0)
        });
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            if self.set[*from as usize] {
                self.add(*to as usize, self.sums[*from as usize]);
            }
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        columns::each::<Float64Type>(slots, columns::primitive(columns, 0)?, |slot, value| {
            self.add(slot, value)
        });
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        Ok(Arc::new(columns::gather::<Float64Type>(slots, &self.sums, &self.set)))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn clear(&mut self, slots: &[u32]) {
        for slot in slots {
            self.sums[*slot as usize] = 0.0;
            self.set[*slot as usize] = false;
        }
    }

    fn memory(&self) -> usize {
        self.sums.capacity() * size_of::<f64>() + self.set.capacity()
    }
}

/// The slot-wise sums of decimals that `sum` and `avg` share: unscaled values bounded by a
/// precision; a sum that leaves it stays out of range for good.
#[derive(Debug)]
pub(super) struct DecimalSums {
    pub(super) sums: Vec<i128>,
    pub(super) out_of_range: Vec<bool>,
    limit: i128,
}

impl DecimalSums {
    pub(super) fn new(precision: u8) -> Self {
        Self { sums: vec![], out_of_range: vec![], limit: 10_i128.pow(u32::from(precision)) }
    }

    pub(super) fn grow(&mut self, slots: usize) {
        self.sums.resize(slots.max(self.sums.len()), 0);
        self.out_of_range.resize(slots.max(self.sums.len()), false);
    }

    #[inline]
    pub(super) fn add(&mut self, slot: usize, value: i128) {
        match self.sums[slot].checked_add(value) {
            Some(sum) if -self.limit < sum && sum < self.limit => self.sums[slot] = sum,
            _ => self.out_of_range[slot] = true,
        }
    }

    pub(super) fn merge(&mut self, from: usize, to: usize) {
        self.add(to, self.sums[from]);
        self.out_of_range[to] |= self.out_of_range[from];
    }

    pub(super) fn clear(&mut self, slot: usize) {
        self.sums[slot] = 0;
        self.out_of_range[slot] = false;
    }

    pub(super) fn memory(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.out_of_range.capacity()
    }
}

/// Sum of decimals. Buffer as Spark's: `sum` (null once out of range) and `isEmpty`.
#[derive(Debug)]
pub(super) struct DecimalSum {
    sums: DecimalSums,
    empty: Vec<bool>,
    precision: u8,
    scale: i8,
    overflow: Overflow,
}

impl DecimalSum {
    /// For results of `decimal(precision, scale)`.
    pub(super) fn new(precision: u8, scale: i8, overflow: Overflow) -> Self {
        Self { sums: DecimalSums::new(precision), empty: vec![], precision, scale, overflow }
    }

    fn column(&self, slots: &[u32], shown: impl Fn(usize) -> bool) -> ArrayRef {
        let nulls: NullBuffer = slots.iter().map(|s| shown(*s as usize)).collect();
        let value = |slot: usize| if shown(slot) { self.sums.sums[slot] } else { 0 };
        let values = slots.iter().map(|s| value(*s as usize)).collect();
        let array = PrimitiveArray::<Decimal128Type>::new(values, Some(nulls));
        Arc::new(array.with_data_type(DataType::Decimal128(self.precision, self.scale)))
    }
}

impl AggregateBuffer for DecimalSum {
    fn grow(&mut self, slots: usize) {
        self.sums.grow(slots);
        self.empty.resize(slots.max(self.empty.len()), true);
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        columns::each::<Decimal128Type>(slots, columns::primitive(args, 0)?, |slot, value| {
            self.empty[slot] = false;
            self.sums.add(slot, value);
        });
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            self.sums.merge(*from as usize, *to as usize);
            self.empty[*to as usize] &= self.empty[*from as usize];
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let sums = columns::primitive::<Decimal128Type>(columns, 0)?;
        let empty = columns::column(columns, 1)?.as_boolean();
        for (row, slot) in slots.iter().enumerate() {
            let slot = *slot as usize;
            if sums.is_null(row) {
                self.sums.out_of_range[slot] |= !empty.value(row);
            } else {
                self.sums.add(slot, sums.value(row));
            }
            self.empty[slot] &= empty.value(row);
        }
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        if self.overflow == Overflow::Fail && slots.iter().any(|s| self.sums.out_of_range[*s as usize]) {
            return Err(overflow_error("Overflow in sum of decimals", "try_sum"));
        }
        Ok(self.column(slots, |slot| !self.empty[slot] && !self.sums.out_of_range[slot]))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let empty: BooleanArray = slots.iter().map(|s| Some(self.empty[*s as usize])).collect();
        Ok(vec![self.column(slots, |slot| !self.sums.out_of_range[slot]), Arc::new(empty)])
    }

    fn clear(&mut self, slots: &[u32]) {
        for slot in slots {
            self.sums.clear(*slot as usize);
            self.empty[*slot as usize] = true;
        }
    }

    fn memory(&self) -> usize {
        self.sums.memory() + self.empty.capacity()
    }
}
