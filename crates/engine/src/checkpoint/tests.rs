//! Logs against files that Spark wrote, and the rules of opening and restarting.

use std::{fs, path::Path};

use super::*;
use crate::source::Offset;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/formats/spark-4.3");

fn copy(from: &str, to: &Path) {
    let from = Path::new(FIXTURES).join(from);
    for entry in fs::read_dir(&from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).unwrap();
            let nested = entry.path();
            copy(nested.strip_prefix(FIXTURES).unwrap().to_str().unwrap(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn spark_checkpoint() -> (tempfile::TempDir, Checkpoint) {
    let dir = tempfile::tempdir().unwrap();
    copy("csv", dir.path());
    let checkpoint = Checkpoint::open(LocalStorage::shared(), dir.path()).unwrap();
    (dir, checkpoint)
}

fn seq(watermark: i64, offsets: &[Option<&str>]) -> OffsetSeq {
    OffsetSeq {
        metadata: OffsetSeqMetadata {
            batch_watermark_ms: watermark,
            batch_timestamp_ms: 5,
            conf: OffsetSeqMetadata::freeze(|_| None),
        },
        offsets: offsets.iter().map(|o| o.map(Offset::new)).collect(),
    }
}

#[test]
fn spark_checkpoint_resumes() {
    let (_dir, checkpoint) = spark_checkpoint();
    assert_eq!(checkpoint.id().to_string(), "a9e8f35a-b21c-49e7-afb9-02b31a5a7ca4");
    assert!(!checkpoint.is_new());
    let Restart::After { batch, offsets, commit } = checkpoint.restart().unwrap() else {
        panic!("batch 12 is committed");
    };
    assert_eq!(batch, BatchId(12));
    assert_eq!(offsets.offsets, [Some(Offset::new("{\"logOffset\":12}"))]);
    assert_eq!(offsets.metadata.conf.len(), 17);
    assert_eq!(commit.next_batch_watermark_ms, 0);

    let log =
        FileSourceLog::new(checkpoint.storage().clone(), checkpoint.source_dir(0), LogRetention::default());
    let all = log.all().unwrap();
    assert_eq!(all.len(), 13);
    assert_eq!(all[12].path, "file:///data/work/in/events/f12.csv");
    assert_eq!(log.range(8, 10).unwrap(), all[9..=10]);
    assert_eq!(log.range(11, 13).unwrap_err().class(), "BATCH_METADATA_NOT_FOUND");
}

#[test]
fn spark_files_are_rewritten_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let storage = LocalStorage::shared();
    let again = Checkpoint::open(storage.clone(), dir.path()).unwrap();
    for folder in ["csv", "join"] {
        let from = Path::new(FIXTURES).join(folder);
        let log = OffsetLog::new(MetadataLog::new(storage.clone(), from.join("offsets")));
        for batch in log.batches().unwrap() {
            again.offsets.add(batch, &log.get(batch).unwrap().unwrap()).unwrap();
            let rewritten = fs::read_to_string(again.offsets.log().path(batch)).unwrap();
            assert_eq!(rewritten, fs::read_to_string(log.log().path(batch)).unwrap());
        }
    }
    let from = Path::new(FIXTURES).join("csv");
    let commits = CommitLog::new(MetadataLog::new(storage.clone(), from.join("commits")));
    let commit = commits.get(BatchId(12)).unwrap().unwrap();
    again.commits.add(BatchId(12), &commit).unwrap();
    assert_eq!(
        fs::read(again.commits.log().path(BatchId(12))).unwrap(),
        fs::read(commits.log().path(BatchId(12))).unwrap()
    );

    let theirs = FileSourceLog::new(storage.clone(), from.join("sources/0"), LogRetention::default());
    let ours = FileSourceLog::new(storage, again.source_dir(0), LogRetention::default());
    for entry in theirs.all().unwrap() {
        ours.add(entry.batch_id, &[entry]).unwrap();
    }
    for name in ["8", "9.compact", "10", "12"] {
        assert_eq!(
            fs::read_to_string(again.source_dir(0).join(name)).unwrap(),
            fs::read_to_string(from.join("sources/0").join(name)).unwrap(),
            "{name}"
        );
    }
    let metadata = fs::read_to_string(dir.path().join("metadata")).unwrap();
    assert_eq!(metadata, format!("{{\"id\":\"{}\"}}", again.id()));
}

#[test]
fn a_second_run_is_refused_until_the_first_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let first = Checkpoint::open(LocalStorage::shared(), dir.path()).unwrap();
    let id = first.id();
    assert!(first.is_new());
    let error = Checkpoint::open(LocalStorage::shared(), dir.path()).unwrap_err();
    assert_eq!(error.class(), "CONCURRENT_QUERY");
    drop(first);
    assert_eq!(Checkpoint::open(LocalStorage::shared(), dir.path()).unwrap().id(), id);
}

#[test]
fn offsets_without_an_id_are_refused() {
    let (dir, checkpoint) = spark_checkpoint();
    drop(checkpoint);
    fs::remove_file(dir.path().join("metadata")).unwrap();
    let error = Checkpoint::open(LocalStorage::shared(), dir.path()).unwrap_err();
    assert_eq!(error.class(), "STREAMING_CHECKPOINT_MISSING_METADATA_FILE");
    assert!(!dir.path().join("metadata").exists());
}

#[test]
fn restart_follows_the_logs() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(LocalStorage::shared(), dir.path()).unwrap();
    assert_eq!(checkpoint.restart().unwrap(), Restart::Fresh);

    let (zero, one) = (seq(0, &[Some("1"), None]), seq(7, &[Some("2"), Some("{}")]));
    checkpoint.offsets.add(BatchId(0), &zero).unwrap();
    assert_eq!(
        checkpoint.restart().unwrap(),
        Restart::Rerun { batch: BatchId(0), offsets: zero.clone(), previous: None }
    );
    let commit = CommitMetadata { next_batch_watermark_ms: 7 };
    checkpoint.commits.add(BatchId(0), &commit).unwrap();
    assert_eq!(
        checkpoint.restart().unwrap(),
        Restart::After { batch: BatchId(0), offsets: zero.clone(), commit }
    );
    checkpoint.offsets.add(BatchId(1), &one).unwrap();
    assert_eq!(
        checkpoint.restart().unwrap(),
        Restart::Rerun { batch: BatchId(1), offsets: one, previous: Some(zero) }
    );
    fs::remove_file(dir.path().join("offsets/0")).unwrap();
    assert_eq!(checkpoint.restart().unwrap_err().class(), "BATCH_METADATA_NOT_FOUND");
}

