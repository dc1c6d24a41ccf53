//! `Repartition`: the wish for a number of partitions, which writes turn into files.

use millstream_engine::{Result, SparkError};
use spark_connect_proto::{self as proto, expression::ExprType};

use super::{
    scope::RelationScope,
    translated::Partitioning,
    translator::{Frame, Translator},
};

impl Translator<'_> {
    pub(super) fn repartition(&self, repartition: &proto::Repartition) -> Result<Frame> {
        let input = self.input(repartition.input.as_deref())?;
        let count = positive(repartition.num_partitions)?;
        let partitioning = if repartition.shuffle() {
            Partitioning::RoundRobin(count)
        } else {
            match &input.partitioning {
                Some(before) if before.count() <= count => before.clone(),
                _ => Partitioning::Coalesce(count),
            }
        };
        Ok(Frame { partitioning: Some(partitioning), ..input })
    }

    pub(super) fn repartition_by_expression(
        &self,
        repartition: &proto::RepartitionByExpression,
    ) -> Result<Frame> {
        let input = self.input(repartition.input.as_deref())?;
        let count = match repartition.num_partitions {
            Some(count) => positive(count)?,
            None => self.conf.shuffle_partitions,
        };
        let scope = RelationScope::select(self, &input);
        let mut keys = Vec::new();
        let mut ordered = false;
        for expression in &repartition.partition_exprs {
            let expression = match &expression.expr_type {
                Some(ExprType::SortOrder(order)) => {
                    ordered = true;
                    order.child.as_deref().unwrap_or(expression)
                }
                _ => expression,
            };
            keys.extend(scope.resolve_all(expression)?.into_iter().map(|key| key.expr));
        }
        let partitioning = match (keys.is_empty(), ordered) {
            (true, _) => Partitioning::RoundRobin(count),
            (false, true) => Partitioning::Range(count, keys),
            (false, false) => Partitioning::Hash(count, keys),
        };
        Ok(Frame { partitioning: Some(partitioning), ..input })
    }
}

fn positive(count: i32) -> Result<usize> {
    usize::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| {
        SparkError::new("_LEGACY_ERROR_TEMP_REQUIREMENT")
            .with("message", format!("Number of partitions ({count}) must be positive."))
    })
}
