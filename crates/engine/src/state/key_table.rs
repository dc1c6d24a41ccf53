//! Interns grouping keys: each distinct key becomes a small dense number.
//!
//! A single integer-like or string key has a table of its own; everything else goes through
//! Arrow's row encoding, which lives in memory only and is never written.
//!
//! # Invariants
//! Keys that Spark groups together have one id: -0.0 equals 0.0, all NaNs are equal, nulls
//! are equal. Ids are dense, and released ids are used again: they carry no order, so
//! nothing visible may depend on them (see [`KeyTable::compare`]). A key costs its bytes and
//! about twenty more, and no step costs as much as all keys.

use std::{cmp::Ordering, fmt, sync::Arc};

use datafusion::arrow::{
    array::{
        Array, ArrayRef, AsArray, GenericListArray, Int64Array, PrimitiveArray, StringArray, StructArray,
    },
    compute::cast,
    datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int32Type, Int64Type},
    row::{RowConverter, RowParser, SortField},
};

use super::{byte_arena::ByteArena, key_lookup::KeyLookup, string_keys::StringKeys};
use crate::{Result, SparkError};

/// The keys of one operator.
pub struct KeyTable {
    types: Vec<DataType>,
    lookup: KeyLookup,
    kind: Kind,
}

enum Kind {
    /// No key columns: one group, id 0.
    Unit,
    /// One column that fits 64 bits; values by id.
    Ints { values: Vec<i64>, null: Option<u32> },
    /// One string or binary column.
    Bytes(StringKeys),
    /// Anything else, as order-preserving rows.
    Rows { values: ByteArena, converter: RowConverter, parser: RowParser },
}

impl fmt::Debug for KeyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyTable").field("types", &self.types).field("keys", &self.len()).finish()
    }
}

impl KeyTable {
    /// An empty table for keys of these types.
    ///
    /// # Errors
    /// `UNSUPPORTED_FEATURE` for types that cannot be grouped (maps).
    pub fn new(types: &[DataType]) -> Result<Self> {
        let kind = match types {
            [] => Kind::Unit,
            [one] if is_int_like(one) => Kind::Ints { values: vec![], null: None },
            [DataType::Utf8 | DataType::Binary] => Kind::Bytes(StringKeys::default()),
            _ => {
                let fields: Vec<_> = types.iter().map(|t| SortField::new(t.clone())).collect();
                if !RowConverter::supports_fields(&fields) {
                    return Err(SparkError::unsupported(format!("grouping by the types {types:?}")));
                }
                let converter = RowConverter::new(fields)?;
                let parser = converter.parser();
                Kind::Rows { values: ByteArena::default(), converter, parser }
            }
        };
        Ok(Self { types: types.to_vec(), lookup: KeyLookup::default(), kind })
    }

    /// Number of keys held.
    pub fn len(&self) -> usize {
        self.lookup.issued().len()
    }

    /// Whether no key is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of key columns.
    pub fn width(&self) -> usize {
        self.types.len()
    }

    /// Every id is below this.
    pub fn capacity(&self) -> usize {
        self.lookup.issued().capacity()
    }

    /// Whether a key has this id.
    pub fn contains(&self, id: u32) -> bool {
        self.lookup.issued().contains(id)
    }

