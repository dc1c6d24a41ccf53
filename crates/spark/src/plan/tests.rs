//! Plans recorded from a real client, compared with what real Spark made of them.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::physical_plan::common::collect;
use millstream_engine::{SparkError, batch, session};
use millstream_testkit::{
    equality::difference,
    golden,
    rows::{Cell, Row, rows_of},
};
use prost::Message;
use serde_json::Value;
use spark_connect_proto as proto;

use super::{ResolvedSet, Translated, references, translate};
use crate::{SessionConf, types};

/// Cases whose answer may differ from Spark's today, with the reason.
const DIFFERENT: &[(&str, &str)] = &[
    ("union keeps the left columns", "Spark calls people.id ambiguous over a self-union, we take the left"),
    ("sql intervals", "Spark cannot collect year-month intervals"),
    ("sql syntax error at the end", "Spark takes FROM for an alias"),
    ("sql date literals", "TIMESTAMP '..' is a cast, which shows in its name"),
    ("sql arrays and maps", "an element of an array of constants shows as nullable"),
    ("expr operators", "the minus sign of SQL is named as the function negative"),
    ("expr strings", "EXTRACT shows its field in capitals"),
    ("percentile in SQL", "WITHIN GROUP is not supported yet"),
    ("product", "not supported yet"),
    ("listagg", "not supported yet"),
    ("regr", "not supported yet"),
    ("window ranges", "a RANGE frame with values is not supported yet"),
    ("pivot without values", "it would run a job to find them"),
    ("sql pivot", "not supported yet"),
    ("sql unpivot", "not supported yet"),
    ("sql unpivot with nulls", "not supported yet"),
    ("sql pipe", "not supported yet"),
    ("unpivot of unlike types", "a string and a double are widened as UNION does"),
    ("sql distribute by", "only columns that are selected"),
    ("sql cluster by", "as above"),
    ("intervals in arithmetic", "intervals are shown with all their fields: Arrow has none"),
    ("intervals as text", "as above"),
    ("interval of a column", "as above"),
    ("interval sum", "as above"),
    ("interval cast", "as above"),
    ("interval mix", "Spark refuses to mix months and days in one literal"),
    ("timestampadd", "TIMESTAMP '..' is a cast, which shows in its name"),
];

fn relation(case: &Value) -> proto::Relation {
    let bytes = base64(case["plan"].as_str().unwrap());
    let plan = proto::Plan::decode(bytes.as_slice()).unwrap();
    match plan.op_type {
        Some(proto::plan::OpType::Root(relation)) => relation,
        Some(proto::plan::OpType::Command(proto::Command {
            command_type: Some(proto::command::CommandType::SqlCommand(command)),
        })) => command.input.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in text.bytes().filter(|b| *b != b'=') {
        let value = ALPHABET.iter().position(|a| *a == byte).unwrap();
        buffer = (buffer << 6) | u32::try_from(value).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((buffer >> bits) & 0xff).unwrap());
        }
    }
    out
}

fn translated(case: &Value) -> Result<Translated, SparkError> {
    let relation = relation(case);
    references(&relation)?;
    translate(&relation, &ResolvedSet::new(), &SessionConf::new("UTC"))
}

/// What `current_timestamp` says in these tests.
const NOW: i64 = 1_800_000_000_000_000;

async fn rows(translated: Translated) -> Result<Vec<Row>, SparkError> {
    let state = session::session_state(2, session::runtime_env()?);
    let result = batch::execute(&state, translated.plan, NOW).await?;
    Ok(rows_of(&collect(result.into_stream()).await?))
}

