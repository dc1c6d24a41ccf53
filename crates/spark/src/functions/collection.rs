//! Making arrays, structs and maps, and taking them apart.

use std::sync::Arc;

use datafusion::arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryBuilder, ListArray, StructArray, UInt64Builder, new_empty_array,
    },
    buffer::{NullBuffer, OffsetBuffer},
    compute::{interleave, take},
    datatypes::{DataType, Field, FieldRef, Fields, Int32Type},
    row::{RowConverter, SortField},
};
use millstream_engine::{Result, SparkError};

use super::{
    Args, Call, Evaluation, Function, Kernel, MANY, Mode, custom, exprs, kernel_call, unexpected_input,
};
use crate::{
    SessionConf,
    expression::{
        Input, TypedExpr,
        coercion::{self, map_fields},
        extract, implicit_cast,
    },
    types,
};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["array"], 0, MANY, array),
    custom(&["struct"], 0, MANY, structure),
    custom(&["named_struct"], 0, MANY, named_struct),
    custom(&["element_at"], 2, 2, |call| element_at(call, false)),
    custom(&["try_element_at"], 2, 2, |call| element_at(call, true)),
    custom(&["get"], 2, 2, get),
    custom(&["size", "cardinality"], 1, 1, size),
    custom(&["array_size"], 1, 1, array_size),
    custom(&["concat"], 0, MANY, concat),
    custom(&["reverse"], 1, 1, reverse),
];

/// All of `args` in their common type.
pub(super) fn same_type(
    args: Vec<TypedExpr>,
    function: &str,
    sql: &str,
    conf: &SessionConf,
) -> Result<Vec<TypedExpr>> {
    let all: Vec<DataType> = args.iter().map(|arg| arg.data_type().clone()).collect();
    let Some(to) = coercion::wider_of_all(&all, conf.ansi) else {
        let shown: Vec<String> = all.iter().map(|t| format!("\"{}\"", types::sql_name(t))).collect();
        return Err(SparkError::new("DATATYPE_MISMATCH.DATA_DIFF_TYPES")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("functionName", format!("`{function}`"))
            .with("dataType", format!("[{}]", shown.join(", "))));
    };
    args.into_iter().map(|arg| implicit_cast(arg, &to, conf)).collect()
}

/// The element field of a list type.
pub(super) fn element_of(t: &DataType) -> Result<FieldRef> {
    match t {
        DataType::List(field) => Ok(Arc::clone(field)),
        other => Err(SparkError::internal(format!("{other} is no array"))),
    }
}

/// The rows of a list's values that row `row` holds.
pub(super) fn span(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = list.value_offsets();
    usize::try_from(offsets[row]).unwrap_or(0)..usize::try_from(offsets[row + 1]).unwrap_or(0)
}

/// A list a row, its elements picked from `values` by index (`None`: null).
pub(super) struct Picks {
    indexes: UInt64Builder,
    lengths: Vec<usize>,
    valid: Vec<bool>,
    current: usize,
}

impl Picks {
    pub(super) fn new(rows: usize) -> Self {
        Self {
            indexes: UInt64Builder::new(),
            lengths: Vec::with_capacity(rows),
            valid: Vec::with_capacity(rows),
            current: 0,
        }
    }

    pub(super) fn push(&mut self, index: Option<usize>) {
        self.indexes.append_option(index.map(|i| i as u64));
        self.current += 1;
    }

    pub(super) fn end_row(&mut self, valid: bool) {
        self.lengths.push(std::mem::take(&mut self.current));
        self.valid.push(valid);
    }

    pub(super) fn finish(mut self, values: &ArrayRef, list: &DataType) -> Result<ArrayRef> {
        let field = element_of(list)?;
        let values = take(values, &self.indexes.finish(), None)?;
        let nulls = self.valid.contains(&false).then(|| NullBuffer::from(self.valid));
        Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(self.lengths), values, nulls)?))
    }
}

fn array(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("array");
    let args = same_type(call.args, "array", &sql, conf)?;
    let element = args.first().map_or(DataType::Null, |arg| arg.data_type().clone());
    let t = types::list_of(element, args.iter().any(TypedExpr::nullable));
    let expr = kernel_call("array", array_kernel, exprs(&args), t.clone(), false, evaluation);
    Ok(TypedExpr::new(expr, t, false, sql))
}

