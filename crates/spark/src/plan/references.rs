//! What a plan needs from outside before it can be translated.

use datafusion::arrow::datatypes::Fields;
use millstream_engine::{Result, SparkError, format::Options};
use spark_connect_proto::{self as proto, read, relation::RelType};

use super::{extension, identifier::parse_identifier, translator::MAX_DEPTH};
use crate::{sql, types};

/// One thing a plan refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// Data read by format and path: `spark.read.csv("/x")`, `spark.readStream`, `` csv.`/x` ``.
    Source(SourceReference),
    /// A table or view by name.
    Table(TableReference),
    /// A cached local relation, or a piece of one, by its hash.
    CachedLocal(String),
    /// A cached remote relation by its id.
    CachedRemote(String),
}

/// Data read by format and path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourceReference {
    /// Lower-case short name; empty where the read names none (the session's default).
    pub format: String,
    /// Paths as given.
    pub paths: Vec<String>,
    /// The option `path`.
    pub path_option: Option<String>,
    /// The name of a streaming source: `readStream.name(..)`.
    pub name: Option<String>,
    /// Options as given, without `path`.
    pub options: Options,
    /// The schema the user gave, if any.
    pub schema: Option<Fields>,
    /// `readStream`.
    pub is_streaming: bool,
}

/// A table or view by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableReference {
    /// Parts of the name, as given.
    pub name: Vec<String>,
    /// `readStream.table`.
    pub is_streaming: bool,
}

/// Everything `relation` refers to, each once, in order of first appearance.
///
/// SQL text inside is parsed. What stands behind a view is not listed: its definition
/// has references of its own.
///
/// # Errors
/// Text, schema strings and names that do not parse; a plan nested too deep.
pub fn references(relation: &proto::Relation) -> Result<Vec<Reference>> {
    let mut found = Vec::new();
    collect(relation, 0, &mut Vec::new(), &mut found)?;
    Ok(found)
}

/// `bound` are the names that enclosing `WithRelations` give to relations.
fn collect(
    relation: &proto::Relation,
    depth: usize,
    bound: &mut Vec<String>,
    found: &mut Vec<Reference>,
) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    let mut add = |reference: Reference| {
        if !found.contains(&reference) {
            found.push(reference);
        }
    };
    match &relation.rel_type {
        Some(RelType::Read(read)) => match of_read(read)? {
            Reference::Table(table) if is_bound(&table.name, bound) => {}
            reference => add(reference),
        },
        Some(RelType::CachedLocalRelation(cached)) => add(Reference::CachedLocal(cached.hash.clone())),
        Some(RelType::ChunkedCachedLocalRelation(cached)) => {
            for hash in cached.data_hashes.iter().chain(&cached.schema_hash) {
                add(Reference::CachedLocal(hash.clone()));
            }
        }
        Some(RelType::CachedRemoteRelation(cached)) => {
            add(Reference::CachedRemote(cached.relation_id.clone()));
        }
        Some(RelType::Sql(query)) => return collect(&sql::parse_query(query)?, depth + 1, bound, found),
        Some(RelType::Extension(any)) => {
            for input in extension::inputs(any)? {
                collect(&input, depth + 1, bound, found)?;
            }
        }
        _ => {}
    }
    let outer = bound.len();
    if let Some(RelType::WithRelations(with)) = &relation.rel_type {
        bound.extend(with.references.iter().filter_map(bound_name));
    }
    for child in children(relation) {
        collect(child, depth + 1, bound, found)?;
    }
    bound.truncate(outer);
    Ok(())
}

/// The name `WithRelations` gives to one of its references, if any.
pub(super) fn bound_name(reference: &proto::Relation) -> Option<String> {
    match &reference.rel_type {
        Some(RelType::SubqueryAlias(alias)) => Some(alias.alias.clone()),
        _ => None,
    }
}

fn is_bound(name: &[String], bound: &[String]) -> bool {
    matches!(name, [one] if bound.iter().any(|other| other.eq_ignore_ascii_case(one)))
}

pub(super) fn too_deep() -> SparkError {
    SparkError::unsupported(format!("a plan nested more than {MAX_DEPTH} levels deep"))
}

/// The reference a read stands for.
pub(super) fn of_read(read: &proto::Read) -> Result<Reference> {
    match &read.read_type {
        Some(read::ReadType::NamedTable(table)) => {
            let name = parse_identifier(&table.unparsed_identifier)?;
            match name.as_slice() {
                [format, path] if is_file_format(format) => Ok(Reference::Source(SourceReference {
                    format: format.to_ascii_lowercase(),
                    paths: vec![path.clone()],
                    path_option: None,
                    name: None,
                    options: options(&table.options),
                    schema: None,
                    is_streaming: read.is_streaming,
                })),
                _ => Ok(Reference::Table(TableReference { name, is_streaming: read.is_streaming })),
            }
        }
        Some(read::ReadType::DataSource(source)) => {
            let schema = match source.schema.as_deref() {
                None | Some("") => None,
                Some(text) => Some(types::parse_schema(text)?),
            };
            if !source.predicates.is_empty() {
                return Err(SparkError::unsupported("a JDBC read with predicates"));
            }
            let path_option = source.options.iter().find(|(k, _)| k.eq_ignore_ascii_case("path"));
            Ok(Reference::Source(SourceReference {
                format: source.format.clone().unwrap_or_default().to_ascii_lowercase(),
                paths: source.paths.clone(),
                path_option: path_option.map(|(_, path)| path.clone()),
                name: source.source_name.clone(),
                options: options(&source.options),
                schema,
                is_streaming: read.is_streaming,
            }))
        }
        None => Err(SparkError::internal("a read without a type")),
    }
}

