//! Reading argument and buffer columns by type and slot.

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, PrimitiveArray},
    buffer::NullBuffer,
    datatypes::ArrowPrimitiveType,
};

use crate::{Result, SparkError};

/// Column `index` of `columns` as primitive values of type `T`.
pub(super) fn primitive<T: ArrowPrimitiveType>(
    columns: &[ArrayRef],
    index: usize,
) -> Result<&PrimitiveArray<T>> {
    column(columns, index)?.as_primitive_opt::<T>().ok_or_else(|| {
        SparkError::internal(format!("aggregate buffer: column {index} is {}", columns[index].data_type()))
    })
}

/// Column `index` of `columns`.
pub(super) fn column(columns: &[ArrayRef], index: usize) -> Result<&ArrayRef> {
    columns
        .get(index)
        .ok_or_else(|| SparkError::internal(format!("aggregate buffer: column {index} is missing")))
}

/// Calls `f(slot, value)` for each row that is not null.
#[inline]
pub(super) fn each<T: ArrowPrimitiveType>(
    slots: &[u32],
    array: &PrimitiveArray<T>,
    mut f: impl FnMut(usize, T::Native),
) {
    let values = array.values();
    match array.nulls().filter(|n| n.null_count() > 0) {
        None => slots.iter().zip(values.iter()).for_each(|(slot, value)| f(*slot as usize, *value)),
        Some(nulls) => {
            for ((slot, value), valid) in slots.iter().zip(values.iter()).zip(nulls.iter()) {
                if valid {
                    f(*slot as usize, *value);
                }
            }
        }
    }
}

/// As [`each`], stopping at the first error.
#[inline]
pub(super) fn try_each<T: ArrowPrimitiveType>(
    slots: &[u32],
    array: &PrimitiveArray<T>,
    mut f: impl FnMut(usize, T::Native) -> Result<()>,
) -> Result<()> {
    let values = array.values();
    match array.nulls().filter(|n| n.null_count() > 0) {
        None => slots.iter().zip(values.iter()).try_for_each(|(slot, value)| f(*slot as usize, *value)),
        Some(nulls) => {
            for ((slot, value), valid) in slots.iter().zip(values.iter()).zip(nulls.iter()) {
                if valid {
                    f(*slot as usize, *value)?;
                }
            }
            Ok(())
        }
    }
}

/// The values of `slots` as a column, null where `set` is false; what lies under a null is
/// always zero, so that the same state gives the same bytes.
pub(super) fn gather<T: ArrowPrimitiveType>(
    slots: &[u32],
    values: &[T::Native],
    set: &[bool],
) -> PrimitiveArray<T> {
    let nulls: NullBuffer = slots.iter().map(|s| set[*s as usize]).collect();
    let value = |s: &u32| if set[*s as usize] { values[*s as usize] } else { T::default_value() };
    PrimitiveArray::new(slots.iter().map(value).collect(), Some(nulls))
}

/// The values of `slots` as a column without nulls.
pub(super) fn gather_all<T: ArrowPrimitiveType>(slots: &[u32], values: &[T::Native]) -> PrimitiveArray<T> {
    PrimitiveArray::new(slots.iter().map(|s| values[*s as usize]).collect(), None)
}
