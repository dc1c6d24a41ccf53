//! Batch writes: Spark's modes and files, and nothing half-done.

use std::fs;

use datafusion::{
    arrow::{
        array::{AsArray, Int64Array, RecordBatch, StringArray},
        datatypes::{DataType, Field, Int64Type, Schema},
    },
    error::DataFusionError,
    physical_plan::stream::RecordBatchStreamAdapter,
};

use super::*;
use crate::{
    checkpoint::{LocalStorage, storage::failing::FailingStorage},
    format::{FileEncoder, WriteFormat},
};

#[derive(Debug)]
struct Lines;

impl WriteFormat for Lines {
    fn extension(&self) -> String {
        "txt".to_string()
    }

    fn encoder(&self, _schema: SchemaRef) -> Result<Box<dyn FileEncoder>> {
        Ok(Box::new(LinesEncoder(Vec::new())))
    }
}

struct LinesEncoder(Vec<u8>);

impl FileEncoder for LinesEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let values = batch.column(0).as_primitive::<Int64Type>().values().iter();
        self.0.extend(values.flat_map(|v| format!("{v}\n").into_bytes()));
        Ok(())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn finish(self: Box<Self>) -> Result<Vec<Vec<u8>>> {
        Ok(vec![self.0])
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true), Field::new("p", DataType::Utf8, true)]))
}

fn stream(values: &[i64]) -> SendableRecordBatchStream {
    let p: StringArray = values.iter().map(|v| Some(if v % 2 == 0 { "even" } else { "odd" })).collect();
    let batch =
        RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(values.to_vec())), Arc::new(p)])
            .unwrap();
    Box::pin(RecordBatchStreamAdapter::new(schema(), futures::stream::iter([Ok(batch)])))
}

fn failing_stream() -> SendableRecordBatchStream {
    let error = DataFusionError::from(SparkError::internal("boom"));
    Box::pin(RecordBatchStreamAdapter::new(schema(), futures::stream::iter([Err(error)])))
}

fn write(path: &Path, mode: SaveMode) -> BatchWrite {
    BatchWrite {
        path: path.to_path_buf(),
        format_name: "Text",
        format: Arc::new(Lines),
        mode,
        partition_by: vec![],
        options: Options::default(),
        zone: Arc::new(chrono::Utc),
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = dir.path().join("out");
    (dir, path)
}

/// Files below `path` with their content; names cut to what does not change from run to run.
fn tree(path: &Path) -> Vec<(String, String)> {
    let (mut out, mut dirs) = (Vec::new(), vec![path.to_path_buf()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                dirs.push(entry);
                continue;
            }
            let mut name = entry.strip_prefix(path).unwrap().to_string_lossy().into_owned();
            if let Some(at) = name.find("part-") {
                name.replace_range(at + 11..at + 11 + 36, "");
            }
            out.push((name, fs::read_to_string(&entry).unwrap()));
        }
    }
    out.sort();
    out
}

fn files(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(n, t)| ((*n).to_string(), (*t).to_string())).collect()
}

async fn run(write: &BatchWrite, partitions: &[&[i64]]) -> Result<()> {
    write.run(LocalStorage::shared(), schema(), partitions.iter().map(|p| stream(p)).collect()).await
}

#[tokio::test]
async fn one_file_a_partition_and_one_for_no_rows() {
    let (_dir, path) = folder();
    run(&write(&path, SaveMode::ErrorIfExists), &[&[], &[1, 2], &[], &[3]]).await.unwrap();
    assert_eq!(
        tree(&path),
        files(&[
            ("_SUCCESS", ""),
            ("part-00000--c000.txt", ""),
            ("part-00001--c000.txt", "1\n2\n"),
            ("part-00003--c000.txt", "3\n")
        ])
    );
    let (_dir, path) = folder();
    run(&write(&path, SaveMode::ErrorIfExists), &[]).await.unwrap();
    assert_eq!(tree(&path), files(&[("_SUCCESS", ""), ("part-00000--c000.txt", "")]));
}

#[tokio::test]
async fn modes_do_what_spark_does() {
    let (_dir, path) = folder();
    run(&write(&path, SaveMode::ErrorIfExists), &[&[1]]).await.unwrap();
    let error = run(&write(&path, SaveMode::ErrorIfExists), &[&[2]]).await.unwrap_err();
    assert_eq!(error.class(), "PATH_ALREADY_EXISTS");
    assert_eq!(error.params()["outputPath"], format!("file:{}", path.display()));

    assert!(!write(&path, SaveMode::Ignore).check(&LocalStorage::shared(), &schema()).unwrap());
    run(&write(&path, SaveMode::Ignore), &[&[3]]).await.unwrap();
    run(&write(&path, SaveMode::Append), &[&[4]]).await.unwrap();
    let mut parts: Vec<_> = tree(&path).into_iter().map(|(_, text)| text).collect();
    parts.sort();
    assert_eq!(parts, ["", "1\n", "4\n"]);

    fs::create_dir(path.join("sub")).unwrap();
    fs::File::create(path.join("sub/other")).unwrap();
    run(&write(&path, SaveMode::Overwrite), &[&[5]]).await.unwrap();
    assert_eq!(tree(&path), files(&[("_SUCCESS", ""), ("part-00000--c000.txt", "5\n")]));
    assert!(!path.join("sub").exists());

    let file = path.with_file_name("file");
    fs::File::create(&file).unwrap();
    assert_eq!(run(&write(&file, SaveMode::Append), &[&[5]]).await.unwrap_err().class(), "TASK_WRITE_FAILED");
    run(&write(&file, SaveMode::Overwrite), &[&[5]]).await.unwrap();
    assert_eq!(tree(&file).len(), 2);
}

