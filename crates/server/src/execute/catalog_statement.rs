//! SQL statements about tables: `SHOW`, `ALTER TABLE`, `CACHE TABLE`.

use std::{path::Path, sync::Arc};

use datafusion::arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use millstream_engine::{Result, SparkError};
use millstream_spark::{plan::quote_parts, sql::CatalogStatement};
use spark_connect_proto::{
    Read, Relation,
    read::{NamedTable, ReadType},
    relation::RelType,
};

use super::{
    cache, relation,
    sql::like,
    tables::{CATALOG, DATABASE, Table, Tables, not_found},
    view,
};
use crate::{server::Server, session::Session};

/// The rows a statement answers with.
///
/// # Errors
/// Tables that are not there; changes that do not fit.
pub async fn run(server: &Server, session: &Session, statement: CatalogStatement) -> Result<RecordBatch> {
    match statement {
        CatalogStatement::ShowDatabases { pattern } => {
            let shown = pattern.is_none_or(|pattern| like(&pattern, DATABASE));
            texts(&["namespace"], &[if shown { vec![DATABASE] } else { Vec::new() }])
        }
        CatalogStatement::ShowCatalogs => texts(&["catalog"], &[vec![CATALOG]]),
        CatalogStatement::ShowCurrentNamespace => {
            texts(&["catalog", "namespace"], &[vec![CATALOG], vec![DATABASE]])
        }
        CatalogStatement::ShowColumns { table } => {
            let read = NamedTable { unparsed_identifier: quote_parts(&table), ..Default::default() };
            let read = Read { is_streaming: false, read_type: Some(ReadType::NamedTable(read)) };
            let relation = Relation { common: None, rel_type: Some(RelType::Read(read)) };
            let schema = relation::translated(server, session, &relation).await?.schema();
            texts(&["col_name"], &[schema.fields().iter().map(|field| field.name().as_str()).collect()])
        }
        CatalogStatement::ShowProperties { table, key } => {
            let found = find(session, &table).await?;
            let Some(key) = key else {
                let (keys, values) = found.properties.iter().map(|(k, v)| (k.as_str(), v.as_str())).unzip();
                return texts(&["key", "value"], &[keys, values]);
            };
            let missing = || {
                format!(
                    "Table {} does not have property: {key}",
                    quote_parts(&found_name(&found)).replace('`', "")
                )
            };
            let value = found.properties.get(&key).cloned().unwrap_or_else(missing);
            texts(&["key", "value"], &[vec![&key], vec![&value]])
        }
        CatalogStatement::CacheTable { table, lazy, query } => {
            if let Some(query) = query {
                let [name] = table.as_slice() else {
                    return Err(SparkError::unsupported("CACHE TABLE .. AS with a qualified name"));
                };
                view::create(server, session, name, *query, false, false).await?;
            }
            cache::cache_table(server, session, &table, None).await?;
            if !lazy {
                cache::fill(server, session, &table).await?;
            }
            nothing()
        }
        CatalogStatement::UncacheTable { table, if_exists } => {
            match cache::uncache_table(server, session, &table).await {
                Err(error) if !(if_exists && error.class() == "TABLE_OR_VIEW_NOT_FOUND") => Err(error),
                _ => nothing(),
            }
        }
        CatalogStatement::ClearCache => {
            session.persisted.lock().clear();
            nothing()
        }
        CatalogStatement::RefreshTable { table } => {
            cache::refresh_table(server, session, &table).await?;
            nothing()
        }
        CatalogStatement::AddColumns { table, columns } => {
            let found = find(session, &table).await?;
            let schema = found.schema()?;
            for column in &columns {
                if schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(column.name())) {
                    return Err(SparkError::new("COLUMN_ALREADY_EXISTS")
                        .with("columnName", quote_parts(&[column.name().to_lowercase()])));
                }
            }
            let all: Vec<_> = schema.fields().iter().chain(&columns).cloned().collect();
            Tables::of(session)?.put(&found.with_columns(&Schema::new(all))).await?;
            changed(session, &table).await
        }
        CatalogStatement::SetProperties { table, properties } => {
            let mut found = find(session, &table).await?;
            found.properties.extend(properties);
            Tables::of(session)?.put(&found).await?;
            nothing()
        }
        CatalogStatement::UnsetProperties { table, keys } => {
            let mut found = find(session, &table).await?;
            found.properties.retain(|key, _| !keys.contains(key));
            Tables::of(session)?.put(&found).await?;
            nothing()
        }
    }
}

/// A table of the warehouse; a temporary view of that name is none.
async fn find(session: &Session, name: &[String]) -> Result<Table> {
    let found = match Tables::own_name(name) {
        Ok(own) => Tables::of(session)?.get(own).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| not_found(name).with("searchPath", "[`system`.`session`, `spark_catalog`.`default`]"))
}

fn found_name(table: &Table) -> [String; 3] {
    [CATALOG.to_string(), DATABASE.to_string(), table.name.clone()]
}

async fn changed(session: &Session, name: &[String]) -> Result<RecordBatch> {
    let table = find(session, name).await?;
    cache::forget_readers(session, Path::new(&table.location));
    nothing()
}

fn nothing() -> Result<RecordBatch> {
    Ok(RecordBatch::new_empty(Arc::new(Schema::empty())))
}

fn texts(names: &[&str], columns: &[Vec<&str>]) -> Result<RecordBatch> {
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect();
    let columns: Vec<ArrayRef> =
        columns.iter().map(|column| Arc::new(StringArray::from(column.clone())) as ArrayRef).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