    /// Appends the id of each of `rows` keys to `ids`.
    ///
    /// # Errors
    /// Columns of other types than the table's.
    pub fn intern(&mut self, columns: &[ArrayRef], rows: usize, ids: &mut Vec<u32>) -> Result<()> {
        ids.reserve(rows);
        let Self { types, lookup, kind } = self;
        if let Some(wrong) = columns.iter().zip(types.iter()).find(|(c, t)| c.data_type() != *t) {
            return Err(SparkError::internal(format!(
                "a key of type {} where {} is due",
                wrong.0.data_type(),
                wrong.1
            )));
        }
        match (kind, columns) {
            (Kind::Unit, _) => {
                if lookup.issued().capacity() == 0 {
                    lookup.ids().issue();
                }
                ids.resize(ids.len() + rows, 0);
            }
            (Kind::Ints { values, null }, [column]) => {
                let ints = to_ints(column)?;
                let Some(nulls) = ints.nulls().filter(|nulls| nulls.null_count() > 0) else {
                    lookup.intern(values, ints.values(), ids);
                    return Ok(());
                };
                let null = *null.get_or_insert_with(|| lookup.ids().issue());
                let mut found = Vec::new();
                lookup.intern(values, &ints.iter().flatten().collect::<Vec<i64>>(), &mut found);
                let mut found = found.into_iter();
                ids.extend(nulls.iter().map(|valid| valid.then(|| found.next()).flatten().unwrap_or(null)));
            }
            (Kind::Bytes(keys), [column]) => match column.data_type() {
                DataType::Utf8 => {
                    let strings = column.as_string::<i32>();
                    keys.intern(lookup, strings.iter().map(|s| s.map(str::as_bytes)), ids);
                }
                _ => keys.intern(lookup, column.as_binary::<i32>().iter(), ids),
            },
            (Kind::Rows { values, converter, .. }, columns) => {
                let normal = columns.iter().map(normalize_floats).collect::<Result<Vec<_>>>()?;
                let encoded = converter.convert_columns(&normal)?;
                let keys: Vec<&[u8]> = encoded.iter().map(|row| row.data()).collect();
                lookup.intern(values, &keys, ids);
            }
            _ => return Err(SparkError::internal("a key with a wrong number of columns")),
        }
        Ok(())
    }

    /// The ids given out for new keys since the last call.
    pub fn take_fresh(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.lookup.ids().fresh)
    }

    /// Forgets keys; their ids will be used again. The single group without key columns stays.
    pub fn release(&mut self, gone: &[u32]) {
        let Self { lookup, kind, .. } = self;
        match kind {
            Kind::Unit => {}
            Kind::Ints { values, null } => {
                if null.is_some_and(|null| gone.contains(&null) && lookup.ids().give_back(null)) {
                    *null = None;
                }
                lookup.release(values, gone, |_, _| ());
            }
            Kind::Bytes(keys) => keys.release(lookup, gone),
            Kind::Rows { values, .. } => lookup.release(values, gone, |values, id| values.remove(id)),
        }
    }

    /// The key columns of `ids`.
    ///
    /// # Errors
    /// Only when Arrow cannot build a column (more than 2 GiB of text in one).
    pub fn columns(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(match &self.kind {
            Kind::Unit => vec![],
            Kind::Ints { values, null, .. } => {
                let ints: Int64Array =
                    ids.iter().map(|id| (Some(*id) != *null).then(|| values[*id as usize])).collect();
                vec![from_ints(ints, &self.types[0])?]
            }
            Kind::Bytes(keys) => {
                let bytes = keys.column(ids)?;
                match self.types[0] {
                    DataType::Utf8 => vec![Arc::new(StringArray::try_from_binary(bytes)?)],
                    _ => vec![Arc::new(bytes)],
                }
            }
            Kind::Rows { values, converter, parser } => {
                if ids.is_empty() {
                    return Ok(self.types.iter().map(datafusion::arrow::array::new_empty_array).collect());
                }
                converter.convert_rows(ids.iter().map(|id| parser.parse(values.get(*id))))?
            }
        })
    }

    /// Orders two keys by value, column by column, ascending, nulls first.
    pub fn compare(&self, a: u32, b: u32) -> Ordering {
        let by_null = |null: Option<u32>| (Some(a) != null).cmp(&(Some(b) != null));
        match &self.kind {
            Kind::Unit => Ordering::Equal,
            Kind::Ints { values, null, .. } => by_null(*null).then_with(|| match *null {
                Some(null) if null == a => Ordering::Equal,
                _ => values[a as usize].cmp(&values[b as usize]),
            }),
            // No key, which is null, comes before any.
            Kind::Bytes(keys) => keys.get(a).cmp(&keys.get(b)),
            Kind::Rows { values, .. } => values.get(a).cmp(values.get(b)),
        }
    }

    /// Sorts ids by key and removes repeated ones.
    pub fn sort_unique(&self, ids: &mut Vec<u32>) {
        ids.sort_unstable();
        ids.dedup();
        match &self.kind {
            Kind::Unit => {}
            Kind::Ints { values, null } => {
                sort_by_key(ids, |id| (Some(id) != *null).then(|| values[id as usize]));
            }
            Kind::Bytes(keys) => sort_by_key(ids, |id| keys.get(id)),
            Kind::Rows { values, .. } => sort_by_key(ids, |id| values.get(id)),
        }
    }

    /// Bytes held, estimated.
    pub fn memory(&self) -> usize {
        self.lookup.memory()
            + match &self.kind {
                Kind::Unit => 0,
                Kind::Ints { values, .. } => values.capacity() * size_of::<i64>(),
                Kind::Bytes(keys) => keys.memory(),
                Kind::Rows { values, .. } => values.memory(),
            }
    }
}

