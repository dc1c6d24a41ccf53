//! Spark's `WatermarkPropagator`: from the query's watermark to that of each operator.
//!
//! An operator's input watermark is the least output watermark below it. A watermark node
//! gives the query's, a stateful operator what it says of its input's, anything else passes
//! on. An operator with no watermark below has 0.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::physical_plan::ExecutionPlan;

use crate::{
    Result, SparkError,
    operators::{EventTimeWatermarkExec, StatefulExec, StatefulOperator},
    time::Millis,
};

/// The plan as far as watermarks go.
#[derive(Debug)]
pub(crate) struct WatermarkPropagation {
    root: Node,
}

#[derive(Debug)]
enum Node {
    Watermark(Vec<Node>),
    Operator(Arc<dyn StatefulOperator>, Vec<Node>),
    Through(Vec<Node>),
}

impl WatermarkPropagation {
    /// The ways of watermarks through `plan`.
    ///
    /// # Errors
    /// `_LEGACY_ERROR_TEMP_3076` when a watermark is defined above another.
    /// `Spark differs:` it finds out at the first batch with a watermark.
    pub(super) fn new(plan: &Arc<dyn ExecutionPlan>) -> Result<Self> {
        Ok(Self { root: Node::new(plan)? })
    }

    /// The input watermark of each operator, by its id, when the query's is `origin`.
    pub(crate) fn inputs(&self, origin: Millis) -> BTreeMap<usize, Millis> {
        let mut inputs = BTreeMap::new();
        self.root.output(origin, &mut inputs);
        inputs
    }
}

impl Node {
    fn new(plan: &Arc<dyn ExecutionPlan>) -> Result<Self> {
        let below = plan.children().into_iter().map(Self::new).collect::<Result<Vec<_>>>()?;
        if plan.downcast_ref::<EventTimeWatermarkExec>().is_some_and(EventTimeWatermarkExec::observes) {
            if below.iter().any(Self::has_watermark) {
                return Err(SparkError::new("_LEGACY_ERROR_TEMP_3076")
                    .with("config", "spark.sql.streaming.statefulOperator.allowMultiple"));
            }
            return Ok(Self::Watermark(below));
        }
        Ok(match plan.downcast_ref::<StatefulExec>() {
            Some(stateful) => Self::Operator(stateful.operator(), below),
            None => Self::Through(below),
        })
    }

    fn has_watermark(&self) -> bool {
        match self {
            Self::Watermark(_) => true,
            Self::Operator(_, below) | Self::Through(below) => below.iter().any(Self::has_watermark),
        }
    }

    /// What leaves the node; operators on the way are entered into `inputs`.
    fn output(&self, origin: Millis, inputs: &mut BTreeMap<usize, Millis>) -> Option<Millis> {
        match self {
            Self::Watermark(below) => {
                Self::least(below, origin, inputs);
                Some(origin)
            }
            Self::Operator(operator, below) => {
                let input = Self::least(below, origin, inputs);
                // Without a watermark in force nothing is late and nothing is final.
                let own = if origin == Millis::ZERO { None } else { input };
                inputs.insert(operator.operator_id(), own.unwrap_or(Millis::ZERO).max(Millis::ZERO));
                input.and_then(|input| operator.output_watermark(input))
            }
            Self::Through(below) => Self::least(below, origin, inputs),
        }
    }

    fn least(below: &[Self], origin: Millis, inputs: &mut BTreeMap<usize, Millis>) -> Option<Millis> {
        // Every node is visited, also when an earlier one decides.
        let outputs: Vec<Option<Millis>> = below.iter().map(|node| node.output(origin, inputs)).collect();
        outputs.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::{
        operators::{StateChanges, StateOperatorMetrics},
        query::BatchId,
    };

    /// Gives rows up to `late` milliseconds behind its input; `None`: it cannot say.
    #[derive(Debug)]
    struct Fake {
        id: usize,
        late: Option<i64>,
    }

    #[async_trait]
    impl StatefulOperator for Fake {
        fn name(&self) -> &'static str {
            "fake"
        }
        async fn load(&self, _: BatchId) -> Result<()> {
            Ok(())
        }
        fn seal(&self, _: BatchId) -> Result<StateChanges> {
            Ok(StateChanges::default())
        }
        fn wants_batch(&self, _: Millis, _: Millis) -> bool {
            false
        }
        fn operator_id(&self) -> usize {
            self.id
        }
        fn output_watermark(&self, input: Millis) -> Option<Millis> {
            self.late.map(|late| Millis(input.0 - late))
        }
        fn metrics(&self) -> StateOperatorMetrics {
            StateOperatorMetrics::default()
        }
        async fn purge(&self, _: BatchId) -> Result<()> {
            Ok(())
        }
    }

    fn operator(id: usize, late: Option<i64>, below: Vec<Node>) -> Node {
        Node::Operator(Arc::new(Fake { id, late }), below)
    }

    #[test]
    fn each_operator_has_the_least_of_what_is_below() {
        let source = || Node::Watermark(vec![]);
        let join = operator(1, Some(30), vec![source(), Node::Through(vec![])]);
        let union = Node::Through(vec![join, operator(2, Some(0), vec![source()])]);
        let root = operator(0, Some(0), vec![union]);
        let other = operator(3, Some(0), vec![operator(4, None, vec![source()])]);
        let below = operator(6, Some(0), vec![Node::Through(vec![])]);
        let above = operator(5, Some(0), vec![Node::Watermark(vec![below])]);
        let propagation = WatermarkPropagation { root: Node::Through(vec![root, other, above]) };
        let at = |origin| propagation.inputs(Millis(origin)).into_values().map(|m| m.0).collect::<Vec<_>>();
        assert_eq!(at(100), [70, 100, 100, 0, 100, 100, 0]);
        // Nothing goes below zero, and zero is no watermark.
        assert_eq!(at(20), [0, 20, 20, 0, 20, 20, 0]);
        assert_eq!(at(0), [0; 7]);
    }
}
