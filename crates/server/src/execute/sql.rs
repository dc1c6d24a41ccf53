//! `spark.sql(..)`: a query is answered with its relation, to be run when it is used; a
//! command runs at once and is answered with its result as a local relation.

use std::{path::Path, sync::Arc};

use datafusion::arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use millstream_engine::{Result, SparkError, batch::SaveMode};
use millstream_spark::{
    plan::quote_parts,
    sql::{CreateTable, Statement, parse_statement},
    types,
};
use spark_connect_proto::{
    LocalRelation, Relation, Sql, SqlCommand, WithRelations, execute_plan_response::ResponseType,
    execute_plan_response::SqlCommandResult, relation::RelType,
};

use super::{
    arrow_batches::ipc_stream,
    cache, catalog_statement, explain, relation,
    resolve::GLOBAL_TEMP,
    table_write,
    tables::{CATALOG, DATABASE, NewTable, Tables, already_exists},
    view,
};
use crate::{operation::Responses, pipelines, server::Server, session::Session};

/// Runs a SQL command.
///
/// # Errors
/// Spark's errors of parsing, analysis and execution.
pub async fn sql_command(
    server: &Server,
    session: &Session,
    responses: &Responses,
    command: &SqlCommand,
) -> Result<()> {
    let input = input(command);
    let (sql, bound) = parts(&input)?;
    let defining = pipelines::in_definition(responses.operation().request.user_context.as_ref());
    let answer = match parse_statement(&sql.query, sql)? {
        // What a pipeline's query reads may not exist yet.
        Statement::Query(_) if defining => input.clone(),
        statement if defining && !shows(&statement) => {
            return Err(SparkError::new("UNSUPPORTED_PIPELINE_SPARK_SQL_COMMAND")
                .with("command", sql.query.split_whitespace().next().unwrap_or_default().to_uppercase()));
        }
        Statement::Query(_) => {
            // Spark analyses the query here: what is wrong with it is told now and not when it is used.
            relation::translated(server, session, &input).await?;
            input.clone()
        }
        statement => {
            let rows = run(server, session, statement, bound).await?;
            local_relation(&rows)?
        }
    };
    responses.send(ResponseType::SqlCommandResult(SqlCommandResult { relation: Some(answer) })).await;
    Ok(())
}

/// Whether a statement only looks.
fn shows(statement: &Statement) -> bool {
    matches!(statement, Statement::ShowTables { .. } | Statement::DescribeTable { .. })
}

/// The relation of the command: a SQL text, perhaps with DataFrames bound to names.
#[expect(deprecated, reason = "clients before 4.0 send the text in these fields")]
fn input(command: &SqlCommand) -> Relation {
    command.input.clone().unwrap_or_else(|| {
        let sql = Sql {
            query: command.sql.clone(),
            args: command.args.clone(),
            pos_args: command.pos_args.clone(),
            named_arguments: command.named_arguments.clone(),
            pos_arguments: command.pos_arguments.clone(),
        };
        Relation { common: None, rel_type: Some(RelType::Sql(sql)) }
    })
}

fn parts(input: &Relation) -> Result<(&Sql, Option<&WithRelations>)> {
    match &input.rel_type {
        Some(RelType::Sql(sql)) => Ok((sql, None)),
        Some(RelType::WithRelations(with)) => {
            match with.root.as_ref().and_then(|root| root.rel_type.as_ref()) {
                Some(RelType::Sql(sql)) => Ok((sql, Some(with))),
                _ => Err(SparkError::unsupported("a SQL command without SQL text")),
            }
        }
        _ => Err(SparkError::unsupported("a SQL command without SQL text")),
    }
}

