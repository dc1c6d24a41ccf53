//! A relation's rows as the answer.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{RecordBatch, StringArray},
        datatypes::{DataType, Field, Schema},
    },
    common::tree_node::TreeNodeRecursion,
    datasource::source_as_provider,
    execution::SendableRecordBatchStream,
    logical_expr::LogicalPlan,
};
use futures::{StreamExt, TryStreamExt};
use millstream_engine::{
    Result, SparkError, batch,
    checkpoint::to_uri,
    format::show::{ShowOptions, html_string, show_string},
    source::file::FileTable,
};
use millstream_spark::{
    plan::{ResolvedTable, ShowRequest, Translated, observed_metrics, show_request, translate},
    types,
};
use spark_connect_proto::{ExecutePlanResponse, Relation, execute_plan_response::Metrics, relation::RelType};

use super::{arrow_batches::ArrowBatches, catalog, resolve::resolve};
use crate::{operation::Responses, server::Server, session::Session};

/// Sends schema, rows and metrics of `relation`.
///
/// # Errors
/// Spark's errors of analysis and execution.
pub async fn answer(
    server: &Server,
    session: &Session,
    responses: &Responses,
    relation: &Relation,
) -> Result<()> {
    if let Some(show) = show_request(relation) {
        let (text, plan) = rendered(server, session, &show).await?;
        let name = if show.html { "html_string" } else { "show_string" };
        let schema = Schema::new(vec![Field::new(name, DataType::Utf8, false)]);
        let column = Arc::new(StringArray::from(vec![text]));
        let batch = RecordBatch::try_new(Arc::new(schema.clone()), vec![column])?;
        let rows = futures::stream::iter([Ok(batch)]).boxed();
        send(session, responses, &schema, rows).await?;
        return send_observed(responses, &plan).await;
    }
    if let Some(RelType::Catalog(call)) = &relation.rel_type {
        let batch = catalog::rows(server, session, call).await?;
        let schema = batch.schema();
        return send(session, responses, &schema, futures::stream::iter([Ok(batch)]).boxed()).await;
    }
    let translated = translated(server, session, relation).await?;
    let (schema, plan) = (translated.schema(), translated.plan.clone());
    let rows = rows(server, translated).await?;
    send(session, responses, &schema, rows.map_err(SparkError::from).boxed()).await?;
    send_observed(responses, &plan).await
}

/// Sends what `observe` saw in the execution of `plan`, if anything did.
///
/// # Errors
/// A metric of a type that has no literal yet.
pub async fn send_observed(responses: &Responses, plan: &LogicalPlan) -> Result<()> {
    let observed_metrics = observed_metrics(plan)?;
    if !observed_metrics.is_empty() {
        responses.send_fields(ExecutePlanResponse { observed_metrics, ..Default::default() }).await;
    }
    Ok(())
}

/// Translates `relation` with what it refers to.
///
/// # Errors
/// Spark's errors of analysis.
pub async fn translated(server: &Server, session: &Session, relation: &Relation) -> Result<Translated> {
    let resolved = resolve(server, session, relation).await?;
    let conf = session.conf.read().translation();
    translate(relation, &resolved, &conf)
}

/// Runs a batch plan.
///
/// # Errors
/// Streaming plans need `writeStream`; errors of planning.
pub async fn rows(server: &Server, translated: Translated) -> Result<SendableRecordBatchStream> {
    refuse_stream(&translated)?;
    let tail = translated.tail;
    let state = server.session_state()?;
    let now = server.clock().now().as_micros();
    let rows = batch::execute(&state, translated.plan, now).await?.into_stream();
    match tail {
        None => Ok(rows),
        Some(limit) => last(rows, limit).await,
    }
}

/// A stream has no rows to answer with.
///
/// # Errors
/// Streaming plans need `writeStream`.
pub fn refuse_stream(translated: &Translated) -> Result<()> {
    if translated.is_streaming {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_3102")
            .with("msg", "Queries with streaming sources must be executed with writeStream.start();"));
    }
    Ok(())
}

