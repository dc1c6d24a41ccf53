//! Statements about tables, not about rows: `SHOW`, `ALTER TABLE`, `CACHE TABLE`.

use datafusion::{
    arrow::datatypes::Fields,
    sql::sqlparser::{keywords::Keyword, parser::Parser, tokenizer::Token},
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto as proto;

use super::{
    Statement,
    query::Converter,
    statement::{name, near, parse_error, query, word},
    table::{options, parenthesized, text},
};
use crate::types;

/// A statement about the catalog.
#[derive(Debug, Clone, PartialEq)]
pub enum CatalogStatement {
    /// `SHOW DATABASES [LIKE 'pattern']`.
    ShowDatabases {
        /// The pattern with `*` and `|`.
        pattern: Option<String>,
    },
    /// `SHOW CATALOGS`.
    ShowCatalogs,
    /// `SHOW CURRENT NAMESPACE`.
    ShowCurrentNamespace,
    /// `SHOW COLUMNS IN table`.
    ShowColumns {
        /// The table, in parts.
        table: Vec<String>,
    },
    /// `SHOW TBLPROPERTIES table [('key')]`.
    ShowProperties {
        /// The table, in parts.
        table: Vec<String>,
        /// The key asked for.
        key: Option<String>,
    },
    /// `CACHE [LAZY] TABLE name [AS query]`.
    CacheTable {
        /// The table or view, in parts.
        table: Vec<String>,
        /// `LAZY`.
        lazy: bool,
        /// The query of a view to be made.
        query: Option<Box<proto::Relation>>,
    },
    /// `UNCACHE TABLE [IF EXISTS] name`.
    UncacheTable {
        /// The table or view, in parts.
        table: Vec<String>,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `CLEAR CACHE`.
    ClearCache,
    /// `REFRESH TABLE name`.
    RefreshTable {
        /// The table or view, in parts.
        table: Vec<String>,
    },
    /// `ALTER TABLE name ADD COLUMNS (..)`.
    AddColumns {
        /// The table, in parts.
        table: Vec<String>,
        /// New columns, which come last.
        columns: Fields,
    },
    /// `ALTER TABLE name SET TBLPROPERTIES (..)`.
    SetProperties {
        /// The table, in parts.
        table: Vec<String>,
        /// Keys and values.
        properties: Vec<(String, String)>,
    },
    /// `ALTER TABLE name UNSET TBLPROPERTIES [IF EXISTS] (..)`.
    UnsetProperties {
        /// The table, in parts.
        table: Vec<String>,
        /// Keys.
        keys: Vec<String>,
    },
}

/// `SHOW` and the word after it were read; `TABLES` and `VIEWS` are not handled here.
pub(super) fn show(parser: &mut Parser<'_>, what: &str) -> Result<Statement> {
    let statement = match what {
        "DATABASES" | "SCHEMAS" | "NAMESPACES" => {
            word(parser, "LIKE");
            let pattern = match &parser.peek_token_ref().token {
                Token::EOF | Token::SemiColon => None,
                _ => Some(parser.parse_literal_string().map_err(parse_error)?),
            };
            CatalogStatement::ShowDatabases { pattern }
        }
        "CATALOGS" => CatalogStatement::ShowCatalogs,
        "CURRENT" if word(parser, "NAMESPACE") || word(parser, "DATABASE") || word(parser, "SCHEMA") => {
            CatalogStatement::ShowCurrentNamespace
        }
        "COLUMNS" => {
            in_or_from(parser)?;
            let mut table = name(parser)?;
            if word(parser, "IN") || word(parser, "FROM") {
                let mut database = name(parser)?;
                database.extend(table);
                table = database;
            }
            CatalogStatement::ShowColumns { table }
        }
        "TBLPROPERTIES" => {
            let table = name(parser)?;
            let key = match parser.consume_token(&Token::LParen) {
                true => Some(property_key(parser)?),
                false => None,
            };
            if key.is_some() {
                parser.expect_token(&Token::RParen).map_err(parse_error)?;
            }
            CatalogStatement::ShowProperties { table, key }
        }
        _ => return Err(SparkError::unsupported(format!("the SQL statement SHOW {what}"))),
    };
    Ok(Statement::Catalog(Box::new(statement)))
}

fn in_or_from(parser: &mut Parser<'_>) -> Result<()> {
    if word(parser, "IN") || word(parser, "FROM") { Ok(()) } else { Err(near(parser)) }
}

/// `CACHE TABLE`, `UNCACHE TABLE`, `CLEAR CACHE`, `REFRESH TABLE`: `first` is the first word.
pub(super) fn cache(
    parser: &mut Parser<'_>,
    converter: &mut Converter<'_>,
    first: &str,
) -> Result<Statement> {
    parser.next_token();
    let lazy = first == "CACHE" && word(parser, "LAZY");
    if first == "CLEAR" {
        return match word(parser, "CACHE") {
            true => Ok(Statement::Catalog(Box::new(CatalogStatement::ClearCache))),
            false => Err(near(parser)),
        };
    }
    if !word(parser, "TABLE") {
        return match first {
            "REFRESH" => {
                Err(SparkError::unsupported("the SQL statement REFRESH (of other things than tables)"))
            }
            _ => Err(near(parser)),
        };
    }
    let if_exists = first == "UNCACHE" && parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let table = name(parser)?;
    let statement = match first {
        "UNCACHE" => CatalogStatement::UncacheTable { table, if_exists },
        "REFRESH" => CatalogStatement::RefreshTable { table },
        _ => {
            if word(parser, "OPTIONS") {
                return Err(SparkError::unsupported("CACHE TABLE with OPTIONS"));
            }
            let ends = matches!(parser.peek_token_ref().token, Token::EOF | Token::SemiColon);
            word(parser, "AS");
            let query = if ends { None } else { Some(Box::new(query(parser, converter)?)) };
            CatalogStatement::CacheTable { table, lazy, query }
        }
    };
    Ok(Statement::Catalog(Box::new(statement)))
}

/// `ALTER TABLE ..`.
pub(super) fn alter(parser: &mut Parser<'_>) -> Result<Statement> {
    parser.next_token();
    if !word(parser, "TABLE") {
        let what = parser.peek_token_ref().token.to_string().to_ascii_uppercase();
        return Err(SparkError::unsupported(format!("the SQL statement ALTER {what}")));
    }
    let table = name(parser)?;
    let statement = if word(parser, "ADD") && (word(parser, "COLUMNS") || word(parser, "COLUMN")) {
        let text = match parser.peek_token_ref().token {
            Token::LParen => parenthesized(parser)?,
            _ => rest(parser),
        };
        CatalogStatement::AddColumns { table, columns: types::parse_schema(&text)? }
    } else if word(parser, "SET") && word(parser, "TBLPROPERTIES") {
        CatalogStatement::SetProperties { table, properties: options(parser)? }
    } else if word(parser, "UNSET") && word(parser, "TBLPROPERTIES") {
        let _if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        parser.expect_token(&Token::LParen).map_err(parse_error)?;
        let mut keys = vec![property_key(parser)?];
        while parser.consume_token(&Token::Comma) {
            keys.push(property_key(parser)?);
        }
        parser.expect_token(&Token::RParen).map_err(parse_error)?;
        CatalogStatement::UnsetProperties { table, keys }
    } else {
        let clause = parser.peek_token_ref().token.to_string().to_ascii_uppercase();
        return Err(SparkError::unsupported(format!("this change of a table (ALTER TABLE .. {clause})")));
    };
    Ok(Statement::Catalog(Box::new(statement)))
}

/// What is left of the statement, as text.
fn rest(parser: &mut Parser<'_>) -> String {
    let mut words = Vec::new();
    while !matches!(parser.peek_token_ref().token, Token::EOF | Token::SemiColon) {
        words.push(parser.next_token().token.to_string());
    }
    words.join(" ")
}

fn property_key(parser: &mut Parser<'_>) -> Result<String> {
    let mut key = text(parser)?;
    while parser.consume_token(&Token::Period) {
        key = format!("{key}.{}", text(parser)?);
    }
    Ok(key)
}
