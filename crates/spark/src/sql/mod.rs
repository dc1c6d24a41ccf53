//! SQL text into the Connect messages a DataFrame client would have sent.

pub mod interval;

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

/// Parses one statement; `arguments` fill parameter markers.
///
/// # Errors
/// `PARSE_SYNTAX_ERROR`, or the statement is not supported.
pub fn parse_statement(text: &str, arguments: &proto::Sql) -> Result<Statement> {
    let _ = arguments;
    Err(SparkError::unsupported(format!("the SQL statement {text}")))
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

/// Parses one expression.
///
/// # Errors
/// `PARSE_SYNTAX_ERROR`.
pub fn parse_expression(text: &str) -> Result<proto::Expression> {
    Err(SparkError::unsupported(format!("the SQL expression {text}")))
}
