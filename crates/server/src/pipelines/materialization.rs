//! Tables of a graph in the warehouse: created, widened or made anew before the flows run, Spark's
//! `DatasetManager`.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::arrow::datatypes::{Fields, Schema};
use millstream_engine::{Result, SparkError};

use super::{
    graph::{DataflowGraph, RESET_ALLOWED, Table},
    refresh::{Refresh, Selection},
    resolution::Resolution,
    schema,
};
use crate::{
    execute::tables::{NewTable, Tables, full_name},
    session::Session,
};

/// Makes the tables of the selection ready to be written to.
///
/// A materialized view is made anew by every run; a streaming table by a full refresh.
///
/// # Errors
/// Columns or partitions that contradict those a table has.
pub async fn materialize(
    session: &Session,
    graph: &DataflowGraph,
    resolution: &Resolution,
    selection: &Selection,
) -> Result<()> {
    let tables = Tables::of(session)?;
    let case_sensitive = session.conf.read().is_true("spark.sql.caseSensitive");
    let mut planned = Vec::new();
    // What can be refused is refused before the first table changes.
    for table in &graph.tables {
        let Some(refresh) = selection.refresh_of(table)? else { continue };
        let fields = match &table.columns {
            Some(declared) => declared.clone(),
            None => schema::as_nullable(&resolution.inferred(&table.name, case_sensitive)?),
        };
        check_partitions(table, &fields)?;
        planned.push((table, refresh, fields));
    }
    for (table, refresh, fields) in planned {
        one(&tables, table, refresh, fields, case_sensitive).await?;
    }
    Ok(())
}

async fn one(
    tables: &Tables,
    table: &Table,
    refresh: Refresh,
    fields: Fields,
    case_sensitive: bool,
) -> Result<()> {
    let parts = table.name.parts();
    let name = Tables::own_name(&parts)?;
    let mut old = tables.get(name).await?;
    if let Some(old) = &old
        && old.partition_by != table.partition_by
    {
        let list = |columns: &[String]| {
            columns.iter().map(|c| format!("identity({c})")).collect::<Vec<_>>().join(", ")
        };
        return Err(SparkError::new("CANNOT_UPDATE_PARTITION_COLUMNS")
            .with("existingPartitionColumns", list(&old.partition_by))
            .with("requestedPartitionColumns", list(&table.partition_by)));
    }
    if let Some(found) = old.take_if(|_| refresh == Refresh::Full || !table.streaming) {
        tables.drop_table(&found).await?;
    }
    let fields = match &old {
        None => fields,
        Some(old) => {
            let existing = old.schema()?;
            schema::merge(existing.fields(), &fields, case_sensitive).ok_or_else(|| {
                SparkError::new("UNABLE_TO_INFER_PIPELINE_TABLE_SCHEMA")
                    .with("tableName", table.name.unquoted())
                    .with("inferredDataSchema", tree(existing.fields()))
                    .with("incompatibleDataSchema", tree(&fields))
            })?
        }
    };
    let schema = Arc::new(Schema::new(fields));
    let defined = match old {
        Some(old) => old.with_columns(&schema),
        None => {
            let new = NewTable {
                name: name.to_string(),
                provider: table.format.clone(),
                schema,
                partition_by: table.partition_by.clone(),
                options: BTreeMap::new(),
                location: None,
            };
            tables.define(new).await?
        }
    };
    tables.put(&defined.described(table.comment.clone(), properties(table)?)).await
}

/// The properties to be kept: Spark's own are checked, unknown ones of pipelines are dropped.
fn properties(table: &Table) -> Result<BTreeMap<String, String>> {
    table.reset_allowed()?;
    let mut kept = BTreeMap::new();
    for (key, value) in &table.properties {
        let lower = key.to_ascii_lowercase();
        if lower == RESET_ALLOWED {
            kept.insert(RESET_ALLOWED.to_string(), value.clone());
        } else if lower.starts_with("pipelines.") {
            tracing::warn!("Unknown pipelines table property '{key}'.");
        } else {
            kept.insert(key.clone(), value.clone());
        }
    }
    Ok(kept)
}

fn check_partitions(table: &Table, fields: &Fields) -> Result<()> {
    for column in &table.partition_by {
        if !fields.iter().any(|field| field.name().eq_ignore_ascii_case(column)) {
            let columns: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name())).collect();
            return Err(SparkError::new("COLUMN_NOT_DEFINED_IN_TABLE")
                .with("colType", "partition")
                .with("colName", format!("`{column}`"))
                .with("tableName", full_name(&table.name.table))
                .with("tableCols", columns.join(", ")));
        }
    }
    Ok(())
}

fn tree(fields: &Fields) -> String {
    millstream_spark::types::tree_string(fields.iter().map(AsRef::as_ref), None)
}
