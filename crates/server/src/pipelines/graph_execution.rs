//! Runs the flows of a graph, each after those it reads from: Spark's `TriggeredGraphExecution`.
//!
//! A flow that fails is tried again, as often and as late as the settings say; flows below one
//! that has failed for good are skipped. Flows beside it still run.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use millstream_engine::{
    Result, SparkError,
    error::ExceptionKind,
    time::{Millis, time_setting_ms},
};
use tokio::task::JoinSet;

use super::{
    analysis::ResolvedFlow,
    events::FlowStatus,
    flow_execution::{FlowFailure, RunContext, upstream},
    identifier::Identifier,
    refresh::Selection,
};
use crate::session::Session;

const RETRIES: &str = "spark.sql.pipelines.maxFlowRetryAttempts";

/// How a flow stands.
#[derive(Debug, Clone, PartialEq)]
enum State {
    Queued,
    /// It failed and starts again at this time.
    Waiting(Millis),
    Running,
    Done,
    Skipped,
    Failed,
}

/// Settings of a run.
struct Limits {
    retries: u32,
    flows: usize,
    first_wait: Duration,
    longest_wait: Duration,
}

impl Limits {
    fn of(session: &Session) -> Self {
        let conf = session.conf.read();
        // A bare number is seconds.
        let seconds = |key: &str, default: u64| {
            let set = conf.value(key).and_then(|text| time_setting_ms(&text, 1000));
            set.and_then(|ms| u64::try_from(ms).ok())
                .map_or(Duration::from_secs(default), Duration::from_millis)
        };
        Self {
            retries: conf.number(RETRIES).unwrap_or(2),
            flows: conf.number("spark.sql.pipelines.execution.maxConcurrentFlows").unwrap_or(16).max(1),
            first_wait: seconds("spark.sql.pipelines.execution.watchdog.minRetryTime", 5),
            longest_wait: seconds("spark.sql.pipelines.execution.watchdog.maxRetryTime", 3600),
        }
    }

    /// The wait after the `n`th failure: twice as long each time.
    fn wait(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first_wait.saturating_mul(factor).min(self.longest_wait)
    }
}

/// Runs the selected flows and waits for all of them.
///
/// # Errors
/// The error of the flow that failed first.
pub async fn run(context: Arc<RunContext>, selection: &Selection) -> Result<()> {
    let mut execution = Execution {
        limits: Limits::of(&context.session),
        states: BTreeMap::new(),
        failures: HashMap::new(),
        first_error: None,
        above: upstream(&context.graph, &context.resolution),
        tasks: JoinSet::new(),
        context,
    };
    execution.queue(selection).await;
    execution.work().await;
    match execution.first_error {
        None => Ok(()),
        Some(error) => Err(error),
    }
}

struct Execution {
    context: Arc<RunContext>,
    limits: Limits,
    /// Selected flows by their place in the order of the graph.
    states: BTreeMap<usize, State>,
    failures: HashMap<Identifier, u32>,
    first_error: Option<SparkError>,
    above: HashMap<Identifier, Vec<Identifier>>,
    tasks: JoinSet<(usize, Result<(), FlowFailure>)>,
}

impl Execution {
    async fn queue(&mut self, selection: &Selection) {
        let context = Arc::clone(&self.context);
        let written = |flow: &ResolvedFlow| !context.graph.is_view(&flow.flow.destination);
        let flows = context.resolution.flows.iter().enumerate().filter(|(_, flow)| written(flow));
        let (selected, excluded): (Vec<_>, Vec<_>) =
            flows.partition(|(_, flow)| selection.includes(&flow.flow.destination));
        for (index, flow) in selected {
            context.events.flow(&flow.flow.name, FlowStatus::Queued).await;
            self.states.insert(index, State::Queued);
        }
        for (_, flow) in excluded {
            context.events.flow(&flow.flow.name, FlowStatus::Excluded).await;
        }
    }

    async fn work(&mut self) {
        loop {
            self.start_ready();
            let next = self
                .states
                .values()
                .filter_map(|s| if let State::Waiting(at) = s { Some(*at) } else { None });
            let clock = Arc::clone(self.context.server.clock());
            match (self.tasks.is_empty(), next.min()) {
                (true, None) => return,
                (true, Some(at)) => clock.sleep(until(at, clock.now())).await,
                (false, None) => self.next_done().await,
                (false, Some(at)) => tokio::select! {
                    () = self.next_done() => {}
                    () = clock.sleep(until(at, clock.now())) => {}
                },
            }
        }
    }

