//! A SQL file becomes elements of a graph: Spark's `SqlGraphRegistrationContext`.
//!
//! `SET` holds for the rest of the file. `USE` is refused, as Spark 4.3 does.

use std::collections::BTreeMap;

use millstream_engine::{Result, SparkError};
use millstream_spark::sql::{
    CreateDataset, CreateFlow, ScriptStatement, Statement, parse_statement, split_statements,
};
use spark_connect_proto::{Relation, Sql};

use super::{
    graph::{DataflowGraph, Flow, Table},
    identifier::Identifier,
};

/// Registers the datasets and flows of a file; nothing is registered if a statement is refused.
///
/// # Errors
/// Spark's parse errors; `PIPELINE_SQL_GRAPH_ELEMENT_REGISTRATION_ERROR` for a statement that
/// defines nothing; what [`DataflowGraph`] refuses.
pub fn register_sql(graph: &mut DataflowGraph, text: &str, path: &str) -> Result<()> {
    let mut registered = graph.clone();
    let mut file = File { conf: BTreeMap::new(), graph: &mut registered, text, path };
    for statement in split_statements(text) {
        file.register(&statement)?;
    }
    *graph = registered;
    Ok(())
}

struct File<'a> {
    graph: &'a mut DataflowGraph,
    conf: BTreeMap<String, String>,
    text: &'a str,
    path: &'a str,
}

impl File<'_> {
    fn register(&mut self, statement: &ScriptStatement<'_>) -> Result<()> {
        let refused = |message: &str| {
            let query = statement.trimmed(self.text).trim_end();
            SparkError::new("PIPELINE_SQL_GRAPH_ELEMENT_REGISTRATION_ERROR")
                .with("message", message)
                .with("offendingQuery", format!("\nOffending query:\n{query}\n"))
                .with("codeLocation", format!("Query defined at {}:{}", self.path, statement.line))
        };
        match parse_statement(statement.text, &Sql::default())? {
            Statement::SetConf { key, value } => {
                self.conf.insert(key, value);
                Ok(())
            }
            Statement::GetConf { .. } => Err(SparkError::new("_LEGACY_ERROR_TEMP_3102")
                .with("msg", "Invalid SET command without key-value pair")),
            Statement::CreateTempView { name, query, global: false, .. } => self.view(name, query),
            Statement::CreateDataset(dataset) => self.dataset(*dataset),
            Statement::CreateFlow(flow) => {
                if let Some(message) = refusal_of(&flow) {
                    return Err(refused(message));
                }
                self.flow(*flow)
            }
            other => Err(refused(&format!("Unsupported plan {} parsed from SQL query", plan_name(&other)))),
        }
    }

    fn view(&mut self, name: String, query: Relation) -> Result<()> {
        let name = Identifier::of(&[name])?;
        self.graph.add_view(name.clone())?;
        self.add_flow(name.clone(), name, query);
        Ok(())
    }

    fn dataset(&mut self, dataset: CreateDataset) -> Result<()> {
        if !dataset.cluster_by.is_empty() {
            return Err(SparkError::unsupported("CLUSTER BY of a dataset"));
        }
        let name = Identifier::of(&dataset.name)?.qualified(&self.graph.context);
        self.graph.tables.push(Table {
            name: name.clone(),
            streaming: dataset.streaming,
            columns: dataset.columns,
            partition_by: dataset.partition_by,
            properties: dataset.properties.into_iter().collect(),
            comment: dataset.comment,
            format: dataset.provider,
        });
        if let Some(query) = dataset.query {
            self.add_flow(name.clone(), name, query);
        }
        Ok(())
    }

    fn flow(&mut self, flow: CreateFlow) -> Result<()> {
        let name = Identifier::of(&flow.name)?;
        if !name.is_single_part() {
            return Err(
                SparkError::new("MULTIPART_FLOW_NAME_NOT_SUPPORTED").with("flowName", name.unquoted())
            );
        }
        let destination = Identifier::of(&flow.target)?.qualified(&self.graph.context);
        self.add_flow(name.qualified(&self.graph.context), destination, flow.query);
        Ok(())
    }

    fn add_flow(&mut self, name: Identifier, destination: Identifier, relation: Relation) {
        let (conf, context) = (self.conf.clone(), self.graph.context.clone());
        self.graph.add_flow(Flow { name, destination, relation, conf, context });
    }
}

