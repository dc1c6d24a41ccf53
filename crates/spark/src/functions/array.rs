//! Array functions: searching, sorting, sets, and joining.

use std::{cmp::Ordering, collections::HashSet, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, ListArray, UInt64Builder},
        compute::take,
        datatypes::{DataType, Int32Type, Int64Type},
    },
    common::ScalarValue,
    logical_expr::Expr,
};
use millstream_engine::{Result, SparkError};

use super::{
    Args, Call, Evaluation, Function, Kernel, coerce,
    collection::{Picks, comparable, element_of, normalized, pooled, span},
    custom, exprs, kernel_call, unexpected_input,
};
use crate::{
    expression::{Input, TypedExpr, coercion, implicit_cast},
    types,
};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["array_contains"], 2, 2, |call| {
        search(call, "array_contains", DataType::Boolean, true, contains)
    }),
    custom(&["array_position"], 2, 2, |call| {
        search(call, "array_position", DataType::Int64, false, position)
    }),
    custom(&["array_remove"], 2, 2, remove),
    custom(&["array_append"], 2, 2, |call| extend(call, "array_append")),
    custom(&["array_prepend"], 2, 2, |call| extend(call, "array_prepend")),
    custom(&["array_distinct"], 1, 1, |call| unary(call, "array_distinct", distinct)),
    custom(&["array_compact"], 1, 1, compact),
    custom(&["sort_array"], 1, 2, sort_array),
    custom(&["array_sort"], 1, 1, array_sort),
    custom(&["array_max"], 1, 1, |call| extreme(call, "array_max")),
    custom(&["array_min"], 1, 1, |call| extreme(call, "array_min")),
    custom(&["array_union"], 2, 2, |call| set(call, "array_union", union)),
    custom(&["array_intersect"], 2, 2, |call| set(call, "array_intersect", intersect)),
    custom(&["array_except"], 2, 2, |call| set(call, "array_except", except)),
    custom(&["arrays_overlap"], 2, 2, overlap),
    custom(&["slice"], 3, 3, slice),
    custom(&["array_join"], 2, 3, join),
    custom(&["array_repeat"], 2, 2, repeat),
    custom(&["flatten"], 1, 1, flatten),
    custom(&["sequence"], 2, 3, sequence),
];

/// The call's only argument, an array.
fn list_argument(call: Call, sql: &str) -> Result<TypedExpr> {
    let child = call.one()?;
    if matches!(child.data_type(), DataType::List(_)) {
        Ok(child)
    } else {
        Err(unexpected_input(sql, 0, "\"ARRAY\"", &child))
    }
}

