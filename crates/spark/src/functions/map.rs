//! Maps: made, taken apart, asked for a key.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt64Builder, new_empty_array},
    buffer::{NullBuffer, OffsetBuffer},
    compute::{interleave, take},
    datatypes::{DataType, FieldRef},
};
use millstream_engine::{Result, SparkError};

use super::{
    Args, Call, Function, Kernel, MANY,
    collection::{comparable, element_of, same_type, span},
    custom, exprs, kernel_call, unexpected_input,
};
use crate::{
    expression::{TypedExpr, coercion::map_fields, implicit_cast},
    types,
};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["map"], 0, MANY, map),
    custom(&["map_from_arrays"], 2, 2, map_from_arrays),
    custom(&["map_keys"], 1, 1, |call| map_side(call, "map_keys", 0)),
    custom(&["map_values"], 1, 1, |call| map_side(call, "map_values", 1)),
    custom(&["map_entries"], 1, 1, map_entries),
    custom(&["map_contains_key"], 2, 2, map_contains_key),
];

fn map(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("map");
    if !call.args.len().is_multiple_of(2) {
        return Err(SparkError::new("WRONG_NUM_ARGS.WITHOUT_SUGGESTION")
            .with("functionName", "`map`")
            .with("expectedNum", "2n (n > 0)")
            .with("actualNum", call.args.len().to_string())
            .with("docroot", "https://spark.apache.org/docs/latest"));
    }
    let side = |first: usize, class: &str| -> Result<Vec<TypedExpr>> {
        let items: Vec<TypedExpr> = call.args.iter().skip(first).step_by(2).cloned().collect();
        same_type(items.clone(), "map", &sql, conf).map_err(|_| {
            let shown: Vec<String> =
                items.iter().map(|e| format!("\"{}\"", types::sql_name(e.data_type()))).collect();
            SparkError::new(class)
                .with("sqlExpr", format!("\"{sql}\""))
                .with("functionName", "`map`")
                .with("dataType", format!("[{}]", shown.join(", ")))
        })
    };
    let keys = side(0, "DATATYPE_MISMATCH.CREATE_MAP_KEY_DIFF_TYPES")?;
    let values = side(1, "DATATYPE_MISMATCH.CREATE_MAP_VALUE_DIFF_TYPES")?;
    let of = |items: &[TypedExpr]| items.first().map_or(DataType::Null, |e| e.data_type().clone());
    let t = types::map_of(of(&keys), of(&values), values.iter().any(TypedExpr::nullable));
    let mut args = exprs(&keys);
    args.extend(exprs(&values));
    let expr = kernel_call("map", map_kernel, args, t.clone(), false, evaluation);
    Ok(TypedExpr::new(expr, t, false, sql))
}

/// Keys, then values, as columns.
fn map_kernel(args: &Args) -> Result<ArrayRef> {
    let columns = args.arrays()?;
    let (keys, values) = columns.split_at(columns.len() / 2);
    let DataType::Map(entries, _) = args.return_type else { return Err(SparkError::internal("a map")) };
    let Some((key, value)) = map_fields(entries) else { return Err(SparkError::internal("a map")) };
    let places: Vec<(usize, usize)> =
        (0..args.rows).flat_map(|row| (0..keys.len()).map(move |column| (column, row))).collect();
    let all = |columns: &[ArrayRef], field: &FieldRef| -> Result<ArrayRef> {
        let parts: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
        if parts.is_empty() {
            Ok(new_empty_array(field.data_type()))
        } else {
            Ok(interleave(&parts, &places)?)
        }
    };
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(keys.len(), args.rows));
    build_map(args.return_type, offsets, all(keys, key)?, all(values, value)?, None)
}

/// A map column; null and repeated keys are errors, as in Spark.
pub(super) fn build_map(
    t: &DataType,
    offsets: OffsetBuffer<i32>,
    keys: ArrayRef,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let DataType::Map(entries, sorted) = t else { return Err(SparkError::internal("a map")) };
    let DataType::Struct(fields) = entries.data_type() else { return Err(SparkError::internal("a map")) };
    if *keys.data_type() != DataType::Null {
        if keys.null_count() > 0 {
            return Err(SparkError::new("NULL_MAP_KEY"));
        }
        let rows = comparable(&keys)?;
        for range in offsets.windows(2) {
            let (from, to) = (usize::try_from(range[0]).unwrap_or(0), usize::try_from(range[1]).unwrap_or(0));
            let mut seen = std::collections::HashSet::new();
            for i in from..to {
                if !seen.insert(rows.row(i)) {
                    let key = datafusion::common::ScalarValue::try_from_array(&keys, i)?;
                    return Err(SparkError::new("DUPLICATED_MAP_KEY")
                        .with("key", key.to_string())
                        .with("mapKeyDedupPolicy", "\"spark.sql.mapKeyDedupPolicy\""));
                }
            }
        }
    }
    let pairs =
        StructArray::try_new_with_length(fields.clone(), vec![Arc::clone(&keys), values], None, keys.len())?;
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted)?))
}

