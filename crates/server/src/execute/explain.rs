//! The plans of a query as text, in Spark's layout.

use datafusion::{logical_expr::LogicalPlan, physical_plan::displayable};
use millstream_engine::Result;
use millstream_spark::types;
use spark_connect_proto::Relation;

use super::relation;
use crate::{server::Server, session::Session};

/// Spark's frame around our plans: the physical plan alone, with the optimized one for `COST`, all
/// of them for `EXTENDED`.
///
/// # Errors
/// As translation and planning.
pub async fn explain(server: &Server, session: &Session, query: &Relation, mode: &str) -> Result<String> {
    let translated = relation::translated(server, session, query).await?;
    let schema = translated.schema();
    let columns: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| format!("{}: {}", field.name(), types::simple_string(field.data_type())))
        .collect();
    let analyzed = translated.plan;
    let state = server.session_state()?;
    let optimized: LogicalPlan = state.optimize(&analyzed)?;
    let physical = if translated.is_streaming {
        // A stream is planned when it starts.
        optimized.display_indent().to_string()
    } else {
        let plan = state.query_planner().create_physical_plan(&optimized, state.as_ref()).await?;
        displayable(plan.as_ref()).indent(false).to_string()
    };
    let logical = |plan: &LogicalPlan| tree(&plan.display_indent().to_string());
    let section = |title: &str, text: &str| format!("== {title} ==\n{text}\n");
    let physical = format!("{}\n", section("Physical Plan", &tree(&physical)));
    let optimized = section("Optimized Logical Plan", &logical(&optimized));
    Ok(match mode {
        "EXTENDED" => {
            let parsed = section("Parsed Logical Plan", &logical(&analyzed));
            let shown = format!("{}\n{}", columns.join(", "), logical(&analyzed));
            let physical = physical.trim_end_matches('\n');
            [parsed, section("Analyzed Logical Plan", &shown), optimized, format!("{physical}\n")].join("\n")
        }
        "COST" => [optimized, physical].join("\n"),
        "CODEGEN" => "Found 0 WholeStageCodegen subtrees.\n".to_string(),
        _ => physical,
    })
}

/// A plan whose levels are two blanks each, with Spark's branches.
fn tree(indented: &str) -> String {
    let lines: Vec<(usize, &str)> = indented
        .trim_end()
        .lines()
        .map(|line| ((line.len() - line.trim_start().len()) / 2, line.trim_start()))
        .collect();
    let mut out: Vec<String> = Vec::with_capacity(lines.len());
    for (i, (depth, text)) in lines.iter().enumerate() {
        // Whether another node of a level follows below the same parent.
        let continues = |level: usize| {
            let rest = lines.iter().skip(i + 1).map(|(depth, _)| *depth);
            rest.take_while(|depth| *depth >= level).any(|depth| depth == level)
        };
        let mut line = String::new();
        for level in 1..=*depth {
            line.push_str(match (level == *depth, continues(level)) {
                (true, true) => ":- ",
                (true, false) => "+- ",
                (false, true) => ":  ",
                (false, false) => "   ",
            });
        }
        line.push_str(text);
        out.push(line);
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_branch_as_in_spark() {
        let plan = "Join\n  Project\n    Scan a\n  Filter\n    Scan b\n";
        assert_eq!(tree(plan), "Join\n:- Project\n:  +- Scan a\n+- Filter\n   +- Scan b");
    }
}
