//! Columns of a relation under translation, and how names find them.

use std::{collections::HashSet, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef},
    common::Column,
    functions::core::expr_fn::get_field,
    logical_expr::{Expr, when},
};
use millstream_engine::{Result, SparkError};

use crate::{
    expression::TypedExpr,
    functions::levenshtein::distance,
    types::{quote_identifier, sql_name},
};

/// A visible column of a relation.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    /// Name inside the plan, unique in it.
    pub id: String,
    /// The id of the column this one is a plain copy of, else its own: selecting a column
    /// twice does not make its name ambiguous.
    pub identity: String,
    /// The user's name, type, nullability and metadata.
    pub field: FieldRef,
    /// Names that may stand before the column's: the alias, or catalog parts and table.
    pub qualifier: Vec<String>,
}

impl Attribute {
    pub fn new(id: String, field: FieldRef) -> Self {
        Self { identity: id.clone(), id, field, qualifier: Vec::new() }
    }

    pub fn name(&self) -> &str {
        self.field.name()
    }

    pub fn column(&self) -> Column {
        Column::new_unqualified(&self.id)
    }

    pub fn expr(&self) -> Expr {
        Expr::Column(self.column())
    }

    /// The column as an expression a user wrote by name.
    pub fn typed(&self) -> TypedExpr {
        TypedExpr::attribute(self.expr(), Arc::clone(&self.field), self.name())
    }

    pub fn with_nullable(&self, nullable: bool) -> Self {
        let field = Arc::new(self.field.as_ref().clone().with_nullable(nullable));
        Self { field, ..self.clone() }
    }

    fn qualified_name(&self) -> Vec<String> {
        self.qualifier.iter().cloned().chain([self.name().to_string()]).collect()
    }
}

/// Whether two names are the same to the session.
pub(super) fn same_name(a: &str, b: &str, case_sensitive: bool) -> bool {
    if case_sensitive { a == b } else { a == b || a.to_lowercase() == b.to_lowercase() }
}

/// The column the first of `parts` mean, and how many parts that takes; the rest are
/// struct fields. `None` where no column matches.
///
/// # Errors
/// `AMBIGUOUS_REFERENCE`.
pub(super) fn find<'a>(
    columns: &'a [Attribute],
    parts: &[String],
    case_sensitive: bool,
) -> Result<Option<(&'a Attribute, usize)>> {
    let same = |a: &str, b: &str| same_name(a, b, case_sensitive);
    for qualifiers in (0..parts.len()).rev() {
        let (given, Some(name)) = (&parts[..qualifiers], parts.get(qualifiers)) else { continue };
        let mut seen = HashSet::new();
        let matches: Vec<&Attribute> = columns
            .iter()
            .filter(|a| {
                same(a.name(), name)
                    && a.qualifier.len() >= qualifiers
                    && a.qualifier[a.qualifier.len() - qualifiers..]
                        .iter()
                        .zip(given)
                        .all(|(q, g)| same(q, g))
            })
            .filter(|a| seen.insert(a.identity.as_str()))
            .collect();
        match matches.as_slice() {
            [] => {}
            [one] => return Ok(Some((one, qualifiers + 1))),
            several => {
                let mut names: Vec<String> =
                    several.iter().map(|a| quote_parts(&a.qualified_name())).collect();
                names.sort();
                return Err(SparkError::new("AMBIGUOUS_REFERENCE")
                    .with("name", quote_parts(parts))
                    .with("referenceNames", format!("[{}]", names.join(", "))));
            }
        }
    }
    Ok(None)
}

/// Field `name` of the struct `base`.
pub(super) fn struct_field(base: &TypedExpr, name: &str, case_sensitive: bool) -> Result<TypedExpr> {
    let DataType::Struct(fields) = base.data_type() else {
        return Err(SparkError::new("INVALID_EXTRACT_BASE_FIELD_TYPE")
            .with("base", format!("\"{}\"", base.sql))
            .with("other", format!("\"{}\"", sql_name(base.data_type()))));
    };
    let matches: Vec<&FieldRef> =
        fields.iter().filter(|f| same_name(f.name(), name, case_sensitive)).collect();
    match matches.as_slice() {
        [field] => {
            let nullable = base.nullable() || field.is_nullable();
            let mut expr = get_field(base.expr.clone(), field.name().as_str());
            if base.nullable() {
                // DataFusion reads the field's slot even where the struct is null.
                expr = when(base.expr.clone().is_not_null(), expr).end()?;
            }
            let result =
                Field::new("", field.data_type().clone(), nullable).with_metadata(field.metadata().clone());
            let mut typed = TypedExpr::attribute(expr, Arc::new(result), name);
            typed.sql = format!("{}.{name}", base.sql);
            Ok(typed)
        }
        [] => {
            let names: Vec<String> = fields.iter().map(|f| quote_identifier(f.name())).collect();
            Err(SparkError::new("FIELD_NOT_FOUND")
                .with("fieldName", quote_identifier(name))
                .with("fields", names.join(", ")))
        }
        several => Err(SparkError::new("AMBIGUOUS_REFERENCE_TO_FIELDS")
            .with("field", quote_identifier(name))
            .with("count", several.len().to_string())),
    }
}

