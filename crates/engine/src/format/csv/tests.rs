use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
    util::display::{ArrayFormatter, FormatOptions},
};
use millstream_testkit::cases;
use proptest::prelude::*;

use super::{
    decoder::Decoder,
    options::{CsvReadOptions, CsvWriteOptions},
    tokenizer::{Dialect, Tokens, UnescapedQuotes, record},
    writer::Records,
};
use crate::{
    format::{Options, TextRows},
    time::Zone,
};

fn options(list: &[(&str, &str)]) -> CsvReadOptions {
    let options = Options::new(list.iter().map(|(k, v)| (k.to_string(), v.to_string())));
    CsvReadOptions::new(&options, Zone::UTC).unwrap()
}

fn tokens(dialect: &Dialect, line: &str) -> Vec<Option<String>> {
    let mut tokens = Tokens::default();
    record(dialect, line.as_bytes(), 0, &mut tokens).unwrap();
    (0..tokens.len()).map(|i| tokens.get(i).map(|t| String::from_utf8(t.to_vec()).unwrap())).collect()
}

fn some(list: &[&str]) -> Vec<Option<String>> {
    list.iter().map(|t| (*t != "<none>").then(|| t.to_string())).collect()
}

#[test]
fn odd_quotes_split_as_in_univocity() {
    let d = options(&[]).dialect;
    for (line, expected) in [
        ("a,b,c", vec!["a", "b", "c"]),
        ("a,,", vec!["a", "<none>", "<none>"]),
        (",", vec!["<none>", "<none>"]),
        ("\"a,b\",c", vec!["a,b", "c"]),
        ("\"a\\\"b\",c", vec!["a\"b", "c"]),
        ("\"a\"\"b\",c", vec!["\"a\"\"b\"", "c"]),
        ("\"abc\"def,x", vec!["\"abc\"def", "x"]),
        ("a\"b\",c", vec!["a\"b\"", "c"]),
        ("\"open,x", vec!["open,x"]),
        ("\"\",x", vec!["", "x"]),
        ("x,\"\"", vec!["x", ""]),
        ("x,\"", vec!["x", "\""]),
        ("\"a\"  ,b", vec!["a", "b"]),
        (" a , b ", vec![" a ", " b "]),
        ("\"a\\\\\",b", vec!["a\\", "b"]),
    ] {
        assert_eq!(tokens(&d, line), some(&expected), "{line}");
    }
}

fn table(options: &CsvReadOptions, fast: bool, lines: &[String]) -> Vec<String> {
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("i", DataType::Int32, true),
        Field::new("l", DataType::Int64, true),
        Field::new("d", DataType::Float64, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("_corrupt_record", DataType::Utf8, true),
    ]));
    let mut decoder = Decoder::new(Arc::new(options.clone()), &schema, &[0, 1, 2, 3, 4], 16).unwrap();
    decoder.set_fast(fast);
    for (line, end) in lines.iter().zip(["\n", ""].iter().cycle()) {
        // What stands behind the line is not its own.
        decoder.line(format!("{line}{end}12345678").as_bytes(), line.len()).unwrap();
    }
    shown(&decoder.flush().unwrap())
}

fn shown(batch: &RecordBatch) -> Vec<String> {
    let format = FormatOptions::default().with_null("NULL");
    (0..batch.num_rows())
        .map(|row| {
            let cells: Vec<String> = batch
                .columns()
                .iter()
                .map(|c| ArrayFormatter::try_new(c, &format).unwrap().value(row).to_string())
                .collect();
            cells.join("|")
        })
        .collect()
}

#[test]
fn malformed_records_follow_the_mode() {
    let lines: Vec<String> =
        ["1,2,3.5,a", "x,2,3.5,a", "1,2", "1,2,3,a,b", "", "  ", "2147483648,1,NaN,\"q\""]
            .map(str::to_string)
            .to_vec();
    assert_eq!(
        table(&options(&[]), true, &lines),
        [
            "1|2|3.5|a|NULL",
            "NULL|2|3.5|a|x,2,3.5,a",
            "1|2|NULL|NULL|1,2",
            "1|2|3.0|a|1,2,3,a,b",
            "NULL|1|NaN|q|2147483648,1,NaN,\"q\"",
        ]
    );
    assert_eq!(table(&options(&[("mode", "DROPMALFORMED")]), true, &lines), ["1|2|3.5|a|NULL"]);
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "-?[0-9]{0,11}",
        4 => "[+-]?[0-9]{1,6}\\.[0-9]{0,12}(e-?[0-9]{1,3})?",
        2 => "[a-z ]{0,6}",
        2 => "\"[a-z ,0-9]{0,6}\"",
        1 => "[\"\\\\a, ]{0,6}",
        1 => Just("NaN".to_string()),
        1 => Just("-Inf".to_string()),
        1 => "[0-9]{17,21}",
    ]
}

fn plain_field() -> impl Strategy<Value = String> {
    prop_oneof!["-?[0-9]{0,19}", "-?[0-9]{1,4}\\.[0-9]{1,14}", "[a-z ]{0,6}"]
}

/// The rows of a text, as a reader of lines decodes it.
fn decoded(options: &CsvReadOptions, fast: bool, projection: &[usize], text: &str) -> Vec<String> {
    let types = [DataType::Int32, DataType::Int64, DataType::Float64, DataType::Utf8];
    let fields = types.into_iter().enumerate().map(|(i, t)| Field::new(format!("c{i}"), t, true));
    let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut decoder = Decoder::new(Arc::new(options.clone()), &schema, projection, 16).unwrap();
    decoder.set_fast(fast);
    let (text, mut at) = (text.as_bytes(), 0);
    while at < text.len() {
        let many = decoder.plain_lines(&text[at..]).unwrap();
        at += many;
        if many == 0 {
            let (end, next) = options.line_end.line(text, at);
            decoder.line(&text[at..], end - at).unwrap();
            at = next;
        }
    }
    let rows = decoder.rows();
    let batch = decoder.flush().unwrap();
    assert_eq!(batch.num_rows(), rows);
    shown(&batch)
}

