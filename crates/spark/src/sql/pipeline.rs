//! Statements of declarative pipelines: `CREATE STREAMING TABLE`, `CREATE MATERIALIZED VIEW`,
//! `CREATE FLOW`, and `USE`.

use datafusion::sql::sqlparser::{keywords::Keyword, parser::Parser, tokenizer::Token};
use millstream_engine::{Result, SparkError};

use super::{
    CreateDataset, CreateFlow, Statement,
    query::Converter,
    statement::{name, near, parse_error, query, word},
    syntax_error,
    table::{identifiers, options, parenthesized},
};
use crate::types;

/// Clauses of tables that datasets of a pipeline do not have.
const NOT_ALLOWED: [&str; 6] = ["LOCATION", "OPTIONS", "CLUSTERED", "STORED", "ROW", "SKEWED"];

/// `CREATE STREAMING TABLE` or `CREATE MATERIALIZED VIEW` was read.
pub(super) fn dataset(
    parser: &mut Parser<'_>,
    converter: &mut Converter<'_>,
    streaming: bool,
) -> Result<Statement> {
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let mut dataset = CreateDataset {
        name: name(parser)?,
        streaming,
        columns: None,
        provider: None,
        partition_by: Vec::new(),
        cluster_by: Vec::new(),
        properties: Vec::new(),
        comment: None,
        if_not_exists,
        query: None,
    };
    if parser.peek_token_ref().token == Token::LParen {
        dataset.columns = Some(types::parse_schema(&parenthesized(parser)?)?);
    }
    loop {
        if word(parser, "USING") {
            dataset.provider = Some(name(parser)?.join("."));
        } else if word(parser, "PARTITIONED") {
            parser.expect_keyword(Keyword::BY).map_err(parse_error)?;
            dataset.partition_by = identifiers(parser)?;
        } else if word(parser, "CLUSTER") {
            parser.expect_keyword(Keyword::BY).map_err(parse_error)?;
            dataset.cluster_by = identifiers(parser)?;
        } else if word(parser, "COMMENT") {
            dataset.comment = Some(parser.parse_literal_string().map_err(parse_error)?);
        } else if word(parser, "TBLPROPERTIES") {
            dataset.properties = options(parser)?;
        } else {
            break;
        }
    }
    match &parser.peek_token_ref().token {
        Token::EOF | Token::SemiColon if streaming => {}
        Token::Word(w) if NOT_ALLOWED.iter().any(|known| w.value.eq_ignore_ascii_case(known)) => {
            let kind = if streaming { "STREAMING TABLE" } else { "MATERIALIZED VIEW" };
            let clause = w.value.to_ascii_uppercase();
            return Err(SparkError::unsupported(format!("CREATE {kind} with {clause}")));
        }
        _ => {
            word(parser, "AS");
            dataset.query = Some(query(parser, converter)?);
        }
    }
    Ok(Statement::CreateDataset(Box::new(dataset)))
}

/// `CREATE FLOW` was read: `name [COMMENT 'text'] AS INSERT INTO target BY NAME query`.
pub(super) fn flow(parser: &mut Parser<'_>, converter: &mut Converter<'_>) -> Result<Statement> {
    let flow = name(parser)?;
    if word(parser, "COMMENT") {
        parser.parse_literal_string().map_err(parse_error)?;
    }
    parser.expect_keyword(Keyword::AS).map_err(parse_error)?;
    if word(parser, "AUTO") {
        return Err(SparkError::unsupported("AUTO CDC flows of a pipeline"));
    }
    if !word(parser, "INSERT") {
        return Err(near(parser));
    }
    let overwrite = word(parser, "OVERWRITE");
    let once = !overwrite && {
        parser.expect_keyword(Keyword::INTO).map_err(parse_error)?;
        word(parser, "ONCE")
    };
    word(parser, "TABLE");
    let target = name(parser)?;
    let partitioned = word(parser, "PARTITION");
    if partitioned {
        parenthesized(parser)?;
    }
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let by_name = word(parser, "BY");
    if by_name && !word(parser, "NAME") {
        return Err(near(parser));
    }
    let columns = !by_name && parser.peek_token_ref().token == Token::LParen;
    if columns {
        parenthesized(parser)?;
    }
    Ok(Statement::CreateFlow(Box::new(CreateFlow {
        name: flow,
        target,
        query: query(parser, converter)?,
        overwrite,
        once,
        partitioned,
        if_not_exists,
        by_name,
        columns,
    })))
}

/// `USE [NAMESPACE | DATABASE | SCHEMA] name`, `USE CATALOG name`.
pub(super) fn use_namespace(parser: &mut Parser<'_>) -> Result<Statement> {
    parser.next_token();
    let catalog = word(parser, "CATALOG");
    if !catalog {
        let _ = word(parser, "NAMESPACE") || word(parser, "DATABASE") || word(parser, "SCHEMA");
    }
    let name = name(parser)?;
    if catalog && name.len() > 1 {
        return Err(syntax_error("'.'"));
    }
    Ok(Statement::Use { name, catalog })
}
