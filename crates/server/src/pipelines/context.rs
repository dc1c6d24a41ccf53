//! Calls that a client makes while it evaluates the definitions of a pipeline.
//!
//! Such a call says so in its user context. There a query is only put down, for what it reads may
//! not exist yet.

use millstream_engine::{Result, SparkError};
use prost::Message;
use spark_connect_proto::{PipelineAnalysisContext, UserContext};

/// The end of the type's URL.
const TYPE: &str = "spark.connect.PipelineAnalysisContext";

/// Whether the call comes from the definitions of a pipeline.
pub fn in_definition(user: Option<&UserContext>) -> bool {
    analysis_context(user).is_some()
}

/// Refuses what needs rows or types inside of a flow's own function.
///
/// # Errors
/// `ATTEMPT_ANALYSIS_IN_PIPELINE_QUERY_FUNCTION`.
pub fn allow_analysis(user: Option<&UserContext>) -> Result<()> {
    #[expect(deprecated, reason = "clients before 4.3 name the flow here")]
    let inside =
        |context: PipelineAnalysisContext| context.flow_name.is_some() || context.flow_identifier.is_some();
    match analysis_context(user).is_some_and(inside) {
        true => Err(SparkError::new("ATTEMPT_ANALYSIS_IN_PIPELINE_QUERY_FUNCTION")),
        false => Ok(()),
    }
}

fn analysis_context(user: Option<&UserContext>) -> Option<PipelineAnalysisContext> {
    let extensions = user.map(|user| user.extensions.as_slice()).unwrap_or_default();
    let found = extensions.iter().find(|any| any.type_url.ends_with(TYPE))?;
    PipelineAnalysisContext::decode(found.value.as_slice()).ok()
}
