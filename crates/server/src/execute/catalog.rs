//! `spark.catalog`: what there is to list when all tables are temporary views.

use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use millstream_engine::{Result, SparkError};
use millstream_spark::plan::parse_identifier;
use spark_connect_proto::{Catalog, catalog::CatType};

use super::{resolve::GLOBAL_TEMP, sql::like};
use crate::{server::Server, session::Session};

/// The only catalog and its only database.
const CATALOG: &str = "spark_catalog";
const DATABASE: &str = "default";

/// The rows a call of the catalog answers with.
///
/// # Errors
/// Calls that need a catalog of tables.
pub fn rows(server: &Server, session: &Session, catalog: &Catalog) -> Result<RecordBatch> {
    let call =
        catalog.cat_type.as_ref().ok_or_else(|| SparkError::internal("a catalog call without a type"))?;
    match call {
        CatType::CurrentDatabase(_) => text(DATABASE),
        CatType::CurrentCatalog(_) => text(CATALOG),
        CatType::SetCurrentDatabase(set) if set.db_name.eq_ignore_ascii_case(DATABASE) => none(),
        CatType::SetCurrentCatalog(set) if set.catalog_name.eq_ignore_ascii_case(CATALOG) => none(),
        CatType::DatabaseExists(asked) => truth(asked.db_name.eq_ignore_ascii_case(DATABASE)),
        CatType::ListTables(list) => {
            tables(server, session, list.db_name.as_deref(), list.pattern.as_deref())
        }
        CatType::TableExists(asked) => {
            truth(exists(server, session, &asked.table_name, asked.db_name.as_deref())?)
        }
        CatType::DropTempView(drop) => truth(session.views.write().drop_view(&drop.view_name)),
        CatType::DropGlobalTempView(drop) => truth(server.global_views.write().drop_view(&drop.view_name)),
        // Nothing is cached, so there is nothing to do: every use reads again.
        CatType::ClearCache(_) => {
            session.persisted.lock().clear();
            none()
        }
        CatType::CacheTable(_)
        | CatType::UncacheTable(_)
        | CatType::RefreshTable(_)
        | CatType::RefreshByPath(_) => none(),
        CatType::IsCached(_) => truth(false),
        _ => Err(SparkError::unsupported("this call of `spark.catalog`")),
    }
}

fn exists(server: &Server, session: &Session, name: &str, database: Option<&str>) -> Result<bool> {
    let mut parts = parse_identifier(name)?;
    if let Some(database) = database {
        parts.insert(0, database.to_string());
    }
    Ok(match parts.as_slice() {
        [name] => session.views.read().get(name).is_some(),
        [database, name] if database.eq_ignore_ascii_case(GLOBAL_TEMP) => {
            server.global_views.read().get(name).is_some()
        }
        _ => false,
    })
}

fn tables(
    server: &Server,
    session: &Session,
    database: Option<&str>,
    pattern: Option<&str>,
) -> Result<RecordBatch> {
    let mut names: Vec<(String, Option<&str>)> = Vec::new();
    if database.is_some_and(|database| database.eq_ignore_ascii_case(GLOBAL_TEMP)) {
        names.extend(server.global_views.read().iter().map(|view| (view.name.clone(), Some(GLOBAL_TEMP))));
    }
    names.extend(session.views.read().iter().map(|view| (view.name.clone(), None)));
    names.retain(|(name, _)| pattern.is_none_or(|pattern| like(pattern, name)));
    let namespaces = names.iter().map(|(_, database)| database.map(|d| vec![Some(d)]));
    let mut namespace =
        datafusion::arrow::array::ListBuilder::new(datafusion::arrow::array::StringBuilder::new());
    for database in namespaces {
        match database {
            Some(parts) => namespace.append_value(parts),
            None => namespace.append_null(),
        }
    }
    let nothing = StringArray::from(vec![None::<&str>; names.len()]);
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
        Arc::new(StringArray::from_iter_values(names.iter().map(|(name, _)| name))),
        Arc::new(nothing.clone()),
        namespace,
        Arc::new(nothing),
        Arc::new(StringArray::from(vec!["TEMPORARY"; names.len()])),
        Arc::new(BooleanArray::from(vec![true; names.len()])),
    ];
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
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
