//! `min`, `max` (and with them `bool_and`, `bool_or`) over every ordered type.
//!
//! Order is Spark's: NaN is the greatest double and equals itself, -0.0 equals 0.0,
//! strings and binaries compare by bytes, structs and arrays element by element with nulls
//! first. Of equal values the first seen stays.

use std::{cmp::Ordering, fmt, marker::PhantomData, sync::Arc};

use datafusion::arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryArray, BooleanArray, PrimitiveArray, StringArray, new_null_array,
    },
    compute::{SortOptions, interleave},
    datatypes::{ArrowPrimitiveType, ByteArrayType, DataType, GenericBinaryType, GenericStringType},
    row::{OwnedRow, RowConverter, SortField},
};

use super::{AggregateBuffer, Arrival, columns};
use crate::{Result, SparkError};

/// Which end of the order is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The least value.
    Min,
    /// The greatest value.
    Max,
}

impl End {
    /// Whether a new value that compares as `order` to the kept one replaces it.
    #[inline]
    pub(super) fn replaces(self, order: Ordering) -> bool {
        match self {
            End::Min => order == Ordering::Less,
            End::Max => order == Ordering::Greater,
        }
    }
}

/// Spark's order of a native value.
pub(super) trait SparkOrd: Copy {
    /// Compares as Spark does.
    fn spark_cmp(self, other: Self) -> Ordering;
}

macro_rules! ordered_as_is {
    ($($native:ty),*) => {
        $(impl SparkOrd for $native {
            #[inline]
            fn spark_cmp(self, other: Self) -> Ordering {
                self.cmp(&other)
            }
        })*
    };
}
ordered_as_is!(i8, i16, i32, i64, i128);

macro_rules! ordered_float {
    ($($native:ty),*) => {
        $(impl SparkOrd for $native {
            #[inline]
            fn spark_cmp(self, other: Self) -> Ordering {
                self.partial_cmp(&other).unwrap_or_else(|| self.is_nan().cmp(&other.is_nan()))
            }
        })*
    };
}
ordered_float!(f32, f64);

/// Creates the buffer for values of `data_type`.
pub(super) fn extremum(data_type: &DataType, end: End) -> Result<Box<dyn AggregateBuffer>> {
    use datafusion::arrow::datatypes as t;
    macro_rules! of {
        ($type:ty) => {
            Ok(Box::new(PrimitiveExtremum::<$type>::new(data_type.clone(), end)))
        };
    }
    match data_type {
        DataType::Int8 => of!(t::Int8Type),
        DataType::Int16 => of!(t::Int16Type),
        DataType::Int32 => of!(t::Int32Type),
        DataType::Int64 => of!(t::Int64Type),
        DataType::Float32 => of!(t::Float32Type),
        DataType::Float64 => of!(t::Float64Type),
        DataType::Date32 => of!(t::Date32Type),
        DataType::Timestamp(t::TimeUnit::Microsecond, _) => of!(t::TimestampMicrosecondType),
        DataType::Duration(t::TimeUnit::Microsecond) => of!(t::DurationMicrosecondType),
        DataType::Interval(t::IntervalUnit::YearMonth) => of!(t::IntervalYearMonthType),
        DataType::Decimal128(_, _) => of!(t::Decimal128Type),
        DataType::Utf8 => Ok(Box::new(BytesExtremum::<GenericStringType<i32>>::new(end))),
        DataType::Binary => Ok(Box::new(BytesExtremum::<GenericBinaryType<i32>>::new(end))),
        DataType::Boolean => Ok(Box::new(BooleanExtremum { values: vec![], end })),
        DataType::Null => Ok(Box::new(VoidExtremum)),
        other => Ok(Box::new(RowExtremum::new(other.clone(), end)?)),
    }
}

/// Extremum of a primitive type. Buffer: `min` or `max` of that type.
#[derive(Debug)]
struct PrimitiveExtremum<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    set: Vec<bool>,
    data_type: DataType,
    end: End,
}