/// The error for a name no column has, with the five most similar names.
pub(super) fn unresolved(columns: &[Attribute], parts: &[String]) -> SparkError {
    let proposal = suggestions(columns, parts);
    let class = if proposal.is_empty() { "WITHOUT_SUGGESTION" } else { "WITH_SUGGESTION" };
    let error = SparkError::new(&format!("UNRESOLVED_COLUMN.{class}")).with("objectName", quote_parts(parts));
    if proposal.is_empty() { error } else { error.with("proposal", proposal) }
}

/// The error for a name that has to be one of the columns' and is not.
pub(super) fn not_among(columns: &[Attribute], name: &str) -> SparkError {
    let names: Vec<&str> = columns.iter().map(Attribute::name).collect();
    SparkError::new("UNRESOLVED_COLUMN_AMONG_FIELD_NAMES")
        .with("colName", name)
        .with("fieldNames", names.join(", "))
}

/// Up to five names, most similar first; qualifiers that all share are left out.
fn suggestions(columns: &[Attribute], parts: &[String]) -> String {
    let candidates: Vec<Vec<String>> = columns.iter().map(Attribute::qualified_name).collect();
    let prefixes = |keep: usize| {
        candidates.iter().map(|c| &c[..c.len().saturating_sub(keep)]).collect::<HashSet<_>>().len()
    };
    let keep = if parts.len() == 1 && prefixes(1) == 1 {
        1
    } else if parts.len() <= 2 && prefixes(2) == 1 {
        2
    } else {
        usize::MAX
    };
    let base = parts.iter().map(|p| quote_if_odd(p)).collect::<Vec<_>>().join(".");
    let mut names: Vec<String> =
        candidates.iter().map(|c| quote_parts(&c[c.len().saturating_sub(keep)..])).collect();
    names.sort_by_key(|name| distance(name, &base));
    names.truncate(5);
    names.join(", ")
}

fn quote_if_odd(part: &str) -> String {
    let plain = !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { part.to_string() } else { quote_identifier(part) }
}

/// Parts in backticks, joined by dots.
pub fn quote_parts(parts: &[String]) -> String {
    parts.iter().map(|p| quote_identifier(p)).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Vec<Attribute> {
        names
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let mut parts: Vec<String> = name.split('.').map(String::from).collect();
                let name = parts.pop().unwrap();
                let field = Arc::new(Field::new(name, DataType::Int32, true));
                Attribute { qualifier: parts, ..Attribute::new(format!("#{i}"), field) }
            })
            .collect()
    }

    fn found(columns: &[Attribute], name: &str) -> String {
        let parts: Vec<String> = name.split('.').map(String::from).collect();
        match find(columns, &parts, false) {
            Ok(Some((a, used))) => format!("{}+{}", a.id, parts.len() - used),
            Ok(None) => unresolved(columns, &parts).params().get("proposal").cloned().unwrap_or_default(),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn names_find_columns_with_or_without_qualifiers() {
        let c = columns(&["a.id", "b.id", "b.v", "c"]);
        assert_eq!(found(&c, "a.ID"), "#0+0");
        assert_eq!(found(&c, "v"), "#2+0");
        assert_eq!(found(&c, "c.x.y"), "#3+2");
        assert_eq!(found(&c, "b.v.w"), "#2+1");
        assert_eq!(
            found(&c, "id"),
            "[AMBIGUOUS_REFERENCE] Reference `id` is ambiguous, could be: [`a`.`id`, `b`.`id`]. SQLSTATE: 42704"
        );
        assert_eq!(found(&c, "vv"), "`c`, `b`.`v`, `a`.`id`, `b`.`id`");
    }

    #[test]
    fn suggestions_drop_a_qualifier_that_all_share() {
        let c = columns(&["t.apple", "t.bread", "t.cherry", "t.date", "t.elder", "t.fig"]);
        assert_eq!(found(&c, "brea"), "`bread`, `date`, `fig`, `apple`, `elder`");
    }
}
