//! State that is missing, torn, altered or of another query is refused.

use std::{path::PathBuf, sync::Arc};

use datafusion::{
    arrow::array::{
        ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    },
    logical_expr::{Expr, col},
};
use millstream_engine::{
    operators::aggregate::{AggregateOptions, udaf},
    query::BatchId,
    sink::OutputMode,
    time::{Millis, WindowSpec},
};

use super::harness::{MemoryStorage, Query, Run, input_schema};

fn sum(name: &str, column: &str) -> Expr {
    udaf(name, AggregateOptions::default()).unwrap().call(vec![col(column)]).alias("a")
}

fn query(name: &str, keys: Vec<&'static str>, slide: i64) -> Query {
    Query {
        watermark: true,
        window: WindowSpec::new(10_000_000, slide, 0),
        session: None,
        local_merge: false,
        fused: true,
        keys,
        aggregates: vec![sum(name, "v")],
        mode: OutputMode::Update,
        beside: false,
    }
}

fn rows() -> Vec<Vec<RecordBatch>> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from(vec![1_000_000, 12_000_000]).with_timezone("UTC")),
        Arc::new(StringArray::from(vec!["a", "b"])),
        Arc::new(Int32Array::from(vec![1, 2])),
        Arc::new(Int64Array::from(vec![10, 20])),
        Arc::new(Float64Array::from(vec![0.5, 1.5])),
        Arc::new(StringArray::from(vec!["x", "y"])),
    ];
    vec![vec![RecordBatch::try_new(input_schema(true), columns).unwrap()]]
}

async fn two_batches() -> Arc<MemoryStorage> {
    let storage = Arc::new(MemoryStorage::default());
    let run = Run::new(&query("sum", vec!["k"], 5_000_000), storage.clone()).await;
    run.operator.load(BatchId(0)).await.unwrap();
    for n in 0..2 {
        run.execute(BatchId(n), Millis(0), Millis(0), rows()).await.unwrap();
        run.operator.commit(BatchId(n)).await.unwrap();
    }
    storage
}

async fn load(query: Query, storage: &Arc<MemoryStorage>) -> Result<(), (String, String)> {
    let run = Run::new(&query, storage.clone()).await;
    run.operator.load(BatchId(2)).await.map_err(|e| (e.class().to_string(), e.to_string()))
}

#[tokio::test]
async fn files_are_where_they_should_be() {
    let storage = two_batches().await;
    let names: Vec<String> = storage.changes().keys().map(|p| p.display().to_string()).collect();
    assert_eq!(
        names,
        [
            "/checkpoint/state/0/1.change",
            "/checkpoint/state/0/2.change",
            "/checkpoint/state/0/_metadata/metadata"
        ]
    );
    load(query("sum", vec!["k"], 5_000_000), &storage).await.unwrap();
}

#[tokio::test]
async fn every_cut_and_every_flipped_byte_is_noticed() {
    let storage = two_batches().await;
    let path = PathBuf::from("/checkpoint/state/0/2.change");
    let good = storage.files.lock()[&path].clone();
    let run = Run::new(&query("sum", vec!["k"], 5_000_000), storage.clone()).await;
    for i in (0..good.len()).step_by(7) {
        let mut flipped = good.clone();
        flipped[i] ^= 0x10;
        for bytes in [good[..i].to_vec(), flipped] {
            storage.files.lock().insert(path.clone(), bytes);
            let error = run.operator.load(BatchId(2)).await.unwrap_err();
            assert_eq!(error.class(), "CANNOT_LOAD_STATE_STORE.MILLSTREAM_DAMAGED_FILE", "at byte {i}");
            assert!(error.to_string().contains("2.change"), "{error}");
        }
    }
    storage.files.lock().insert(path, good);
    run.operator.load(BatchId(2)).await.unwrap();
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let storage = two_batches().await;
    storage.files.lock().remove(&PathBuf::from("/checkpoint/state/0/1.change"));
    let (class, text) = load(query("sum", vec!["k"], 5_000_000), &storage).await.unwrap_err();
    assert_eq!(class, "CANNOT_LOAD_STATE_STORE.CANNOT_READ_STREAMING_STATE_FILE");
    assert!(text.contains("1.change"), "{text}");
}

#[tokio::test]
async fn state_of_another_query_is_refused() {
    let storage = two_batches().await;
    for (changed, class) in [
        (query("sum", vec!["i"], 5_000_000), "STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE"),
        (query("sum", vec!["k", "i"], 5_000_000), "STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE"),
        (query("sum", vec!["k"], 10_000_000), "STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE"),
        (query("max", vec!["k"], 5_000_000), "STATE_STORE_VALUE_SCHEMA_NOT_COMPATIBLE"),
        (query("avg", vec!["k"], 5_000_000), "STATE_STORE_VALUE_SCHEMA_NOT_COMPATIBLE"),
    ] {
        assert_eq!(load(changed, &storage).await.unwrap_err().0, class);
    }
}

#[tokio::test]
async fn steps_out_of_order_are_refused() {
    let storage = Arc::new(MemoryStorage::default());
    let run = Run::new(&query("sum", vec!["k"], 5_000_000), storage).await;
    let unloaded = run.execute(BatchId(0), Millis(0), Millis(0), rows()).await;
    assert_eq!(unloaded.unwrap_err().class(), "INTERNAL_ERROR");
    run.operator.load(BatchId(0)).await.unwrap();
    assert_eq!(run.operator.commit(BatchId(0)).await.unwrap_err().class(), "INTERNAL_ERROR");
    run.execute(BatchId(0), Millis(0), Millis(0), rows()).await.unwrap();
    let again = run.execute(BatchId(0), Millis(0), Millis(0), rows()).await;
    assert_eq!(again.unwrap_err().class(), "INTERNAL_ERROR", "a batch must not be applied twice");
}

#[tokio::test]
async fn state_of_another_operator_is_refused() {
    let storage = two_batches().await;
    let path = PathBuf::from("/checkpoint/state/0/_metadata/metadata");
    let text = String::from_utf8(storage.files.lock()[&path].clone()).unwrap();
    storage.files.lock().insert(path.clone(), text.replace("stateStoreSave", "dedupe").into_bytes());
    let (class, text) = load(query("sum", vec!["k"], 5_000_000), &storage).await.unwrap_err();
    assert_eq!(class, "STREAMING_STATEFUL_OPERATOR_NOT_MATCH_IN_STATE_METADATA");
    assert!(text.contains("dedupe"), "{text}");
    storage.files.lock().remove(&path);
    load(query("sum", vec!["k"], 5_000_000), &storage).await.unwrap();
}
