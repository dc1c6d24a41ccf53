//! What a dataflow graph is made of, and the graph while it is being registered.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::Fields;
use millstream_engine::{Result, SparkError};
use spark_connect_proto::Relation;

use super::identifier::{Identifier, QueryContext};

/// The property that forbids full refreshes of a table.
pub const RESET_ALLOWED: &str = "pipelines.reset.allowed";

/// A streaming table or a materialized view.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name, qualified.
    pub name: Identifier,
    /// A streaming table, else a materialized view.
    pub streaming: bool,
    /// Its columns, where they were declared.
    pub columns: Option<Fields>,
    /// Partition columns, outermost first.
    pub partition_by: Vec<String>,
    /// Table properties.
    pub properties: BTreeMap<String, String>,
    /// Comment.
    pub comment: Option<String>,
    /// Format of its files.
    pub format: Option<String>,
}

impl Table {
    /// Whether a full refresh may remove its rows.
    ///
    /// # Errors
    /// A value that is no truth value.
    pub fn reset_allowed(&self) -> Result<bool> {
        let given = self.properties.iter().find(|(key, _)| key.eq_ignore_ascii_case(RESET_ALLOWED));
        match given.map(|(_, value)| value.to_ascii_lowercase()).as_deref() {
            None | Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(SparkError::new("_LEGACY_ERROR_TEMP_3241").with(
                "msg",
                format!("Could not parse value '{other}' for table property '{RESET_ALLOWED}'"),
            )),
        }
    }
}

/// An external system that flows write to.
#[derive(Debug, Clone)]
pub struct Sink {
    /// Its name, in one part.
    pub name: Identifier,
    /// Format of the streaming sink.
    pub format: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
}

/// A query, and the dataset it writes to.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Its name.
    pub name: Identifier,
    /// Name of the dataset.
    pub destination: Identifier,
    /// Its query.
    pub relation: Relation,
    /// Settings it runs with.
    pub conf: BTreeMap<String, String>,
    /// What the names in its query are completed with.
    pub context: QueryContext,
}

/// A dataflow graph under registration.
#[derive(Debug, Clone)]
pub struct DataflowGraph {
    /// What names are completed with.
    pub context: QueryContext,
    /// Settings of all flows.
    pub conf: BTreeMap<String, String>,
    /// Streaming tables and materialized views, as registered.
    pub tables: Vec<Table>,
    /// Temporary views.
    pub views: Vec<Identifier>,
    /// Sinks.
    pub sinks: Vec<Sink>,
    /// Flows.
    pub flows: Vec<Flow>,
}

impl DataflowGraph {
    /// A graph without elements.
    pub fn new(context: QueryContext, conf: BTreeMap<String, String>) -> Self {
        Self { context, conf, tables: Vec::new(), views: Vec::new(), sinks: Vec::new(), flows: Vec::new() }
    }

    /// Adds a flow; settings of the graph hold where it has none of its own.
    pub fn add_flow(&mut self, mut flow: Flow) {
        for (key, value) in &self.conf {
            flow.conf.entry(key.clone()).or_insert_with(|| value.clone());
        }
        self.flows.push(flow);
    }

    /// Registers a temporary view.
    ///
    /// # Errors
    /// `TEMP_VIEW_NAME_TOO_MANY_NAME_PARTS` for a qualified name.
    pub fn add_view(&mut self, name: Identifier) -> Result<()> {
        if !name.is_single_part() {
            return Err(
                SparkError::new("TEMP_VIEW_NAME_TOO_MANY_NAME_PARTS").with("actualName", name.to_string())
            );
        }
        self.views.push(name);
        Ok(())
    }

    /// The graph with flows into sinks bound to them: like sinks they have names of one part.
    #[must_use]
    pub fn with_sinks_bound(mut self) -> Self {
        let context = &self.context;
        for flow in &mut self.flows {
            let sink = self.sinks.iter().find(|sink| sink.name.qualified(context) == flow.destination);
            let is_table = self.tables.iter().any(|table| table.name == flow.destination);
            if let (Some(sink), false) = (sink, is_table) {
                flow.destination = sink.name.clone();
                flow.name = Identifier { catalog: None, database: None, table: flow.name.table.clone() };
            }
        }
        self
    }

    /// The table of that name.
    pub fn table(&self, name: &Identifier) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == *name)
    }

    /// The sink of that name.
    pub fn sink(&self, name: &Identifier) -> Option<&Sink> {
        self.sinks.iter().find(|sink| sink.name == *name)
    }

    /// Whether there is a temporary view of that name.
    pub fn is_view(&self, name: &Identifier) -> bool {
        self.views.contains(name)
    }

    /// The flow of that name.
    pub fn flow(&self, name: &Identifier) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.name == *name)
    }

    /// The flows into `dataset`, as registered.
    pub fn flows_to<'a>(&'a self, dataset: &'a Identifier) -> impl Iterator<Item = &'a Flow> {
        self.flows.iter().filter(move |flow| flow.destination == *dataset)
    }

    /// Whether a name in a query means something in this graph: flows and tables can be read.
    pub fn is_input(&self, name: &Identifier) -> bool {
        self.table(name).is_some() || self.flow(name).is_some()
    }

    /// Checks that the registered elements make a graph.
    ///
    /// # Errors
    /// `RUN_EMPTY_PIPELINE`, `PIPELINE_DUPLICATE_IDENTIFIERS.*`.
    pub fn check(&self) -> Result<()> {
        if self.tables.is_empty() && self.sinks.is_empty() {
            return Err(SparkError::new("RUN_EMPTY_PIPELINE"));
        }
        let tables = self.tables.iter().map(|t| (&t.name, "TABLE"));
        let views = self.views.iter().map(|name| (name, "VIEW"));
        let sinks = self.sinks.iter().map(|sink| (&sink.name, "SINK"));
        let outputs: Vec<_> = tables.chain(views).chain(sinks).collect();
        for (index, (name, kind)) in outputs.iter().enumerate() {
            if let Some((_, other)) = outputs.iter().skip(index + 1).find(|(other, _)| other == name) {
                let mut kinds = [*kind, *other];
                kinds.sort_unstable();
                return Err(SparkError::new("PIPELINE_DUPLICATE_IDENTIFIERS.OUTPUT")
                    .with("outputName", name.to_string())
                    .with("outputType1", kinds[0])
                    .with("outputType2", kinds[1]));
            }
        }
        for (index, flow) in self.flows.iter().enumerate() {
            if let Some(other) = self.flows.iter().skip(index + 1).find(|other| other.name == flow.name) {
                let mut datasets = vec![flow.destination.to_string()];
                if other.destination != flow.destination {
                    datasets.push(other.destination.to_string());
                }
                return Err(SparkError::new("PIPELINE_DUPLICATE_IDENTIFIERS.FLOW")
                    .with("flowName", flow.name.unquoted())
                    .with("datasetNames", datasets.join(",")));
            }
        }
        Ok(())
    }
}
