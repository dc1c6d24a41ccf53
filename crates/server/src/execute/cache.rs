//! Rows that are kept: `df.persist()`, `spark.catalog.cacheTable(..)`.
//!
//! Kept rows stand in for a plan wherever it occurs. Who writes into a table calls
//! [`forget_readers`], so that nobody reads what is no longer there.

use std::path::Path;

use datafusion::{
    common::tree_node::TreeNodeRecursion, datasource::source_as_provider, logical_expr::LogicalPlan,
};
use millstream_engine::{Result, SparkError, batch::CachedTable, source::file::FileTable};
use millstream_spark::plan::quote_parts;
use spark_connect_proto::{
    Read, Relation, StorageLevel,
    read::{NamedTable, ReadType},
    relation::RelType,
};

use super::relation;
use crate::{server::Server, session::Session};

/// Keeps the rows of `relation` from their first use on; a relation that is kept stays as it is.
///
/// # Errors
/// Spark's errors of analysis; streams are not kept.
pub async fn persist(
    server: &Server,
    session: &Session,
    relation: &Relation,
    level: StorageLevel,
) -> Result<()> {
    let translated = relation::translated(server, session, relation).await?;
    let meaning = translated.meaning();
    if translated.is_streaming {
        relation::refuse_stream(&translated)?;
    }
    let state = server.session_state()?;
    let table = CachedTable::new(meaning.clone(), translated.plan, state, server.clock().clone());
    session.persisted.lock().entry(meaning).or_insert((level, table));
    Ok(())
}

/// What tells a relation from others.
///
/// # Errors
/// Spark's errors of analysis.
pub async fn meaning(server: &Server, session: &Session, relation: &Relation) -> Result<String> {
    Ok(relation::translated(server, session, relation).await?.meaning())
}

/// Keeps the rows of a table or view.
///
/// # Errors
/// `TABLE_OR_VIEW_NOT_FOUND`; a view of a stream.
pub async fn cache_table(
    server: &Server,
    session: &Session,
    name: &[String],
    level: Option<StorageLevel>,
) -> Result<()> {
    let named = named_table(name);
    if relation::translated(server, session, &named).await?.is_streaming {
        return Err(SparkError::unsupported(format!("caching the stream {}", quote_parts(name))));
    }
    persist(server, session, &named, level.unwrap_or_else(memory_and_disk)).await
}

/// Computes the kept rows of a table or view.
///
/// # Errors
/// Those of its plan.
pub async fn fill(server: &Server, session: &Session, name: &[String]) -> Result<()> {
    let meaning = meaning(server, session, &named_table(name)).await?;
    let table = session.persisted.lock().get(&meaning).map(|(_, table)| table.clone());
    if let Some(table) = table {
        table.rows().await?;
    }
    Ok(())
}

/// Keeps the rows of a table or view no longer.
///
/// # Errors
/// `TABLE_OR_VIEW_NOT_FOUND`.
pub async fn uncache_table(server: &Server, session: &Session, name: &[String]) -> Result<()> {
    let meaning = meaning(server, session, &named_table(name)).await?;
    session.persisted.lock().remove(&meaning);
    Ok(())
}

/// Whether the rows of a table or view are kept.
///
/// # Errors
/// `TABLE_OR_VIEW_NOT_FOUND`.
pub async fn is_cached(server: &Server, session: &Session, name: &[String]) -> Result<bool> {
    let meaning = meaning(server, session, &named_table(name)).await?;
    Ok(session.persisted.lock().contains_key(&meaning))
}

/// Keeps the rows of a table as it is now, if they were kept.
///
/// # Errors
/// `TABLE_OR_VIEW_NOT_FOUND`.
pub async fn refresh_table(server: &Server, session: &Session, name: &[String]) -> Result<()> {
    let named = named_table(name);
    let meaning = meaning(server, session, &named).await?;
    let level = session.persisted.lock().remove(&meaning).map(|(level, _)| level);
    match level {
        Some(level) => persist(server, session, &named, level).await,
        None => Ok(()),
    }
}

/// Forgets kept rows that were read from files in `location`, which changes.
///
/// Spark differs: it computes them anew; here they are read from the files until they are kept again.
pub fn forget_readers(session: &Session, location: &Path) {
    let location = location.display().to_string();
    session.persisted.lock().retain(|_, (_, table)| !reads(table.plan(), &location));
}

fn reads(plan: &LogicalPlan, location: &str) -> bool {
    let mut found = false;
    let looked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
        {
            found |=
                provider.downcast_ref::<FileTable>().is_some_and(|files| files.origin().contains(location));
            found |= provider.downcast_ref::<CachedTable>().is_some_and(|kept| reads(kept.plan(), location));
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found || looked.is_err()
}

fn named_table(name: &[String]) -> Relation {
    let unparsed_identifier = quote_parts(name);
    let read = Read {
        is_streaming: false,
        read_type: Some(ReadType::NamedTable(NamedTable { unparsed_identifier, ..Default::default() })),
    };
    Relation { common: None, rel_type: Some(RelType::Read(read)) }
}

/// Spark's `StorageLevel.MEMORY_AND_DISK`.
pub fn memory_and_disk() -> StorageLevel {
    StorageLevel { use_disk: true, use_memory: true, use_off_heap: false, deserialized: true, replication: 1 }
}
