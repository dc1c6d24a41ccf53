//! Stored rows as Spark shows its own: a key and a value.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::arrow::{
    array::{
        Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, StructArray,
        TimestampMicrosecondArray, new_null_array,
    },
    datatypes::{DataType, Field, Fields, Float64Type, Int64Type, TimeUnit},
};

use super::rows::{Columns, Rows, taken};
use crate::{
    Result, SparkError,
    operators::aggregate::{AggregateCall, AggregateOptions},
    state::{Header, StateLayout},
};

/// Key and value, row by row.
pub(super) struct Shown {
    pub(super) key: StructArray,
    pub(super) value: StructArray,
}

/// Shows rows of a store; with `finals` also windows that have become final.
///
/// # Errors
/// What has no form in Spark's terms: keys of joins that are expressions, sliding windows
/// over functions that the reader cannot put together.
pub(super) fn show(rows: &Rows, stored: &RecordBatch, finals: bool) -> Result<Shown> {
    let header = &rows.header;
    let width = header.schema.keys.len();
    let columns = stored.columns();
    let named = |from: usize, names: Vec<String>| -> Columns {
        names.into_iter().enumerate().map(|(i, name)| (name, Arc::clone(&columns[from + i]))).collect()
    };
    let key_names =
        |skip: usize| header.schema.keys.iter().skip(skip).map(|(name, _)| name.clone()).collect();
    let (key, value, len) = match rows.layout() {
        StateLayout::Groups { .. } => {
            (named(0, key_names(0)), buffers(header, named(width, buffer_names(header))), stored.num_rows())
        }
        StateLayout::Seen { expires, .. } => {
            let value = if *expires {
                named(width, vec!["expiresAtMicros".to_string()])
            } else {
                vec![("__dummy__".to_string(), new_null_array(&DataType::Null, stored.num_rows()))]
            };
            (named(0, key_names(0)), value, stored.num_rows())
        }
        StateLayout::Limit => {
            let key = vec![("key".to_string(), new_null_array(&DataType::Null, stored.num_rows()))];
            (key, named(0, vec!["value".to_string()]), stored.num_rows())
        }
        StateLayout::Sessions { position, name, .. } => {
            let edge = |i: usize| timestamps(&columns[i]);
            let window = window(edge(0), edge(1))?;
            let mut keys = named(2, key_names(1));
            let mut key = keys.clone();
            key.push(("sessionStartTime".to_string(), timestamps(&columns[0])));
            keys.insert((*position).min(keys.len()), (name.clone(), window));
            keys.extend(buffers(header, named(width + 1, buffer_names(header))));
            (key, keys, stored.num_rows())
        }
        StateLayout::Windows { .. } => {
            let ended = rows.grid()?.1.filter(|_| !finals);
            windows(rows, stored, |window, _| ended.is_none_or(|ended| window > ended))?
        }
        StateLayout::JoinSide { keys, columns: names, marks, .. } => {
            let first = 1 + usize::from(*marks);
            let mut key = vec![];
            for (i, place) in keys.iter().enumerate() {
                let Some(place) = place else {
                    return Err(SparkError::unsupported(
                        "reading the state of a join whose keys are expressions",
                    ));
                };
                key.push((format!("field{i}"), Arc::clone(&columns[first + place])));
            }
            (key, named(first, names.clone()), stored.num_rows())
        }
    };
    shown(key, value, len)
}

fn shown(key: Columns, value: Columns, len: usize) -> Result<Shown> {
    Ok(Shown { key: to_struct(key, len)?, value: to_struct(value, len)? })
}

/// Columns as one.
fn to_struct(columns: Columns, len: usize) -> Result<StructArray> {
    let fields: Fields =
        columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), true)).collect();
    let columns: Vec<ArrayRef> = columns.into_iter().map(|(_, column)| column).collect();
    Ok(StructArray::try_new_with_length(fields, columns, None, len)?)
}

fn timestamps(micros: &ArrayRef) -> ArrayRef {
    let micros = micros.as_primitive::<Int64Type>();
    Arc::new(
        TimestampMicrosecondArray::new(micros.values().clone(), micros.nulls().cloned()).with_timezone("UTC"),
    )
}

fn window(start: ArrayRef, end: ArrayRef) -> Result<ArrayRef> {
    let field = |name| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true);
    let fields = Fields::from(vec![field("start"), field("end")]);
    Ok(Arc::new(StructArray::try_new(fields, vec![start, end], None)?))
}

/// Spark's names for the buffers: `count`, `sum`, ... `Spark differs:` functions whose
/// buffers have another form here keep names of their own.
fn buffer_names(header: &Header) -> Vec<String> {
    let name = |stored: &str| {
        let Some((function, place)) = call_of(stored) else { return stored.to_string() };
        let names: &[&str] = match function {
            "count" | "count_if" | "regr_count" => &["count"],
            "sum" | "try_sum" => &["sum", "isEmpty"],
            "avg" | "mean" | "try_avg" => &["sum", "count"],
            "max" => &["max"],
            "min" => &["min"],
            "first" | "first_value" | "any_value" => &["first", "valueSet"],
            "last" | "last_value" => &["last", "valueSet"],
            "stddev" | "stddev_samp" | "stddev_pop" | "variance" | "var_samp" | "var_pop" => {
                &["n", "avg", "m2"]
            }
            _ => &[],
        };
        names.get(place).map_or_else(|| format!("{function}_{place}"), ToString::to_string)
    };
    header.schema.values.iter().map(|(stored, _)| name(stored)).collect()
}

