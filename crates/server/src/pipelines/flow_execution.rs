//! One flow, run once: a streaming query over what is there, or a batch write.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use millstream_engine::{Result, SparkError, batch::SaveMode, query::StreamingQuery};
use millstream_spark::types;
use spark_connect_proto::{
    Relation, ToSchema, WriteStreamOperationStart,
    relation::RelType,
    write_stream_operation_start::{SinkDestination, Trigger},
};
use tokio::runtime::Handle;

use super::{
    analysis::{Analyzer, ResolvedFlow, flow_session},
    checkpoints::Checkpoints,
    events::{Events, FlowStatus},
    graph::{DataflowGraph, Flow},
    identifier::{Identifier, sql_text},
    resolution::Resolution,
};
use crate::{
    execute::{
        cache, relation, table_write,
        tables::{Table, Tables, not_found},
        write_stream,
    },
    operation::Operation,
    server::Server,
    session::{Session, queries::Queries},
};

/// What all flows of a run share.
pub struct RunContext {
    /// The server.
    pub server: Arc<Server>,
    /// The session of the graph.
    pub session: Arc<Session>,
    /// Its streaming queries.
    pub queries: Arc<Queries>,
    /// The operation of the run.
    pub operation: Arc<Operation>,
    /// The graph.
    pub graph: DataflowGraph,
    /// Its flows, analysed.
    pub resolution: Resolution,
    /// Where flows keep their checkpoints.
    pub checkpoints: Checkpoints,
    /// Where events go.
    pub events: Events,
}

/// Why a flow failed, and when.
#[derive(Debug, Clone)]
pub struct FlowFailure {
    /// Why.
    pub error: SparkError,
    /// Whether it had begun to run.
    pub started: bool,
}

impl RunContext {
    /// Runs a flow to its end.
    ///
    /// # Errors
    /// The flow's.
    pub async fn execute(&self, flow: &ResolvedFlow) -> Result<(), FlowFailure> {
        let name = &flow.flow.name;
        if !flow.is_streaming {
            self.events.flow(name, FlowStatus::Planning).await;
        }
        self.events.flow(name, FlowStatus::Starting).await;
        if flow.is_streaming {
            let query =
                self.start_stream(&flow.flow).await.map_err(|error| FlowFailure { error, started: false })?;
            let query = Stopped { query, runtime: self.server.engine().clone() };
            self.events.flow(name, FlowStatus::Running).await;
            // Spark differs: there a stream that failed has COMPLETED too.
            query
                .query
                .await_termination(None)
                .await
                .map_err(|error| FlowFailure { error, started: true })?;
        } else {
            self.events.flow(name, FlowStatus::Running).await;
            self.write_batch(&flow.flow).await.map_err(|error| FlowFailure { error, started: true })?;
        }
        if let Ok(Some(table)) = self.known_table(&flow.flow.destination).await {
            cache::forget_readers(&self.session, Path::new(&table.location));
        }
        self.events.flow(name, FlowStatus::Completed).await;
        Ok(())
    }

    async fn start_stream(&self, flow: &Flow) -> Result<StreamingQuery> {
        let session = flow_session(&self.server, &self.session, &flow.conf)?;
        let checkpoint: PathBuf = self.checkpoints.latest(flow).await?;
        let mut command = WriteStreamOperationStart {
            query_name: flow.name.unquoted(),
            output_mode: "append".to_string(),
            trigger: Some(Trigger::AvailableNow(true)),
            ..Default::default()
        };
        let relation = if let Some(sink) = self.graph.sink(&flow.destination) {
            command.format.clone_from(&sink.format);
            command.options = sink.options.clone().into_iter().collect();
            flow.relation.clone()
        } else {
            let table = self.table(&flow.destination).await?;
            command.format.clone_from(&table.provider);
            command.sink_destination = Some(SinkDestination::TableName(sql_text(&flow.destination.parts())));
            // Every file has the columns of the table, whatever a flow's own are.
            fitted(flow.relation.clone(), &table)?
        };
        command.options.insert("checkpointLocation".to_string(), checkpoint.display().to_string());
        let translated = self.analyzer().reanalyze(&session, flow, &relation).await?;
        write_stream::launch(&self.server, &session, &self.queries, &self.operation, &command, translated)
            .await
    }

    async fn write_batch(&self, flow: &Flow) -> Result<()> {
        let session = flow_session(&self.server, &self.session, &flow.conf)?;
        let table = self.table(&flow.destination).await?;
        let analyzer = self.analyzer();
        let own = analyzer.reanalyze(&session, flow, &flow.relation).await?;
        relation::refuse_stream(&own)?;
        table_write::check_arity(&table, &own.schema())?;
        let translated = analyzer.reanalyze(&session, flow, &fitted(flow.relation.clone(), &table)?).await?;
        table_write::write(&self.server, &session, &table, translated, SaveMode::Append).await
    }

    async fn table(&self, name: &Identifier) -> Result<Table> {
        self.known_table(name).await?.ok_or_else(|| not_found(&name.parts()))
    }

    async fn known_table(&self, name: &Identifier) -> Result<Option<Table>> {
        let parts = name.parts();
        Tables::of(&self.session)?.get(Tables::own_name(&parts)?).await
    }

    fn analyzer(&self) -> Analyzer<'_> {
        Analyzer { server: &self.server, session: &self.session, graph: &self.graph }
    }
}

/// `input` with the table's columns, by name.
fn fitted(input: Relation, table: &Table) -> Result<Relation> {
    let schema = table.schema()?;
    let to = ToSchema {
        input: Some(Box::new(input)),
        schema: Some(types::struct_to_proto(schema.fields().iter().map(AsRef::as_ref))?),
    };
    Ok(Relation { common: None, rel_type: Some(RelType::ToSchema(Box::new(to))) })
}

/// A query that stops when nobody waits for it any more: the run was interrupted.
struct Stopped {
    query: StreamingQuery,
    runtime: Handle,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if self.query.is_active() {
            let query = self.query.clone();
            self.runtime.spawn(async move { query.stop().await });
        }
    }
}

/// For each flow the flows that must be done before it: all that write what it reads, through
/// views and tables.
pub fn upstream(graph: &DataflowGraph, resolution: &Resolution) -> HashMap<Identifier, Vec<Identifier>> {
    let mut above = HashMap::new();
    for flow in &resolution.flows {
        let mut found: Vec<Identifier> = Vec::new();
        let mut next: Vec<&Identifier> = flow.inputs.iter().collect();
        while let Some(dataset) = next.pop() {
            for writer in resolution.flows_to(dataset) {
                if !found.contains(&writer.flow.name) {
                    found.push(writer.flow.name.clone());
                    next.extend(&writer.inputs);
                }
            }
        }
        found.retain(|name| resolution.flow(name).is_some_and(|f| !graph.is_view(&f.flow.destination)));
        above.insert(flow.flow.name.clone(), found);
    }
    above
}
