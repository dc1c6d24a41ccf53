//! `AnalyzePlan`: questions about a plan that run nothing.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use millstream_engine::{Result, SparkError};
use millstream_spark::{plan::show_request, types};
use spark_connect_proto::{
    Plan, Relation, StorageLevel, UserContext,
    analyze_plan_request::{Analyze, explain::ExplainMode},
    analyze_plan_response::{self as answer, Result as Answer},
    relation::RelType,
};

use crate::{
    execute::{cache, explain, plan, relation},
    pipelines,
    server::Server,
    session::Session,
};

/// The version clients are told: of the Spark whose behaviour is followed.
pub const SPARK_VERSION: &str = "4.3.0";

/// Refuses questions about plans inside of a pipeline's query function.
///
/// # Errors
/// `ATTEMPT_ANALYSIS_IN_PIPELINE_QUERY_FUNCTION`.
pub fn allowed(user: Option<&UserContext>, question: Option<&Analyze>) -> Result<()> {
    match question {
        Some(Analyze::SparkVersion(_) | Analyze::DdlParse(_) | Analyze::JsonToDdl(_)) => Ok(()),
        _ => pipelines::allow_analysis(user),
    }
}

/// Answers one question.
///
/// # Errors
/// Spark's analysis errors.
pub async fn analyze(server: &Server, session: &Arc<Session>, question: Option<Analyze>) -> Result<Answer> {
    let question = question.ok_or_else(|| {
        SparkError::new("CONNECT_INVALID_PLAN.ASSERTION_FAILURE")
            .with("message", "an AnalyzePlan request without a question")
    })?;
    Ok(match question {
        Analyze::SparkVersion(_) => {
            Answer::SparkVersion(answer::SparkVersion { version: SPARK_VERSION.to_string() })
        }
        Analyze::Schema(q) => {
            let fields = schema(server, session, q.plan.as_ref()).await?;
            let schema = types::struct_to_proto(fields.iter().map(AsRef::as_ref))?;
            Answer::Schema(answer::Schema { schema: Some(schema) })
        }
        Analyze::TreeString(q) => {
            let fields = schema(server, session, q.plan.as_ref()).await?;
            let tree_string = types::tree_string(fields.iter().map(AsRef::as_ref), q.level);
            Answer::TreeString(answer::TreeString { tree_string })
        }
        Analyze::Explain(q) => {
            let mode = match q.explain_mode() {
                ExplainMode::Extended => "EXTENDED",
                ExplainMode::Codegen => "CODEGEN",
                ExplainMode::Cost => "COST",
                ExplainMode::Formatted => "FORMATTED",
                ExplainMode::Simple | ExplainMode::Unspecified => "",
            };
            let relation = plan::relation(q.plan.as_ref())?;
            let explain_string = explain::explain(server, session, &relation, mode).await?;
            Answer::Explain(answer::Explain { explain_string })
        }
        Analyze::IsLocal(q) => {
            let relation = plan::relation(q.plan.as_ref())?;
            let is_local = matches!(relation.rel_type, Some(RelType::LocalRelation(_)));
            Answer::IsLocal(answer::IsLocal { is_local })
        }
        Analyze::IsStreaming(q) => {
            let relation = plan::relation(q.plan.as_ref())?;
            let is_streaming = relation::translated(server, session, &relation).await?.is_streaming;
            Answer::IsStreaming(answer::IsStreaming { is_streaming })
        }
        Analyze::InputFiles(q) => {
            let relation = plan::relation(q.plan.as_ref())?;
            let files = relation::input_files(server, session, &relation).await?;
            Answer::InputFiles(answer::InputFiles { files })
        }
        Analyze::DdlParse(q) => {
            let parsed = types::to_proto(&types::parse_ddl(&q.ddl_string)?)?;
            Answer::DdlParse(answer::DdlParse { parsed: Some(parsed) })
        }
        Analyze::JsonToDdl(q) => {
            let ddl_string = ddl(&types::from_json(&q.json_string)?);
            Answer::JsonToDdl(answer::JsonToDdl { ddl_string })
        }
        Analyze::SameSemantics(q) => {
            let target = cache::meaning(server, session, &*plan::relation(q.target_plan.as_ref())?).await?;
            let other = cache::meaning(server, session, &*plan::relation(q.other_plan.as_ref())?).await?;
            Answer::SameSemantics(answer::SameSemantics { result: target == other })
        }
        Analyze::SemanticHash(q) => {
            let meaning = cache::meaning(server, session, &*plan::relation(q.plan.as_ref())?).await?;
            let mut hasher = DefaultHasher::new();
            meaning.hash(&mut hasher);
            let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
            Answer::SemanticHash(answer::SemanticHash { result: i32::from_le_bytes([a, b, c, d]) })
        }
        Analyze::Persist(q) => {
            let level = q.storage_level.unwrap_or_else(cache::memory_and_disk);
            cache::persist(server, session, needed(q.relation.as_ref())?, level).await?;
            Answer::Persist(answer::Persist {})
        }
        Analyze::Unpersist(q) => {
            let meaning = cache::meaning(server, session, needed(q.relation.as_ref())?).await?;
            session.persisted.lock().remove(&meaning);
            Answer::Unpersist(answer::Unpersist {})
        }
        Analyze::GetStorageLevel(q) => {
            let meaning = cache::meaning(server, session, needed(q.relation.as_ref())?).await?;
            let level = session.persisted.lock().get(&meaning).map(|(level, _)| *level);
            Answer::GetStorageLevel(answer::GetStorageLevel {
                storage_level: Some(level.unwrap_or_else(no_storage)),
            })
        }
    })
}

