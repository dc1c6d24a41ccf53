use proptest::prelude::*;

use super::*;
use crate::time::Zone;

fn shown(pattern: &str, micros: i64, zone: &str) -> String {
    let mut out = String::new();
    let zone = Zone::parse(zone).unwrap();
    DatePattern::formatter(pattern).unwrap().format_timestamp(micros, zone, &mut out).unwrap();
    out
}

/// 2024-03-05T14:07:09.012345Z
const T: i64 = 1_709_647_629_012_345;

#[test]
fn timestamps_print_as_java_prints_them() {
    for (pattern, zone, text) in [
        ("yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]", "UTC", "2024-03-05T14:07:09.012Z"),
        ("yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]", "+05:30", "2024-03-05T19:37:09.012+05:30"),
        ("yy/M/d h:m:s a", "UTC", "24/3/5 2:7:9 PM"),
        ("EEEE, MMMM d, yyyy G", "UTC", "Tuesday, March 5, 2024 AD"),
        ("EEE MMM dd SSSSSS", "UTC", "Tue Mar 05 012345"),
        ("D DDD Q QQQ QQQQ F", "UTC", "65 065 1 Q1 1st quarter 5"),
        (
            "k K hh z VV O OOOO Z xxx",
            "America/Los_Angeles",
            "6 6 06 PST America/Los_Angeles GMT-8 GMT-08:00 -0800 -08:00",
        ),
        ("''yyyy 'o''clock'", "UTC", "'2024 o'clock"),
        ("X x Z xxx", "UTC", "Z +00 +0000 +00:00"),
    ] {
        assert_eq!(shown(pattern, T, zone), text, "{pattern}");
    }
    assert_eq!(shown("yyyy-MM-dd", 253_402_300_800_000_000, "UTC"), "+10000-01-01");
}

#[test]
fn dates_without_a_time_refuse_time_letters() {
    let mut out = String::new();
    assert!(DatePattern::formatter("yyyy-MM-dd HH").unwrap().format_date(0, &mut out).is_err());
    out.clear();
    DatePattern::formatter("dd.MM.yyyy[ HH:mm]").unwrap().format_date(0, &mut out).unwrap();
    assert_eq!(out, "01.01.1970");
}

#[test]
fn text_is_read_strictly() {
    let read =
        |pattern: &str, text: &str| DatePattern::parser(pattern).unwrap().parse_timestamp(text, Zone::UTC);
    for (pattern, text, micros) in [
        ("yyyy-MM-dd HH:mm:ss", "1970-01-02 00:00:01", Some(86_401_000_000)),
        ("yyyyMMddHHmmss", "19700101000001", Some(1_000_000)),
        ("dd/MM/yyyy hh:mm a", "02/01/1970 01:30 pm", Some(86_400_000_000 + 48_600_000_000)),
        ("MMM d yyyy", "jan 1 1970", Some(0)),
        ("yyyy-MM-dd'T'HH:mm:ss[.SSSSSS][XXX]", "1970-01-01T01:00:00.5+01:00", Some(500_000)),
        ("yyyy-MM-dd'T'HH:mm:ss[.SSSSSS][XXX]", "1970-01-01T00:00:00", Some(0)),
        ("HH:mm", "01:00", Some(3_600_000_000)),
        ("yyyy-DDD", "1970-002", Some(86_400_000_000)),
        ("yyyy-MM-dd", "1970-02-30", None),
        ("yyyy-MM-dd", "1970-1-1", None),
        ("yyyy-M-d", "1970-1-1", Some(0)),
        ("yyyy-MM-dd", "70-01-01", None),
        ("yyyy-MM-dd", "1970-01-01x", None),
        ("HH:mm:ss", "24:00:00", None),
        ("yyyy-MM-dd HH:mm VV", "1970-01-01 01:00 Europe/Berlin", Some(0)),
        ("yy-MM-dd", "70-01-01", Some(3_155_760_000_000_000)),
    ] {
        assert_eq!(read(pattern, text), micros, "{pattern} of {text}");
    }
    let date = DatePattern::parser("dd.MM.yyyy").unwrap();
    assert_eq!(date.parse_date("02.01.1970"), Some(1));
    let ntz = DatePattern::parser("yyyy-MM-dd[XXX]").unwrap();
    assert_eq!(ntz.parse_timestamp_ntz("1970-01-01Z", false), None);
    assert_eq!(ntz.parse_timestamp_ntz("1970-01-01Z", true), Some(0));
}

