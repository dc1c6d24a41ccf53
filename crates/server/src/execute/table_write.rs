//! Rows into tables: `saveAsTable`, `insertInto`, `INSERT INTO`, `CREATE TABLE .. AS`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use millstream_engine::{
    Result, SparkError,
    batch::{BatchWrite, SaveMode},
    checkpoint::{LocalStorage, StorageRef},
    format::writer,
};
use millstream_spark::{
    plan::{Translated, parse_identifier},
    types,
};
use spark_connect_proto::{
    Relation, ToDf, ToSchema, WriteOperation, relation::RelType, write_operation::SaveTable,
    write_operation::save_table::TableSaveMethod,
};

use super::{
    cache,
    partitions::partitions,
    relation,
    tables::{NewTable, Table, Tables, already_exists, full_name, not_found},
};
use crate::{operation::Responses, server::Server, session::Session};

/// Runs `df.write.saveAsTable(..)` or `df.write.insertInto(..)`.
///
/// # Errors
/// Spark's errors of analysis and execution.
pub async fn save(
    server: &Server,
    session: &Session,
    responses: &Responses,
    command: &WriteOperation,
    target: &SaveTable,
    mode: SaveMode,
) -> Result<()> {
    let input = command.input.as_ref().ok_or_else(|| SparkError::internal("a write without a plan"))?;
    let name = parse_identifier(&target.table_name)?;
    let translated = if target.save_method() == TableSaveMethod::InsertInto {
        insert(server, session, &name, input.clone(), mode == SaveMode::Overwrite).await?
    } else {
        let mut options: BTreeMap<String, String> =
            command.options.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let path = options.keys().find(|k| k.eq_ignore_ascii_case("path")).cloned();
        let location = path.and_then(|key| options.remove(&key));
        let new = Creation {
            name,
            provider: command.source.clone(),
            partition_by: command.partitioning_columns.clone(),
            options,
            location,
        };
        match save_as(server, session, new, input.clone(), mode).await? {
            Some(translated) => translated,
            None => return Ok(()),
        }
    };
    relation::send_observed(responses, &translated.plan).await
}

/// A table to be made from rows.
pub struct Creation {
    /// Its name, in parts.
    pub name: Vec<String>,
    /// Format, the session's default if none.
    pub provider: Option<String>,
    /// Partition columns.
    pub partition_by: Vec<String>,
    /// Options, `path` not among them.
    pub options: BTreeMap<String, String>,
    /// Directory, if one is given.
    pub location: Option<String>,
}

/// Creates a table from rows, or adds to one by the names of columns. `None` when there was
/// nothing to do.
///
/// # Errors
/// `TABLE_OR_VIEW_ALREADY_EXISTS`, `SCHEMA_NOT_FOUND`; the rows do not fit.
pub async fn save_as(
    server: &Server,
    session: &Session,
    new: Creation,
    input: Relation,
    mode: SaveMode,
) -> Result<Option<Translated>> {
    let tables = Tables::of(session)?;
    let own = Tables::own_name(&new.name)?.to_string();
    let existing = tables.get(&own).await?;
    let translated = relation::translated(server, session, &input).await?;
    relation::refuse_stream(&translated)?;
    match (&existing, mode) {
        (Some(table), SaveMode::ErrorIfExists) => return Err(already_exists(&table.name)),
        (Some(_), SaveMode::Ignore) => return Ok(None),
        (Some(table), SaveMode::Append) => {
            check_arity(table, &translated.schema())?;
            let translated = fitted(server, session, table, input).await?;
            write(server, session, table, translated.clone(), SaveMode::Append).await?;
            return Ok(Some(translated));
        }
        _ => {}
    }
    if let Some(old) = &existing {
        // The rows may come from the table itself: it goes once they are written.
        let provider = new.provider.clone().unwrap_or_default();
        let same_place = new.location.is_none() && !old.external;
        let new = NewTable {
            name: old.name.clone(),
            provider: Some(provider),
            schema: translated.schema(),
            partition_by: new.partition_by,
            options: new.options,
            location: Some(new.location.clone().unwrap_or_else(|| old.location.clone())),
        };
        let mut table = tables.define(new).await?;
        table.external = !same_place;
        write(server, session, &table, translated.clone(), SaveMode::Overwrite).await?;
        tables.put(&table).await?;
        return Ok(Some(translated));
    }
    let table = tables
        .define(NewTable {
            name: own,
            provider: new.provider,
            schema: translated.schema(),
            partition_by: new.partition_by,
            options: new.options,
            location: new.location,
        })
        .await?;
    write(server, session, &table, translated.clone(), SaveMode::Overwrite).await?;
    tables.put(&table).await?;
    Ok(Some(translated))
}

