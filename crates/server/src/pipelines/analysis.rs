//! What the queries of flows mean: their names are those of the graph first, then tables outside.
//!
//! While a graph is resolved its tables are virtual: empty, with the columns of the flows into
//! them, whatever lies in the warehouse. A view is its query, fused into the query that reads it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use datafusion::{
    arrow::datatypes::{Fields, Schema, SchemaRef},
    datasource::MemTable,
};
use millstream_engine::{Result, SparkError, format::Options, source::SourceSpec};
use millstream_spark::plan::{Reference, ResolvedTable, TableReference, Translated, references, translate};
use spark_connect_proto::Relation;

use super::{
    graph::{DataflowGraph, Flow},
    identifier::Identifier,
};
use crate::{
    execute::resolve::resolve_with,
    server::Server,
    session::{Session, views::Views},
};

/// Whether a view may be read otherwise than it is defined, batch or stream.
const VIEW_CHECK: &str = "pipelines.incompatibleViewCheck.enabled";

/// A dataset that queries can read.
#[derive(Debug, Clone)]
pub enum Input {
    /// A table with these columns.
    Table(SchemaRef),
    /// A view.
    View {
        /// Its query, bound to what it reads.
        query: ResolvedTable,
        /// Whether that is a stream.
        is_streaming: bool,
        /// Settings of the view's flow, which hold for its readers.
        conf: BTreeMap<String, String>,
    },
}

/// A flow whose query was understood.
#[derive(Debug, Clone)]
pub struct ResolvedFlow {
    /// The flow, with the settings of the views it reads.
    pub flow: Flow,
    /// Its columns.
    pub schema: Fields,
    /// Whether its query is a stream.
    pub is_streaming: bool,
    /// Datasets of the graph that it reads.
    pub inputs: BTreeSet<Identifier>,
    /// Its query for those who read it as a view.
    pub query: ResolvedTable,
}

/// Why a flow has not been understood.
#[derive(Debug, Clone)]
pub struct Unresolved {
    /// Datasets of the graph that it reads, as far as they were looked at.
    pub requested: BTreeSet<Identifier>,
    /// A dataset that is not resolved itself, if that is why.
    pub missing: Option<Identifier>,
    /// The error.
    pub error: SparkError,
}

/// Analyses queries of one graph.
pub struct Analyzer<'a> {
    /// The server.
    pub server: &'a Server,
    /// The session of the graph.
    pub session: &'a Session,
    /// The graph.
    pub graph: &'a DataflowGraph,
}

