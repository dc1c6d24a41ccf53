//! The event time of rows: a marked timestamp, or the end of a marked window.

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, TimestampMicrosecondArray},
    compute::nullif,
    datatypes::{DataType, Schema, TimestampMicrosecondType},
};

use crate::{
    Result, SparkError,
    plan::{multiple_event_times, watermark_delay},
};

/// The event-time column of `schema`: its place and the watermark's delay in milliseconds.
///
/// # Errors
/// `MULTIPLE_EVENT_TIME_COLUMNS` when there are several, as Spark refuses them.
pub fn event_time_column(schema: &Schema) -> Result<Option<(usize, i64)>> {
    let marked = schema.fields().iter().enumerate().filter_map(|(i, f)| Some((i, watermark_delay(f)?)));
    let marked: Vec<(usize, i64)> = marked.collect();
    match marked.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => {
            let fields = several.iter().filter_map(|(i, _)| schema.fields().get(*i));
            Err(multiple_event_times(fields.map(AsRef::as_ref)))
        }
    }
}

/// Event times of a column in microseconds; null where there is none.
///
/// # Errors
/// Internal: the column is neither a timestamp nor a window.
pub fn event_times(column: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let wrong = || SparkError::internal("an event-time column is no timestamp");
    let DataType::Struct(_) = column.data_type() else {
        return Ok(column.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(wrong)?.clone());
    };
    let window = column.as_struct();
    let mut end = window.column_by_name("end").cloned().ok_or_else(wrong)?;
    if let Some(nulls) = window.nulls().filter(|n| n.null_count() > 0) {
        // A null window has no end, whatever the child holds.
        end = nullif(&end, &BooleanArray::new(!nulls.inner(), None))?;
    }
    Ok(end.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(wrong)?.clone())
}
