//! Progress and idle events of a run, assembled as Spark's `ProgressReporter` does.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    BatchContext, SinkProgress, SourceProgress, StateOperatorProgress, StreamingQueryEvent,
    StreamingQueryProgress, commit::Committed, execution::Execution, observed_metrics, streaming_query::Run,
};
use crate::time::Millis;

/// Times of the current trigger and figures of the last executed batch.
pub(crate) struct Reporter {
    run: Arc<Run>,
    idle_interval_ms: i64,
    trigger_start: Option<Millis>,
    /// The same by the monotonic clock.
    trigger_began: Duration,
    last_trigger_start: Option<Millis>,
    durations: BTreeMap<&'static str, Duration>,
    /// When the last progress or idle event was, by the wall clock.
    last_event: Option<Millis>,
    last: Stats,
}

/// Figures of a batch.
#[derive(Debug, Clone, Default)]
struct Stats {
    rows_in: Vec<i64>,
    state: Vec<StateOperatorProgress>,
    event_time: BTreeMap<&'static str, Millis>,
    rows_out: Option<i64>,
    executed: bool,
}

impl Reporter {
    pub fn new(run: Arc<Run>, idle_interval_ms: i64) -> Self {
        Self {
            run,
            idle_interval_ms,
            trigger_start: None,
            trigger_began: Duration::ZERO,
            last_trigger_start: None,
            durations: BTreeMap::new(),
            last_event: None,
            last: Stats::default(),
        }
    }

    pub fn start_trigger(&mut self) {
        self.last_trigger_start = self.trigger_start;
        self.trigger_start = Some(self.run.now());
        self.trigger_began = self.run.clock.monotonic();
        self.durations.clear();
        self.run.set_trigger_active(true);
    }

    /// Adds to `durationMs`.
    pub fn took(&mut self, step: &'static str, time: Duration) {
        *self.durations.entry(step).or_default() += time;
    }

    /// Takes over what the commit of the last executed batch found out.
    pub fn committed(&mut self, batch: &Committed) {
        self.last.rows_out = batch.rows_out;
        self.last_event = Some(batch.at);
    }

    /// Time until an idle event is due.
    pub fn until_idle(&self) -> Duration {
        let due = self.last_event.map_or(i64::MIN, |last| last.0.saturating_add(self.idle_interval_ms));
        let left = due.saturating_sub(self.run.now().0);
        // A pause at least, whatever the setting says.
        Duration::from_millis(u64::try_from(left).unwrap_or(0).max(10))
    }
}

/// The progress of an executed batch while it is being committed.
pub(crate) struct Report {
    run: Arc<Run>,
    trigger_began: Duration,
    durations: BTreeMap<&'static str, Duration>,
    progress: StreamingQueryProgress,
}

impl Report {
    /// Adds to `durationMs`.
    pub fn took(&mut self, step: &'static str, time: Duration) {
        *self.durations.entry(step).or_default() += time;
    }

    /// Adds to the `commitTimeMs` of an operator.
    pub fn state_written(&mut self, operator: usize, time: Duration) {
        if let Some(operator) = self.progress.state_operators.get_mut(operator) {
            operator.metrics.commit_time_ms += i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        }
    }

    /// Posts the progress of the batch, which is committed; answers with the time.
    pub fn publish(mut self, rows_out: Option<i64>) -> Millis {
        let whole = self.run.clock.monotonic().saturating_sub(self.trigger_began);
        self.took("triggerExecution", whole);
        let now = self.run.now();
        let mut progress = self.progress;
        let took_ms = now.0.saturating_sub(progress.timestamp.0).max(0);
        let seconds = took_ms.max(1) as f64 / 1000.0;
        progress.batch_duration_ms = took_ms;
        progress.duration_ms = milliseconds(&self.durations);
        progress.sink.num_output_rows = rows_out.unwrap_or(-1);
        for source in &mut progress.sources {
            source.processed_rows_per_second = source.num_input_rows as f64 / seconds;
        }
        let progress = Arc::new(progress);
        self.run.add_progress(Arc::clone(&progress));
        self.run.post(StreamingQueryEvent::Progress(Box::new(progress.as_ref().clone())));
        now
    }
}

