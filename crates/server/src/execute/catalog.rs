//! `spark.catalog`: the tables of the warehouse and the temporary views.

use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use millstream_engine::{Result, SparkError};
use millstream_spark::{
    plan::{parse_identifier, quote_parts},
    types,
};
use spark_connect_proto::{
    Catalog, Read, Relation,
    catalog::CatType,
    read::{NamedTable, ReadType},
    relation::RelType,
};

use super::{
    cache, relation,
    resolve::{GLOBAL_TEMP, absolute},
    sql::like,
    tables::{CATALOG, DATABASE, Table, Tables, not_found},
    write_stream::local_path,
};
use crate::{server::Server, session::Session};

/// The rows a call of the catalog answers with.
///
/// # Errors
/// Calls that need a catalog of tables.
pub async fn rows(server: &Server, session: &Session, catalog: &Catalog) -> Result<RecordBatch> {
    let call =
        catalog.cat_type.as_ref().ok_or_else(|| SparkError::internal("a catalog call without a type"))?;
    match call {
        CatType::CurrentDatabase(_) => text(DATABASE),
        CatType::CurrentCatalog(_) => text(CATALOG),
        CatType::SetCurrentDatabase(set) if set.db_name.eq_ignore_ascii_case(DATABASE) => none(),
        CatType::SetCurrentCatalog(set) if set.catalog_name.eq_ignore_ascii_case(CATALOG) => none(),
        CatType::DatabaseExists(asked) => truth(asked.db_name.eq_ignore_ascii_case(DATABASE)),
        CatType::ListDatabases(list) => {
            databases(session, list.pattern.as_deref().is_none_or(|pattern| like(pattern, DATABASE)))
        }
        CatType::GetDatabase(asked) => {
            let name = parse_identifier(&asked.db_name)?;
            Tables::own_name(&[name, vec![String::new()]].concat())?;
            databases(session, true)
        }
        CatType::ListCatalogs(list) => {
            let known = list.pattern.as_deref().is_none_or(|pattern| like(pattern, CATALOG));
            let schema = Schema::new(vec![
                Field::new("name", DataType::Utf8, false),
                Field::new("description", DataType::Utf8, true),
            ]);
            let names: Vec<&str> = known.then_some(CATALOG).into_iter().collect();
            let descriptions: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; names.len()]));
            Ok(RecordBatch::try_new(
                Arc::new(schema),
                vec![Arc::new(StringArray::from(names)), descriptions],
            )?)
        }
        CatType::ListTables(list) => {
            tables(server, session, list.db_name.as_deref(), list.pattern.as_deref()).await
        }
        CatType::TableExists(asked) => {
            truth(exists(server, session, &asked.table_name, asked.db_name.as_deref()).await?)
        }
        CatType::GetTable(asked) => {
            let name = parts(&asked.table_name, asked.db_name.as_deref())?;
            let entry = entry(server, session, &name).await?;
            listed(&[entry.ok_or_else(|| {
                not_found(&name).with("searchPath", "[`system`.`session`, `spark_catalog`.`default`]")
            })?])
        }
        CatType::ListColumns(asked) => {
            columns(server, session, &parts(&asked.table_name, asked.db_name.as_deref())?).await
        }
        CatType::DropTempView(drop) => truth(session.views.write().drop_view(&drop.view_name)),
        CatType::DropGlobalTempView(drop) => truth(server.global_views.write().drop_view(&drop.view_name)),
        CatType::ClearCache(_) => {
            session.persisted.lock().clear();
            none()
        }
        CatType::CacheTable(asked) => {
            let name = parse_identifier(&asked.table_name)?;
            cache::cache_table(server, session, &name, asked.storage_level).await?;
            none()
        }
        CatType::UncacheTable(asked) => {
            cache::uncache_table(server, session, &parse_identifier(&asked.table_name)?).await?;
            none()
        }
        CatType::IsCached(asked) => {
            truth(cache::is_cached(server, session, &parse_identifier(&asked.table_name)?).await?)
        }
        CatType::RefreshTable(asked) => {
            cache::refresh_table(server, session, &parse_identifier(&asked.table_name)?).await?;
            none()
        }
        CatType::RefreshByPath(asked) => {
            cache::forget_readers(session, &local_path(&absolute(&asked.path))?);
            none()
        }
        _ => Err(SparkError::unsupported("this call of `spark.catalog`")),
    }
}

/// The one database, if it is asked for.
fn databases(session: &Session, asked: bool) -> Result<RecordBatch> {
    let location = Tables::of(session)?.location();
    let rows: Vec<[&str; 4]> =
        asked.then_some([DATABASE, CATALOG, "default database", location.as_str()]).into_iter().collect();
    let names = ["name", "catalog", "description", "locationUri"];
    let fields: Vec<Field> =
        names.iter().map(|name| Field::new(*name, DataType::Utf8, *name != "name")).collect();
    let column = |index: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().filter_map(|row| row.get(index))))
    };
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), (0..names.len()).map(column).collect())?)
}

/// The parts of a name, with the database that was given beside it.
fn parts(name: &str, database: Option<&str>) -> Result<Vec<String>> {
    let mut parts = parse_identifier(name)?;
    if let Some(database) = database {
        parts.insert(0, database.to_string());
    }
    Ok(parts)
}

async fn exists(server: &Server, session: &Session, name: &str, database: Option<&str>) -> Result<bool> {
    Ok(entry(server, session, &parts(name, database)?).await?.is_some())
}

/// A table or view as the catalog lists it.
struct Entry {
    name: String,
    catalog: Option<&'static str>,
    database: Option<&'static str>,
    table_type: &'static str,
    description: Option<String>,
}

impl Entry {
    fn view(name: &str, database: Option<&'static str>) -> Self {
        Self { name: name.to_string(), catalog: None, database, table_type: "TEMPORARY", description: None }
    }

