//! Rows as the Arrow messages of a response: sized, numbered, cut into chunks on request.

use std::{collections::HashMap, sync::Arc};

use datafusion::arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions},
    compute::cast,
    datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit},
    ipc::writer::StreamWriter,
};
use millstream_engine::Result;
use spark_connect_proto::{
    ExecutePlanRequest, ResultChunkingOptions,
    execute_plan_request::request_option::RequestOption,
    execute_plan_response::{ArrowBatch, ResponseType},
};

use crate::operation::Responses;

/// Spark's `spark.connect.grpc.arrow.maxBatchSize`: gRPC messages stay below 4 MiB.
const MAX_BATCH_BYTES: usize = 4 << 20;
/// The share of it that rows may fill by estimate, as in Spark.
const FILL: f64 = 0.7;
/// Smallest chunk a client may ask for.
const MIN_CHUNK_BYTES: usize = 1024;

/// Sends the rows of one answer.
///
/// # Invariants
/// The offsets of the batches sent are contiguous from 0; at least one batch is sent.
#[derive(Debug)]
pub struct ArrowBatches<'a> {
    responses: &'a Responses,
    schema: SchemaRef,
    max_rows: usize,
    chunk_bytes: Option<usize>,
    sent_rows: i64,
    sent_any: bool,
}

impl<'a> ArrowBatches<'a> {
    /// Rows with the columns of `schema`, the user's. Timestamps are labelled with
    /// `time_zone` (the session's), as Spark does; their values stay instants. A batch has
    /// at most `max_rows` rows (`spark.sql.execution.arrow.maxRecordsPerBatch`, 0 for any).
    pub fn new(responses: &'a Responses, schema: &Schema, time_zone: &str, max_rows: usize) -> Self {
        let fields: Vec<_> = schema.fields().iter().map(|field| zoned_field(field, time_zone)).collect();
        Self {
            responses,
            schema: Arc::new(Schema::new(fields)),
            max_rows: if max_rows == 0 { usize::MAX } else { max_rows },
            chunk_bytes: chunk_bytes(&responses.operation().request),
            sent_rows: 0,
            sent_any: false,
        }
    }

    /// Sends `batch`, whose columns match the schema by position.
    ///
    /// # Errors
    /// When a column cannot be encoded.
    pub async fn send(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = self.relabel(batch)?;
        let mut offset = 0;
        while offset < batch.num_rows() {
            let rows = self.rows_that_fit(&batch).min(batch.num_rows() - offset);
            self.send_slice(&batch.slice(offset, rows)).await?;
            offset += rows;
        }
        Ok(())
    }

    /// Sends an empty batch if nothing was sent; returns how many rows were sent.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn finish(mut self) -> Result<i64> {
        if !self.sent_any {
            self.send_slice(&RecordBatch::new_empty(Arc::clone(&self.schema))).await?;
        }
        Ok(self.sent_rows)
    }

    async fn send_slice(&mut self, batch: &RecordBatch) -> Result<()> {
        let data = ipc_stream(batch)?;
        let rows = i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        let part = |data, index, count| ArrowBatch {
            row_count: rows,
            data,
            start_offset: Some(self.sent_rows),
            chunk_index: index,
            num_chunks_in_batch: count,
        };
        let data = bytes::Bytes::from(data);
        match self.chunk_bytes {
            None => self.responses.send(ResponseType::ArrowBatch(part(data, None, None))).await,
            Some(size) => {
                let count = data.len().div_ceil(size).max(1);
                let total = i64::try_from(count).ok();
                for index in 0..count {
                    let chunk = data.slice(index * size..data.len().min((index + 1) * size));
                    let chunk = part(chunk, i64::try_from(index).ok(), total);
                    self.responses.send(ResponseType::ArrowBatch(chunk)).await;
                }
            }
        }
        self.sent_rows += rows;
        self.sent_any = true;
        Ok(())
    }

    /// The batch with the user's names and time zone.
    fn relabel(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(column, field)| {
                if column.data_type() == field.data_type() {
                    Ok(Arc::clone(column))
                } else {
                    cast(column, field.data_type())
                }
            })
            .collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    fn rows_that_fit(&self, batch: &RecordBatch) -> usize {
        let row_bytes = batch.get_array_memory_size() / batch.num_rows().max(1);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate"
        )]
        let fit = (MAX_BATCH_BYTES as f64 * FILL / row_bytes.max(1) as f64) as usize;
        fit.clamp(1, self.max_rows)
    }
}

