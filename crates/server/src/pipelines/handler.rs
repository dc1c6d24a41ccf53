//! The pipeline commands of Spark Connect, Spark's `PipelinesHandler`.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::arrow::datatypes::{DataType, Fields};
use millstream_engine::{Result, SparkError, checkpoint::LocalStorage};
use millstream_spark::types;
use spark_connect_proto::{
    OutputType, PipelineCommand, PipelineCommandResult,
    execute_plan_response::ResponseType,
    pipeline_command::{
        CommandType, CreateDataflowGraph, DefineFlow, DefineOutput, StartRun,
        define_flow::Details as FlowDetails,
        define_output::{Details, TableDetails, table_details::Schema as DeclaredSchema},
    },
    pipeline_command_result::{CreateDataflowGraphResult, DefineFlowResult, DefineOutputResult, ResultType},
};

use super::{
    analysis::Analyzer,
    checkpoints::Checkpoints,
    events::Events,
    flow_execution::RunContext,
    graph::{DataflowGraph, Flow, Sink, Table},
    graph_execution,
    identifier::{Identifier, QueryContext},
    materialization::materialize,
    refresh::Selection,
    resolution::{Resolution, resolve},
    sql_registration::register_sql,
    validation,
};
use crate::{
    execute::tables::{CATALOG, DATABASE, Tables},
    operation::Responses,
    server::Server,
    session::Session,
};

/// Answers one command.
///
/// # Errors
/// What is defined is refused, or the run failed.
pub async fn command(
    server: &Arc<Server>,
    session: &Arc<Session>,
    responses: &Responses,
    command: &PipelineCommand,
) -> Result<()> {
    let result_type = match &command.command_type {
        Some(CommandType::CreateDataflowGraph(create)) => {
            let dataflow_graph_id = Some(session.graphs.create(new_graph(create)?));
            Some(ResultType::CreateDataflowGraphResult(CreateDataflowGraphResult { dataflow_graph_id }))
        }
        Some(CommandType::DropDataflowGraph(drop)) => {
            session.graphs.drop_graph(drop.dataflow_graph_id());
            None
        }
        Some(CommandType::DefineOutput(define)) => {
            let registered = session.graphs.find(define.dataflow_graph_id())?;
            let name = define_output(&mut registered.graph.lock(), define)?;
            let resolved_identifier = Some(name.to_proto());
            Some(ResultType::DefineOutputResult(DefineOutputResult { resolved_identifier }))
        }
        Some(CommandType::DefineFlow(define)) => {
            let registered = session.graphs.find(define.dataflow_graph_id())?;
            let name = define_flow(&mut registered.graph.lock(), define)?;
            let resolved_identifier = Some(name.to_proto());
            Some(ResultType::DefineFlowResult(DefineFlowResult { resolved_identifier }))
        }
        Some(CommandType::DefineSqlGraphElements(sql)) => {
            let registered = session.graphs.find(sql.dataflow_graph_id())?;
            register_sql(&mut registered.graph.lock(), sql.sql_text(), sql.sql_file_path())?;
            None
        }
        Some(CommandType::StartRun(start)) => {
            start_run(server, session, responses, start).await?;
            None
        }
        Some(CommandType::ExecuteOutputFlows(_)) => {
            return Err(SparkError::unsupported("`ExecuteOutputFlows` of a pipeline"));
        }
        Some(
            CommandType::GetQueryFunctionExecutionSignalStream(_)
            | CommandType::DefineFlowQueryFunctionResult(_),
        ) => {
            return Err(SparkError::unsupported("flows whose query function the server asks for"));
        }
        Some(CommandType::Extension(_)) | None => {
            return Err(SparkError::unsupported("this command of a pipeline"));
        }
    };
    responses.send(ResponseType::PipelineCommandResult(PipelineCommandResult { result_type })).await;
    Ok(())
}

fn new_graph(create: &CreateDataflowGraph) -> Result<DataflowGraph> {
    let catalog = create.default_catalog.clone().unwrap_or_else(|| CATALOG.to_string());
    let database = create.default_database.clone().unwrap_or_else(|| DATABASE.to_string());
    // There is one database: where there is another there could never be a table.
    Tables::own_name(&[catalog.clone(), database.clone(), String::new()])?;
    let context = QueryContext { catalog: Some(catalog), database: Some(database) };
    Ok(DataflowGraph::new(context, create.sql_conf.clone().into_iter().collect()))
}

fn define_output(graph: &mut DataflowGraph, define: &DefineOutput) -> Result<Identifier> {
    let name = Identifier::parse(define.output_name())?;
    let comment = define.comment.clone();
    match (define.output_type(), &define.details) {
        (kind @ (OutputType::MaterializedView | OutputType::Table), details) => {
            let details = match details {
                Some(Details::TableDetails(details)) => details.clone(),
                _ => TableDetails::default(),
            };
            if !details.clustering_columns.is_empty() {
                return Err(SparkError::unsupported("`cluster_by` of a dataset"));
            }
            let name = name.qualified(&graph.context);
            graph.tables.push(Table {
                name: name.clone(),
                streaming: kind == OutputType::Table,
                columns: declared_columns(&details)?,
                partition_by: details.partition_cols.clone(),
                properties: details.table_properties.clone().into_iter().collect(),
                comment,
                format: details.format.clone(),
            });
            Ok(name)
        }
        (OutputType::TemporaryView, _) => {
            graph.add_view(name.clone())?;
            Ok(name)
        }
        (OutputType::Sink, Some(Details::SinkDetails(details))) => {
            if !name.is_single_part() {
                return Err(SparkError::unsupported("a sink with a qualified name"));
            }
            graph.sinks.push(Sink {
                name: name.clone(),
                format: details.format().to_string(),
                options: details.options.clone().into_iter().collect(),
            });
            Ok(name)
        }
        (other, _) => Err(SparkError::new("_LEGACY_ERROR_TEMP_3241")
            .with("msg", format!("Unknown output type: {}", other.as_str_name()))),
    }
}

