//! Statements: queries and the few commands a session answers itself.

use datafusion::sql::sqlparser::{
    ast::{self, ObjectType},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token},
};
use millstream_engine::{Result, SparkError, error::Place};
use spark_connect_proto as proto;

use super::{
    Statement, catalog, dialect::SparkDialect, expression::object_name, lexical, pipeline, query::Converter,
    syntax_error, table,
};

/// Nesting beyond which text is refused.
const RECURSION_LIMIT: usize = 300;

/// Parses one statement; the arguments in `parameters` fill parameter markers.
///
/// # Errors
/// `PARSE_SYNTAX_ERROR`, `PARSE_EMPTY_STATEMENT`, or the statement is not supported.
pub fn parse_statement(text: &str, parameters: &proto::Sql) -> Result<Statement> {
    if let Some(command) = configuration(text) {
        return Ok(command);
    }
    let text = lexical::rewrite(text)?;
    whole_statement(&text.text, parameters).map_err(|error| text.located(error))
}

fn whole_statement(text: &str, parameters: &proto::Sql) -> Result<Statement> {
    let mut parser = parser(text)?;
    while parser.consume_token(&Token::SemiColon) {}
    if at_end(&parser) {
        return Err(SparkError::new("PARSE_EMPTY_STATEMENT"));
    }
    let mut converter = Converter::new(parameters);
    let statement = command(&mut parser, &mut converter)?;
    let ended = parser.peek_token_ref().token == Token::SemiColon;
    while parser.consume_token(&Token::SemiColon) {}
    if !at_end(&parser) {
        let error = near(&parser);
        // A second statement is more than Spark's parser expects.
        let hint = format!(": extra input '{}'", parser.peek_token_ref().token);
        return Err(if ended { error.with("hint", hint) } else { error });
    }
    Ok(statement)
}

/// Parses one expression, which may carry an alias: `a + 1 AS b`.
///
/// # Errors
/// `PARSE_SYNTAX_ERROR`.
pub fn parse_expression(text: &str) -> Result<proto::Expression> {
    // A comment is not nothing to Spark: it misses the expression at its end.
    let blank = text.trim().is_empty();
    let text = lexical::rewrite(text)?;
    whole_expression(&text.text, blank).map_err(|error| text.located(error))
}

fn whole_expression(text: &str, blank: bool) -> Result<proto::Expression> {
    let mut parser = parser(text)?;
    if at_end(&parser) {
        return Err(if blank { SparkError::new("PARSE_EMPTY_STATEMENT") } else { near(&parser) });
    }
    let item = parser.parse_select_item().map_err(parse_error)?;
    if !at_end(&parser) {
        return Err(near(&parser));
    }
    let parameters = proto::Sql::default();
    let mut converter = Converter::new(&parameters);
    let expression = converter.select_item(&item)?;
    if converter.subqueries.is_empty() {
        Ok(expression)
    } else {
        Err(SparkError::unsupported("a subquery in the text of an expression"))
    }
}

fn parser(text: &str) -> Result<Parser<'static>> {
    Parser::new(&SparkDialect).with_recursion_limit(RECURSION_LIMIT).try_with_sql(text).map_err(parse_error)
}

fn at_end(parser: &Parser<'_>) -> bool {
    parser.peek_token_ref().token == Token::EOF
}

pub(super) fn near(parser: &Parser<'_>) -> SparkError {
    let next = parser.peek_token_ref();
    match &next.token {
        Token::EOF => syntax_error("end of input"),
        token => syntax_error(&format!("'{token}'")).at(unlocated(next.span.start)),
    }
}

/// A place in the rewritten text.
fn unlocated(location: Location) -> Place {
    let line = usize::try_from(location.line).unwrap_or(1);
    let position = usize::try_from(location.column).unwrap_or(1).saturating_sub(1);
    Place { text: String::new(), line, position }
}

