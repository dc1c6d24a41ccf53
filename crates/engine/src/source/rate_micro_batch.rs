//! `rate-micro-batch`: the same number of rows in every batch, whatever the clock says.
//!
//! The offset is `{"offset":<rows so far>,"timestamp":<ms of the next batch>}`. All rows of
//! a batch carry the timestamp at which the batch starts.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{
    Offset, ReadLimit, Source, SourceSpec, Split, option_error,
    rate::{RateSplit, number, positive, rate_schema},
};
use crate::{Result, SparkError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    offset: i64,
    timestamp: i64,
}

/// Spark's `rate-micro-batch` source.
pub struct RateMicroBatchSource {
    rows_per_batch: i64,
    partitions: i64,
    start_timestamp: i64,
    advance_ms: i64,
    /// With `availableNow`: the one batch to run, once it is known.
    only: Mutex<Option<Option<Position>>>,
}

impl fmt::Debug for RateMicroBatchSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description())
    }
}

impl RateMicroBatchSource {
    /// A source for the options `rowsPerBatch`, `numPartitions`, `startTimestamp` and
    /// `advanceMillisPerBatch`; `default_partitions` is only shown.
    ///
    /// # Errors
    /// Options that Spark refuses too.
    pub fn new(spec: &SourceSpec, default_partitions: i64) -> Result<Self> {
        let rows_per_batch = positive(spec, "rowsPerBatch", 0)?;
        let partitions = positive(spec, "numPartitions", default_partitions)?;
        let start_timestamp = number(spec, "startTimestamp", 0)?;
        if start_timestamp < 0 {
            return Err(option_error(format!(
                "Invalid value '{start_timestamp}'. The option 'startTimestamp' must not be negative"
            )));
        }
        let advance_ms = number(spec, "advanceMillisPerBatch", 1000)?;
        if advance_ms < 0 {
            return Err(option_error(format!(
                "Invalid value '{advance_ms}'. The option 'advanceMillisPerBatch' must not be negative"
            )));
        }
        Ok(Self { rows_per_batch, partitions, start_timestamp, advance_ms, only: Mutex::new(None) })
    }

    fn position(&self, offset: Option<&Offset>) -> Result<Position> {
        let Some(offset) = offset else {
            return Ok(Position { offset: 0, timestamp: self.start_timestamp });
        };
        serde_json::from_str(offset.json()).map_err(|e| {
            SparkError::internal(format!("`{offset}` is no offset of the rate-micro-batch source"))
                .caused_by(e)
        })
    }
}

#[async_trait]
impl Source for RateMicroBatchSource {
    fn description(&self) -> String {
        format!(
            "RatePerMicroBatchStream[rowsPerBatch={}, numPartitions={}, startTimestamp={}, advanceMsPerBatch={}]",
            self.rows_per_batch, self.partitions, self.start_timestamp, self.advance_ms
        )
    }

    fn schema(&self) -> SchemaRef {
        rate_schema()
    }

    async fn latest_offset(&self, start: Option<&Offset>, _limit: ReadLimit) -> Result<Option<Offset>> {
        let from = self.position(start)?;
        let next = Position {
            offset: from.offset.saturating_add(self.rows_per_batch),
            timestamp: from.timestamp.saturating_add(self.advance_ms),
        };
        let next = match &mut *self.only.lock() {
            Some(only) => *only.get_or_insert(next),
            None => next,
        };
        let json = serde_json::to_string(&next).map_err(|e| SparkError::internal("no JSON").caused_by(e))?;
        Ok(Some(Offset::new(json)))
    }

    fn reported_latest(&self) -> Option<Offset> {
        None
    }

    async fn plan_batch(&self, start: Option<&Offset>, end: &Offset) -> Result<Vec<Arc<dyn Split>>> {
        let (from, to) = (self.position(start)?, self.position(Some(end))?);
        if from.offset >= to.offset {
            return Ok(Vec::new());
        }
        let rows = RateSplit { first: from.offset, end: to.offset, start_ms: from.timestamp, per_value: 0.0 };
        Ok(vec![Arc::new(rows)])
    }

    async fn prepare_available_now(&self) -> Result<()> {
        *self.only.lock() = Some(None);
        Ok(())
    }

    async fn commit(&self, _end: &Offset) -> Result<()> {
        Ok(())
    }

    /// There is always a next batch.
    async fn changed(&self) {}
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{RecordBatch, cast::AsArray},
        datatypes::TimestampMicrosecondType,
    };
    use futures::TryStreamExt;

    use super::*;
    use crate::format::Options;

    fn source(options: &[(&str, &str)]) -> Result<RateMicroBatchSource> {
        let options = Options::new(options.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        let spec = SourceSpec {
            format: "rate-micro-batch".to_string(),
            schema: rate_schema(),
            options,
            paths: vec![],
        };
        RateMicroBatchSource::new(&spec, 2)
    }

    #[tokio::test]
    async fn each_batch_is_alike_and_time_advances() {
        let source =
            source(&[("rowsPerBatch", "4"), ("startTimestamp", "1000"), ("advanceMillisPerBatch", "500")]);
        let source = source.unwrap();
        let one = source.latest_offset(None, ReadLimit::Admission).await.unwrap().unwrap();
        assert_eq!(one.json(), "{\"offset\":4,\"timestamp\":1500}");
        let two = source.latest_offset(Some(&one), ReadLimit::Admission).await.unwrap().unwrap();
        assert_eq!(two.json(), "{\"offset\":8,\"timestamp\":2000}");
        let splits = source.plan_batch(Some(&one), &two).await.unwrap();
        let rows: Vec<RecordBatch> = splits[0].open(&[0]).await.unwrap().try_collect().await.unwrap();
        assert_eq!(
            rows[0].column(0).as_primitive::<TimestampMicrosecondType>().values().to_vec(),
            [1_500_000; 4]
        );
    }

    #[tokio::test]
    async fn available_now_is_one_batch() {
        let source = source(&[("rowsPerBatch", "4")]).unwrap();
        source.prepare_available_now().await.unwrap();
        let one = source.latest_offset(None, ReadLimit::Admission).await.unwrap().unwrap();
        assert_eq!(source.latest_offset(Some(&one), ReadLimit::Admission).await.unwrap(), Some(one));
    }

    #[test]
    fn refuses_what_spark_refuses() {
        let text = source(&[]).unwrap_err().to_string();
        assert_eq!(text, "Invalid value '0'. The option 'rowsPerBatch' must be positive");
    }
}
