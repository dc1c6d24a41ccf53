//! `AnalyzePlan`: questions about a plan that run nothing.

use std::sync::Arc;

use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    analyze_plan_request::Analyze,
    analyze_plan_response::{self as answer, Result as Answer},
};

use crate::{server::Server, session::Session};

/// The version clients are told: of the Spark whose behaviour is followed.
pub const SPARK_VERSION: &str = "4.3.0";

/// Answers one question.
///
/// # Errors
/// Spark's analysis errors.
pub async fn analyze(_server: &Server, _session: &Arc<Session>, question: Option<Analyze>) -> Result<Answer> {
    let question = question.ok_or_else(|| {
        SparkError::new("CONNECT_INVALID_PLAN.ASSERTION_FAILURE")
            .with("message", "an AnalyzePlan request without a question")
    })?;
    match question {
        Analyze::SparkVersion(_) => {
            Ok(Answer::SparkVersion(answer::SparkVersion { version: SPARK_VERSION.to_string() }))
        }
        _ => Err(SparkError::unsupported("this AnalyzePlan request")),
    }
}
