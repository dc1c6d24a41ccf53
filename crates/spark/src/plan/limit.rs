//! `Limit`, `Offset` and `Tail`.

use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use millstream_engine::{Result, SparkError};
use spark_connect_proto as proto;

use super::translator::{Frame, Translator};

impl Translator<'_> {
    pub(super) fn limit(&self, limit: &proto::Limit) -> Result<Frame> {
        let input = self.input(limit.input.as_deref())?;
        let count = non_negative("limit", limit.limit)?;
        self.skip_fetch(&input, 0, Some(count))
    }

    pub(super) fn offset(&self, offset: &proto::Offset) -> Result<Frame> {
        let input = self.input(offset.input.as_deref())?;
        let count = non_negative("offset", offset.offset)?;
        self.skip_fetch(&input, count, None)
    }

    fn skip_fetch(&self, input: &Frame, skip: usize, fetch: Option<usize>) -> Result<Frame> {
        let builder = LogicalPlanBuilder::from(input.plan.as_ref().clone());
        let plan: LogicalPlan = builder.limit(skip, fetch)?.build()?;
        let mut frame = Frame::through(input, plan);
        frame.partitioning = None;
        Ok(frame)
    }

    /// Only the end of a plan can be its tail: the rows are cut when they are collected.
    pub(super) fn tail(&self, tail: &proto::Tail) -> Result<Frame> {
        if !self.is_root() {
            return Err(SparkError::unsupported("tail inside of another relation"));
        }
        let input = self.input(tail.input.as_deref())?;
        Ok(Frame { tail: Some(non_negative("tail", tail.limit)?), below: None, ..input })
    }
}

fn non_negative(name: &str, count: i32) -> Result<usize> {
    usize::try_from(count).map_err(|_| {
        SparkError::new("INVALID_LIMIT_LIKE_EXPRESSION.IS_NEGATIVE")
            .with("name", name)
            .with("v", count.to_string())
            .with("expr", format!("\"{count}\""))
    })
}
