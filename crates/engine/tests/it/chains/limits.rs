//! Limits as Spark's `EliminateLimits` and `CombineLimits` leave them, for the reference.

use datafusion::common::JoinType;

use super::plan::Op;

impl Op {
    /// Without limits that can let every row pass; one limit where one is right above another.
    pub fn with_limits_settled(&self) -> Op {
        let mut op = self.clone();
        for input in op.inputs_mut() {
            *input = input.with_limits_settled();
        }
        let Op::Limit { rows, input } = &op else { return op };
        match input.as_ref() {
            input if input.most_rows().is_some_and(|most| most <= *rows) => input.clone(),
            Op::Limit { input, .. } => Op::Limit { rows: *rows, input: input.clone() },
            _ => op,
        }
    }

    /// How many rows there are at most over the query's whole life, as far as Spark knows.
    fn most_rows(&self) -> Option<usize> {
        match self {
            Op::Source { .. } => None,
            Op::Dedup { input, .. } | Op::Session { input, .. } => input.most_rows(),
            Op::Window { size, slide, input } => {
                let windows = usize::try_from((size + slide - 1) / slide).unwrap();
                input.most_rows().map(|rows| rows * windows)
            }
            Op::Limit { rows, input } => Some(input.most_rows().map_or(*rows, |most| most.min(*rows))),
            Op::Union { left, right } => Some(left.most_rows()? + right.most_rows()?),
            Op::Join { kind: JoinType::LeftSemi, left, .. } => left.most_rows(),
            Op::Join { kind, left, right, .. } => {
                let (left, right) = (left.most_rows()?, right.most_rows()?);
                let padded = match kind {
                    JoinType::Left => left,
                    JoinType::Right => right,
                    JoinType::Full => left + right,
                    _ => 0,
                };
                Some(padded.max(left * right))
            }
        }
    }
}
