//! Random appends, evictions and marks against a plain list of rows.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::arrow::{
    array::{Int64Array, RecordBatch},
    datatypes::{DataType, Field, Int64Type, Schema},
};
use millstream_testkit::cases;
use proptest::prelude::*;

use super::{KeptRows, Matches, NEVER, NONE, NewRows};
use datafusion::arrow::array::AsArray;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(u32, i64)>),
    Evict(i64),
    Mark(usize),
    Tidy,
}

fn step() -> impl Strategy<Value = Step> {
    let time = prop_oneof![9 => 0..100_i64, 1 => Just(NEVER)];
    prop_oneof![
        4 => prop::collection::vec((0..6_u32, time), 0..40).prop_map(Step::Append),
        2 => (0..100_i64).prop_map(Step::Evict),
        1 => any::<prop::sample::Index>().prop_map(|i| Step::Mark(i.index(1000))),
        3 => Just(Step::Tidy),
    ]
}

/// Of a row: key, time, whether matched.
type Model = BTreeMap<i64, (u32, i64, bool)>;

fn check(kept: &KeptRows, model: &Model) {
    assert_eq!(kept.len(), model.len());
    let mut seen = Model::new();
    for key in 0..6 {
        let mut slot = kept.head(key);
        while slot != NONE {
            let columns = kept.gather(&[0, 1], &[slot]).unwrap();
            let value = |i: usize| columns[i].as_primitive::<Int64Type>().value(0);
            seen.insert(value(0), (key, value(1), kept.is_matched(slot)));
            slot = kept.next(slot);
        }
    }
    assert_eq!(&seen, model);
    let numbers: Vec<i64> = kept.all_rows().iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, model.keys().copied().collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(64)))]
    #[test]
    fn rows_come_age_and_leave(steps in prop::collection::vec(step(), 1..60), ages in any::<bool>(), removes in any::<bool>()) {
        let int = |name| Field::new(name, DataType::Int64, true);
        let schema = Arc::new(Schema::new(vec![int("number"), int("time")]));
        let mut kept = KeptRows::new(Arc::clone(&schema), if removes { Matches::Removed } else { Matches::Marked });
        let mut model = Model::new();
        let mut next = 0_i64;
        for step in steps {
            match step {
                Step::Append(rows) => {
                    let numbers: Vec<i64> = (next..).take(rows.len()).collect();
                    next += rows.len() as i64;
                    let times: Vec<i64> = rows.iter().map(|(_, time)| *time).collect();
                    let columns: Vec<datafusion::arrow::array::ArrayRef> = vec![
                        Arc::new(Int64Array::from(numbers.clone())),
                        Arc::new(Int64Array::from(times.clone())),
                    ];
                    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
                    for (number, (key, time)) in numbers.iter().zip(&rows) {
                        model.insert(*number, (*key, *time, false));
                    }
                    kept.append(NewRows {
                        rows: vec![batch],
                        keys: rows.iter().map(|(key, _)| *key).collect(),
                        times: if ages { times } else { vec![] },
                        sequences: numbers,
                        matched: vec![],
                    })
                    .unwrap();
                }
                Step::Evict(micros) => {
                    let mut keys = Vec::new();
                    let evicted = kept.evict(micros, |key| keys.push(key));
                    let gone: Model = model
                        .iter()
                        .filter(|(_, (_, time, _))| ages && *time <= micros)
                        .map(|(n, row)| (*n, *row))
                        .collect();
                    let columns = kept.gather(&[0], &evicted).unwrap();
                    let mut numbers = columns[0].as_primitive::<Int64Type>().values().to_vec();
                    numbers.sort_unstable();
                    prop_assert_eq!(numbers, gone.keys().copied().collect::<Vec<_>>());
                    keys.sort_unstable();
                    let mut expected: Vec<u32> = gone.values().map(|(key, ..)| *key).collect();
                    expected.sort_unstable();
                    prop_assert_eq!(keys, expected);
                    model.retain(|n, _| !gone.contains_key(n));
                    kept.drop_gone();
                }
                Step::Mark(index) => {
                    let rows = kept.all_rows();
                    if let Some((number, slot)) = rows.get(index % rows.len().max(1)) {
                        let row = model.get_mut(number).unwrap();
                        prop_assert_eq!(kept.mark_matched(*slot), !row.2);
                        row.2 = true;
                        if removes {
                            model.remove(number);
                        }
                    }
                }
                Step::Tidy => kept.tidy().unwrap(),
            }
            check(&kept, &model);
        }
    }
}
