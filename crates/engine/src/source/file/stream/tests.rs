use std::time::Duration;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use futures::TryStreamExt;

use super::*;
use crate::{checkpoint::LocalStorage, format::Options, time::SystemClock};

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        Self { dir }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join("in").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), text.as_bytes()).unwrap();
    }

    fn source(&self, options: &[(&str, &str)]) -> FileSource {
        let schema =
            Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)]);
        let spec = SourceSpec {
            format: "csv".to_string(),
            schema: Arc::new(schema),
            options: Options::new(options.iter().map(|(k, v)| (k.to_string(), v.to_string()))),
            paths: vec![self.dir.path().join("in").display().to_string()],
        };
        FileSource::new(
            &spec,
            self.dir.path().join("sources/0"),
            LocalStorage::shared(),
            Arc::new(SystemClock::new()),
            Zone::UTC,
            LogRetention::default(),
        )
        .unwrap()
    }
}

async fn rows(source: &FileSource, start: Option<&Offset>, end: &Offset) -> Vec<String> {
    let mut out = Vec::new();
    for split in source.plan_batch(start, end).await.unwrap() {
        let batches: Vec<_> = split.open(&[0, 1]).await.unwrap().try_collect().await.unwrap();
        for batch in batches {
            let text = datafusion::arrow::util::pretty::pretty_format_batches(&[batch]).unwrap().to_string();
            out.extend(text.lines().skip(3).filter(|l| l.starts_with('|')).map(str::to_string));
        }
    }
    out
}

#[tokio::test]
async fn each_file_comes_once_also_after_a_restart() {
    let fixture = Fixture::new();
    fixture.write("one.csv", "1,x\n2,y\n");
    let source = fixture.source(&[]);
    let first = source.latest_offset(None, ReadLimit::Admission).await.unwrap().unwrap();
    assert_eq!(first.json(), "{\"logOffset\":0}");
    assert_eq!(rows(&source, None, &first).await, ["| 1 | x |", "| 2 | y |"]);
    assert_eq!(source.latest_offset(Some(&first), ReadLimit::Admission).await.unwrap(), Some(first.clone()));

    fixture.write("two.csv", "3,z\n");
    let second = source.latest_offset(Some(&first), ReadLimit::Admission).await.unwrap().unwrap();
    assert_eq!(rows(&source, Some(&first), &second).await, ["| 3 | z |"]);
    assert!(!source.has_logged(&first).unwrap());
    source.log(&first).await.unwrap();

    // Killed before the second offset was logged: its file is taken again, with what came since.
    let again = fixture.source(&[]);
    assert!(again.has_logged(&first).unwrap() && !again.has_logged(&second).unwrap());
    fixture.write("two.csv", "3,z\n4,u\n");
    let later = again.latest_offset(Some(&first), ReadLimit::Admission).await.unwrap().unwrap();
    assert_eq!(rows(&again, Some(&first), &later).await, ["| 3 | z |", "| 4 | u |"]);
    fixture.write("two.csv", "3,z\n");
    source.log(&second).await.unwrap();
    source.log(&second).await.unwrap();

    let again = fixture.source(&[]);
    assert_eq!(again.latest_offset(None, ReadLimit::Admission).await.unwrap(), Some(second.clone()));
    assert_eq!(rows(&again, None, &first).await, ["| 1 | x |", "| 2 | y |"]);
    assert_eq!(rows(&again, Some(&first), &second).await, ["| 3 | z |"]);
    let lost = Offset::new("{\"logOffset\":2}");
    let error = again.latest_offset(Some(&lost), ReadLimit::Admission).await.unwrap_err();
    assert_eq!(error.class(), "BATCH_METADATA_NOT_FOUND");
    assert_eq!(again.description(), format!("FileStreamSource[file:{}/in]", fixture.dir.path().display()));
}

