//! `StreamingQueryProgress`: the figures of one trigger, in Spark's JSON.
//!
//! Two renderings exist and scripts see both: [`StreamingQueryProgress::json`] is what
//! `progress.json` prints, [`StreamingQueryProgress::connect_json`] is what travels over
//! Connect, where offsets are strings and derived totals are left to the client.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::observed_metrics::ObservedRow;
use crate::{operators::StateOperatorMetrics, query::BatchId, time::Millis};

/// Figures of one trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamingQueryProgress {
    /// Query id.
    pub id: Uuid,
    /// Run id.
    pub run_id: Uuid,
    /// Name, if the query has one.
    pub name: Option<String>,
    /// Start of the trigger.
    pub timestamp: Millis,
    /// The batch, or the next one when there was nothing to do.
    pub batch_id: BatchId,
    /// Milliseconds from the start of the trigger to its end.
    pub batch_duration_ms: i64,
    /// Milliseconds by step; see Spark's `durationMs`.
    pub duration_ms: BTreeMap<&'static str, i64>,
    /// `avg`, `max`, `min` of event times and the `watermark`, those that are known.
    pub event_time: BTreeMap<&'static str, Millis>,
    /// One entry a stateful operator, root first as in Spark.
    pub state_operators: Vec<StateOperatorProgress>,
    /// One entry a source, in plan order.
    pub sources: Vec<SourceProgress>,
    /// The sink.
    pub sink: SinkProgress,
    /// Observed metrics by name.
    pub observed_metrics: BTreeMap<String, ObservedRow>,
}

/// Figures of one stateful operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateOperatorProgress {
    /// Spark's operator name.
    pub operator_name: &'static str,
    /// Counts and times.
    pub metrics: StateOperatorMetrics,
}

/// Figures of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceProgress {
    /// As the source describes itself.
    pub description: String,
    /// Offset JSON where the trigger started.
    pub start_offset: Option<String>,
    /// Offset JSON where it ended.
    pub end_offset: Option<String>,
    /// Newest offset JSON known.
    pub latest_offset: Option<String>,
    /// Rows read.
    pub num_input_rows: i64,
    /// Rows per second of arrival; not finite in the first trigger.
    pub input_rows_per_second: f64,
    /// Rows per second of processing.
    pub processed_rows_per_second: f64,
    /// Further figures.
    pub metrics: BTreeMap<String, String>,
}

/// Figures of the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkProgress {
    /// As the sink describes itself.
    pub description: String,
    /// Rows written; -1 where the sink does not count.
    pub num_output_rows: i64,
    /// Further figures.
    pub metrics: BTreeMap<String, String>,
}

impl StreamingQueryProgress {
    /// Rows read from all sources.
    pub fn num_input_rows(&self) -> i64 {
        self.sources.iter().map(|s| s.num_input_rows).sum()
    }

    /// Spark's `progress.json`.
    pub fn json(&self) -> Value {
        let mut out = self.head();
        let rate = |f: fn(&SourceProgress) -> f64| self.sources.iter().map(f).sum::<f64>();
        out.insert("numInputRows".into(), json!(self.num_input_rows()));
        put_finite(&mut out, "inputRowsPerSecond", rate(|s| s.input_rows_per_second));
        put_finite(&mut out, "processedRowsPerSecond", rate(|s| s.processed_rows_per_second));
        put_map(&mut out, "durationMs", self.duration_ms.iter().map(|(k, v)| (*k, json!(v))));
        put_map(&mut out, "eventTime", self.event_time.iter().map(|(k, v)| (*k, json!(v.to_string()))));
        out.insert(
            "stateOperators".into(),
            self.state_operators.iter().map(StateOperatorProgress::json).collect(),
        );
        out.insert("sources".into(), self.sources.iter().map(SourceProgress::json).collect());
        out.insert("sink".into(), self.sink.json());
        put_map(
            &mut out,
            "observedMetrics",
            self.observed_metrics.iter().map(|(k, v)| (k.as_str(), v.json())),
        );
        Value::Object(out)
    }

    /// The form that travels over Connect.
    pub fn connect_json(&self) -> Value {
        let mut out = self.head();
        let durations: Map<String, Value> =
            self.duration_ms.iter().map(|(k, v)| ((*k).to_string(), json!(v))).collect();
        out.insert("durationMs".into(), Value::Object(durations));
        let times: Map<String, Value> =
            self.event_time.iter().map(|(k, v)| ((*k).to_string(), json!(v.to_string()))).collect();
        out.insert("eventTime".into(), Value::Object(times));
        out.insert(
            "stateOperators".into(),
            self.state_operators.iter().map(StateOperatorProgress::json).collect(),
        );
        out.insert("sources".into(), self.sources.iter().map(SourceProgress::connect_json).collect());
        out.insert("sink".into(), self.sink.connect_json());
        let observed: Map<String, Value> =
            self.observed_metrics.iter().map(|(k, v)| (k.clone(), v.connect_json())).collect();
        out.insert("observedMetrics".into(), Value::Object(observed));
        Value::Object(out)
    }

