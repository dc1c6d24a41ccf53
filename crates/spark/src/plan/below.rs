//! Columns that were projected away but may still be filtered and sorted by.
//!
//! Spark resolves `df.select("a").orderBy("b")` by looking below the projection for `b`. Select
//! lists see less of it: of the columns a join by common names shows once, both sides' own.

use std::{collections::HashSet, sync::Arc};

use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use millstream_engine::Result;

use super::{aggregate::Aggregation, attribute::Attribute, translator::Frame};

/// What stands below a frame.
#[derive(Debug)]
pub(super) enum Below {
    /// The frame is a projection of `input` to `exprs`; `sides` are the columns of `input` that
    /// select lists may still name by qualifier or DataFrame (Spark's hidden output).
    Project { input: Frame, exprs: Vec<Expr>, sides: Vec<Attribute> },
    /// The frame's plan is one node over `input` that passes columns on.
    Through { input: Frame },
    /// The frame is the output of an aggregation.
    Aggregate(Aggregation),
}

impl Frame {
    /// The columns that can be revealed, nearest first.
    pub fn hidden(&self) -> Vec<Attribute> {
        let mut found: Vec<Attribute> = Vec::new();
        let mut known: HashSet<String> = self.columns.iter().map(|a| a.id.clone()).collect();
        let mut below = self.below.as_deref();
        while let Some(Below::Project { input, .. } | Below::Through { input }) = below {
            for column in input.columns.iter() {
                if known.insert(column.id.clone()) {
                    found.push(column.clone());
                }
            }
            below = input.below.as_deref();
        }
        found
    }

    /// The columns select lists above may name, though only by qualifier or DataFrame.
    pub fn sides(&self) -> Vec<Attribute> {
        let mut below = self.below.as_deref();
        loop {
            below = match below {
                Some(Below::Project { sides, .. }) if !sides.is_empty() => {
                    let shown = |a: &&Attribute| !self.columns.iter().any(|c| c.id == a.id);
                    return sides.iter().filter(shown).cloned().collect();
                }
                Some(Below::Project { input, .. } | Below::Through { input }) => input.below.as_deref(),
                _ => return Vec::new(),
            }
        }
    }

    /// The same frame with `wanted` columns of [`Frame::hidden`] in its plan (not visible).
    pub fn reveal(&self, wanted: &[Attribute]) -> Result<Self> {
        let schema = self.plan.schema();
        let missing: Vec<Attribute> =
            wanted.iter().filter(|a| !schema.has_column(&a.column())).cloned().collect();
        if missing.is_empty() {
            return Ok(self.clone());
        }
        match self.below.as_deref() {
            Some(Below::Project { input, exprs, sides }) => {
                let (sides, input) = (sides.clone(), input.reveal(&missing)?);
                let mut exprs = exprs.clone();
                exprs.extend(missing.iter().map(Attribute::expr));
                let plan =
                    LogicalPlan::Projection(Projection::try_new(exprs.clone(), Arc::clone(&input.plan))?);
                let below = Below::Project { input, exprs, sides };
                Ok(Self { below: Some(Arc::new(below)), ..self.with_plan(plan) })
            }
            Some(Below::Through { input }) => {
                let input = input.reveal(&missing)?;
                let inputs = vec![input.plan.as_ref().clone()];
                let plan = self.plan.with_new_exprs(self.plan.expressions(), inputs)?;
                Ok(Self { below: Some(Arc::new(Below::Through { input })), ..self.with_plan(plan) })
            }
            _ => Ok(self.clone()),
        }
    }

    /// The same rows after one node that passes columns on; `input` is what it stands on.
    pub fn through(input: &Frame, plan: LogicalPlan) -> Self {
        Self { below: Some(Arc::new(Below::Through { input: input.clone() })), ..input.with_plan(plan) }
    }
}