/// A function from an array to an array of the same type.
fn unary(call: Call, name: &str, f: Kernel) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as(name);
    let child = list_argument(call, &sql)?;
    let (t, nullable) = (child.data_type().clone(), child.nullable());
    let expr = kernel_call(name, f, vec![child.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// An array and a value of its element type, both widened to their common type.
fn with_value(call: Call, name: &str, sql: &str) -> Result<(TypedExpr, TypedExpr)> {
    let conf = call.resolver.conf;
    let (list, value) = call.two()?;
    let mismatch = |list: &TypedExpr| {
        let quoted = |e: &TypedExpr| format!("\"{}\"", types::sql_name(e.data_type()));
        SparkError::new("DATATYPE_MISMATCH.ARRAY_FUNCTION_DIFF_TYPES")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("functionName", format!("`{name}`"))
            .with("dataType", "\"ARRAY\"")
            .with("leftType", quoted(list))
            .with("rightType", quoted(&value))
    };
    let DataType::List(element) = list.data_type().clone() else { return Err(mismatch(&list)) };
    if *value.data_type() == DataType::Null {
        return Err(SparkError::new("DATATYPE_MISMATCH.NULL_TYPE")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("functionName", format!("`{name}`")));
    }
    let Some(to) = coercion::wider_without_strings(element.data_type(), value.data_type(), conf.ansi) else {
        return Err(mismatch(&list));
    };
    let value = implicit_cast(value.clone(), &to, conf)?;
    let list = implicit_cast(list, &types::list_of(to, element.is_nullable()), conf)?;
    Ok((list, value))
}

fn search(call: Call, name: &str, t: DataType, unknown: bool, f: Kernel) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as(name);
    let (list, value) = with_value(call, name, &sql)?;
    let inner = element_of(list.data_type())?.is_nullable();
    let nullable = list.nullable() || value.nullable() || (unknown && inner);
    let expr = kernel_call(name, f, vec![list.expr, value.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// True, false, or null where a null might have been it.
fn contains(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let list = array.as_list::<i32>();
    let (items, wanted) = (comparable(list.values())?, comparable(&args.array(1)?)?);
    args.build_booleans(|row| {
        let found = span(list, row).any(|i| items.row(i) == wanted.row(row));
        let unknown = !found && span(list, row).any(|i| list.values().is_null(i));
        Ok((!unknown).then_some(found))
    })
}

fn position(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let list = array.as_list::<i32>();
    let (items, wanted) = (comparable(list.values())?, comparable(&args.array(1)?)?);
    args.build::<Int64Type>(|row| {
        let found = span(list, row).position(|i| items.row(i) == wanted.row(row));
        Ok(i64::try_from(found.map_or(0, |i| i + 1)).ok())
    })
}

fn remove(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as("array_remove");
    let (list, value) = with_value(call, "array_remove", &sql)?;
    let nullable = list.nullable() || value.nullable();
    let t = list.data_type().clone();
    let f: Kernel = |args| {
        let array = args.array(0)?;
        let list = array.as_list::<i32>();
        let (items, wanted) = (comparable(list.values())?, comparable(&args.array(1)?)?);
        picked(args, list.values(), |row, picks| {
            span(list, row).filter(|i| items.row(*i) != wanted.row(row)).for_each(|i| picks.push(Some(i)));
        })
    };
    let expr = kernel_call("array_remove", f, vec![list.expr, value.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// A list of picks from `values` for each row where no argument is null.
fn picked(args: &Args, values: &ArrayRef, mut f: impl FnMut(usize, &mut Picks)) -> Result<ArrayRef> {
    let valid = args.validity()?;
    let mut picks = Picks::new(args.rows);
    for row in 0..args.rows {
        let is_valid = valid.as_ref().is_none_or(|v| v.is_valid(row));
        if is_valid {
            f(row, &mut picks);
        }
        picks.end_row(is_valid);
    }
    picks.finish(values, args.return_type)
}

fn extend(call: Call, name: &str) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as(name);
    let (list, value) = with_value(call, name, &sql)?;
    let element = element_of(list.data_type())?;
    let t = types::list_of(element.data_type().clone(), element.is_nullable() || value.nullable());
    let nullable = list.nullable();
    let f: Kernel = if name == "array_append" {
        |args| extend_kernel(args, true)
    } else {
        |args| extend_kernel(args, false)
    };
    let expr = kernel_call(name, f, vec![list.expr, value.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn extend_kernel(args: &Args, after: bool) -> Result<ArrayRef> {
    let (array, value) = (args.array(0)?, args.array(1)?);
    let list = array.as_list::<i32>();
    let values = datafusion::arrow::compute::concat(&[list.values().as_ref(), value.as_ref()])?;
    let start = list.values().len();
    let mut picks = Picks::new(args.rows);
    for row in 0..args.rows {
        if list.is_valid(row) {
            if !after {
                picks.push(Some(start + row));
            }
            span(list, row).for_each(|i| picks.push(Some(i)));
            if after {
                picks.push(Some(start + row));
            }
        }
        picks.end_row(list.is_valid(row));
    }
    picks.finish(&values, args.return_type)
}

fn distinct(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let list = array.as_list::<i32>();
    // A negative zero comes out as zero.
    let values = normalized(list.values());
    let items = comparable(&values)?;
    picked(args, &values, |row, picks| {
        let mut seen = HashSet::new();
        span(list, row).filter(|i| seen.insert(items.row(*i))).for_each(|i| picks.push(Some(i)));
    })
}

fn compact(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as("array_compact");
    let child = list_argument(call, &sql)?;
    let t = types::list_of(element_of(child.data_type())?.data_type().clone(), false);
    let nullable = child.nullable();
    let f: Kernel = |args| {
        let array = args.array(0)?;
        let list = array.as_list::<i32>();
        picked(args, list.values(), |row, picks| {
            span(list, row).filter(|i| list.values().is_valid(*i)).for_each(|i| picks.push(Some(i)));
        })
    };
    let expr = kernel_call("array_compact", f, vec![child.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// Nulls come first ascending and last descending.
fn sort_array(mut call: Call) -> Result<TypedExpr> {
    if call.args.len() == 1 {
        let yes = Expr::Literal(ScalarValue::Boolean(Some(true)), None);
        call.args.push(TypedExpr::new(yes, DataType::Boolean, false, "true"));
    }
    let evaluation = call.evaluation();
    let sql = call.sql_as("sort_array");
    let (list, ascending) = call.two()?;
    if !matches!(list.data_type(), DataType::List(_)) {
        return Err(unexpected_input(&sql, 0, "\"ARRAY\"", &list));
    }
    let (t, nullable) = (list.data_type().clone(), list.nullable());
    let f: Kernel = |args| {
        let array = args.array(0)?;
        let list = array.as_list::<i32>();
        let items = comparable(list.values())?;
        let ascending = args.booleans(1)?;
        picked(args, list.values(), |row, picks| {
            let mut order: Vec<usize> = span(list, row).collect();
            // Rows order nulls first.
            order.sort_by(|a, b| items.row(*a).cmp(&items.row(*b)));
            if !ascending.value(row) {
                order.reverse();
            }
            order.into_iter().for_each(|i| picks.push(Some(i)));
        })
    };
    let expr = kernel_call("sort_array", f, vec![list.expr, ascending.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// `array_sort` without a comparator: ascending, nulls last. Spark shows the one it stands for.
fn array_sort(call: Call) -> Result<TypedExpr> {
    let f: Kernel = |args| {
        let array = args.array(0)?;
        let list = array.as_list::<i32>();
        let items = comparable(list.values())?;
        picked(args, list.values(), |row, picks| {
            let mut order: Vec<usize> = span(list, row).collect();
            order.sort_by(|a, b| {
                let nulls = |i: usize| list.values().is_null(i);
                nulls(*a).cmp(&nulls(*b)).then_with(|| items.row(*a).cmp(&items.row(*b)))
            });
            order.into_iter().for_each(|i| picks.push(Some(i)));
        })
    };
    let marks = "namedlambdavariable()";
    let less = format!("({marks} < {marks})");
    let null = format!("({marks} IS NULL)");
    let comparator = format!(
        "(IF(({null} AND {null}), 0, (IF({null}, 1, (IF({null}, -1, (IF({less}, -1, (IF(({marks} > {marks}), 1, 0))))))))))"
    );
    let list = call.args.first().map(|list| list.sql.clone()).unwrap_or_default();
    let shown = format!("array_sort({list}, lambdafunction({comparator}, {marks}, {marks}))");
    let sorted = unary(call, "array_sort", f)?;
    Ok(TypedExpr { name: shown.clone(), sql: shown, ..sorted })
}

fn extreme(call: Call, name: &str) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as(name);
    let child = list_argument(call, &sql)?;
    let t = element_of(child.data_type())?.data_type().clone();
    let f: Kernel = if name == "array_max" {
        |args| extreme_kernel(args, Ordering::Greater)
    } else {
        |args| extreme_kernel(args, Ordering::Less)
    };
    let expr = kernel_call(name, f, vec![child.expr], t.clone(), true, evaluation);
    Ok(TypedExpr::new(expr, t, true, sql))
}

fn extreme_kernel(args: &Args, beats: Ordering) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let list = array.as_list::<i32>();
    let items = comparable(list.values())?;
    let mut picks = UInt64Builder::with_capacity(args.rows);
    for row in 0..args.rows {
        let candidates = span(list, row).filter(|i| list.is_valid(row) && list.values().is_valid(*i));
        let best =
            candidates.reduce(|best, i| if items.row(i).cmp(&items.row(best)) == beats { i } else { best });
        picks.append_option(best.map(|i| i as u64));
    }
    Ok(take(list.values(), &picks.finish(), None)?)
}

/// Two arrays of one type.
fn two_lists(call: Call, name: &str, sql: &str) -> Result<(TypedExpr, TypedExpr)> {
    let conf = call.resolver.conf;
    let (a, b) = call.two()?;
    let lists = matches!((a.data_type(), b.data_type()), (DataType::List(_), DataType::List(_)));
    let common = coercion::wider_without_strings(a.data_type(), b.data_type(), conf.ansi).filter(|_| lists);
    let Some(to) = common else {
        let quoted = |e: &TypedExpr| format!("\"{}\"", types::sql_name(e.data_type()));
        return Err(SparkError::new("DATATYPE_MISMATCH.BINARY_ARRAY_DIFF_TYPES")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("functionName", format!("`{name}`"))
            .with("arrayType", "\"ARRAY\"")
            .with("leftType", quoted(&a))
            .with("rightType", quoted(&b)));
    };
    Ok((implicit_cast(a, &to, conf)?, implicit_cast(b, &to, conf)?))
}

fn set(call: Call, name: &str, f: Kernel) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as(name);
    let (a, b) = two_lists(call, name, &sql)?;
    let (t, nullable) = (a.data_type().clone(), a.nullable() || b.nullable());
    let expr = kernel_call(name, f, vec![a.expr, b.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// Elements of the first and of the second array for which `keep(seen in second, new)`.
fn combine(args: &Args, first: impl Fn(bool) -> bool, second: bool) -> Result<ArrayRef> {
    let (a, b) = (args.array(0)?, args.array(1)?);
    let lists: [&ListArray; 2] = [a.as_list::<i32>(), b.as_list::<i32>()];
    let (values, starts) = pooled(&lists)?;
    let items = comparable(&values)?;
    picked(args, &values, |row, picks| {
        let other: Vec<usize> = span(lists[1], row).map(|i| starts[1] + i).collect();
        let present: HashSet<_> = other.iter().map(|i| items.row(*i)).collect();
        let mut seen = HashSet::new();
        for i in span(lists[0], row).map(|i| starts[0] + i) {
            if first(present.contains(&items.row(i))) && seen.insert(items.row(i)) {
                picks.push(Some(i));
            }
        }
        if second {
            other.into_iter().filter(|i| seen.insert(items.row(*i))).for_each(|i| picks.push(Some(i)));
        }
    })
}

fn union(args: &Args) -> Result<ArrayRef> {
    combine(args, |_| true, true)
}

fn intersect(args: &Args) -> Result<ArrayRef> {
    combine(args, |present| present, false)
}

fn except(args: &Args) -> Result<ArrayRef> {
    combine(args, |present| !present, false)
}

fn overlap(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as("arrays_overlap");
    let (a, b) = two_lists(call, "arrays_overlap", &sql)?;
    let inner = element_of(a.data_type())?.is_nullable();
    let nullable = a.nullable() || b.nullable() || inner;
    let f: Kernel = |args| {
        let (a, b) = (args.array(0)?, args.array(1)?);
        let (a, b) = (a.as_list::<i32>(), b.as_list::<i32>());
        let (left, right) = (comparable(a.values())?, comparable(b.values())?);
        args.build_booleans(|row| {
            let valid = |list: &ListArray, i: &usize| list.values().is_valid(*i);
            let present: HashSet<_> = span(b, row).filter(|i| valid(b, i)).map(|i| right.row(i)).collect();
            let found = span(a, row).filter(|i| valid(a, i)).any(|i| present.contains(&left.row(i)));
            let nulls = span(a, row).any(|i| !valid(a, &i)) || span(b, row).any(|i| !valid(b, &i));
            let unknown = !found && nulls && !span(a, row).is_empty() && !span(b, row).is_empty();
            Ok((!unknown).then_some(found))
        })
    };
    let expr =
        kernel_call("arrays_overlap", f, vec![a.expr, b.expr], DataType::Boolean, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Boolean, nullable, sql))
}

fn slice(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("slice");
    let args = coerce(call.args, &[Input::Array, Input::Int, Input::Int], &sql, conf)?;
    let nullable = args.iter().any(TypedExpr::nullable);
    let t = args.first().map_or(DataType::Null, |arg| arg.data_type().clone());
    let expr = kernel_call("slice", slice_kernel, exprs(&args), t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn slice_kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let list = array.as_list::<i32>();
    let (starts, lengths) = (args.primitives::<Int32Type>(1)?, args.primitives::<Int32Type>(2)?);
    let valid = args.validity()?;
    let mut picks = Picks::new(args.rows);
    for row in 0..args.rows {
        let is_valid = valid.as_ref().is_none_or(|v| v.is_valid(row));
        if is_valid {
            let (start, length) = (starts.value(row), lengths.value(row));
            if start == 0 {
                return Err(SparkError::new("INVALID_PARAMETER_VALUE.START")
                    .with("parameter", "`start`")
                    .with("functionName", "`slice`"));
            }
            let Ok(length) = usize::try_from(length) else {
                return Err(SparkError::new("INVALID_PARAMETER_VALUE.LENGTH")
                    .with("parameter", "`length`")
                    .with("length", length.to_string())
                    .with("functionName", "`slice`"));
            };
            let range = span(list, row);
            let distance = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX);
            let skip = if start > 0 { Some(distance - 1) } else { range.len().checked_sub(distance) };
            if let Some(skip) = skip {
                range.skip(skip).take(length).for_each(|i| picks.push(Some(i)));
            }
        }
        picks.end_row(is_valid);
    }
    picks.finish(list.values(), args.return_type)
}

/// `array_join(array, separator, [text for nulls])`.
fn join(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("array_join");
    let mut args = call.args;
    match args.first_mut() {
        Some(list) if matches!(list.data_type(), DataType::List(_)) => {
            *list = implicit_cast(list.clone(), &types::list_of(DataType::Utf8, true), conf)?;
        }
        Some(list) => return Err(unexpected_input(&sql, 0, "\"ARRAY<STRING>\"", list)),
        None => {}
    }
    let args = coerce(args, &[Input::Array, Input::String], &sql, conf)?;
    let nullable = args.iter().any(TypedExpr::nullable);
    let f: Kernel = |args| {
        let array = args.array(0)?;
        let list = array.as_list::<i32>();
        let items = list.values().as_string::<i32>();
        let separators = args.strings(1)?;
        let nulls = if args.len() > 2 { Some(args.strings(2)?) } else { None };
        args.build_strings(|row, out| {
            let mut first = true;
            for i in span(list, row) {
                let text = if items.is_valid(i) {
                    Some(items.value(i))
                } else {
                    nulls.as_ref().map(|n| n.value(row))
                };
                if let Some(text) = text {
                    if !first {
                        out.push_str(separators.value(row));
                    }
                    first = false;
                    out.push_str(text);
                }
            }
            Ok(true)
        })
    };
    let expr = kernel_call("array_join", f, exprs(&args), DataType::Utf8, nullable, evaluation);
    Ok(TypedExpr::new(expr, DataType::Utf8, nullable, sql))
}

fn repeat(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("array_repeat");
    let (value, count) = call.two()?;
    let Some(count) = Input::Int.coerce(count.clone(), conf) else {
        return Err(unexpected_input(&sql, 1, "\"INT\"", &count));
    };
    let t = types::list_of(value.data_type().clone(), value.nullable());
    let nullable = count.nullable();
    let f: Kernel = |args| {
        let (values, counts) = (args.array(0)?, args.primitives::<Int32Type>(1)?);
        let mut picks = Picks::new(args.rows);
        for row in 0..args.rows {
            if counts.is_valid(row) {
                (0..counts.value(row).max(0)).for_each(|_| picks.push(Some(row)));
            }
            picks.end_row(counts.is_valid(row));
        }
        picks.finish(&values, args.return_type)
    };
    let expr = kernel_call("array_repeat", f, vec![value.expr, count.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn flatten(call: Call) -> Result<TypedExpr> {
    let evaluation = call.evaluation();
    let sql = call.sql_as("flatten");
    let child = list_argument(call, &sql)?;
    let outer = element_of(child.data_type())?;
    if !matches!(outer.data_type(), DataType::List(_)) {
        return Err(unexpected_input(&sql, 0, "\"ARRAY\" of \"ARRAY\"", &child));
    }
    let t = outer.data_type().clone();
    let nullable = child.nullable() || outer.is_nullable();
    let f: Kernel = |args| {
        let array = args.array(0)?;
        let outer = array.as_list::<i32>();
        let inner = outer.values().as_list::<i32>();
        let mut picks = Picks::new(args.rows);
        for row in 0..args.rows {
            // A null inside makes the whole null.
            let is_valid = outer.is_valid(row) && span(outer, row).all(|i| inner.is_valid(i));
            if is_valid {
                span(outer, row).flat_map(|i| span(inner, i)).for_each(|i| picks.push(Some(i)));
            }
            picks.end_row(is_valid);
        }
        picks.finish(inner.values(), args.return_type)
    };
    let expr = kernel_call("flatten", f, vec![child.expr], t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// `sequence(start, stop, [step])` of integers, both ends included.
fn sequence(call: Call) -> Result<TypedExpr> {
    let (conf, evaluation): (_, Evaluation) = (call.resolver.conf, call.evaluation());
    let sql = call.sql_as("sequence");
    if call.args.iter().any(|arg| !coercion::is_integral(arg.data_type())) {
        return Err(SparkError::unsupported("`sequence` of anything but integers"));
    }
    let all: Vec<DataType> = call.args.iter().map(|arg| arg.data_type().clone()).collect();
    let Some(element) = coercion::wider_of_all(&all, conf.ansi) else {
        return Err(SparkError::internal("sequence"));
    };
    let nullable = call.args.iter().any(TypedExpr::nullable);
    let args = call
        .args
        .into_iter()
        .map(|arg| implicit_cast(arg, &DataType::Int64, conf))
        .collect::<Result<Vec<_>>>()?;
    let longs = types::list_of(DataType::Int64, false);
    let expr = kernel_call("sequence", sequence_kernel, exprs(&args), longs.clone(), nullable, evaluation);
    let longs = TypedExpr::new(expr, longs, nullable, sql);
    // The numbers lie between the ends, so narrowing them cannot fail.
    let narrow = crate::expression::cast::explicit_cast(
        longs.clone(),
        &types::list_of(element, false),
        super::Mode::Ansi,
        conf,
    )?;
    Ok(TypedExpr { sql: longs.sql.clone(), name: longs.name, named: false, ..narrow })
}

fn sequence_kernel(args: &Args) -> Result<ArrayRef> {
    use datafusion::arrow::{array::Int64Builder, array::ListBuilder};
    let (starts, stops) = (args.primitives::<Int64Type>(0)?, args.primitives::<Int64Type>(1)?);
    let steps = if args.len() > 2 { Some(args.primitives::<Int64Type>(2)?) } else { None };
    let valid = args.validity()?;
    let mut out = ListBuilder::new(Int64Builder::new()).with_field(element_of(args.return_type)?);
    for row in 0..args.rows {
        let is_valid = valid.as_ref().is_none_or(|v| v.is_valid(row));
        if is_valid {
            let (start, stop) = (starts.value(row), stops.value(row));
            let step = steps.as_ref().map_or(if start <= stop { 1 } else { -1 }, |s| s.value(row));
            if (step > 0 && start > stop) || (step < 0 && start < stop) || (step == 0 && start != stop) {
                return Err(SparkError::unsupported(format!("a sequence from {start} to {stop} by {step}")));
            }
            let mut at = start;
            loop {
                out.values().append_value(at);
                match at.checked_add(step) {
                    Some(next) if step != 0 && ((step > 0 && next <= stop) || (step < 0 && next >= stop)) => {
                        at = next
                    }
                    _ => break,
                }
            }
        }
        out.append(is_valid);
    }
    Ok(Arc::new(out.finish()))
}