fn declared_columns(details: &TableDetails) -> Result<Option<Fields>> {
    match &details.schema {
        None => Ok(None),
        Some(DeclaredSchema::SchemaString(text)) => types::parse_schema(text).map(Some),
        Some(DeclaredSchema::SchemaDataType(data_type)) => match types::from_proto(data_type)? {
            DataType::Struct(fields) => Ok(Some(fields)),
            other => Err(SparkError::internal(format!("the schema of a table is {other}"))),
        },
    }
}

fn define_flow(graph: &mut DataflowGraph, define: &DefineFlow) -> Result<Identifier> {
    let implicit = define.flow_name() == define.target_dataset_name();
    let name = Identifier::parse(define.flow_name())?;
    if !implicit && !name.is_single_part() {
        return Err(SparkError::new("MULTIPART_FLOW_NAME_NOT_SUPPORTED").with("flowName", define.flow_name()));
    }
    if define.once() {
        return Err(
            SparkError::new("DEFINE_FLOW_ONCE_OPTION_NOT_SUPPORTED").with("flowName", define.flow_name())
        );
    }
    let relation = match &define.details {
        Some(FlowDetails::RelationFlowDetails(details)) => details.relation.clone(),
        Some(FlowDetails::AutoCdcFlowDetails(_)) => {
            return Err(SparkError::unsupported("AUTO CDC flows of a pipeline"));
        }
        _ => None,
    };
    let Some(relation) = relation else {
        return Err(SparkError::unsupported("flows whose query function the server asks for"));
    };
    let destination = Identifier::parse(define.target_dataset_name())?;
    let qualify = |name: Identifier| {
        if implicit && graph.is_view(&destination) { name } else { name.qualified(&graph.context) }
    };
    let (name, destination) = (qualify(name), qualify(destination.clone()));
    let conf: BTreeMap<String, String> = define.sql_conf.clone().into_iter().collect();
    let context = graph.context.clone();
    graph.add_flow(Flow { name: name.clone(), destination, relation, conf, context });
    Ok(name)
}

async fn start_run(
    server: &Arc<Server>,
    session: &Arc<Session>,
    responses: &Responses,
    start: &StartRun,
) -> Result<()> {
    let id = start.dataflow_graph_id();
    let registered = session.graphs.find(id)?;
    let graph = registered.graph.lock().clone().with_sinks_bound();
    let selection = Selection::of(start, &graph.context)?;
    if start.storage().is_empty() {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_3241")
            .with("msg", "Storage must be specified to start a run."));
    }
    let checkpoints = Checkpoints::of(start.storage(), Arc::new(LocalStorage))?;
    graph.check()?;
    let guard = registered.begin(id)?;
    let run = run(server, session, responses, graph, selection, checkpoints, start.dry());
    tokio::select! {
        result = run => result,
        () = guard.dropped() => {
            Err(SparkError::new("_LEGACY_ERROR_TEMP_3102").with("msg", "Pipeline run was canceled."))
        }
    }
}

async fn run(
    server: &Arc<Server>,
    session: &Arc<Session>,
    responses: &Responses,
    graph: DataflowGraph,
    selection: Selection,
    checkpoints: Checkpoints,
    dry: bool,
) -> Result<()> {
    let events = Events::new(responses.clone(), Arc::clone(server.clock()));
    let resolution = resolved(server, session, &graph, &events).await?;
    if dry {
        events.completed().await;
        return Ok(());
    }
    for flow in &resolution.flows {
        if selection.resets(&graph, &flow.flow.destination)? {
            checkpoints.reset(&flow.flow).await?;
        }
    }
    materialize(session, &graph, &resolution, &selection).await?;
    let context = RunContext {
        server: Arc::clone(server),
        session: Arc::clone(session),
        queries: server.queries(session)?,
        operation: Arc::clone(responses.operation()),
        graph,
        resolution,
        checkpoints,
        events: events.clone(),
    };
    graph_execution::run(Arc::new(context), &selection).await?;
    events.completed().await;
    Ok(())
}

/// The graph with its flows understood, and legal.
async fn resolved(
    server: &Arc<Server>,
    session: &Arc<Session>,
    graph: &DataflowGraph,
    events: &Events,
) -> Result<Resolution> {
    let analyzer = Analyzer { server, session, graph };
    let resolution = resolve(&analyzer).await?;
    if let Some(failures) = validation::unresolved(graph, &resolution)? {
        for (flow, error) in &failures.downstream {
            let text = format!("Failed to resolve flow due to upstream failure: '{}'.", flow.unquoted());
            events.failure(text, error).await;
        }
        for (flow, error) in &failures.direct {
            events.failure(format!("Failed to resolve flow: '{}'.", flow.unquoted()), error).await;
        }
        return Err(failures.error());
    }
    let case_sensitive = session.conf.read().is_true("spark.sql.caseSensitive");
    validation::validate(graph, &resolution, case_sensitive)?;
    Ok(resolution)
}
