//! Text of values, against what Spark 4.3 prints.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::{
    array::{
        BinaryArray, Decimal128Array, Int32Array, Int64Builder, IntervalMonthDayNanoArray, ListBuilder,
        MapBuilder, NullArray, StringBuilder, StructArray, TimestampMicrosecondArray,
    },
    datatypes::{Field, IntervalMonthDayNano},
};

use super::*;

fn double(value: f64) -> String {
    let mut out = String::new();
    write_double(value, &mut out);
    out
}

fn float(value: f32) -> String {
    let mut out = String::new();
    write_float(value, &mut out);
    out
}

#[test]
fn doubles_and_floats_print_like_java() {
    for (value, text) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (-1.5, "-1.5"),
        (100.0, "100.0"),
        (120.0, "120.0"),
        (1234567.0, "1234567.0"),
        (9_999_999.5, "9999999.5"),
        (1e7, "1.0E7"),
        (123_456_789.123, "1.23456789123E8"),
        (0.001, "0.001"),
        (0.00123, "0.00123"),
        (0.1, "0.1"),
        (0.000999, "9.99E-4"),
        (1e-5, "1.0E-5"),
        (1e21, "1.0E21"),
        (1e23, "1.0E23"),
        (f64::MAX, "1.7976931348623157E308"),
        (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
        (5e-324, "4.9E-324"),
        (f64::NAN, "NaN"),
        (-f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
        (0.1 + 0.2, "0.30000000000000004"),
    ] {
        assert_eq!(double(value), text);
    }
    for (value, text) in [
        (0.1, "0.1"),
        (1e7, "1.0E7"),
        (16_777_216.0, "1.6777216E7"),
        (f32::MAX, "3.4028235E38"),
        (1e-45, "1.4E-45"),
        (3.0, "3.0"),
        // Of two shortest texts equally near, the even one.
        (2_288_219.2, "2288219.2"),
        (0.001, "0.001"),
        (9.99e-4, "9.99E-4"),
    ] {
        assert_eq!(float(value), text);
    }
}

proptest::proptest! {
    #[test]
    fn plain_numbers_have_a_point_and_no_exponent(value in 1e-3f64..1e7, digits in 0i32..12, negative: bool) {
        let scale = 10f64.powi(digits);
        for value in [value, (value * scale).round() / scale] {
            let text = double(if negative { -value } else { value });
            proptest::prop_assert_eq!(text.parse::<f64>().unwrap().abs(), value);
            proptest::prop_assert!(text.contains('.') && !text.contains(['e', 'E']), "{}", text);
            let mut text = String::new();
            write_float(value as f32, &mut text);
            proptest::prop_assert_eq!(text.parse::<f32>().unwrap(), value as f32);
            proptest::prop_assert!(text.contains('.') && !text.contains('e'), "{}", text);
        }
    }

    #[test]
    fn doubles_read_back(bits: u64) {
        let value = f64::from_bits(bits);
        let text = double(value);
        let back: f64 = text.replace("Infinity", "inf").parse().unwrap();
        proptest::prop_assert!(back == value || value.is_nan() && back.is_nan(), "{text}");
        proptest::prop_assert!(value.is_nan() || value.is_infinite() || text.contains('.'), "{text}");
    }
}

#[test]
fn decimals_are_plain_or_scientific() {
    for (value, scale, plain, string) in [
        (12345, 2, "123.45", "123.45"),
        (-5, 2, "-0.05", "-0.05"),
        (0, 0, "0", "0"),
        (0, 10, "0.0000000000", "0E-10"),
        (1, 10, "0.0000000001", "1E-10"),
        (123, 10, "0.0000000123", "1.23E-8"),
        (1, 6, "0.000001", "0.000001"),
        (1, 7, "0.0000001", "1E-7"),
        (-99, 0, "-99", "-99"),
    ] {
        for (is_plain, text) in [(true, plain), (false, string)] {
            let mut out = String::new();
            write_decimal(value, scale, is_plain, &mut out);
            assert_eq!(out, text);
        }
    }
}

#[test]
fn dates_and_timestamps() {
    for (days, text) in [
        (0, "1970-01-01"),
        (-1, "1969-12-31"),
        (19_782, "2024-02-29"),
        (-719_162, "0001-01-01"),
        (-719_528, "0000-01-01"),
        (-719_529, "-0001-12-31"),
        (2_932_896, "9999-12-31"),
        (2_932_897, "+10000-01-01"),
    ] {
        let mut out = String::new();
        write_date(days, &mut out);
        assert_eq!(out, text);
    }
    for (micros, zone, text) in [
        (0, Tz::UTC, "1970-01-01 00:00:00"),
        (-1, Tz::UTC, "1969-12-31 23:59:59.999999"),
        (1_704_067_200_123_000, Tz::UTC, "2024-01-01 00:00:00.123"),
        (1_704_067_200_100_000, Tz::America__New_York, "2023-12-31 19:00:00.1"),
        (1_720_000_000_000_000, Tz::Europe__Berlin, "2024-07-03 11:46:40"),
    ] {
        let mut out = String::new();
        write_timestamp(micros, &zone, &mut out);
        assert_eq!(out, text);
    }
}

#[test]
fn intervals() {
    let text = |write: &dyn Fn(&mut String)| {
        let mut out = String::new();
        write(&mut out);
        out
    };
    assert_eq!(text(&|o| write_year_month_interval(14, o)), "INTERVAL '1-2' YEAR TO MONTH");
    assert_eq!(text(&|o| write_year_month_interval(-14, o)), "INTERVAL '-1-2' YEAR TO MONTH");
    assert_eq!(
        text(&|o| write_day_time_interval(93_784_500_000, o)),
        "INTERVAL '1 02:03:04.5' DAY TO SECOND"
    );
    assert_eq!(text(&|o| write_day_time_interval(-1_000_000, o)), "INTERVAL '-0 00:00:01' DAY TO SECOND");
    assert_eq!(
        text(&|o| write_calendar_interval(14, 3, 14_706_500_000, o)),
        "1 years 2 months 3 days 4 hours 5 minutes 6.5 seconds"
    );
    assert_eq!(text(&|o| write_calendar_interval(0, 0, 0, o)), "0 seconds");
    assert_eq!(text(&|o| write_calendar_interval(-1, 0, -500_000, o)), "-1 months -0.5 seconds");
}

#[test]
fn nested_values_and_nulls_by_style() {
    let mut list = ListBuilder::new(Int64Builder::new());
    list.append_value([Some(1), None, Some(3)]);
    list.append_null();
    list.append_value([]);
    let list: ArrayRef = Arc::new(list.finish());
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("a");
    map.values().append_value(1);
    map.keys().append_value("b");
    map.values().append_null();
    map.append(true).unwrap();
    map.append(true).unwrap();
    map.append(false).unwrap();
    let map: ArrayRef = Arc::new(map.finish());
    let nested: ArrayRef = Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("l", list.data_type().clone(), true)), list.clone()),
        (
            Arc::new(Field::new("i", DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![Some(7), None, None])) as ArrayRef,
        ),
    ]));
    let rows = |array: &ArrayRef, style| {
        let text = to_text(array, &Tz::UTC, style).unwrap();
        text.iter().map(|t| t.map(str::to_string)).collect::<Vec<_>>()
    };
    let some = |t: &str| Some(t.to_string());
    let cast = TextStyle::Cast { ansi: true };
    assert_eq!(rows(&list, cast), [some("[1, null, 3]"), None, some("[]")]);
    assert_eq!(rows(&list.slice(2, 1), cast), [some("[]")]);
    assert_eq!(rows(&map, TextStyle::Pretty), [some("{a -> 1, b -> NULL}"), some("{}"), None]);
    assert_eq!(
        rows(&nested, TextStyle::Pretty),
        [some("{[1, NULL, 3], 7}"), some("{NULL, NULL}"), some("{[], NULL}")]
    );

    let binary: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"12", b"", b"\xab"]));
    assert_eq!(rows(&binary, TextStyle::Pretty), [some("[31 32]"), some("[]"), some("[AB]")]);
    assert_eq!(rows(&binary, cast)[0], some("12"));
    let decimal: ArrayRef =
        Arc::new(Decimal128Array::from(vec![1]).with_precision_and_scale(38, 10).unwrap());
    assert_eq!(rows(&decimal, TextStyle::Pretty), [some("0.0000000001")]);
    assert_eq!(rows(&decimal, TextStyle::Cast { ansi: false }), [some("1E-10")]);
    let nulls: ArrayRef = Arc::new(NullArray::new(2));
    assert_eq!(rows(&nulls, TextStyle::Pretty).len(), 2);

    let instant = TimestampMicrosecondArray::from(vec![0]);
    let (ntz, utc): (ArrayRef, ArrayRef) =
        (Arc::new(instant.clone()), Arc::new(instant.with_timezone("UTC")));
    for (array, text) in [(ntz, "1970-01-01 00:00:00"), (utc, "1970-01-01 09:00:00")] {
        assert_eq!(to_text(&array, &Tz::Asia__Tokyo, cast).unwrap().value(0), text);
    }
    let interval: ArrayRef =
        Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 2, 3_000_000_000)]));
    assert_eq!(rows(&interval, cast), [some("1 months 2 days 3 seconds")]);
}
