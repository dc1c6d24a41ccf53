//! What makes a resolved graph legal, in the order Spark checks it.

use std::collections::{BTreeMap, BTreeSet};

use millstream_engine::{Result, SparkError};

use super::{
    graph::{DataflowGraph, RESET_ALLOWED},
    identifier::Identifier,
    resolution::Resolution,
    schema,
};

/// Checks a graph whose flows are all resolved; see [`unresolved`] for others.
///
/// # Errors
/// The first of Spark's errors that holds.
pub fn validate(graph: &DataflowGraph, resolution: &Resolution, case_sensitive: bool) -> Result<()> {
    declared_columns(graph, resolution, case_sensitive)?;
    one_flow_a_view(graph)?;
    flows_everywhere(graph)?;
    resettable(graph, resolution)?;
    kinds_of_flows(graph, resolution)
}

/// Flows that could not be resolved: those with errors of their own, and those below them.
#[derive(Debug)]
pub struct Failures {
    /// Flows whose own query is wrong.
    pub direct: Vec<(Identifier, SparkError)>,
    /// Flows that read from such a flow.
    pub downstream: Vec<(Identifier, SparkError)>,
}

/// Sorts the failures of a resolution; `None` where there are none.
///
/// # Errors
/// A cycle.
pub fn unresolved(graph: &DataflowGraph, resolution: &Resolution) -> Result<Option<Failures>> {
    if resolution.failed.is_empty() {
        return Ok(None);
    }
    let failed: BTreeSet<&Identifier> = resolution.failed.iter().map(|(name, _)| name).collect();
    let mut above: BTreeMap<&Identifier, Vec<&Identifier>> = BTreeMap::new();
    let mut failures = Failures { direct: Vec::new(), downstream: Vec::new() };
    for (name, why) in &resolution.failed {
        let writers = why.requested.iter().flat_map(|dataset| graph.flows_to(dataset));
        let writers: Vec<&Identifier> =
            writers.map(|flow| &flow.name).filter(|name| failed.contains(name)).collect();
        let list = if writers.is_empty() { &mut failures.direct } else { &mut failures.downstream };
        list.push((name.clone(), why.error.clone()));
        above.insert(name, writers);
    }
    if let Some((upstream, downstream)) = cycle(&above) {
        let dataset = |flow: &Identifier| {
            graph.flow(flow).map_or_else(|| flow.unquoted(), |f| f.destination.unquoted())
        };
        let (upstream, downstream) = (dataset(upstream), dataset(downstream));
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_3102").with(
            "msg",
            format!(
                "The downstream table '{downstream}' is referenced when creating the upstream table or view \
                 '{upstream}'. Circular dependencies are not supported in a pipeline. Please remove the \
                 dependency between '{upstream}' and '{downstream}'."
            ),
        ));
    }
    Ok(Some(failures))
}

impl Failures {
    /// The error of the run.
    pub fn error(&self) -> SparkError {
        let names = |list: &[(Identifier, SparkError)]| {
            let mut names: Vec<String> = list.iter().map(|(name, _)| name.unquoted()).collect();
            names.sort();
            names.join(", ")
        };
        let text = format!(
            "\nFailed to resolve flows in the pipeline.\n\nA flow can fail to resolve because the flow itself \
             contains errors or because it reads\nfrom an upstream flow which failed to resolve.\n\nFlows with \
             errors: {}\nFlows that failed due to upstream errors: {}\n\nTo view the exceptions that were raised \
             while resolving these flows, look for flow\nfailures that precede this log.",
            names(&self.direct),
            names(&self.downstream)
        );
        SparkError::new("_LEGACY_ERROR_TEMP_3102").with("msg", text)
    }
}

/// The end and the start of a cycle, if there is one; `above` are the flows each flow waits for.
fn cycle<'a>(
    above: &BTreeMap<&'a Identifier, Vec<&'a Identifier>>,
) -> Option<(&'a Identifier, &'a Identifier)> {
    fn visit<'a>(
        flow: &'a Identifier,
        path: &mut Vec<&'a Identifier>,
        seen: &mut BTreeSet<&'a Identifier>,
        above: &BTreeMap<&'a Identifier, Vec<&'a Identifier>>,
    ) -> Option<(&'a Identifier, &'a Identifier)> {
        if seen.contains(flow) {
            return None;
        }
        if path.contains(&flow) {
            return path.last().map(|last| (*last, flow));
        }
        path.push(flow);
        let found = above.get(flow).into_iter().flatten().find_map(|next| visit(next, path, seen, above));
        path.pop();
        seen.insert(flow);
        found
    }
    let mut seen = BTreeSet::new();
    above.keys().find_map(|flow| visit(flow, &mut Vec::new(), &mut seen, above))
}

