//! `WithWatermark`: marks the event-time column of a stream.

use datafusion::arrow::datatypes::DataType;
use millstream_engine::{
    Result, SparkError,
    plan::{EventTimeWatermark, WATERMARK_DELAY_KEY},
};
use spark_connect_proto as proto;

use super::{
    identifier::parse_identifier,
    scope::RelationScope,
    translator::{Frame, Translator},
};
use crate::{expression::Scope, sql::interval::parse_interval, types::sql_name};

/// Spark counts a month of delay as 31 days.
const MILLIS_PER_MONTH: i64 = 31 * MILLIS_PER_DAY;
const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1000;

impl Translator<'_> {
    pub(super) fn with_watermark(&self, watermark: &proto::WithWatermark) -> Result<Frame> {
        let input = self.input(watermark.input.as_deref())?;
        let delay_ms = delay_millis(&watermark.delay_threshold)?;
        let parts = parse_identifier(&watermark.event_time)?;
        let event_time = RelationScope::select(self, &input).resolve(&parts, None, false)?;
        let is_window = |d: &DataType| match d {
            DataType::Struct(fields) => fields
                .iter()
                .any(|f| f.name() == "end" && matches!(f.data_type(), DataType::Timestamp(_, Some(_)))),
            _ => false,
        };
        let is_timestamp = matches!(event_time.data_type(), DataType::Timestamp(_, Some(_)));
        if !is_timestamp && !is_window(event_time.data_type()) {
            return Err(SparkError::new("EVENT_TIME_IS_NOT_ON_TIMESTAMP_TYPE")
                .with("eventName", super::attribute::quote_parts(std::slice::from_ref(&event_time.name)))
                .with("eventType", format!("\"{}\"", sql_name(event_time.data_type()))));
        }
        // A watermark means nothing to a batch.
        if !input.is_streaming {
            return Ok(input);
        }
        let index = input.columns.iter().position(|a| a.expr() == event_time.expr).ok_or_else(|| {
            SparkError::unsupported(format!("the field {} of a struct as event time", event_time.sql))
        })?;
        let mut columns = input.columns.to_vec();
        for (i, column) in columns.iter_mut().enumerate() {
            let mut metadata = column.field.metadata().clone();
            metadata.remove(WATERMARK_DELAY_KEY);
            if i == index {
                metadata.insert(WATERMARK_DELAY_KEY.to_string(), delay_ms.to_string());
            }
            column.field = std::sync::Arc::new(column.field.as_ref().clone().with_metadata(metadata));
        }
        let marked = columns.get(index).map(super::attribute::Attribute::column);
        let marked = marked.ok_or_else(|| SparkError::internal("no event-time column"))?;
        let plan = EventTimeWatermark::plan(input.plan.as_ref().clone(), marked, delay_ms)?;
        Ok(input.with_plan(plan).with_columns(columns))
    }
}

/// The delay in milliseconds.
///
/// # Errors
/// `CANNOT_PARSE_INTERVAL` for text that is no interval; a negative delay.
fn delay_millis(text: &str) -> Result<i64> {
    let interval = parse_interval(text).map_err(|cause| {
        SparkError::new("CANNOT_PARSE_INTERVAL").with("intervalString", format!("'{text}'")).caused_by(cause)
    })?;
    let millis = i64::from(interval.months) * MILLIS_PER_MONTH
        + i64::from(interval.days) * MILLIS_PER_DAY
        + interval.microseconds / 1000;
    if millis < 0 {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_REQUIREMENT")
            .with("message", format!("delay threshold ({text}) should not be negative.")));
    }
    Ok(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_milliseconds() {
        assert_eq!(delay_millis("10 seconds").unwrap(), 10_000);
        assert_eq!(delay_millis("interval 1 day 2 hours").unwrap(), 26 * 3_600_000);
        assert_eq!(delay_millis("1 month").unwrap(), 31 * MILLIS_PER_DAY);
        assert_eq!(delay_millis("0.5 seconds").unwrap(), 500);
        assert_eq!(delay_millis("ten seconds").unwrap_err().class(), "CANNOT_PARSE_INTERVAL");
        assert!(delay_millis("-1 seconds").is_err());
    }
}
