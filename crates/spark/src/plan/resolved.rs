//! What the server found for a plan's references.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use datafusion::{arrow::datatypes::SchemaRef, catalog::TableProvider};
use millstream_engine::{batch::CachedTable, source::SourceSpec};
use spark_connect_proto as proto;

use super::references::{SourceReference, TableReference};

/// The resolved references of one plan.
///
/// A reference that is missing here is reported by translation with Spark's error for a
/// thing that does not exist; failures that name their own reason (`PATH_NOT_FOUND`) are
/// the server's to raise.
#[derive(Debug, Clone, Default)]
pub struct ResolvedSet {
    sources: HashMap<SourceReference, ResolvedSource>,
    tables: HashMap<TableReference, ResolvedTable>,
    local: HashMap<String, Bytes>,
    remote: HashMap<String, ResolvedTable>,
    cached: HashMap<String, CachedTable>,
}

/// A source that exists.
#[derive(Debug, Clone)]
pub enum ResolvedSource {
    /// A batch read; the provider's schema has the user's names.
    Batch(Arc<dyn TableProvider>),
    /// A streaming read.
    Stream(SourceSpec),
}

/// A table or view that exists.
#[derive(Debug, Clone)]
pub enum ResolvedTable {
    /// A view: its definition and what that refers to.
    View {
        /// The plan behind the view.
        relation: Arc<proto::Relation>,
        /// Its references, resolved.
        resolved: Arc<ResolvedSet>,
    },
    /// A table read as a stream.
    Stream(SourceSpec),
    /// Rows at hand; the provider's schema has the user's names, each once.
    Provider(Arc<dyn TableProvider>),
    /// Rows at hand under names of their own, shown under the user's, which may repeat: a memory sink.
    Shown {
        /// The rows; names are unique.
        provider: Arc<dyn TableProvider>,
        /// The columns as they are shown, by position.
        columns: SchemaRef,
    },
}

impl ResolvedSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source.
    pub fn add_source(&mut self, reference: SourceReference, found: ResolvedSource) {
        self.sources.insert(reference, found);
    }

    /// Adds a table or view.
    pub fn add_table(&mut self, reference: TableReference, found: ResolvedTable) {
        self.tables.insert(reference, found);
    }

    /// Adds the bytes of a cached local relation.
    pub fn add_local(&mut self, hash: impl Into<String>, bytes: Bytes) {
        self.local.insert(hash.into(), bytes);
    }

    /// Adds a cached remote relation.
    pub fn add_remote(&mut self, id: impl Into<String>, found: ResolvedTable) {
        self.remote.insert(id.into(), found);
    }

    /// Adds the kept rows of a plan, which stand in for it wherever it occurs.
    pub fn add_cached(&mut self, table: CachedTable) {
        self.cached.insert(table.key().to_string(), table);
    }

    /// Whether rows of any plan are kept.
    pub(super) fn has_cached(&self) -> bool {
        !self.cached.is_empty()
    }

    /// The kept rows of the plan with that meaning.
    pub(super) fn cached(&self, meaning: &str) -> Option<&CachedTable> {
        self.cached.get(meaning)
    }

    pub(super) fn source(&self, reference: &SourceReference) -> Option<&ResolvedSource> {
        self.sources.get(reference)
    }

    pub(super) fn table(&self, reference: &TableReference) -> Option<&ResolvedTable> {
        self.tables.get(reference)
    }

    pub(super) fn local(&self, hash: &str) -> Option<&Bytes> {
        self.local.get(hash)
    }

    pub(super) fn remote(&self, id: &str) -> Option<&ResolvedTable> {
        self.remote.get(id)
    }
}
