//! The file sink's promise under crashes: whatever operation the process dies at, after
//! the retry each row is there once, for readers of the log and for a glob; and nobody
//! ever sees a row twice on the way.

use std::{collections::BTreeMap, fs};

use datafusion::{
    arrow::{
        array::{AsArray, Int64Array, RecordBatch, StringArray},
        datatypes::{DataType, Field, Int64Type, Schema},
    },
    physical_plan::stream::RecordBatchStreamAdapter,
};
use millstream_testkit::cases;
use proptest::prelude::*;

mod whole_query;

use super::*;
use crate::{
    checkpoint::{
        CommitMetadata, LocalStorage, LogRetention, OffsetSeq, OffsetSeqMetadata, Storage,
        storage::failing::FailingStorage,
    },
    format::{FileEncoder, WriteFormat},
    source::file::{FileListing, ListedFile, list_files},
    time::{SystemClock, Zone},
};

/// A line a row: the first column.
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
        for value in batch.column(0).as_primitive::<Int64Type>().values() {
            self.0.extend(format!("{value}\n").into_bytes());
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn finish(self: Box<Self>) -> Result<Vec<Vec<u8>>> {
        // The end mark shows a torn file.
        Ok(vec![self.0, b".\n".to_vec()])
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true), Field::new("p", DataType::Utf8, true)]))
}

/// A test folder where syncing costs nothing.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn batch_of(values: &[i64]) -> RecordBatch {
    let p: StringArray = values.iter().map(|v| (v % 3 != 0).then(|| format!("k{}", v % 3))).collect();
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(values.to_vec())), Arc::new(p)]).unwrap()
}

fn stream(values: &[i64]) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema(), futures::stream::iter([Ok(batch_of(values))])))
}

/// One query: its checkpoint and what it writes in each batch.
struct Query {
    root: PathBuf,
    number: i64,
    partition_by: Vec<String>,
}

impl Query {
    fn new(root: &Path, number: i64, partitioned: bool) -> Self {
        let partition_by = if partitioned { vec!["p".to_string()] } else { vec![] };
        Self { root: root.to_path_buf(), number, partition_by }
    }

    fn output(&self) -> PathBuf {
        self.root.join("out")
    }

    /// Rows of a batch: none for every third one, distinct over queries and batches.
    fn rows(&self, batch: i64) -> Vec<i64> {
        let count = if batch % 3 == 2 { 0 } else { 7 };
        (0..count).map(|i| self.number * 1_000_000 + batch * 100 + i).collect()
    }

    /// One run of the process: opens the checkpoint, runs one batch, dies.
    async fn run(&self, storage: StorageRef, batch: i64, splits: usize) -> Result<()> {
        let checkpoint = Checkpoint::open(storage, self.root.join(format!("checkpoint{}", self.number)))?;
        let spec = FileSinkSpec {
            path: self.output(),
            format: Arc::new(Lines),
            partition_by: self.partition_by.clone(),
            options: Options::default(),
            zone: Arc::new(chrono::Utc),
        };
        let sink = FileSink::new(spec, &checkpoint, Arc::new(SystemClock::new()));
        let rows = self.rows(batch);
        let streams = (0..splits).map(|s| {
            let part: Vec<_> = rows.iter().copied().filter(|v| (*v as usize) % splits == s).collect();
            stream(&part)
        });
        let mut staged = sink.stage(BatchId(batch), schema(), streams.collect()).await?;
        staged.secure().await?;
        staged.publish().await?;
        Ok(())
    }
}

/// Every row in a file that `part-*` finds, with how often; panics at a torn file.
fn globbed(output: &Path) -> BTreeMap<i64, usize> {
    let mut rows = BTreeMap::new();
    let mut dirs = vec![output.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let Ok(entry) = entry else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() {
                dirs.push(entry.path());
            } else if name.starts_with("part-") {
                count(&entry.path(), &mut rows);
            }
        }
    }
    rows
}

/// Every row in a file of the log, with how often.
fn logged(output: &Path) -> BTreeMap<i64, usize> {
    let mut rows = BTreeMap::new();
    for file in read_sink_log(&LocalStorage::shared(), output).unwrap().unwrap_or_default() {
        let path = file.local_path().unwrap();
        assert_eq!(file.size as u64, fs::metadata(&path).unwrap().len(), "{}", path.display());
        count(&path, &mut rows);
    }
    rows
}

fn count(path: &Path, rows: &mut BTreeMap<i64, usize>) {
    // Another operation may take it away between listing and reading.
    let Ok(text) = fs::read_to_string(path) else { return };
    let text = text.strip_suffix(".\n").unwrap_or_else(|| panic!("{} is torn", path.display()));
    for line in text.lines() {
        *rows.entry(line.parse().unwrap()).or_insert(0) += 1;
    }
}

