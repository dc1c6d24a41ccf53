//! The console sink: prints each batch as a table, `format("console")`.
//!
//! Options: `numRows` (20) and `truncate` (`true`: cells of more than 20 characters are
//! cut). A batch that is run again is printed again, as in Spark.

use std::{fmt, io::Write, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    execution::SendableRecordBatchStream,
};
use futures::StreamExt;
use parking_lot::Mutex;

use super::{OutputMode, Sink, StagedBatch, rows};
use crate::{
    Result, SparkError,
    format::{
        Options,
        show::{ShowOptions, show_string},
        value_text::ZoneOffsets,
    },
    query::BatchId,
};

/// Where the tables go.
pub type ConsoleWriter = Arc<Mutex<dyn Write + Send>>;

/// Prints batches.
#[derive(Clone)]
pub struct ConsoleSink {
    show: ShowOptions,
    zone: Arc<dyn ZoneOffsets>,
    out: ConsoleWriter,
}

impl fmt::Debug for ConsoleSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleSink").field("show", &self.show).finish_non_exhaustive()
    }
}

impl ConsoleSink {
    /// A sink that prints to `out`, timestamps in `zone`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` for a `numRows` that is no number or a `truncate` that is
    /// no boolean. Spark differs: its exceptions here have no class.
    pub fn new(options: &Options, zone: Arc<dyn ZoneOffsets>, out: ConsoleWriter) -> Result<Self> {
        let num_rows = match options.get("numRows") {
            None => 20,
            Some(text) => text.trim().parse().map_err(|_| illegal("INTEGER", "numRows", text))?,
        };
        let truncate = match options.get("truncate").map(|t| (t, t.to_ascii_lowercase())) {
            None => true,
            Some((_, lower)) if lower == "true" => true,
            Some((_, lower)) if lower == "false" => false,
            Some((text, _)) => return Err(illegal("BOOLEAN", "truncate", text)),
        };
        let show = ShowOptions { num_rows, truncate: if truncate { 20 } else { 0 }, vertical: false };
        Ok(Self { show, zone, out })
    }
}

fn illegal(kind: &str, option: &str, value: &str) -> SparkError {
    SparkError::new(&format!("INVALID_PARAMETER_VALUE.{kind}"))
        .with("parameter", format!("`{option}`"))
        .with("functionName", "`console`")
        .with("invalidValue", format!("'{value}'"))
}

#[async_trait]
impl Sink for ConsoleSink {
    fn description(&self) -> String {
        // Spark adds the object's hash code, another one each run.
        "org.apache.spark.sql.execution.streaming.ConsoleTable$@0".to_string()
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
        // One row more than shown makes the "only showing top N rows" line.
        let wanted = usize::try_from(self.show.num_rows).unwrap_or(0).saturating_add(1);
        let partitions = rows::each_partition(rows, move |_, stream| head(stream, wanted)).await?;
        let count = partitions.iter().map(|(count, _)| count).sum();
        let shown = partitions.into_iter().flat_map(|(_, batches)| batches).collect();
        let names = schema.fields().iter().map(|f| f.name().clone()).collect();
        Ok(Box::new(StagedTable { sink: self.clone(), batch, names, shown, count }))
    }
}

/// Counts the rows and keeps the first `wanted`.
async fn head(mut stream: SendableRecordBatchStream, wanted: usize) -> Result<(usize, Vec<RecordBatch>)> {
    let (mut count, mut kept, mut left) = (0, Vec::new(), wanted);
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        count += batch.num_rows();
        let keep = batch.num_rows().min(left);
        if keep > 0 {
            kept.push(batch.slice(0, keep));
            left -= keep;
        }
    }
    Ok((count, kept))
}

struct StagedTable {
    sink: ConsoleSink,
    batch: BatchId,
    names: Vec<String>,
    shown: Vec<RecordBatch>,
    count: usize,
}

#[async_trait]
impl StagedBatch for StagedTable {
    async fn publish(self: Box<Self>) -> Result<Option<i64>> {
        const RULE: &str = "-------------------------------------------";
        let table = show_string(&self.names, &self.shown, self.sink.show, self.sink.zone.as_ref())?;
        let text = format!("{RULE}\nBatch: {}\n{RULE}\n{table}\n", self.batch);
        let mut out = self.sink.out.lock();
        // A terminal that went away must not stop the query, as in Spark.
        if let Err(e) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            tracing::warn!(batch = %self.batch, error = %e, "the console sink could not print");
        }
        Ok(i64::try_from(self.count).ok())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::{
            array::{Int32Array, StringArray},
            datatypes::{DataType, Field, Schema},
        },
        physical_plan::stream::RecordBatchStreamAdapter,
    };

    use super::*;

    /// As printed by Spark 4.3 for three batches with `x int, p string`.
    const DEFAULT: &str = "\
-------------------------------------------
Batch: 0
-------------------------------------------
+---+---+
|  x|  p|
+---+---+
|  1|  a|
|  2|  b|
+---+---+

-------------------------------------------
Batch: 1
-------------------------------------------
+---+---+
|  x|  p|
+---+---+
+---+---+

";
    const ONE_ROW_WHOLE: &str = "\
-------------------------------------------
Batch: 0
-------------------------------------------
+---+---+
|x  |p  |
+---+---+
|1  |a  |
+---+---+
only showing top 1 row
-------------------------------------------
Batch: 1
-------------------------------------------
+---+---+
|x  |p  |
+---+---+
+---+---+

";

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("x", DataType::Int32, true),
            Field::new("p", DataType::Utf8, true),
        ]))
    }

    fn stream(rows: &[(i32, &str)]) -> SendableRecordBatchStream {
        let x = Int32Array::from_iter_values(rows.iter().map(|r| r.0));
        let p = StringArray::from_iter_values(rows.iter().map(|r| r.1));
        let batch = RecordBatch::try_new(schema(), vec![Arc::new(x), Arc::new(p)]).unwrap();
        Box::pin(RecordBatchStreamAdapter::new(schema(), futures::stream::iter([Ok(batch)])))
    }

    async fn printed(options: &[(&str, &str)]) -> String {
        let out = Arc::new(Mutex::new(Vec::new()));
        let options = Options::new(options.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        let sink = ConsoleSink::new(&options, Arc::new(chrono::Utc), out.clone()).unwrap();
        for (batch, rows) in [(0, vec![stream(&[(1, "a")]), stream(&[(2, "b")])]), (1, vec![stream(&[])])] {
            let staged = sink.stage(BatchId(batch), schema(), rows).await.unwrap();
            assert_eq!(staged.publish().await.unwrap(), Some(2 - 2 * batch));
        }
        let bytes = out.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn prints_what_spark_prints() {
        assert_eq!(printed(&[]).await, DEFAULT);
        assert_eq!(printed(&[("numRows", "1"), ("TRUNCATE", "false")]).await, ONE_ROW_WHOLE);
    }

    #[test]
    fn refuses_options_that_mean_nothing() {
        for (name, value, text) in [
            ("truncate", "5", "a boolean literal, but got '5'"),
            ("numRows", "x", "an integer literal, but got 'x'"),
        ] {
            let options = Options::new([(name.to_string(), value.to_string())]);
            let error = ConsoleSink::new(&options, Arc::new(chrono::Utc), Arc::new(Mutex::new(Vec::new())))
                .unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