/// One batch as a complete IPC stream.
///
/// # Errors
/// When a column cannot be encoded.
pub fn ipc_stream(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

/// The size of chunks the client wants, if it takes chunks.
fn chunk_bytes(request: &ExecutePlanRequest) -> Option<usize> {
    let options: &ResultChunkingOptions =
        request.request_options.iter().find_map(|o| match &o.request_option {
            Some(RequestOption::ResultChunkingOptions(options)) => Some(options),
            _ => None,
        })?;
    options.allow_arrow_batch_chunking.then(|| {
        let preferred = options.preferred_arrow_chunk_size.and_then(|size| usize::try_from(size).ok());
        preferred.unwrap_or(MAX_BATCH_BYTES).clamp(MIN_CHUNK_BYTES, MAX_BATCH_BYTES)
    })
}

fn zoned_field(field: &FieldRef, zone: &str) -> FieldRef {
    let zoned = zoned_type(field.data_type(), zone);
    if zoned == *field.data_type() {
        return Arc::clone(field);
    }
    Arc::new(Field::new(field.name(), zoned, field.is_nullable()).with_metadata(field.metadata().clone()))
}

/// `data_type` with `zone` in every timestamp that has a zone.
fn zoned_type(data_type: &DataType, zone: &str) -> DataType {
    let fields = |fields: &Fields| {
        let zoned = fields.iter().map(|f| zoned_field(f, zone)).collect::<Fields>();
        numbered_duplicates(&zoned)
    };
    match data_type {
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()))
        }
        DataType::List(item) => DataType::List(zoned_field(item, zone)),
        DataType::Struct(inner) => DataType::Struct(fields(inner)),
        DataType::Map(entries, sorted) => DataType::Map(zoned_field(entries, zone), *sorted),
        other => other.clone(),
    }
}