/// Checks that rows have as many columns as the table they are added to.
///
/// # Errors
/// They have not.
pub fn check_arity(table: &Table, have: &SchemaRef) -> Result<()> {
    let want = table.schema()?;
    if have.fields().len() == want.fields().len() {
        return Ok(());
    }
    let names = |s: &SchemaRef| types::catalog_string(&DataType::Struct(s.fields().clone()));
    Err(SparkError::new("_LEGACY_ERROR_TEMP_1161")
        .with("tableName", full_name(&table.name).replace('`', ""))
        .with("existingTableSchema", names(&want))
        .with("querySchema", names(have)))
}

/// Adds rows to a table, column by column in order, or replaces its rows.
///
/// # Errors
/// `TABLE_OR_VIEW_NOT_FOUND`, `INSERT_COLUMN_ARITY_MISMATCH.*`; the rows do not fit.
pub async fn insert(
    server: &Server,
    session: &Session,
    name: &[String],
    input: Relation,
    overwrite: bool,
) -> Result<Translated> {
    let table = match Tables::own_name(name) {
        Ok(own) => Tables::of(session)?.get(own).await?,
        Err(_) => None,
    };
    let table = table.ok_or_else(|| not_found(name))?;
    let have = relation::translated(server, session, &input).await?;
    relation::refuse_stream(&have)?;
    let (have, want) = (have.schema(), table.schema()?);
    let quoted = |schema: &SchemaRef| {
        let names = schema.fields().iter().map(|f| format!("`{}`", f.name()));
        names.collect::<Vec<_>>().join(", ")
    };
    if have.fields().len() != want.fields().len() {
        let class = if have.fields().len() < want.fields().len() {
            "INSERT_COLUMN_ARITY_MISMATCH.NOT_ENOUGH_DATA_COLUMNS"
        } else {
            "INSERT_COLUMN_ARITY_MISMATCH.TOO_MANY_DATA_COLUMNS"
        };
        return Err(SparkError::new(class)
            .with("tableName", full_name(&table.name))
            .with("tableColumns", quoted(&want))
            .with("dataColumns", quoted(&have)));
    }
    let column_names = want.fields().iter().map(|f| f.name().clone()).collect();
    let renamed = Relation {
        common: None,
        rel_type: Some(RelType::ToDf(Box::new(ToDf { input: Some(Box::new(input)), column_names }))),
    };
    let translated = fitted(server, session, &table, renamed).await?;
    let mode = if overwrite { SaveMode::Overwrite } else { SaveMode::Append };
    write(server, session, &table, translated.clone(), mode).await?;
    Ok(translated)
}

/// `input` with the table's columns, found by name and cast.
async fn fitted(server: &Server, session: &Session, table: &Table, input: Relation) -> Result<Translated> {
    let schema = table.schema()?;
    let to = ToSchema {
        input: Some(Box::new(input)),
        schema: Some(types::struct_to_proto(schema.fields().iter().map(AsRef::as_ref))?),
    };
    let relation = Relation { common: None, rel_type: Some(RelType::ToSchema(Box::new(to))) };
    relation::translated(server, session, &relation).await
}

/// Writes rows that have the table's columns.
///
/// # Errors
/// Spark's errors of execution.
pub async fn write(
    server: &Server,
    session: &Session,
    table: &Table,
    translated: Translated,
    mode: SaveMode,
) -> Result<()> {
    let zone = session.conf.read().zone();
    let format_name = match table.provider.as_str() {
        "csv" => "CSV",
        "json" => "JSON",
        "text" => "Text",
        _ => "Parquet",
    };
    let options = table.options();
    let write = BatchWrite {
        path: PathBuf::from(&table.location),
        format_name,
        format: writer(&table.provider, &options, zone)?,
        mode,
        partition_by: table.partition_by.clone(),
        options,
        zone: Arc::new(zone),
    };
    let schema = translated.schema();
    let storage: StorageRef = Arc::new(LocalStorage);
    if write.check(&storage, &schema)? {
        let rows = partitions(server, translated).await?;
        write.run(storage, schema, rows).await?;
        cache::forget_readers(session, Path::new(&table.location));
    }
    Ok(())
}
