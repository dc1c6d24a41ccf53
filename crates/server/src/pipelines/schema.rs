//! Schemas of the tables of a graph: merged from the flows that write to them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use millstream_engine::{Result, SparkError};
use millstream_spark::types::tree_string;

use super::identifier::Identifier;

/// `left` with the columns of `right` that it has not, Spark's `StructType.merge`.
///
/// `None` when a column has two types that do not go together.
pub fn merge(left: &Fields, right: &Fields, case_sensitive: bool) -> Option<Fields> {
    let same = |a: &str, b: &str| if case_sensitive { a == b } else { a.to_lowercase() == b.to_lowercase() };
    let mut merged: Vec<FieldRef> = Vec::with_capacity(left.len());
    for field in left {
        match right.iter().find(|other| same(field.name(), other.name())) {
            None => merged.push(Arc::clone(field)),
            Some(other) => {
                let data_type = merge_types(field.data_type(), other.data_type(), case_sensitive)?;
                let nullable = field.is_nullable() || other.is_nullable();
                merged
                    .push(Arc::new(field.as_ref().clone().with_data_type(data_type).with_nullable(nullable)));
            }
        }
    }
    let new = right.iter().filter(|field| !left.iter().any(|other| same(field.name(), other.name())));
    merged.extend(new.cloned());
    Some(merged.into())
}

fn merge_types(left: &DataType, right: &DataType, case_sensitive: bool) -> Option<DataType> {
    match (left, right) {
        (DataType::Struct(l), DataType::Struct(r)) => merge(l, r, case_sensitive).map(DataType::Struct),
        (DataType::List(l), DataType::List(r)) => {
            let element = merge_types(l.data_type(), r.data_type(), case_sensitive)?;
            let nullable = l.is_nullable() || r.is_nullable();
            let field = l.as_ref().clone().with_data_type(element).with_nullable(nullable);
            Some(DataType::List(Arc::new(field)))
        }
        (DataType::Decimal128(p, s), DataType::Decimal128(q, t)) if s == t => {
            Some(DataType::Decimal128(*p.max(q), *s))
        }
        _ => (left == right).then(|| left.clone()),
    }
}

/// The schema of a table from the schemas of its flows, in the order of the flows' names.
///
/// # Errors
/// `UNABLE_TO_INFER_PIPELINE_TABLE_SCHEMA`.
pub fn infer<'a>(
    table: &Identifier,
    flows: impl IntoIterator<Item = (&'a Identifier, &'a Fields)>,
    case_sensitive: bool,
) -> Result<Fields> {
    let mut flows: Vec<_> = flows.into_iter().collect();
    flows.sort_by_key(|(name, _)| *name);
    let mut so_far = Fields::empty();
    for (_, schema) in flows {
        so_far = merge(&so_far, schema, case_sensitive).ok_or_else(|| {
            SparkError::new("UNABLE_TO_INFER_PIPELINE_TABLE_SCHEMA")
                .with("tableName", table.unquoted())
                .with("inferredDataSchema", tree(&so_far))
                .with("incompatibleDataSchema", tree(schema))
        })?;
    }
    Ok(so_far)
}

/// Checks that declared columns are those of the flows.
///
/// # Errors
/// `USER_SPECIFIED_AND_INFERRED_SCHEMA_NOT_COMPATIBLE`.
pub fn check_declared(
    table: &Identifier,
    declared: &Fields,
    inferred: &Fields,
    streaming: bool,
    case_sensitive: bool,
) -> Result<()> {
    let merged = merge(declared, inferred, case_sensitive);
    if merged.as_ref() == Some(declared) {
        return Ok(());
    }
    let hint = if streaming {
        "\"\nStreaming tables are stateful and remember data that has already been\nprocessed. If you want to \
         recompute the table from scratch, please full refresh\nthe table.\n              "
    } else {
        ""
    };
    Err(SparkError::new("USER_SPECIFIED_AND_INFERRED_SCHEMA_NOT_COMPATIBLE")
        .with("tableName", table.unquoted())
        .with("streamingTableHint", hint)
        .with("specifiedSchema", tree(declared))
        .with("inferredDataSchema", tree(merged.as_ref().unwrap_or(inferred))))
}

/// The columns as a table keeps them: all may be null.
pub fn as_nullable(fields: &Fields) -> Fields {
    fields.iter().map(|field| Arc::new(nullable(field))).collect()
}

fn nullable(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(as_nullable(fields)),
        DataType::List(element) => DataType::List(Arc::new(nullable(element))),
        other => other.clone(),
    };
    field.clone().with_data_type(data_type).with_nullable(true)
}

fn tree(fields: &Fields) -> String {
    tree_string(fields.iter().map(AsRef::as_ref), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(columns: &[(&str, DataType)]) -> Fields {
        columns.iter().map(|(name, ty)| Field::new(*name, ty.clone(), true)).collect()
    }

    #[test]
    fn new_columns_come_last_and_types_must_agree() {
        let (int, text) = (DataType::Int32, DataType::Utf8);
        let left = fields(&[("a", int.clone()), ("b", text.clone())]);
        let right = fields(&[("c", int.clone()), ("B", text.clone())]);
        let names = |f: Fields| f.iter().map(|f| f.name().clone()).collect::<Vec<_>>();
        assert_eq!(names(merge(&left, &right, false).unwrap()), ["a", "b", "c"]);
        assert_eq!(names(merge(&left, &right, true).unwrap()), ["a", "b", "c", "B"]);
        assert!(merge(&left, &fields(&[("a", text)]), false).is_none());
        let nested = |names: &[&str]| {
            let inner: Vec<_> = names.iter().map(|n| (*n, int.clone())).collect();
            fields(&[("s", DataType::Struct(fields(&inner)))])
        };
        assert_eq!(merge(&nested(&["x"]), &nested(&["y", "x"]), false).unwrap(), nested(&["x", "y"]));
    }

    #[test]
    fn declared_columns_must_cover_the_flows() {
        let table = Identifier::parse("t").unwrap();
        let declared = fields(&[("a", DataType::Int32), ("b", DataType::Int32)]);
        check_declared(&table, &declared, &fields(&[("a", DataType::Int32)]), false, false).unwrap();
        let more = fields(&[("a", DataType::Int32), ("c", DataType::Int32)]);
        let error = check_declared(&table, &declared, &more, true, false).unwrap_err();
        assert_eq!(error.class(), "USER_SPECIFIED_AND_INFERRED_SCHEMA_NOT_COMPATIBLE");
        assert!(error.params()["inferredDataSchema"].contains("c: integer"), "{error}");
    }
}
