//! `bit_and`, `bit_or`, `bit_xor` over integers.

use std::{fmt, sync::Arc};

use datafusion::arrow::{
    array::ArrayRef,
    datatypes::{ArrowPrimitiveType, DataType, Int8Type, Int16Type, Int32Type, Int64Type},
};

use super::{AggregateBuffer, Arrival, columns};
use crate::Result;

/// Which bits stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bits {
    And,
    Or,
    Xor,
}

/// Creates the buffer for integers of `data_type`.
pub(super) fn bitwise(data_type: &DataType, bits: Bits) -> Box<dyn AggregateBuffer> {
    match data_type {
        DataType::Int8 => Box::new(Bitwise::<Int8Type>::new(bits)),
        DataType::Int16 => Box::new(Bitwise::<Int16Type>::new(bits)),
        DataType::Int32 => Box::new(Bitwise::<Int32Type>::new(bits)),
        _ => Box::new(Bitwise::<Int64Type>::new(bits)),
    }
}

/// Buffer: the value so far, null while there was none.
#[derive(Debug)]
struct Bitwise<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    set: Vec<bool>,
    bits: Bits,
}

/// Integers with bit operators.
trait Word:
    Copy
    + Default
    + std::ops::BitAnd<Output = Self>
    + std::ops::BitOr<Output = Self>
    + std::ops::BitXor<Output = Self>
{
}
impl Word for i8 {}
impl Word for i16 {}
impl Word for i32 {}
impl Word for i64 {}

impl<T: ArrowPrimitiveType> Bitwise<T>
where
    T::Native: Word,
{
    fn new(bits: Bits) -> Self {
        Self { values: vec![], set: vec![], bits }
    }

    fn add(&mut self, slot: usize, value: T::Native) {
        let own = self.values[slot];
        self.values[slot] = match self.bits {
            _ if !self.set[slot] => value,
            Bits::And => own & value,
            Bits::Or => own | value,
            Bits::Xor => own ^ value,
        };
        self.set[slot] = true;
    }
}

impl<T: ArrowPrimitiveType + fmt::Debug> AggregateBuffer for Bitwise<T>
where
    T::Native: Word,
{
    fn grow(&mut self, slots: usize) {
        if slots > self.values.len() {
            self.values.resize(slots, T::Native::default());
            self.set.resize(slots, false);
        }
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        columns::each::<T>(slots, columns::primitive(args, 0)?, |slot, value| self.add(slot, value));
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            if self.set[*from as usize] {
                self.add(*to as usize, self.values[*from as usize]);
            }
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        self.update(slots, columns, Arrival::default())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        Ok(Arc::new(columns::gather::<T>(slots, &self.values, &self.set)))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn clear(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.set[*slot as usize] = false);
    }

    fn memory(&self) -> usize {
        self.values.capacity() * size_of::<T::Native>() + self.set.capacity()
    }
}
