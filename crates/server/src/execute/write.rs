//! `df.write...`: batch writes.

use std::sync::Arc;

use futures::StreamExt;
use millstream_engine::{
    Result, SparkError,
    batch::{BatchWrite, SaveMode},
    checkpoint::{LocalStorage, StorageRef},
    format::{Options, writer},
};
use spark_connect_proto::{
    WriteOperation,
    write_operation::{SaveMode as ProtoMode, SaveType},
};

use super::{
    cache,
    known_options::{self, Use},
    partitions::partitions,
    relation,
    resolve::absolute,
    table_write,
    write_stream::local_path,
};
use crate::{operation::Responses, server::Server, session::Session};

/// Runs a batch write.
///
/// # Errors
/// Spark's errors of analysis and execution; what is not supported.
pub async fn write(
    server: &Server,
    session: &Session,
    responses: &Responses,
    command: &WriteOperation,
) -> Result<()> {
    refuse_layouts(command)?;
    if let Some(SaveType::Table(table)) = &command.save_type {
        return table_write::save(server, session, responses, command, table, mode(command.mode())).await;
    }
    let input = command.input.as_ref().ok_or_else(|| SparkError::internal("a write without a plan"))?;
    let format = match command.source.as_deref().unwrap_or_default().to_ascii_lowercase() {
        given if given.is_empty() => {
            session.conf.read().value("spark.sql.sources.default").unwrap_or_else(|| "parquet".to_string())
        }
        given => given,
    };
    let options = Options::new(command.options.clone());
    known_options::check(session, &format, Use::Write, &options)?;
    if format == "noop" {
        let translated = relation::translated(server, session, input).await?;
        let plan = translated.plan.clone();
        let mut rows = relation::rows(server, translated).await?;
        while let Some(batch) = rows.next().await {
            batch?;
        }
        return relation::send_observed(responses, &plan).await;
    }
    let format_name = match format.as_str() {
        "csv" => "CSV",
        "json" => "JSON",
        "parquet" => "Parquet",
        "text" => "Text",
        "orc" | "avro" | "xml" | "jdbc" | "kafka" | "delta" | "iceberg" => {
            return Err(SparkError::unsupported(format!("writing the format `{format}`")));
        }
        _ => return Err(SparkError::new("DATA_SOURCE_NOT_FOUND").with("provider", command.source())),
    };
    let path = match &command.save_type {
        Some(SaveType::Path(path)) => Some(path.as_str()),
        _ => options.get("path"),
    };
    let path = path
        .ok_or_else(|| SparkError::new("_LEGACY_ERROR_TEMP_3241").with("msg", "'path' is not specified."))?;
    let zone = session.conf.read().zone();
    let write = BatchWrite {
        path: local_path(&absolute(path))?,
        format_name,
        format: writer(&format, &options, zone)?,
        mode: mode(command.mode()),
        partition_by: command.partitioning_columns.clone(),
        options,
        zone: Arc::new(zone),
    };
    let translated = relation::translated(server, session, input).await?;
    relation::refuse_stream(&translated)?;
    let schema = translated.schema();
    let storage: StorageRef = Arc::new(LocalStorage);
    if !write.check(&storage, &schema)? {
        return Ok(());
    }
    let plan = translated.plan.clone();
    let rows = partitions(server, translated).await?;
    let path = write.path.clone();
    write.run(storage, schema, rows).await?;
    cache::forget_readers(session, &path);
    relation::send_observed(responses, &plan).await
}

fn refuse_layouts(command: &WriteOperation) -> Result<()> {
    if command.bucket_by.is_some() || !command.sort_column_names.is_empty() {
        return Err(SparkError::unsupported("`bucketBy` and `sortBy` of a write"));
    }
    if !command.clustering_columns.is_empty() {
        return Err(SparkError::unsupported("`clusterBy` of a write"));
    }
    Ok(())
}

fn mode(mode: ProtoMode) -> SaveMode {
    match mode {
        ProtoMode::Append => SaveMode::Append,
        ProtoMode::Overwrite => SaveMode::Overwrite,
        ProtoMode::Ignore => SaveMode::Ignore,
        ProtoMode::ErrorIfExists | ProtoMode::Unspecified => SaveMode::ErrorIfExists,
    }
}
