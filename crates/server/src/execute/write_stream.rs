//! `writeStream ... start()`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use datafusion::arrow::datatypes::SchemaRef;
use millstream_engine::{
    Result, SparkError,
    format::Options,
    query::{QueryConf, QuerySpec, SinkFactory, StreamingQuery, StreamingQueryEvent, Trigger},
    sink::{ConsoleSink, ConsoleWriter, MemorySink, NoopSink, OutputMode, Sink},
    time::Zone,
};
use millstream_spark::{
    plan::{Translated, parse_identifier, translate},
    sql::interval::parse_interval,
};
use parking_lot::Mutex;
use spark_connect_proto::{
    StreamingQueryInstanceId, WriteStreamOperationStart, WriteStreamOperationStartResult,
    execute_plan_response::ResponseType,
    write_stream_operation_start::{SinkDestination, Trigger as ProtoTrigger},
};

use super::{
    file_sink,
    known_options::{self, Use},
    partitioned_sink,
    resolve::{absolute, resolve},
    tables::{NewTable, Tables},
};
use crate::{
    operation::{Operation, Responses},
    server::Server,
    session::{Session, queries::Queries},
};

/// Formats of files.
const FILE_FORMATS: &[&str] = &["csv", "json", "parquet", "text"];
/// Sinks that Spark has and this build does not.
const SPARK_SINKS: &[&str] = &["kafka", "orc", "avro", "xml", "delta", "iceberg", "statestore"];

/// Starts a streaming query and answers with its ids.
///
/// # Errors
/// Spark's errors of analysis; nothing is written before the plan was accepted.
pub async fn start(
    server: &Server,
    session: &Arc<Session>,
    responses: &Responses,
    command: &WriteStreamOperationStart,
) -> Result<()> {
    refuse_functions(command)?;
    let input = command.input.as_ref().ok_or_else(|| SparkError::internal("a stream without a plan"))?;
    let resolved = resolve(server, session, input).await?;
    let conf = session.conf.read().translation();
    let translated = translate(input, &resolved, &conf)?;
    let queries = server.queries(session)?;
    let query = launch(server, session, &queries, responses.operation(), command, translated).await?;
    let name = query.name().map(ToString::to_string);
    let started = session.listeners.is_open().then(|| {
        let event = StreamingQueryEvent::Started {
            id: query.id(),
            run_id: query.run_id(),
            name: name.clone(),
            timestamp: server.clock().now(),
        };
        event.json().to_string()
    });
    let result = WriteStreamOperationStartResult {
        query_id: Some(StreamingQueryInstanceId {
            id: query.id().to_string(),
            run_id: query.run_id().to_string(),
        }),
        name: name.unwrap_or_default(),
        query_started_event_json: started,
    };
    responses.send(ResponseType::WriteStreamOperationStartResult(result)).await;
    Ok(())
}

/// Starts the query of a command whose input has been translated, with the settings of `session`.
///
/// # Errors
/// As [`start`].
pub async fn launch(
    server: &Server,
    session: &Session,
    queries: &Queries,
    operation: &Operation,
    command: &WriteStreamOperationStart,
    translated: Translated,
) -> Result<StreamingQuery> {
    let (conf, zone, settings) = {
        let conf = session.conf.read();
        (conf.translation(), conf.zone(), QueryConf::new(conf.all()))
    };
    if !translated.is_streaming {
        return Err(SparkError::new("WRITE_STREAM_NOT_ALLOWED"));
    }
    let output_mode = output_mode(&command.output_mode)?;
    let name = (!command.query_name.is_empty()).then(|| command.query_name.clone());
    let command = &match &command.sink_destination {
        Some(SinkDestination::TableName(table)) => {
            let schema = translated.schema();
            Cow::Owned(table_target(session, command, table, schema, output_mode).await?)
        }
        _ => Cow::Borrowed(command),
    };
    let options = Options::new(command.options.clone());
    let target = target(server, session, command, &options, &translated, name.as_deref(), output_mode, zone)?;
    let spec = QuerySpec {
        name: name.clone(),
        output: translated.schema(),
        column_names: Arc::new(translated.column_names),
        plan: translated.plan,
        sink: target.sink,
        output_mode,
        trigger: trigger(command.trigger.as_ref())?,
        checkpoint_location: options.get("checkpointLocation").map(absolute),
        temporary_checkpoint: target.temporary_checkpoint,
        recover_from_checkpoint: target.recovers,
        conf: settings,
        session_zone: conf.time_zone_id,
    };
    let query = queries.start(spec, operation).await?;
    if let (Some(table), Some(name)) = (target.table, &name) {
        session.views.write().put_memory(name, table);
    }
    Ok(query)
}