/// Struct fields with names that repeat get `_0`, `_1`, .. after the name, as in Spark: clients
/// take structs apart by name, and restore the names by the schema.
fn numbered_duplicates(fields: &Fields) -> Fields {
    let repeats = |name: &str| fields.iter().filter(|f| f.name() == name).count() > 1;
    if !fields.iter().any(|f| repeats(f.name())) {
        return fields.clone();
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let numbered = |field: &'_ FieldRef, number: usize| -> FieldRef {
        let name = format!("{}_{number}", field.name());
        Arc::new(field.as_ref().clone().with_name(name))
    };
    fields
        .iter()
        .map(|field| {
            if !repeats(field.name()) {
                return Arc::clone(field);
            }
            let next = seen.entry(field.name()).or_default();
            *next += 1;
            numbered(field, *next - 1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{Int64Array, TimestampMicrosecondArray},
        ipc::reader::StreamReader,
    };
    use spark_connect_proto::execute_plan_request::RequestOption as Wrapped;

    use super::*;
    use crate::operation::{Next, Operation};
    use millstream_engine::time::Millis;

    fn operation(chunk: Option<i64>) -> Arc<Operation> {
        let request_options = chunk.map(|size| Wrapped {
            request_option: Some(RequestOption::ResultChunkingOptions(ResultChunkingOptions {
                allow_arrow_batch_chunking: true,
                preferred_arrow_chunk_size: Some(size),
            })),
        });
        let request = ExecutePlanRequest {
            request_options: request_options.into_iter().collect(),
            ..Default::default()
        };
        Arc::new(Operation::new("o".to_string(), Arc::new(request), true, "s".to_string(), Millis::ZERO))
    }

    async fn sent(operation: &Operation) -> Vec<ArrowBatch> {
        operation.responses.end(Ok(()));
        let mut batches = Vec::new();
        for index in 1.. {
            match operation.responses.next(index).await.unwrap() {
                Next::Response(response) => match response.response_type {
                    Some(ResponseType::ArrowBatch(batch)) => batches.push(batch),
                    other => panic!("{other:?}"),
                },
                Next::End(_) => break,
            }
        }
        batches
    }

    fn numbers(rows: i64) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("#1", DataType::Int64, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(0..rows))]).unwrap()
    }

    fn user_schema() -> Schema {
        Schema::new(vec![Field::new("id", DataType::Int64, false)])
    }

    #[tokio::test]
    async fn rows_are_split_and_offsets_are_contiguous() {
        let operation = operation(None);
        let responses = Responses::of(Arc::clone(&operation));
        let mut batches = ArrowBatches::new(&responses, &user_schema(), "UTC", 4);
        batches.send(&numbers(6)).await.unwrap();
        batches.send(&numbers(1)).await.unwrap();
        assert_eq!(batches.finish().await.unwrap(), 7);
        let sent = sent(&operation).await;
        let shape: Vec<_> = sent.iter().map(|b| (b.start_offset, b.row_count)).collect();
        assert_eq!(shape, [(Some(0), 4), (Some(4), 2), (Some(6), 1)]);
        let reader = StreamReader::try_new(sent[1].data.as_ref(), None).unwrap();
        assert_eq!(reader.schema().field(0).name(), "id");
    }

    #[tokio::test]
    async fn an_empty_answer_has_one_empty_batch() {
        let operation = operation(None);
        let responses = Responses::of(Arc::clone(&operation));
        assert_eq!(ArrowBatches::new(&responses, &user_schema(), "UTC", 0).finish().await.unwrap(), 0);
        assert_eq!(sent(&operation).await[0].row_count, 0);
    }

    #[tokio::test]
    async fn chunks_make_up_the_batch() {
        let operation = operation(Some(1));
        let responses = Responses::of(Arc::clone(&operation));
        let mut batches = ArrowBatches::new(&responses, &user_schema(), "UTC", 0);
        batches.send(&numbers(1000)).await.unwrap();
        let sent = sent(&operation).await;
        assert!(sent.len() > 7, "{}", sent.len());
        assert!(sent.iter().all(|c| c.num_chunks_in_batch == Some(sent.len() as i64) && c.row_count == 1000));
        let whole: Vec<u8> = sent.iter().flat_map(|c| c.data.to_vec()).collect();
        let rows: usize =
            StreamReader::try_new(whole.as_slice(), None).unwrap().map(|b| b.unwrap().num_rows()).sum();
        assert_eq!(rows, 1000);
    }

    #[tokio::test]
    async fn timestamps_carry_the_session_time_zone() {
        let operation = operation(None);
        let responses = Responses::of(Arc::clone(&operation));
        let utc =
            |name| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true);
        let schema = Schema::new(vec![utc("t")]);
        let mut batches = ArrowBatches::new(&responses, &schema, "Europe/Paris", 0);
        let times = TimestampMicrosecondArray::from(vec![7]).with_timezone("UTC");
        let inside = Arc::new(Schema::new(vec![utc("#1")]));
        batches.send(&RecordBatch::try_new(inside, vec![Arc::new(times)]).unwrap()).await.unwrap();
        let sent = sent(&operation).await;
        let reader = StreamReader::try_new(sent[0].data.as_ref(), None).unwrap();
        assert_eq!(
            reader.schema().field(0).data_type(),
            &DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Paris".into()))
        );
    }
}