#[test]
fn letters_spark_refuses_are_refused() {
    for (pattern, parsing, class) in [
        ("YYYY", false, "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION"),
        ("e", false, "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_WEEK_BASED_PATTERN"),
        ("A", false, "INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER"),
        ("E", true, "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION"),
        ("MMMMM", false, "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION"),
        ("yyyy-MM-dd'T", false, "INVALID_DATETIME_PATTERN.WITH_SUGGESTION"),
        ("VVV", false, "INVALID_DATETIME_PATTERN.WITH_SUGGESTION"),
        ("dddd", false, "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION"),
    ] {
        let error = DatePattern::compile(pattern, parsing).err();
        assert_eq!(error.map(|e| e.class()), Some(class), "{pattern}");
    }
}

proptest! {
    #[test]
    fn a_fixed_layout_prints_what_its_items_print(
        micros in prop_oneof![
            -70_000_000_000_000_000i64..300_000_000_000_000_000,
            1_400_000_000_000_000i64..1_700_000_000_000_000,
        ],
        pattern in prop::sample::select(vec![
            "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]",
            "dd.MM.yyyy HH:mm",
            "yyyyMMdd'\u{e4}'HHmmssSSSSSSSSS",
            "yyyy-MM-dd HH:mm:ss.SSSSSS xx",
            "yyyy-M-d H:m:s",
            "G yyyy",
        ]),
        zone in prop::sample::select(vec!["UTC", "America/New_York", "Europe/London", "+05:30"]),
    ) {
        let zone = Zone::parse(zone).unwrap();
        let (mut fixed, mut items) = (String::new(), String::new());
        let pattern = DatePattern::formatter(pattern).unwrap();
        let one = pattern.format_timestamp(micros, zone, &mut fixed).map_err(|e| e.to_string());
        let other = pattern.without_layout().format_timestamp(micros, zone, &mut items).map_err(|e| e.to_string());
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(&fixed, &items);
    }
}

proptest! {
    #[test]
    fn a_column_is_printed_like_its_values(
        start in prop_oneof![-70_000_000_000_000_000i64..300_000_000_000_000_000, 1_400_000_000_000_000i64..1_700_000_000_000_000],
        steps in prop::collection::vec(prop_oneof![-900_000i64..900_000, -7_200_000_000i64..7_200_000_000], 1..20),
        pattern in prop::sample::select(vec![
            "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]",
            "yyyyMMdd'\u{e4}'HHmmssSSSSSSSSS",
            "SSSSSS yyyy-MM-dd HH:mm:ss xx",
            "S yyyy S",
            "dd.MM.yyyy HH:mm",
            "yyyy-M-d H:m:s",
        ]),
        zone in prop::sample::select(vec!["UTC", "America/New_York", "Europe/London", "+05:30"]),
    ) {
        let (zone, pattern) = (Zone::parse(zone).unwrap(), DatePattern::formatter(pattern).unwrap());
        let printer = TimestampPrinter::new(&pattern, zone);
        let mut micros = start;
        for step in steps {
            micros += step;
            let (mut alone, mut in_turn) = (String::new(), String::new());
            let one = pattern.format_timestamp(micros, zone, &mut alone).map_err(|e| e.to_string());
            let other = printer.print(micros, &mut in_turn).map_err(|e| e.to_string());
            prop_assert_eq!(one, other);
            prop_assert_eq!(alone, in_turn);
        }
    }
}

#[test]
fn the_default_pattern_has_a_fixed_layout() {
    let pattern = DatePattern::formatter("yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]").unwrap();
    assert!(pattern.layout().is_some());
    assert!(DatePattern::formatter("d.M.yyyy").unwrap().layout().is_none());
}