/// The command that writes into the files of a table, which is created if it is not there.
async fn table_target(
    session: &Session,
    command: &WriteStreamOperationStart,
    table: &str,
    schema: SchemaRef,
    output_mode: OutputMode,
) -> Result<WriteStreamOperationStart> {
    let name = parse_identifier(table)?;
    if let [view] = name.as_slice()
        && session.views.read().get(view).is_some()
    {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_1190").with("viewName", view));
    }
    let tables = Tables::of(session)?;
    let own = Tables::own_name(&name)?;
    let table = match tables.get(own).await? {
        Some(table) => table,
        None => {
            let mut options: BTreeMap<String, String> =
                command.options.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            let path = options.keys().find(|k| k.eq_ignore_ascii_case("path")).cloned();
            let location = path.and_then(|key| options.remove(&key));
            options.retain(|key, _| !key.eq_ignore_ascii_case("checkpointLocation"));
            let new = NewTable {
                name: own.to_string(),
                provider: Some(command.format.clone()),
                schema,
                partition_by: command.partitioning_column_names.clone(),
                options,
                location,
            };
            let table = tables.define(new).await?;
            if output_mode == OutputMode::Append {
                tables.put(&table).await?;
            }
            table
        }
    };
    let own = table.options();
    let mut options: HashMap<String, String> =
        own.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    options.extend(command.options.clone());
    Ok(WriteStreamOperationStart {
        options,
        format: table.provider.clone(),
        partitioning_column_names: table.partition_by.clone(),
        sink_destination: Some(SinkDestination::Path(table.location)),
        ..command.clone()
    })
}

fn refuse_functions(command: &WriteStreamOperationStart) -> Result<()> {
    if command.foreach_batch.is_some() {
        return Err(SparkError::unsupported("`foreachBatch` (a Python function as a streaming sink)"));
    }
    if command.foreach_writer.is_some() {
        return Err(SparkError::unsupported("`foreach` (a Python function as a streaming sink)"));
    }
    if !command.clustering_column_names.is_empty() {
        return Err(SparkError::unsupported("`clusterBy` of a stream"));
    }
    Ok(())
}

/// Where the rows go.
struct Target {
    sink: SinkFactory,
    temporary_checkpoint: bool,
    recovers: bool,
    table: Option<MemorySink>,
}

impl Target {
    fn plain(sink: impl Sink + 'static) -> Self {
        let sink: Arc<dyn Sink> = Arc::new(sink);
        Self { sink: Box::new(move |_| Ok(sink)), temporary_checkpoint: true, recovers: true, table: None }
    }
}

#[expect(clippy::too_many_arguments, reason = "one call")]
fn target(
    server: &Server,
    session: &Session,
    command: &WriteStreamOperationStart,
    options: &Options,
    translated: &Translated,
    name: Option<&str>,
    output_mode: OutputMode,
    zone: Zone,
) -> Result<Target> {
    let format = match command.format.to_ascii_lowercase() {
        given if given.is_empty() => {
            session.conf.read().value("spark.sql.sources.default").unwrap_or_else(|| "parquet".to_string())
        }
        given => given,
    };
    known_options::check(session, &format, Use::WriteStream, options)?;
    let schema: SchemaRef = translated.schema();
    match format.as_str() {
        "memory" => {
            if name.is_none() {
                return Err(SparkError::new("_LEGACY_ERROR_TEMP_1194"));
            }
            let sink = MemorySink::new(schema, output_mode);
            let recovers = MemorySink::recovers(output_mode);
            Ok(Target { recovers, table: Some(sink.clone()), ..Target::plain(sink) })
        }
        "console" => {
            let out: ConsoleWriter = Arc::new(Mutex::new(std::io::stdout()));
            Ok(Target::plain(ConsoleSink::new(options, Arc::new(zone), out)?))
        }
        "noop" => Ok(Target::plain(NoopSink)),
        file if FILE_FORMATS.contains(&file) => {
            let path = match &command.sink_destination {
                Some(SinkDestination::Path(path)) => Some(path.as_str()),
                _ => options.get("path"),
            };
            let path = path.ok_or_else(|| {
                SparkError::new("_LEGACY_ERROR_TEMP_3241").with("msg", "'path' is not specified.")
            })?;
            let sink = file_sink::factory(
                file,
                &absolute(path),
                options,
                &command.partitioning_column_names,
                &schema,
                zone,
                server.clock(),
            )?;
            let sink = partitioned_sink::factory(server, translated, sink)?;
            Ok(Target { sink, temporary_checkpoint: false, recovers: true, table: None })
        }
        other if SPARK_SINKS.contains(&other) => {
            Err(SparkError::unsupported(format!("the streaming sink `{other}`")))
        }
        "rate" | "rate-micro-batch" | "socket" => Err(SparkError::new("_LEGACY_ERROR_TEMP_2049")
            .with("className", format.clone())
            .with("operator", "writing")),
        _ => Err(SparkError::new("DATA_SOURCE_NOT_FOUND").with("provider", command.format.clone())),
    }
}

