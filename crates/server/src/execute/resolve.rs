//! Finds what a plan refers to: files, views, memory tables, cached relations.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use datafusion::{arrow::datatypes::Schema, datasource::MemTable};
use millstream_engine::{
    Result, SparkError,
    checkpoint::{LocalStorage, storage::blocking},
    source::{SourceSpec, file},
    state::{read_state, read_state_metadata},
};
use millstream_spark::plan::{
    Reference, ResolvedSet, ResolvedSource, ResolvedTable, SourceReference, TableReference, references,
};
use spark_connect_proto::Relation;

use super::{
    known_options::{self, Use},
    tables::Tables,
};
use crate::{
    server::Server,
    session::{Session, views::View},
};

/// Everything `relation` refers to, as far as it exists. Translation reports what does not.
///
/// # Errors
/// Text that does not parse, `PATH_NOT_FOUND`, schemas that cannot be inferred.
pub async fn resolve(server: &Server, session: &Session, relation: &Relation) -> Result<ResolvedSet> {
    resolve_with(server, session, relation, HashMap::new()).await
}

/// As [`resolve`]; the tables in `known` are not looked up.
///
/// # Errors
/// As [`resolve`].
pub async fn resolve_with(
    server: &Server,
    session: &Session,
    relation: &Relation,
    mut known: HashMap<TableReference, ResolvedTable>,
) -> Result<ResolvedSet> {
    let mut resolved = ResolvedSet::new();
    for reference in references(relation)? {
        match reference {
            Reference::Table(table) if known.contains_key(&table) => {
                if let Some(found) = known.remove(&table) {
                    resolved.add_table(table, found);
                }
            }
            Reference::Source(source) => {
                if let Some(found) = resolve_source(session, &source).await? {
                    resolved.add_source(source, found);
                }
            }
            Reference::Table(table) => {
                if let Some(found) = resolve_table(server, session, &table).await? {
                    resolved.add_table(table, found);
                }
            }
            Reference::CachedLocal(hash) => {
                let bytes = session.artifacts.cached(&hash)?;
                resolved.add_local(hash, bytes);
            }
            Reference::CachedRemote(id) => {
                if let Some(found) = session.cached_remote.lock().get(&id) {
                    resolved.add_remote(id, found.clone());
                }
            }
        }
    }
    for (_, table) in session.persisted.lock().values() {
        resolved.add_cached(table.clone());
    }
    Ok(resolved)
}

/// A view or table by name: a temporary view of the session, a global one, or a table of the
/// warehouse.
async fn resolve_table(
    server: &Server,
    session: &Session,
    table: &TableReference,
) -> Result<Option<ResolvedTable>> {
    let view = match table.name.as_slice() {
        [name] => session.views.read().get(name).map(View::resolved),
        [database, name] if database.eq_ignore_ascii_case(GLOBAL_TEMP) => {
            server.global_views.read().get(name).map(View::resolved)
        }
        _ => None,
    };
    if view.is_some() {
        return Ok(view);
    }
    let Ok(own) = Tables::own_name(&table.name) else { return Ok(None) };
    let Some(found) = Tables::of(session)?.get(own).await? else { return Ok(None) };
    let zone = session.conf.read().zone();
    let (format, options, schema) = (found.provider.clone(), found.options(), found.schema()?);
    let paths = vec![found.location.clone()];
    if table.is_streaming {
        return Ok(Some(ResolvedTable::Stream(SourceSpec { format, schema, options, paths })));
    }
    let rows = blocking(move || file::resolve(&format, &paths, &options, Some(schema), zone)).await?;
    Ok(Some(ResolvedTable::Provider(Arc::new(rows))))
}

/// The database of global temporary views (`spark.sql.globalTempDatabase`).
pub const GLOBAL_TEMP: &str = "global_temp";

/// Formats that are read from files.
const FILE_FORMATS: &[&str] = &["csv", "json", "parquet", "text"];
/// Formats that Spark has and this build does not.
const SPARK_FORMATS: &[&str] =
    &["orc", "avro", "xml", "binaryfile", "kafka", "jdbc", "delta", "iceberg", "protobuf", "image", "libsvm"];
/// State in checkpoints as tables, and what Spark calls their sources.
const STATE_FORMATS: [(&str, &str); 2] =
    [("statestore", "StateDataSource"), ("state-metadata", "StateMetadataSource")];

/// Whether a path given to `load` replaces the option `path`.
const LEGACY_PATH_OPTION: &str = "spark.sql.legacy.pathOptionBehavior.enabled";