/// Why a flow's `INSERT` is none, if it is not.
fn refusal_of(flow: &CreateFlow) -> Option<&'static str> {
    [
        (flow.partitioned, "Partition spec may not be specified for flow target."),
        (flow.columns, "Column schema may not be specified for flow target."),
        (flow.overwrite, "INSERT OVERWRITE flows not supported."),
        (flow.if_not_exists, "IF NOT EXISTS not supported for flows."),
        (!flow.by_name, "Only INSERT INTO by name flows supported."),
        (flow.once, "INSERT INTO ONCE flows are not supported."),
    ]
    .into_iter()
    .find_map(|(refused, message)| refused.then_some(message))
}

/// What Spark calls the plan of a statement.
fn plan_name(statement: &Statement) -> &'static str {
    match statement {
        Statement::Query(_) => "Project",
        Statement::DropView { table: true, .. } => "DropTable",
        Statement::DropView { .. } => "DropView",
        Statement::CreateTable(table) if table.query.is_some() => "CreateTableAsSelect",
        Statement::CreateTable(_) => "CreateTable",
        Statement::Insert { .. } => "InsertIntoStatement",
        Statement::ResetConf { .. } => "ResetCommand",
        Statement::ShowTables { .. } => "ShowTables",
        Statement::DescribeTable { .. } => "DescribeRelation",
        Statement::DescribeQuery(_) => "DescribeQueryCommand",
        Statement::Explain { .. } => "ExplainCommand",
        Statement::Use { .. } => "SetCatalogAndNamespace",
        _ => "CreateViewCommand",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipelines::identifier::QueryContext;

    fn graph() -> DataflowGraph {
        let context = QueryContext {
            catalog: Some("spark_catalog".to_string()),
            database: Some("default".to_string()),
        };
        DataflowGraph::new(context, BTreeMap::from([("a".to_string(), "graph".to_string())]))
    }

    #[test]
    fn settings_hold_for_what_follows() {
        let mut graph = graph();
        let text = "CREATE MATERIALIZED VIEW a AS SELECT 1; SET a = file; SET b = 2;
                    CREATE TEMPORARY VIEW v AS SELECT 1; CREATE STREAMING TABLE t;
                    CREATE FLOW f AS INSERT INTO t BY NAME SELECT * FROM STREAM x";
        register_sql(&mut graph, text, "x.sql").unwrap();
        let conf: Vec<Vec<&str>> =
            graph.flows.iter().map(|f| f.conf.values().map(String::as_str).collect()).collect();
        assert_eq!(conf, [vec!["graph"], vec!["file", "2"], vec!["file", "2"]]);
        let names: Vec<String> = graph.flows.iter().map(|f| f.name.unquoted()).collect();
        assert_eq!(names, ["spark_catalog.default.a", "v", "spark_catalog.default.f"]);
        assert_eq!(graph.tables.iter().map(|t| t.streaming).collect::<Vec<_>>(), [false, true]);
        graph.check().unwrap();
    }

    #[test]
    fn what_defines_nothing_is_refused_with_its_place() {
        let mut graph = graph();
        let text = "CREATE MATERIALIZED VIEW a AS SELECT 1;\n\n-- why\nSELECT 2 ;";
        let error = register_sql(&mut graph, text, "x.sql").unwrap_err();
        assert_eq!(error.class(), "PIPELINE_SQL_GRAPH_ELEMENT_REGISTRATION_ERROR");
        assert_eq!(error.params()["codeLocation"], "Query defined at x.sql:4");
        assert!(error.params()["offendingQuery"].contains("\nSELECT 2\n"), "{error}");
        assert!(graph.tables.is_empty(), "nothing is registered");
        let flow = |text: &str| {
            let text =
                format!("CREATE STREAMING TABLE t; CREATE FLOW f AS INSERT {text} SELECT * FROM STREAM x");
            register_sql(&mut graph.clone(), &text, "x.sql").unwrap_err().params()["message"].clone()
        };
        assert!(flow("INTO t").contains("by name"));
        assert!(flow("OVERWRITE t").contains("OVERWRITE"));
        assert!(flow("INTO t (a, b)").contains("Column schema"));
        assert!(flow("INTO t PARTITION (a = 1)").contains("Partition"));
    }
}