    fn table(table: &Table) -> Self {
        let table_type = if table.external { "EXTERNAL" } else { "MANAGED" };
        Self {
            name: table.name.clone(),
            catalog: Some(CATALOG),
            database: Some(DATABASE),
            table_type,
            description: table.comment.clone(),
        }
    }
}

async fn entry(server: &Server, session: &Session, name: &[String]) -> Result<Option<Entry>> {
    let view = match name {
        [name] => session.views.read().get(name).map(|view| Entry::view(&view.name, None)),
        [database, name] if database.eq_ignore_ascii_case(GLOBAL_TEMP) => {
            server.global_views.read().get(name).map(|view| Entry::view(&view.name, Some(GLOBAL_TEMP)))
        }
        _ => None,
    };
    if view.is_some() {
        return Ok(view);
    }
    let Ok(own) = Tables::own_name(name) else { return Ok(None) };
    Ok(Tables::of(session)?.get(own).await?.as_ref().map(Entry::table))
}

async fn tables(
    server: &Server,
    session: &Session,
    database: Option<&str>,
    pattern: Option<&str>,
) -> Result<RecordBatch> {
    let mut entries: Vec<Entry> = Vec::new();
    if database.is_none_or(|database| database.eq_ignore_ascii_case(DATABASE)) {
        entries.extend(Tables::of(session)?.list().await?.iter().map(Entry::table));
    }
    if database.is_some_and(|database| database.eq_ignore_ascii_case(GLOBAL_TEMP)) {
        entries.extend(server.global_views.read().iter().map(|v| Entry::view(&v.name, Some(GLOBAL_TEMP))));
    }
    entries.extend(session.views.read().iter().map(|view| Entry::view(&view.name, None)));
    entries.retain(|entry| pattern.is_none_or(|pattern| like(pattern, &entry.name)));
    listed(&entries)
}

fn listed(entries: &[Entry]) -> Result<RecordBatch> {
    let mut namespace =
        datafusion::arrow::array::ListBuilder::new(datafusion::arrow::array::StringBuilder::new());
    for entry in entries {
        match entry.database {
            Some(database) => namespace.append_value([Some(database)]),
            None => namespace.append_null(),
        }
    }
    let namespace: ArrayRef = Arc::new(namespace.finish());
    let schema = Schema::new(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("catalog", DataType::Utf8, true),
        Field::new("namespace", namespace.data_type().clone(), true),
        Field::new("description", DataType::Utf8, true),
        Field::new("tableType", DataType::Utf8, false),
        Field::new("isTemporary", DataType::Boolean, false),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(entries.iter().map(|entry| &entry.name))),
        Arc::new(entries.iter().map(|entry| entry.catalog).collect::<StringArray>()),
        namespace,
        Arc::new(entries.iter().map(|entry| entry.description.as_deref()).collect::<StringArray>()),
        Arc::new(StringArray::from_iter_values(entries.iter().map(|entry| entry.table_type))),
        Arc::new(BooleanArray::from(entries.iter().map(|e| e.catalog.is_none()).collect::<Vec<_>>())),
    ];
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}

/// `listColumns`.
async fn columns(server: &Server, session: &Session, name: &[String]) -> Result<RecordBatch> {
    let table = match Tables::own_name(name) {
        Ok(own) if entry(server, session, name).await?.is_some_and(|e| e.catalog.is_some()) => {
            Tables::of(session)?.get(own).await?
        }
        _ => None,
    };
    let unparsed_identifier = quote_parts(name);
    let read = Read {
        is_streaming: false,
        read_type: Some(ReadType::NamedTable(NamedTable { unparsed_identifier, ..Default::default() })),
    };
    let relation = Relation { common: None, rel_type: Some(RelType::Read(read)) };
    let schema = relation::translated(server, session, &relation).await?.schema();
    let is_partition = |name: &String| table.as_ref().is_some_and(|t| t.partition_by.contains(name));
    let fields = schema.fields();
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let truth = |name: &str| Field::new(name, DataType::Boolean, false);
    let shown = Schema::new(vec![
        text("name", false),
        text("description", true),
        text("dataType", false),
        truth("nullable"),
        truth("isPartition"),
        truth("isBucket"),
        truth("isCluster"),
    ]);
    let no = || -> ArrayRef { Arc::new(BooleanArray::from(vec![false; fields.len()])) };
    let flags = |f: &dyn Fn(&Arc<Field>) -> bool| -> ArrayRef {
        Arc::new(BooleanArray::from(fields.iter().map(f).collect::<Vec<_>>()))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(fields.iter().map(|f| f.name()))),
        Arc::new(fields.iter().map(|f| types::field_comment(f)).collect::<StringArray>()),
        Arc::new(StringArray::from_iter_values(fields.iter().map(|f| types::catalog_string(f.data_type())))),
        flags(&|f| f.is_nullable()),
        flags(&|f| is_partition(f.name())),
        no(),
        no(),
    ];
    Ok(RecordBatch::try_new(Arc::new(shown), columns)?)
}

fn text(value: &str) -> Result<RecordBatch> {
    let schema = Schema::new(vec![Field::new("value", DataType::Utf8, false)]);
    Ok(RecordBatch::try_new(Arc::new(schema), vec![Arc::new(StringArray::from(vec![value]))])?)
}

fn truth(value: bool) -> Result<RecordBatch> {
    let schema = Schema::new(vec![Field::new("value", DataType::Boolean, false)]);
    Ok(RecordBatch::try_new(Arc::new(schema), vec![Arc::new(BooleanArray::from(vec![value]))])?)
}

fn none() -> Result<RecordBatch> {
    Ok(RecordBatch::new_empty(Arc::new(Schema::empty())))
}
