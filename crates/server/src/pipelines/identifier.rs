//! Names of datasets and flows: Spark's `TableIdentifier` and how a pipeline qualifies it.

use std::fmt;

use millstream_engine::{Result, SparkError};
use millstream_spark::{plan::parse_identifier, types::quote_identifier};
use spark_connect_proto::ResolvedIdentifier;

/// A name in one to three parts. Names are compared as written, as Spark's are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    /// The catalog, if it is named.
    pub catalog: Option<String>,
    /// The database, if it is named.
    pub database: Option<String>,
    /// The name itself.
    pub table: String,
}

/// What unqualified names are completed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryContext {
    /// The current catalog.
    pub catalog: Option<String>,
    /// The current database.
    pub database: Option<String>,
}

impl Identifier {
    /// A name from its parts.
    ///
    /// # Errors
    /// More than three parts.
    pub fn of(parts: &[String]) -> Result<Self> {
        let new = |catalog: Option<&String>, database: Option<&String>, table: &String| Self {
            catalog: catalog.cloned(),
            database: database.cloned(),
            table: table.clone(),
        };
        match parts {
            [table] => Ok(new(None, None, table)),
            [database, table] => Ok(new(None, Some(database), table)),
            [catalog, database, table] => Ok(new(Some(catalog), Some(database), table)),
            _ => Err(SparkError::unsupported(format!("the table identifier {}", parts.join(".")))),
        }
    }

    /// A name from text: `a.b`, `` `a b`.c ``.
    ///
    /// # Errors
    /// Text that is no identifier.
    pub fn parse(text: &str) -> Result<Self> {
        Self::of(&parse_identifier(text)?)
    }

    /// Whether neither catalog nor database is named.
    pub fn is_single_part(&self) -> bool {
        self.catalog.is_none() && self.database.is_none()
    }

    /// The name with what `context` adds.
    pub fn qualified(&self, context: &QueryContext) -> Self {
        Self {
            catalog: self.catalog.clone().or_else(|| context.catalog.clone()),
            database: self.database.clone().or_else(|| context.database.clone()),
            table: self.table.clone(),
        }
    }

    /// Its parts, catalog first.
    pub fn parts(&self) -> Vec<String> {
        self.catalog.iter().chain(&self.database).chain([&self.table]).cloned().collect()
    }

    /// `a.b.c`: how events and most messages show it.
    pub fn unquoted(&self) -> String {
        self.parts().join(".")
    }

    /// As the client gets it.
    pub fn to_proto(&self) -> ResolvedIdentifier {
        ResolvedIdentifier {
            catalog_name: self.catalog.clone().unwrap_or_default(),
            namespace: self.database.iter().cloned().collect(),
            table_name: self.table.clone(),
        }
    }
}

impl fmt::Display for Identifier {
    /// `` `a`.`b`.`c` ``: Spark's `quotedString`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&millstream_spark::plan::quote_parts(&self.parts()))
    }
}

/// A name as SQL text.
pub fn sql_text(parts: &[String]) -> String {
    parts.iter().map(|part| quote_identifier(part).to_string()).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_and_shown() {
        let context = QueryContext {
            catalog: Some("spark_catalog".to_string()),
            database: Some("default".to_string()),
        };
        let one = Identifier::parse("`a b`").unwrap();
        assert!(one.is_single_part());
        let full = one.qualified(&context);
        assert_eq!(full.unquoted(), "spark_catalog.default.a b");
        assert_eq!(full.to_string(), "`spark_catalog`.`default`.`a b`");
        assert_eq!(Identifier::parse("x.y").unwrap().qualified(&context).unquoted(), "spark_catalog.x.y");
        assert!(Identifier::parse("a.b.c.d").is_err());
    }
}