/// `None` for formats whose schema is fixed (rate) and for unknown ones.
async fn resolve_source(session: &Session, source: &SourceReference) -> Result<Option<ResolvedSource>> {
    let (format, zone, inference, legacy_path) = {
        let conf = session.conf.read();
        let format = match source.format.as_str() {
            "" => conf.value("spark.sql.sources.default").unwrap_or_else(|| "parquet".to_string()),
            given => short_name(given),
        };
        let inference = conf.is_true("spark.sql.streaming.schemaInference");
        (format, conf.zone(), inference, conf.is_true(LEGACY_PATH_OPTION))
    };
    refuse_name(session, source)?;
    if SPARK_FORMATS.contains(&format.as_str()) {
        return Err(SparkError::unsupported(format!("the data source `{format}`")));
    }
    if let Some((_, class)) = STATE_FORMATS.iter().find(|(name, _)| *name == format) {
        return state(&format, class, source, legacy_path).await.map(Some);
    }
    let used = if source.is_streaming { Use::ReadStream } else { Use::Read };
    known_options::check(session, &format, used, &source.options)?;
    if !FILE_FORMATS.contains(&format.as_str()) {
        return Ok(None);
    }
    let paths: Vec<String> = given_paths(source, legacy_path)?.iter().map(|path| absolute(path)).collect();
    let options = source.options.clone();
    let user_schema = source.schema.clone().map(|fields| Arc::new(Schema::new(fields)));
    if source.is_streaming {
        let read = move || {
            let schema = if user_schema.is_none() && inference {
                file::resolve(&format, &paths, &options, None, zone)?.table_schema().clone()
            } else {
                file::stream_schema(&format, &paths, &options, user_schema, zone)?
            };
            Ok(SourceSpec { format, schema, options, paths })
        };
        return Ok(Some(ResolvedSource::Stream(blocking(read).await?)));
    }
    let table = blocking(move || file::resolve(&format, &paths, &options, user_schema, zone)).await?;
    Ok(Some(ResolvedSource::Batch(Arc::new(table))))
}

/// The state in a checkpoint.
async fn state(
    format: &str,
    class: &str,
    source: &SourceReference,
    legacy_path: bool,
) -> Result<ResolvedSource> {
    if source.is_streaming {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_2049")
            .with("className", format)
            .with("operator", "reading"));
    }
    if source.schema.is_some() {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_2242").with("provider", class));
    }
    let path = given_paths(source, legacy_path)?.first().map(|path| absolute(path));
    let (options, is_metadata) = (source.options.clone(), format == "state-metadata");
    let read = move || {
        let storage = LocalStorage::shared();
        if is_metadata {
            read_state_metadata(&storage, path.as_deref())
        } else {
            read_state(&storage, path.as_deref(), &options)
        }
    };
    let rows = blocking(read).await?;
    let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
    Ok(ResolvedSource::Batch(Arc::new(table)))
}

/// Names tie a stream's sources to its checkpoint, which counts them here: ignoring a name would mix
/// sources up once they change places.
fn refuse_name(session: &Session, source: &SourceReference) -> Result<()> {
    let Some(name) = &source.name else { return Ok(()) };
    if session.conf.read().is_true("spark.sql.streaming.queryEvolution.enableSourceEvolution") {
        return Err(SparkError::unsupported(format!("naming a streaming source (`{name}`)")));
    }
    Err(SparkError::new("STREAMING_QUERY_EVOLUTION_ERROR.SOURCE_NAMING_NOT_SUPPORTED").with("name", name))
}

/// The paths of a read: the parameters of `load` or the option, not both.
///
/// With `legacy` a single parameter replaces the option, and several are read beside it, as
/// before Spark 3.
fn given_paths(source: &SourceReference, legacy: bool) -> Result<Vec<String>> {
    let (paths, option) = (source.paths.clone(), source.path_option.clone());
    match (paths.len(), option) {
        (_, None) => Ok(paths),
        (0, Some(option)) => Ok(vec![option]),
        (1, Some(_)) if legacy => Ok(paths),
        (_, Some(option)) if legacy => Ok(paths.into_iter().chain([option]).collect()),
        (_, Some(_)) if source.is_streaming => Err(SparkError::new("_LEGACY_ERROR_TEMP_1188")
            .with("method", "load")
            .with("config", LEGACY_PATH_OPTION)),
        (_, Some(_)) => Err(SparkError::new("_LEGACY_ERROR_TEMP_1306").with("config", LEGACY_PATH_OPTION)),
    }
}

/// `org.apache.spark.sql.execution.datasources.csv.CSVFileFormat` and its like are `csv`.
fn short_name(format: &str) -> String {
    let lower = format.to_ascii_lowercase();
    match lower.strip_prefix("org.apache.spark.sql.execution.datasources.") {
        Some(rest) => rest.split('.').find(|part| *part != "v2").unwrap_or_default().to_string(),
        None => lower,
    }
}

/// A path a client gave: relative ones are seen from where millstream was started. URIs
/// keep their scheme.
pub fn absolute(path: &str) -> String {
    let has_scheme = path.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    if has_scheme || path.starts_with('/') || path.is_empty() {
        return path.to_string();
    }
    let here: PathBuf = std::env::current_dir().unwrap_or_default();
    here.join(path).display().to_string()
}

/// The relation with everything it refers to, for a view or a cached relation.
///
/// # Errors
/// As [`resolve`].
pub async fn bind(server: &Server, session: &Session, relation: Relation) -> Result<ResolvedTable> {
    let resolved = Arc::new(resolve(server, session, &relation).await?);
    Ok(ResolvedTable::View { relation: Arc::new(relation), resolved })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_seen_from_the_working_directory() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute("in/*.csv"), here.join("in/*.csv").display().to_string());
        assert_eq!(absolute("/in"), "/in");
        assert_eq!(absolute("file:/in"), "file:/in");
        assert_eq!(absolute("s3a://b/in"), "s3a://b/in");
    }

    #[test]
    fn class_names_of_formats_are_known() {
        assert_eq!(short_name("CSV"), "csv");
        assert_eq!(short_name("org.apache.spark.sql.execution.datasources.csv.CSVFileFormat"), "csv");
    }
}