fn once(rows: impl IntoIterator<Item = i64>) -> BTreeMap<i64, usize> {
    rows.into_iter().map(|row| (row, 1)).collect()
}

fn assert_no_duplicates(output: &Path, when: &str) {
    for rows in [globbed(output), logged(output)] {
        assert!(rows.values().all(|n| *n == 1), "{when}: {rows:?}");
    }
}

fn litter(output: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![output.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() {
                dirs.push(entry.path());
            } else if name.ends_with(".staged") {
                found.push(name);
            }
        }
    }
    found
}

/// A storage that stops at `stop_at` and looks for duplicates after every operation.
fn watched(stop_at: usize, output: &Path) -> Arc<FailingStorage> {
    let output = output.to_path_buf();
    Arc::new(FailingStorage::new(stop_at).observed(move |operation| assert_no_duplicates(&output, operation)))
}

/// Dies at every operation of batch 1 and, in the retry, at every `step`th operation again;
/// the retries split the rows differently.
async fn dies_everywhere(partitioned: bool, step: usize) {
    for first in 0.. {
        let mut first_died = false;
        for second in (first % step..).step_by(step) {
            let root = folder();
            let query = Query::new(root.path(), 1, partitioned);
            query.run(LocalStorage::shared(), 0, 2).await.unwrap();

            let storage = watched(first, &query.output());
            let result = query.run(storage.clone(), 1, 3).await;
            first_died = storage.stopped();
            assert!(first_died || result.is_ok(), "{result:?}");
            assert_no_duplicates(&query.output(), "after the first crash");

            let storage = watched(second, &query.output());
            let result = query.run(storage.clone(), 1, 1).await;
            let second_died = storage.stopped();
            assert!(second_died || result.is_ok(), "{result:?}");
            assert_no_duplicates(&query.output(), "after the second crash");

            query.run(watched(usize::MAX, &query.output()), 1, 2).await.unwrap();
            for batch in [2, 3] {
                query.run(LocalStorage::shared(), batch, 2).await.unwrap();
            }
            let expected = once((0..4).flat_map(|batch| query.rows(batch)));
            assert_eq!(globbed(&query.output()), expected, "{first} {second}");
            assert_eq!(logged(&query.output()), expected, "{first} {second}");
            assert_eq!(litter(&query.output()), Vec::<String>::new(), "{first} {second}");
            if !second_died {
                break;
            }
        }
        if !first_died {
            assert!(first > 5, "only {first} operations were seen");
            break;
        }
    }
}

#[tokio::test]
async fn a_crash_at_any_operation_loses_and_doubles_nothing() {
    dies_everywhere(false, 2).await;
}

#[tokio::test]
async fn a_crash_at_any_operation_loses_and_doubles_nothing_partitioned() {
    dies_everywhere(true, 5).await;
}

#[derive(Debug, Clone)]
struct Turn {
    query: usize,
    splits: usize,
    stop_at: Option<usize>,
    /// The batch is run again although it was published: a crash before `commits/N`.
    again: bool,
}

fn turn() -> impl Strategy<Value = Turn> {
    (0..2usize, 1..4usize, prop::option::of(0..14usize), any::<bool>())
        .prop_map(|(query, splits, stop_at, again)| Turn { query, splits, stop_at, again })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(16)))]

    #[test]
    fn two_queries_share_a_folder_and_each_row_arrives_once(
        turns in prop::collection::vec(turn(), 1..40),
        partitioned: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let root = folder();
            let queries = [1, 2].map(|n| Query::new(root.path(), n, partitioned));
            let mut next = [0, 0];
            for turn in turns {
                let query = &queries[turn.query];
                let batch = next[turn.query];
                let storage = watched(turn.stop_at.unwrap_or(usize::MAX), &query.output());
                let result = query.run(storage.clone(), batch, turn.splits).await;
                assert!(storage.stopped() || result.is_ok(), "{result:?}");
                if result.is_ok() && !turn.again {
                    next[turn.query] += 1;
                }
            }
            for (query, next) in queries.iter().zip(&mut next) {
                query.run(LocalStorage::shared(), *next, 1).await.unwrap();
                *next += 1;
            }
            let output = queries[0].output();
            let all = queries.iter().zip(next).flat_map(|(q, n)| (0..n).flat_map(move |b| q.rows(b)));
            let expected = once(all.collect::<Vec<_>>());
            assert_eq!(globbed(&output), expected);
            assert_eq!(logged(&output), expected);
        });
    }
}

