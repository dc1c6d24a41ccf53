//! SQL text into the Connect messages a DataFrame client would have sent.

pub mod interval;
pub(crate) mod message;

mod catalog;
mod dialect;
mod expression;
mod from;
mod grouping;
mod lexical;
mod literal;
mod pipeline;
mod query;
mod script;
mod statement;
mod table;
mod window;

pub use catalog::CatalogStatement;
pub use script::{ScriptStatement, split_statements};
pub use statement::{parse_expression, parse_statement};

use datafusion::arrow::datatypes::Fields;
use millstream_engine::{Result, SparkError};
use spark_connect_proto as proto;

/// What a piece of SQL text asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// A query.
    Query(proto::Relation),
    /// `CREATE [OR REPLACE] TEMP VIEW name AS query`.
    CreateTempView {
        /// The view's name.
        name: String,
        /// Its definition.
        query: proto::Relation,
        /// `OR REPLACE`.
        replace: bool,
        /// `GLOBAL`.
        global: bool,
    },
    /// `DROP VIEW [IF EXISTS] name` or `DROP TABLE`.
    DropView {
        /// The view's name, in parts.
        name: Vec<String>,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `DROP TABLE`.
        table: bool,
    },
    /// `CREATE TABLE [IF NOT EXISTS] name [(columns)] [USING format] .. [AS query]`.
    CreateTable(Box<CreateTable>),
    /// `CREATE STREAMING TABLE ..`, `CREATE MATERIALIZED VIEW ..`: a dataset of a pipeline.
    CreateDataset(Box<CreateDataset>),
    /// `CREATE FLOW name AS INSERT INTO target BY NAME query`.
    CreateFlow(Box<CreateFlow>),
    /// A statement about tables: `SHOW ..`, `ALTER TABLE ..`, `CACHE TABLE ..`.
    Catalog(Box<CatalogStatement>),
    /// `USE name`, `USE CATALOG name`.
    Use {
        /// The database or catalog, in parts.
        name: Vec<String>,
        /// `CATALOG`.
        catalog: bool,
    },
    /// `INSERT INTO [TABLE] name query`, `INSERT OVERWRITE [TABLE] name query`.
    Insert {
        /// The table's name, in parts.
        name: Vec<String>,
        /// The rows.
        query: proto::Relation,
        /// `OVERWRITE`.
        overwrite: bool,
    },
    /// `SET key = value`.
    SetConf {
        /// Key.
        key: String,
        /// Value.
        value: String,
    },
    /// `SET` (all) or `SET key`.
    GetConf {
        /// The key, `None` for all.
        key: Option<String>,
    },
    /// `RESET` (all) or `RESET key`.
    ResetConf {
        /// The key, `None` for all.
        key: Option<String>,
    },
    /// `SHOW TABLES [LIKE 'pattern']`.
    ShowTables {
        /// The pattern with `*` and `|`.
        pattern: Option<String>,
    },
    /// `DESCRIBE [TABLE] name`.
    DescribeTable {
        /// The table's name, in parts.
        name: Vec<String>,
    },
    /// `DESCRIBE QUERY query`.
    DescribeQuery(proto::Relation),
    /// `EXPLAIN [EXTENDED | FORMATTED | ..] query`.
    Explain {
        /// The query.
        query: proto::Relation,
        /// `EXTENDED`, `FORMATTED`, ... in upper case; empty for plain `EXPLAIN`.
        mode: String,
    },
}

/// A table to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTable {
    /// The table's name, in parts.
    pub name: Vec<String>,
    /// Its columns, where they are given.
    pub columns: Option<Fields>,
    /// `USING format`.
    pub provider: Option<String>,
    /// `PARTITIONED BY (columns)`.
    pub partition_by: Vec<String>,
    /// `OPTIONS (key 'value', ..)`.
    pub options: Vec<(String, String)>,
    /// `LOCATION 'path'`.
    pub location: Option<String>,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `AS query`.
    pub query: Option<proto::Relation>,
}

/// A streaming table or materialized view of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateDataset {
    /// Its name, in parts.
    pub name: Vec<String>,
    /// `STREAMING TABLE`, else `MATERIALIZED VIEW`.
    pub streaming: bool,
    /// Its columns, where they are given.
    pub columns: Option<Fields>,
    /// `USING format`.
    pub provider: Option<String>,
    /// `PARTITIONED BY (columns)`.
    pub partition_by: Vec<String>,
    /// `CLUSTER BY (columns)`.
    pub cluster_by: Vec<String>,
    /// `TBLPROPERTIES (key = value, ..)`.
    pub properties: Vec<(String, String)>,
    /// `COMMENT 'text'`.
    pub comment: Option<String>,
    /// `IF NOT EXISTS`, which changes nothing.
    pub if_not_exists: bool,
    /// `AS query`.
    pub query: Option<proto::Relation>,
}

/// A flow of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateFlow {
    /// Its name, in parts.
    pub name: Vec<String>,
    /// The dataset it writes to, in parts.
    pub target: Vec<String>,
    /// Its rows.
    pub query: proto::Relation,
    /// `INSERT OVERWRITE`.
    pub overwrite: bool,
    /// `INSERT INTO ONCE`.
    pub once: bool,
    /// `PARTITION (..)`.
    pub partitioned: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `BY NAME`.
    pub by_name: bool,
    /// Whether columns of the target are listed.
    pub columns: bool,
}

/// Parses the text of a Connect `SQL` relation, which must be a query.
///
/// # Errors
/// As [`parse_statement`]; a statement that is no query.
pub fn parse_query(query: &proto::Sql) -> Result<proto::Relation> {
    match parse_statement(&query.query, query)? {
        Statement::Query(relation) => Ok(relation),
        _ => Err(SparkError::unsupported("a SQL command inside of a query")),
    }
}

fn syntax_error(near: &str) -> SparkError {
    SparkError::new("PARSE_SYNTAX_ERROR").with("error", near).with("hint", "")
}

#[cfg(test)]
mod tests;
