//! The codecs against what Spark 4.3 read and wrote (`tests/golden/record_formats.py`).

use std::{io::Write as _, path::Path, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, RecordBatch},
        datatypes::{Schema, SchemaRef},
    },
    execution::TaskContext,
    physical_plan::ExecutionPlan,
};
use futures::TryStreamExt;
use serde_json::Value;

use super::{FileRef, Options, date_pattern::DatePattern, reader, spark_schema, value_text, writer};
use crate::{
    Result, SparkError,
    source::file::resolve,
    time::{Millis, Zone},
};

const ZONE: chrono_tz::Tz = chrono_tz::America::Los_Angeles;

fn golden(name: &str) -> Vec<Value> {
    millstream_testkit::golden::json(&format!("formats/{name}")).unwrap().as_array().unwrap().clone()
}

fn options(case: &Value) -> Options {
    let given = case["options"].as_object().unwrap();
    Options::new(given.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_string())))
}

fn schema(json: &Value) -> SchemaRef {
    Arc::new(spark_schema::schema_from_json(&json.to_string()).unwrap())
}

/// Only types and names; Spark's nullability of map values and the like is not compared.
fn shape(schema: &Schema) -> String {
    let fields: Vec<String> = schema
        .fields()
        .iter()
        .map(|f| format!("{}: {}", f.name(), super::schema_check::sql_type(f.data_type())))
        .collect();
    fields.join(", ")
}

async fn read(case: &Value, root: &Path) -> Result<(String, Vec<Vec<Option<String>>>)> {
    let given = case.get("given").map(schema);
    let paths = [root.display().to_string()];
    let table = resolve(case["format"].as_str().unwrap(), &paths, &options(case), given, Zone::Region(ZONE))?;
    let schema = Arc::clone(table.table_schema());
    let projection: Vec<usize> = match case["select"].as_array() {
        None => (0..schema.fields().len()).collect(),
        Some(names) => names.iter().map(|n| schema.index_of(n.as_str().unwrap()).unwrap()).collect(),
    };
    let exec = table.scan_exec(Some(&projection), 1)?;
    let mut rows = Vec::new();
    // Twice: a scan can be executed again.
    for _ in 0..2 {
        rows.clear();
        let batches: Vec<RecordBatch> = exec
            .execute(0, Arc::new(TaskContext::default()))
            .map_err(SparkError::from)?
            .try_collect()
            .await
            .map_err(SparkError::from)?;
        for batch in batches {
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|c| value_text::to_text(c, &ZONE, value_text::TextStyle::Cast { ansi: true }).unwrap())
                .collect();
            for row in 0..batch.num_rows() {
                rows.push(
                    columns.iter().map(|c| c.is_valid(row).then(|| c.value(row).to_string())).collect(),
                );
            }
        }
    }
    Ok((shape(&schema), rows))
}

/// The class Spark raised, from its exception or the cause's text.
fn class_of(error: &Value) -> Option<String> {
    if let Some(condition) = error["condition"].as_str() {
        return Some(condition.to_string());
    }
    let text = error["chain"][0].as_str()?;
    Some(text.strip_prefix('[')?.split(']').next()?.to_string())
}