fn output_mode(text: &str) -> Result<OutputMode> {
    match text.to_ascii_lowercase().as_str() {
        "" | "append" => Ok(OutputMode::Append),
        "update" => Ok(OutputMode::Update),
        "complete" => Ok(OutputMode::Complete),
        _ => Err(SparkError::new("STREAMING_OUTPUT_MODE.INVALID").with("outputMode", text)),
    }
}

fn trigger(trigger: Option<&ProtoTrigger>) -> Result<Trigger> {
    match trigger {
        None => Ok(Trigger::default()),
        Some(ProtoTrigger::ProcessingTimeInterval(text)) => interval_ms(text).map(Trigger::ProcessingTime),
        Some(ProtoTrigger::AvailableNow(_)) => Ok(Trigger::AvailableNow),
        Some(ProtoTrigger::Once(_)) => Ok(Trigger::Once),
        Some(ProtoTrigger::ContinuousCheckpointInterval(text)) => interval_ms(text).map(Trigger::Continuous),
        Some(ProtoTrigger::RealTimeBatchDuration(_)) => Err(SparkError::unsupported("the real-time trigger")),
    }
}

/// Milliseconds of an interval text; months have no fixed length.
fn interval_ms(text: &str) -> Result<u64> {
    const DAY_MS: i64 = 86_400_000;
    let interval = parse_interval(text)?;
    let illegal = |msg: String| SparkError::new("_LEGACY_ERROR_TEMP_3241").with("msg", msg);
    if interval.months != 0 {
        return Err(illegal(format!("Doesn't support month or year interval: {text}")));
    }
    let ms = i64::from(interval.days) * DAY_MS + interval.microseconds / 1000;
    u64::try_from(ms).map_err(|_| illegal("the interval of trigger should not be negative".to_string()))
}

/// A folder as a path on this machine.
///
/// # Errors
/// Other schemes than `file:`.
pub fn local_path(path: &str) -> Result<PathBuf> {
    match path.split_once(':') {
        Some(("file", rest)) => {
            let trimmed = rest.trim_start_matches('/');
            Ok(PathBuf::from(format!("/{trimmed}")))
        }
        Some((scheme, _)) if scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            Err(SparkError::unsupported(format!("the file system `{scheme}`")))
        }
        _ => Ok(PathBuf::from(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_milliseconds() {
        assert_eq!(interval_ms("20 seconds").unwrap(), 20_000);
        assert_eq!(interval_ms("interval 1 day 500 milliseconds").unwrap(), 86_400_500);
        assert!(interval_ms("1 month").is_err());
        assert!(interval_ms("-1 second").is_err());
    }

    #[test]
    fn output_modes_are_read_without_case() {
        assert_eq!(output_mode("Complete").unwrap(), OutputMode::Complete);
        assert_eq!(output_mode("sometimes").unwrap_err().class(), "STREAMING_OUTPUT_MODE.INVALID");
    }

    #[test]
    fn file_uris_are_local_paths() {
        assert_eq!(local_path("file:///a/b").unwrap(), PathBuf::from("/a/b"));
        assert_eq!(local_path("file:/a/b").unwrap(), PathBuf::from("/a/b"));
        assert_eq!(local_path("/a:b").unwrap(), PathBuf::from("/a:b"));
        assert!(local_path("s3a://b").is_err());
    }
}
