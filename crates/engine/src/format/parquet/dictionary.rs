//! Which columns are written without trying a dictionary.
//!
//! A column of ids or instants fills its dictionary before the writer gives it up, and looking
//! each value up costs more than writing it. Spark's writer sees after the first page that a
//! dictionary does not pay; ours looks at the first rows. Those depend on the data alone, so
//! a repeated batch writes the same bytes.

use std::hash::Hash;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{DataType, Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType},
};
use hashbrown::HashSet;

/// Fewer rows tell too little.
const LEAST_ROWS: usize = 2048;
/// As many are looked at.
const MOST_ROWS: usize = 16 * 1024;
/// The writer gives a dictionary of more bytes up, as Spark's does.
const DICTIONARY_BYTES: usize = 1 << 20;

/// The top-level columns of a file that starts with `rows` whose dictionaries would not last.
pub(super) fn too_many_values(rows: &RecordBatch) -> Vec<usize> {
    let rows = rows.slice(0, rows.num_rows().min(MOST_ROWS));
    if rows.num_rows() < LEAST_ROWS {
        return vec![];
    }
    let columns = rows.columns().iter().enumerate();
    columns.filter(|(_, column)| outgrows(column)).map(|(index, _)| index).collect()
}

fn outgrows(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Int32 => seldom_repeat(column.as_primitive::<Int32Type>().iter(), 4),
        DataType::Date32 => seldom_repeat(column.as_primitive::<Date32Type>().iter(), 4),
        DataType::Int64 => seldom_repeat(column.as_primitive::<Int64Type>().iter(), 8),
        DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, _) => {
            seldom_repeat(column.as_primitive::<TimestampMicrosecondType>().iter(), 8)
        }
        DataType::Float64 => {
            seldom_repeat(column.as_primitive::<Float64Type>().iter().map(|v| v.map(f64::to_bits)), 8)
        }
        DataType::Utf8 => {
            let strings = column.as_string::<i32>();
            let bytes = strings.offsets().iter().next_back().zip(strings.offsets().first());
            let bytes = bytes.map_or(0, |(end, start)| usize::try_from(end - start).unwrap_or(0));
            seldom_repeat(strings.iter(), 4 + bytes / strings.len().max(1))
        }
        _ => false,
    }
}

/// Whether values of `width` bytes repeat so seldom that all of them together are more than a
/// dictionary holds: of `d` values met with equal chance, `n` rows repeat some n²/2d times.
fn seldom_repeat<T: Hash + Eq>(values: impl Iterator<Item = Option<T>>, width: usize) -> bool {
    let mut seen = HashSet::with_capacity(MOST_ROWS);
    let (mut rows, mut again) = (0, 0);
    for value in values.flatten() {
        rows += 1;
        again += usize::from(!seen.insert(value));
    }
    rows >= LEAST_ROWS && rows * rows / 2 * width > again * DICTIONARY_BYTES
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{BooleanArray, Float64Array, Int64Array, StringArray};

    use super::*;

    fn columns(rows: i64) -> RecordBatch {
        // A permutation of what is below 2^20.
        let mixed = |n: i64| (n * 0x9_e375 + 77) & 0xf_ffff;
        let text = |n: i64| Some(format!("{n:016x}"));
        let columns: [(&str, ArrayRef); 8] = [
            ("counted", Arc::new((0..rows).collect::<Int64Array>())),
            ("twice", Arc::new((0..rows).map(|n| n / 2).collect::<Int64Array>())),
            ("thousand", Arc::new((0..rows).map(|n| mixed(n) % 1000).collect::<Int64Array>())),
            ("ids", Arc::new((0..rows).map(|n| text(mixed(n))).collect::<StringArray>())),
            ("names", Arc::new((0..rows).map(|n| text(mixed(n) % 500)).collect::<StringArray>())),
            ("doubles", Arc::new((0..rows).map(|n| mixed(n) as f64 / 8.0).collect::<Float64Array>())),
            ("nulls", Arc::new((0..rows).map(|_| None::<i64>).collect::<Int64Array>())),
            ("flags", Arc::new((0..rows).map(|n| Some(n % 2 > 0)).collect::<BooleanArray>())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    #[test]
    fn what_hardly_repeats_has_no_dictionary() {
        assert_eq!(too_many_values(&columns(30_000)), [0, 3, 5]);
        assert_eq!(too_many_values(&columns(2048)), [0, 3, 5]);
        assert!(too_many_values(&columns(2047)).is_empty(), "too few rows to tell");
        assert_eq!(too_many_values(&columns(60_000).slice(50_000, 8_000)), [0, 3, 5]);
    }
}