fn array_kernel(args: &Args) -> Result<ArrayRef> {
    let field = element_of(args.return_type)?;
    let columns = args.arrays()?;
    let parts: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
    let places: Vec<(usize, usize)> =
        (0..args.rows).flat_map(|row| (0..columns.len()).map(move |column| (column, row))).collect();
    let values =
        if parts.is_empty() { new_empty_array(field.data_type()) } else { interleave(&parts, &places)? };
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(columns.len(), args.rows));
    Ok(Arc::new(ListArray::try_new(field, offsets, values, None)?))
}

fn structure(call: Call) -> Result<TypedExpr> {
    let sql = call.sql_as("struct");
    let names = call
        .args
        .iter()
        .enumerate()
        .map(|(i, arg)| if arg.named { arg.name.clone() } else { format!("col{}", i + 1) })
        .collect();
    struct_of(names, &call.args, sql, call.evaluation())
}

fn named_struct(call: Call) -> Result<TypedExpr> {
    let sql = call.sql_as("named_struct");
    if !call.args.len().is_multiple_of(2) {
        return Err(SparkError::new("WRONG_NUM_ARGS.WITHOUT_SUGGESTION")
            .with("functionName", "`named_struct`")
            .with("expectedNum", "2n (n > 0)")
            .with("actualNum", call.args.len().to_string())
            .with("docroot", "https://spark.apache.org/docs/latest"));
    }
    let mut names = Vec::new();
    let mut values = Vec::new();
    for pair in call.args.chunks_exact(2) {
        match pair[0].literal_str() {
            Some(name) => names.push(name.to_string()),
            None => {
                return Err(SparkError::new("DATATYPE_MISMATCH.CREATE_NAMED_STRUCT_WITHOUT_FOLDABLE_STRING")
                    .with("sqlExpr", format!("\"{sql}\""))
                    .with("inputExprs", format!("[\"{}\"]", pair[0].sql)));
            }
        }
        values.push(pair[1].clone());
    }
    struct_of(names, &values, sql, call.evaluation())
}

fn struct_of(
    names: Vec<String>,
    values: &[TypedExpr],
    sql: String,
    evaluation: Evaluation,
) -> Result<TypedExpr> {
    let fields: Fields = names
        .iter()
        .zip(values)
        .map(|(name, value)| {
            Field::new(name, value.data_type().clone(), value.nullable())
                .with_metadata(value.field.metadata().clone())
        })
        .collect();
    let t = DataType::Struct(fields);
    let expr = kernel_call("struct", struct_kernel, exprs(values), t.clone(), false, evaluation);
    Ok(TypedExpr::new(expr, t, false, sql))
}

fn struct_kernel(args: &Args) -> Result<ArrayRef> {
    let DataType::Struct(fields) = args.return_type else { return Err(SparkError::internal("a struct")) };
    Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), args.arrays()?, None, args.rows)?))
}

/// Values with one zero and one NaN.
pub(super) fn normalized(values: &ArrayRef) -> ArrayRef {
    use datafusion::arrow::datatypes::{Float32Type, Float64Type};
    match values.data_type() {
        DataType::Float64 => Arc::new(
            values
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v + 0.0 }),
        ),
        DataType::Float32 => Arc::new(
            values
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v + 0.0 }),
        ),
        _ => Arc::clone(values),
    }
}

/// Values as comparable rows, with one zero and one NaN; nulls come first.
pub(super) fn comparable(values: &ArrayRef) -> Result<datafusion::arrow::row::Rows> {
    let values = normalized(values);
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    Ok(converter.convert_columns(&[values])?)
}

/// `element_at(array, i)` counts from 1, from the end when negative; of a map, by key.
fn element_at(call: Call, tolerant: bool) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let evaluation = call.evaluation().with_mode(if tolerant { Mode::Try } else { call.evaluation().mode });
    let sql = call.sql_as(call.name);
    let (child, wanted) = call.two()?;
    match child.data_type().clone() {
        DataType::List(element) => {
            let Some(index) =
                Input::Int.coerce(wanted.clone(), conf).filter(|_| coercion::is_integral(wanted.data_type()))
            else {
                return Err(unexpected_input(&sql, 1, "\"INT\"", &wanted));
            };
            let t = element.data_type().clone();
            let args = vec![child.expr, index.expr];
            let expr = kernel_call("element_at", element_at_kernel, args, t.clone(), true, evaluation);
            Ok(TypedExpr::new(expr, t, true, sql))
        }
        DataType::Map(entries, _) => {
            let Some((key, _)) = map_fields(&entries) else { return Err(SparkError::internal("a map")) };
            let key = implicit_cast(wanted, key.data_type(), conf)?;
            extract::map_value(child, key, sql, conf)
        }
        _ => Err(unexpected_input(&sql, 0, "(\"ARRAY\" or \"MAP\")", &child)),
    }
}