/// All rows of a batch plan.
///
/// # Errors
/// As [`rows`], and errors of the data.
pub async fn collect(
    server: &Server,
    session: &Session,
    relation: &Relation,
) -> Result<(Translated, Vec<RecordBatch>)> {
    let translated = translated(server, session, relation).await?;
    let batches = rows(server, translated.clone()).await?.try_collect().await?;
    Ok((translated, batches))
}

/// The rows of a batch relation, kept, as something other plans can refer to.
///
/// # Errors
/// As [`collect`].
pub async fn materialize(server: &Server, session: &Session, relation: Relation) -> Result<ResolvedTable> {
    let (translated, batches) = collect(server, session, &relation).await?;
    let schema = translated.schema();
    let batches = batches
        .into_iter()
        .map(|batch| RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec()))
        .collect::<Result<Vec<_>, _>>()?;
    let table = datafusion::datasource::MemTable::try_new(schema, vec![batches])?;
    Ok(ResolvedTable::Provider(Arc::new(table)))
}

/// The files a relation reads, as URIs.
///
/// # Errors
/// As translation.
pub async fn input_files(server: &Server, session: &Session, relation: &Relation) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let plan = translated(server, session, relation).await?.plan;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<FileTable>()
        {
            files.extend(table.files().iter().map(|f| to_uri(&f.file.path)));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    files.sort();
    files.dedup();
    Ok(files)
}

/// The last `limit` rows, in order.
async fn last(mut rows: SendableRecordBatchStream, limit: usize) -> Result<SendableRecordBatchStream> {
    let schema = rows.schema();
    let mut kept: std::collections::VecDeque<RecordBatch> = std::collections::VecDeque::new();
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows();
        kept.push_back(batch);
        while let Some(first) = kept.front()
            && count - first.num_rows() >= limit
        {
            count -= first.num_rows();
            kept.pop_front();
        }
    }
    if let Some(first) = kept.front_mut()
        && count > limit
    {
        let extra = count - limit;
        *first = first.slice(extra, first.num_rows() - extra);
    }
    let stream = futures::stream::iter(kept.into_iter().map(Ok));
    Ok(Box::pin(datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(schema, stream)))
}

async fn send(
    session: &Session,
    responses: &Responses,
    schema: &Schema,
    mut rows: futures::stream::BoxStream<'_, Result<RecordBatch>>,
) -> Result<()> {
    let (conf, max_rows) = {
        let conf = session.conf.read();
        (conf.translation(), conf.number("spark.sql.execution.arrow.maxRecordsPerBatch").unwrap_or(10_000))
    };
    let proto = types::struct_to_proto(schema.fields().iter().map(AsRef::as_ref))?;
    responses.send_fields(ExecutePlanResponse { schema: Some(proto), ..Default::default() }).await;
    let mut batches = ArrowBatches::new(responses, schema, &conf.time_zone_id, max_rows);
    while let Some(batch) = rows.next().await {
        batches.send(&batch?).await?;
    }
    batches.finish().await?;
    responses
        .send_fields(ExecutePlanResponse { metrics: Some(Metrics::default()), ..Default::default() })
        .await;
    Ok(())
}

/// The text of `show()`.
async fn rendered(server: &Server, session: &Session, show: &ShowRequest) -> Result<(String, LogicalPlan)> {
    let (translated, batches) = collect(server, session, &show.input).await?;
    let names: Vec<&str> = translated.columns.iter().map(|c| c.name()).collect();
    let zone = session.conf.read().zone();
    let options = ShowOptions {
        num_rows: i32::try_from(show.num_rows).unwrap_or(i32::MAX),
        truncate: i32::try_from(show.truncate).unwrap_or(0),
        vertical: show.vertical,
    };
    let text = match show.html {
        true => html_string(&names, &batches, options, &zone)?,
        false => show_string(&names, &batches, options, &zone)?,
    };
    Ok((text, translated.plan))
}
