//! `millstream run pipeline.sql`: a file of SQL statements, without any Python.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use clap::Parser;
use spark_connect_proto::{
    PipelineEvent,
    pipeline_command::{CommandType, CreateDataflowGraph, DefineSqlGraphElements, StartRun},
    pipeline_command_result::ResultType,
};

use super::{
    args::RunArgs,
    connect_client::ConnectClient,
    serve::{Running, base_conf},
    signals::Signals,
    sql_script::{SqlScript, shows_rows, sort},
};
use crate::runtime::Runtimes;

/// Options of a pipeline, after the file: those of `spark-pipelines run`.
#[derive(Debug, Parser)]
#[command(name = "millstream run pipeline.sql", no_binary_name = true, disable_help_subcommand = true)]
pub struct PipelineArgs {
    /// Datasets to reset and recompute, separated by commas
    #[arg(long, value_delimiter = ',')]
    pub full_refresh: Vec<String>,
    /// Reset and recompute everything
    #[arg(long)]
    pub full_refresh_all: bool,
    /// Datasets to update, separated by commas
    #[arg(long, value_delimiter = ',')]
    pub refresh: Vec<String>,
    /// Check the pipeline and run nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Folder of the checkpoints, as a URI; the default is `pipeline-storage` beside the file
    #[arg(long, value_name = "URI")]
    pub storage: Option<String>,
}

/// Runs a SQL file on the engine, or on the server that `--remote` names.
///
/// # Errors
/// The file cannot be read; what a server says of its statements.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let options = PipelineArgs::try_parse_from(&args.args).unwrap_or_else(|error| error.exit());
    let file = std::fs::read_to_string(&args.script)
        .with_context(|| format!("{}: cannot be read", args.script.display()))?;
    let script = sort(&file);
    if script.before.is_empty() && script.pipeline.is_none() {
        bail!("{}: there is no statement in it", args.script.display());
    }
    let storage = match &options.storage {
        Some(storage) => storage.clone(),
        None => default_storage(&args.script)?,
    };
    let conf = base_conf(&args.conf)?;
    let runtimes = Runtimes::start()?;
    let code = runtimes.network.block_on(async {
        let mut signals = Signals::listen()?;
        let Some(remote) = &args.remote else {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
            let running = Running::start(&runtimes, address, conf).await?;
            let url = format!("sc://{}", running.address);
            let ended = session(&url, &[], &script, &args.script, &storage, &options, &mut signals).await;
            tokio::select! {
                () = running.stop() => {}
                _ = signals.next() => {}
            }
            return ended;
        };
        super::remote::check(remote).await?;
        session(remote, &args.conf, &script, &args.script, &storage, &options, &mut signals).await
    });
    runtimes.engine.shutdown_background();
    runtimes.network.shutdown_background();
    code
}

/// Spark's `spark-pipelines init` puts the storage there too.
fn default_storage(script: &Path) -> Result<String> {
    let script = std::path::absolute(script).context("there is no working directory")?;
    let folder = script.parent().unwrap_or(&script).join("pipeline-storage");
    Ok(format!("file://{}", folder.display()))
}

async fn session(
    url: &str,
    conf: &[(String, String)],
    script: &SqlScript<'_>,
    path: &Path,
    storage: &str,
    options: &PipelineArgs,
    signals: &mut Signals,
) -> Result<ExitCode> {
    let mut client = ConnectClient::connect(url, conf).await?;
    let ended = tokio::select! {
        result = statements(&mut client, script, path, storage, options) => result.map(|()| ExitCode::SUCCESS),
        received = signals.next() => Ok(ExitCode::from(received.exit_code())),
    };
    client.release().await;
    ended
}

async fn statements(
    client: &mut ConnectClient,
    script: &SqlScript<'_>,
    path: &Path,
    storage: &str,
    options: &PipelineArgs,
) -> Result<()> {
    for statement in &script.before {
        ordinary(client, statement).await?;
    }
    if let Some(text) = &script.pipeline {
        pipeline(client, text, path, storage, options).await?;
    }
    if options.dry_run {
        return Ok(());
    }
    for statement in &script.after {
        ordinary(client, statement).await?;
    }
    Ok(())
}

async fn ordinary(client: &mut ConnectClient, statement: &str) -> Result<()> {
    if let Some(rows) = client.sql(statement, shows_rows(statement)).await? {
        print(rows.trim_end());
    }
    Ok(())
}

async fn pipeline(
    client: &mut ConnectClient,
    text: &str,
    path: &Path,
    storage: &str,
    options: &PipelineArgs,
) -> Result<()> {
    let create = CommandType::CreateDataflowGraph(CreateDataflowGraph::default());
    let Some(ResultType::CreateDataflowGraphResult(created)) = client.pipeline(create, |_| {}).await? else {
        bail!("the server has made no dataflow graph");
    };
    let dataflow_graph_id = created.dataflow_graph_id;
    let define = DefineSqlGraphElements {
        dataflow_graph_id: dataflow_graph_id.clone(),
        sql_file_path: Some(path.display().to_string()),
        sql_text: Some(text.to_string()),
    };
    client.pipeline(CommandType::DefineSqlGraphElements(define), |_| {}).await?;
    let start = StartRun {
        dataflow_graph_id,
        full_refresh_selection: options.full_refresh.clone(),
        full_refresh_all: Some(options.full_refresh_all),
        refresh_selection: options.refresh.clone(),
        dry: Some(options.dry_run),
        storage: Some(storage.to_string()),
    };
    client.pipeline(CommandType::StartRun(start), |event| print(&line(&event))).await?;
    Ok(())
}

/// An event as `spark-pipelines` prints it.
fn line(event: &PipelineEvent) -> String {
    let at = event.timestamp.unwrap_or_default();
    let at = DateTime::<Utc>::from_timestamp(at.seconds, 0).unwrap_or_default();
    format!("{}: {}", at.format("%Y-%m-%d %H:%M:%S"), event.message())
}

#[expect(clippy::print_stdout, reason = "the output of the script")]
fn print(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_pipeline() {
        let parse = |args: &[&str]| PipelineArgs::try_parse_from(args);
        let args = parse(&["--full-refresh", "a,b", "--refresh=c", "--dry-run"]).unwrap();
        assert_eq!((args.full_refresh, args.refresh), (vec!["a".into(), "b".into()], vec!["c".to_string()]));
        assert!(args.dry_run && !args.full_refresh_all);
        assert!(parse(&["--nonsense"]).is_err());
    }

    #[test]
    fn storage_lies_beside_the_file() {
        assert_eq!(default_storage(Path::new("/a/b/pipeline.sql")).unwrap(), "file:///a/b/pipeline-storage");
    }
}