/// Spark's error for one of the parser's, which names the token it stumbled over.
pub(super) fn parse_error(error: ParserError) -> SparkError {
    let text = match &error {
        ParserError::RecursionLimitExceeded => {
            return SparkError::unsupported(format!("SQL nested more than {RECURSION_LIMIT} levels deep"));
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
    };
    let found = text.split_once("found: ").map(|(_, found)| found.split(" at Line:").next().unwrap_or(found));
    let place = text.rsplit_once(" at Line: ").and_then(|(_, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
    });
    let found = match found {
        Some("EOF") | None => syntax_error("end of input"),
        Some(token) => {
            let error = syntax_error(&format!("'{token}'"));
            place.map_or_else(|| error.clone(), |place| error.clone().at(unlocated(place)))
        }
    };
    found.caused_by(error)
}

fn command(parser: &mut Parser<'_>, converter: &mut Converter<'_>) -> Result<Statement> {
    let first = match &parser.peek_token_ref().token {
        Token::LParen => return query(parser, converter).map(Statement::Query),
        Token::Word(word) => word.value.to_ascii_uppercase(),
        _ => return Err(near(parser)),
    };
    match first.as_str() {
        "SELECT" | "WITH" | "VALUES" | "FROM" | "TABLE" => query(parser, converter).map(Statement::Query),
        "CREATE" => create_view(parser, converter),
        "DROP" => drop_view(parser),
        "INSERT" => table::insert(parser, converter),
        "EXPLAIN" => explain(parser, converter),
        "DESCRIBE" | "DESC" => describe(parser, converter),
        "SHOW" => show(parser),
        "USE" => pipeline::use_namespace(parser),
        "ALTER" => catalog::alter(parser),
        "CACHE" | "CLEAR" | "REFRESH" | "UNCACHE" => catalog::cache(parser, converter, &first),
        known if STATEMENTS.contains(&known) => {
            Err(SparkError::unsupported(format!("the SQL statement {known}")))
        }
        _ => Err(near(parser)),
    }
}

/// First words of Spark's other statements: those are known and not supported.
const STATEMENTS: [&str; 19] = [
    "ADD", "ANALYZE", "BEGIN", "CALL", "COMMENT", "DECLARE", "DELETE", "DFS", "EXECUTE", "EXPORT", "GRANT",
    "IMPORT", "LIST", "LOAD", "MERGE", "MSCK", "REPAIR", "TRUNCATE", "UPDATE",
];

pub(super) fn query(parser: &mut Parser<'_>, converter: &mut Converter<'_>) -> Result<proto::Relation> {
    let query = parser.parse_query().map_err(parse_error)?;
    converter.statement(&query)
}

pub(super) fn word(parser: &mut Parser<'_>, word: &str) -> bool {
    let hit = matches!(&parser.peek_token_ref().token, Token::Word(w) if w.value.eq_ignore_ascii_case(word));
    if hit {
        parser.next_token();
    }
    hit
}

pub(super) fn name(parser: &mut Parser<'_>) -> Result<Vec<String>> {
    object_name(&parser.parse_object_name(false).map_err(parse_error)?)
}

/// `CREATE [OR REPLACE] [GLOBAL] TEMP VIEW [IF NOT EXISTS] name [(columns)] AS query`.
fn create_view(parser: &mut Parser<'_>, converter: &mut Converter<'_>) -> Result<Statement> {
    parser.next_token();
    let replace = parser.parse_keywords(&[Keyword::OR, Keyword::REPLACE]);
    if word(parser, "OR") {
        return Err(near(parser));
    }
    let global = word(parser, "GLOBAL");
    let temporary = word(parser, "TEMPORARY") || word(parser, "TEMP");
    if !replace && !global && !temporary && word(parser, "TABLE") {
        return table::create(parser, converter);
    }
    if !replace && !global && !temporary {
        if parser.parse_keywords(&[Keyword::MATERIALIZED, Keyword::VIEW]) {
            return pipeline::dataset(parser, converter, false);
        }
        if word(parser, "STREAMING") {
            return match word(parser, "TABLE") {
                true => pipeline::dataset(parser, converter, true),
                false => Err(near(parser)),
            };
        }
        if word(parser, "FLOW") {
            return pipeline::flow(parser, converter);
        }
    }
    let is_dataset = |w: &str| w.eq_ignore_ascii_case("MATERIALIZED") || w.eq_ignore_ascii_case("STREAMING");
    if matches!(&parser.peek_token_ref().token, Token::Word(w) if is_dataset(&w.value)) {
        return Err(near(parser));
    }
    if !word(parser, "VIEW") {
        let Token::Word(what) = parser.next_token().token else { return Err(near(parser)) };
        return Err(SparkError::unsupported(format!(
            "the SQL statement CREATE {}",
            what.value.to_ascii_uppercase()
        )));
    }
    if !temporary {
        return Err(SparkError::unsupported("the SQL statement CREATE VIEW (without TEMPORARY)"));
    }
    if parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]) {
        return Err(SparkError::unsupported("CREATE TEMPORARY VIEW IF NOT EXISTS"));
    }
    let mut name = name(parser)?;
    if name.len() > 1 {
        let (qualifier, view) = name.split_at(name.len() - 1);
        return Err(SparkError::new("INVALID_TEMP_OBJ_QUALIFIER")
            .with("objectType", "VIEW")
            .with("objectName", crate::plan::quote_parts(view))
            .with("qualifier", crate::plan::quote_parts(qualifier)));
    }
    let mut columns = Vec::new();
    if parser.consume_token(&Token::LParen) {
        loop {
            columns.push(parser.parse_identifier().map_err(parse_error)?.value);
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        parser.expect_token(&Token::RParen).map_err(parse_error)?;
    }
    if word(parser, "USING") {
        return Err(SparkError::unsupported("CREATE TEMPORARY VIEW USING"));
    }
    parser.expect_keyword(Keyword::AS).map_err(parse_error)?;
    let mut definition = query(parser, converter)?;
    if !columns.is_empty() {
        definition = super::query::to_df(definition, columns);
    }
    let name = name.pop().unwrap_or_default();
    Ok(Statement::CreateTempView { name, query: definition, replace, global })
}

