//! Growing columns for decoders: appended value by value, rolled back row by row.
//!
//! Arrow's own builders cannot forget a row, which a malformed record in DROPMALFORMED
//! needs. Null bitmaps exist only once a column has seen a null.

use std::sync::Arc;

use datafusion::arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, GenericByteArray, ListArray, MapArray,
        NullArray, PrimitiveArray, StructArray,
    },
    buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer},
    datatypes::{
        ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Field,
        Float32Type, Float64Type, GenericStringType, Int8Type, Int16Type, Int32Type, Int64Type, IntervalUnit,
        IntervalYearMonthType, TimeUnit, TimestampMicrosecondType,
    },
};

use crate::{Result, SparkError};

/// A column being filled.
///
/// # Invariants
/// Every child of a struct has the struct's length; the last offset of a list, map or
/// string equals the length of its child or data.
#[derive(Debug)]
pub(crate) struct ColumnBuilder {
    data_type: DataType,
    len: usize,
    nulls: Option<BooleanBufferBuilder>,
    pub(crate) values: Values,
}

/// The values of a column by storage.
#[derive(Debug)]
pub(crate) enum Values {
    Null,
    Bool(BooleanBufferBuilder),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I128(Vec<i128>),
    /// Strings and binaries: end offsets after a leading zero, and the bytes.
    Bytes(Vec<i32>, Vec<u8>),
    List(Vec<i32>, Box<ColumnBuilder>),
    Struct(Vec<ColumnBuilder>),
    Map(Vec<i32>, Box<ColumnBuilder>, Box<ColumnBuilder>),
}