fn milliseconds(durations: &BTreeMap<&'static str, Duration>) -> BTreeMap<&'static str, i64> {
    durations.iter().map(|(k, v)| (*k, i64::try_from(v.as_millis()).unwrap_or(i64::MAX))).collect()
}

impl Execution {
    /// What the progress of the batch just executed says, its commit apart.
    pub(super) fn measure(&mut self, context: &BatchContext, has_new_data: bool) -> Report {
        let mut stats = Stats { executed: true, ..Stats::default() };
        stats.state = self
            .template
            .stateful
            .iter()
            .map(|o| StateOperatorProgress { operator_name: o.name(), metrics: o.metrics() })
            .collect();
        if !self.template.watermark_delays_ms.is_empty() {
            stats.event_time.insert("watermark", self.batch.watermark);
        }
        if has_new_data {
            stats.rows_in = context.inputs.iter().map(|i| i.rows()).collect();
            let mut seen =
                self.template.watermarks_from_root.iter().filter_map(|w| context.event_times.get(*w));
            if let Some(range) = seen.find_map(|times| times.range()) {
                stats.event_time.insert("min", range.min);
                stats.event_time.insert("max", range.max);
                stats.event_time.insert("avg", Millis((range.sum / i128::from(range.count.max(1))) as i64));
            }
        }
        let progress = self.progress(&stats);
        self.reporter.last = stats;
        Report {
            run: Arc::clone(&self.run),
            trigger_began: self.reporter.trigger_began,
            durations: std::mem::take(&mut self.reporter.durations),
            progress,
        }
    }

    /// Counts a trigger that found nothing; now and then that is an event.
    pub(super) fn report_nothing(&mut self) {
        let now = self.run.now();
        let due =
            self.reporter.last_event.is_none_or(|last| now.0 - self.reporter.idle_interval_ms >= last.0);
        if due {
            let mut stats = self.reporter.last.clone();
            stats.rows_in.clear();
            for operator in &mut stats.state {
                operator.metrics.num_rows_updated = 0;
                operator.metrics.num_rows_dropped_by_watermark = 0;
            }
            if stats.event_time.contains_key("watermark") {
                stats.event_time = BTreeMap::from([("watermark", self.batch.watermark)]);
            } else {
                stats.event_time.clear();
            }
            stats.rows_out = stats.rows_out.map(|_| 0);
            self.run.add_progress(Arc::new(self.progress(&stats)));
            if self.reporter.last_event.is_some() {
                self.run.post(StreamingQueryEvent::Idle {
                    id: self.run.id,
                    run_id: self.run.run_id,
                    timestamp: self.reporter.trigger_start.unwrap_or(now),
                });
            }
            self.reporter.last_event = Some(now);
        }
        self.run.set_trigger_active(false);
    }

    fn progress(&self, stats: &Stats) -> StreamingQueryProgress {
        let reporter = &self.reporter;
        let started = reporter.trigger_start.unwrap_or_default();
        let took_ms = self.run.now().0.saturating_sub(started.0).max(0);
        let processing_seconds = took_ms.max(1) as f64 / 1000.0;
        let input_seconds =
            reporter.last_trigger_start.map_or(f64::INFINITY, |last| (started.0 - last.0) as f64 / 1000.0);
        let json = |offsets: &[Option<crate::source::Offset>], i: usize| {
            offsets.get(i).and_then(|o| o.as_ref()).map(|o| o.json().to_string())
        };
        let sources = self.sources.iter().enumerate().map(|(i, source)| {
            let rows = stats.rows_in.get(i).copied().unwrap_or(0);
            SourceProgress {
                description: source.description(),
                start_offset: json(&self.batch.start, i),
                end_offset: json(&self.batch.end, i),
                latest_offset: json(&self.batch.latest, i),
                num_input_rows: rows,
                input_rows_per_second: rows as f64 / input_seconds,
                processed_rows_per_second: rows as f64 / processing_seconds,
                metrics: BTreeMap::new(),
            }
        });
        StreamingQueryProgress {
            id: self.run.id,
            run_id: self.run.run_id,
            name: self.run.name.clone(),
            timestamp: started,
            batch_id: self.batch.id,
            batch_duration_ms: took_ms,
            duration_ms: milliseconds(&reporter.durations),
            event_time: stats.event_time.clone(),
            state_operators: if stats.executed { stats.state.clone() } else { Vec::new() },
            sources: sources.collect(),
            sink: SinkProgress {
                description: self.sink.description(),
                num_output_rows: stats.rows_out.unwrap_or(-1),
                metrics: BTreeMap::new(),
            },
            observed_metrics: observed_metrics::take(&self.template.observed),
        }
    }
}