/// Reads each key once, not at every comparison: keys are far apart in memory.
fn sort_by_key<K: Ord>(ids: &mut [u32], key: impl Fn(u32) -> K) {
    let mut keyed: Vec<(K, u32)> = ids.iter().map(|id| (key(*id), *id)).collect();
    keyed.sort_unstable();
    for (place, (_, id)) in ids.iter_mut().zip(keyed) {
        *place = id;
    }
}

fn is_int_like(data_type: &DataType) -> bool {
    use datafusion::arrow::datatypes::TimeUnit::Microsecond;
    matches!(
        data_type,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Timestamp(Microsecond, _)
    )
}

fn to_ints(column: &ArrayRef) -> Result<Int64Array> {
    let ints = match column.data_type() {
        DataType::Date32 => cast(&cast(column, &DataType::Int32)?, &DataType::Int64)?,
        _ => cast(column, &DataType::Int64)?,
    };
    Ok(ints.as_primitive::<Int64Type>().clone())
}

fn from_ints(ints: Int64Array, data_type: &DataType) -> Result<ArrayRef> {
    let ints: ArrayRef = Arc::new(ints);
    Ok(match data_type {
        DataType::Date32 => {
            let days: PrimitiveArray<Int32Type> = cast(&ints, &DataType::Int32)?.as_primitive().clone();
            Arc::new(days.reinterpret_cast::<datafusion::arrow::datatypes::Date32Type>())
        }
        _ => cast(&ints, data_type)?,
    })
}

/// -0.0 becomes 0.0 and every NaN the canonical one, also inside structs and arrays.
pub(crate) fn normalize_floats(column: &ArrayRef) -> Result<ArrayRef> {
    Ok(match column.data_type() {
        DataType::Float32 => {
            canonical::<Float32Type>(column, |v| if v.is_nan() { f32::NAN } else { v + 0.0 })
        }
        DataType::Float64 => {
            canonical::<Float64Type>(column, |v| if v.is_nan() { f64::NAN } else { v + 0.0 })
        }
        DataType::Struct(fields) => {
            let array = column.as_struct();
            let children = array.columns().iter().map(normalize_floats).collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::try_new_with_length(
                fields.clone(),
                children,
                array.nulls().cloned(),
                array.len(),
            )?)
        }
        DataType::List(field) => {
            let array = column.as_list::<i32>();
            let values = normalize_floats(array.values())?;
            let offsets = array.offsets().clone();
            Arc::new(GenericListArray::try_new(Arc::clone(field), offsets, values, array.nulls().cloned())?)
        }
        _ => Arc::clone(column),
    })
}

