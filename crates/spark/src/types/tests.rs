use datafusion::arrow::datatypes::DataType;

use super::*;

fn tree(ddl: &str) -> String {
    let fields = parse_schema(ddl).unwrap();
    tree_string(fields.iter().map(AsRef::as_ref), None)
}

#[test]
fn ddl_json_and_proto_are_three_ways_to_write_one_type() {
    let ddl = "a INT, b STRUCT<x: STRING, y: ARRAY<DOUBLE>> NOT NULL COMMENT 'it''s', \
               `c d` MAP<STRING, DECIMAL(12, 3)>, t timestamp, n timestamp_ntz, d date, \
               iv interval, ym interval year to month, dt interval day to second, v void, \
               z boolean, by tinyint, s smallint, l long, f real, bin binary";
    let ddl = ddl.replace("it''s", "it\\'s");
    let fields = parse_schema(&ddl).unwrap();
    let data_type = DataType::Struct(fields.clone());
    assert_eq!(from_json(&to_json(&data_type)).unwrap(), data_type);
    assert_eq!(parse_schema(&to_json(&data_type)).unwrap(), fields);
    assert_eq!(from_proto(&to_proto(&data_type).unwrap()).unwrap(), data_type);
    insta::assert_snapshot!(to_json(&data_type));
    insta::assert_snapshot!(simple_string(&data_type));
    insta::assert_snapshot!(sql_name(&data_type));
    insta::assert_snapshot!(tree(&ddl));
}

#[test]
fn simple_string_cuts_long_structs() {
    let ddl: Vec<String> = (0..30).map(|i| format!("c{i} INT")).collect();
    let wide = DataType::Struct(parse_schema(&ddl.join(",")).unwrap());
    assert!(simple_string(&wide).ends_with("c23:int,... 6 more fields>"), "{}", simple_string(&wide));
    assert!(catalog_string(&wide).ends_with("c29:int>"));
}

#[test]
fn the_three_readings_of_ddl_text() {
    assert_eq!(simple_string(&parse_ddl("int").unwrap()), "int");
    assert_eq!(simple_string(&parse_ddl("a: int, b: string").unwrap()), "struct<a:int,b:string>");
    assert_eq!(
        simple_string(&parse_ddl("map<string,array<map<int,struct<>>>>").unwrap()),
        "map<string,array<map<int,struct<>>>>"
    );
    assert_eq!(simple_string(&from_json("\"long\"").unwrap()), "bigint");
}

#[test]
fn errors_are_spark_s() {
    let error = |text: &str| parse_schema(text).unwrap_err().to_string();
    insta::assert_snapshot!(
        [
            "a INT b",
            "a",
            "a INT,",
            "a FOO",
            "a FOO(3)",
            "a decimal(50)",
            "a decimal(5,6)",
            "int",
            "a array<int",
            "a char(3)",
            "a INT COMMENT x",
            "{\"type\":\"strukt\"}",
            "a INT NOT",
            "a 'x'",
            "a variant",
        ]
        .map(|text| format!("{text}\n    {}", error(text)))
        .join("\n")
    );
    let deep = "array<".repeat(100_000);
    assert_eq!(parse_data_type(&deep).unwrap_err().class(), "UNSUPPORTED_FEATURE.MILLSTREAM");
}

#[test]
fn a_tree_ends_at_its_level() {
    let fields = parse_schema("a struct<b: struct<c: int>>, m map<int, array<int>>").unwrap();
    let at = |level| tree_string(fields.iter().map(AsRef::as_ref), Some(level));
    insta::assert_snapshot!(format!("{}{}", at(1), at(2)));
}