fn map_from_arrays(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as("map_from_arrays");
    let (keys, values) = call.two()?;
    for (i, side) in [&keys, &values].into_iter().enumerate() {
        if !matches!(side.data_type(), DataType::List(_)) {
            return Err(unexpected_input(&sql, i, "\"ARRAY\"", side));
        }
    }
    let (key, value) = (element_of(keys.data_type())?, element_of(values.data_type())?);
    let t = types::map_of(key.data_type().clone(), value.data_type().clone(), value.is_nullable());
    let nullable = keys.nullable() || values.nullable();
    let f: Kernel = |args| {
        let (keys, values) = (args.array(0)?, args.array(1)?);
        let (keys, values) = (keys.as_list::<i32>(), values.as_list::<i32>());
        let nulls = NullBuffer::union(keys.nulls(), values.nulls());
        let (mut key_picks, mut value_picks) = (UInt64Builder::new(), UInt64Builder::new());
        let mut lengths = Vec::with_capacity(args.rows);
        for row in 0..args.rows {
            if nulls.as_ref().is_some_and(|n| n.is_null(row)) {
                lengths.push(0);
                continue;
            }
            let (a, b) = (span(keys, row), span(values, row));
            if a.len() != b.len() {
                return Err(SparkError::unsupported("`map_from_arrays` of arrays of different lengths"));
            }
            lengths.push(a.len());
            key_picks.append_slice(&a.map(|i| i as u64).collect::<Vec<_>>());
            value_picks.append_slice(&b.map(|i| i as u64).collect::<Vec<_>>());
        }
        let keys = take(keys.values(), &key_picks.finish(), None)?;
        let values = take(values.values(), &value_picks.finish(), None)?;
        build_map(args.return_type, OffsetBuffer::from_lengths(lengths), keys, values, nulls)
    };
    let expr =
        kernel_call("map_from_arrays", f, vec![keys.expr, values.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// The argument as a map with its key and value fields.
fn map_argument(call: Call, sql: &str) -> Result<(TypedExpr, FieldRef, FieldRef)> {
    let map = call.one()?;
    let fields = match map.data_type() {
        DataType::Map(entries, _) => map_fields(entries).map(|(k, v)| (Arc::clone(k), Arc::clone(v))),
        _ => None,
    };
    match fields {
        Some((key, value)) => Ok((map, key, value)),
        None => Err(unexpected_input(sql, 0, "\"MAP\"", &map)),
    }
}

fn map_side(call: Call, name: &str, side: usize) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as(name);
    let (map, key, value) = map_argument(call, &sql)?;
    let field = if side == 0 { key } else { value };
    let t = types::list_of(field.data_type().clone(), field.is_nullable());
    let nullable = map.nullable();
    let f: Kernel = if side == 0 { |args| side_kernel(args, 0) } else { |args| side_kernel(args, 1) };
    let expr = kernel_call(name, f, vec![map.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn side_kernel(args: &Args, side: usize) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let map = array.as_map();
    let values = if side == 0 { map.keys() } else { map.values() };
    let field = element_of(args.return_type)?;
    Ok(Arc::new(ListArray::try_new(field, map.offsets().clone(), Arc::clone(values), map.nulls().cloned())?))
}

fn map_entries(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as("map_entries");
    let (map, key, value) = map_argument(call, &sql)?;
    let entry =
        types::struct_of([key.as_ref().clone().with_name("key"), value.as_ref().clone().with_name("value")]);
    let t = types::list_of(entry, false);
    let nullable = map.nullable();
    let f: Kernel = |args| {
        let array = args.array(0)?;
        let map = array.as_map();
        let field = element_of(args.return_type)?;
        let DataType::Struct(fields) = field.data_type() else {
            return Err(SparkError::internal("map entries"));
        };
        let entries = StructArray::try_new(
            fields.clone(),
            vec![Arc::clone(map.keys()), Arc::clone(map.values())],
            None,
        )?;
        Ok(Arc::new(ListArray::try_new(
            field,
            map.offsets().clone(),
            Arc::new(entries),
            map.nulls().cloned(),
        )?))
    };
    let expr = kernel_call("map_entries", f, vec![map.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn map_contains_key(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("map_contains_key");
    let (map, wanted) = call.two()?;
    let DataType::Map(entries, _) = map.data_type() else {
        return Err(unexpected_input(&sql, 0, "\"MAP\"", &map));
    };
    let Some((key, _)) = map_fields(entries) else { return Err(SparkError::internal("a map")) };
    let key = key.data_type().clone();
    let wanted = implicit_cast(wanted, &key, conf)?;
    let nullable = map.nullable() || wanted.nullable();
    let f: Kernel = |args| {
        let array = args.array(0)?;
        let map = array.as_map();
        let (keys, wanted) = (comparable(map.keys())?, comparable(&args.array(1)?)?);
        args.build_booleans(|row| {
            let offsets = map.value_offsets();
            let mut range =
                usize::try_from(offsets[row]).unwrap_or(0)..usize::try_from(offsets[row + 1]).unwrap_or(0);
            Ok(Some(range.any(|i| keys.row(i) == wanted.row(row))))
        })
    };
    let expr = kernel_call(
        "map_contains_key",
        f,
        vec![map.expr, wanted.expr],
        DataType::Boolean,
        nullable,
        evaluation,
    );
    Ok(TypedExpr::new(expr, DataType::Boolean, nullable, sql))
}
