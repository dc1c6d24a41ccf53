//! Tables against those Spark 4.3 printed (`tests/golden/show.py`).

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DurationMicrosecondArray,
        Float32Array, Float64Array, Int32Array, Int32Builder, IntervalMonthDayNanoArray,
        IntervalYearMonthArray, ListBuilder, MapBuilder, NullArray, RecordBatchOptions, StringArray,
        StringBuilder, StructArray, TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, IntervalMonthDayNano, Schema},
};

use super::*;

fn frame(columns: Vec<(&str, ArrayRef)>, rows: usize) -> (Vec<String>, RecordBatch) {
    let names = columns.iter().map(|(n, _)| (*n).to_string()).collect();
    let fields: Vec<_> = columns.iter().map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, a)| a).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    (names, RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).unwrap())
}

fn types() -> (Vec<String>, RecordBatch) {
    let decimal = |value: i128, precision, scale| {
        Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).unwrap())
            as ArrayRef
    };
    let mut list = ListBuilder::new(Int32Builder::new());
    list.append_value([Some(1), None, Some(2)]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_value(1);
    map.keys().append_value("n");
    map.values().append_null();
    map.append(true).unwrap();
    let nested = StructArray::from(vec![
        (Arc::new(Field::new("x", DataType::Int32, true)), Arc::new(Int32Array::from(vec![1])) as ArrayRef),
        (Arc::new(Field::new("y", DataType::Null, true)), Arc::new(NullArray::new(1)) as ArrayRef),
        (Arc::new(Field::new("z", DataType::Utf8, true)), Arc::new(StringArray::from(vec!["z"])) as ArrayRef),
    ]);
    // 2024-01-01 00:00:00 in New York.
    let instant = TimestampMicrosecondArray::from(vec![1_704_085_200_000_000]).with_timezone("UTC");
    let calendar = IntervalMonthDayNano::new(14, 3, 14_706_500_000_000);
    frame(
        vec![
            ("i", Arc::new(Int32Array::from(vec![1]))),
            ("d", Arc::new(Float64Array::from(vec![1.0]))),
            ("dd", Arc::new(Float64Array::from(vec![1e7]))),
            ("f", Arc::new(Float32Array::from(vec![1.5]))),
            ("dec", decimal(110, 3, 2)),
            ("s", Arc::new(StringArray::from(vec!["abc"]))),
            ("b", Arc::new(BooleanArray::from(vec![true]))),
            ("dt", Arc::new(Date32Array::from(vec![19_723]))),
            ("ts", Arc::new(instant)),
            ("ntz", Arc::new(TimestampMicrosecondArray::from(vec![1_704_067_200_500_000]))),
            ("a", Arc::new(list.finish())),
            ("m", Arc::new(map.finish())),
            ("st", Arc::new(nested)),
            ("bin", Arc::new(BinaryArray::from_vec(vec![b"12"]))),
            ("n", Arc::new(NullArray::new(1))),
            ("ym", Arc::new(IntervalYearMonthArray::from(vec![14]))),
            ("ds", Arc::new(DurationMicrosecondArray::from(vec![93_784_500_000]))),
            ("ci", Arc::new(IntervalMonthDayNanoArray::from(vec![calendar]))),
            ("dc", decimal(1000, 20, 10)),
        ],
        1,
    )
}

fn texts() -> (Vec<String>, RecordBatch) {
    let text = [
        Some("中文字"),
        Some("日本語のとても長い文字列ですから切り取られるはず"),
        Some("tab\there\nnl\r\u{c}\u{8}\u{b}\u{7}"),
        Some("😀😀😀😀😀😀😀😀😀😀😀"),
        None,
        Some(""),
    ];
    let numbers = Int32Array::from_iter_values(1..=6);
    frame(vec![("名 前\t", Arc::new(StringArray::from(text.to_vec()))), ("x", Arc::new(numbers))], 6)
}

#[derive(serde::Deserialize)]
struct Case {
    frame: String,
    num_rows: i32,
    truncate: i32,
    vertical: bool,
    text: String,
}

#[test]
fn tables_are_byte_identical_to_spark() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../tests/golden/show.json")).unwrap();
    assert!(cases.len() > 15);
    for case in cases {
        let (names, batch) = match case.frame.as_str() {
            "types" => types(),
            "texts" => texts(),
            "empty" => frame(vec![("id", Arc::new(Int32Array::from(Vec::<i32>::new())))], 0),
            _ => frame(vec![], 2),
        };
        let options =
            ShowOptions { num_rows: case.num_rows, truncate: case.truncate, vertical: case.vertical };
        // The same rows in one batch and in one batch a row.
        let single: Vec<_> = (0..batch.num_rows()).map(|row| batch.slice(row, 1)).collect();
        for batches in [vec![batch], single] {
            let text = show_string(&names, &batches, options, &Tz::America__New_York).unwrap();
            assert_eq!(text, case.text, "{} {options:?}", case.frame);
        }
    }
}

#[test]
fn html_is_a_table_with_entities() {
    let column = StringArray::from(vec![Some("<a href=\"x\">'&'</a>"), Some("é÷日"), None]);
    let (names, batch) =
        frame(vec![("a<b", Arc::new(column)), ("y", Arc::new(Int32Array::from(vec![1, 2, 3])))], 3);
    let options = ShowOptions { num_rows: 2, ..ShowOptions::default() };
    let text = html_string(&names, &[batch], options, &chrono::Utc).unwrap();
    assert_eq!(
        text,
        "<table border='1'>\n<tr><th>a&lt;b</th><th>y</th></tr>\n\
         <tr><td>&lt;a href=&quot;x&quot;&gt;'&amp;'&lt;/a&gt;</td><td>1</td></tr>\n\
         <tr><td>&eacute;&divide;日</td><td>2</td></tr>\n</table>\nonly showing top 2 rows\n"
    );
}