    fn start_ready(&mut self) {
        let now = self.context.server.clock().now();
        let ready: Vec<usize> = self
            .states
            .iter()
            .filter(|(index, state)| match state {
                State::Queued => self.is_ready(**index),
                State::Waiting(at) => *at <= now,
                _ => false,
            })
            .map(|(index, _)| *index)
            .collect();
        for index in ready {
            if self.tasks.len() >= self.limits.flows {
                return;
            }
            let context = Arc::clone(&self.context);
            self.states.insert(index, State::Running);
            self.tasks.spawn(async move {
                let Some(flow) = context.resolution.flows.get(index) else { return (index, Ok(())) };
                let result = context.execute(flow).await;
                (index, result)
            });
        }
    }

    /// Whether everything above a flow that is part of the run is done.
    fn is_ready(&self, index: usize) -> bool {
        let flows = &self.context.resolution.flows;
        let above = flows.get(index).and_then(|flow| self.above.get(&flow.flow.name));
        above.into_iter().flatten().all(|name| {
            let place = flows.iter().position(|flow| flow.flow.name == *name);
            place.and_then(|place| self.states.get(&place)).is_none_or(|state| *state == State::Done)
        })
    }

    async fn next_done(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok((index, Ok(())))) => {
                self.states.insert(index, State::Done);
            }
            Some(Ok((index, Err(failure)))) => self.failed(index, failure).await,
            // A panic, which tells no flow: all that run are lost with it.
            Some(Err(panic)) => {
                self.first_error
                    .get_or_insert_with(|| SparkError::internal(format!("a flow panicked: {panic}")));
                let running: Vec<usize> =
                    self.states.iter().filter(|(_, s)| **s == State::Running).map(|(i, _)| *i).collect();
                self.tasks.shutdown().await;
                for index in running {
                    self.states.insert(index, State::Failed);
                    self.skip_below(index).await;
                }
            }
            None => {}
        }
    }

    async fn failed(&mut self, index: usize, failure: FlowFailure) {
        let context = Arc::clone(&self.context);
        let Some(flow) = context.resolution.flows.get(index) else { return };
        let (name, error) = (&flow.flow.name, failure.error);
        let count = self.failures.entry(name.clone()).or_insert(0);
        *count += 1;
        let (count, allowed) = (*count, self.retries_of(flow));
        // Spark differs: it also tries again what was refused before it ran, three times the same answer.
        let again = count <= allowed && retryable(&error);
        if !flow.is_streaming || !failure.started || again {
            context.events.failed(name, &error).await;
        }
        if again {
            let now = context.server.clock().now();
            let wait = i64::try_from(self.limits.wait(count).as_millis()).unwrap_or(i64::MAX);
            self.states.insert(index, State::Waiting(Millis(now.0.saturating_add(wait))));
            return;
        }
        if flow.is_streaming {
            let name = name.unquoted();
            let text = match count > allowed {
                true => {
                    format!("Flow '{name}' has FAILED more than {allowed} times and will not be restarted.")
                }
                false => format!("Flow '{name}' has FAILED and will not be restarted."),
            };
            context.events.failure(text, &error).await;
        }
        self.first_error.get_or_insert(error);
        self.states.insert(index, State::Failed);
        self.skip_below(index).await;
    }

    async fn skip_below(&mut self, failed: usize) {
        let context = Arc::clone(&self.context);
        let flows = &context.resolution.flows;
        let Some(failed) = flows.get(failed) else { return };
        for (index, flow) in flows.iter().enumerate() {
            let below =
                self.above.get(&flow.flow.name).is_some_and(|above| above.contains(&failed.flow.name));
            if below && self.states.get(&index) == Some(&State::Queued) {
                self.states.insert(index, State::Skipped);
                context.events.flow(&flow.flow.name, FlowStatus::Skipped).await;
            }
        }
    }

    fn retries_of(&self, flow: &ResolvedFlow) -> u32 {
        flow.flow.conf.get(RETRIES).and_then(|n| n.trim().parse().ok()).unwrap_or(self.limits.retries)
    }
}

/// Whether a flow that failed so may succeed the next time.
fn retryable(error: &SparkError) -> bool {
    !matches!(error.kind(), ExceptionKind::Analysis | ExceptionKind::Parse | ExceptionKind::Unsupported)
}

fn until(at: Millis, now: Millis) -> Duration {
    Duration::from_millis(u64::try_from(at.0 - now.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit() {
        let limits = Limits {
            retries: 2,
            flows: 1,
            first_wait: Duration::from_secs(5),
            longest_wait: Duration::from_secs(30),
        };
        let waits: Vec<u64> = (1..6).map(|n| limits.wait(n).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 30, 30]);
        assert_eq!(limits.wait(200).as_secs(), 30);
    }
}