impl<T: ArrowPrimitiveType> PrimitiveExtremum<T>
where
    T::Native: SparkOrd,
{
    fn new(data_type: DataType, end: End) -> Self {
        Self { values: vec![], set: vec![], data_type, end }
    }

    #[inline]
    fn offer(&mut self, slot: usize, value: T::Native) {
        if !self.set[slot] || self.end.replaces(value.spark_cmp(self.values[slot])) {
            self.values[slot] = value;
            self.set[slot] = true;
        }
    }
}

impl<T: ArrowPrimitiveType + fmt::Debug> AggregateBuffer for PrimitiveExtremum<T>
where
    T::Native: SparkOrd + Default,
{
    fn grow(&mut self, slots: usize) {
        if slots > self.values.len() {
            self.values.resize(slots, T::Native::default());
            self.set.resize(slots, false);
        }
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        columns::each::<T>(slots, columns::primitive(args, 0)?, |slot, value| self.offer(slot, value));
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            if self.set[*from as usize] {
                self.offer(*to as usize, self.values[*from as usize]);
            }
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        self.update(slots, columns, Arrival::default())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let array: PrimitiveArray<T> = columns::gather(slots, &self.values, &self.set);
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
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

/// Extremum of strings or binaries. Buffer: `min` or `max` of that type.
struct BytesExtremum<T> {
    values: Vec<Option<Box<[u8]>>>,
    held: usize,
    end: End,
    value: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for BytesExtremum<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesExtremum").field("end", &self.end).field("slots", &self.values.len()).finish()
    }
}

impl<T: ByteArrayType<Offset = i32>> BytesExtremum<T> {
    fn new(end: End) -> Self {
        Self { values: vec![], held: 0, end, value: PhantomData }
    }

    #[inline]
    fn offer(&mut self, slot: usize, value: &[u8]) {
        let kept = &mut self.values[slot];
        if kept.as_deref().is_none_or(|kept| self.end.replaces(value.cmp(kept))) {
            self.held = self.held + value.len() - kept.as_ref().map_or(0, |k| k.len());
            *kept = Some(value.into());
        }
    }
}

impl<T: ByteArrayType<Offset = i32>> AggregateBuffer for BytesExtremum<T> {
    fn grow(&mut self, slots: usize) {
        if slots > self.values.len() {
            self.values.resize(slots, None);
        }
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        let array = columns::column(args, 0)?.as_bytes::<T>();
        for (row, slot) in slots.iter().enumerate() {
            if array.is_valid(row) {
                self.offer(*slot as usize, array.value(row).as_ref());
            }
        }
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            // Taken out for the comparison, so that nothing is copied when it loses.
            if let Some(value) = self.values[*from as usize].take() {
                self.offer(*to as usize, &value);
                self.values[*from as usize] = Some(value);
            }
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        self.update(slots, columns, Arrival::default())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let binary: BinaryArray = slots.iter().map(|s| self.values[*s as usize].as_deref()).collect();
        if T::DATA_TYPE == DataType::Binary {
            return Ok(Arc::new(binary));
        }
        Ok(Arc::new(StringArray::try_from_binary(binary)?))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn clear(&mut self, slots: &[u32]) {
        for slot in slots {
            if let Some(old) = self.values[*slot as usize].take() {
                self.held -= old.len();
            }
        }
    }

    fn memory(&self) -> usize {
        self.values.capacity() * size_of::<Option<Box<[u8]>>>() + self.held
    }
}

/// Extremum of booleans (false before true). Buffer: `min` or `max` boolean.
#[derive(Debug)]
struct BooleanExtremum {
    values: Vec<Option<bool>>,
    end: End,
}

impl BooleanExtremum {
    fn offer(&mut self, slot: usize, value: bool) {
        let kept = &mut self.values[slot];
        if kept.is_none_or(|kept| self.end.replaces(value.cmp(&kept))) {
            *kept = Some(value);
        }
    }
}

impl AggregateBuffer for BooleanExtremum {
    fn grow(&mut self, slots: usize) {
        self.values.resize(slots.max(self.values.len()), None);
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        for (slot, value) in slots.iter().zip(columns::column(args, 0)?.as_boolean().iter()) {
            if let Some(value) = value {
                self.offer(*slot as usize, value);
            }
        }
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            if let Some(value) = self.values[*from as usize] {
                self.offer(*to as usize, value);
            }
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        self.update(slots, columns, Arrival::default())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let array: BooleanArray = slots.iter().map(|s| self.values[*s as usize]).collect();
        Ok(Arc::new(array))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn clear(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.values[*slot as usize] = None);
    }

    fn memory(&self) -> usize {
        self.values.capacity() * size_of::<Option<bool>>()
    }
}

/// Extremum of `void`: always null.
#[derive(Debug)]
struct VoidExtremum;

impl AggregateBuffer for VoidExtremum {
    fn grow(&mut self, _slots: usize) {}

    fn update(&mut self, _slots: &[u32], _args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        Ok(())
    }

    fn merge_slots(&mut self, _steps: &[(u32, u32)]) -> Result<()> {
        Ok(())
    }

    fn merge_columns(&mut self, _slots: &[u32], _columns: &[ArrayRef]) -> Result<()> {
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        Ok(new_null_array(&DataType::Null, slots.len()))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn clear(&mut self, _slots: &[u32]) {}

    fn memory(&self) -> usize {
        0
    }
}

/// Extremum of nested types, kept as order-preserving rows. Buffer: `min` or `max`.
struct RowExtremum {
    converter: RowConverter,
    values: Vec<Option<OwnedRow>>,
    data_type: DataType,
    end: End,
}

impl fmt::Debug for RowExtremum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowExtremum").field("end", &self.end).field("type", &self.data_type).finish()
    }
}

impl RowExtremum {
    fn new(data_type: DataType, end: End) -> Result<Self> {
        let ascending = SortOptions { descending: false, nulls_first: true };
        let field = SortField::new_with_options(data_type.clone(), ascending);
        if !RowConverter::supports_fields(std::slice::from_ref(&field)) {
            return Err(SparkError::unsupported(format!("min or max of the type {data_type}")));
        }
        Ok(Self { converter: RowConverter::new(vec![field])?, values: vec![], data_type, end })
    }
}

impl AggregateBuffer for RowExtremum {
    fn grow(&mut self, slots: usize) {
        if slots > self.values.len() {
            self.values.resize_with(slots, || None);
        }
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        let array = columns::column(args, 0)?;
        let rows = self.converter.convert_columns(&[Arc::clone(array)])?;
        for (index, slot) in slots.iter().enumerate() {
            if array.is_valid(index) {
                let row = rows.row(index);
                let kept = &mut self.values[*slot as usize];
                if kept.as_ref().is_none_or(|kept| self.end.replaces(row.cmp(&kept.row()))) {
                    *kept = Some(row.owned());
                }
            }
        }
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            let Some(value) = self.values[*from as usize].clone() else { continue };
            let kept = &mut self.values[*to as usize];
            if kept.as_ref().is_none_or(|kept| self.end.replaces(value.row().cmp(&kept.row()))) {
                *kept = Some(value);
            }
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        self.update(slots, columns, Arrival::default())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let present: Vec<_> = slots.iter().filter_map(|s| self.values[*s as usize].as_ref()).collect();
        let values = match self.converter.convert_rows(present.iter().map(|row| row.row()))?.pop() {
            Some(values) if !present.is_empty() => values,
            _ => return Ok(new_null_array(&self.data_type, slots.len())),
        };
        let null = new_null_array(&self.data_type, 1);
        let mut next = 0;
        let picks: Vec<(usize, usize)> = slots
            .iter()
            .map(|s| match self.values[*s as usize] {
                Some(_) => {
                    next += 1;
                    (0, next - 1)
                }
                None => (1, 0),
            })
            .collect();
        Ok(interleave(&[values.as_ref(), null.as_ref()], &picks)?)
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(slots)?])
    }

    fn clear(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.values[*slot as usize] = None);
    }

    fn memory(&self) -> usize {
        let held: usize = self.values.iter().flatten().map(|row| row.as_ref().len()).sum();
        self.values.capacity() * size_of::<Option<OwnedRow>>() + held
    }
}
