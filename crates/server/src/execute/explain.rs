//! The plans of a query as text.

use datafusion::{logical_expr::LogicalPlan, physical_plan::displayable};
use millstream_engine::Result;
use spark_connect_proto::Relation;

use super::relation;
use crate::{server::Server, session::Session};

/// Spark's frame around our plans: the physical plan alone, or all of them when `mode` is
/// `EXTENDED`, `COST` or `CODEGEN`.
///
/// # Errors
/// As translation and planning.
pub async fn explain(server: &Server, session: &Session, query: &Relation, mode: &str) -> Result<String> {
    let translated = relation::translated(server, session, query).await?;
    let analyzed = translated.plan;
    let extended = matches!(mode, "EXTENDED" | "COST" | "CODEGEN");
    let state = server.session_state()?;
    let optimized: LogicalPlan = state.optimize(&analyzed)?;
    let physical = if translated.is_streaming {
        // A stream is planned when it starts.
        optimized.display_indent().to_string()
    } else {
        let plan = state.query_planner().create_physical_plan(&optimized, state.as_ref()).await?;
        displayable(plan.as_ref()).indent(false).to_string()
    };
    let section = |title: &str, text: &str| format!("== {title} ==\n{}\n", text.trim_end());
    let physical = section("Physical Plan", &physical);
    if !extended {
        return Ok(physical);
    }
    Ok([
        section("Analyzed Logical Plan", &analyzed.display_indent().to_string()),
        section("Optimized Logical Plan", &optimized.display_indent().to_string()),
        physical,
    ]
    .join("\n"))
}
