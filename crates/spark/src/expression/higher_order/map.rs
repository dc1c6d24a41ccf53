//! `transform_keys`, `transform_values`, `map_filter` and `map_zip_with`.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, MapArray, StructArray, UInt64Array, UInt64Builder},
    buffer::{NullBuffer, OffsetBuffer},
    compute::{concat, filter, take},
    datatypes::DataType,
    row::{OwnedRow, RowConverter, Rows, SortField},
};
use millstream_engine::{
    Result, SparkError,
    format::value_text::{TextStyle, to_text},
};

use super::{HigherOrder, Kind, array::kept, span};

impl HigherOrder {
    pub(super) fn over_map(&self, map: &MapArray, captured: &[ArrayRef]) -> Result<ArrayRef> {
        let (mut picks, mut rows, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..map.len() {
            let range = if map.is_valid(row) { span(map.value_offsets(), row) } else { 0..0 };
            lengths.push(range.len());
            rows.extend(range.clone().map(|_| row as u64));
            picks.extend(range.map(|i| i as u64));
        }
        let picks = UInt64Array::from(picks);
        let keys = take(map.keys(), &picks, None)?;
        let values = take(map.values(), &picks, None)?;
        let result = self.run(0, &[Arc::clone(&keys), Arc::clone(&values)], captured, &rows.into())?;
        let nulls = map.nulls().cloned();
        match self.kind {
            Kind::TransformKeys => {
                check_keys(&result, &lengths)?;
                self.map_of(lengths, result, values, nulls)
            }
            Kind::TransformValues => self.map_of(lengths, keys, result, nulls),
            _ => {
                let keep = result.as_boolean();
                self.map_of(kept(&lengths, keep), filter(&keys, keep)?, filter(&values, keep)?, nulls)
            }
        }
    }

    pub(super) fn zip_maps(
        &self,
        left: &MapArray,
        right: &MapArray,
        captured: &[ArrayRef],
    ) -> Result<ArrayRef> {
        let both = concat(&[left.keys().as_ref(), right.keys().as_ref()])?;
        let comparable = comparable(&both)?;
        let behind = left.keys().len();
        let (mut keys, mut rows, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        let (mut xs, mut ys) = (UInt64Builder::new(), UInt64Builder::new());
        for row in 0..left.len() {
            if left.is_null(row) || right.is_null(row) {
                lengths.push(0);
                continue;
            }
            let (own, other) = (span(left.value_offsets(), row), span(right.value_offsets(), row));
            // Keys of the right map that no key of the left one has met.
            let mut rest: HashMap<OwnedRow, usize> =
                other.clone().map(|i| (comparable.row(behind + i).owned(), i)).collect();
            let before = keys.len();
            for i in own {
                keys.push(i as u64);
                xs.append_value(i as u64);
                ys.append_option(rest.remove(&comparable.row(i).owned()).map(|i| i as u64));
            }
            for i in other {
                if rest.contains_key(&comparable.row(behind + i).owned()) {
                    keys.push((behind + i) as u64);
                    xs.append_null();
                    ys.append_value(i as u64);
                }
            }
            lengths.push(keys.len() - before);
            rows.extend((before..keys.len()).map(|_| row as u64));
        }
        let keys = take(&both, &UInt64Array::from(keys), None)?;
        let x = take(left.values(), &xs.finish(), None)?;
        let y = take(right.values(), &ys.finish(), None)?;
        let result = self.run(0, &[Arc::clone(&keys), x, y], captured, &rows.into())?;
        self.map_of(lengths, keys, result, NullBuffer::union(left.nulls(), right.nulls()))
    }

    fn map_of(
        &self,
        lengths: Vec<usize>,
        keys: ArrayRef,
        values: ArrayRef,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef> {
        let DataType::Map(entries, sorted) = self.field.data_type() else {
            return Err(SparkError::internal("a map type"));
        };
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(SparkError::internal("a map's entries"));
        };
        let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted)?))
    }
}

fn comparable(keys: &ArrayRef) -> Result<Rows> {
    let converter = RowConverter::new(vec![SortField::new(keys.data_type().clone())])?;
    Ok(converter.convert_columns(std::slice::from_ref(keys))?)
}

/// Refuses null keys, and a key that a row has twice.
fn check_keys(keys: &ArrayRef, lengths: &[usize]) -> Result<()> {
    if keys.null_count() > 0 {
        return Err(SparkError::new("NULL_MAP_KEY"));
    }
    let rows = comparable(keys)?;
    let mut start = 0;
    for length in lengths {
        let mut seen = HashSet::with_capacity(*length);
        for i in start..start + length {
            if !seen.insert(rows.row(i)) {
                let text = to_text(&keys.slice(i, 1), &chrono_tz::UTC, TextStyle::Pretty)?;
                return Err(SparkError::new("DUPLICATED_MAP_KEY")
                    .with("key", text.value(0))
                    .with("mapKeyDedupPolicy", "\"spark.sql.mapKeyDedupPolicy\""));
            }
        }
        start += length;
    }
    Ok(())
}