fn element_at_kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let list = array.as_list::<i32>();
    let indexes = args.primitives::<Int32Type>(1)?;
    let mut picks = UInt64Builder::with_capacity(args.rows);
    for row in 0..args.rows {
        if list.is_null(row) || indexes.is_null(row) {
            picks.append_null();
            continue;
        }
        let range = span(list, row);
        let index = indexes.value(row);
        if index == 0 {
            return Err(SparkError::new("INVALID_INDEX_OF_ZERO"));
        }
        let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
        if distance > range.len() {
            if args.evaluation.ansi() {
                return Err(SparkError::new("INVALID_ARRAY_INDEX_IN_ELEMENT_AT")
                    .with("indexValue", index.to_string())
                    .with("arraySize", range.len().to_string())
                    .with("ansiConfig", crate::conf::ANSI_CONFIG));
            }
            picks.append_null();
        } else {
            let at = if index > 0 { range.start + distance - 1 } else { range.end - distance };
            picks.append_value(at as u64);
        }
    }
    Ok(take(list.values(), &picks.finish(), None)?)
}

/// `get(array, i)` counts from 0 and is null outside.
fn get(call: Call) -> Result<TypedExpr> {
    let conf = call.resolver.conf;
    let evaluation = call.evaluation().with_mode(Mode::Legacy);
    let sql = call.sql_as("get");
    let (child, index) = call.two()?;
    if !matches!(child.data_type(), DataType::List(_)) {
        return Err(unexpected_input(&sql, 0, "\"ARRAY\"", &child));
    }
    if !coercion::is_integral(index.data_type()) && *index.data_type() != DataType::Null {
        return Err(unexpected_input(&sql, 1, "\"INTEGRAL\"", &index));
    }
    let index = implicit_cast(index, &DataType::Int64, conf)?;
    extract::element_at_index(child, index, sql, evaluation)
}

/// `size`: of null it is null under ANSI and -1 otherwise.
fn size(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as(call.name);
    let child = call.one()?;
    if !matches!(child.data_type(), DataType::List(_) | DataType::Map(..)) {
        return Err(unexpected_input(&sql, 0, "(\"ARRAY\" or \"MAP\")", &child));
    }
    let nullable = evaluation.ansi() && child.nullable();
    let expr = kernel_call("size", size_kernel, vec![child.expr], DataType::Int32, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Int32, nullable, sql))
}

fn array_size(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation().with_mode(Mode::Ansi);
    let sql = call.sql_as("array_size");
    let child = call.one()?;
    if !matches!(child.data_type(), DataType::List(_)) {
        return Err(unexpected_input(&sql, 0, "\"ARRAY\"", &child));
    }
    let nullable = child.nullable();
    let expr = kernel_call("size", size_kernel, vec![child.expr], DataType::Int32, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Int32, nullable, sql))
}

fn size_kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let offsets = match array.data_type() {
        DataType::Map(..) => array.as_map().offsets().clone(),
        _ => array.as_list::<i32>().offsets().clone(),
    };
    let sizes = (0..args.rows).map(|row| {
        if array.is_valid(row) {
            Some(offsets[row + 1] - offsets[row])
        } else {
            (!args.evaluation.ansi()).then_some(-1)
        }
    });
    Ok(Arc::new(sizes.collect::<datafusion::arrow::array::Int32Array>()))
}

