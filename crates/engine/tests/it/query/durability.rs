//! What a batch costs in syncs, and that they come in the order the promise needs.
//!
//! The rules are those in the engine's `query::commit`; the test looks at every call on the
//! storage, with its beginning and its end, so that calls side by side count as unordered.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use datafusion::logical_expr::LogicalPlan;
use millstream_engine::{
    checkpoint::{FileInfo, LocalStorage, Storage, storage::LockGuard},
    format::{Options, writer},
    query::{QuerySpec, Trigger},
    sink::{
        OutputMode,
        file::{FileSink, FileSinkSpec},
    },
    time::{SystemClock, Zone},
};
use parking_lot::Mutex;

use crate::support::{
    collect_sink::CollectSink,
    stream::{Scratch, aggregate, col, manager_with, query, windowed, with_watermark},
};

/// One call that changes what is durable or visible.
#[derive(Debug, Clone)]
struct Call {
    kind: Kind,
    path: PathBuf,
    began: usize,
    ended: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Content, synced.
    Write,
    /// A file gets its name.
    Name,
    /// A directory, synced.
    SyncDir,
}

/// The local file system, with a list of calls.
#[derive(Debug, Default)]
struct Journal {
    calls: Mutex<(usize, Vec<Call>)>,
}

impl Journal {
    fn note<T>(&self, kind: Kind, path: &Path, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let tick = |calls: &mut (usize, Vec<Call>)| {
            calls.0 += 1;
            calls.0
        };
        let began = tick(&mut self.calls.lock());
        let result = call();
        let mut calls = self.calls.lock();
        let ended = tick(&mut calls);
        calls.1.push(Call { kind, path: path.to_path_buf(), began, ended });
        result
    }
}

impl Storage for Journal {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        LocalStorage.read(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<FileInfo>> {
        LocalStorage.list(dir)
    }
    fn info(&self, path: &Path) -> io::Result<Option<FileInfo>> {
        LocalStorage.info(path)
    }
    fn write_staged(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.note(Kind::Write, path, || LocalStorage.write_staged(path, bytes))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.note(Kind::Name, to, || LocalStorage.rename(from, to))
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.note(Kind::Name, to, || LocalStorage.rename_new(from, to))
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.note(Kind::SyncDir, dir, || LocalStorage.sync_dir(dir))
    }
    fn delete(&self, path: &Path) -> io::Result<()> {
        LocalStorage.delete(path)
    }
    fn delete_dir_all(&self, dir: &Path) -> io::Result<()> {
        LocalStorage.delete_dir_all(dir)
    }
    fn delete_empty_dir(&self, dir: &Path) -> io::Result<()> {
        LocalStorage.delete_empty_dir(dir)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        LocalStorage.create_dir_all(dir)
    }
    fn try_lock(&self, path: &Path) -> io::Result<Option<LockGuard>> {
        LocalStorage.try_lock(path)
    }
}

/// The calls of a run over `FILES` files, a batch each.
struct Calls {
    root: PathBuf,
    calls: Vec<Call>,
}

const FILES: usize = 6;
/// A batch in which nothing happens for the first time, and no log compacts.
const BATCH: usize = 4;

impl Calls {
    /// The write, the naming and the directory sync of the one file that `name` is true of.
    fn file(&self, name: impl Fn(&str) -> bool) -> [&Call; 3] {
        let is_it = |call: &&Call| call.kind == Kind::Name && name(&self.relative(&call.path));
        let named: Vec<&Call> = self.calls.iter().filter(is_it).collect();
        let [named] = named.as_slice() else { panic!("not one file: {named:?}") };
        let base = named.path.file_name().unwrap().to_str().unwrap();
        let written = |call: &&Call| {
            call.kind == Kind::Write
                && call.path.parent() == named.path.parent()
                && call.path.file_name().unwrap().to_str().unwrap().starts_with(&format!(".{base}."))
        };
        let synced = |call: &&Call| {
            call.kind == Kind::SyncDir
                && Some(call.path.as_path()) == named.path.parent()
                && call.began > named.ended
        };
        let written = self.calls.iter().find(written).unwrap();
        let synced = self.calls.iter().filter(synced).min_by_key(|call| call.ended).unwrap();
        assert!(written.ended < named.began, "a name without content: {named:?}");
        [written, named, synced]
    }

    fn at(&self, name: &str) -> [&Call; 3] {
        self.file(|path| path == name)
    }

    fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).map_or(String::new(), |p| p.display().to_string())
    }

    /// Syncs in the part of the run between the ends of two commits.
    fn syncs(&self, batch: usize) -> usize {
        let end = |batch: usize| self.at(&format!("checkpoint/commits/{batch}"))[2].ended;
        let (from, to) = (end(batch - 1), end(batch));
        let syncs = self.calls.iter().filter(|c| c.kind != Kind::Name && from < c.ended && c.ended <= to);
        syncs.count()
    }
}

async fn run(plan: fn(&Scratch) -> LogicalPlan, change: fn(&Scratch, &mut QuerySpec)) -> Calls {
    let scratch = Scratch::new();
    let storage = Arc::new(Journal::default());
    let manager = manager_with(storage.clone(), Arc::new(SystemClock::new()));
    let mut spec = query(&scratch, plan(&scratch), Arc::new(CollectSink::default()));
    change(&scratch, &mut spec);
    let running = manager.start(spec).await.unwrap();
    // File by file: a batch is over before the next is read.
    for number in 0..FILES {
        scratch.feed(number, &format!("2024-01-01T00:00:{:02}.000Z,a,{number}\n", number * 7));
        running.process_all_available().await.unwrap();
    }
    running.stop().await;
    let calls = storage.calls.lock().1.clone();
    Calls { root: scratch.path(""), calls }
}