impl ColumnBuilder {
    /// An empty column of `data_type` with room for `capacity` rows.
    ///
    /// # Errors
    /// For types that no text codec produces.
    pub(crate) fn new(data_type: &DataType, capacity: usize) -> Result<Self> {
        let child = |field: &Field| Self::new(field.data_type(), 0);
        let offsets = || {
            let mut offsets = Vec::with_capacity(capacity + 1);
            offsets.push(0);
            offsets
        };
        let values = match data_type {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool(BooleanBufferBuilder::new(capacity)),
            DataType::Int8 => Values::I8(Vec::with_capacity(capacity)),
            DataType::Int16 => Values::I16(Vec::with_capacity(capacity)),
            DataType::Int32 | DataType::Date32 | DataType::Interval(IntervalUnit::YearMonth) => {
                Values::I32(Vec::with_capacity(capacity))
            }
            DataType::Int64
            | DataType::Timestamp(TimeUnit::Microsecond, _)
            | DataType::Duration(TimeUnit::Microsecond) => Values::I64(Vec::with_capacity(capacity)),
            DataType::Float32 => Values::F32(Vec::with_capacity(capacity)),
            DataType::Float64 => Values::F64(Vec::with_capacity(capacity)),
            DataType::Decimal128(_, _) => Values::I128(Vec::with_capacity(capacity)),
            DataType::Utf8 | DataType::Binary => Values::Bytes(offsets(), Vec::with_capacity(capacity * 8)),
            DataType::List(field) => Values::List(offsets(), Box::new(child(field)?)),
            DataType::Struct(fields) => Values::Struct(
                fields.iter().map(|f| Self::new(f.data_type(), capacity)).collect::<Result<Vec<_>>>()?,
            ),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(kv) if kv.len() == 2 => {
                    Values::Map(offsets(), Box::new(child(&kv[0])?), Box::new(child(&kv[1])?))
                }
                other => return Err(SparkError::internal(format!("a map of {other}"))),
            },
            other => return Err(SparkError::unsupported(format!("reading the type {other} from text"))),
        };
        Ok(Self { data_type: data_type.clone(), len: 0, nulls: None, values })
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.len
    }

    /// Counts one row whose value has been pushed to `values` as not null.
    #[inline]
    pub(crate) fn mark_valid(&mut self) {
        self.len += 1;
        if let Some(nulls) = &mut self.nulls {
            nulls.append(true);
        }
    }

    /// Counts one null row whose place in `values` has been filled.
    pub(crate) fn mark_null(&mut self) {
        let before = self.len;
        self.len += 1;
        self.nulls
            .get_or_insert_with(|| {
                let mut nulls = BooleanBufferBuilder::new(1024);
                nulls.append_n(before, true);
                nulls
            })
            .append(false);
    }

    /// Appends a null.
    pub(crate) fn push_null(&mut self) {
        match &mut self.values {
            Values::Null => {}
            Values::Bool(v) => v.append(false),
            Values::I8(v) => v.push(0),
            Values::I16(v) => v.push(0),
            Values::I32(v) => v.push(0),
            Values::I64(v) => v.push(0),
            Values::F32(v) => v.push(0.0),
            Values::F64(v) => v.push(0.0),
            Values::I128(v) => v.push(0),
            Values::Bytes(offsets, _) | Values::List(offsets, _) | Values::Map(offsets, _, _) => {
                offsets.push(offsets.last().copied().unwrap_or(0));
            }
            Values::Struct(children) => children.iter_mut().for_each(Self::push_null),
        }
        self.mark_null();
    }

    /// Appends bytes to a string or binary column; strings must be UTF-8.
    ///
    /// # Errors
    /// When the batch's bytes exceed what 32-bit offsets address.
    #[inline]
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        if let Values::Bytes(offsets, data) = &mut self.values {
            data.extend_from_slice(bytes);
            offsets.push(i32::try_from(data.len()).map_err(|_| too_large())?);
        }
        self.mark_valid();
        Ok(())
    }

    /// As [`push_bytes`](Self::push_bytes), for the bytes of `text` from `start` to `end`.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub(crate) fn push_part(&mut self, text: &[u8], start: usize, end: usize) -> Result<()> {
        if let Values::Bytes(offsets, data) = &mut self.values {
            // Sixteen bytes are copied in one instruction, a few in a call.
            match text.get(start..).and_then(<[u8]>::first_chunk::<16>) {
                Some(more) if end.wrapping_sub(start) <= 16 => {
                    let whole = data.len() + (end - start);
                    data.extend_from_slice(more);
                    data.truncate(whole);
                }
                _ => data.extend_from_slice(text.get(start..end).unwrap_or_default()),
            }
            offsets.push(i32::try_from(data.len()).map_err(|_| too_large())?);
        }
        self.mark_valid();
        Ok(())
    }

    /// Closes a list or map row after its elements were pushed to the child.
    pub(crate) fn close_list(&mut self) -> Result<()> {
        match &mut self.values {
            Values::List(offsets, child) => offsets.push(i32::try_from(child.len).map_err(|_| too_large())?),
            Values::Map(offsets, keys, _) => offsets.push(i32::try_from(keys.len).map_err(|_| too_large())?),
            _ => {}
        }
        self.mark_valid();
        Ok(())
    }

    /// Forgets all rows after the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        if len >= self.len && !matches!(self.values, Values::List(..) | Values::Struct(_) | Values::Map(..)) {
            return;
        }
        self.len = self.len.min(len);
        if let Some(nulls) = &mut self.nulls {
            nulls.truncate(self.len);
        }
        let cut = |offsets: &mut Vec<i32>| {
            offsets.truncate(len + 1);
            offsets.last().map_or(0, |o| usize::try_from(*o).unwrap_or(0))
        };
        match &mut self.values {
            Values::Null => {}
            Values::Bool(v) => v.truncate(len),
            Values::I8(v) => v.truncate(len),
            Values::I16(v) => v.truncate(len),
            Values::I32(v) => v.truncate(len),
            Values::I64(v) => v.truncate(len),
            Values::F32(v) => v.truncate(len),
            Values::F64(v) => v.truncate(len),
            Values::I128(v) => v.truncate(len),
            Values::Bytes(offsets, data) => data.truncate(cut(offsets)),
            Values::List(offsets, child) => child.truncate(cut(offsets)),
            Values::Struct(children) => children.iter_mut().for_each(|c| c.truncate(len)),
            Values::Map(offsets, keys, values) => {
                let end = cut(offsets);
                keys.truncate(end);
                values.truncate(end);
            }
        }
    }

    /// The last value as Spark's internal rows print it, for error texts.
    pub(crate) fn last_value_text(&self) -> String {
        if self.nulls.as_ref().is_some_and(|n| !n.is_empty() && !n.get_bit(n.len() - 1)) {
            return "null".to_string();
        }
        let text = |v: Option<&dyn std::fmt::Display>| v.map_or("null".to_string(), |v| v.to_string());
        match &self.values {
            Values::Bool(v) if !v.is_empty() => v.get_bit(v.len() - 1).to_string(),
            Values::I8(v) => text(v.last().map(|v| v as _)),
            Values::I16(v) => text(v.last().map(|v| v as _)),
            Values::I32(v) => text(v.last().map(|v| v as _)),
            Values::I64(v) => text(v.last().map(|v| v as _)),
            Values::F32(v) => v.last().map_or("null".to_string(), |v| format!("{v:?}")),
            Values::F64(v) => v.last().map_or("null".to_string(), |v| format!("{v:?}")),
            Values::I128(v) => text(v.last().map(|v| v as _)),
            Values::Bytes(offsets, data) => {
                let at = |back: usize| {
                    let index = offsets.len().checked_sub(back)?;
                    offsets.get(index).and_then(|o| usize::try_from(*o).ok())
                };
                let value = at(2).zip(at(1)).and_then(|(from, to)| data.get(from..to)).unwrap_or_default();
                String::from_utf8_lossy(value).into_owned()
            }
            _ => "null".to_string(),
        }
    }

    /// Takes the rows as an array and starts anew.
    ///
    /// # Errors
    /// An internal error if an invariant was broken.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef> {
        let len = std::mem::take(&mut self.len);
        let nulls: Option<NullBuffer> = self.nulls.take().map(|mut n| NullBuffer::new(n.finish()));
        let data_type = self.data_type.clone();
        fn primitive<T: ArrowPrimitiveType>(
            values: &mut Vec<T::Native>,
            nulls: Option<NullBuffer>,
            data_type: DataType,
        ) -> Result<ArrayRef> {
            let capacity = values.capacity();
            let values = std::mem::replace(values, Vec::with_capacity(capacity));
            let array = PrimitiveArray::<T>::try_new(ScalarBuffer::from(values), nulls)?;
            Ok(Arc::new(array.with_data_type(data_type)))
        }
        let offsets_of = |offsets: &mut Vec<i32>| {
            let fresh = Vec::with_capacity(offsets.capacity());
            let taken = std::mem::replace(offsets, fresh);
            offsets.push(0);
            OffsetBuffer::new(ScalarBuffer::from(taken))
        };
        Ok(match &mut self.values {
            Values::Null => Arc::new(NullArray::new(len)),
            Values::Bool(v) => {
                let bits: BooleanBuffer = v.finish();
                Arc::new(BooleanArray::new(bits, nulls))
            }
            Values::I8(v) => primitive::<Int8Type>(v, nulls, data_type)?,
            Values::I16(v) => primitive::<Int16Type>(v, nulls, data_type)?,
            Values::I32(v) => match data_type {
                DataType::Date32 => primitive::<Date32Type>(v, nulls, data_type)?,
                DataType::Interval(_) => primitive::<IntervalYearMonthType>(v, nulls, data_type)?,
                _ => primitive::<Int32Type>(v, nulls, data_type)?,
            },
            Values::I64(v) => match data_type {
                DataType::Timestamp(_, _) => primitive::<TimestampMicrosecondType>(v, nulls, data_type)?,
                DataType::Duration(_) => primitive::<DurationMicrosecondType>(v, nulls, data_type)?,
                _ => primitive::<Int64Type>(v, nulls, data_type)?,
            },
            Values::F32(v) => primitive::<Float32Type>(v, nulls, data_type)?,
            Values::F64(v) => primitive::<Float64Type>(v, nulls, data_type)?,
            Values::I128(v) => primitive::<Decimal128Type>(v, nulls, data_type)?,
            Values::Bytes(offsets, data) => {
                let offsets = offsets_of(offsets);
                let capacity = data.capacity();
                let data = Buffer::from_vec(std::mem::replace(data, Vec::with_capacity(capacity)));
                if data_type == DataType::Utf8 {
                    Arc::new(GenericByteArray::<GenericStringType<i32>>::try_new(offsets, data, nulls)?)
                } else {
                    Arc::new(BinaryArray::try_new(offsets, data, nulls)?)
                }
            }
            Values::List(offsets, child) => {
                let offsets = offsets_of(offsets);
                let child = child.finish()?;
                match data_type {
                    DataType::List(field) => Arc::new(ListArray::try_new(field, offsets, child, nulls)?),
                    other => return Err(SparkError::internal(format!("list builder of {other}"))),
                }
            }
            Values::Struct(children) => {
                let children = children.iter_mut().map(Self::finish).collect::<Result<Vec<_>>>()?;
                match data_type {
                    DataType::Struct(fields) if fields.is_empty() => {
                        Arc::new(StructArray::new_empty_fields(len, nulls))
                    }
                    DataType::Struct(fields) => Arc::new(StructArray::try_new(fields, children, nulls)?),
                    other => return Err(SparkError::internal(format!("struct builder of {other}"))),
                }
            }
            Values::Map(offsets, keys, values) => {
                let offsets = offsets_of(offsets);
                let (keys, values) = (keys.finish()?, values.finish()?);
                match data_type {
                    DataType::Map(field, sorted) => {
                        let DataType::Struct(kv) = field.data_type().clone() else {
                            return Err(SparkError::internal("map entries are no struct"));
                        };
                        let entries = StructArray::try_new(kv, vec![keys, values], None)?;
                        Arc::new(MapArray::try_new(field, offsets, entries, nulls, sorted)?)
                    }
                    other => return Err(SparkError::internal(format!("map builder of {other}"))),
                }
            }
        })
    }
}