fn cell(json: &Value) -> Cell {
    let list = |v: &Value| v.as_array().unwrap().iter().map(cell).collect::<Vec<_>>();
    match json {
        Value::Null => Cell::Null,
        Value::Bool(b) => Cell::Boolean(*b),
        Value::Number(n) => Cell::Integer(i128::from(n.as_i64().unwrap())),
        Value::String(s) => Cell::Text(s.clone()),
        Value::Object(o) => {
            let (kind, value) = o.iter().next().unwrap();
            match kind.as_str() {
                "float" => Cell::Float(value.as_str().unwrap().parse().unwrap()),
                "decimal" => {
                    let text = value.as_str().unwrap();
                    let scale = text.split_once('.').map_or(0, |(_, f)| f.len());
                    Cell::Decimal(text.replace('.', "").parse().unwrap(), i8::try_from(scale).unwrap())
                }
                "binary" => {
                    let hex = value.as_str().unwrap();
                    let byte = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
                    Cell::Bytes((0..hex.len()).step_by(2).map(byte).collect())
                }
                "micros" => Cell::Timestamp(value.as_i64().unwrap()),
                "days" => Cell::Date(i32::try_from(value.as_i64().unwrap()).unwrap()),
                "duration" => Cell::DayTime(value.as_i64().unwrap()),
                "struct" => Cell::Struct(list(value)),
                "array" => Cell::List(list(value)),
                "map" => Cell::Map(
                    value.as_array().unwrap().iter().map(|pair| (cell(&pair[0]), cell(&pair[1]))).collect(),
                ),
                other => panic!("{other}"),
            }
        }
        Value::Array(_) => panic!("{json}"),
    }
}

/// What differs from Spark in this case.
async fn check(case: &Value) -> Option<String> {
    if case.get("unrecorded").is_some() {
        return None;
    }
    if let Some(error) = case.get("error") {
        case.get("plan")?;
        let ours = match translated(case) {
            Err(ours) => ours,
            // It may come with the rows.
            Ok(translated) => match rows(translated).await {
                Err(ours) => ours,
                Ok(_) => return Some("Spark has an error here, we do not".to_string()),
            },
        };
        error["class"].as_str()?;
        let expected: BTreeMap<String, String> = serde_json::from_value(error["parameters"].clone()).unwrap();
        let same = Some(ours.class()) == error["class"].as_str() && *ours.params() == expected;
        return (!same).then(|| format!("ours: {ours} {:?}\nSpark: {error}", ours.params()));
    }
    let translated = match translated(case) {
        Ok(translated) => translated,
        Err(error) => return Some(error.to_string()),
    };
    for (field, column) in translated.plan.schema().fields().iter().zip(&translated.columns) {
        assert_eq!(*field.name(), column.id);
        let (inside, shown) = (field.data_type(), column.field.data_type());
        if !inside.equals_datatype(shown) {
            return Some(format!("column {} is {inside} inside and {shown} outside", column.name()));
        }
    }
    let schema = types::schema_json(translated.schema().fields().iter().map(|f| f.as_ref()));
    let schema: Value = serde_json::from_str(&schema).unwrap();
    if schema != case["schema"] {
        return Some(format!("our schema:  {schema}\nSpark's schema: {}", case["schema"]));
    }
    if Some(translated.is_streaming) != case["streaming"].as_bool() {
        return Some("is_streaming differs".to_string());
    }
    let expected = case.get("rows").and_then(Value::as_array)?;
    let expected: Vec<Row> =
        expected.iter().map(|row| row.as_array().unwrap().iter().map(cell).collect()).collect();
    let actual = match rows(translated).await {
        Ok(rows) => rows,
        Err(error) => return Some(error.to_string()),
    };
    if case["name"].as_str().unwrap().ends_with(", in order") {
        return (format!("{actual:?}") != format!("{expected:?}"))
            .then(|| format!("order differs: {actual:?}\nSpark: {expected:?}"));
    }
    difference(&actual, &expected)
}

#[tokio::test]
async fn recorded_plans_mean_what_they_mean_to_spark() {
    let golden = golden::json("relations.json").unwrap();
    let mut different = Vec::new();
    for case in golden.as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let known = DIFFERENT.iter().any(|(known, _)| *known == name);
        match check(case).await {
            Some(_) if known => {}
            Some(difference) => different.push(format!("## {name}\n{}\n{difference}", case["code"])),
            None => {}
        }
    }
    assert!(different.is_empty(), "{} cases:\n{}", different.len(), different.join("\n"));
}