/// `concat` of strings, of binaries, or of arrays.
fn concat(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("concat");
    let is = |f: fn(&DataType) -> bool| call.args.iter().any(|arg| f(arg.data_type()));
    if is(|t| matches!(t, DataType::List(_))) {
        let args = same_type(call.args, "concat", &sql, conf)?;
        let t = args.first().map_or(DataType::Null, |arg| arg.data_type().clone());
        let nullable = args.iter().any(TypedExpr::nullable);
        let expr = kernel_call("concat_arrays", concat_arrays, exprs(&args), t.clone(), nullable, evaluation);
        return Ok(TypedExpr::new(expr, t, nullable, sql));
    }
    let binary = !call.args.is_empty() && call.args.iter().all(|arg| *arg.data_type() == DataType::Binary);
    let to = if binary { DataType::Binary } else { DataType::Utf8 };
    let args = call
        .args
        .into_iter()
        .enumerate()
        .map(|(i, arg)| match arg.data_type() {
            DataType::Map(..) | DataType::Struct(_) => {
                Err(unexpected_input(&sql, i, "(\"STRING\" or \"BINARY\" or \"ARRAY\")", &arg))
            }
            _ => implicit_cast(arg, &to, conf),
        })
        .collect::<Result<Vec<_>>>()?;
    let nullable = args.iter().any(TypedExpr::nullable);
    let (name, f): (_, Kernel) =
        if binary { ("concat_binary", concat_binary) } else { ("concat", concat_strings) };
    let expr = kernel_call(name, f, exprs(&args), to.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, to, nullable, sql))
}

fn concat_strings(args: &Args) -> Result<ArrayRef> {
    let parts = (0..args.len()).map(|i| args.strings(i)).collect::<Result<Vec<_>>>()?;
    args.build_strings(|row, out| {
        for part in &parts {
            out.push_str(part.value(row));
        }
        Ok(true)
    })
}

fn concat_binary(args: &Args) -> Result<ArrayRef> {
    let parts = (0..args.len()).map(|i| args.binaries(i)).collect::<Result<Vec<_>>>()?;
    let valid = args.validity()?;
    let mut out = BinaryBuilder::new();
    for row in 0..args.rows {
        if valid.as_ref().is_none_or(|v| v.is_valid(row)) {
            out.append_value(parts.iter().flat_map(|part| part.value(row)).copied().collect::<Vec<u8>>());
        } else {
            out.append_null();
        }
    }
    Ok(Arc::new(out.finish()))
}

/// The values of several list columns as one array, with where each column's begin.
pub(super) fn pooled(lists: &[&ListArray]) -> Result<(ArrayRef, Vec<usize>)> {
    let parts: Vec<&dyn Array> = lists.iter().map(|list| list.values().as_ref()).collect();
    let mut starts = Vec::with_capacity(parts.len());
    let mut total = 0;
    for part in &parts {
        starts.push(total);
        total += part.len();
    }
    Ok((datafusion::arrow::compute::concat(&parts)?, starts))
}

fn concat_arrays(args: &Args) -> Result<ArrayRef> {
    let columns = args.arrays()?;
    let lists: Vec<&ListArray> = columns.iter().map(|column| column.as_list::<i32>()).collect();
    let (values, starts) = pooled(&lists)?;
    let valid = args.validity()?;
    let mut picks = Picks::new(args.rows);
    for row in 0..args.rows {
        let is_valid = valid.as_ref().is_none_or(|v| v.is_valid(row));
        if is_valid {
            for (list, start) in lists.iter().zip(&starts) {
                span(list, row).for_each(|i| picks.push(Some(start + i)));
            }
        }
        picks.end_row(is_valid);
    }
    picks.finish(&values, args.return_type)
}

/// `reverse` of a string's characters, a binary's bytes or an array's elements.
fn reverse(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("reverse");
    let child = call.one()?;
    let child = match child.data_type() {
        DataType::List(_) | DataType::Binary => child,
        _ => Input::String
            .coerce(child.clone(), conf)
            .ok_or_else(|| unexpected_input(&sql, 0, "(\"STRING\" or \"ARRAY\")", &child))?,
    };
    let (t, nullable) = (child.data_type().clone(), child.nullable());
    let expr = kernel_call("reverse", reverse_kernel, vec![child.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn reverse_kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let mut picks = Picks::new(args.rows);
            for row in 0..args.rows {
                if list.is_valid(row) {
                    span(list, row).rev().for_each(|i| picks.push(Some(i)));
                }
                picks.end_row(list.is_valid(row));
            }
            picks.finish(list.values(), args.return_type)
        }
        DataType::Binary => {
            let bytes = array.as_binary::<i32>();
            let mut out = BinaryBuilder::new();
            for value in bytes {
                out.append_option(value.map(|v| v.iter().rev().copied().collect::<Vec<u8>>()));
            }
            Ok(Arc::new(out.finish()))
        }
        _ => {
            let texts = args.strings(0)?;
            args.build_strings(|row, out| {
                out.extend(texts.value(row).chars().rev());
                Ok(true)
            })
        }
    }
}
