//! `CREATE TABLE` and `INSERT`.

use datafusion::sql::sqlparser::{keywords::Keyword, parser::Parser, tokenizer::Token};
use millstream_engine::{Result, SparkError};

use super::{
    CreateTable, Statement,
    query::Converter,
    statement::{name, near, parse_error, query, word},
};
use crate::types;

/// `CREATE TABLE` was read.
pub(super) fn create(parser: &mut Parser<'_>, converter: &mut Converter<'_>) -> Result<Statement> {
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let mut table = CreateTable {
        name: name(parser)?,
        columns: None,
        provider: None,
        partition_by: Vec::new(),
        options: Vec::new(),
        location: None,
        if_not_exists,
        query: None,
    };
    if parser.peek_token_ref().token == Token::LParen {
        table.columns = Some(types::parse_schema(&parenthesized(parser)?)?);
    }
    loop {
        if word(parser, "USING") {
            let provider = name(parser)?;
            table.provider = Some(provider.join("."));
        } else if word(parser, "PARTITIONED") {
            parser.expect_keyword(Keyword::BY).map_err(parse_error)?;
            table.partition_by = identifiers(parser)?;
        } else if word(parser, "LOCATION") {
            table.location = Some(parser.parse_literal_string().map_err(parse_error)?);
        } else if word(parser, "OPTIONS") {
            table.options = options(parser)?;
        } else if word(parser, "COMMENT") {
            parser.parse_literal_string().map_err(parse_error)?;
        } else {
            break;
        }
    }
    match &parser.peek_token_ref().token {
        Token::EOF | Token::SemiColon => {}
        Token::Word(w)
            if ["TBLPROPERTIES", "CLUSTERED", "CLUSTER", "STORED", "ROW", "DEFAULT"]
                .iter()
                .any(|known| w.value.eq_ignore_ascii_case(known)) =>
        {
            let clause = w.value.to_ascii_uppercase();
            return Err(SparkError::unsupported(format!("CREATE TABLE with {clause}")));
        }
        _ => {
            word(parser, "AS");
            table.query = Some(query(parser, converter)?);
        }
    }
    if table.query.is_none() && table.columns.is_none() {
        return Err(SparkError::unsupported("CREATE TABLE without columns"));
    }
    if table.query.is_some() && table.columns.is_some() {
        return Err(SparkError::unsupported("CREATE TABLE with columns and a query"));
    }
    Ok(Statement::CreateTable(Box::new(table)))
}

/// `(name, ..)`.
pub(super) fn identifiers(parser: &mut Parser<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    parser.expect_token(&Token::LParen).map_err(parse_error)?;
    loop {
        names.push(parser.parse_identifier().map_err(parse_error)?.value);
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    parser.expect_token(&Token::RParen).map_err(parse_error)?;
    Ok(names)
}

/// `(key 'value', key = value, ..)`.
pub(super) fn options(parser: &mut Parser<'_>) -> Result<Vec<(String, String)>> {
    let mut options = Vec::new();
    parser.expect_token(&Token::LParen).map_err(parse_error)?;
    loop {
        let mut key = text(parser)?;
        while parser.consume_token(&Token::Period) {
            key = format!("{key}.{}", text(parser)?);
        }
        let _equals = parser.consume_token(&Token::Eq);
        options.push((key, text(parser)?));
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    parser.expect_token(&Token::RParen).map_err(parse_error)?;
    Ok(options)
}

pub(super) fn text(parser: &mut Parser<'_>) -> Result<String> {
    match parser.next_token().token {
        Token::Word(word) => Ok(word.value),
        Token::SingleQuotedString(text) => Ok(text),
        Token::Number(text, _) => Ok(text),
        _ => Err(near(parser)),
    }
}

/// The text between a parenthesis and the one that closes it.
pub(super) fn parenthesized(parser: &mut Parser<'_>) -> Result<String> {
    parser.expect_token(&Token::LParen).map_err(parse_error)?;
    let (mut depth, mut words) = (0, Vec::new());
    loop {
        let token = parser.next_token().token;
        match token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return Ok(words.join(" ")),
            Token::RParen => depth -= 1,
            Token::EOF => return Err(near(parser)),
            _ => {}
        }
        words.push(token.to_string());
    }
}

/// `INSERT (INTO | OVERWRITE) [TABLE] name query`.
pub(super) fn insert(parser: &mut Parser<'_>, converter: &mut Converter<'_>) -> Result<Statement> {
    parser.next_token();
    let overwrite = word(parser, "OVERWRITE");
    if !overwrite {
        parser.expect_keyword(Keyword::INTO).map_err(parse_error)?;
    }
    word(parser, "TABLE");
    let name = name(parser)?;
    match &parser.peek_token_ref().token {
        Token::Word(w)
            if ["PARTITION", "REPLACE", "BY", "IF"].iter().any(|k| w.value.eq_ignore_ascii_case(k)) =>
        {
            let clause = w.value.to_ascii_uppercase();
            return Err(SparkError::unsupported(format!("INSERT with {clause}")));
        }
        Token::LParen => return Err(SparkError::unsupported("INSERT with a list of columns")),
        _ => {}
    }
    Ok(Statement::Insert { name, query: query(parser, converter)?, overwrite })
}
