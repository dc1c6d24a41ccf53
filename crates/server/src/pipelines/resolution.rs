//! Resolves a graph: every flow after the datasets it reads, Spark's `DataflowGraphTransformer`
//! and `CoreDataflowNodeProcessor`.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use datafusion::arrow::datatypes::Schema;
use millstream_engine::{Result, SparkError};

use super::{
    analysis::{Analyzer, Input, ResolvedFlow, Unresolved},
    graph::{DataflowGraph, Flow, Table},
    identifier::Identifier,
    schema,
};

/// A graph whose flows were analysed.
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    /// Flows that were understood, each after those it reads from.
    pub flows: Vec<ResolvedFlow>,
    /// Flows that were not.
    pub failed: Vec<(Identifier, Unresolved)>,
}

impl Resolution {
    /// The flow of that name.
    pub fn flow(&self, name: &Identifier) -> Option<&ResolvedFlow> {
        self.flows.iter().find(|resolved| resolved.flow.name == *name)
    }

    /// The flows into a dataset.
    pub fn flows_to<'a>(&'a self, dataset: &'a Identifier) -> impl Iterator<Item = &'a ResolvedFlow> {
        self.flows.iter().filter(move |resolved| resolved.flow.destination == *dataset)
    }

    /// The columns of a table that the flows into it have.
    ///
    /// # Errors
    /// `UNABLE_TO_INFER_PIPELINE_TABLE_SCHEMA`.
    pub fn inferred(
        &self,
        table: &Identifier,
        case_sensitive: bool,
    ) -> Result<datafusion::arrow::datatypes::Fields> {
        schema::infer(table, self.flows_to(table).map(|f| (&f.flow.name, &f.schema)), case_sensitive)
    }
}

/// Analyses all flows of a graph.
///
/// # Errors
/// A flow into something that is no dataset; flows whose columns do not go together. A query
/// that cannot be analysed is no error yet.
pub async fn resolve(analyzer: &Analyzer<'_>) -> Result<Resolution> {
    let graph = analyzer.graph;
    let case_sensitive = analyzer.session.conf.read().is_true("spark.sql.caseSensitive");
    let mut available: HashMap<Identifier, Input> = HashMap::new();
    let mut waiting: HashMap<Identifier, Vec<(&Flow, Unresolved)>> = HashMap::new();
    let mut queue: VecDeque<&Flow> = graph.flows.iter().collect();
    let mut resolution = Resolution::default();
    while let Some(flow) = queue.pop_front() {
        match analyzer.resolve(flow, &available).await {
            Ok(resolved) => {
                resolution.flows.push(resolved);
                let dataset = &flow.destination;
                if resolution.flows_to(dataset).count() < graph.flows_to(dataset).count() {
                    continue;
                }
                if let Some(input) = input(graph, &resolution, dataset, case_sensitive, flow)? {
                    available.insert(dataset.clone(), input);
                }
                for (flow, _) in waiting.remove(dataset).into_iter().flatten().rev() {
                    queue.push_front(flow);
                }
            }
            Err(unresolved) => match unresolved.missing.clone() {
                Some(missing) => waiting.entry(missing).or_default().push((flow, unresolved)),
                None => resolution.failed.push((flow.name.clone(), unresolved)),
            },
        }
    }
    let waiting = waiting.into_values().flatten().map(|(flow, unresolved)| (flow.name.clone(), unresolved));
    resolution.failed.extend(waiting);
    resolution.failed.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(resolution)
}

/// What queries read when they name a dataset all of whose flows are resolved. Nobody reads a sink.
fn input(
    graph: &DataflowGraph,
    resolution: &Resolution,
    dataset: &Identifier,
    case_sensitive: bool,
    flow: &Flow,
) -> Result<Option<Input>> {
    if let Some(table) = graph.table(dataset) {
        let fields = table_columns(table, resolution, case_sensitive)?;
        return Ok(Some(Input::Table(Arc::new(Schema::new(fields)))));
    }
    if graph.is_view(dataset) {
        let view = resolution.flows_to(dataset).next();
        return Ok(view.map(|view| Input::View {
            query: view.query.clone(),
            is_streaming: view.is_streaming,
            conf: view.flow.conf.clone(),
        }));
    }
    if graph.sink(dataset).is_some() {
        return Ok(None);
    }
    Err(SparkError::new("_LEGACY_ERROR_TEMP_3241").with(
        "msg",
        format!(
            "Unsupported destination {} in flow: {} at transformDownNodes",
            dataset.unquoted(),
            flow.name.unquoted()
        ),
    ))
}

/// The columns a table has for its readers: those declared, else those of its flows.
fn table_columns(
    table: &Table,
    resolution: &Resolution,
    case_sensitive: bool,
) -> Result<datafusion::arrow::datatypes::Fields> {
    let fields = match &table.columns {
        Some(declared) => declared.clone(),
        None => resolution.inferred(&table.name, case_sensitive)?,
    };
    Ok(schema::as_nullable(&fields))
}