fn needed(relation: Option<&Relation>) -> Result<&Relation> {
    relation.ok_or_else(|| {
        SparkError::new("CONNECT_INVALID_PLAN.ASSERTION_FAILURE").with("message", "a relation is needed")
    })
}

async fn schema(server: &Server, session: &Session, plan: Option<&Plan>) -> Result<Fields> {
    let relation = plan::relation(plan)?;
    if let Some(show) = show_request(&relation) {
        let name = if show.html { "html_string" } else { "show_string" };
        let field = Field::new(name, DataType::Utf8, false);
        return Ok(vec![field].into());
    }
    Ok(relation::translated(server, session, &relation).await?.schema().fields().clone())
}

/// Spark's `StorageLevel.NONE`.
fn no_storage() -> StorageLevel {
    StorageLevel { replication: 1, ..Default::default() }
}

/// `StructType.toDDL`; other types as their SQL names.
fn ddl(data_type: &DataType) -> String {
    let DataType::Struct(fields) = data_type else { return types::sql_name(data_type) };
    let column = |field: &FieldRef| {
        let plain = field.name().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !field.name().bytes().all(|b| b.is_ascii_digit());
        let name =
            if plain { field.name().clone() } else { types::quote_identifier(field.name()).to_string() };
        let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
        let comment = types::field_comment(field)
            .map(|text| format!(" COMMENT '{}'", text.replace('\\', "\\\\").replace('\'', "\\'")))
            .unwrap_or_default();
        format!("{name} {}{not_null}{comment}", types::sql_name(field.data_type()))
    };
    fields.iter().map(column).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_are_written_as_ddl() {
        let json = r#"{"type":"struct","fields":[
            {"name":"a b","type":"integer","nullable":false,"metadata":{}},
            {"name":"t","type":{"type":"array","elementType":"string","containsNull":true},"nullable":true,
             "metadata":{"comment":"it's"}}]}"#;
        assert_eq!(
            ddl(&types::from_json(json).unwrap()),
            "`a b` INT NOT NULL,t ARRAY<STRING> COMMENT 'it\\'s'"
        );
        assert_eq!(ddl(&DataType::Int64), "BIGINT");
    }
}
