//! Partition columns of a set of files: their names, and the types Spark infers for them.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};

use super::listing::ListedFile;
use crate::{
    Result, SparkError,
    format::{
        date_pattern::DatePattern,
        datetime_text::parse_date,
        file_uri,
        number_text::{parse_f64, parse_i64},
    },
    time::Zone,
};

/// The partition columns of `files`, outermost directory first; files outside any partition
/// are dropped once there is one. Types come from `given` where it has the column.
///
/// # Errors
/// `CONFLICTING_PARTITION_COLUMN_NAMES` when directories disagree on the columns.
pub(crate) fn partition_columns(
    files: &mut Vec<ListedFile>,
    given: Option<&SchemaRef>,
    zone: Zone,
) -> Result<Vec<Field>> {
    if files.iter().all(|f| f.partitions.is_empty()) {
        return Ok(Vec::new());
    }
    files.retain(|f| !f.partitions.is_empty());
    let names =
        |f: &ListedFile| -> Vec<String> { f.partitions.iter().map(|(name, _)| name.clone()).collect() };
    let Some(columns) = files.first().map(names) else { return Ok(Vec::new()) };
    if let Some(other) = files.iter().find(|f| names(f) != columns) {
        return Err(conflicting_names(files, &columns, &names(other)));
    }
    let mut fields = Vec::with_capacity(columns.len());
    for (index, name) in columns.iter().enumerate() {
        let own = given.and_then(|s| s.fields().iter().find(|f| f.name().eq_ignore_ascii_case(name)));
        if let Some(field) = own {
            fields.push(Field::new(field.name(), field.data_type().clone(), true));
            continue;
        }
        let mut data_type = DataType::Null;
        for text in files.iter().filter_map(|f| f.partitions.get(index)?.1.as_deref()) {
            data_type = wider(data_type, infer(text, zone));
        }
        if data_type == DataType::Null {
            data_type = DataType::Utf8;
        }
        fields.push(Field::new(name, data_type, true));
    }
    Ok(fields)
}

fn infer(text: &str, zone: Zone) -> DataType {
    let bytes = text.as_bytes();
    if let Some(value) = parse_i64(bytes) {
        return if i32::try_from(value).is_ok() { DataType::Int32 } else { DataType::Int64 };
    }
    let digits = bytes.strip_prefix(b"-").or(bytes.strip_prefix(b"+")).unwrap_or(bytes);
    if !digits.is_empty() && digits.len() <= 38 && digits.iter().all(u8::is_ascii_digit) {
        return DataType::Decimal128(u8::try_from(digits.len()).unwrap_or(38), 0);
    }
    if parse_f64(bytes).is_some() {
        return DataType::Float64;
    }
    let matches =
        |pattern: &str| DatePattern::parser(pattern).is_ok_and(|p| p.parse_timestamp(text, zone).is_some());
    if matches("yyyy-MM-dd HH:mm:ss[.S]") {
        return DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    }
    if matches("yyyy-MM-dd") && parse_date(bytes).is_some() {
        return DataType::Date32;
    }
    DataType::Utf8
}

fn wider(a: DataType, b: DataType) -> DataType {
    use DataType::{Date32, Decimal128, Float64, Int32, Int64, Null, Timestamp, Utf8};
    match (a, b) {
        (a, b) if a == b => a,
        (Null, t) | (t, Null) => t,
        (Int32, Int64) | (Int64, Int32) => Int64,
        (Int32, Float64) | (Float64, Int32) => Float64,
        (Date32, t @ Timestamp(_, _)) | (t @ Timestamp(_, _), Date32) => t,
        (Decimal128(p, _), Decimal128(q, _)) => Decimal128(p.max(q), 0),
        (Decimal128(p, _), Int32) | (Int32, Decimal128(p, _)) => Decimal128(p.max(10), 0),
        (Decimal128(p, _), Int64) | (Int64, Decimal128(p, _)) => Decimal128(p.max(20), 0),
        _ => Utf8,
    }
}

fn conflicting_names(files: &[ListedFile], first: &[String], second: &[String]) -> SparkError {
    let lists = format!(
        "\n\tPartition column name list #0: {}\n\tPartition column name list #1: {}",
        first.join(", "),
        second.join(", ")
    );
    let dirs: BTreeSet<String> = files.iter().filter_map(|f| f.file.path.parent()).map(file_uri).collect();
    let paths: Vec<String> = dirs.into_iter().map(|d| format!("\n\t{d}")).collect();
    SparkError::new("CONFLICTING_PARTITION_COLUMN_NAMES")
        .with("distinctPartColLists", lists)
        .with("suspiciousPaths", paths.join(""))
}