#[tokio::test]
async fn names_and_numbers_are_those_of_spark() {
    let root = folder();
    let query = Query::new(root.path(), 1, false);
    for batch in 0..12 {
        query.run(LocalStorage::shared(), batch, 2).await.unwrap();
        // The same batch again: nothing new.
        query.run(LocalStorage::shared(), batch, 2).await.unwrap();
    }
    let mut log: Vec<_> = LocalStorage::shared()
        .list(&query.output().join(METADATA_DIR))
        .unwrap()
        .into_iter()
        .map(|f| f.name)
        .collect();
    log.sort();
    assert_eq!(log, ["0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9.compact"]);
    let files = read_sink_log(&LocalStorage::shared(), &query.output()).unwrap().unwrap();
    let name = files[0].path.rsplit('/').next().unwrap();
    assert!(name.starts_with("part-00000-") && name.ends_with("-c000.txt") && name.len() == 56, "{name}");
    // Batches 2, 5, ... have no rows: one empty file of split 0 each.
    let of_batch = |b| files.iter().filter(|f| f.query_batch == Some(b)).count();
    assert_eq!((of_batch(0), of_batch(2)), (2, 1));
}

#[tokio::test]
async fn directories_are_named_by_value_and_empty_batches_only_logged() {
    let root = folder();
    let query = Query::new(root.path(), 1, true);
    for batch in 0..3 {
        query.run(LocalStorage::shared(), batch, 1).await.unwrap();
    }
    let mut dirs: Vec<_> = fs::read_dir(query.output())
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    dirs.sort();
    assert_eq!(dirs, ["_spark_metadata", "p=__HIVE_DEFAULT_PARTITION__", "p=k1", "p=k2"]);
    let file = fs::read_dir(query.output().join("p=k1")).unwrap().next().unwrap().unwrap();
    assert!(file.file_name().to_string_lossy().ends_with(".c000.txt"));
    assert_eq!(fs::read_to_string(query.output().join(METADATA_DIR).join("2")).unwrap(), "v1");
}

#[tokio::test]
async fn readers_of_the_folder_follow_the_log() {
    let root = folder();
    let query = Query::new(root.path(), 1, true);
    query.run(LocalStorage::shared(), 0, 2).await.unwrap();
    let output = query.output();
    LocalStorage.write_atomic(&output.join("p=k1/part-00009-orphan.txt"), b"1\n").unwrap();
    let list = |paths: &[PathBuf]| {
        let paths: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
        let listing = FileListing::new(&paths, &Options::default(), Zone::UTC).unwrap();
        let roots = listing.roots(true).unwrap();
        list_files(&listing, &roots, &|_| false).unwrap()
    };
    let logged = list(std::slice::from_ref(&output));
    let mut partitions: Vec<_> = logged.iter().map(|f| f.partitions.clone()).collect();
    partitions.sort();
    partitions.dedup();
    let value = |v: &str| vec![("p".to_string(), Some(v.to_string()))];
    assert_eq!(partitions, [vec![("p".to_string(), None)], value("k1"), value("k2")]);
    assert!(logged.iter().all(|f| f.file.path.exists() && f.file.size > 0));
    // Below the folder, or with several paths, every file counts, as in Spark.
    let orphan = |files: &[ListedFile]| files.iter().any(|f| f.file.path.ends_with("part-00009-orphan.txt"));
    assert!(!orphan(&logged));
    assert!(orphan(&list(&[output.join("p=k1")])));
    assert!(orphan(&list(&[output.join("p=k1"), output.join("p=k2")])));
}

#[tokio::test]
async fn batches_that_spark_published_are_not_written_again() {
    let root = folder();
    let query = Query::new(root.path(), 1, false);
    let log = FileSinkLog::new(LocalStorage::shared(), &query.output(), LogRetention::default());
    let entry = |name: &str| SinkFileStatus {
        path: to_uri_of(&query.output().join(name)),
        size: 2,
        is_dir: false,
        modification_time: 1,
        block_replication: 1,
        block_size: 33_554_432,
        action: "add".to_string(),
        query_id: None,
        query_batch: None,
    };
    fs::create_dir_all(query.output()).unwrap();
    for batch in 0..2 {
        let name = format!("part-00000-spark{batch}");
        LocalStorage::shared().write_atomic(&query.output().join(&name), b".\n").unwrap();
        log.add(BatchId(batch), &[entry(&name)]).unwrap();
    }
    // A foreign folder: our batches 0 and 1 are new.
    for batch in 0..2 {
        query.run(LocalStorage::shared(), batch, 1).await.unwrap();
    }
    assert_eq!(logged(&query.output()), once((0..2).flat_map(|b| query.rows(b))));

    // A checkpoint that came from Spark, whose batch 1 was published and not committed.
    let adopted = Query::new(root.path(), 2, false);
    let checkpoint_dir = root.path().join("checkpoint2");
    let ours = Checkpoint::open(LocalStorage::shared(), &checkpoint_dir).unwrap();
    let offsets = OffsetSeq { metadata: OffsetSeqMetadata::default(), offsets: vec![] };
    ours.offsets.add(BatchId(0), &offsets).unwrap();
    ours.offsets.add(BatchId(1), &offsets).unwrap();
    ours.commits.add(BatchId(0), &CommitMetadata::default()).unwrap();
    drop(ours);
    fs::remove_dir_all(checkpoint_dir.join("_millstream")).unwrap();
    adopted.run(LocalStorage::shared(), 1, 1).await.unwrap();
    adopted.run(LocalStorage::shared(), 3, 1).await.unwrap();
    let expected = once((0..2).flat_map(|b| query.rows(b)).chain(adopted.rows(3)));
    assert_eq!(logged(&query.output()), expected);
}

