//! Every function, whatever way its rows reach the buffer: at once, in pieces merged by slot
//! or by exported columns, through slots used before. One answer, and for order-dependent
//! functions the order of arrival.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array,
            StringArray, UInt32Array,
        },
        compute::take,
        datatypes::DataType,
    },
    common::ScalarValue,
};
use millstream_testkit::cases;
use proptest::prelude::*;

use super::*;

/// Argument columns of a type, from small random numbers (`None` is null).
fn column(data_type: &DataType, values: &[Option<i64>]) -> ArrayRef {
    let each = values.iter();
    match data_type {
        DataType::Boolean => Arc::new(each.map(|v| v.map(|v| v % 2 == 0)).collect::<BooleanArray>()),
        DataType::Int32 => Arc::new(each.map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(each.copied().collect::<Int64Array>()),
        DataType::Float64 => Arc::new(each.map(|v| v.map(|v| v as f64 / 1024.0)).collect::<Float64Array>()),
        DataType::Utf8 => Arc::new(each.map(|v| v.map(|v| format!("s{v}"))).collect::<StringArray>()),
        DataType::Decimal128(p, s) => {
            let array: Decimal128Array = each.map(|v| v.map(i128::from)).collect();
            Arc::new(array.with_precision_and_scale(*p, *s).unwrap())
        }
        other => panic!("{other}"),
    }
}

/// Functions with the argument types to try.
fn calls() -> Vec<(&'static str, Vec<DataType>, AggregateOptions)> {
    let plain = AggregateOptions { ansi: true, ..AggregateOptions::default() };
    let types =
        [DataType::Int32, DataType::Int64, DataType::Float64, DataType::Utf8, DataType::Decimal128(10, 2)];
    let mut calls = vec![];
    for name in names() {
        for data_type in types.iter().chain([&DataType::Boolean]) {
            for args in [vec![data_type.clone()], vec![data_type.clone(), DataType::Int64]] {
                if argument_types(name, &args).is_ok_and(|inputs| inputs == args) {
                    calls.push((name, args.clone(), plain));
                    if name == "first" || name == "last" {
                        calls.push((name, args.clone(), AggregateOptions { ignore_nulls: true, ..plain }));
                    }
                    if matches!(name, "count" | "sum" | "avg" | "stddev") {
                        calls.push((name, args, AggregateOptions { distinct: true, ..plain }));
                    }
                }
            }
        }
    }
    calls
}

fn scalars(array: &ArrayRef) -> Vec<ScalarValue> {
    (0..array.len()).map(|i| ScalarValue::try_from_array(array, i).unwrap()).collect()
}

/// Equal, or equal but for the last bits where moments are merged in another order.
fn same(a: &ArrayRef, b: &ArrayRef, exact: bool) -> bool {
    if exact || a.data_type() != &DataType::Float64 {
        return a == b;
    }
    scalars(a).iter().zip(scalars(b)).all(|(a, b)| match (a, b) {
        (ScalarValue::Float64(Some(a)), ScalarValue::Float64(Some(b))) => {
            (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1e-3)
        }
        (a, b) => a == &b,
    })
}

#[derive(Debug, Clone)]
struct Rows {
    slots: Vec<u32>,
    x: Vec<Option<i64>>,
    y: Vec<Option<i64>>,
    cut: usize,
}

fn rows() -> impl Strategy<Value = Rows> {
    let value = || prop_oneof![1 => Just(None), 4 => (-20..20_i64).prop_map(Some)];
    proptest::collection::vec((0..4_u32, value(), value()), 0..40).prop_flat_map(|rows| {
        let len = rows.len();
        let slots = rows.iter().map(|r| r.0).collect::<Vec<_>>();
        let x = rows.iter().map(|r| r.1).collect::<Vec<_>>();
        let y = rows.iter().map(|r| r.2).collect::<Vec<_>>();
        (0..=len).prop_map(move |cut| Rows { slots: slots.clone(), x: x.clone(), y: y.clone(), cut })
    })
}

const ALL: [u32; 4] = [0, 1, 2, 3];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(60)))]

    #[test]
    fn every_way_to_the_buffer_gives_one_answer(rows in rows()) {
        for (name, types, options) in calls() {
            let call = AggregateCall::resolve(name, &types, options).unwrap();
            let args: Vec<ArrayRef> = types.iter().zip([&rows.x, &rows.y]).map(|(t, v)| column(t, v)).collect();
            let part = |from: usize, len: usize| args.iter().map(|a| a.slice(from, len)).collect::<Vec<_>>();
            let merged_in_order = ["std", "var", "skew", "kurt", "cov", "corr"];
            let exact = !merged_in_order.iter().any(|prefix| name.starts_with(prefix));
            let arrival = |row: usize| Arrival { batch: 0, row: row as i64 };

            let mut direct = call.create().unwrap();
            direct.grow(4);
            direct.update(&rows.slots, &args, arrival(0)).unwrap();
            let expected = direct.evaluate(&ALL).unwrap();
            prop_assert_eq!(expected.data_type(), call.output(), "{}", name);
            prop_assert!(call.nullable() || expected.null_count() == 0, "{}", name);

            // In two calls.
            let (cut, rest) = (rows.cut, rows.slots.len() - rows.cut);
            let mut split = call.create().unwrap();
            split.grow(4);
            split.update(&rows.slots[..cut], &part(0, cut), arrival(0)).unwrap();
            split.update(&rows.slots[cut..], &part(cut, rest), arrival(cut)).unwrap();
            prop_assert_eq!(&split.evaluate(&ALL).unwrap(), &expected, "{}: split", name);

            // The later half first, in slots 4 to 7; merged backwards and forwards.
            for later_first in [false, true] {
                let mut slots = call.create().unwrap();
                slots.grow(12);
                let moved: Vec<u32> = rows.slots[cut..].iter().map(|s| s + 4).collect();
                slots.update(&rows.slots[..cut], &part(0, cut), arrival(0)).unwrap();
                slots.update(&moved, &part(cut, rest), arrival(cut)).unwrap();
                let steps: Vec<(u32, u32)> = ALL.iter().flat_map(|s| {
                    let (first, second) = if later_first { (s + 4, *s) } else { (*s, s + 4) };
                    [(first, s + 8), (second, s + 8)]
                }).collect();
                slots.merge_slots(&steps).unwrap();
                let merged: Vec<u32> = ALL.iter().map(|s| s + 8).collect();
                let value = slots.evaluate(&merged).unwrap();
                prop_assert!(same(&value, &expected, exact), "{}: merged {:?} not {:?}", name, value, expected);
                // A cleared slot is an empty one, and its neighbours keep their content.
                slots.clear(&merged);
                slots.merge_slots(&steps).unwrap();
                prop_assert_eq!(&slots.evaluate(&merged).unwrap(), &value, "{}: cleared", name);
            }

            // Through exported columns: an exact copy, and the same as merging slots.
            let columns = direct.export(&ALL).unwrap();
            let fields = call.buffer_fields().unwrap();
            for (column, field) in columns.iter().zip(&fields) {
                prop_assert_eq!(column.data_type(), field.data_type(), "{}", name);
            }
            let mut copy = call.create().unwrap();
            copy.grow(4);
            copy.merge_columns(&ALL, &columns).unwrap();
            prop_assert_eq!(&copy.export(&ALL).unwrap(), &columns, "{}: exported again", name);
            // Distinct values come back sorted, so moments of them differ in the last bits.
            let imported = copy.evaluate(&ALL).unwrap();
            prop_assert!(same(&imported, &expected, exact || !options.distinct), "{}: imported {:?}", name, imported);

            let mut second = call.create().unwrap();
            second.grow(4);
            second.update(&rows.slots[cut..], &part(cut, rest), arrival(cut)).unwrap();
            let mut first = call.create().unwrap();
            first.grow(4);
            first.update(&rows.slots[..cut], &part(0, cut), arrival(0)).unwrap();
            first.merge_columns(&ALL, &second.export(&ALL).unwrap()).unwrap();
            let value = first.evaluate(&ALL).unwrap();
            prop_assert!(same(&value, &expected, exact), "{}: columns {:?} not {:?}", name, value, expected);
        }
    }

    #[test]
    fn functions_equal_a_naive_reference(rows in rows()) {
        for slot in ALL {
            let mine: Vec<usize> = (0..rows.slots.len()).filter(|i| rows.slots[*i] == slot).collect();
            let picks = UInt32Array::from(mine.iter().map(|i| *i as u32).collect::<Vec<_>>());
            let x: Vec<i64> = mine.iter().filter_map(|i| rows.x[*i]).collect();
            let pairs: Vec<(Option<i64>, i64)> =
                mine.iter().filter_map(|i| rows.y[*i].map(|y| (rows.x[*i], y))).collect();
            let one = |name: &str, args: &[ArrayRef], options: AggregateOptions| {
                let types: Vec<_> = args.iter().map(|a| a.data_type().clone()).collect();
                let call = AggregateCall::resolve(name, &types, options).unwrap();
                let args: Vec<ArrayRef> = args.iter().map(|a| take(a, &picks, None).unwrap()).collect();
                let mut buffer = call.create().unwrap();
                buffer.grow(1);
                let args = call.cast_arguments(args).unwrap();
                buffer.update(&vec![0; picks.len()], &args, Arrival::default()).unwrap();
                ScalarValue::try_from_array(&buffer.evaluate(&[0]).unwrap(), 0).unwrap()
            };
            let plain = AggregateOptions::default();
            let long = column(&DataType::Int64, &rows.x);
            let other = column(&DataType::Int64, &rows.y);
            let double = column(&DataType::Float64, &rows.x);
            let check = |name: &str, value: Option<i64>| {
                prop_assert_eq!(one(name, std::slice::from_ref(&long), plain), ScalarValue::Int64(value), "{}", name);
                Ok(())
            };
            check("count", Some(x.len() as i64))?;
            check("sum", (!x.is_empty()).then(|| x.iter().sum()))?;
            check("min", x.iter().min().copied())?;
            check("max", x.iter().max().copied())?;
            check("bit_and", x.iter().copied().reduce(|a, b| a & b))?;
            check("bit_or", x.iter().copied().reduce(|a, b| a | b))?;
            check("bit_xor", x.iter().copied().reduce(|a, b| a ^ b))?;
            check("first", mine.first().and_then(|i| rows.x[*i]))?;
            check("last", mine.last().and_then(|i| rows.x[*i]))?;
            let skip = AggregateOptions { ignore_nulls: true, ..plain };
            let long_only = std::slice::from_ref(&long);
            prop_assert_eq!(one("first", long_only, skip), ScalarValue::Int64(x.first().copied()));
            prop_assert_eq!(one("last", long_only, skip), ScalarValue::Int64(x.last().copied()));
            let n = x.len() as f64;
            let doubles: Vec<f64> = x.iter().map(|v| *v as f64 / 1024.0).collect();
            let mean = doubles.iter().sum::<f64>() / n;
            let average = one("avg", std::slice::from_ref(&double), plain);
            prop_assert_eq!(average, ScalarValue::Float64((n > 0.0).then_some(mean)));
            let variance = (n > 1.0).then(|| doubles.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0));
            match (one("var_samp", std::slice::from_ref(&double), plain), variance) {
                (ScalarValue::Float64(Some(have)), Some(want)) => prop_assert!((have - want).abs() < 1e-9),
                (have, want) => prop_assert_eq!(have, ScalarValue::Float64(want)),
            }
            let collected = ScalarValue::List(ScalarValue::new_list(
                &x.iter().map(|v| ScalarValue::Int64(Some(*v))).collect::<Vec<_>>(), &DataType::Int64, false));
            prop_assert_eq!(one("collect_list", long_only, plain), collected);
            let set: std::collections::BTreeSet<i64> = x.iter().copied().collect();
            let sorted = ScalarValue::List(ScalarValue::new_list(
                &set.iter().map(|v| ScalarValue::Int64(Some(*v))).collect::<Vec<_>>(), &DataType::Int64, false));
            prop_assert_eq!(one("collect_set", long_only, plain), sorted);
            let distinct = AggregateOptions { distinct: true, ..plain };
            prop_assert_eq!(one("count", long_only, distinct), ScalarValue::Int64(Some(set.len() as i64)));
            // Of equal orderings the last one.
            let both = [Arc::clone(&long), Arc::clone(&other)];
            let top = pairs.iter().rev().max_by_key(|(_, y)| *y);
            let top = pairs.iter().rev().find(|(_, y)| top.is_some_and(|t| t.1 == *y)).and_then(|p| p.0);
            prop_assert_eq!(one("max_by", &both, plain), ScalarValue::Int64(top));
            let low = pairs.iter().map(|(_, y)| *y).min();
            let low = pairs.iter().rev().find(|(_, y)| Some(*y) == low).and_then(|p| p.0);
            prop_assert_eq!(one("min_by", &both, plain), ScalarValue::Int64(low));
        }
    }
}