/// The plan and columns of a recorded case, as text.
fn shown(name: &str) -> String {
    let golden = golden::json("relations.json").unwrap();
    let case = golden.as_array().unwrap().iter().find(|case| case["name"] == name).unwrap();
    let translated = translated(case).unwrap();
    let columns: Vec<String> = translated
        .columns
        .iter()
        .map(|c| format!("{} {} {}", c.id, c.name(), types::simple_string(c.field.data_type())))
        .collect();
    format!("{}\n{}", translated.plan.display_indent(), columns.join("\n"))
}

#[test]
fn plans_have_the_shapes_the_engine_expects() {
    let cases = [
        "streaming window",
        "aggregates in arithmetic",
        "sort by a hidden column, in order",
        "join by column",
    ];
    insta::assert_snapshot!(cases.map(|name| format!("## {name}\n{}", shown(name))).join("\n\n"));
}

#[tokio::test]
async fn a_constant_filter_takes_the_row_of_a_global_aggregate_away() {
    let text = "SELECT n FROM (SELECT count(*) AS n, 'a' AS k FROM range(3)) WHERE k = 'b'";
    let query = proto::Sql { query: text.to_string(), ..Default::default() };
    let relation = proto::Relation { common: None, rel_type: Some(proto::relation::RelType::Sql(query)) };
    let translated = translate(&relation, &ResolvedSet::new(), &SessionConf::new("UTC")).unwrap();
    assert!(rows(translated).await.unwrap().is_empty());
}

#[test]
fn references_are_listed_once_and_bound_names_not_at_all() {
    let named = |text: &str| {
        let query = proto::Sql { query: text.to_string(), ..Default::default() };
        proto::Relation { common: None, rel_type: Some(proto::relation::RelType::Sql(query)) }
    };
    let query = "WITH c AS (SELECT * FROM t) SELECT * FROM c JOIN b.t2 JOIN bound JOIN t JOIN csv.`/x/y` \
                 WHERE a IN (SELECT v FROM inner_table) GROUP BY a";
    let bound = proto::SubqueryAlias {
        input: Some(Box::new(named("SELECT * FROM deeper"))),
        alias: "bound".to_string(),
        qualifier: vec![],
    };
    let with = proto::WithRelations {
        root: Some(Box::new(named(query))),
        references: vec![proto::Relation {
            common: None,
            rel_type: Some(proto::relation::RelType::SubqueryAlias(Box::new(bound))),
        }],
    };
    let relation = proto::Relation {
        common: None,
        rel_type: Some(proto::relation::RelType::WithRelations(Box::new(with))),
    };
    let found: Vec<String> = references(&relation)
        .unwrap()
        .into_iter()
        .map(|reference| match reference {
            super::Reference::Source(s) => format!("{} {:?}", s.format, s.paths),
            super::Reference::Table(t) => t.name.join("."),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(found, ["t", "b.t2", "csv [\"/x/y\"]", "inner_table", "deeper"]);
}

#[test]
fn absurdly_deep_plans_are_refused() {
    let mut deep = proto::Relation {
        common: None,
        rel_type: Some(proto::relation::RelType::Range(proto::Range {
            end: 1,
            step: 1,
            ..Default::default()
        })),
    };
    for _ in 0..super::MAX_DEPTH + 10 {
        let limit = proto::Limit { input: Some(Box::new(deep)), limit: 1 };
        deep = proto::Relation {
            common: None,
            rel_type: Some(proto::relation::RelType::Limit(Box::new(limit))),
        };
    }
    let deep = Arc::new(deep);
    let thread = std::thread::Builder::new().stack_size(64 * 1024 * super::MAX_DEPTH);
    let class = thread
        .spawn({
            let deep = Arc::clone(&deep);
            move || {
                let translated = translate(&deep, &ResolvedSet::new(), &SessionConf::new("UTC"));
                let classes = [references(&deep).unwrap_err().class(), translated.unwrap_err().class()];
                std::mem::forget(deep);
                classes
            }
        })
        .unwrap()
        .join()
        .unwrap();
    std::mem::forget(deep);
    assert_eq!(class, ["UNSUPPORTED_FEATURE.MILLSTREAM"; 2]);
}