#[test]
fn many_plain_lines_are_really_taken_at_once() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("d", DataType::Float64, true)]));
    for (list, wanted) in [(&[][..], 200), (&[("nullValue", "-")], 0), (&[("mode", "FAILFAST")], 0)] {
        let mut decoder = Decoder::new(Arc::new(options(list)), &schema, &[0], 16).unwrap();
        decoder.plain_lines("-1.25\n".repeat(1000).as_bytes()).unwrap();
        assert!(
            decoder.rows() >= wanted && (wanted > 0 || decoder.rows() == 0),
            "{list:?}: {}",
            decoder.rows()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(2000)))]

    #[test]
    fn the_one_pass_path_equals_the_plain_path(
        rows in prop::collection::vec(prop::collection::vec(field(), 1..6), 1..6),
        mode in prop_oneof![Just("PERMISSIVE"), Just("DROPMALFORMED")],
        null_value in prop_oneof![Just(""), Just("0"), Just("a")],
        escape in prop_oneof![Just("\\"), Just("\""), Just("")],
    ) {
        let options = options(&[("mode", mode), ("nullValue", null_value), ("escape", escape)]);
        let lines: Vec<String> = rows.iter().map(|r| r.join(",")).collect();
        prop_assert_eq!(table(&options, true, &lines), table(&options, false, &lines));
    }

    #[test]
    fn the_tokenizer_takes_any_text(line in "[\"\\\\a, \t;]{0,12}", escape in prop_oneof![Just("\\"), Just("\""), Just("")]) {
        let mut d = options(&[("escape", escape)]).dialect;
        for handling in [
            UnescapedQuotes::StopAtDelimiter,
            UnescapedQuotes::StopAtClosingQuote,
            UnescapedQuotes::BackToDelimiter,
            UnescapedQuotes::SkipValue,
            UnescapedQuotes::RaiseError,
        ] {
            d.unescaped = handling;
            let mut tokens = Tokens::default();
            // Ends, without a panic.
            prop_assert!(record(&d, line.as_bytes(), 0, &mut tokens).is_ok() || handling == UnescapedQuotes::RaiseError);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(100)))]

    #[test]
    fn many_lines_at_a_time_equal_one_by_one(
        rows in prop::collection::vec(
            (prop::collection::vec(prop_oneof![9 => plain_field(), 1 => field()], 3..6), prop_oneof![Just("\n"), Just("\r\n")]),
            0..200,
        ),
        projection in prop_oneof![Just(vec![0, 1, 2, 3]), Just(vec![2]), Just(vec![1, 3]), Just(vec![])],
        pruning in prop_oneof![Just("true"), Just("false")],
        comment in prop_oneof![Just(""), Just("1")],
    ) {
        let options = options(&[("columnPruning", pruning), ("comment", comment)]);
        // Rows of four fields are the usual ones.
        let text: String = rows.iter().map(|(fields, end)| fields[..fields.len().min(4)].join(",") + end).collect();
        prop_assert_eq!(decoded(&options, true, &projection, &text), decoded(&options, false, &projection, &text));
    }
}

fn written(options: &[(&str, &str)], batch: &RecordBatch, shortcuts: bool) -> String {
    let options = Options::new(options.iter().map(|(k, v)| (k.to_string(), v.to_string())));
    let options = Arc::new(CsvWriteOptions::new(&options, Zone::UTC).unwrap());
    let rows = if shortcuts { Records::new(options) } else { Records::without_shortcuts(options) };
    let mut text = vec![];
    rows.encode(batch, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(200)))]
    #[test]
    fn shortcuts_write_what_the_general_path_writes(
        rows in prop::collection::vec(
            (
                prop::option::of("[ab #\"\\\\,;\n\u{e4}1-]{0,5}"),
                prop::option::of(any::<f64>()),
                prop::option::of(any::<i32>()),
                prop::option::of(-70_000_000_000_000_000i64..300_000_000_000_000_000),
            ),
            0..12,
        ),
        choice in 0usize..8,
    ) {
        let options: &[(&str, &str)] = [
            &[][..],
            &[("sep", ";")],
            &[("sep", "1")],
            &[("quoteAll", "true"), ("nullValue", "-")],
            &[("escapeQuotes", "false"), ("comment", "a")],
            &[("lineSep", "\r"), ("quote", "-")],
            &[("timestampFormat", "dd.MM.yyyy HH:mm[ SSS]"), ("ignoreLeadingWhiteSpace", "false")],
            &[("timestampFormat", "EEE, d MMM yy 'at' HH 'h'"), ("emptyValue", "E")],
        ][choice];
        let times = rows.iter().map(|r| r.3).collect::<TimestampMicrosecondArray>().with_timezone("UTC");
        let columns: [(&str, ArrayRef); 4] = [
            ("s", Arc::new(rows.iter().map(|r| r.0.as_deref()).collect::<StringArray>())),
            ("f", Arc::new(rows.iter().map(|r| r.1).collect::<Float64Array>())),
            ("i", Arc::new(rows.iter().map(|r| r.2).collect::<Int32Array>())),
            ("t", Arc::new(times)),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap();
        prop_assert_eq!(written(options, &batch, true), written(options, &batch, false));
    }
}