impl Analyzer<'_> {
    /// Understands a flow, whose inputs among `available` it may read.
    ///
    /// # Errors
    /// [`Unresolved`], also for a dataset that is not available yet.
    pub async fn resolve(
        &self,
        flow: &Flow,
        available: &HashMap<Identifier, Input>,
    ) -> Result<ResolvedFlow, Unresolved> {
        let mut requested = BTreeSet::new();
        let resolved = self.attempt(flow, &flow.conf, available, &mut requested).await;
        match resolved {
            Ok((conf, mut resolved)) => {
                if conf != flow.conf {
                    // With other settings the query may mean something else.
                    let again = self.attempt(flow, &conf, available, &mut requested).await;
                    match again {
                        Ok((_, with_conf)) => resolved = with_conf,
                        Err(error) => return Err(Unresolved { requested, missing: None, error }),
                    }
                }
                Ok(resolved)
            }
            Err(error) => {
                let missing = requested.iter().find(|name| !available.contains_key(*name)).cloned();
                Err(Unresolved { requested, missing, error })
            }
        }
    }

    async fn attempt(
        &self,
        flow: &Flow,
        conf: &BTreeMap<String, String>,
        available: &HashMap<Identifier, Input>,
        requested: &mut BTreeSet<Identifier>,
    ) -> Result<(BTreeMap<String, String>, ResolvedFlow)> {
        let session = flow_session(self.server, self.session, conf)?;
        let checked = session.conf.read().get_or(VIEW_CHECK, Some("true")).is_none_or(|v| v != "false");
        let mut known = HashMap::new();
        let mut merged = flow.conf.clone();
        for (reference, name) in self.internal(flow)? {
            requested.insert(name.clone());
            let Some(input) = available.get(&name) else {
                let text = format!(
                    "Failed to read dataset '{}'. Dataset is defined in the pipeline but could not be resolved.",
                    name.unquoted()
                );
                return Err(SparkError::new("_LEGACY_ERROR_TEMP_3102").with("msg", text));
            };
            let table = match input {
                Input::Table(schema) => virtual_table(schema, reference.is_streaming)?,
                Input::View { query, is_streaming, conf } => {
                    if checked && *is_streaming != reference.is_streaming {
                        let class = match is_streaming {
                            true => "INCOMPATIBLE_STREAMING_VIEW_READ",
                            false => "INCOMPATIBLE_BATCH_VIEW_READ",
                        };
                        return Err(SparkError::new(class).with("datasetIdentifier", name.to_string()));
                    }
                    merge_conf(&mut merged, flow, &name, conf)?;
                    query.clone()
                }
            };
            known.insert(reference, table);
        }
        let (query, translated) = bind(self.server, &session, &flow.relation, known).await?;
        let schema = translated.schema().fields().clone();
        let resolved = ResolvedFlow {
            flow: Flow { conf: merged.clone(), ..flow.clone() },
            schema,
            is_streaming: translated.is_streaming,
            inputs: requested.clone(),
            query,
        };
        Ok((merged, resolved))
    }

    /// The query of a flow over the tables as they are now, for its execution.
    ///
    /// # Errors
    /// Spark's errors of analysis.
    pub async fn reanalyze(&self, session: &Session, flow: &Flow, relation: &Relation) -> Result<Translated> {
        let known = self.views(session, flow).await?;
        bind(self.server, session, relation, known).await.map(|(_, translated)| translated)
    }

    /// The views a flow reads, each with its query over the tables as they are now.
    async fn views(&self, session: &Session, flow: &Flow) -> Result<HashMap<TableReference, ResolvedTable>> {
        let mut known = HashMap::new();
        for (reference, name) in self.internal(flow)? {
            if let (true, Some(view)) = (self.graph.is_view(&name), self.graph.flows_to(&name).next()) {
                let inner = Box::pin(self.views(session, view)).await?;
                known.insert(reference, bind(self.server, session, &view.relation, inner).await?.0);
            }
        }
        Ok(known)
    }

    /// The datasets of the graph that a flow's query names.
    fn internal(&self, flow: &Flow) -> Result<Vec<(TableReference, Identifier)>> {
        let mut found = Vec::new();
        for reference in references(&flow.relation)? {
            let Reference::Table(reference) = reference else { continue };
            let Ok(name) = Identifier::of(&reference.name) else { continue };
            // A name of one part means a view before it means a table.
            let full = name.qualified(&flow.context);
            if let Some(name) = [name, full].into_iter().find(|name| self.graph.is_input(name)) {
                found.push((reference, name));
            }
        }
        Ok(found)
    }
}

async fn bind(
    server: &Server,
    session: &Session,
    relation: &Relation,
    known: HashMap<TableReference, ResolvedTable>,
) -> Result<(ResolvedTable, Translated)> {
    let resolved = Arc::new(resolve_with(server, session, relation, known).await?);
    let conf = session.conf.read().translation();
    let translated = translate(relation, &resolved, &conf)?;
    Ok((ResolvedTable::View { relation: Arc::new(relation.clone()), resolved }, translated))
}

/// An empty table, or a stream without rows.
fn virtual_table(schema: &SchemaRef, is_streaming: bool) -> Result<ResolvedTable> {
    if is_streaming {
        let options = Options::new(Vec::<(String, String)>::new());
        let spec = SourceSpec {
            format: "memory".to_string(),
            schema: Arc::clone(schema),
            options,
            paths: Vec::new(),
        };
        return Ok(ResolvedTable::Stream(spec));
    }
    let empty = MemTable::try_new(Arc::new(Schema::new(schema.fields().clone())), vec![Vec::new()])?;
    Ok(ResolvedTable::Provider(Arc::new(empty)))
}

fn merge_conf(
    merged: &mut BTreeMap<String, String>,
    flow: &Flow,
    view: &Identifier,
    conf: &BTreeMap<String, String>,
) -> Result<()> {
    for (key, value) in conf {
        match merged.get(key) {
            Some(other) if other != value => {
                let mut flows = [(other, &flow.name), (value, view)];
                flows.sort();
                return Err(SparkError::new("DUPLICATE_FLOW_SQL_CONF")
                    .with("key", key)
                    .with("datasetName", flow.name.unquoted())
                    .with("flowName1", flows[0].1.unquoted())
                    .with("flowName2", flows[1].1.unquoted()));
            }
            Some(_) => {}
            None => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(())
}

/// A session that a flow runs in: the graph's, without its temporary views, with the flow's settings.
///
/// # Errors
/// Settings that cannot be set.
pub fn flow_session(server: &Server, session: &Session, conf: &BTreeMap<String, String>) -> Result<Session> {
    let mut own = session.conf.read().clone();
    for (key, value) in conf {
        own.set(key, value)?;
    }
    let (artifacts, now) = (session.artifacts.clone(), server.clock().now());
    let copy = Session::new(session.key.clone(), own, Views::default(), artifacts, now);
    *copy.cached_remote.lock() = session.cached_remote.lock().clone();
    Ok(copy)
}
