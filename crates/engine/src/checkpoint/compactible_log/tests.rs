//! The compactible log against a model: a list of (number, entries).

use millstream_testkit::cases;
use proptest::prelude::*;

use super::*;
use crate::checkpoint::LocalStorage;

type Log = CompactibleLog<String>;

fn log(dir: &Path, interval: i64) -> Log {
    keeping(dir, LogRetention { compact_interval: interval, ..LogRetention::default() })
}

fn keeping(dir: &Path, retention: LogRetention) -> Log {
    Log::new(LocalStorage::shared(), dir.to_path_buf(), retention)
}

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<String>),
    Restart,
    Expire { keep: i64, age_ms: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec("[a-z\"\\\\é ]{0,5}", 0..4).prop_map(Step::Add),
        1 => Just(Step::Restart),
        1 => (0..30i64, prop_oneof![Just(0), Just(2 * LogRetention::default().cleanup_delay_ms)])
            .prop_map(|(keep, age_ms)| Step::Expire { keep, age_ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(24)))]

    #[test]
    fn holds_what_the_model_holds(steps in prop::collection::vec(step(), 1..60), interval in 1..12i64) {
        let dir = tempfile::tempdir().unwrap();
        let mut own = log(dir.path(), interval);
        let mut model: Vec<Vec<String>> = Vec::new();
        for step in steps {
            match step {
                Step::Add(entries) => {
                    own.add(BatchId(model.len() as i64), &entries).unwrap();
                    model.push(entries);
                }
                Step::Restart => own = log(dir.path(), interval),
                Step::Expire { keep, age_ms } => {
                    if let Some(latest) = own.latest().unwrap() {
                        let newest = LocalStorage.list_modified(dir.path());
                        let retention = LogRetention {
                            min_batches: keep,
                            compact_interval: interval,
                            ..LogRetention::default()
                        };
                        keeping(dir.path(), retention).expire(latest, Millis(newest + age_ms)).unwrap();
                    }
                }
            }
            prop_assert_eq!(own.latest().unwrap(), (model.len() as i64).checked_sub(1).filter(|n| *n >= 0).map(BatchId));
            prop_assert_eq!(own.all().unwrap(), model.concat());
        }
    }
}

impl LocalStorage {
    /// The newest modification time in `dir`, in milliseconds.
    fn list_modified(self, dir: &Path) -> i64 {
        use crate::checkpoint::Storage;
        self.list(dir).unwrap().iter().map(|f| f.modified.0).max().unwrap_or(0)
    }
}

#[test]
fn compactions_stand_alone_every_ten() {
    let dir = tempfile::tempdir().unwrap();
    let own = log(dir.path(), 10);
    for n in 0..21 {
        own.add(BatchId(n), &[n.to_string()]).unwrap();
    }
    let mut names: Vec<_> = own.storage.list(dir.path()).unwrap().into_iter().map(|f| f.name).collect();
    names.sort();
    assert!(names.contains(&"9.compact".to_string()) && names.contains(&"19.compact".to_string()));
    assert!(!names.contains(&"9".to_string()) && !names.contains(&"19".to_string()));
    assert_eq!(own.get(BatchId(19)).unwrap().unwrap().len(), 20);
    assert_eq!(own.get(BatchId(20)).unwrap().unwrap(), ["20"]);
}

#[test]
fn the_interval_follows_the_files_as_in_spark() {
    for (default, compact, expected) in [
        (10, vec![], 10),
        (10, vec![9], 10),
        (10, vec![4], 5),
        (10, vec![9, 19], 10),
        (10, vec![4, 9, 14], 5),
        (2, vec![5], 2),
        (4, vec![8], 9),
        (5, vec![27], 7),
        (5, vec![12], 13),
        (10, vec![14], 15),
    ] {
        assert_eq!(derive_interval(default, &compact), expected, "{default} {compact:?}");
    }
}

#[test]
fn a_lost_number_is_an_error_not_a_shorter_log() {
    let dir = tempfile::tempdir().unwrap();
    let own = log(dir.path(), 10);
    for n in 0..4 {
        own.add(BatchId(n), &[n.to_string()]).unwrap();
    }
    std::fs::remove_file(dir.path().join("1")).unwrap();
    assert_eq!(own.all().unwrap_err().class(), "BATCH_METADATA_NOT_FOUND");
    let error = own.add(BatchId(3), &[]).unwrap_err();
    assert_eq!(error.class(), "CONCURRENT_STREAM_LOG_UPDATE");
}
