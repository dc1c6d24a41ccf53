//! `Deduplicate`: `distinct` and `dropDuplicates`.

use std::sync::Arc;

use datafusion::{
    functions_aggregate::first_last::first_value,
    logical_expr::{Aggregate, Distinct, Expr, LogicalPlan, Projection},
};
use millstream_engine::{
    Result,
    plan::{Deduplicate, UpdatingSessions, is_session_window},
};
use spark_connect_proto as proto;

use super::{
    attribute::{self, Attribute},
    translator::{Frame, Translator},
};

impl Translator<'_> {
    pub(super) fn deduplicate(&self, deduplicate: &proto::Deduplicate) -> Result<Frame> {
        let input = self.input(deduplicate.input.as_deref())?.trimmed()?;
        let keys: Vec<Attribute> = if deduplicate.all_columns_as_keys() {
            input.columns.to_vec()
        } else {
            let mut keys = Vec::new();
            for name in &deduplicate.column_names {
                keys.extend(self.named(&input, name)?);
            }
            keys
        };
        let all = keys.len() == input.columns.len();
        let input = sessions_merged(input, &keys);
        let plan = if input.is_streaming || deduplicate.within_watermark() {
            // In a batch, too, within a watermark: it is refused when it runs, as in Spark.
            let keys = keys.iter().map(Attribute::column).collect();
            Deduplicate::plan(Arc::clone(&input.plan), keys, deduplicate.within_watermark())
        } else if all {
            LogicalPlan::Distinct(Distinct::All(Arc::clone(&input.plan)))
        } else {
            first_of_each(&input, &keys)?
        };
        Ok(Frame { partitioning: None, ..input.with_plan(plan) })
    }

    /// The columns called `name` (a plain name, not a path).
    fn named(&self, input: &Frame, name: &str) -> Result<Vec<Attribute>> {
        let found: Vec<Attribute> = input
            .columns
            .iter()
            .filter(|a| attribute::same_name(a.name(), name, self.conf.case_sensitive))
            .cloned()
            .collect();
        if found.is_empty() {
            return Err(attribute::not_among(&input.columns, name));
        }
        Ok(found)
    }
}

/// Groups by a session window merge sessions, and Spark makes groups of what it deduplicates.
pub(super) fn sessions_merged(input: Frame, keys: &[Attribute]) -> Frame {
    let Some(session) = keys.iter().find(|key| is_session_window(&key.field)) else { return input };
    if input.is_streaming {
        return input;
    }
    let others = keys.iter().filter(|key| key.id != session.id).map(Attribute::column).collect();
    let plan = UpdatingSessions::plan(input.plan.as_ref().clone(), others, session.column());
    input.with_plan(plan)
}

/// The first row of each group of equal `keys`, columns in their order.
fn first_of_each(input: &Frame, keys: &[Attribute]) -> Result<LogicalPlan> {
    let is_key = |a: &&Attribute| keys.iter().any(|k| k.id == a.id);
    let groups: Vec<Expr> = input.columns.iter().filter(is_key).map(Attribute::expr).collect();
    let firsts: Vec<Expr> = input
        .columns
        .iter()
        .filter(|a| !is_key(a))
        .map(|a| first_value(a.expr(), Vec::new()).alias(&a.id))
        .collect();
    let aggregate = LogicalPlan::Aggregate(Aggregate::try_new(Arc::clone(&input.plan), groups, firsts)?);
    let exprs: Vec<Expr> = input.columns.iter().map(Attribute::expr).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(aggregate))?))
}
