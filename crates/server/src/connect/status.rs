//! A [`SparkError`] as a gRPC status with Spark's error details, and as the answer of
//! `FetchErrorDetails`.

use std::{collections::HashMap, error::Error};

use bytes::Bytes;
use millstream_engine::SparkError;
use prost::Message;
use spark_connect_proto::{
    FetchErrorDetailsResponse,
    fetch_error_details_response::{Error as ProtoError, SparkThrowable},
};
use tonic::{Code, Status};

use super::{
    exception::class_hierarchy,
    rpc_status::{ERROR_INFO_URL, ErrorInfo, RpcStatus},
};

/// Longest text of a gRPC status message; the whole text comes with `FetchErrorDetails`.
const MAX_MESSAGE: usize = 2048;
/// Longest message parameters that travel in the status.
const MAX_METADATA: usize = 1024;
/// Longest chain of causes that is told.
const MAX_CAUSES: usize = 5;

/// The gRPC status a client gets for `error`. `error_id` is the key under which the session
/// keeps it for `FetchErrorDetails`.
pub fn status(error: &SparkError, error_id: Option<&str>) -> Status {
    let classes = class_hierarchy(error);
    let mut metadata = HashMap::from([
        ("classes".to_string(), serde_json::Value::from(classes).to_string()),
        ("sqlState".to_string(), error.sql_state().to_string()),
    ]);
    let params = serde_json::json!(error.params()).to_string();
    if params.len() <= MAX_METADATA {
        metadata.insert("errorClass".to_string(), error.class().to_string());
        metadata.insert("messageParameters".to_string(), params);
    }
    if let Some(id) = error_id {
        metadata.insert("errorId".to_string(), id.to_string());
    }
    let info = ErrorInfo {
        reason: classes.first().copied().unwrap_or_default().to_string(),
        domain: "org.apache.spark".to_string(),
        metadata,
    };
    let message = abbreviate(&full_message(error), MAX_MESSAGE);
    let details = RpcStatus {
        code: Code::Internal as i32,
        message: message.clone(),
        details: vec![prost_types::Any { type_url: ERROR_INFO_URL.to_string(), value: info.encode_to_vec() }],
    };
    Status::with_details(Code::Internal, message, Bytes::from(details.encode_to_vec()))
}

/// Everything known about `error`: class, parameters, and its causes.
pub fn error_details(error: &SparkError) -> FetchErrorDetailsResponse {
    FetchErrorDetailsResponse { root_error_idx: Some(0), errors: error_chain(error), ..Default::default() }
}

/// The text of `error`, followed by those of its causes that it does not contain itself.
///
/// Spark differs: there the causes are in the JVM's stack trace, which clients append.
pub fn full_message(error: &SparkError) -> String {
    let mut text = error.to_string();
    let mut cause: Option<&(dyn Error + 'static)> = error.cause().map(|c| c as _);
    for _ in 1..MAX_CAUSES {
        let Some(current) = cause else { break };
        let message = current.to_string();
        if !text.contains(&message) {
            text.push_str("\nCaused by: ");
            text.push_str(&message);
        }
        cause = current.source();
    }
    text
}

/// `error` and its causes, the outermost first, each pointing at the next.
fn error_chain(error: &SparkError) -> Vec<ProtoError> {
    let mut errors = vec![ProtoError { message: full_message(error), ..spark_error(error) }];
    let mut cause: Option<&(dyn Error + 'static)> = error.cause().map(|c| c as _);
    while let Some(current) = cause
        && errors.len() < MAX_CAUSES
    {
        let index = i32::try_from(errors.len()).unwrap_or(i32::MAX);
        if let Some(last) = errors.last_mut() {
            last.cause_idx = Some(index);
        }
        errors.push(match current.downcast_ref::<SparkError>() {
            Some(spark) => spark_error(spark),
            None => ProtoError {
                error_type_hierarchy: [
                    "java.lang.RuntimeException",
                    "java.lang.Exception",
                    "java.lang.Throwable",
                    "java.lang.Object",
                ]
                .map(String::from)
                .to_vec(),
                message: current.to_string(),
                ..Default::default()
            },
        });
        cause = current.source();
    }
    errors
}

fn spark_error(error: &SparkError) -> ProtoError {
    ProtoError {
        error_type_hierarchy: class_hierarchy(error).iter().map(ToString::to_string).collect(),
        message: error.to_string(),
        spark_throwable: Some(SparkThrowable {
            error_class: Some(error.class().to_string()),
            message_parameters: error.params().clone().into_iter().collect(),
            sql_state: Some(error.sql_state().to_string()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// At most `limit` bytes of `text`, ending in `...` when it was longer.
fn abbreviate(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_string();
    }
    let mut end = limit.saturating_sub(3);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_carries_spark_error_info() {
        let error = SparkError::new("PATH_NOT_FOUND").with("path", "file:/nowhere");
        let status = status(&error, Some("id-1"));
        assert_eq!(status.message(), "[PATH_NOT_FOUND] Path does not exist: file:/nowhere. SQLSTATE: 42K03");
        let details = RpcStatus::decode(status.details()).unwrap();
        assert_eq!(details.message, status.message());
        let info = ErrorInfo::decode(details.details[0].value.as_slice()).unwrap();
        assert_eq!(info.reason, "org.apache.spark.sql.catalyst.ExtendedAnalysisException");
        assert_eq!(info.metadata["errorClass"], "PATH_NOT_FOUND");
        assert_eq!(info.metadata["messageParameters"], r#"{"path":"file:/nowhere"}"#);
        assert_eq!(info.metadata["errorId"], "id-1");
    }

    #[test]
    fn causes_are_chained() {
        let cause = SparkError::new("PATH_NOT_FOUND")
            .with("path", "file:/x")
            .caused_by(std::io::Error::other("gone"));
        let error = SparkError::new("STREAM_FAILED").with("message", "m").caused_by(cause);
        let details = error_details(&error);
        assert_eq!(details.errors.len(), 3);
        assert_eq!(details.errors[0].cause_idx, Some(1));
        assert_eq!(details.errors[1].cause_idx, Some(2));
        assert_eq!(details.errors[2].message, "gone");
        assert!(details.errors[0].message.ends_with("Caused by: gone"), "{}", details.errors[0].message);
        assert_eq!(details.errors[2].cause_idx, None);
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let text = "ä".repeat(2000);
        let cut = abbreviate(&text, MAX_MESSAGE);
        assert!(cut.len() <= MAX_MESSAGE && cut.ends_with("..."), "{}", cut.len());
    }
}