/// The rows a command answers with.
async fn run(
    server: &Server,
    session: &Session,
    statement: Statement,
    bound: Option<&WithRelations>,
) -> Result<RecordBatch> {
    let bind = |query: Relation| match bound {
        None => query,
        Some(with) => Relation {
            common: None,
            rel_type: Some(RelType::WithRelations(Box::new(WithRelations {
                root: Some(Box::new(query)),
                references: with.references.clone(),
            }))),
        },
    };
    match statement {
        Statement::Query(_) => Err(SparkError::internal("a query is no command")),
        Statement::CreateTempView { name, query, replace, global } => {
            view::create(server, session, &name, bind(query), global, replace).await?;
            empty()
        }
        Statement::DropView { name, if_exists, table } => {
            drop_view(server, session, &name, if_exists, table).await?;
            empty()
        }
        Statement::SetConf { key, value } => {
            session.conf.write().set(&key, &value)?;
            pairs(vec![(key, value)])
        }
        Statement::GetConf { key: None } => pairs(session.conf.read().all().into_iter().collect()),
        Statement::GetConf { key: Some(key) } => {
            let value = session.conf.read().value(&key).unwrap_or_else(|| "<undefined>".to_string());
            pairs(vec![(key, value)])
        }
        Statement::ResetConf { key: Some(key) } => {
            session.conf.write().unset(&key)?;
            empty()
        }
        Statement::ResetConf { key: None } => {
            session.conf.write().reset();
            empty()
        }
        Statement::ShowTables { pattern } => show_tables(session, pattern.as_deref()).await,
        Statement::CreateTable(table) => {
            create_table(server, session, *table, bind).await?;
            empty()
        }
        Statement::Insert { name, query, overwrite } => {
            table_write::insert(server, session, &name, bind(query), overwrite).await?;
            empty()
        }
        Statement::Catalog(statement) => catalog_statement::run(server, session, *statement).await,
        Statement::Use { name, catalog } => {
            let known = match name.as_slice() {
                [name] if catalog => name.eq_ignore_ascii_case(CATALOG),
                [name] => name.eq_ignore_ascii_case(DATABASE) || name.eq_ignore_ascii_case(CATALOG),
                [c, d] => c.eq_ignore_ascii_case(CATALOG) && d.eq_ignore_ascii_case(DATABASE),
                _ => false,
            };
            if known {
                return empty();
            }
            let mut schema = name;
            if schema.len() == 1 {
                schema.insert(0, CATALOG.to_string());
            }
            Err(SparkError::new("SCHEMA_NOT_FOUND").with("schemaName", quote_parts(&schema)))
        }
        Statement::CreateDataset(dataset) => {
            let kind = if dataset.streaming { "STREAMING TABLE" } else { "MATERIALIZED VIEW" };
            Err(outside_of_a_pipeline(kind))
        }
        Statement::CreateFlow(_) => Err(outside_of_a_pipeline("FLOW")),
        Statement::DescribeTable { name } => describe_table(server, session, &name).await,
        Statement::DescribeQuery(query) => describe(server, session, &bind(query)).await,
        Statement::Explain { query, mode } => {
            let text = explain::explain(server, session, &bind(query), &mode).await?;
            let schema = Schema::new(vec![Field::new("plan", DataType::Utf8, false)]);
            batch(schema, vec![Arc::new(StringArray::from(vec![text]))])
        }
    }
}

fn outside_of_a_pipeline(kind: &str) -> SparkError {
    SparkError::unsupported(format!(
        "CREATE {kind} outside of a pipeline: run the file with `millstream run` or `spark-pipelines`"
    ))
}

async fn create_table(
    server: &Server,
    session: &Session,
    table: CreateTable,
    bind: impl Fn(Relation) -> Relation,
) -> Result<()> {
    let mode = if table.if_not_exists { SaveMode::Ignore } else { SaveMode::ErrorIfExists };
    let CreateTable { name, provider, partition_by, options, location, .. } = table;
    let options = options.into_iter().collect();
    if let Some(query) = table.query {
        let new = table_write::Creation { name, provider, partition_by, options, location };
        return table_write::save_as(server, session, new, bind(query), mode).await.map(drop);
    }
    let tables = Tables::of(session)?;
    let own = Tables::own_name(&name)?.to_string();
    if tables.get(&own).await?.is_some() {
        return if table.if_not_exists { Ok(()) } else { Err(already_exists(&own)) };
    }
    let schema =
        Arc::new(Schema::new(table.columns.unwrap_or_else(datafusion::arrow::datatypes::Fields::empty)));
    let new = NewTable { name: own, provider, schema, partition_by, options, location };
    let table = tables.define(new).await?;
    tables.put(&table).await
}

async fn drop_view(
    server: &Server,
    session: &Session,
    name: &[String],
    if_exists: bool,
    table: bool,
) -> Result<()> {
    let dropped = match name {
        [view] => session.views.write().drop_view(view),
        [database, view] if database.eq_ignore_ascii_case(GLOBAL_TEMP) => {
            server.global_views.write().drop_view(view)
        }
        _ => false,
    };
    if dropped {
        return Ok(());
    }
    if !table {
        let missing = SparkError::new("VIEW_NOT_FOUND").with("relationName", quote_parts(name));
        return if if_exists { Ok(()) } else { Err(missing) };
    }
    let tables = Tables::of(session)?;
    let found = match Tables::own_name(name) {
        Ok(own) => tables.get(own).await?,
        Err(_) => None,
    };
    match found {
        Some(found) => {
            tables.drop_table(&found).await?;
            cache::forget_readers(session, Path::new(&found.location));
            Ok(())
        }
        None if if_exists => Ok(()),
        None => {
            let mut full = vec![CATALOG.to_string(), DATABASE.to_string()];
            full.truncate(3_usize.saturating_sub(name.len()));
            full.extend(name.iter().cloned());
            Err(SparkError::new("TABLE_OR_VIEW_NOT_FOUND")
                .with("relationName", quote_parts(&full))
                .with("searchPath", "[`spark_catalog`.`default`]"))
        }
    }
}