fn is_file_format(name: &str) -> bool {
    ["csv", "json", "parquet", "text", "orc", "avro", "xml", "binaryfile"]
        .iter()
        .any(|format| name.eq_ignore_ascii_case(format))
}

fn options(given: &std::collections::HashMap<String, String>) -> Options {
    let mut sorted: Vec<_> = given
        .iter()
        .filter(|(k, _)| !k.eq_ignore_ascii_case("path"))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    sorted.sort();
    Options::new(sorted)
}

/// The relations directly below `relation`, left to right.
pub(super) fn children(relation: &proto::Relation) -> Vec<&proto::Relation> {
    let Some(rel_type) = &relation.rel_type else { return Vec::new() };
    if let RelType::WithRelations(with) = rel_type {
        return with.root.as_deref().into_iter().chain(&with.references).collect();
    }
    let pair: [Option<&proto::Relation>; 2] = match rel_type {
        RelType::Project(r) => [r.input.as_deref(), None],
        RelType::Filter(r) => [r.input.as_deref(), None],
        RelType::Join(r) => [r.left.as_deref(), r.right.as_deref()],
        RelType::SetOp(r) => [r.left_input.as_deref(), r.right_input.as_deref()],
        RelType::Sort(r) => [r.input.as_deref(), None],
        RelType::Limit(r) => [r.input.as_deref(), None],
        RelType::Offset(r) => [r.input.as_deref(), None],
        RelType::Tail(r) => [r.input.as_deref(), None],
        RelType::Aggregate(r) => [r.input.as_deref(), None],
        RelType::Sample(r) => [r.input.as_deref(), None],
        RelType::Deduplicate(r) => [r.input.as_deref(), None],
        RelType::SubqueryAlias(r) => [r.input.as_deref(), None],
        RelType::Repartition(r) => [r.input.as_deref(), None],
        RelType::RepartitionByExpression(r) => [r.input.as_deref(), None],
        RelType::ToDf(r) => [r.input.as_deref(), None],
        RelType::WithColumnsRenamed(r) => [r.input.as_deref(), None],
        RelType::WithColumns(r) => [r.input.as_deref(), None],
        RelType::ShowString(r) => [r.input.as_deref(), None],
        RelType::HtmlString(r) => [r.input.as_deref(), None],
        RelType::Drop(r) => [r.input.as_deref(), None],
        RelType::Hint(r) => [r.input.as_deref(), None],
        RelType::Unpivot(r) => [r.input.as_deref(), None],
        RelType::Transpose(r) => [r.input.as_deref(), None],
        RelType::ToSchema(r) => [r.input.as_deref(), None],
        RelType::MapPartitions(r) => [r.input.as_deref(), None],
        RelType::CollectMetrics(r) => [r.input.as_deref(), None],
        RelType::Parse(r) => [r.input.as_deref(), None],
        RelType::GroupMap(r) => [r.input.as_deref(), r.initial_input.as_deref()],
        RelType::CoGroupMap(r) => [r.input.as_deref(), r.other.as_deref()],
        RelType::WithWatermark(r) => [r.input.as_deref(), None],
        RelType::ApplyInPandasWithState(r) => [r.input.as_deref(), None],
        RelType::AsOfJoin(r) => [r.left.as_deref(), r.right.as_deref()],
        RelType::LateralJoin(r) => [r.left.as_deref(), r.right.as_deref()],
        RelType::FillNa(r) => [r.input.as_deref(), None],
        RelType::DropNa(r) => [r.input.as_deref(), None],
        RelType::Replace(r) => [r.input.as_deref(), None],
        RelType::Summary(r) => [r.input.as_deref(), None],
        RelType::Crosstab(r) => [r.input.as_deref(), None],
        RelType::Describe(r) => [r.input.as_deref(), None],
        RelType::Cov(r) => [r.input.as_deref(), None],
        RelType::Corr(r) => [r.input.as_deref(), None],
        RelType::ApproxQuantile(r) => [r.input.as_deref(), None],
        RelType::FreqItems(r) => [r.input.as_deref(), None],
        RelType::SampleBy(r) => [r.input.as_deref(), None],
        _ => [None, None],
    };
    pair.into_iter().flatten().collect()
}