fn too_large() -> SparkError {
    SparkError::internal("a batch of text exceeds 2 GiB in one column")
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray};

    use super::*;

    #[test]
    fn rows_can_be_taken_back() {
        let mut column = ColumnBuilder::new(&DataType::Utf8, 4).unwrap();
        column.push_bytes(b"a").unwrap();
        column.push_null();
        column.push_bytes(b"b").unwrap();
        column.truncate(1);
        column.push_bytes(b"c").unwrap();
        let array = column.finish().unwrap();
        let values: Vec<_> = array.as_string::<i32>().iter().collect();
        assert_eq!(values, [Some("a"), Some("c")]);
        assert_eq!(column.finish().unwrap().len(), 0);
    }

    #[test]
    fn nested_rows_can_be_taken_back() {
        let item = Arc::new(Field::new("element", DataType::Int64, true));
        let mut column = ColumnBuilder::new(&DataType::List(item), 4).unwrap();
        for row in 0..3 {
            if let Values::List(_, child) = &mut column.values {
                if let Values::I64(v) = &mut child.values {
                    v.push(row);
                }
                child.mark_valid();
            }
            column.close_list().unwrap();
        }
        column.truncate(2);
        column.push_null();
        let array = column.finish().unwrap();
        assert_eq!(array.len(), 3);
        assert!(array.is_null(2));
        assert_eq!(array.as_list::<i32>().values().len(), 2);
    }
}