#[tokio::test]
async fn limits_and_order_hold() {
    let fixture = Fixture::new();
    for name in ["c.csv", "a.csv", "b.csv"] {
        fixture.write(name, "1,x\n");
        let file =
            std::fs::File::options().append(true).open(fixture.dir.path().join("in").join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000)).unwrap();
    }
    let source = fixture.source(&[("maxFilesPerTrigger", "2")]);
    let first = source.latest_offset(None, ReadLimit::Admission).await.unwrap().unwrap();
    let names = |entries: Vec<FileEntry>| -> Vec<String> {
        entries.iter().map(|e| e.path.rsplit('/').next().unwrap().to_string()).collect()
    };
    assert_eq!(
        names(source.inner.entries(-1, log_offset(Some(&first)).unwrap()).unwrap()),
        ["a.csv", "b.csv"]
    );
    source.prepare_available_now().await.unwrap();
    fixture.write("d.csv", "2,y\n");
    let second = source.latest_offset(Some(&first), ReadLimit::Admission).await.unwrap().unwrap();
    let third = source.latest_offset(Some(&second), ReadLimit::Admission).await.unwrap().unwrap();
    assert_eq!(second, third, "a file that came later is not part of the run");
    assert_eq!(names(source.inner.entries(0, 1).unwrap()), ["c.csv"]);
}

#[tokio::test]
async fn new_files_wake_the_query_at_once_and_half_written_ones_wait() {
    let fixture = Fixture::new();
    let source = fixture.source(&[]);
    assert_eq!(source.latest_offset(None, ReadLimit::Admission).await.unwrap(), None);
    let path = fixture.dir.path().join("in/slow.csv");
    let mut file = std::fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut file, b"1,x\n").unwrap();
    // Open for writing: not taken even when it looks settled.
    let clock = SystemClock::new();
    clock.sleep(Duration::from_millis(150)).await;
    assert_eq!(source.latest_offset(None, ReadLimit::Admission).await.unwrap(), None);
    std::io::Write::write_all(&mut file, b"2,y\n").unwrap();
    let started = clock.monotonic();
    drop(file);
    let offset = loop {
        source.changed().await;
        if let Some(offset) = source.latest_offset(None, ReadLimit::Admission).await.unwrap() {
            break offset;
        }
    };
    let taken = clock.monotonic() - started;
    assert!(taken < Duration::from_millis(500), "waited for the listing of each second: {taken:?}");
    assert_eq!(rows(&source, None, &offset).await.len(), 2);
}

#[tokio::test]
async fn partition_directories_become_columns() {
    let fixture = Fixture::new();
    fixture.write("b=left/part.csv", "7\n");
    let source = fixture.source(&[]);
    let offset = source.latest_offset(None, ReadLimit::Admission).await.unwrap().unwrap();
    assert_eq!(rows(&source, None, &offset).await, ["| 7 | left |"]);
}

#[tokio::test]
async fn a_vanished_directory_has_no_files_and_a_vanished_file_is_an_error() {
    let fixture = Fixture::new();
    fixture.write("one.csv", "1,x\n");
    let source = fixture.source(&[]);
    let offset = source.latest_offset(None, ReadLimit::Admission).await.unwrap().unwrap();
    std::fs::remove_dir_all(fixture.dir.path().join("in")).unwrap();
    assert_eq!(
        source.latest_offset(Some(&offset), ReadLimit::Admission).await.unwrap(),
        Some(offset.clone())
    );
    let error = source.plan_batch(None, &offset).await.unwrap_err();
    assert_eq!(error.class(), "FAILED_READ_FILE.FILE_NOT_EXIST");
}

#[tokio::test]
async fn committed_files_are_cleaned_as_asked() {
    let fixture = Fixture::new();
    fixture.write("one.csv", "1,x\n");
    let archive = fixture.dir.path().join("archive");
    let source =
        fixture.source(&[("cleanSource", "archive"), ("sourceArchiveDir", archive.to_str().unwrap())]);
    let offset = source.latest_offset(None, ReadLimit::Admission).await.unwrap().unwrap();
    source.commit(&offset).await.unwrap();
    let moved = archive.join(fixture.dir.path().strip_prefix("/").unwrap()).join("in/one.csv");
    assert!(moved.exists(), "{moved:?}");
}