fn drop_view(parser: &mut Parser<'_>) -> Result<Statement> {
    match parser.parse_statement().map_err(parse_error)? {
        ast::Statement::Drop {
            object_type: object_type @ (ObjectType::View | ObjectType::Table),
            if_exists,
            names,
            ..
        } => {
            let [name] = names.as_slice() else { return Err(syntax_error("','")) };
            let table = object_type == ObjectType::Table;
            Ok(Statement::DropView { name: object_name(name)?, if_exists, table })
        }
        other => {
            let text = other.to_string();
            let words: Vec<&str> = text.split_whitespace().take(2).collect();
            Err(SparkError::unsupported(format!("the SQL statement {}", words.join(" "))))
        }
    }
}

fn explain(parser: &mut Parser<'_>, converter: &mut Converter<'_>) -> Result<Statement> {
    parser.next_token();
    let mode = ["EXTENDED", "CODEGEN", "COST", "FORMATTED", "LOGICAL"]
        .into_iter()
        .find(|mode| word(parser, mode))
        .unwrap_or_default();
    Ok(Statement::Explain { query: query(parser, converter)?, mode: mode.to_string() })
}

fn describe(parser: &mut Parser<'_>, converter: &mut Converter<'_>) -> Result<Statement> {
    parser.next_token();
    let first = match &parser.peek_token_ref().token {
        Token::Word(word) => word.value.to_ascii_uppercase(),
        _ => return Err(near(parser)),
    };
    match first.as_str() {
        "QUERY" => {
            parser.next_token();
            Ok(Statement::DescribeQuery(query(parser, converter)?))
        }
        "SELECT" | "WITH" | "VALUES" => Ok(Statement::DescribeQuery(query(parser, converter)?)),
        "FUNCTION" | "DATABASE" | "SCHEMA" | "CATALOG" => {
            Err(SparkError::unsupported(format!("the SQL statement DESCRIBE {first}")))
        }
        _ => {
            word(parser, "TABLE");
            if word(parser, "EXTENDED") || word(parser, "FORMATTED") {
                return Err(SparkError::unsupported("the SQL statement DESCRIBE EXTENDED"));
            }
            Ok(Statement::DescribeTable { name: name(parser)? })
        }
    }
}

fn show(parser: &mut Parser<'_>) -> Result<Statement> {
    parser.next_token();
    let what = match parser.next_token().token {
        Token::Word(word) => word.value.to_ascii_uppercase(),
        _ => return Err(near(parser)),
    };
    if !matches!(what.as_str(), "TABLES" | "VIEWS") {
        return catalog::show(parser, &what);
    }
    word(parser, "LIKE");
    let pattern = match &parser.peek_token_ref().token {
        Token::SingleQuotedString(pattern) => Some(pattern.clone()),
        Token::EOF | Token::SemiColon => None,
        _ => return Err(SparkError::unsupported(format!("the SQL statement SHOW {what} IN"))),
    };
    if pattern.is_some() {
        parser.next_token();
    }
    Ok(Statement::ShowTables { pattern })
}

/// `SET`, `SET key`, `SET key = value`, `RESET`, `RESET key`: their values are raw text.
fn configuration(text: &str) -> Option<Statement> {
    let text = text.trim().trim_end_matches(';').trim_end();
    let (first, rest) = match text.split_once(char::is_whitespace) {
        Some((first, rest)) => (first, rest.trim()),
        None => (text, ""),
    };
    let unquoted = |key: &str| key.trim().trim_matches('`').to_string();
    if first.eq_ignore_ascii_case("reset") {
        return Some(Statement::ResetConf { key: (!rest.is_empty()).then(|| unquoted(rest)) });
    }
    if !first.eq_ignore_ascii_case("set") {
        return None;
    }
    let is_zone = rest.get(..9).is_some_and(|words| words.eq_ignore_ascii_case("time zone"));
    if is_zone {
        let zone = rest.get(9..).unwrap_or_default().trim();
        let value = if zone.eq_ignore_ascii_case("local") { "" } else { zone.trim_matches(['\'', '"']) };
        return Some(Statement::SetConf {
            key: "spark.sql.session.timeZone".to_string(),
            value: value.to_string(),
        });
    }
    Some(match rest.split_once('=') {
        Some((key, value)) => Statement::SetConf { key: unquoted(key), value: value.trim().to_string() },
        None => Statement::GetConf { key: (!rest.is_empty() && rest != "-v").then(|| unquoted(rest)) },
    })
}