fn to_uri_of(path: &Path) -> String {
    crate::checkpoint::to_uri(path)
}

#[test]
fn spark_entries_are_rewritten_byte_for_byte() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/formats/spark-4.3/csv-sink");
    let files = read_sink_log(&LocalStorage::shared(), Path::new(fixtures)).unwrap().unwrap();
    assert_eq!(files.len(), 13);
    let root = folder();
    let log = FileSinkLog::new(LocalStorage::shared(), root.path(), LogRetention::default());
    for (number, file) in (0..).zip(files) {
        assert_eq!(log.add(BatchId(number), &[file]).unwrap(), BatchId(number + 1));
    }
    for name in ["8", "9.compact", "10", "12"] {
        let theirs = fs::read_to_string(Path::new(fixtures).join(METADATA_DIR).join(name)).unwrap();
        assert_eq!(fs::read_to_string(root.path().join(METADATA_DIR).join(name)).unwrap(), theirs);
    }
    assert_eq!(read_sink_log(&LocalStorage::shared(), &root.path().join("none")).unwrap(), None);
}

#[test]
fn every_format_names_its_files_and_writes_one_for_no_rows() {
    for (format, header, end, content) in [
        ("csv", "false", "-c000.csv", Some("")),
        ("csv", "true", "-c000.csv", Some("x,p\n")),
        ("json", "false", "-c000.json", Some("")),
        ("parquet", "false", "-c000.snappy.parquet", None),
    ] {
        let options = Options::new([("header".to_string(), header.to_string())]);
        let format = crate::format::writer(format, &options, Zone::UTC).unwrap();
        let layout = WriteLayout::new(format, &schema(), &[], &options, Arc::new(Zone::UTC)).unwrap();
        assert_eq!(layout.split(Uuid::nil(), 1).finish().unwrap(), []);
        let files = layout.split(Uuid::nil(), 0).finish().unwrap();
        assert_eq!(files[0].name, format!("part-00000-{}{end}", Uuid::nil()));
        match content {
            Some(text) => assert_eq!(String::from_utf8_lossy(&files[0].pieces.concat()), text),
            None => assert!(files[0].pieces.concat().starts_with(b"PAR1")),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_encoded_side_by_side_are_in_the_file_in_their_order() {
    for (format, per_file, header) in
        [("csv", 0, "true"), ("csv", 7, "true"), ("json", 0, "false"), ("parquet", 0, "false")]
    {
        let options = Options::new([
            ("header".to_string(), header.to_string()),
            ("maxRecordsPerFile".to_string(), per_file.to_string()),
        ]);
        let format = crate::format::writer(format, &options, Zone::UTC).unwrap();
        let layout = WriteLayout::new(format, &schema(), &[], &options, Arc::new(Zone::UTC)).unwrap();
        let batches: Vec<RecordBatch> =
            (0..50).map(|n| batch_of(&(n..n + n % 5).collect::<Vec<_>>())).collect();
        let mut one_by_one = layout.split(Uuid::nil(), 0);
        batches.iter().for_each(|batch| one_by_one.write(batch).unwrap());
        let stream = futures::stream::iter(batches.into_iter().map(Ok));
        let mut all = layout.split(Uuid::nil(), 0);
        all.write_all(Box::pin(RecordBatchStreamAdapter::new(schema(), stream))).await.unwrap();
        assert_eq!(all.finish().unwrap(), one_by_one.finish().unwrap());
    }
}

#[test]
fn illegal_partitioning_is_refused_as_in_spark() {
    let spec = |columns: &[&str]| FileSinkSpec {
        path: PathBuf::from("/out"),
        format: Arc::new(Lines),
        partition_by: columns.iter().map(|c| (*c).to_string()).collect(),
        options: Options::default(),
        zone: Arc::new(chrono::Utc),
    };
    for (columns, class) in [
        (vec!["nope"], "_LEGACY_ERROR_TEMP_1196"),
        (vec!["x", "X"], "COLUMN_ALREADY_EXISTS"),
        (vec!["x", "p"], "ALL_PARTITION_COLUMNS_NOT_ALLOWED"),
    ] {
        assert_eq!(spec(&columns).layout(&schema()).unwrap_err().class(), class);
    }
    assert!(spec(&["P"]).layout(&schema()).unwrap().is_partitioned());
}