/// Buffer columns with Spark's values: its averages start from a sum of 0.
fn buffers(header: &Header, columns: Columns) -> Columns {
    let stored = header.schema.values.iter().map(|(name, _)| call_of(name));
    let zeroed = columns.into_iter().zip(stored).map(|((name, column), call)| match call {
        Some(("avg" | "mean", 0)) if column.data_type() == &DataType::Float64 => {
            let sums = column.as_primitive::<Float64Type>().iter().map(|sum| sum.unwrap_or(0.0));
            (name, Arc::new(Float64Array::from_iter_values(sums)) as ArrayRef)
        }
        _ => (name, column),
    });
    zeroed.collect()
}

/// Function and place of a buffer column `<call>.<function>_<place>`.
fn call_of(stored: &str) -> Option<(&str, usize)> {
    let (_, rest) = stored.split_once('.')?;
    let (function, place) = rest.rsplit_once('_')?;
    Some((function, place.parse().ok()?))
}

/// Shows the windows of `panes`, ascending, that `wanted` picks by number and key.
///
/// # Errors
/// Sliding windows over functions that the reader cannot put together.
pub(super) fn show_windows(
    rows: &Rows,
    panes: &RecordBatch,
    wanted: impl Fn(i64, &[u8]) -> bool,
) -> Result<Shown> {
    let (key, value, len) = windows(rows, panes, wanted)?;
    shown(key, value, len)
}

/// Windows put together from panes.
fn windows(
    rows: &Rows,
    stored: &RecordBatch,
    wanted: impl Fn(i64, &[u8]) -> bool,
) -> Result<(Columns, Columns, usize)> {
    let StateLayout::Windows { position, name, .. } = rows.layout() else {
        return Err(SparkError::internal("no windows"));
    };
    let (header, width) = (&rows.header, rows.header.schema.keys.len());
    let (grid, _) = rows.grid()?;
    let panes = stored.column(0).as_primitive::<Int64Type>();
    let keys = rows.keys_of(stored)?;
    // Panes of a key ascend: rows are in the order of pane, then key.
    let mut slots: BTreeMap<(i64, &[u8]), u32> = BTreeMap::new();
    let (mut of_row, mut of_slot, mut starts, mut ends) = (vec![], vec![], vec![], vec![]);
    let (mut picked, mut shown): (Vec<u32>, Vec<u32>) = (vec![], vec![]);
    for (row, pane) in panes.values().iter().enumerate() {
        for window in grid.windows_of(*pane).filter(|w| wanted(*w, &keys[row])) {
            let index = u32::try_from(row).unwrap_or(u32::MAX);
            let next = u32::try_from(slots.len()).unwrap_or(u32::MAX);
            let slot = *slots.entry((window, keys[row].as_ref())).or_insert_with(|| {
                starts.push(grid.start(window));
                ends.push(grid.end(window));
                shown.push(index);
                of_slot.push(next);
                next
            });
            of_row.push(slot);
            picked.push(index);
        }
    }
    let len = starts.len();
    let merged = of_row.len() != len;
    let names = buffer_names(header);
    let mut value: Columns = vec![];
    let mut column = 0;
    while let Some((stored_name, _)) = header.schema.values.get(column) {
        let call = stored_name.split('.').next().unwrap_or_default();
        let same =
            header.schema.values.iter().skip(column).take_while(|(n, _)| n.split('.').next() == Some(call));
        let count = same.count();
        let own = (column..column + count).map(|i| taken(stored.column(width + i), &picked));
        let mut own = own.collect::<Result<Vec<_>>>()?;
        if merged {
            let function = call_of(stored_name).map_or("", |(function, _)| function);
            let mut buffer = mergeable(function, own[0].data_type())?.create()?;
            buffer.grow(len);
            buffer.merge_columns(&of_row, &own)?;
            own = buffer.export(&of_slot)?;
        }
        value.extend(own.into_iter().enumerate().map(|(i, c)| (names[column + i].clone(), c)));
        column += count;
    }
    let edge = |micros: Vec<i64>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
    };
    let mut key: Columns = vec![];
    for (i, (key_name, _)) in header.schema.keys.iter().enumerate().skip(1) {
        key.push((key_name.clone(), taken(stored.column(i), &shown)?));
    }
    key.insert((*position).min(key.len()), (name.clone(), window(edge(starts), edge(ends))?));
    Ok((key, buffers(header, value), len))
}

/// A call whose buffers are like this and can be merged without knowing its arguments.
fn mergeable(function: &str, buffer: &DataType) -> Result<AggregateCall> {
    let input = match (function, buffer) {
        ("count" | "count_if" | "regr_count", _) => DataType::Int64,
        ("sum" | "try_sum" | "avg" | "max" | "min", DataType::Int64 | DataType::Float64) => buffer.clone(),
        ("max" | "min", other) => other.clone(),
        _ => {
            let feature = format!("reading the state of overlapping windows with the function `{function}`");
            return Err(SparkError::unsupported(feature));
        }
    };
    let function = if matches!(function, "count_if" | "regr_count") { "count" } else { function };
    AggregateCall::resolve(function, &[input], AggregateOptions::default())
}

/// The column of change types.
pub(super) fn change_types(updated: usize, removed: usize) -> ArrayRef {
    let types = std::iter::repeat_n("update", updated).chain(std::iter::repeat_n("delete", removed));
    Arc::new(types.map(Some).collect::<StringArray>())
}