fn rows(scratch: &Scratch) -> LogicalPlan {
    scratch.scan().project([col("k"), col("v")]).unwrap().build().unwrap()
}

fn into_files(scratch: &Scratch, spec: &mut QuerySpec) {
    let sink = FileSinkSpec {
        path: scratch.path("out"),
        format: writer("csv", &Options::default(), Zone::UTC).unwrap(),
        partition_by: vec![],
        options: Options::default(),
        zone: Arc::new(Zone::UTC),
    };
    spec.sink = Box::new(move |context| {
        Ok(Arc::new(FileSink::new(sink, &context.checkpoint, Arc::new(SystemClock::new()))))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_from_files_to_files_takes_ten_syncs_in_order() {
    let calls = run(rows, into_files).await;
    let source = calls.at(&format!("checkpoint/sources/0/{BATCH}"));
    let offsets = calls.at(&format!("checkpoint/offsets/{BATCH}"));
    let entry = calls.at(&format!("out/_spark_metadata/{BATCH}"));
    let commit = calls.at(&format!("checkpoint/commits/{BATCH}"));
    let before = calls.at(&format!("checkpoint/commits/{}", BATCH - 1));
    let data = calls.file(|path| {
        let shown = path.strip_prefix("out/part-").is_some();
        shown
            && calls.calls.iter().any(|c| {
                c.kind == Kind::Name
                    && calls.relative(&c.path) == path
                    && c.began > before[2].ended
                    && c.ended < commit[1].began
            })
    });

    assert!(before[2].ended < offsets[1].began, "offsets before the last batch was finished");
    for plan in [source, offsets] {
        assert!(plan[2].ended < data[1].began, "output is seen before the plan is durable");
    }
    assert!(data[2].ended < entry[1].began, "the log names a file that may vanish");
    assert!(entry[2].ended < commit[1].began, "a finished batch that the log may lose");

    // Source log, offsets, sink log, commits: content and name; the file and its directory.
    assert_eq!(calls.syncs(BATCH), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_state_takes_eight_syncs_in_order() {
    let windows = |scratch: &Scratch| {
        let plan = windowed(with_watermark(scratch.scan(), 5000));
        plan.aggregate([col("window")], [aggregate("count", "v", "n")]).unwrap().build().unwrap()
    };
    let calls = run(windows, |_, spec| spec.output_mode = OutputMode::Update).await;
    // Batches without data come between those with data: look at the one that took file 4.
    let log = |name: &str, batch: usize| calls.at(&format!("checkpoint/{name}/{batch}"));
    let committed = |batch: &usize| {
        calls.calls.iter().any(|c| c.kind == Kind::Name && c.path.ends_with(format!("commits/{batch}")))
    };
    let source = calls.at(&format!("checkpoint/sources/0/{BATCH}"));
    let batch = (1..).take_while(committed).find(|batch| log("commits", *batch)[1].began > source[2].ended);
    let batch = batch.unwrap();
    let (offsets, commit) = (log("offsets", batch), log("commits", batch));
    let state = calls.at(&format!("checkpoint/state/0/{}.change", batch + 1));
    assert!(log("commits", batch - 1)[2].ended < offsets[1].began);
    for plan in [source, offsets] {
        assert!(plan[2].ended < state[0].began, "state of a plan that may be another after a crash");
    }
    assert!(state[2].ended < commit[1].began, "a finished batch without its state");
    assert_eq!(calls.syncs(batch), 8);
}

/// With everything there at the start the next batch is read while one is committed: the
/// order holds all the same.
#[tokio::test(flavor = "multi_thread")]
async fn batches_that_overlap_are_finished_one_after_the_other() {
    let scratch = Scratch::new();
    let storage = Arc::new(Journal::default());
    let manager = manager_with(storage.clone(), Arc::new(SystemClock::new()));
    for number in 0..FILES {
        scratch.feed(number, &format!("2024-01-01T00:00:{:02}.000Z,a,{number}\n", number * 7));
    }
    let mut spec = query(&scratch, rows(&scratch), Arc::new(CollectSink::default()));
    into_files(&scratch, &mut spec);
    spec.trigger = Trigger::AvailableNow;
    manager.start(spec).await.unwrap().await_termination(None).await.unwrap();
    let calls = storage.calls.lock().1.clone();
    let calls = Calls { root: scratch.path(""), calls };
    for batch in 1..FILES {
        let before = calls.at(&format!("checkpoint/commits/{}", batch - 1));
        let offsets = calls.at(&format!("checkpoint/offsets/{batch}"));
        let entry = calls.at(&format!("out/_spark_metadata/{batch}"));
        let commit = calls.at(&format!("checkpoint/commits/{batch}"));
        assert!(before[2].ended < offsets[1].began);
        assert!(offsets[2].ended < entry[1].began && entry[2].ended < commit[1].began);
    }
    let listed = millstream_engine::sink::file::read_sink_log(&LocalStorage::shared(), &scratch.path("out"));
    assert_eq!(listed.unwrap().unwrap().len(), FILES);
}