async fn show_tables(session: &Session, pattern: Option<&str>) -> Result<RecordBatch> {
    let tables = Tables::of(session)?.list().await?;
    let views = session.views.read();
    let named = tables.iter().map(|table| (DATABASE, table.name.as_str(), false));
    let named = named.chain(views.iter().map(|view| ("", view.name.as_str(), true)));
    let rows: Vec<(&str, &str, bool)> =
        named.filter(|(_, name, _)| pattern.is_none_or(|p| like(p, name))).collect();
    let schema = Schema::new(vec![
        Field::new("namespace", DataType::Utf8, false),
        Field::new("tableName", DataType::Utf8, false),
        Field::new("isTemporary", DataType::Boolean, false),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(namespace, ..)| namespace))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, name, _)| name))),
        Arc::new(BooleanArray::from(rows.iter().map(|(.., temporary)| *temporary).collect::<Vec<_>>())),
    ];
    batch(schema, columns)
}

/// Spark's patterns: `*` for any text, `|` between alternatives, case ignored.
pub fn like(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => matches(rest, text),
            (Some((b'*', rest)), Some((_, tail))) => matches(rest, text) || matches(pattern, tail),
            (Some((p, rest)), Some((t, tail))) => p.eq_ignore_ascii_case(t) && matches(rest, tail),
            _ => false,
        }
    }
    pattern.split('|').any(|alternative| matches(alternative.trim().as_bytes(), name.as_bytes()))
}

/// The columns of a table or view; the partition columns of a table once more below.
async fn describe_table(server: &Server, session: &Session, name: &[String]) -> Result<RecordBatch> {
    let quoted: Vec<String> = name.iter().map(|part| types::quote_identifier(part).to_string()).collect();
    let sql = Sql { query: format!("SELECT * FROM {}", quoted.join(".")), ..Default::default() };
    let relation = Relation { common: None, rel_type: Some(RelType::Sql(sql)) };
    let columns = describe(server, session, &relation).await?;
    let is_view = matches!(name, [view] if session.views.read().get(view).is_some());
    let table = match Tables::own_name(name) {
        Ok(own) if !is_view => Tables::of(session)?.get(own).await?,
        _ => None,
    };
    let Some(table) = table.filter(|table| !table.partition_by.is_empty()) else { return Ok(columns) };
    let first = columns.num_rows().saturating_sub(table.partition_by.len());
    let partitions = columns.slice(first, columns.num_rows() - first);
    let text = |texts: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    let headings = RecordBatch::try_new(
        columns.schema(),
        vec![text(["# Partition Information", "# col_name"]), text(["", "data_type"]), text(["", "comment"])],
    )?;
    Ok(datafusion::arrow::compute::concat_batches(&columns.schema(), [&columns, &headings, &partitions])?)
}

async fn describe(server: &Server, session: &Session, query: &Relation) -> Result<RecordBatch> {
    let translated = relation::translated(server, session, query).await?;
    let schema = translated.schema();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let kinds: Vec<String> = schema.fields().iter().map(|f| types::simple_string(f.data_type())).collect();
    let comments: Vec<Option<String>> = schema.fields().iter().map(|f| types::field_comment(f)).collect();
    let schema = Schema::new(vec![
        Field::new("col_name", DataType::Utf8, false),
        Field::new("data_type", DataType::Utf8, false),
        Field::new("comment", DataType::Utf8, true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(names)),
        Arc::new(StringArray::from(kinds)),
        Arc::new(StringArray::from(comments)),
    ];
    batch(schema, columns)
}

fn pairs(pairs: Vec<(String, String)>) -> Result<RecordBatch> {
    let schema = Schema::new(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, false),
    ]);
    let (keys, values): (Vec<String>, Vec<String>) = pairs.into_iter().unzip();
    batch(schema, vec![Arc::new(StringArray::from(keys)), Arc::new(StringArray::from(values))])
}

fn empty() -> Result<RecordBatch> {
    Ok(RecordBatch::new_empty(Arc::new(Schema::empty())))
}

fn batch(schema: Schema, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}

/// Rows as a relation for the client to read.
fn local_relation(rows: &RecordBatch) -> Result<Relation> {
    let local = LocalRelation {
        data: Some(ipc_stream(rows)?.into()),
        schema: Some(types::schema_json(rows.schema().fields().iter().map(AsRef::as_ref))),
    };
    Ok(Relation { common: None, rel_type: Some(RelType::LocalRelation(local)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn show_tables_patterns() {
        assert!(like("t*", "Task1") && like("x|task1", "task1") && like("*", ""));
        assert!(!like("task", "task1"));
    }
}