async fn check_reads(name: &str, known: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for case in golden(name) {
        let title = case["name"].as_str().unwrap();
        let dir = tempfile::tempdir().unwrap();
        for file in case["files"].as_array().unwrap() {
            let path = dir.path().join(file["path"].as_str().unwrap());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let bytes = base64(file["base64"].as_str().unwrap());
            std::fs::File::create(path).unwrap().write_all(&bytes).unwrap();
        }
        let found = read(&case, dir.path()).await;
        let problem = match (&found, case.get("error")) {
            (Err(e), Some(error)) => match class_of(error) {
                Some(class) if class != e.class() => Some(format!("raised {e}, Spark {class}")),
                _ => None,
            },
            (Err(e), None) => Some(format!("raised {e} ({:?})", e.cause().map(ToString::to_string))),
            (Ok(_), Some(error)) => Some(format!("no error, Spark {error}")),
            (Ok((shape_found, rows)), None) => {
                let expected_shape = shape(&schema(&case["schema"]));
                let mut expected: Vec<Vec<Option<String>>> =
                    serde_json::from_value(case["rows"].clone()).unwrap();
                let mut rows = rows.clone();
                if case["files"].as_array().unwrap().len() > 1 {
                    rows.sort();
                    expected.sort();
                }
                if *shape_found != expected_shape {
                    Some(format!("schema {shape_found}, Spark {expected_shape}"))
                } else if rows != expected {
                    let at = rows
                        .iter()
                        .zip(&expected)
                        .position(|(a, b)| a != b)
                        .unwrap_or(rows.len().min(expected.len()));
                    Some(format!("row {at}: {:?}, Spark {:?}", rows.get(at), expected.get(at)))
                } else {
                    None
                }
            }
        };
        match (problem, known.iter().find(|(n, _)| *n == title)) {
            (Some(problem), None) => wrong.push(format!("{title}: {problem}")),
            (None, Some(_)) => {
                wrong.push(format!("{title}: no longer differs, remove it from the known ones"))
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn base64(text: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut value, mut bits) = (0u32, 0);
    for byte in text.bytes().filter(|b| *b != b'=') {
        value = value << 6 | digits.iter().position(|d| *d == byte).unwrap() as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((value >> bits) as u8);
            value &= (1 << bits) - 1;
        }
    }
    out
}

#[tokio::test]
async fn csv_is_read_as_spark_reads_it() {
    let known = [
        ("empty sep", "refused before a file is opened"),
        ("encoding", "only UTF-8 is read"),
        ("types", "a time without a date is no timestamp here"),
        ("types bad pattern 2", "a pattern that cannot be compiled is an error, not a null"),
        ("interval", "intervals are not read from CSV yet"),
    ];
    check_reads("csv_read.json", &known).await;
}

#[tokio::test]
async fn json_is_read_as_spark_reads_it() {
    check_reads("json_read.json", &[]).await;
}

#[tokio::test]
async fn text_is_read_as_spark_reads_it() {
    check_reads("text_read.json", &[]).await;
}

async fn write(case: &Value) -> Result<(String, String)> {
    let format = writer(case["format"].as_str().unwrap(), &options(case), Zone::Region(ZONE))?;
    let schema = schema(&case["schema"]);
    let mut encoder = format.encoder(Arc::clone(&schema))?;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("input.parquet");
    let bytes = base64(case["input"].as_str().unwrap());
    std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
    let file = FileRef::whole(path, bytes.len() as u64, Millis(0));
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    let parquet = reader("parquet", &Options::default(), Zone::UTC)?;
    let batches: Vec<RecordBatch> =
        parquet.open(&file, &schema, &all)?.try_collect().await.map_err(SparkError::from)?;
    for batch in batches {
        encoder.write(&batch)?;
    }
    let mut bytes = encoder.finish()?.concat();
    if format.extension().ends_with(".gz") {
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut plain).unwrap();
        bytes = plain;
    }
    Ok((format.extension(), String::from_utf8_lossy(&bytes).into_owned()))
}

#[tokio::test]
async fn files_are_written_byte_for_byte_as_spark_writes_them() {
    // Checked before a writer is made: by the write command.
    let elsewhere = ["duplicate"];
    let mut wrong = Vec::new();
    for case in golden("write.json") {
        let title = format!("{} {}", case["format"].as_str().unwrap(), case["name"].as_str().unwrap());
        if elsewhere.contains(&case["name"].as_str().unwrap()) || case.get("input").is_none() {
            continue;
        }
        match (write(&case).await, case.get("error")) {
            (Ok((extension, text)), None) => {
                if Some(extension.as_str()) != case["extension"].as_str() {
                    wrong.push(format!("{title}: {extension}, Spark {}", case["extension"]));
                }
                let expected = case["output"].as_str().unwrap();
                if text != expected {
                    let at = text.lines().zip(expected.lines()).position(|(a, b)| a != b).unwrap_or(0);
                    wrong.push(format!(
                        "{title}: line {at}:\n  {:?}\n  {:?}",
                        text.lines().nth(at),
                        expected.lines().nth(at)
                    ));
                }
            }
            (Err(e), Some(error)) => {
                if class_of(error).is_some_and(|class| class != e.class()) {
                    wrong.push(format!("{title}: raised {e}, Spark {error}"));
                }
            }
            (Ok(_), Some(error)) => wrong.push(format!("{title}: no error, Spark {error}")),
            (Err(e), None) => wrong.push(format!("{title}: raised {e}")),
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn patterns_mean_what_they_mean_in_spark() {
    let golden = millstream_testkit::golden::json("formats/patterns.json").unwrap();
    let mut wrong = Vec::new();
    // Names of zones before there were any, and full zone names, are not ours.
    let known = |pattern: &str, stamp: &str| {
        pattern == "zzzz" || pattern.starts_with("z ") && stamp.starts_with("00")
    };
    let stamps = [
        "2024-03-05 14:07:09.012345",
        "2024-07-01 00:00:00",
        "1999-12-31 23:59:59.999999",
        "0044-03-15 12:00:00",
    ];
    for case in golden["format"].as_array().unwrap() {
        let pattern = case[0].as_str().unwrap();
        for (stamp, expected) in stamps.iter().zip(case[1].as_array().unwrap()) {
            let micros = super::datetime_text::parse_timestamp(stamp.as_bytes(), Zone::Region(ZONE)).unwrap();
            let mut text = String::new();
            let made = DatePattern::formatter(pattern)
                .and_then(|p| p.format_timestamp(micros, Zone::Region(ZONE), &mut text));
            match (made, expected.as_str()) {
                (Ok(()), Some(expected)) if text == expected => {}
                (Err(e), None) if expected["error"].as_str() == Some(e.class()) => {}
                _ if known(pattern, stamp) => {}
                (made, _) => wrong.push(format!("{pattern} of {stamp}: {text:?} {made:?}, Spark {expected}")),
            }
        }
    }
    for case in golden["parse"].as_array().unwrap() {
        let pattern = case[0].as_str().unwrap();
        for pair in case[1].as_array().unwrap() {
            let found = DatePattern::parser(pattern).map(|p| {
                p.parse_timestamp(pair[0].as_str().unwrap(), Zone::Region(ZONE)).map(|m| m.to_string())
            });
            match (&found, &pair[1]) {
                (Err(e), Value::Object(error)) if error["error"].as_str() == Some(e.class()) => {}
                (Ok(found), expected) if found.as_deref() == expected.as_str() && !expected.is_object() => {}
                _ => wrong.push(format!("{pattern} of {}: {found:?}, Spark {}", pair[0], pair[1])),
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}