fn canonical<T: ArrowPrimitiveType>(column: &ArrayRef, f: impl Fn(T::Native) -> T::Native) -> ArrayRef {
    Arc::new(column.as_primitive::<T>().unary::<_, T>(f))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        BinaryArray, Date32Array, Float64Array, Int32Array, TimestampMicrosecondArray,
    };

    use super::*;

    fn ids(table: &mut KeyTable, columns: &[ArrayRef]) -> Vec<u32> {
        let mut ids = vec![];
        table.intern(columns, columns.first().map_or(2, |c| c.len()), &mut ids).unwrap();
        ids
    }

    fn kinds() -> Vec<Vec<ArrayRef>> {
        let strings: ArrayRef =
            Arc::new(StringArray::from(vec![Some("b"), None, Some("a"), Some("b"), Some("")]));
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(2), None, Some(-1), Some(2), Some(0)]));
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![Some(2), None, Some(-1), Some(2), Some(0)]));
        let times = TimestampMicrosecondArray::from(vec![Some(2), None, Some(-1), Some(2), Some(0)]);
        let times: ArrayRef = Arc::new(times.with_timezone("UTC"));
        vec![
            vec![Arc::clone(&strings)],
            vec![Arc::clone(&ints)],
            vec![dates],
            vec![times],
            vec![strings, ints],
        ]
    }

    #[test]
    fn equal_keys_share_an_id_and_columns_come_back() {
        for columns in kinds() {
            let types: Vec<_> = columns.iter().map(|c| c.data_type().clone()).collect();
            let mut table = KeyTable::new(&types).unwrap();
            let first = ids(&mut table, &columns);
            assert_eq!(first[0], first[3], "{types:?}");
            let distinct: std::collections::BTreeSet<u32> = first.iter().copied().collect();
            assert_eq!(distinct, (0..4).collect(), "{types:?}");
            assert_eq!(ids(&mut table, &columns), first, "{types:?}");
            assert_eq!(table.len(), 4);
            assert_eq!(&table.columns(&first).unwrap(), &columns);
            let mut order = vec![3, 2, 1, 0, 2];
            table.sort_unique(&mut order);
            assert_eq!(order[0], first[1], "nulls first: {types:?}");
            assert_eq!(order.len(), 4);
        }
    }

    #[test]
    fn released_keys_are_gone_and_their_ids_used_again() {
        for columns in kinds() {
            let types: Vec<_> = columns.iter().map(|c| c.data_type().clone()).collect();
            let mut table = KeyTable::new(&types).unwrap();
            ids(&mut table, &columns);
            assert_eq!(table.take_fresh(), [0, 1, 2, 3]);
            table.release(&[1, 0, 0]);
            table.release(&[0, 77]);
            assert_eq!(table.len(), 2, "{types:?}");
            let again = ids(&mut table, &columns);
            assert_eq!(table.len(), 4);
            assert_eq!(table.take_fresh().len(), 2);
            assert_eq!(&table.columns(&again).unwrap(), &columns);
        }
    }

    #[test]
    fn short_and_long_strings_have_the_ids_of_their_bytes() {
        let mut table = KeyTable::new(&[DataType::Binary]).unwrap();
        let mut known: std::collections::HashMap<Vec<u8>, u32> = std::collections::HashMap::new();
        let mut at = 1u64;
        for round in 0..40 {
            let some: Vec<Vec<u8>> = (0..500)
                .map(|_| {
                    at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let length = (at >> 60) as usize % 11;
                    (0..length).map(|i| (at >> (33 + 2 * i)) as u8 & 1).collect()
                })
                .collect();
            let column: ArrayRef = Arc::new(BinaryArray::from_iter_values(&some));
            for (key, id) in some.iter().zip(ids(&mut table, &[column])) {
                assert_eq!(*known.entry(key.clone()).or_insert(id), id, "{key:?}");
            }
            assert_eq!(table.len(), known.len());
            let mut gone = vec![];
            known.retain(|key, id| {
                let stays = (key.len() + round) % 3 > 0;
                if !stays {
                    gone.push(*id);
                }
                stays
            });
            table.release(&gone);
        }
    }

    #[test]
    fn floats_group_as_in_spark() {
        let mut table = KeyTable::new(&[DataType::Float64]).unwrap();
        let odd_nan = f64::from_bits(0xfff8_0000_0000_0001);
        let column: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, odd_nan, 1.0]));
        assert_eq!(ids(&mut table, &[column]), [0, 0, 1, 1, 2]);
    }

    #[test]
    fn no_key_is_one_group() {
        let mut table = KeyTable::new(&[]).unwrap();
        assert_eq!(ids(&mut table, &[]), [0, 0]);
        table.release(&[0]);
        assert_eq!(table.len(), 1);
    }
}
