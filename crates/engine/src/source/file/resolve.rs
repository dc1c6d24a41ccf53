//! From `read.format(..).schema(..).option(..).load(paths)` to a table or a stream schema.

use std::{path::PathBuf, sync::Arc};

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use super::{
    listing::{FileListing, ListedFile, is_hidden, list_files, path_not_found},
    partition_types::partition_columns,
    table::FileTable,
};
use crate::{
    Result, SparkError,
    format::{Options, ReadFormatRef, reader},
    time::Zone,
};

/// The table that a batch read of `paths` gives.
///
/// `paths` are absolute paths, globs or `file:` URIs; `zone` is the session time zone.
/// Without `user_schema` the schema is inferred. Lists directories and reads files:
/// call it off the async threads.
///
/// # Errors
/// `PATH_NOT_FOUND`, `UNABLE_TO_INFER_SCHEMA`, options or types Spark refuses.
pub fn resolve(
    format: &str,
    paths: &[String],
    options: &Options,
    user_schema: Option<SchemaRef>,
    zone: Zone,
) -> Result<FileTable> {
    let reader = reader(format, options, zone)?;
    if paths.is_empty() {
        return Err(no_path());
    }
    let listing = FileListing::new(paths, options, zone)?;
    let roots = listing.roots(true)?;
    let mut files = list_files(&listing, &roots, &|_| false)?;
    if files.iter().any(|f| !f.partitions.is_empty()) {
        check_structure(&roots)?;
    }
    files.sort_by(|a, b| a.file.path.cmp(&b.file.path));
    files.dedup_by(|a, b| a.file.path == b.file.path);
    let schema = table_schema(&reader, &mut files, user_schema.as_ref(), zone)?;
    let origin = format!("{paths:?} {options:?}");
    Ok(FileTable::new(reader, schema, files, options, zone)?.with_origin(origin))
}

/// The schema of a streaming read: the user's columns, then partition columns found under
/// the path now.
///
/// # Errors
/// `PATH_NOT_FOUND` for a path that does not exist (a glob may match later); a missing
/// schema for formats other than text; options or types Spark refuses.
pub fn stream_schema(
    format: &str,
    paths: &[String],
    options: &Options,
    user_schema: Option<SchemaRef>,
    zone: Zone,
) -> Result<SchemaRef> {
    let reader = reader(format, options, zone)?;
    if paths.is_empty() {
        return Err(no_path());
    }
    let listing = FileListing::new(paths, options, zone)?;
    let roots = listing.roots(false)?;
    if user_schema.is_none() && !format.eq_ignore_ascii_case("text") {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_2048"));
    }
    let mut files = list_files(&listing, &roots, &|_| false)?;
    table_schema(&reader, &mut files, user_schema.as_ref(), zone)
}

fn table_schema(
    reader: &ReadFormatRef,
    files: &mut Vec<ListedFile>,
    user_schema: Option<&SchemaRef>,
    zone: Zone,
) -> Result<SchemaRef> {
    let partitions = partition_columns(files, user_schema, zone)?;
    let is_partition = |name: &str| partitions.iter().find(|p| p.name().eq_ignore_ascii_case(name));
    let mut fields: Vec<Arc<Field>> = Vec::new();
    match user_schema {
        Some(schema) => {
            let own = schema.fields().iter().filter(|f| is_partition(f.name()).is_none());
            fields.extend(own.map(nullable));
        }
        None => {
            if files.is_empty() && reader.name() != "Text" {
                return Err(SparkError::new("UNABLE_TO_INFER_SCHEMA").with("format", reader.name()));
            }
            let refs: Vec<_> = files.iter().map(|f| f.file.clone()).collect();
            let inferred = reader.infer_schema(&refs)?;
            // A column that is in the files as well keeps its place there.
            let own = inferred.fields().iter();
            fields.extend(
                own.map(|f| is_partition(f.name()).map_or_else(|| nullable(f), |p| Arc::new(p.clone()))),
            );
        }
    }
    let mut schema = Schema::new(fields);
    let rest = partitions
        .iter()
        .filter(|p| schema.fields().iter().all(|f| !f.name().eq_ignore_ascii_case(p.name())));
    let all: Vec<Arc<Field>> =
        schema.fields().iter().cloned().chain(rest.map(|p| Arc::new(p.clone()))).collect();
    schema.fields = Fields::from(all);
    let schema = Arc::new(schema);
    reader.check_schema(&schema)?;
    Ok(schema)
}

/// Refuses data files in ordinary directories beside partition directories.
fn check_structure(roots: &[PathBuf]) -> Result<()> {
    for root in roots {
        let Ok(entries) = std::fs::read_dir(root) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let plain = path.is_dir() && !name.contains('=') && !is_hidden(&name);
            let has_files = || {
                let files = std::fs::read_dir(&path).into_iter().flatten().flatten();
                files.into_iter().any(|f| f.path().is_file() && !is_hidden(&f.file_name().to_string_lossy()))
            };
            if plain && has_files() {
                let paths = format!("\n\n\tfile:{}\n\tfile:{}\n", root.display(), path.display());
                return Err(
                    SparkError::new("CONFLICTING_DIRECTORY_STRUCTURES").with("discoveredBasePaths", paths)
                );
            }
        }
    }
    Ok(())
}

/// Files may always lack a value: every field, also nested, is nullable.
fn nullable(field: &Arc<Field>) -> Arc<Field> {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nullable).collect()),
        DataType::List(item) => DataType::List(nullable(item)),
        DataType::Map(entries, sorted) => match entries.data_type() {
            DataType::Struct(kv) if kv.len() == 2 => {
                let value = kv.get(1).map(nullable);
                let kv: Fields = kv.first().cloned().into_iter().chain(value).collect();
                let entries = entries.as_ref().clone().with_data_type(DataType::Struct(kv));
                DataType::Map(Arc::new(entries), *sorted)
            }
            _ => field.data_type().clone(),
        },
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type).with_nullable(true))
}

/// Spark's error for a read without any path.
fn no_path() -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_3241").with("msg", "'path' is not specified.")
}

/// `PATH_NOT_FOUND` for a path that a caller found missing itself.
pub fn missing_path(path: &str) -> SparkError {
    path_not_found(path)
}