#[test]
fn a_logged_batch_is_never_logged_again() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(LocalStorage::shared(), dir.path()).unwrap();
    checkpoint.offsets.add(BatchId(0), &seq(0, &[])).unwrap();
    let error = checkpoint.offsets.add(BatchId(0), &seq(1, &[])).unwrap_err();
    assert_eq!(error.class(), "CONCURRENT_STREAM_LOG_UPDATE");
    assert_eq!(checkpoint.offsets.get(BatchId(0)).unwrap(), Some(seq(0, &[])));
}

#[test]
fn damaged_and_later_files_are_refused_by_class() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(LocalStorage::shared(), dir.path()).unwrap();
    let file = checkpoint.offsets.log().path(BatchId(0));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let later = fs::read_to_string(Path::new(FIXTURES).join("offsets-v2")).unwrap();
    for (text, class) in [
        ("", "MALFORMED_LOG_FILE"),
        ("x1\n{}", "MALFORMED_LOG_FILE"),
        ("v0\n{}", "MALFORMED_LOG_FILE"),
        (later.as_str(), "INVALID_LOG_VERSION.MAX_SUPPORTED_VERSION"),
        ("v1", "FAILED_READ_FILE.NO_HINT"),
        ("v1\n{\"batchWaterm", "FAILED_READ_FILE.NO_HINT"),
    ] {
        fs::File::create(&file).unwrap();
        LocalStorage.write_atomic(&file, text.as_bytes()).unwrap();
        assert_eq!(checkpoint.restart().unwrap_err().class(), class, "{text:?}");
    }
}

#[test]
fn missing_settings_get_their_legacy_values() {
    let metadata: OffsetSeqMetadata =
        serde_json::from_str("{\"conf\":{\"spark.sql.shuffle.partitions\":\"3\"}}").unwrap();
    let conf = metadata.resumed_conf();
    assert_eq!(conf["spark.sql.shuffle.partitions"], "3");
    assert_eq!(conf["spark.sql.streaming.aggregation.stateFormatVersion"], "1");
    assert_eq!(conf["spark.sql.optimizer.pruneFiltersCanPruneStreamingSubplan"], "true");
    assert_eq!(conf.get("spark.sql.streaming.stateStore.providerClass"), None);
    assert_eq!((metadata.batch_watermark_ms, metadata.batch_timestamp_ms), (0, 0));
}

#[test]
fn old_batches_go_and_litter_goes() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(LocalStorage::shared(), dir.path()).unwrap();
    for n in 0..6 {
        checkpoint.offsets.add(BatchId(n), &seq(0, &[])).unwrap();
    }
    checkpoint.offsets.purge(BatchId(2)).unwrap();
    assert_eq!(checkpoint.offsets.batches().unwrap(), [2, 3, 4, 5].map(BatchId));
    checkpoint.offsets.purge(BatchId(5)).unwrap();
    assert_eq!(checkpoint.offsets.batches().unwrap(), [5].map(BatchId));
    checkpoint.purge(BatchId(50)).unwrap();
    assert_eq!(checkpoint.offsets.batches().unwrap(), [5].map(BatchId));

    let litter = dir.path().join("offsets/.6.0000.tmp");
    fs::File::create(&litter).unwrap();
    drop(checkpoint);
    let again = Checkpoint::open(LocalStorage::shared(), dir.path()).unwrap();
    assert!(!litter.exists());
    assert_eq!(again.offsets.latest().unwrap().unwrap().0, BatchId(5));
}