fn declared_columns(graph: &DataflowGraph, resolution: &Resolution, case_sensitive: bool) -> Result<()> {
    for table in &graph.tables {
        let inferred = resolution.inferred(&table.name, case_sensitive)?;
        if let (Some(declared), Some(_)) = (&table.columns, resolution.flow(&table.name)) {
            let streaming = resolution.flows_to(&table.name).any(|flow| flow.is_streaming);
            schema::check_declared(&table.name, declared, &inferred, streaming, case_sensitive)?;
        }
    }
    Ok(())
}

fn one_flow_a_view(graph: &DataflowGraph) -> Result<()> {
    for table in graph.tables.iter().filter(|table| !table.streaming) {
        let mut flows: Vec<String> = graph.flows_to(&table.name).map(|flow| flow.name.unquoted()).collect();
        if flows.len() > 1 {
            flows.sort();
            return Err(SparkError::new("MATERIALIZED_VIEW_WITH_MULTIPLE_QUERIES")
                .with("tableName", table.name.unquoted())
                .with("flows", flows.join(", ")));
        }
    }
    Ok(())
}

fn flows_everywhere(graph: &DataflowGraph) -> Result<()> {
    let datasets = graph.tables.iter().map(|table| &table.name).chain(&graph.views);
    for dataset in datasets {
        if graph.flows_to(dataset).next().is_none() {
            return Err(
                SparkError::new("PIPELINE_DATASET_WITHOUT_FLOW").with("identifier", dataset.to_string())
            );
        }
    }
    Ok(())
}

/// A table that may not be reset must not stream from one that may: the stream would break.
fn resettable(graph: &DataflowGraph, resolution: &Resolution) -> Result<()> {
    for table in &graph.tables {
        if table.reset_allowed()? || !resolution.flows_to(&table.name).any(|flow| flow.is_streaming) {
            continue;
        }
        let mut upstream = Vec::new();
        for name in upstream_datasets(resolution, &table.name) {
            if let Some(other) = graph.table(&name)
                && other.reset_allowed()?
            {
                upstream.push(format!("'{}'", name.unquoted()));
            }
        }
        if !upstream.is_empty() {
            return Err(SparkError::new("INVALID_RESETTABLE_DEPENDENCY")
                .with("downstreamTable", table.name.unquoted())
                .with("upstreamResettableTables", upstream.join(", "))
                .with("resetAllowedKey", RESET_ALLOWED));
        }
    }
    Ok(())
}

/// The datasets that `dataset` is made from, directly or not, without itself.
fn upstream_datasets(resolution: &Resolution, dataset: &Identifier) -> BTreeSet<Identifier> {
    let (mut found, mut next) = (BTreeSet::new(), vec![dataset.clone()]);
    while let Some(name) = next.pop() {
        for input in resolution.flows_to(&name).flat_map(|flow| &flow.inputs) {
            if found.insert(input.clone()) {
                next.push(input.clone());
            }
        }
    }
    found
}

fn kinds_of_flows(graph: &DataflowGraph, resolution: &Resolution) -> Result<()> {
    for resolved in &resolution.flows {
        let Some(table) = graph.table(&resolved.flow.destination) else { continue };
        let class = match (table.streaming, resolved.is_streaming) {
            (true, false) => "INVALID_FLOW_QUERY_TYPE.BATCH_RELATION_FOR_STREAMING_TABLE",
            (false, true) => "INVALID_FLOW_QUERY_TYPE.STREAMING_RELATION_FOR_MATERIALIZED_VIEW",
            _ => continue,
        };
        return Err(SparkError::new(class)
            .with("flowIdentifier", resolved.flow.name.to_string())
            .with("tableIdentifier", table.name.to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_found_and_chains_are_none() {
        let names: Vec<Identifier> = ["a", "b", "c"].iter().map(|n| Identifier::parse(n).unwrap()).collect();
        let [a, b, c] = names.as_slice() else { unreachable!() };
        assert_eq!(cycle(&BTreeMap::from([(a, vec![b]), (b, vec![c]), (c, vec![])])), None);
        assert_eq!(cycle(&BTreeMap::from([(a, vec![b]), (b, vec![c]), (c, vec![a])])), Some((c, a)));
        assert_eq!(cycle(&BTreeMap::from([(a, vec![a])])), Some((a, a)));
    }
}
