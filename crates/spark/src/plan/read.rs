//! `Read`: tables, views, files and streams.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, Schema, SchemaRef},
    catalog::TableProvider,
    datasource::provider_as_source,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection},
};
use millstream_engine::{
    Result, SparkError,
    plan::StreamScan,
    source::{SourceSpec, socket_schema},
};
use spark_connect_proto as proto;

use super::{
    attribute::{Attribute, quote_parts},
    references::{Reference, SourceReference, TableReference, bound_name, of_read},
    resolved::{ResolvedSource, ResolvedTable},
    translator::{Frame, Translator},
};
use crate::types;

/// Streaming sources whose schema is fixed and needs no look outside.
const RATE_FORMATS: [&str; 2] = ["rate", "rate-micro-batch"];

impl<'a> Translator<'a> {
    pub(super) fn read(&self, read: &proto::Read) -> Result<Frame> {
        match of_read(read)? {
            Reference::Source(source) => self.source(&source),
            Reference::Table(table) => self.table(&table),
            Reference::CachedLocal(_) | Reference::CachedRemote(_) => {
                Err(SparkError::internal("a read of a cached relation"))
            }
        }
    }

    fn source(&self, source: &SourceReference) -> Result<Frame> {
        if source.format == "socket" {
            return self.socket(source);
        }
        if source.is_streaming && RATE_FORMATS.contains(&source.format.as_str()) {
            return self.rate(source);
        }
        match self.resolved()?.source(source) {
            Some(ResolvedSource::Batch(provider)) => self.scan(Arc::clone(provider)),
            Some(ResolvedSource::Stream(spec)) => self.stream(spec.clone()),
            None => Err(SparkError::new("DATA_SOURCE_NOT_FOUND").with("provider", source.format.clone())),
        }
    }

    fn socket(&self, source: &SourceReference) -> Result<Frame> {
        if !source.is_streaming {
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_1135").with("className", "socket"));
        }
        if source.schema.is_some() {
            return Err(
                SparkError::new("_LEGACY_ERROR_TEMP_2242").with("provider", "TextSocketSourceProvider")
            );
        }
        self.stream(SourceSpec {
            format: source.format.clone(),
            schema: socket_schema(&source.options)?,
            options: source.options.clone(),
            paths: Vec::new(),
        })
    }

    fn rate(&self, source: &SourceReference) -> Result<Frame> {
        if source.schema.is_some() {
            return Err(SparkError::unsupported(format!(
                "a user-specified schema for the source {}",
                source.format
            )));
        }
        let schema = Schema::new(vec![
            Field::new("timestamp", types::timestamp(), true),
            Field::new("value", DataType::Int64, true),
        ]);
        self.stream(SourceSpec {
            format: source.format.clone(),
            schema: Arc::new(schema),
            options: source.options.clone(),
            paths: source.paths.clone(),
        })
    }

    fn stream(&self, spec: SourceSpec) -> Result<Frame> {
        let schema = Arc::clone(&spec.schema);
        let scan = StreamScan::plan(spec, &self.new_id())?;
        self.renamed(scan, &schema, true)
    }

    fn table(&self, table: &TableReference) -> Result<Frame> {
        let bound = self.bound_relation(&table.name);
        let qualifier = vec![table.name.last().cloned().unwrap_or_default()];
        if let Some(relation) = bound {
            return self.frame(&relation);
        }
        match self.resolved()?.table(table) {
            Some(found) => {
                let frame = self.resolved_table(found)?;
                if table.is_streaming && !frame.is_streaming {
                    let name = table.name.join(".");
                    return Err(SparkError::new("_LEGACY_ERROR_TEMP_1008").with("quoted", name));
                }
                Ok(frame.qualified(&qualifier))
            }
            None => Err(SparkError::new("TABLE_OR_VIEW_NOT_FOUND")
                .with("relationName", quote_parts(&table.name))
                .with("searchPath", "[`system`.`builtin`, `system`.`session`, `spark_catalog`.`default`]")),
        }
    }

    /// The relation that `WithRelations` binds to a one-part name.
    fn bound_relation(&self, name: &[String]) -> Option<proto::Relation> {
        let [name] = name else { return None };
        self.bound
            .borrow()
            .iter()
            .rev()
            .find(|r| bound_name(r).is_some_and(|bound| bound.eq_ignore_ascii_case(name)))
            .cloned()
    }

    pub(super) fn cached_remote_relation(&self, cached: &proto::CachedRemoteRelation) -> Result<Frame> {
        match self.resolved()?.remote(&cached.relation_id) {
            Some(found) => self.resolved_table(found),
            None => Err(SparkError::internal(format!("no cached relation {}", cached.relation_id))),
        }
    }

    fn resolved_table(&self, found: &'a ResolvedTable) -> Result<Frame> {
        match found {
            ResolvedTable::Provider(provider) => self.scan(Arc::clone(provider)),
            ResolvedTable::Shown { provider, columns } => {
                let source = provider_as_source(Arc::clone(provider));
                let scan = LogicalPlanBuilder::scan(self.new_id(), source, None)?.build()?;
                self.renamed(scan, columns, false)
            }
            ResolvedTable::Stream(spec) => self.stream(spec.clone()),
            ResolvedTable::View { relation, resolved } => self.frame_with(relation, resolved),
        }
    }

    /// A scan of all columns of `provider`.
    pub(super) fn scan(&self, provider: Arc<dyn TableProvider>) -> Result<Frame> {
        let schema = provider.schema();
        let scan = LogicalPlanBuilder::scan(self.new_id(), provider_as_source(provider), None)?.build()?;
        self.renamed(scan, &schema, false)
    }

    /// `scan`, whose columns are those of `schema`, under new ids.
    fn renamed(&self, scan: LogicalPlan, schema: &SchemaRef, is_streaming: bool) -> Result<Frame> {
        let columns: Vec<Attribute> = schema.fields().iter().map(|f| self.attribute(Arc::clone(f))).collect();
        let exprs: Vec<Expr> = scan
            .schema()
            .columns()
            .into_iter()
            .zip(&columns)
            .map(|(column, attribute)| Expr::Column(column).alias(&attribute.id))
            .collect();
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(scan))?);
        Ok(Frame::new(plan, columns, is_streaming))
    }
}

impl Frame {
    /// The same frame with `qualifier` as the only qualifier of its columns.
    pub fn qualified(&self, qualifier: &[String]) -> Self {
        let columns =
            self.columns.iter().map(|a| Attribute { qualifier: qualifier.to_vec(), ..a.clone() }).collect();
        Self { below: None, ..self.with_columns(columns) }
    }
}
