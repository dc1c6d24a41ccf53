//! A sink that remembers every batch it was given, and can be told to misbehave.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    execution::SendableRecordBatchStream,
};
use futures::TryStreamExt;
use millstream_engine::{
    Result, SparkError,
    query::BatchId,
    sink::{OutputMode, Sink, StagedBatch},
};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use datafusion::arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Int64Type, TimestampMicrosecondType},
};

/// Published batches by number; a batch published twice must be the same both times.
#[derive(Debug, Clone, Default)]
pub struct CollectSink {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    published: BTreeMap<i64, Vec<Value>>,
    misbehave: Misbehave,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Misbehave {
    #[default]
    No,
    /// Panic while staging.
    Panic,
    /// Publish, then report a failure.
    FailAfterPublish,
    /// Read nothing of what is handed over.
    Ignore,
}

impl CollectSink {
    pub fn misbehave(&self, how: Misbehave) {
        self.state.lock().misbehave = how;
    }

    /// Rows of every batch, sorted within the batch.
    pub fn published(&self) -> BTreeMap<i64, Vec<Value>> {
        self.state.lock().published.clone()
    }

    pub fn batches(&self) -> usize {
        self.state.lock().published.len()
    }
}

#[async_trait]
impl Sink for CollectSink {
    fn description(&self) -> String {
        "CollectSink".to_string()
    }

    fn supports(&self, _mode: OutputMode) -> bool {
        true
    }

    async fn stage(
        &self,
        batch: BatchId,
        schema: SchemaRef,
        rows: Vec<SendableRecordBatchStream>,
    ) -> Result<Box<dyn StagedBatch>> {
        let how = self.state.lock().misbehave;
        assert_ne!(how, Misbehave::Panic, "the sink was told to panic");
        let mut out = Vec::new();
        if how != Misbehave::Ignore {
            for partition in rows {
                let batches: Vec<RecordBatch> = partition.try_collect().await?;
                for batch in &batches {
                    out.extend((0..batch.num_rows()).map(|row| row_json(&schema, batch, row)));
                }
            }
        }
        out.sort_by_key(ToString::to_string);
        Ok(Box::new(Staged { batch, rows: out, state: Arc::clone(&self.state) }))
    }
}

struct Staged {
    batch: BatchId,
    rows: Vec<Value>,
    state: Arc<Mutex<State>>,
}

#[async_trait]
impl StagedBatch for Staged {
    async fn publish(self: Box<Self>) -> Result<Option<i64>> {
        let mut state = self.state.lock();
        let count = i64::try_from(self.rows.len()).unwrap();
        let how = state.misbehave;
        if let Some(before) = state.published.insert(self.batch.0, self.rows.clone()) {
            assert_eq!(before, self.rows, "batch {} came out differently when it ran again", self.batch);
        }
        if how == Misbehave::FailAfterPublish {
            return Err(SparkError::internal("the sink was told to fail"));
        }
        Ok(Some(count))
    }
}

fn row_json(schema: &SchemaRef, batch: &RecordBatch, row: usize) -> Value {
    let fields = schema.fields().iter().zip(batch.columns());
    Value::Object(fields.map(|(f, c)| (f.name().clone(), cell_json(c.as_ref(), row))).collect::<Map<_, _>>())
}

/// A cell as Python's `json.dumps(row.asDict(True), default=str)` writes it.
fn cell_json(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Timestamp(_, _) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
            json!(time.format("%Y-%m-%d %H:%M:%S").to_string())
        }
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            let cells = fields.iter().zip(columns);
            Value::Object(cells.map(|(f, c)| (f.name().clone(), cell_json(c.as_ref(), row))).collect())
        }
        other => panic!("no JSON for {other}"),
    }
}