    fn head(&self) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("id".into(), json!(self.id.to_string()));
        out.insert("runId".into(), json!(self.run_id.to_string()));
        out.insert("name".into(), json!(self.name));
        out.insert("timestamp".into(), json!(self.timestamp.to_string()));
        out.insert("batchId".into(), json!(self.batch_id.0));
        out.insert("batchDuration".into(), json!(self.batch_duration_ms));
        out
    }
}

impl StateOperatorProgress {
    fn json(&self) -> Value {
        let m = &self.metrics;
        let mut out = Map::new();
        out.insert("operatorName".into(), json!(self.operator_name));
        for (name, value) in [
            ("numRowsTotal", m.num_rows_total),
            ("numRowsUpdated", m.num_rows_updated),
            ("allUpdatesTimeMs", m.all_updates_time_ms),
            ("numRowsRemoved", m.num_rows_removed),
            ("allRemovalsTimeMs", m.all_removals_time_ms),
            ("commitTimeMs", m.commit_time_ms),
            ("memoryUsedBytes", m.memory_used_bytes),
            ("numRowsDroppedByWatermark", m.num_rows_dropped_by_watermark),
            // One partition and one store an operator: state is not split by hash here.
            ("numShufflePartitions", 1),
            ("numStateStoreInstances", 1),
        ] {
            out.insert(name.into(), json!(value));
        }
        let custom: BTreeMap<&str, i64> = m.custom_metrics.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        put_map(&mut out, "customMetrics", custom.into_iter().map(|(k, v)| (k, json!(v))));
        Value::Object(out)
    }
}

impl SourceProgress {
    fn json(&self) -> Value {
        let mut out = Map::new();
        out.insert("description".into(), json!(self.description));
        for (name, offset) in [
            ("startOffset", &self.start_offset),
            ("endOffset", &self.end_offset),
            ("latestOffset", &self.latest_offset),
        ] {
            out.insert(name.into(), offset.as_deref().map_or(Value::Null, parsed));
        }
        out.insert("numInputRows".into(), json!(self.num_input_rows));
        put_finite(&mut out, "inputRowsPerSecond", self.input_rows_per_second);
        put_finite(&mut out, "processedRowsPerSecond", self.processed_rows_per_second);
        put_map(&mut out, "metrics", self.metrics.iter().map(|(k, v)| (k.as_str(), json!(v))));
        Value::Object(out)
    }

    fn connect_json(&self) -> Value {
        json!({
            "description": self.description,
            "startOffset": self.start_offset,
            "endOffset": self.end_offset,
            "latestOffset": self.latest_offset,
            "numInputRows": self.num_input_rows,
            "inputRowsPerSecond": number(self.input_rows_per_second),
            "processedRowsPerSecond": number(self.processed_rows_per_second),
            "metrics": self.metrics,
        })
    }
}

impl SinkProgress {
    fn json(&self) -> Value {
        let mut out = Map::new();
        out.insert("description".into(), json!(self.description));
        out.insert("numOutputRows".into(), json!(self.num_output_rows));
        put_map(&mut out, "metrics", self.metrics.iter().map(|(k, v)| (k.as_str(), json!(v))));
        Value::Object(out)
    }

    fn connect_json(&self) -> Value {
        json!({
            "description": self.description,
            "numOutputRows": self.num_output_rows,
            "metrics": self.metrics,
        })
    }
}

/// An offset is JSON where it parses, else text (Spark's `tryParse`).
fn parsed(offset: &str) -> Value {
    serde_json::from_str(offset).unwrap_or_else(|_| json!(offset))
}

/// Rates are printed with one decimal; those that are not finite are left out.
fn put_finite(out: &mut Map<String, Value>, name: &str, value: f64) {
    if value.is_finite() {
        out.insert(name.into(), json!((value * 10.0).round() / 10.0));
    }
}

/// Connect writes what is not finite as text.
fn number(value: f64) -> Value {
    if value.is_finite() {
        json!(value)
    } else if value.is_nan() {
        json!("NaN")
    } else if value > 0.0 {
        json!("Infinity")
    } else {
        json!("-Infinity")
    }
}

fn put_map<'a>(out: &mut Map<String, Value>, name: &str, entries: impl Iterator<Item = (&'a str, Value)>) {
    let entries: Map<String, Value> = entries.map(|(k, v)| (k.to_string(), v)).collect();
    if !entries.is_empty() {
        out.insert(name.into(), Value::Object(entries));
    }
}