#[tokio::test]
async fn partitions_get_directories_and_dynamic_overwrite_keeps_the_others() {
    let (_dir, path) = folder();
    let mut by = write(&path, SaveMode::ErrorIfExists);
    by.partition_by = vec!["p".to_string()];
    run(&by, &[&[1, 2, 3], &[4]]).await.unwrap();
    assert_eq!(
        tree(&path),
        files(&[
            ("_SUCCESS", ""),
            ("p=even/part-00000-.c000.txt", "2\n"),
            ("p=even/part-00001-.c000.txt", "4\n"),
            ("p=odd/part-00000-.c000.txt", "1\n3\n")
        ])
    );
    by.mode = SaveMode::Overwrite;
    by.options = Options::new([("partitionOverwriteMode".to_string(), "DYNAMIC".to_string())]);
    run(&by, &[&[6]]).await.unwrap();
    assert_eq!(
        tree(&path),
        files(&[
            ("_SUCCESS", ""),
            ("p=even/part-00000-.c000.txt", "6\n"),
            ("p=odd/part-00000-.c000.txt", "1\n3\n")
        ])
    );
    by.options = Options::default();
    run(&by, &[]).await.unwrap();
    assert_eq!(tree(&path), files(&[("_SUCCESS", "")]));
}

#[tokio::test]
async fn files_are_cut_at_max_records() {
    let (_dir, path) = folder();
    let mut cut = write(&path, SaveMode::ErrorIfExists);
    cut.options = Options::new([("maxRecordsPerFile".to_string(), "2".to_string())]);
    run(&cut, &[&[0, 1, 2, 3, 4]]).await.unwrap();
    let parts: Vec<_> = tree(&path).into_iter().skip(1).collect();
    assert_eq!(
        parts,
        files(&[
            ("part-00000--c000.txt", "0\n1\n"),
            ("part-00000--c001.txt", "2\n3\n"),
            ("part-00000--c002.txt", "4\n")
        ])
    );
}

#[tokio::test]
async fn a_failed_write_leaves_what_was_there() {
    let (_dir, path) = folder();
    let storage = LocalStorage::shared();
    let rows = || vec![stream(&[1]), failing_stream()];
    let new = write(&path, SaveMode::ErrorIfExists);
    let error = new.run(storage.clone(), schema(), rows()).await.unwrap_err();
    assert!(error.to_string().contains("boom"));
    assert!(!path.exists());

    run(&new, &[&[1]]).await.unwrap();
    let before = tree(&path);
    for mode in [SaveMode::Overwrite, SaveMode::Append] {
        assert!(write(&path, mode).run(storage.clone(), schema(), rows()).await.is_err());
        assert_eq!(tree(&path), before);
    }
}

#[tokio::test]
async fn a_crash_before_the_first_rename_shows_nothing() {
    for stop_at in 0..3 {
        let (_dir, path) = folder();
        run(&write(&path, SaveMode::ErrorIfExists), &[&[1]]).await.unwrap();
        let before = tree(&path);
        let storage = Arc::new(FailingStorage::new(stop_at));
        let rows = vec![stream(&[2]), stream(&[3])];
        assert!(write(&path, SaveMode::Append).run(storage.clone(), schema(), rows).await.is_err());
        assert!(storage.stopped());
        let visible: Vec<_> =
            tree(&path).into_iter().filter(|(name, _)| !name.starts_with("_temporary")).collect();
        assert_eq!(visible, before, "{stop_at}");
    }
}

#[tokio::test]
async fn an_empty_schema_is_refused() {
    let (_dir, path) = folder();
    let empty = Arc::new(Schema::empty());
    let error = write(&path, SaveMode::Append).check(&LocalStorage::shared(), &empty).unwrap_err();
    assert_eq!(error.class(), "EMPTY_SCHEMA_NOT_SUPPORTED_FOR_DATASOURCE");
}

#[tokio::test]
async fn illegal_partitioning_is_refused_in_sparks_words() {
    let (_dir, path) = folder();
    let mut by = write(&path, SaveMode::Append);
    for (columns, text) in [
        (vec!["nope"], "Partition column `nope` not found in schema struct<x:bigint,p:string>."),
        (vec!["x", "X"], "The column `x` already exists."),
        (vec!["x", "p"], "Cannot use all columns for partition columns."),
    ] {
        by.partition_by = columns.into_iter().map(str::to_string).collect();
        let error = by.check(&LocalStorage::shared(), &schema()).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}
